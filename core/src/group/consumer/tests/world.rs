//! A coordinator with its log and its metadata, and a clock that moves only when told. After every step it is compared
//! with what a restart would find.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Uuid,
    group::{
        ConsumerHeartbeat, ConsumerHeartbeatResponse, Decision, Epoch, GroupConfig, GroupError, GroupRecord,
        GroupShard, HeartbeatRequest, JoinRequest, LeaveRequest, MemberId, Now, PartitionSet, Protocol, Reply,
        Response, SyncRequest, Ticket, Topics, decode_record, encode_record, subscription,
    },
    metadata::{Image, MetadataRecord},
    protocol::{
        consumer::{ConsumerProtocolSubscription, TopicPartition},
        records::{PartitionRecord, RemoveTopicRecord, TopicRecord},
    },
};

pub(super) const GROUP: &str = "g";
pub(super) const REBALANCE_MS: i32 = 30_000;
pub(super) const SESSION_MS: i64 = 45_000;

pub(super) struct World {
    pub(super) shard: GroupShard,
    pub(super) log: Vec<GroupRecord>,
    pub(super) image: Image,
    pub(super) now_ms: i64,
    pub(super) answers: BTreeMap<Ticket, Response>,
    config: GroupConfig,
    version: i64,
    next_topic: u128,
    next_ticket: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    pub(super) fn with(config: GroupConfig) -> Self {
        let mut world = Self {
            shard: GroupShard::new(config.clone()),
            log: Vec::new(),
            image: Image::default(),
            now_ms: 1_000_000,
            answers: BTreeMap::new(),
            config,
            version: 0,
            next_topic: 0,
            next_ticket: 0,
        };
        let decision = world.shard.start(world.now());
        world.carry_out(decision);
        world
    }

    pub(super) fn now(&self) -> Now {
        Now { monotonic_ms: self.now_ms, wall_ms: self.now_ms + 1_700_000_000_000 }
    }

    pub(super) fn carry_out<T>(&mut self, decision: Decision<T>) -> T {
        for record in &decision.records {
            let encoded = encode_record(record).unwrap();
            let decoded = decode_record(&encoded.key, encoded.value.as_ref()).unwrap().unwrap();
            assert_eq!(&decoded, record, "the codec must not lose anything");
            self.shard.replay(&decoded);
            self.log.push(decoded);
        }
        for Reply { ticket, response } in decision.replies {
            assert!(self.answers.insert(ticket, response).is_none(), "{ticket:?} is answered twice");
        }
        self.shard.assert_invariants();
        self.compare();
        decision.response
    }

    fn recovered(&self) -> GroupShard {
        let mut shard = GroupShard::new(self.config.clone());
        self.log.iter().for_each(|record| shard.replay(record));
        shard
    }

    fn compare(&self) {
        let recovered = self.recovered();
        assert_eq!(
            self.shard.consumers.keys().collect::<Vec<_>>(),
            recovered.consumers.keys().collect::<Vec<_>>(),
            "other groups after a restart"
        );
        for (id, group) in &self.shard.consumers {
            assert_eq!(group.durable(), recovered.consumers[id].durable());
        }
    }

    pub(super) fn restart(&mut self) {
        for reply in self.shard.unload() {
            self.answers.insert(reply.ticket, reply.response);
        }
        self.shard = self.recovered();
        self.tell_topics();
        let decision = self.shard.start(self.now());
        self.carry_out(decision);
    }

    pub(super) fn pass(&mut self, delay_ms: i64) {
        let end_ms = self.now_ms + delay_ms;
        while let Some(due_ms) = self.shard.next_timeout().filter(|due_ms| *due_ms <= end_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            let decision = self.shard.on_timeout(self.now());
            self.carry_out(decision);
        }
        self.now_ms = end_ms;
    }

    /// Makes a topic, or lets it grow to so many partitions.
    pub(super) fn topic(&mut self, name: &str, partition_count: i32) -> Uuid {
        self.next_topic += 1;
        self.topic_with_id(name, Uuid(self.next_topic.to_be_bytes()), partition_count)
    }

    pub(super) fn topic_with_id(&mut self, name: &str, new_id: Uuid, partition_count: i32) -> Uuid {
        let known = self.image.topic(name).map(|topic| (topic.id, topic.partitions.len()));
        let (topic_id, has) = known.unwrap_or((new_id, 0));
        if known.is_none() {
            let record = TopicRecord { name: name.to_owned(), topic_id };
            self.image.replay(&MetadataRecord::Topic(record)).unwrap();
        }
        for partition_id in i32::try_from(has).unwrap()..partition_count {
            let record =
                PartitionRecord { partition_id, topic_id, replicas: vec![1], isr: vec![1], ..Default::default() };
            self.image.replay(&MetadataRecord::Partition(record)).unwrap();
        }
        self.tell_topics();
        topic_id
    }

    pub(super) fn remove_topic(&mut self, name: &str) {
        if let Some(topic) = self.image.topic(name) {
            let record = RemoveTopicRecord { topic_id: topic.id };
            self.image.replay(&MetadataRecord::RemoveTopic(record)).unwrap();
            self.tell_topics();
        }
    }

    fn tell_topics(&mut self) {
        self.version += 1;
        self.shard.set_topics(Topics::new(Arc::new(self.image.clone()), self.version));
    }

    pub(super) fn beat(&mut self, request: &ConsumerHeartbeat) -> Result<ConsumerHeartbeatResponse, GroupError> {
        let decision = self.shard.consumer_heartbeat(request, &|_| true, self.now());
        self.carry_out(decision)
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub(super) fn join(&mut self, member_id: Option<&str>, topics: &[&str], owned: &[(&str, Vec<i32>)]) -> Ticket {
        self.join_as(member_id, None, topics, owned)
    }

    pub(super) fn join_as(
        &mut self,
        member_id: Option<&str>,
        instance_id: Option<&str>,
        topics: &[&str],
        owned: &[(&str, Vec<i32>)],
    ) -> Ticket {
        let ticket = self.ticket();
        let owned = owned
            .iter()
            .map(|(topic, partitions)| TopicPartition { topic: (*topic).to_owned(), partitions: partitions.clone() });
        let subscription = ConsumerProtocolSubscription {
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            owned_partitions: owned.collect(),
            ..Default::default()
        };
        let metadata = crate::protocol::encode_versioned(&subscription, 1).unwrap();
        let request = JoinRequest {
            group_id: GROUP.into(),
            member_id: member_id.map(MemberId::from),
            group_instance_id: instance_id.map(Into::into),
            client_id: "classic".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: subscription::PROTOCOL_TYPE.to_owned(),
            protocols: vec![Protocol { name: "cooperative-sticky".to_owned(), metadata }],
            requires_known_member_id: false,
            supports_skip_assignment: true,
            new_member_uuid: Uuid(u128::from(ticket.0).to_be_bytes()),
        };
        let decision = self.shard.join(&request, ticket, self.now());
        self.carry_out(decision);
        ticket
    }

    pub(super) fn sync(&mut self, request: &SyncRequest) -> Ticket {
        let ticket = self.ticket();
        let decision = self.shard.sync(request, ticket, self.now());
        self.carry_out(decision);
        ticket
    }

    pub(super) fn classic_beat(&mut self, request: &HeartbeatRequest) -> Result<(), GroupError> {
        self.shard.heartbeat(request, self.now())
    }

    pub(super) fn leave(&mut self, request: &LeaveRequest) {
        let decision = self.shard.leave(request, self.now());
        for outcome in self.carry_out(decision).unwrap() {
            outcome.unwrap();
        }
    }
}

/// A call that joins with these topics.
pub(super) fn joining(member: &str, topics: &[&str]) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        rebalance_timeout_ms: Some(REBALANCE_MS),
        topic_names: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        owned: Some(PartitionSet::new()),
        ..staying(member, Epoch::JOINING.0)
    }
}

/// A call that says nothing new.
pub(super) fn staying(member: &str, epoch: i32) -> ConsumerHeartbeat {
    ConsumerHeartbeat::new(GROUP.into(), member.into(), Epoch(epoch))
}

/// Partitions `0..count` of a topic, or some of them.
pub(super) fn of(topic: Uuid, partitions: impl IntoIterator<Item = i32>) -> PartitionSet {
    BTreeMap::from([(topic, partitions.into_iter().collect::<BTreeSet<i32>>())])
}
