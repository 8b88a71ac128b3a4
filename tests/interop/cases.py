"""The cases: what every client must be able to do against a broker. `needs` names what only some clients can do.

A case is a function of a client and a broker that raises when something is not as it must be.
"""

import time
from types import SimpleNamespace

from clients import TIMEOUT, Confluent, unique

#: An hour ago: retention leaves the records alone, and no broker takes them for records of the future.
BASE = int(time.time() * 1000) - 3_600_000
#: How long a consumer looks for records that must not be there.
QUIET = 3.0


def records(count, headers=True, timestamps=True):
    tags = [("trace", b"abc"), ("trace", b"def"), ("origin", b"interop")] if headers else []
    return [(f"key-{i % 7}".encode(), f"value {i} ".encode() + b"x" * (i % 300), tags,
             BASE + i if timestamps else 0) for i in range(count)]


def same(client, sent, got):
    """Compares as multisets: the cases use topics of one partition or do not care for order between partitions."""
    def shape(record):
        key, value, headers, timestamp = record
        return (key is None, key or b"", value is None, value or b"", tuple(headers) if client.headers else (),
                timestamp if client.timestamps else 0)
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


def nulls(client, broker):
    """A record may lack key, value or headers, and an empty value is not a missing one."""
    topic = unique("nulls")
    sent = [(None, b"no key", [], BASE), (b"no value", None, [], BASE), (b"", b"", [("empty", b"")], BASE)]
    client.produce(broker.bootstrap, topic, sent)
    same(client, sent, client.consume(broker.bootstrap, topic, len(sent)))


def large_message(client, broker):
    """A record of almost the largest size arrives; a topic may raise the limit."""
    topic = unique("large")
    client.create_topic(broker.bootstrap, topic, 1, {"max.message.bytes": str(6 << 20)})
    sent = [(b"large", b"0123456789" * 90_000, [], BASE), (b"larger", b"0123456789" * 400_000, [], BASE)]
    client.produce(broker.bootstrap, topic, sent)
    same(client, sent, client.consume(broker.bootstrap, topic, len(sent)))


def idempotent(client, broker):
    """An idempotent producer's records arrive once each."""
    topic, sent = unique("idempotent"), records(300)
    client.produce(broker.bootstrap, topic, sent, idempotent=True)
    same(client, sent, client.consume(broker.bootstrap, topic, len(sent)))


def listing(client, broker):
    """A produced topic is listed."""
    topic = unique("listed")
    client.produce(broker.bootstrap, topic, records(1))
    assert topic in client.topics(broker.bootstrap)


def topics_admin(client, broker):
    """A topic is created, listed, deleted."""
    topic = unique("admin")
    client.create_topic(broker.bootstrap, topic, 3)
    assert topic in client.topics(broker.bootstrap)
    client.delete_topic(broker.bootstrap, topic)
    deadline = time.monotonic() + 10
    while topic in client.topics(broker.bootstrap):
        assert time.monotonic() < deadline, "the topic is still listed 10 s after its deletion"


def topic_configs(client, broker):
    """Settings given at creation are described, and can be altered."""
    topic = unique("configs")
    client.create_topic(broker.bootstrap, topic, 1, {"retention.ms": "3600000"})
    assert client.topic_config(broker.bootstrap, topic)["retention.ms"] == "3600000"
    client.set_topic_config(broker.bootstrap, topic, {"retention.ms": "7200000"})
    deadline = time.monotonic() + 10
    while client.topic_config(broker.bootstrap, topic)["retention.ms"] != "7200000":
        assert time.monotonic() < deadline, "the setting is not in force after 10 s"


def offsets_by_time(client, broker):
    """The first record of a time or later is found by time."""
    topic = unique("times")
    client.create_topic(broker.bootstrap, topic, 1)
    client.produce(broker.bootstrap, topic, [(b"k", b"v", [], BASE + 10 * i) for i in range(100)])
    for timestamp, offset in ((BASE, 0), (BASE + 415, 42), (BASE + 990, 99)):
        found = client.offset_for_time(broker.bootstrap, topic, 0, timestamp)
        assert found == offset, f"{timestamp - BASE} ms: expected {offset}, got {found}"


def delete_records(client, broker):
    """Records before an offset are removed, the later ones stay."""
    topic, sent = unique("delete-records"), records(20)
    client.create_topic(broker.bootstrap, topic, 1)
    client.produce(broker.bootstrap, topic, sent)
    client.delete_records(broker.bootstrap, topic, 0, 15)
    same(client, sent[15:], client.consume(broker.bootstrap, topic, 5))


def group_resumes(client, broker):
    """A group reads on where its last member committed."""
    topic, group = unique("resume"), unique("group")
    first, second = records(100), [(k, b"later " + v, h, t) for k, v, h, t in records(50)]
    client.produce(broker.bootstrap, topic, first)
    same(client, first, client.consume(broker.bootstrap, topic, len(first), group, commit=True))
    client.produce(broker.bootstrap, topic, second)
    same(client, second, client.consume(broker.bootstrap, topic, len(second), group, commit=True))


def _shared(client, broker, **how):
    topic = unique("shared")
    client.create_topic(broker.bootstrap, topic, 4)
    one, two = client.two_members(broker.bootstrap, topic, unique("group"), **how)
    assert one and two and not one & two and one | two == {0, 1, 2, 3}, f"owned: {one} and {two}"


def group_shares(client, broker):
    """Two members of a group own all partitions, each partition once."""
    _shared(client, broker)


def group_cooperative(client, broker):
    """So do two members that rebalance cooperatively."""
    _shared(client, broker, strategy="cooperative")


def group_static_members(client, broker):
    """So do two static members."""
    _shared(client, broker, instance_ids=[unique("instance"), unique("instance")])


def group_consumer_protocol(client, broker):
    """So do two members of the consumer group protocol (KIP-848)."""
    _shared(client, broker, protocol="consumer")


def group_changes_protocol(client, broker):
    """A group goes from the classic protocol to that of KIP-848 and back, with members and without."""
    topic, everything = unique("changes"), {0, 1, 2, 3}
    client.create_topic(broker.bootstrap, topic, len(everything))
    stages = client.change_protocol(broker.bootstrap, topic, unique("group"), len(everything))
    assert [len(owned) for owned in stages] == [1, 2, 1, 1], stages
    for owned in stages:
        assert all(owned) and sum(map(len, owned)) == len(everything) and set().union(*owned) == everything, stages


def group_member_dies(client, broker):
    """What a member owned that dies without a word goes to the next one, once its session is over."""
    topic, group, sent = unique("dies"), unique("group"), records(40)
    client.create_topic(broker.bootstrap, topic, 1)
    client.produce(broker.bootstrap, topic, sent)
    watcher, member = Confluent(), client.dying_member(broker.bootstrap, topic, group)
    deadline = time.monotonic() + TIMEOUT
    while watcher.assigned(broker.bootstrap, group) == 0:
        assert time.monotonic() < deadline, "the first member never joined"
        time.sleep(0.1)
    member.kill()
    same(client, sent, client.consume(broker.bootstrap, topic, len(sent), group, commit=True))


def _share_group(client, broker, values, **configs):
    topic, group = unique("share"), unique("share-group")
    client.create_topic(broker.bootstrap, topic, 1)
    client.set_group_config(broker.bootstrap, group, {"share.auto.offset.reset": "earliest", **configs})
    client.produce(broker.bootstrap, topic, [(None, value, [], BASE) for value in values])
    return topic, group


def share_group_acknowledges(client, broker):
    """A share group gives a released record again, a rejected and an accepted one not (KIP-932)."""
    topic, group = _share_group(client, broker, [b"one", b"release two", b"reject three", b"four"])
    got = client.share(broker.bootstrap, topic, group, 5)
    assert sorted(got) == [("four", 1), ("one", 1), ("reject three", 1), ("release two", 1), ("release two", 2)], got
    assert not client.share(broker.bootstrap, topic, group, 1, wait=QUIET)


def share_group_locks_end(client, broker):
    """What a member holds on to is given to another once the lock has ended."""
    topic, group = _share_group(client, broker, [b"one", b"two"], **{"share.record.lock.duration.ms": "2000"})
    got = client.share(broker.bootstrap, topic, group, 2, hold=True)
    assert sorted(got) == [("one", 2), ("two", 2)], got


def share_group_reads_committed(client, broker):
    """A share group may be told to pass over what was not committed."""
    topic, group = _share_group(client, broker, [b"plain"], **{"share.isolation.level": "read_committed"})
    for value, how in ((b"aborted", "abort"), (b"committed", "commit")):
        client.produce(broker.bootstrap, topic, [(None, value, [], BASE)], transaction=how, transactional_id=unique("txn"))
    got = client.share(broker.bootstrap, topic, group, 3, wait=2 * QUIET)
    assert sorted(got) == [("committed", 1), ("plain", 1)], got


def groups_admin(client, broker):
    """A group is listed, and can be deleted once it is empty."""
    topic, group, sent = unique("groups"), unique("group"), records(3)
    client.produce(broker.bootstrap, topic, sent)
    client.consume(broker.bootstrap, topic, len(sent), group, commit=True)
    assert group in client.groups(broker.bootstrap)
    client.delete_group(broker.bootstrap, group)
    assert group not in client.groups(broker.bootstrap)


def transaction_commits(client, broker):
    """What a committed transaction wrote is read by both kinds of readers."""
    topic, sent = unique("commit"), records(50)
    client.produce(broker.bootstrap, topic, sent, transaction="commit", transactional_id=unique("txn"))
    same(client, sent, client.consume(broker.bootstrap, topic, len(sent), isolation="read_committed"))
    same(client, sent, client.consume(broker.bootstrap, topic, len(sent)))


def transaction_aborts(client, broker):
    """What an aborted transaction wrote is not read by a reader of committed records."""
    topic = unique("abort")
    aborted, kept = records(40), [(k, b"kept " + v, h, t) for k, v, h, t in records(30)]
    client.produce(broker.bootstrap, topic, aborted, transaction="abort", transactional_id=unique("txn"))
    client.produce(broker.bootstrap, topic, kept, transaction="commit", transactional_id=unique("txn"))
    same(client, kept, client.consume(broker.bootstrap, topic, len(kept) + 1, isolation="read_committed", wait=QUIET))
    same(client, aborted + kept, client.consume(broker.bootstrap, topic, len(aborted) + len(kept)))


def transaction_times_out(client, broker):
    """A transaction that is left open is aborted, and readers of committed records go on."""
    topic, after = unique("timeout"), [(k, b"after " + v, h, t) for k, v, h, t in records(10)]
    client.produce(broker.bootstrap, topic, records(10), transaction="leave open", transactional_id=unique("txn"),
                   transaction_timeout_ms=1000)
    client.produce(broker.bootstrap, topic, after)
    same(client, after, client.consume(broker.bootstrap, topic, len(after), isolation="read_committed"))


def transaction_fences(client, broker):
    """A second producer with the same transactional id shuts the first one out."""
    topic = unique("fence")
    error = client.fence(broker.bootstrap, topic, unique("txn"))
    assert error in ("ProducerFencedException", "InvalidProducerEpochException"), f"the first producer got: {error}"
    got = client.consume(broker.bootstrap, topic, 2, isolation="read_committed", wait=QUIET)
    assert [value for _, value, _, _ in got] == [b"from the second"], got


def consume_transform_produce(client, broker):
    """Records, results and positions go together: what was read is written once, and not read again."""
    source, sink, group = unique("source"), unique("sink"), unique("group")
    for topic in (source, sink):
        client.create_topic(broker.bootstrap, topic, 1)
    sent = records(60, headers=False)
    client.produce(broker.bootstrap, source, sent, transaction="commit", transactional_id=unique("txn"))
    client.transform(broker.bootstrap, source, sink, group, unique("txn"), len(sent))
    got = client.consume(broker.bootstrap, sink, len(sent) + 1, isolation="read_committed", wait=QUIET)
    assert [value for _, value, _, _ in got] == [b"seen " + value for _, value, _, _ in sent], f"{len(got)} records"
    left = client.consume(broker.bootstrap, source, 1, group, isolation="read_committed", wait=QUIET)
    assert not left, f"the group reads on at {left[:1]}"


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


def compaction(client, broker):
    """Of a compacted topic the last record of each key is read, in order, and a deleted key not at all."""
    topic, kept = broker.compacted()
    got = [(key, value) for key, value, _, _ in client.consume(broker.bootstrap, topic, len(kept))][:len(kept)]
    assert got == kept, f"read {got[:8]}, kept {kept[:8]}"


def reads_from(producer):
    def case(client, broker):
        sent = records(100)
        topic = broker.written_by(producer, sent)
        # Only what both ends can tell is compared.
        both = SimpleNamespace(headers=client.headers and producer.headers,
                               timestamps=client.timestamps and producer.timestamps)
        same(both, sent, client.consume(broker.bootstrap, topic, len(sent)))
    case.__name__ = f"consume what {producer.name} produced"
    return case


#: Beyond the common ones: what a client must be able to do for a case to concern it.
OPTIONAL = [
    ("nulls", nulls), ("large", large_message), ("configs", topic_configs), ("time", offsets_by_time),
    ("delete records", delete_records), ("groups", groups_admin), ("cooperative", group_cooperative),
    ("static", group_static_members), ("consumer protocol", group_consumer_protocol),
    ("protocol change", group_changes_protocol),
    ("transactions", transaction_commits), ("transactions", transaction_aborts),
    ("transaction time-out", transaction_times_out), ("fence", transaction_fences),
    ("transform", consume_transform_produce), ("crash", group_member_dies),
    ("share", share_group_acknowledges), ("share", share_group_locks_end), ("share", share_group_reads_committed),
]


def cases(client, clients, secured):
    yield from (produce_consume(codec) for codec in client.codecs)
    yield idempotent
    yield listing
    yield group_resumes
    if client.admin:
        yield group_shares
        yield topics_admin
    yield from (case for needs, case in OPTIONAL if needs in client.can)
    yield compaction
    yield from (reads_from(producer) for producer in clients if producer is not client)
    if "secured" in client.can:
        yield from (case for case in secured if case.__name__ != "oauthbearer" or "oauth" in client.can)
    # Last: what comes before may leave members behind that a restart would disturb.
    yield restart
