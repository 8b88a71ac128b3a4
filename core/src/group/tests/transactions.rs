//! Positions committed within transactions: pending, committed, dropped, superseded; fenced members; expiry and deletion.

use super::harness::{Broker, GROUP};
use crate::{
    ProducerId, TopicPartition,
    group::{
        CommittedOffset, GenerationId, GroupError, GroupRecord, GroupShard, MemberId, OffsetCommitRequest,
        OffsetSelection, OffsetToCommit,
    },
};

const PRODUCER: ProducerId = ProducerId(7);
const OTHER: ProducerId = ProducerId(8);

/// A shard with its log: records with the producer whose transaction they are in, and markers.
enum Entry {
    Record(Option<ProducerId>, GroupRecord),
    Marker(ProducerId, bool),
}

struct Log {
    broker: Broker,
    entries: Vec<Entry>,
}

fn tp() -> TopicPartition {
    TopicPartition::new("topic", 0)
}

fn request(offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation: None,
        member_id: None,
        group_instance_id: None,
        tells_member_epoch: false,
        retention_ms: None,
        offsets: vec![OffsetToCommit {
            topic_partition: tp(),
            topic_id: None,
            offset,
            leader_epoch: None,
            metadata: String::new(),
        }],
    }
}

impl Log {
    fn new() -> Self {
        Self { broker: Broker::new(), entries: Vec::new() }
    }

    fn pending(&mut self, producer: ProducerId, offset: i64) -> Result<(), GroupError> {
        self.pending_as(producer, &request(offset))
    }

    fn pending_as(&mut self, producer: ProducerId, request: &OffsetCommitRequest) -> Result<(), GroupError> {
        let decision = self.broker.shard.commit_pending_offsets(request, self.broker.now());
        for record in decision.records {
            self.broker.shard.replay_pending(producer, &record);
            self.entries.push(Entry::Record(Some(producer), record));
        }
        decision.response.map(drop)
    }

    fn commit(&mut self, offset: i64) {
        let decision = self.broker.shard.commit_offsets(&request(offset), self.broker.now());
        self.replay(decision.records);
    }

    fn replay(&mut self, records: Vec<GroupRecord>) {
        for record in records {
            self.broker.shard.replay(&record);
            self.entries.push(Entry::Record(None, record));
        }
    }

    fn end(&mut self, producer: ProducerId, commit: bool) {
        self.broker.shard.replay_marker(producer, commit);
        self.entries.push(Entry::Marker(producer, commit));
        let mut reloaded = GroupShard::new(Default::default());
        for entry in &self.entries {
            match entry {
                Entry::Record(None, record) => reloaded.replay(record),
                Entry::Record(Some(producer), record) => reloaded.replay_pending(*producer, record),
                Entry::Marker(producer, commit) => reloaded.replay_marker(*producer, *commit),
            }
        }
        assert_eq!(reloaded.pending, self.broker.shard.pending);
        assert_eq!(position(&reloaded), position(&self.broker.shard));
    }

    fn position(&self) -> (Option<i64>, bool) {
        position(&self.broker.shard)
    }
}

/// The position, and whether it is unstable.
fn position(shard: &GroupShard) -> (Option<i64>, bool) {
    let fetched = shard.fetch_offsets(&GROUP.into(), &OffsetSelection::Partitions(vec![tp()]), true).remove(0);
    let lenient = shard.fetch_offsets(&GROUP.into(), &OffsetSelection::Partitions(vec![tp()]), false).remove(0);
    assert!(!lenient.is_unstable);
    assert_eq!(fetched.committed, lenient.committed);
    (fetched.committed.map(|CommittedOffset { offset, .. }| offset), fetched.is_unstable)
}

#[test]
fn a_pending_position_counts_once_its_transaction_is_committed() {
    for commit in [true, false] {
        let mut log = Log::new();
        log.commit(1);
        log.pending(PRODUCER, 5).unwrap();
        assert_eq!(log.position(), (Some(1), true));
        log.pending(PRODUCER, 6).unwrap();
        log.end(PRODUCER, commit);
        assert_eq!(log.position(), (Some(if commit { 6 } else { 1 }), false));
        // A second marker finds nothing.
        log.end(PRODUCER, !commit);
        assert_eq!(log.position(), (Some(if commit { 6 } else { 1 }), false));
    }
}

#[test]
fn the_order_of_the_log_decides() {
    let mut log = Log::new();
    log.pending(PRODUCER, 5).unwrap();
    log.commit(9);
    assert_eq!(log.position(), (Some(9), true), "the transaction is still open");
    log.end(PRODUCER, true);
    assert_eq!(log.position(), (Some(9), false));

    log.pending(PRODUCER, 20).unwrap();
    log.pending(OTHER, 30).unwrap();
    log.end(OTHER, true);
    assert_eq!(log.position(), (Some(30), true));
    log.end(PRODUCER, true);
    assert_eq!(log.position(), (Some(30), false));
}

#[test]
fn members_are_fenced_by_their_generation() {
    let mut log = Log::new();
    let as_member = |generation, member: Option<&str>| OffsetCommitRequest {
        generation: Some(GenerationId(generation)),
        member_id: member.map(MemberId::from),
        ..request(5)
    };
    // Nobody has heard of the group: a generation cannot be right, none may be.
    let unknown = log.pending_as(PRODUCER, &as_member(1, Some("m")));
    assert_eq!(unknown, Err(GroupError::IllegalGeneration { current: GenerationId(0) }));
    let nameless = OffsetCommitRequest { group_id: "".into(), ..request(1) };
    assert_eq!(log.pending_as(PRODUCER, &nameless), Err(GroupError::InvalidGroupId));

    let newcomer = log.broker.newcomer();
    let member = log.broker.stable(&[newcomer]).remove(0);
    let (me, generation) = (member.member_id.as_str(), member.generation);
    assert_eq!(log.pending_as(PRODUCER, &as_member(generation.0, Some("m"))), Err(GroupError::UnknownMember));
    let older = log.pending_as(PRODUCER, &as_member(generation.0 - 1, Some(me)));
    assert_eq!(older, Err(GroupError::IllegalGeneration { current: generation }));
    assert_eq!(log.pending_as(PRODUCER, &as_member(generation.0, Some(me))), Ok(()));
    // A producer from before KIP-447.
    assert_eq!(log.pending(PRODUCER, 6), Ok(()));
}

#[test]
fn pending_positions_neither_expire_nor_are_forgotten_with_their_group() {
    let mut log = Log::new();
    log.commit(1);
    log.pending(PRODUCER, 5).unwrap();
    log.broker.pass(8 * 24 * 60 * 60 * 1_000);
    assert_eq!(log.position(), (Some(1), true));
    log.broker.shard.replay_marker(PRODUCER, true);
    assert_eq!(log.position(), (Some(5), false));
    log.broker.pass(8 * 24 * 60 * 60 * 1_000);
    assert_eq!(log.position(), (None, false));
}

#[test]
fn a_deleted_group_takes_what_is_pending_with_it() {
    let mut log = Log::new();
    log.pending(PRODUCER, 5).unwrap();
    let decision = log.broker.shard.delete(&GROUP.into());
    decision.response.unwrap();
    assert_eq!(decision.records.len(), 2);
    log.replay(decision.records);
    log.end(PRODUCER, true);
    assert_eq!(log.position(), (None, false));
    assert!(log.broker.shard.describe(&GROUP.into()).is_err());

    log.pending(PRODUCER, 5).unwrap();
    let decision = log.broker.shard.delete_offsets(&GROUP.into(), &[tp()]);
    log.replay(decision.records);
    log.end(PRODUCER, true);
    assert_eq!(log.position(), (None, false));
}
