//! A coordinator of streams groups with its log and its metadata, and a clock that moves only when told. After every
//! step it is compared with what a restart would find.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Uuid,
    group::{
        Decision, Epoch, GroupConfig, GroupError, GroupRecord, GroupShard, Now, Topics, decode_record, encode_record,
        streams::{
            StreamsHeartbeat, StreamsHeartbeatResponse, Subtopology, TaskSet, Tasks, ToldTopology, TopicInfo,
            TopologyEpoch,
        },
    },
    metadata::{ConfigResource, Image, MetadataRecord},
    protocol::records::{ConfigRecord, PartitionRecord, TopicRecord},
};

pub(super) const GROUP: &str = "g";
pub(super) const REBALANCE_MS: i32 = 30_000;
pub(super) const SESSION_MS: i64 = 45_000;

pub(super) struct World {
    pub(super) shard: GroupShard,
    pub(super) log: Vec<GroupRecord>,
    pub(super) image: Image,
    pub(super) now_ms: i64,
    version: i64,
}

impl World {
    pub(super) fn new() -> Self {
        let shard = GroupShard::new(GroupConfig::default());
        let mut world = Self { shard, log: Vec::new(), image: Image::default(), now_ms: 1_000_000, version: 0 };
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
        self.shard.assert_invariants();
        let recovered = self.recovered();
        assert!(self.shard.streams.keys().eq(recovered.streams.keys()), "other groups after a restart");
        for (id, group) in &self.shard.streams {
            assert_eq!(group.durable(), recovered.streams[id].durable());
        }
        decision.response
    }

    fn recovered(&self) -> GroupShard {
        let mut shard = GroupShard::new(GroupConfig::default());
        self.log.iter().for_each(|record| shard.replay(record));
        shard
    }

    pub(super) fn restart(&mut self) {
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
    pub(super) fn topic(&mut self, name: &str, partition_count: i32) {
        let id = Uuid(
            u128::from_str_radix(&format!("{:02x}", name.len() * 31 + usize::from(name.as_bytes()[0])), 16)
                .unwrap()
                .to_be_bytes(),
        );
        let known = self.image.topic(name).map(|topic| (topic.id, topic.partitions.len()));
        let (topic_id, has) = known.unwrap_or((id, 0));
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
    }

    /// Sets something for the group.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let (resource_type, resource_name) = ConfigResource::Group(GROUP.into()).to_wire();
        let record =
            ConfigRecord { resource_type, resource_name, name: name.to_owned(), value: Some(value.to_owned()) };
        self.image.replay(&MetadataRecord::Config(record)).unwrap();
        self.tell_topics();
    }

    fn tell_topics(&mut self) {
        self.version += 1;
        self.shard.set_topics(Topics::new(Arc::new(self.image.clone()), self.version));
    }

    /// A member calls; topics that the broker is to create for it are there afterwards.
    pub(super) fn beat(&mut self, request: &StreamsHeartbeat) -> Result<StreamsHeartbeatResponse, GroupError> {
        let decision = self.shard.streams_heartbeat(request, self.now());
        let response = self.carry_out(decision);
        for topic in response.iter().flat_map(|response| response.topics_to_create.values()) {
            self.topic(&topic.name, topic.partitions);
        }
        response
    }
}

/// The bytes of a text of hexadecimal digits.
pub(super) fn hex(text: &str) -> bytes::Bytes {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|digit| u8::try_from(digit).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The topology most stories are told with: one part that counts what is in `in`.
pub(super) fn counting() -> ToldTopology {
    let changelog = TopicInfo {
        name: "g-count-changelog".into(),
        configs: BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]),
        ..TopicInfo::default()
    };
    let part = Subtopology {
        source_topics: vec!["in".into()],
        state_changelog_topics: vec![changelog],
        ..Subtopology::default()
    };
    ToldTopology { epoch: TopologyEpoch(0), subtopologies: vec![("0".into(), part)] }
}

/// A topology without state.
pub(super) fn stateless() -> ToldTopology {
    let part = Subtopology { source_topics: vec!["in".into()], ..Subtopology::default() };
    ToldTopology { epoch: TopologyEpoch(0), subtopologies: vec![("0".into(), part)] }
}

/// A call that joins.
pub(super) fn joining(member: &str, process: &str, topology: ToldTopology) -> StreamsHeartbeat {
    StreamsHeartbeat {
        rebalance_timeout_ms: Some(REBALANCE_MS),
        topology: Some(topology),
        process_id: Some(process.to_owned()),
        ..owning(member, Epoch::JOINING.0, &Tasks::default())
    }
}

/// A call that says nothing new.
pub(super) fn staying(member: &str, epoch: i32) -> StreamsHeartbeat {
    StreamsHeartbeat::new(GROUP.into(), member.into(), Epoch(epoch))
}

/// A call that says what the member owns.
pub(super) fn owning(member: &str, epoch: i32, tasks: &Tasks) -> StreamsHeartbeat {
    StreamsHeartbeat {
        active: Some(tasks.active.clone()),
        standby: Some(tasks.standby.clone()),
        warmup: Some(tasks.warmup.clone()),
        ..staying(member, epoch)
    }
}

/// Tasks of the part `0`.
pub(super) fn part(partitions: impl IntoIterator<Item = i32>) -> TaskSet {
    BTreeMap::from([("0".into(), partitions.into_iter().collect::<BTreeSet<i32>>())])
}

/// Active tasks of the part `0`.
pub(super) fn active(partitions: impl IntoIterator<Item = i32>) -> Tasks {
    Tasks { active: part(partitions), ..Tasks::default() }
}
