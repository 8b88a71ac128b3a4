"""Foreign clients behind one small interface, so that every case runs with each of them.

A record is a tuple (key, value, headers, timestamp_ms): bytes or None, bytes or None, a list of (str, bytes), int.
"""

import asyncio
import subprocess
import threading
import time
import uuid

TIMEOUT = 30.0


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


class Confluent:
    """confluent-kafka, which is librdkafka."""

    name = "confluent-kafka"
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    timestamps = headers = admin = members = True

    def version(self) -> str:
        import confluent_kafka
        return f"{confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})"

    def create_topic(self, bootstrap, topic, partitions):
        from confluent_kafka.admin import AdminClient, NewTopic
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(TIMEOUT)

    def delete_topic(self, bootstrap, topic):
        from confluent_kafka.admin import AdminClient
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.delete_topics([topic])[topic].result(TIMEOUT)

    def topics(self, bootstrap):
        from confluent_kafka.admin import AdminClient
        return set(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=TIMEOUT).topics)

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False):
        from confluent_kafka import Producer
        failures = []
        producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "acks": "all",
                             "enable.idempotence": idempotent, "linger.ms": 5})
        for key, value, headers, timestamp in records:
            producer.produce(topic, key=key, value=value, headers=headers, timestamp=timestamp,
                             on_delivery=lambda error, _: failures.append(error) if error else None)
        left = producer.flush(TIMEOUT)
        assert left == 0 and not failures, f"{left} records undelivered, failures: {failures[:3]}"

    def _consumer(self, bootstrap, group):
        from confluent_kafka import Consumer
        return Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "session.timeout.ms": 6000})

    def consume(self, bootstrap, topic, count, group=None, commit=False):
        consumer = self._consumer(bootstrap, group or unique("reader"))
        consumer.subscribe([topic])
        out, deadline = [], time.monotonic() + TIMEOUT
        while len(out) < count and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            assert message.error() is None, message.error()
            out.append((message.key(), message.value(), message.headers() or [], message.timestamp()[1]))
        if commit:
            consumer.commit(asynchronous=False)
        consumer.close()
        return out

    def two_members(self, bootstrap, topic, group):
        members = [self._consumer(bootstrap, group) for _ in range(2)]
        for member in members:
            member.subscribe([topic])
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            for member in members:
                member.poll(0.1)
            owned = [{p.partition for p in member.assignment()} for member in members]
            if all(owned):
                break
        for member in members:
            member.close()
        return owned


class KafkaPython:
    """kafka-python."""

    name = "kafka-python"
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    timestamps = headers = admin = members = True

    def version(self):
        import kafka
        return kafka.__version__

    def _admin(self, bootstrap):
        from kafka.admin import KafkaAdminClient
        return KafkaAdminClient(bootstrap_servers=bootstrap)

    def create_topic(self, bootstrap, topic, partitions):
        from kafka.admin import NewTopic
        admin = self._admin(bootstrap)
        admin.create_topics([NewTopic(topic, partitions, 1)])
        admin.close()

    def delete_topic(self, bootstrap, topic):
        admin = self._admin(bootstrap)
        admin.delete_topics([topic])
        admin.close()

    def topics(self, bootstrap):
        admin = self._admin(bootstrap)
        found = set(admin.list_topics())
        admin.close()
        return found

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False):
        from kafka import KafkaProducer
        producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5, enable_idempotence=idempotent,
                                 compression_type=None if codec == "none" else codec)
        futures = [producer.send(topic, key=key, value=value, headers=headers, timestamp_ms=timestamp)
                   for key, value, headers, timestamp in records]
        for future in futures:
            future.get(TIMEOUT)
        producer.close()

    def _consumer(self, bootstrap, topic, group):
        from kafka import KafkaConsumer
        return KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                             enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500)

    def consume(self, bootstrap, topic, count, group=None, commit=False):
        consumer = self._consumer(bootstrap, topic, group or unique("reader"))
        out, deadline = [], time.monotonic() + TIMEOUT
        while len(out) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                out.extend((r.key, r.value, list(r.headers), r.timestamp) for r in records)
        if commit:
            consumer.commit()
        consumer.close(autocommit=False)
        return out

    def two_members(self, bootstrap, topic, group):
        # poll() joins the group on the calling thread and waits there for the other member, so each has its own.
        owned, settled = [set(), set()], threading.Event()

        def member(index):
            consumer = self._consumer(bootstrap, topic, group)
            deadline = time.monotonic() + TIMEOUT
            while not settled.is_set() and time.monotonic() < deadline:
                consumer.poll(timeout_ms=1000)
                if settled.is_set():
                    break  # the other member is leaving: what this one owns now is no longer the shared state
                owned[index] = {p.partition for p in consumer.assignment()}
                if all(owned) and not owned[0] & owned[1]:
                    settled.set()
            consumer.close(autocommit=False)

        threads = [threading.Thread(target=member, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return owned


class AioKafka:
    """aiokafka."""

    name = "aiokafka"
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    timestamps = headers = admin = members = True

    def version(self):
        import aiokafka
        return aiokafka.__version__

    def _with_admin(self, bootstrap, act):
        from aiokafka.admin import AIOKafkaAdminClient

        async def run():
            admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
            await admin.start()
            try:
                return await act(admin)
            finally:
                await admin.close()
        return asyncio.run(run())

    def create_topic(self, bootstrap, topic, partitions):
        from aiokafka.admin import NewTopic
        answer = self._with_admin(bootstrap, lambda admin: admin.create_topics([NewTopic(topic, partitions, 1)]))
        assert all(error[1] == 0 for error in answer.topic_errors), answer

    def delete_topic(self, bootstrap, topic):
        self._with_admin(bootstrap, lambda admin: admin.delete_topics([topic]))

    def topics(self, bootstrap):
        return set(self._with_admin(bootstrap, lambda admin: admin.list_topics()))

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False):
        from aiokafka import AIOKafkaProducer

        async def run():
            producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5,
                                        enable_idempotence=idempotent,
                                        compression_type=None if codec == "none" else codec)
            await producer.start()
            try:
                futures = [await producer.send(topic, key=key, value=value, headers=headers, timestamp_ms=timestamp)
                           for key, value, headers, timestamp in records]
                await asyncio.wait_for(asyncio.gather(*futures), TIMEOUT)
            finally:
                await producer.stop()
        asyncio.run(run())

    def _consumer(self, bootstrap, topic, group):
        from aiokafka import AIOKafkaConsumer
        return AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                                enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500)

    def consume(self, bootstrap, topic, count, group=None, commit=False):
        async def run():
            consumer = self._consumer(bootstrap, topic, group or unique("reader"))
            await consumer.start()
            out, deadline = [], time.monotonic() + TIMEOUT
            try:
                while len(out) < count and time.monotonic() < deadline:
                    for records in (await consumer.getmany(timeout_ms=500)).values():
                        out.extend((r.key, r.value, list(r.headers), r.timestamp) for r in records)
                if commit:
                    await consumer.commit()
            finally:
                await consumer.stop()
            return out
        return asyncio.run(run())

    def two_members(self, bootstrap, topic, group):
        async def run():
            members = [self._consumer(bootstrap, topic, group) for _ in range(2)]
            for member in members:
                await member.start()
            deadline = time.monotonic() + TIMEOUT
            try:
                while time.monotonic() < deadline:
                    for member in members:
                        await member.getmany(timeout_ms=100)
                    owned = [{p.partition for p in member.assignment()} for member in members]
                    if all(owned) and not owned[0] & owned[1]:
                        break
            finally:
                for member in members:
                    await member.stop()
            return owned
        return asyncio.run(run())


class Kcat:
    """Debian's kcat, the command line over librdkafka."""

    name = "kcat"
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    timestamps = admin = members = False
    headers = True

    def version(self):
        return subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout.split("Version ")[1].split()[0]

    def topics(self, bootstrap):
        listing = subprocess.run(["kcat", "-b", bootstrap, "-L", "-J"], capture_output=True, text=True, check=True)
        import json
        return {topic["topic"] for topic in json.loads(listing.stdout)["topics"]}

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False):
        extra = ["-X", "enable.idempotence=true"] if idempotent else []
        # kcat takes one header list per run; the cases give every record the same headers.
        headers = [part for name, value in records[0][2] for part in ("-H", f"{name}={value.decode()}")]
        lines = b"".join((key or b"") + b"\x1f" + (value or b"") + b"\n" for key, value, _, _ in records)
        subprocess.run(["kcat", "-b", bootstrap, "-P", "-t", topic, "-K", "\x1f", "-Z", "-z", codec,
                        "-X", "acks=all", *extra, *headers], input=lines, check=True, timeout=TIMEOUT)

    def consume(self, bootstrap, topic, count, group=None, commit=False):
        fmt = "%K\\x1f%k\\x1f%S\\x1f%s\\x1f%h\\x1f%T\\n"
        where = (["-G", group, "-X", "auto.offset.reset=earliest", topic] if group else ["-C", "-t", topic, "-o", "beginning"])
        run = subprocess.run(["kcat", "-b", bootstrap, "-q", "-f", fmt, "-c", str(count), *where],
                             capture_output=True, check=True, timeout=TIMEOUT)
        out = []
        for line in run.stdout.splitlines():
            key_size, key, value_size, value, headers, timestamp = line.split(b"\x1f")
            pairs = [tuple(h.split(b"=", 1)) for h in headers.split(b",") if h]
            out.append((None if int(key_size) < 0 else key, None if int(value_size) < 0 else value,
                        [(name.decode(), value) for name, value in pairs], int(timestamp)))
        return out


CLIENTS = [Confluent(), KafkaPython(), AioKafka(), Kcat()]
