#!/usr/bin/env python3
"""Runs every foreign client's cases against a broker and prints a line per case.

    run.py riverrun PATH-TO-RIVERRUN [--only SUBSTRING]
    run.py kafka PATH-TO-APACHE-KAFKA-SCRIPT [--only SUBSTRING]

The last line reads `N passed, N failed`; the exit code is 1 if a case failed.
"""

import sys
import time
import traceback

from brokers import ApacheKafka, Riverrun
from clients import CLIENTS, unique

BASE = 1_760_000_000_000


def records(count, headers=True, timestamps=True):
    tags = [("trace", b"abc"), ("trace", b"def"), ("origin", b"interop")] if headers else []
    return [(f"key-{i % 7}".encode(), f"value {i} ".encode() + b"x" * (i % 300), tags,
             BASE + i if timestamps else 0) for i in range(count)]


def same(client, sent, got):
    """Compares as multisets: the cases use topics of one partition or do not care for order between partitions."""
    def shape(record):
        key, value, headers, timestamp = record
        return (key, value, tuple(headers) if client.headers else (), timestamp if client.timestamps else 0)
    want, have = sorted(map(shape, sent)), sorted(map(shape, got))
    assert len(have) == len(want), f"sent {len(want)} records, read {len(have)}"
    assert have == want, next((f"sent {w}, read {h}" for w, h in zip(want, have) if w != h), "")


def produce_consume(codec):
    def case(client, broker):
        topic, sent = unique(f"codec-{codec}"), records(500)
        client.produce(broker.bootstrap, topic, sent, codec)
        same(client, sent, client.consume(broker.bootstrap, topic, len(sent)))
    case.__name__ = f"produce and consume, {codec}"
    return case


def idempotent(client, broker):
    """An idempotent producer's records arrive once each."""
    topic, sent = unique("idempotent"), records(300)
    client.produce(broker.bootstrap, topic, sent, idempotent=True)
    same(client, sent, client.consume(broker.bootstrap, topic, len(sent)))


def group_resumes(client, broker):
    """A group reads on where its last member committed."""
    topic, group = unique("resume"), unique("group")
    first, second = records(100), [(k, b"later " + v, h, t) for k, v, h, t in records(50)]
    client.produce(broker.bootstrap, topic, first)
    same(client, first, client.consume(broker.bootstrap, topic, len(first), group, commit=True))
    client.produce(broker.bootstrap, topic, second)
    same(client, second, client.consume(broker.bootstrap, topic, len(second), group, commit=True))


def group_shares(client, broker):
    """Two members of a group own all partitions, each partition once."""
    topic = unique("shared")
    client.create_topic(broker.bootstrap, topic, 4)
    one, two = client.two_members(broker.bootstrap, topic, unique("group"))
    assert one and two and not one & two and one | two == {0, 1, 2, 3}, f"owned: {one} and {two}"


def admin(client, broker):
    """A topic is created, listed, deleted."""
    topic = unique("admin")
    client.create_topic(broker.bootstrap, topic, 3)
    assert topic in client.topics(broker.bootstrap)
    client.delete_topic(broker.bootstrap, topic)
    deadline = time.monotonic() + 10
    while topic in client.topics(broker.bootstrap):
        assert time.monotonic() < deadline, "the topic is still listed 10 s after its deletion"


def listing(client, broker):
    """A produced topic is listed."""
    topic = unique("listed")
    client.produce(broker.bootstrap, topic, records(1))
    assert topic in client.topics(broker.bootstrap)


def restart(client, broker):
    """Records and committed offsets outlive a restart of the broker."""
    topic, group = unique("restart"), unique("group")
    first, second = records(80), [(k, b"after " + v, h, t) for k, v, h, t in records(40)]
    client.produce(broker.bootstrap, topic, first, "lz4")
    same(client, first, client.consume(broker.bootstrap, topic, len(first), group, commit=True))
    broker.restart()
    client.produce(broker.bootstrap, topic, second)
    same(client, second, client.consume(broker.bootstrap, topic, len(second), group, commit=True))
    same(client, first + second, client.consume(broker.bootstrap, topic, len(first) + len(second)))


def cases(client):
    yield from (produce_consume(codec) for codec in client.codecs)
    yield idempotent
    yield listing
    yield group_resumes
    if client.members:
        yield group_shares
    if client.admin:
        yield admin
    yield restart


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("riverrun", "kafka"):
        sys.exit(__doc__)
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    broker = (Riverrun if sys.argv[1] == "riverrun" else ApacheKafka)(sys.argv[2])
    broker.start()
    passed = failed = 0
    try:
        for client in CLIENTS:
            print(f"== {client.name} {client.version()} against {broker.name}", flush=True)
            for case in cases(client):
                label = f"{client.name}: {case.__name__.replace('_', ' ')}"
                if only not in label:
                    continue
                began = time.monotonic()
                try:
                    case(client, broker)
                    passed += 1
                    print(f"ok    {label} ({time.monotonic() - began:.1f} s)", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAIL  {label}\n{traceback.format_exc()}", flush=True)
    finally:
        broker.stop()
    print(f"interop: {passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
