"""Foreign clients behind one small interface, so that every case runs with each of them.

A record is a tuple (key, value, headers, timestamp_ms): bytes or None, bytes or None, a list of (str, bytes), int. What a
client can do beyond the common cases stands in its `can`; the same names are in the cases (cases.py).
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
import uuid

TIMEOUT = 30.0


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


class Bootstrap(str):
    """Where a broker is, and how to be let in: `security` is None, or has `protocol` (SSL or SASL_SSL), `ca`, for SASL
    `mechanism`, `user` and `password` (or `token` and `until`, the end of its life in milliseconds, for OAUTHBEARER), for a
    certificate of the client's own `cert` and `key` (and `keystore`, both in one)."""

    security = None

    def __new__(cls, address, security=None):
        made = super().__new__(cls, address)
        made.security = security
        return made


def _librdkafka(bootstrap):
    """The settings of librdkafka that say where the broker is and how to be let in."""
    found, how = {"bootstrap.servers": str(bootstrap)}, getattr(bootstrap, "security", None)
    if how:
        found |= {"security.protocol": how["protocol"], "ssl.ca.location": how["ca"]}
        if "token" in how:
            found |= {"sasl.mechanism": how["mechanism"], "oauth_cb": lambda _: (how["token"], how["until"] / 1000)}
        elif "mechanism" in how:
            found |= {"sasl.mechanism": how["mechanism"], "sasl.username": how["user"], "sasl.password": how["password"]}
        if "cert" in how:
            found |= {"ssl.certificate.location": how["cert"], "ssl.key.location": how["key"]}
    return found


def _kafka_python(bootstrap):
    found, how = {"bootstrap_servers": str(bootstrap)}, getattr(bootstrap, "security", None)
    if how:
        found |= {"security_protocol": how["protocol"], "ssl_cafile": how["ca"]}
        if "token" in how:
            from kafka.net.sasl.oauth import AbstractTokenProvider
            found |= {"sasl_mechanism": how["mechanism"],
                      "sasl_oauth_token_provider": type("Provider", (AbstractTokenProvider,),
                                                        {"token": lambda _: how["token"]})()}
        elif "mechanism" in how:
            found |= {"sasl_mechanism": how["mechanism"], "sasl_plain_username": how["user"],
                      "sasl_plain_password": how["password"]}
        if "cert" in how:
            found |= {"ssl_certfile": how["cert"], "ssl_keyfile": how["key"]}
    return found


def _aiokafka(bootstrap):
    found, how = _kafka_python(bootstrap), getattr(bootstrap, "security", None)
    if how:
        from aiokafka.abc import AbstractTokenProvider
        from aiokafka.helpers import create_ssl_context
        if "token" in how:
            async def token(_):
                return how["token"]
            found["sasl_oauth_token_provider"] = type("Provider", (AbstractTokenProvider,), {"token": token})()
        files = {name: found.pop(f"ssl_{name}") for name in ("cafile", "certfile", "keyfile") if f"ssl_{name}" in found}
        found["ssl_context"] = create_ssl_context(**files)
    return found


class DyingMember:
    """A member of a group in a process of its own, so that it can be killed."""

    def __init__(self, client, bootstrap, topic, group):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), client, bootstrap, topic, group],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Confluent:
    """confluent-kafka, which is librdkafka."""

    name = "confluent-kafka"
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    timestamps = headers = admin = True
    can = {"nulls", "large", "time", "delete records", "configs", "groups", "transactions", "transform", "cooperative",
           "static", "consumer protocol", "protocol change", "transaction time-out", "fence", "secured", "oauth", "crash"}

    def version(self) -> str:
        import confluent_kafka
        return f"{confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})"

    def _admin(self, bootstrap):
        # The caller must hold on to it until the result is there: an admin that is dropped gives its requests up.
        from confluent_kafka.admin import AdminClient
        return AdminClient(_librdkafka(bootstrap))

    def create_topic(self, bootstrap, topic, partitions, configs=None):
        from confluent_kafka.admin import NewTopic
        wanted = NewTopic(topic, partitions, 1, config=configs or {})
        admin = self._admin(bootstrap)
        admin.create_topics([wanted])[topic].result(TIMEOUT)

    def delete_topic(self, bootstrap, topic):
        admin = self._admin(bootstrap)
        admin.delete_topics([topic])[topic].result(TIMEOUT)

    def topics(self, bootstrap):
        return set(self._admin(bootstrap).list_topics(timeout=TIMEOUT).topics)

    def topic_config(self, bootstrap, topic):
        from confluent_kafka.admin import ConfigResource
        resource = ConfigResource("topic", topic)
        admin = self._admin(bootstrap)
        found = admin.describe_configs([resource])[resource].result(TIMEOUT)
        return {name: entry.value for name, entry in found.items()}

    def set_topic_config(self, bootstrap, topic, configs):
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
        entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in configs.items()]
        resource = ConfigResource("topic", topic, incremental_configs=entries)
        admin = self._admin(bootstrap)
        admin.incremental_alter_configs([resource])[resource].result(TIMEOUT)

    def groups(self, bootstrap):
        admin = self._admin(bootstrap)
        return {one.group_id for one in admin.list_consumer_groups().result(TIMEOUT).valid}

    def delete_group(self, bootstrap, group):
        admin = self._admin(bootstrap)
        admin.delete_consumer_groups([group])[group].result(TIMEOUT)

    def offset_for_time(self, bootstrap, topic, partition, timestamp):
        from confluent_kafka import TopicPartition
        consumer = self._consumer(bootstrap, unique("reader"))
        found = consumer.offsets_for_times([TopicPartition(topic, partition, timestamp)], TIMEOUT)
        consumer.close()
        return found[0].offset

    def delete_records(self, bootstrap, topic, partition, offset):
        from confluent_kafka import TopicPartition
        before = TopicPartition(topic, partition, offset)
        admin = self._admin(bootstrap)
        next(iter(admin.delete_records([before]).values())).result(TIMEOUT)

    def _producer(self, bootstrap, **settings):
        from confluent_kafka import Producer
        return Producer({**_librdkafka(bootstrap), "acks": "all", "linger.ms": 5, "message.max.bytes": 8 << 20,
                         **settings})

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False, transaction=None, transactional_id=None,
                transaction_timeout_ms=60000):
        failures = []
        more = {"transactional.id": transactional_id, "transaction.timeout.ms": transaction_timeout_ms} if transaction else {}
        producer = self._producer(bootstrap, **{"compression.type": codec, "enable.idempotence": idempotent or bool(transaction)},
                                  **more)
        if transaction:
            producer.init_transactions(TIMEOUT)
            producer.begin_transaction()
        for key, value, headers, timestamp in records:
            producer.produce(topic, key=key, value=value, headers=headers, timestamp=timestamp,
                             on_delivery=lambda error, _: failures.append(error) if error else None)
        left = producer.flush(TIMEOUT)
        assert left == 0 and not failures, f"{left} records undelivered, failures: {failures[:3]}"
        if transaction == "commit":
            producer.commit_transaction(TIMEOUT)
        elif transaction == "abort":
            producer.abort_transaction(TIMEOUT)

    def transform(self, bootstrap, source, sink, group, transactional_id, count):
        from confluent_kafka import TopicPartition
        producer = self._producer(bootstrap, **{"transactional.id": transactional_id})
        consumer = self._consumer(bootstrap, group, **{"isolation.level": "read_committed"})
        consumer.subscribe([source])
        producer.init_transactions(TIMEOUT)
        seen, deadline = 0, time.monotonic() + TIMEOUT
        while seen < count:
            assert time.monotonic() < deadline, f"only {seen} of {count} records came"
            taken = consumer.consume(100, 0.2)
            if not taken:
                continue
            producer.begin_transaction()
            for message in taken:
                assert message.error() is None, message.error()
                producer.produce(sink, key=message.key(), value=b"seen " + message.value())
            next_offsets = {(m.topic(), m.partition()): m.offset() + 1 for m in taken}
            positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in next_offsets.items()]
            producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), TIMEOUT)
            producer.commit_transaction(TIMEOUT)
            seen += len(taken)
        consumer.close()

    def fence(self, bootstrap, topic, transactional_id):
        from confluent_kafka import KafkaException
        first, second = (self._producer(bootstrap, **{"transactional.id": transactional_id}) for _ in range(2))
        first.init_transactions(TIMEOUT)
        first.begin_transaction()
        first.produce(topic, b"from the first")
        first.flush(TIMEOUT)
        second.init_transactions(TIMEOUT)
        second.begin_transaction()
        second.produce(topic, b"from the second")
        second.commit_transaction(TIMEOUT)
        try:
            first.commit_transaction(TIMEOUT)
            return "none"
        except KafkaException as fenced:
            return "ProducerFencedException" if fenced.args[0].name() in ("_FENCED", "PRODUCER_FENCED") else str(fenced)

    def dying_member(self, bootstrap, topic, group):
        return DyingMember(self.name, bootstrap, topic, group)

    def assigned(self, bootstrap, group):
        """How many members a group has that are assigned something; none as long as its coordinator is yet to be ready."""
        from confluent_kafka import KafkaException
        admin = self._admin(bootstrap)
        try:
            found = admin.describe_consumer_groups([group])[group].result(TIMEOUT)
        except KafkaException:
            return 0
        return sum(bool(one.assignment.topic_partitions) for one in found.members)

    def _consumer(self, bootstrap, group, **settings):
        from confluent_kafka import Consumer
        classic = {} if settings.get("group.protocol") == "consumer" else {"session.timeout.ms": 6000}
        return Consumer({**_librdkafka(bootstrap), "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, **classic, **settings})

    def consume(self, bootstrap, topic, count, group=None, commit=False, isolation="read_uncommitted", wait=TIMEOUT):
        consumer = self._consumer(bootstrap, group or unique("reader"), **{"isolation.level": isolation})
        consumer.subscribe([topic])
        out, deadline = [], time.monotonic() + wait
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

    def two_members(self, bootstrap, topic, group, partitions=4, strategy="range", protocol="classic", instance_ids=None):
        strategies = {"range": "range", "cooperative": "cooperative-sticky", "roundrobin": "roundrobin"}
        how = {"group.protocol": protocol}
        if protocol == "classic":
            how["partition.assignment.strategy"] = strategies[strategy]
        members = [self._consumer(bootstrap, group, **how, **({"group.instance.id": name} if name else {}))
                   for name in instance_ids or [None, None]]
        for member in members:
            member.subscribe([topic])
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            for member in members:
                member.poll(0.1)
            owned = [{p.partition for p in member.assignment()} for member in members]
            if all(owned) and not owned[0] & owned[1] and len(owned[0] | owned[1]) == partitions:
                break
        for member in members:
            member.close()
        return owned

    def change_protocol(self, bootstrap, topic, group, partitions):
        """What a classic member owned, then it and a consumer, it alone again, and a consumer in the empty group."""
        members, stages = [], []

        def join(**how):
            members.append(self._consumer(bootstrap, group, **how))
            members[-1].subscribe([topic])

        def settle():
            deadline = time.monotonic() + TIMEOUT
            while time.monotonic() < deadline:
                for member in members:
                    member.poll(0.1)
                owned = [{p.partition for p in member.assignment()} for member in members]
                if all(owned) and sum(map(len, owned)) == len(set().union(*owned)) == partitions:
                    break
            stages.append(owned)

        join(**{"partition.assignment.strategy": "cooperative-sticky"})
        settle()
        join(**{"group.protocol": "consumer"})
        settle()
        members.pop().close()
        settle()
        members.pop().close()
        join(**{"group.protocol": "consumer"})
        settle()
        members.pop().close()
        return stages


class KafkaPython:
    """kafka-python."""

    name = "kafka-python"
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    timestamps = headers = admin = True
    can = {"nulls", "large", "time", "transactions", "secured", "oauth", "crash"}

    def version(self):
        import kafka
        return kafka.__version__

    def _admin(self, bootstrap):
        from kafka.admin import KafkaAdminClient
        return KafkaAdminClient(**_kafka_python(bootstrap))

    def create_topic(self, bootstrap, topic, partitions, configs=None):
        from kafka.admin import NewTopic
        admin = self._admin(bootstrap)
        admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs or {})])
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

    def offset_for_time(self, bootstrap, topic, partition, timestamp):
        from kafka import KafkaConsumer, TopicPartition
        consumer = KafkaConsumer(**_kafka_python(bootstrap))
        where = TopicPartition(topic, partition)
        found = consumer.offsets_for_times({where: timestamp})[where]
        consumer.close()
        return found.offset

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False, transaction=None, transactional_id=None):
        from kafka import KafkaProducer
        producer = KafkaProducer(**_kafka_python(bootstrap), acks="all", linger_ms=5, max_request_size=8 << 20,
                                 enable_idempotence=idempotent or bool(transaction), transactional_id=transactional_id,
                                 compression_type=None if codec == "none" else codec)
        if transaction:
            producer.init_transactions()
            producer.begin_transaction()
        futures = [producer.send(topic, key=key, value=value, headers=headers, timestamp_ms=timestamp)
                   for key, value, headers, timestamp in records]
        for future in futures:
            future.get(TIMEOUT)
        if transaction == "commit":
            producer.commit_transaction()
        elif transaction == "abort":
            producer.abort_transaction()
        producer.close()

    def dying_member(self, bootstrap, topic, group):
        return DyingMember(self.name, bootstrap, topic, group)

    def _consumer(self, bootstrap, topic, group, isolation="read_uncommitted"):
        from kafka import KafkaConsumer
        return KafkaConsumer(topic, **_kafka_python(bootstrap), group_id=group, auto_offset_reset="earliest",
                             enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500,
                             isolation_level=isolation)

    def consume(self, bootstrap, topic, count, group=None, commit=False, isolation="read_uncommitted", wait=TIMEOUT):
        consumer = self._consumer(bootstrap, topic, group or unique("reader"), isolation)
        out, deadline = [], time.monotonic() + wait
        while len(out) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                out.extend((r.key, r.value, list(r.headers), r.timestamp) for r in records)
        if commit:
            consumer.commit()
        consumer.close(autocommit=False)
        return out

    def two_members(self, bootstrap, topic, group, partitions=4):
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
    timestamps = headers = admin = True
    can = {"nulls", "large", "time", "transactions", "transform", "secured", "oauth", "crash"}

    def version(self):
        import aiokafka
        return aiokafka.__version__

    def _with_admin(self, bootstrap, act):
        from aiokafka.admin import AIOKafkaAdminClient

        async def run():
            admin = AIOKafkaAdminClient(**_aiokafka(bootstrap))
            await admin.start()
            try:
                return await act(admin)
            finally:
                await admin.close()
        return asyncio.run(run())

    def create_topic(self, bootstrap, topic, partitions, configs=None):
        from aiokafka.admin import NewTopic
        wanted = NewTopic(topic, partitions, 1, topic_configs=configs or {})
        answer = self._with_admin(bootstrap, lambda admin: admin.create_topics([wanted]))
        assert all(error[1] == 0 for error in answer.topic_errors), answer

    def delete_topic(self, bootstrap, topic):
        self._with_admin(bootstrap, lambda admin: admin.delete_topics([topic]))

    def topics(self, bootstrap):
        return set(self._with_admin(bootstrap, lambda admin: admin.list_topics()))

    def offset_for_time(self, bootstrap, topic, partition, timestamp):
        from aiokafka import AIOKafkaConsumer, TopicPartition

        async def run():
            consumer = AIOKafkaConsumer(**_aiokafka(bootstrap))
            await consumer.start()
            where = TopicPartition(topic, partition)
            found = (await consumer.offsets_for_times({where: timestamp}))[where]
            await consumer.stop()
            return found.offset
        return asyncio.run(run())

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False, transaction=None, transactional_id=None):
        from aiokafka import AIOKafkaProducer

        async def run():
            producer = AIOKafkaProducer(**_aiokafka(bootstrap), acks="all", linger_ms=5, max_request_size=8 << 20,
                                        enable_idempotence=idempotent or bool(transaction),
                                        transactional_id=transactional_id,
                                        compression_type=None if codec == "none" else codec)
            await producer.start()
            try:
                if transaction:
                    await producer.begin_transaction()
                futures = [await producer.send(topic, key=key, value=value, headers=headers, timestamp_ms=timestamp)
                           for key, value, headers, timestamp in records]
                await asyncio.wait_for(asyncio.gather(*futures), TIMEOUT)
                if transaction == "commit":
                    await producer.commit_transaction()
                elif transaction == "abort":
                    await producer.abort_transaction()
            finally:
                await producer.stop()
        asyncio.run(run())

    def transform(self, bootstrap, source, sink, group, transactional_id, count):
        from aiokafka import AIOKafkaProducer

        async def run():
            producer = AIOKafkaProducer(**_aiokafka(bootstrap), transactional_id=transactional_id)
            consumer = self._consumer(bootstrap, source, group, "read_committed")
            await producer.start()
            await consumer.start()
            seen, deadline = 0, time.monotonic() + TIMEOUT
            try:
                while seen < count:
                    assert time.monotonic() < deadline, f"only {seen} of {count} records came"
                    taken = await consumer.getmany(timeout_ms=200)
                    if not taken:
                        continue
                    async with producer.transaction():
                        for records in taken.values():
                            for record in records:
                                await producer.send(sink, key=record.key, value=b"seen " + record.value)
                        after = {where: records[-1].offset + 1 for where, records in taken.items()}
                        await producer.send_offsets_to_transaction(after, group)
                    seen += sum(map(len, taken.values()))
            finally:
                await consumer.stop()
                await producer.stop()
        asyncio.run(run())

    def dying_member(self, bootstrap, topic, group):
        return DyingMember(self.name, bootstrap, topic, group)

    def _consumer(self, bootstrap, topic, group, isolation="read_uncommitted"):
        from aiokafka import AIOKafkaConsumer
        return AIOKafkaConsumer(topic, **_aiokafka(bootstrap), group_id=group, auto_offset_reset="earliest",
                                enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500,
                                isolation_level=isolation)

    def consume(self, bootstrap, topic, count, group=None, commit=False, isolation="read_uncommitted", wait=TIMEOUT):
        async def run():
            consumer = self._consumer(bootstrap, topic, group or unique("reader"), isolation)
            await consumer.start()
            out, deadline = [], time.monotonic() + wait
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

    def two_members(self, bootstrap, topic, group, partitions=4):
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


def _kcat(bootstrap):
    return ["kcat", *(part for name, value in _librdkafka(bootstrap).items() for part in ("-X", f"{name}={value}"))]


class Kcat:
    """Debian's kcat, the command line over librdkafka."""

    name = "kcat"
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    timestamps = admin = False
    headers = True
    can = {"secured"}

    def version(self):
        return subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout.split("Version ")[1].split()[0]

    def topics(self, bootstrap):
        listing = subprocess.run([*_kcat(bootstrap), "-L", "-J"], capture_output=True, text=True, check=True)
        import json
        return {topic["topic"] for topic in json.loads(listing.stdout)["topics"]}

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False):
        extra = ["-X", "enable.idempotence=true"] if idempotent else []
        # kcat takes one header list per run; the cases give every record the same headers.
        headers = [part for name, value in records[0][2] for part in ("-H", f"{name}={value.decode()}")]
        lines = b"".join((key or b"") + b"\x1f" + (value or b"") + b"\n" for key, value, _, _ in records)
        subprocess.run([*_kcat(bootstrap), "-P", "-t", topic, "-K", "\x1f", "-Z", "-z", codec,
                        "-X", "acks=all", *extra, *headers], input=lines, check=True, timeout=TIMEOUT)

    def consume(self, bootstrap, topic, count, group=None, commit=False, wait=TIMEOUT):
        fmt = "%K\\x1f%k\\x1f%S\\x1f%s\\x1f%h\\x1f%T\\n"
        where = (["-G", group, "-X", "auto.offset.reset=earliest", topic] if group else ["-C", "-t", topic, "-o", "beginning"])
        run = subprocess.run([*_kcat(bootstrap), "-q", "-f", fmt, "-c", str(count), *where],
                             capture_output=True, check=True, timeout=TIMEOUT)
        out = []
        for line in run.stdout.splitlines():
            key_size, key, value_size, value, headers, timestamp = line.split(b"\x1f")
            pairs = [tuple(h.split(b"=", 1)) for h in headers.split(b",") if h]
            out.append((None if int(key_size) < 0 else key, None if int(value_size) < 0 else value,
                        [(name.decode(), value) for name, value in pairs], int(timestamp)))
        return out


CLIENTS = [Confluent(), KafkaPython(), AioKafka(), Kcat()]

if __name__ == "__main__":
    name, *where = sys.argv[1:]
    next(client for client in CLIENTS if client.name == name).consume(*where[:2], 1 << 30, where[2], wait=4 * TIMEOUT)
