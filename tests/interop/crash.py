"""kill -9 of the broker while a foreign client produces: librdkafka, with idempotence, acks=all, to several partitions.

The broker is killed after seeded numbers of acknowledgements and started again on the same directory and port, while the
producers go on by themselves. In the end all is read: every record that was sent is there once, at the offset its producer was
told, in its order. A kill takes only the process, so that must hold whether the broker syncs before it answers or not.
"""

import random
import threading
import time

from brokers import ApacheKafka, Riverrun
from clients import unique

SEED = 20_261_121
PRODUCERS = 2
PARTITIONS = 4
#: Records of one producer that are not acknowledged yet.
OUTSTANDING_MAX = 2_000
TIMEOUT = 60.0


class Crash:
    """The suite's name, as run.py and the conformance page want it."""

    name = "kill -9 under load"

    def version(self):
        import confluent_kafka
        return f"{confluent_kafka.__version__} (librdkafka {confluent_kafka.libversion()[0]})"


class Load:
    """A producer that sends numbered records to all partitions until it is told to stop."""

    def __init__(self, bootstrap, topic, number, count_one):
        from confluent_kafka import Producer
        self.topic, self.number, self.count_one = topic, number, count_one
        self.sent, self.acknowledged, self.failures = 0, [], []
        self.ending = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 1,
            # Many small batches, several of them under way when the broker dies.
            "batch.num.messages": 20, "retry.backoff.ms": 20, "retry.backoff.max.ms": 100,
            "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200,
            "delivery.timeout.ms": int(TIMEOUT * 1000), "log_level": 0,
        })
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _delivered(self, error, message):
        if error is not None:
            self.failures.append(f"producer {self.number}: {message.value()}: {error}")
        else:
            self.acknowledged.append((message.partition(), message.offset(), message.value()))
        self.count_one()

    def _run(self):
        while not self.ending.is_set() and not self.failures:
            if self.sent - len(self.acknowledged) >= OUTSTANDING_MAX:
                self.producer.poll(0.01)
                continue
            # Numbers go round the partitions: in each of them they rise.
            value = f"{self.number} {self.sent} {'x' * 80}".encode()
            self.producer.produce(self.topic, value, partition=self.sent % PARTITIONS, on_delivery=self._delivered)
            self.sent += 1
            self.producer.poll(0)

    def end(self):
        self.ending.set()
        self.thread.join(TIMEOUT)
        left = self.producer.flush(TIMEOUT)
        if left and not self.failures:
            self.failures.append(f"producer {self.number}: {left} records are not acknowledged after {TIMEOUT:.0f} s")


class Count:
    """How many records are acknowledged, for one thread to wait on."""

    def __init__(self):
        self.value, self.changed = 0, threading.Condition()

    def one(self):
        with self.changed:
            self.value += 1
            self.changed.notify()

    def wait_for_more(self, number):
        with self.changed:
            wanted = self.value + number
            if not self.changed.wait_for(lambda: self.value >= wanted, TIMEOUT):
                raise AssertionError(f"only {self.value} of {wanted} records are acknowledged after {TIMEOUT:.0f} s")


def _read_all(bootstrap, topic, partition):
    """Every record of a partition, as (offset, value)."""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": unique("reader"), "enable.auto.commit": False,
                         "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT)
        consumer.assign([TopicPartition(topic, partition, 0)])
        found, deadline = [], time.monotonic() + TIMEOUT
        while (not found or found[-1][0] < end - 1) and time.monotonic() < deadline:
            for message in consumer.consume(5000, 0.2):
                if message.error() is None:
                    found.append((message.offset(), message.value()))
        return found
    finally:
        consumer.close()


def _check(bootstrap, topic, loads):
    told = {(partition, offset): value for load in loads for partition, offset, value in load.acknowledged}
    acknowledged = sum(len(load.acknowledged) for load in loads)
    assert len(told) == acknowledged, f"{acknowledged - len(told)} records were told an offset that another has"
    for partition in range(PARTITIONS):
        found = _read_all(bootstrap, topic, partition)
        there = dict(found)
        lost = [(offset, value) for (at, offset), value in told.items() if at == partition and there.get(offset) != value]
        assert not lost, f"partition {partition}: {len(lost)} acknowledged records are not where they were, {lost[0]}"
        for load in loads:
            mine = [int(value.split()[1]) for _, value in found if int(value.split()[0]) == load.number]
            expected = list(range(partition, load.sent, PARTITIONS))
            if mine != expected:
                doubled = len(mine) - len(set(mine))
                raise AssertionError(f"partition {partition}, producer {load.number}: {len(mine)} of {len(expected)} records, "
                                     f"{doubled} doubled, {'in' if mine == sorted(mine) else 'out of'} order")


def _survives(broker, durability, seed):
    from confluent_kafka.admin import AdminClient, NewTopic
    chance = random.Random(seed)
    ours = broker.name == Riverrun.name
    victim = Riverrun(broker.binary) if ours else ApacheKafka(broker.script)
    victim.start()
    loads = []
    try:
        topic, count = unique("crash"), Count()
        # What Kafka has for it: a sync after every record.
        configs = {"riverrun.durability": durability} if ours else {"flush.messages": "1"} if durability == "fsync" else {}
        new = NewTopic(topic, PARTITIONS, 1, config=configs)
        admin = AdminClient({"bootstrap.servers": victim.bootstrap, "log_level": 0})
        admin.create_topics([new])[topic].result(TIMEOUT)
        loads = [Load(victim.bootstrap, topic, number, count.one) for number in range(PRODUCERS)]
        # Apache Kafka takes seconds to come back.
        for _ in range(8 if ours else 1):
            count.wait_for_more(chance.randrange(1, 3_000))
            victim.kill()
            victim.resume()
        count.wait_for_more(1_000)
        for load in loads:
            load.end()
        failures = [failure for load in loads for failure in load.failures]
        assert not failures, f"{len(failures)} records failed: {failures[0]}"
        _check(victim.bootstrap, topic, loads)
    finally:
        for load in loads:
            load.ending.set()
        victim.stop()


def acknowledged_after_a_sync(client, broker):
    """With `riverrun.durability=fsync`."""
    _survives(broker, "fsync", SEED)


def acknowledged_from_the_page_cache(client, broker):
    """With `riverrun.durability=os`, as Kafka acknowledges."""
    _survives(broker, "os", SEED + 1)


CASES = [acknowledged_after_a_sync, acknowledged_from_the_page_cache]
