//! Stores: what goes into a changelog, what comes back from it, and when windows expire.

use super::*;
use crate::serde::{I64, Utf8};

fn key_value() -> KeyValueStore<String, i64> {
    KeyValueStore::new("s".into(), BoxSerde::new(Utf8), BoxSerde::new(I64))
}

fn window(retention_ms: i64) -> WindowStore<String, i64> {
    WindowStore::new("w".into(), BoxSerde::new(Utf8), BoxSerde::new(I64), retention_ms)
}

use crate::serde::BoxSerde;

fn drain(store: &mut dyn StateStore) -> Vec<ChangelogRecord> {
    let mut records = Vec::new();
    store.drain_dirty(&mut BytesMut::new(), &mut |record| records.push(record)).unwrap();
    records
}

/// E3: the changelog holds the bare value, the timestamp is the record's.
#[test]
fn only_the_last_value_of_a_changed_key_is_written() {
    let mut store = key_value();
    store.insert("a".into(), 1, 5);
    let slot = store.get_mut(&"a".into()).unwrap();
    (slot.value, slot.timestamp) = (2, 7);
    let records = drain(&mut store);
    let value = Some(Bytes::copy_from_slice(&2i64.to_be_bytes()));
    assert_eq!(records, [ChangelogRecord { key: Bytes::from_static(b"a"), value, timestamp: 7 }]);
    assert_eq!(drain(&mut store), [], "nothing changed since");
    store.get_mut(&"a".into()).unwrap().value = 3;
    assert_eq!(drain(&mut store).len(), 1);
}

#[test]
fn a_tombstone_in_the_changelog_deletes() {
    let mut store = key_value();
    let key = Bytes::from_static(b"a");
    let value = Bytes::copy_from_slice(&2i64.to_be_bytes());
    store.restore(Some(&key), Some(&value), 7).unwrap();
    assert_eq!(store.entries().unwrap(), [(key.clone(), value, 7)]);
    store.restore(Some(&key), None, 8).unwrap();
    assert_eq!(store.entries().unwrap(), []);
    assert_eq!(drain(&mut store), [], "what is restored is in the changelog already");
    assert!(matches!(store.restore(None, None, 0), Err(StoreError::MissingKey { .. })));
    let bad = Bytes::from_static(b"short");
    assert!(matches!(store.restore(Some(&key), Some(&bad), 0), Err(StoreError::Decode { part: Part::Value, .. })));
}

use crate::error::Part;

/// E3: key, window start, sequence number zero.
#[test]
fn window_changelog_key() {
    let mut store = window(10);
    store.insert(20, "ab".into(), 1, 25);
    let record = drain(&mut store).remove(0);
    assert_eq!(record.key, [b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0].as_slice());
    assert_eq!(record.timestamp, 25);
    let mut restored = window(10);
    restored.restore(Some(&record.key), record.value.as_ref(), 25).unwrap();
    assert_eq!(restored.entries().unwrap(), store.entries().unwrap());
    let short = Bytes::from_static(b"elevenbytes");
    assert!(matches!(restored.restore(Some(&short), None, 0), Err(StoreError::ShortWindowKey { length: 11, .. })));
}

/// W6 for the in-memory store: a start at `newest - retention` is gone, one millisecond later it is not.
#[test]
fn windows_expire_behind_the_newest_start() {
    let mut store = window(10);
    for start in [0, 1, 9] {
        store.insert(start, "a".into(), 1, start);
    }
    store.insert(10, "a".into(), 1, 10);
    let starts: Vec<i64> = store.entries().unwrap().iter().map(|(_, _, timestamp)| *timestamp).collect();
    assert_eq!(starts, [1, 9, 10]);
    store.insert(0, "a".into(), 1, 0);
    assert!(store.get_mut(0, &"a".into()).is_none(), "expired windows take nothing");
    assert_eq!(drain(&mut store).len(), 3, "the expired entry is not written");
}

#[test]
fn windows_are_visited_in_time_then_key_order() {
    let mut store = window(100);
    for (start, key) in [(10, "b"), (0, "b"), (10, "a"), (20, "a")] {
        store.insert(start, key.into(), 0, 0);
    }
    let mut seen = Vec::new();
    store.for_each_in(0..=10, |start, key, _| seen.push((start, key.clone()))).unwrap();
    assert_eq!(seen, [(0, "b".to_owned()), (10, "a".to_owned()), (10, "b".to_owned())]);
}
