//! The records of the coordinators' topics as a damaged or foreign log may hold them, loaded as a broker loads them. A
//! record is refused, or read; what was read can be written, and is then read as the same. After loading, time passes and
//! operators ask: whatever the records said, each thing that comes due gives records that can be written and read.
//!
//! ```text
//! ([kind][length of the key][length of the value, 2 bytes; 65535: a tombstone][key][value])*
//! ```
//! | kind | what |
//! |---|---|
//! | 0 | of `__consumer_offsets` |
//! | 1 | of `__consumer_offsets`, in a transaction |
//! | 2 | the end of a transaction |
//! | 3 | of `__transaction_state` |
//! | 4 | of `__share_group_state` |
//! | 5, 6 | the value is what a consumer subscribes to, or is assigned |

#![no_main]

use std::collections::BTreeSet;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use riverrun_core::{
    ProducerId,
    group::{self, GroupConfig, GroupId, GroupRecord, GroupShard, Now},
    protocol::{
        DecodeLimits, RootMessage,
        consumer::{ConsumerProtocolAssignment, ConsumerProtocolSubscription},
        decode_versioned, encode_versioned,
    },
    share::state::{self, ShareStateConfig, ShareStateRecord, ShareStateShard, StateBatch, WriteRequest},
    transaction::{self, TransactionConfig, TransactionRecord, TransactionShard},
};

/// How often time goes on after loading.
const TIMEOUTS: usize = 64;
const TOMBSTONE: u16 = u16::MAX;

fuzz_target!(|data: &[u8]| {
    let mut broker = Broker::new();
    let mut rest = data;
    while let [kind, key_length, high, low, tail @ ..] = rest {
        let (key, tail) = tail.split_at(usize::from(*key_length).min(tail.len()));
        let length = u16::from_be_bytes([*high, *low]);
        let value_length = if length == TOMBSTONE { 0 } else { usize::from(length).min(tail.len()) };
        let (value, tail) = tail.split_at(value_length);
        let value = (length != TOMBSTONE).then(|| Bytes::copy_from_slice(value));
        broker.load(*kind, &Bytes::copy_from_slice(key), value.as_ref());
        rest = tail;
    }
    broker.live();
});

struct Broker {
    groups: GroupShard,
    transactions: TransactionShard,
    shares: ShareStateShard,
    group_ids: BTreeSet<String>,
    offset: i64,
}

impl Broker {
    fn new() -> Self {
        Self {
            groups: GroupShard::new(GroupConfig::default()),
            transactions: TransactionShard::new(TransactionConfig::default()),
            shares: ShareStateShard::new(ShareStateConfig::default()),
            group_ids: BTreeSet::new(),
            offset: 0,
        }
    }

    fn load(&mut self, kind: u8, key: &Bytes, value: Option<&Bytes>) {
        let producer = ProducerId(i64::from(kind / 7 % 4));
        match kind % 7 {
            0 => {
                if let Some(record) = read_group(key, value) {
                    self.replay_group(&record);
                }
            }
            1 => {
                if let Some(record) = read_group(key, value) {
                    self.groups.replay_pending(producer, &record);
                }
            }
            2 => self.groups.replay_marker(producer, value.is_some()),
            3 => {
                if let Some(record) = read_transaction(key, value) {
                    self.transactions.replay(&record);
                }
            }
            4 => {
                if let Some(record) = read_share_state(key, value) {
                    self.replay_share_state(record);
                }
            }
            5 => read_embedded::<ConsumerProtocolSubscription>(value),
            _ => read_embedded::<ConsumerProtocolAssignment>(value),
        }
    }

    fn replay_group(&mut self, record: &GroupRecord) {
        if let GroupRecord::Group { group_id, .. }
        | GroupRecord::Offset { group_id, .. }
        | GroupRecord::Consumer { group_id, .. }
        | GroupRecord::Streams { group_id, .. } = record
        {
            self.group_ids.insert(group_id.to_string());
        }
        self.groups.replay(record);
    }

    fn replay_share_state(&mut self, record: ShareStateRecord) {
        let (ShareStateRecord::Snapshot(key, _) | ShareStateRecord::Update(key, _)) = &record else { return };
        let key = key.clone();
        self.shares.replay(record, self.offset);
        self.offset += 1;
        let Ok(Some(state)) = self.shares.read(&key, None) else { return };
        let rises = |pair: &[StateBatch]| pair[0].last_offset < pair[1].first_offset;
        assert!(state.batches.windows(2).all(rises), "{state:?}");
        assert!(state.batches.iter().all(|batch| batch.first_offset <= batch.last_offset), "{state:?}");
    }

    /// What comes of it.
    fn live(&mut self) {
        self.live_groups();
        self.live_transactions();
        for key in self.shares.keys().cloned().collect::<Vec<_>>() {
            let request = WriteRequest {
                state_epoch: i32::MAX,
                leader_epoch: None,
                start_offset: Some(1),
                delivery_complete_count: Some(0),
                batches: Vec::new(),
            };
            if let Some(record) = self.shares.write(&key, request, 0).record {
                let written = state::encode_record(&record).expect("a state that was read");
                let again = read_share_state(&written.key, written.value.as_ref());
                self.replay_share_state(again.expect("our own record"));
            }
        }
        assert!(self.shares.redundant_before(self.offset) <= self.offset);
    }

    fn live_groups(&mut self) {
        let mut now = Now { monotonic_ms: 0, wall_ms: 1_800_000_000_000 };
        let mut decision = self.groups.start(now);
        for _ in 0..TIMEOUTS {
            for record in &decision.records {
                let written = group::encode_record(record).expect("what the coordinator decides");
                let again = read_group(&written.key, written.value.as_ref()).expect("our own record");
                self.replay_group(&again);
            }
            let Some(next_ms) = self.groups.next_timeout() else { break };
            let passed_ms = next_ms.saturating_sub(now.monotonic_ms).max(0);
            now.monotonic_ms = now.monotonic_ms.max(next_ms);
            now.wall_ms = now.wall_ms.saturating_add(passed_ms);
            decision = self.groups.on_timeout(now);
        }
        let listed = self.groups.list(&Default::default()).len();
        for group_id in &self.group_ids {
            let _ = self.groups.describe(&GroupId::from(group_id.as_str()));
            let _ = self.groups.delete(&GroupId::from(group_id.as_str()));
        }
        let names: Vec<String> = self.groups.share().list().map(|(group_id, _)| group_id.to_string()).collect();
        assert!(names.len() <= listed);
        for name in names {
            let group = self.groups.share().describe(&name).expect("it is listed");
            assert_eq!(group.members.is_empty(), self.groups.share().partitions_of_empty(&name).is_ok());
        }
        assert!(self.groups.unload().is_empty(), "nobody waits");
    }

    fn live_transactions(&mut self) {
        for markers in self.transactions.prepared().collect::<Vec<_>>() {
            let decision = self.transactions.complete(&markers.transactional_id, markers.producer, 0);
            assert_eq!(decision.records.len(), 1, "what is prepared can be completed");
            self.carry_out(&decision.records);
        }
        assert_eq!(self.transactions.prepared().count(), 0);
        for fresh in 0..TIMEOUTS {
            let Some(now_ms) = self.transactions.next_deadline() else { break };
            let fresh = self.transactions.deadline_needs_producer_id().then_some(ProducerId(fresh as i64));
            let decision = self.transactions.on_deadline(fresh, now_ms);
            assert_eq!(decision.records.len(), 1, "what is due happens");
            self.carry_out(&decision.records);
        }
        let _ = self.transactions.list(&Default::default(), |_| true, 0);
    }

    fn carry_out(&mut self, records: &[TransactionRecord]) {
        for record in records {
            let written = transaction::encode_record(record).expect("what the coordinator decides");
            let again = read_transaction(&written.key, written.value.as_ref()).expect("our own record");
            self.transactions.replay(&again);
        }
    }
}

/// Reads a record, and what is written of it: that must be the same.
fn read_group(key: &Bytes, value: Option<&Bytes>) -> Option<GroupRecord> {
    let record = group::decode_record(key, value).ok()??;
    let written = group::encode_record(&record).expect("what was read can be written");
    let again = group::decode_record(&written.key, written.value.as_ref());
    assert_eq!(again, Ok(Some(record.clone())));
    Some(record)
}

fn read_transaction(key: &Bytes, value: Option<&Bytes>) -> Option<TransactionRecord> {
    let record = transaction::decode_record(key, value).ok()??;
    let written = transaction::encode_record(&record).expect("what was read can be written");
    let again = transaction::decode_record(&written.key, written.value.as_ref());
    assert_eq!(again, Ok(Some(record.clone())));
    Some(record)
}

fn read_share_state(key: &Bytes, value: Option<&Bytes>) -> Option<ShareStateRecord> {
    let record = state::decode_record(key, value).ok()??;
    let written = state::encode_record(&record).expect("what was read can be written");
    let again = state::decode_record(&written.key, written.value.as_ref());
    assert_eq!(again, Ok(Some(record.clone())));
    Some(record)
}

fn read_embedded<M: RootMessage + PartialEq + std::fmt::Debug>(bytes: Option<&Bytes>) {
    let limits = DecodeLimits::default();
    let Some(Ok((version, message))) = bytes.map(|bytes| decode_versioned::<M>(bytes, &limits)) else { return };
    // What a newer version appends is not kept.
    let version = version.min(M::VALID_VERSIONS.last);
    let written = encode_versioned(&message, version).expect("what was read can be written");
    assert_eq!(decode_versioned::<M>(&written, &limits), Ok((version, message)));
}
