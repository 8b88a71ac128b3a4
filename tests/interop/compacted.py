"""A compacted topic for every client to read: written with many values for few keys, tombstones among them, and waited for
until the broker has compacted it.
"""

import time

from clients import TIMEOUT, Confluent, unique

KEYS, ROUNDS = 6, 20
#: What is in the last segment is never compacted, so something else has to be there.
LAST = (b"last", b"of all")


def topic(bootstrap):
    """Its name, and what is left in it, in order."""
    client, name = Confluent(), unique("compacted")
    client.create_topic(bootstrap, name, 1, {
        "cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0"})
    kept = {}
    for turn in range(ROUNDS):
        rows = [(f"key-{key}".encode(), f"value {turn} of {key}".encode()) for key in range(KEYS) if (key + turn) % 3]
        client.produce(bootstrap, name, [(key, value, [], 0) for key, value in rows])
        for key, value in rows:
            kept.pop(key, None)
            kept[key] = value
    deleted = b"key-0"
    client.produce(bootstrap, name, [(deleted, None, [], 0)])
    kept.pop(deleted)
    # A segment is closed by what comes after its time; each look adds such a record, behind what is left.
    deadline, expected = time.monotonic() + 2 * TIMEOUT, [*kept.items()]
    while True:
        time.sleep(0.3)
        client.produce(bootstrap, name, [(*LAST, [], 0)])
        left = [(key, value) for key, value, _, _ in client.consume(bootstrap, name, KEYS * ROUNDS * 2, wait=1.5)]
        if [row for row in left if row != LAST] == expected:
            return name, expected
        assert time.monotonic() < deadline, f"not compacted after {2 * TIMEOUT:.0f} s: {left[:8]}"
