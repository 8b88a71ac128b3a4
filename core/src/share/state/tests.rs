//! Commands, replay and the record format, with bytes from Apache Kafka 4.3.

use bytes::Bytes;
use proptest::prelude::*;

use super::{batches::overlay, *};

fn key() -> SharePartitionKey {
    SharePartitionKey { group_id: "g".into(), topic_id: Uuid([7; 16]), partition: 1 }
}

fn batch(first_offset: i64, last_offset: i64, state: DeliveryState) -> StateBatch {
    StateBatch { first_offset, last_offset, state, delivery_count: 1 }
}

fn write(state_epoch: i32, batches: Vec<StateBatch>) -> WriteRequest {
    WriteRequest {
        state_epoch,
        leader_epoch: Some(0),
        start_offset: Some(0),
        delivery_complete_count: Some(0),
        batches,
    }
}

/// The shell in small: records go through their bytes.
#[derive(Debug)]
struct Log {
    shard: ShareStateShard,
    records: Vec<EncodedRecord>,
}

impl Log {
    fn new(config: ShareStateConfig) -> Self {
        Self { shard: ShareStateShard::new(config), records: Vec::new() }
    }

    fn run(&mut self, decision: Decision) -> Result<(), StateError> {
        if let Some(record) = decision.record {
            let encoded = encode_record(&record).unwrap();
            let decoded = decode_record(&encoded.key, encoded.value.as_ref()).unwrap().unwrap();
            assert_eq!(decoded, record);
            self.shard.replay(decoded, i64::try_from(self.records.len()).unwrap());
            self.shard.assert_charged();
            self.records.push(encoded);
        }
        decision.response
    }

    fn reload(&self, config: ShareStateConfig) -> ShareStateShard {
        let mut shard = ShareStateShard::new(config);
        for (offset, record) in self.records.iter().enumerate() {
            let record = decode_record(&record.key, record.value.as_ref()).unwrap().unwrap();
            shard.replay(record, i64::try_from(offset).unwrap());
        }
        shard
    }
}

#[test]
fn a_state_lives_from_initialization_to_deletion() {
    let mut log = Log::new(ShareStateConfig { updates_per_snapshot: 2, ..ShareStateConfig::default() });
    assert_eq!(log.shard.read(&key(), None), Ok(None));
    let decision = log.shard.write(&key(), write(2, Vec::new()), 1);
    assert_eq!(log.run(decision), Err(StateError::NotInitialized));
    let decision = log.shard.initialize(&key(), 2, None, 1);
    assert_eq!(log.run(decision), Ok(()));
    assert_eq!(log.shard.summary(&key()).unwrap().start_offset, None);
    for n in 0..4 {
        let decision = log.shard.write(&key(), write(2, vec![batch(n, n, DeliveryState::Acknowledged)]), 2);
        assert_eq!(log.run(decision), Ok(()));
    }
    let state = log.shard.read(&key(), Some(0)).unwrap().unwrap().clone();
    assert_eq!(state.batches, [batch(0, 3, DeliveryState::Acknowledged)]);
    assert_eq!((state.snapshot_epoch, log.shard.redundant_before(5)), (1, 3));
    assert_eq!(log.reload(ShareStateConfig::default()).read(&key(), None), Ok(Some(&state)));

    let decision = log.shard.write(&key(), write(1, Vec::new()), 2);
    assert_eq!(log.run(decision), Err(StateError::FencedStateEpoch { current: 2 }));
    let decision = log.shard.initialize(&key(), 1, None, 1);
    assert_eq!(log.run(decision), Err(StateError::FencedStateEpoch { current: 2 }));
    let later = WriteRequest { leader_epoch: Some(3), ..write(2, Vec::new()) };
    let decision = log.shard.write(&key(), later, 2);
    assert_eq!(log.run(decision), Ok(()));
    assert_eq!(log.shard.read(&key(), Some(2)).map(drop), Err(StateError::FencedLeaderEpoch { current: 3 }));
    let decision = log.shard.write(&key(), write(2, Vec::new()), 2);
    assert_eq!(log.run(decision), Err(StateError::FencedLeaderEpoch { current: 3 }));
    let decision = log.shard.write(
        &key(),
        WriteRequest { leader_epoch: None, ..write(2, vec![batch(4, 1, DeliveryState::Archived)]) },
        2,
    );
    assert_eq!(log.run(decision), Err(StateError::Malformed));

    let decision = log.shard.delete(&key());
    assert_eq!(log.run(decision), Ok(()));
    assert_eq!((log.shard.summary(&key()), log.shard.redundant_before(9)), (None, 9));
    let decision = log.shard.delete(&key());
    assert!(decision.record.is_none() && decision.response.is_ok());
    assert_eq!(log.reload(ShareStateConfig::default()).read(&key(), None), Ok(None));
}

#[test]
fn a_new_epoch_begins_with_a_snapshot() {
    let mut log = Log::new(ShareStateConfig::default());
    let decision = log.shard.initialize(&key(), 1, Some(5), 1);
    log.run(decision).unwrap();
    let decision = log.shard.write(&key(), write(4, Vec::new()), 1);
    log.run(decision).unwrap();
    assert_eq!(log.shard.summary(&key()).unwrap().state_epoch, 4);
    assert_eq!(log.reload(ShareStateConfig::default()).summary(&key()).unwrap().state_epoch, 4);
}

#[test]
fn states_lie_where_kafka_puts_them() {
    // The tools print a topic id as url-safe base 64; of Kafka 4.3: `sg1` with this topic is in partition 27 of 50.
    let id = "OOlpIpt2RNG3m5FQD6DYHg".parse().unwrap();
    let key = SharePartitionKey { group_id: "sg1".into(), topic_id: id, partition: 0 };
    assert_eq!((key.to_string().as_str(), key.state_partition(50)), ("sg1:OOlpIpt2RNG3m5FQD6DYHg:0", 27));
}

fn batches() -> impl Strategy<Value = Vec<StateBatch>> {
    let piece = (0i64..4, 1i64..5, 0u8..3, 1i16..3);
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| {
        let mut at = 0;
        let batch = |(gap, size, state, delivery_count)| {
            let first_offset = at + gap;
            at = first_offset + size;
            let state = match state {
                0 => DeliveryState::Available,
                1 => DeliveryState::Acknowledged,
                _ => DeliveryState::Archived,
            };
            StateBatch { first_offset, last_offset: at - 1, state, delivery_count }
        };
        pieces.into_iter().map(batch).collect()
    })
}

fn by_offset(batches: &[StateBatch]) -> std::collections::BTreeMap<i64, (DeliveryStateId, i16)> {
    let offsets =
        batches.iter().flat_map(|b| (b.first_offset..=b.last_offset).map(|o| (o, (b.state.id(), b.delivery_count))));
    offsets.collect()
}

type DeliveryStateId = i8;

proptest! {
    #[test]
    fn changes_cover_what_was_known(known in batches(), changes in batches(), start in 0i64..20) {
        let combined = overlay(&known, &changes, start);
        let mut expected = by_offset(&known);
        expected.extend(by_offset(&changes));
        expected.retain(|offset, _| *offset >= start);
        prop_assert_eq!(by_offset(&combined), expected);
        prop_assert!(super::shard::is_sorted(&combined));
        let joins = |one: &StateBatch, next: &StateBatch| {
            one.last_offset + 1 == next.first_offset
                && (one.state, one.delivery_count) == (next.state, next.delivery_count)
        };
        let pairs = combined.iter().zip(combined.iter().skip(1)).filter(|(one, next)| joins(one, next)).count();
        prop_assert_eq!(pairs, 0);
    }

    #[test]
    fn no_bytes_panic(key in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
        let _ = decode_record(&Bytes::from(key), Some(&Bytes::from(value)));
    }
}
