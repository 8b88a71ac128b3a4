//! Stories of share groups, every one replayed from its records at the end.

use std::collections::BTreeMap;

use super::*;
use crate::{
    NodeId,
    group::{GroupId, Now},
    metadata::{ClusterView, CreateTopic, Image},
};

struct Shard {
    groups: ShareGroups,
    records: Vec<ShareGroupRecord>,
    topics: Image,
    now_ms: i64,
    /// The group's own time between two assignments.
    distance_ms: Option<i32>,
}

impl Shard {
    fn new(partitions: i32) -> Self {
        let mut topics = Image::default();
        let request = CreateTopic {
            name: "t".to_owned(),
            topic_id: Uuid([9; 16]),
            partition_count: Some(partitions),
            configs: BTreeMap::new(),
            ..CreateTopic::default()
        };
        let rules = crate::metadata::TopicConfigRules { defaults: crate::log::LogConfig::default() };
        let cluster = ClusterView::single(NodeId(1), Uuid([3; 16]));
        for record in &topics.create_topic(&request, &cluster, &rules).unwrap().records {
            topics.replay(record).unwrap();
        }
        let groups = ShareGroups::new(ShareGroupConfig::default());
        Self { groups, records: Vec::new(), topics, now_ms: 0, distance_ms: None }
    }

    fn append(&mut self, records: Vec<ShareGroupRecord>) {
        for record in records {
            let (key, value) = encode(&record).unwrap();
            let kind = crate::protocol::record_type(&key).unwrap();
            assert_eq!(decode(kind, &key, value.as_ref()).unwrap().as_ref(), Some(&record));
            self.groups.replay(&record);
            self.records.push(record);
        }
    }

    fn beat(&mut self, member: &str, epoch: i32) -> Result<ShareHeartbeatReply, ShareGroupError> {
        let request = ShareHeartbeat {
            group_id: "g".into(),
            member_id: member.to_owned(),
            member_epoch: epoch,
            rack_id: None,
            topics: (epoch == 0).then(|| vec!["t".to_owned()]),
            client_id: "c".to_owned(),
            client_host: "/h".to_owned(),
            session_timeout_ms: None,
            heartbeat_interval_ms: None,
            assignment_interval_ms: self.distance_ms,
        };
        let now = Now { monotonic_ms: self.now_ms, wall_ms: self.now_ms };
        let (records, reply) = self.groups.heartbeat(&request, &self.topics.clone(), now)?;
        self.append(records);
        Ok(reply)
    }

    fn initialize(&mut self, reply: &ShareHeartbeatReply) {
        let records = self.groups.initialized(&GroupId::from("g"), &reply.initialize);
        self.append(records);
    }

    fn assert_reloads(&self) {
        let mut again = ShareGroups::new(ShareGroupConfig::default());
        for record in &self.records {
            again.replay(record);
        }
        assert_eq!(format!("{:?}", again.groups), format!("{:?}", self.groups.groups));
    }
}

fn all(partitions: &Partitions) -> Vec<i32> {
    partitions.values().flatten().copied().collect()
}

#[test]
fn a_member_gets_what_has_a_state() {
    let mut shard = Shard::new(2);
    let joined = shard.beat("a", 0).unwrap();
    assert_eq!((joined.member_epoch, joined.assignment.as_ref().map(all)), (2, Some(vec![])));
    assert_eq!(all(&joined.initialize), [0, 1]);
    shard.initialize(&joined);
    let assigned = shard.beat("a", 2).unwrap();
    assert_eq!((assigned.member_epoch, assigned.assignment.as_ref().map(all)), (3, Some(vec![0, 1])));
    assert!(assigned.initialize.is_empty());
    // Nothing new: the answer says nothing, and nothing is written.
    let before = shard.records.len();
    assert_eq!(shard.beat("a", 3).unwrap().assignment, None);
    assert_eq!(shard.records.len(), before);
    // An answer that was lost.
    assert_eq!(shard.beat("a", 2).unwrap().member_epoch, 3);
    assert_eq!(shard.beat("a", 1), Err(ShareGroupError::FencedMemberEpoch { current: 3 }));
    assert_eq!(shard.beat("a", 4), Err(ShareGroupError::FencedMemberEpoch { current: 3 }));

    shard.now_ms += 1_000;
    let other = shard.beat("b", 0).unwrap();
    assert_eq!(other.assignment.as_ref().map(all).map(|own| own.len()), Some(1));
    assert_eq!(shard.beat("a", 3).unwrap().assignment.as_ref().map(all).map(|own| own.len()), Some(1));
    assert_eq!(shard.groups.describe("g").unwrap().members.len(), 2);
    shard.beat("b", -1).unwrap();
    shard.now_ms += 1_000;
    let alone = shard.beat("a", 4).unwrap();
    assert_eq!(alone.assignment.as_ref().map(all), Some(vec![0, 1]));
    shard.assert_reloads();
}

#[test]
fn an_assignment_waits_until_the_last_is_old_enough() {
    let mut shard = Shard::new(2);
    let joined = shard.beat("a", 0).unwrap();
    shard.initialize(&joined);
    let assigned = shard.beat("a", 2).unwrap();
    assert_eq!(assigned.assignment.as_ref().map(all), Some(vec![0, 1]), "that of nothing holds nothing up");

    let count = |reply: &ShareHeartbeatReply| reply.assignment.as_ref().map(|assigned| all(assigned).len());
    shard.now_ms = 999;
    let early = shard.beat("b", 0).unwrap();
    assert_eq!((early.member_epoch, count(&early)), (3, Some(0)));
    let described = shard.groups.describe("g").unwrap();
    assert_eq!((described.epoch, described.assignment_epoch), (4, 3));
    let before = shard.records.len();
    for member in ["a", "b"] {
        let waits = shard.beat(member, 3).unwrap();
        assert_eq!((waits.member_epoch, waits.assignment), (3, None));
    }
    assert_eq!(shard.records.len(), before, "who waits writes nothing");

    shard.now_ms = 1_000;
    for member in ["a", "b"] {
        let told = shard.beat(member, 3).unwrap();
        assert_eq!((told.member_epoch, count(&told)), (4, Some(1)), "{member}");
    }
    shard.now_ms = 500;
    assert_eq!(count(&shard.beat("c", 0).unwrap()), Some(1), "a clock that was set back holds nothing up");
    shard.distance_ms = Some(0);
    assert_eq!(count(&shard.beat("d", 0).unwrap()), Some(1), "a group may have its own");
    shard.assert_reloads();
}

#[test]
fn who_is_silent_is_gone_and_an_empty_group_can_be_deleted() {
    let mut shard = Shard::new(1);
    assert_eq!(shard.beat("a", 1), Err(ShareGroupError::GroupNotFound { group: "g".to_owned() }));
    let joined = shard.beat("a", 0).unwrap();
    shard.initialize(&joined);
    assert_eq!(shard.groups.delete("g"), Err(ShareGroupError::NotEmpty));
    shard.now_ms = shard.groups.next_timeout().unwrap();
    let records = shard.groups.on_timeout(Now { monotonic_ms: shard.now_ms, wall_ms: 0 });
    shard.append(records);
    assert_eq!(shard.groups.next_timeout(), None);
    assert_eq!(shard.beat("a", 2), Err(ShareGroupError::UnknownMember { member: "a".to_owned() }));
    assert_eq!(shard.groups.describe("g").unwrap().state, ShareGroupState::Empty);
    assert_eq!(shard.groups.partitions_of_empty("g").map(|partitions| all(&partitions)), Ok(vec![0]));
    let (records, epoch) =
        shard.groups.begin_alteration(&"g".into(), &joined.initialize, &shard.topics.clone()).unwrap();
    shard.append(records);
    assert_eq!(epoch, 4);
    let records = shard.groups.delete("g").unwrap();
    shard.append(records);
    assert!(!shard.groups.contains("g"));
    shard.assert_reloads();
}
