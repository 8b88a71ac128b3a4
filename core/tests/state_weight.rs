//! Holds the estimates of [`riverrun_core::budget`] against an allocator that counts: whatever clients make the broker
//! remember, what is charged is at least what it takes, and not many times as much.
//!
//! This file holds one test only, because the count is of the whole process.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use riverrun_core::{
    ProducerEpoch, ProducerId, TopicPartition, Uuid,
    budget::StateBudget,
    group::{
        CommittedOffset, ConsumerRecord, CurrentAssignment, Epoch, GroupConfig, GroupRecord, GroupShard, JoinRequest,
        MemberSubscription, Now, Protocol, ResolvedRegex, Ticket,
        streams::{
            CurrentTasks, StreamsMemberInfo, StreamsRecord, Subtopology, Tasks, TopicInfo, Topology, TopologyEpoch,
        },
    },
    metadata::{Image, MetadataRecord},
    protocol::records::{
        AccessControlEntryRecord, ConfigRecord, ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue,
        ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue, UserScramCredentialRecord,
        share_group,
    },
    share::{
        group::ShareGroupRecord,
        state::{
            DeliveryState, SharePartitionKey, ShareState, ShareStateConfig, ShareStateRecord, ShareStateShard,
            StateBatch,
        },
    },
    transaction::{
        ProducerIdAndEpoch, TransactionConfig, TransactionMetadata, TransactionRecord, TransactionShard,
        TransactionState, TransactionVersion,
    },
};

/// What the allocator of glibc takes beside the bytes asked for.
const OVERHEAD: usize = 16;
/// How much too high an estimate may be.
const EXAGGERATION_MAX: usize = 6;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() + OVERHEAD, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() + OVERHEAD, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Has `make` fill something and give what was charged for it; compares that with what it takes.
fn check<T>(what: &str, make: impl FnOnce(&Arc<StateBudget>) -> (T, Option<usize>)) {
    let budget = StateBudget::unlimited();
    let before = LIVE.load(Ordering::Relaxed);
    let (holder, charged) = make(&budget);
    let takes = LIVE.load(Ordering::Relaxed).saturating_sub(before);
    let charged = charged.unwrap_or(budget.used());
    println!("{what}: takes {takes}, charged {charged}, {:.2}", charged as f64 / takes as f64);
    assert!(takes > 100_000, "{what}: too little to tell: {takes}");
    assert!(charged >= takes, "{what} takes {takes} bytes, and is charged {charged}");
    assert!(charged <= takes * EXAGGERATION_MAX, "{what} takes {takes} bytes only, and is charged {charged}");
    drop(holder);
    assert_eq!(budget.used(), 0, "{what}: given back");
}

fn shard_of(budget: &Arc<StateBudget>, records: impl IntoIterator<Item = GroupRecord>) -> (GroupShard, Option<usize>) {
    let mut shard = GroupShard::new(GroupConfig::default()).within(Arc::clone(budget));
    records.into_iter().for_each(|record| shard.replay(&record));
    (shard, None)
}

fn text(length: usize, seed: usize) -> String {
    format!("{seed:0length$}")
}

fn offset(metadata: usize) -> CommittedOffset {
    CommittedOffset {
        offset: 1,
        leader_epoch: None,
        metadata: text(metadata, 0),
        commit_timestamp_ms: 1,
        expire_timestamp_ms: None,
        topic_id: None,
    }
}

/// `groups` groups with positions in `partitions` partitions of `topics` topics each.
fn offsets(groups: usize, topics: usize, partitions: i32, metadata: usize) -> impl Iterator<Item = GroupRecord> {
    (0..groups).flat_map(move |group| {
        (0..topics).flat_map(move |topic| {
            (0..partitions).map(move |partition| GroupRecord::Offset {
                group_id: text(20, group).into(),
                topic_partition: TopicPartition::new(text(30, topic), partition),
                value: Some(offset(metadata)),
            })
        })
    })
}

fn consumer(group: usize, record: ConsumerRecord) -> GroupRecord {
    GroupRecord::Consumer { group_id: text(10, group).into(), record }
}

/// Members of consumer groups with partitions, one record after the other.
fn consumers(groups: usize, members: usize, topics: usize, partitions: i32) -> impl Iterator<Item = GroupRecord> {
    (0..groups).flat_map(move |group| {
        (0..members).flat_map(move |member| {
            let id = || text(36, member).into();
            let topic = |topic: usize| Uuid([u8::try_from(topic).expect("small"); 16]);
            let from = i32::try_from(member).expect("small") * partitions;
            let subscription = MemberSubscription {
                instance_id: Some(text(12, member).into()),
                rack_id: Some(text(5, 0)),
                client_id: text(10, 0),
                client_host: text(15, 0),
                topic_names: (0..topics).map(|topic| text(20, topic)).collect(),
                ..MemberSubscription::default()
            };
            let target = (0..topics).map(|t| (topic(t), (from..from + partitions).collect())).collect();
            let assigned = (0..topics).map(|t| (topic(t), (from..from + partitions).map(|p| (p, Epoch(1))).collect()));
            let current = CurrentAssignment { assigned: assigned.collect(), ..CurrentAssignment::default() };
            let resolved = ResolvedRegex { topics: BTreeSet::from([text(20, member)]), ..ResolvedRegex::default() };
            [
                ConsumerRecord::Member(id(), Some(Box::new(subscription))),
                ConsumerRecord::Target(id(), Some(target)),
                ConsumerRecord::Current(id(), Some(current)),
                ConsumerRecord::Regex(text(15, member), Some(resolved)),
            ]
            .map(|record| consumer(group, record))
        })
    })
}

/// Members of streams groups with a topology and tasks.
fn streams(groups: usize, members: usize, parts: usize) -> impl Iterator<Item = GroupRecord> {
    (0..groups).flat_map(move |group| {
        let topic = |index: usize| TopicInfo {
            name: text(30, index).into(),
            configs: BTreeMap::from([(text(15, 0), text(10, 0))]),
            ..TopicInfo::default()
        };
        let part = |index: usize| Subtopology {
            source_topics: vec![text(25, index).into()],
            state_changelog_topics: vec![topic(index)],
            repartition_source_topics: vec![topic(index)],
            ..Subtopology::default()
        };
        let subtopologies = (0..parts).map(|index| (text(3, index).into(), part(index))).collect();
        let topology = StreamsRecord::Topology(Some(Arc::new(Topology { epoch: TopologyEpoch(1), subtopologies })));
        let of_member = move |member: usize| {
            let id = || text(36, member).into();
            let from = i32::try_from(member).expect("small") * 3;
            let info = StreamsMemberInfo {
                client_id: text(20, 0),
                client_host: text(15, 0),
                process_id: text(36, 0),
                client_tags: BTreeMap::from([(text(4, 0), text(10, 0))]),
                ..StreamsMemberInfo::default()
            };
            let set = || (0..parts).map(|index| (Arc::from(text(3, index)), (from..from + 3).collect())).collect();
            let target = Tasks { active: set(), ..Tasks::default() };
            let mut current = CurrentTasks::default();
            current.assigned.active = (0..parts)
                .map(|index| (Arc::from(text(3, index)), (from..from + 3).map(|p| (p, Epoch(1))).collect()))
                .collect();
            [
                StreamsRecord::Member(id(), Some(Box::new(info))),
                StreamsRecord::Target(id(), Some(target)),
                StreamsRecord::Current(id(), Some(current)),
            ]
        };
        std::iter::once(topology)
            .chain((0..members).flat_map(of_member))
            .map(move |record| GroupRecord::Streams { group_id: text(10, group).into(), record })
    })
}

fn share_groups(groups: usize, members: usize) -> impl Iterator<Item = GroupRecord> {
    (0..groups).flat_map(move |group| {
        (0..members).flat_map(move |member| {
            let (group_id, member_id) = (text(10, group), text(36, member));
            let value = ShareGroupMemberMetadataValue {
                rack_id: None,
                client_id: text(10, 0),
                client_host: text(15, 0),
                subscribed_topic_names: (0..3).map(|topic| text(30, topic)).collect(),
            };
            let topics =
                |topic: u8| share_group::TopicPartition { topic_id: Uuid([topic; 16]), partitions: (0..5).collect() };
            let target = ShareGroupTargetAssignmentMemberValue { topic_partitions: (0..3).map(topics).collect() };
            let key = ShareGroupMemberMetadataKey { group_id: group_id.clone(), member_id: member_id.clone() };
            [
                ShareGroupRecord::Member(key, Some(value)),
                ShareGroupRecord::TargetMember(
                    ShareGroupTargetAssignmentMemberKey { group_id, member_id },
                    Some(target),
                ),
            ]
            .map(GroupRecord::Share)
        })
    })
}

/// Members that have joined classic groups, and wait.
fn classic(budget: &Arc<StateBudget>, groups: usize, members: usize, metadata: usize) -> (GroupShard, Option<usize>) {
    let mut shard = GroupShard::new(GroupConfig::default()).within(Arc::clone(budget));
    for group in 0..groups {
        for member in 0..members {
            let request = JoinRequest {
                group_id: text(10, group).into(),
                member_id: None,
                group_instance_id: None,
                client_id: text(10, 0),
                client_host: text(15, 0),
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 10_000,
                protocol_type: "consumer".to_owned(),
                protocols: ["range", "cooperative-sticky"]
                    .map(|name| Protocol { name: name.to_owned(), metadata: Bytes::from(vec![0; metadata]) })
                    .into(),
                requires_known_member_id: false,
                supports_skip_assignment: true,
                new_member_uuid: Uuid(u128::try_from(group * 10_000 + member).expect("small").to_be_bytes()),
            };
            let now = Now { monotonic_ms: 1, wall_ms: 1 };
            drop(shard.join(&request, Ticket(u64::try_from(group * 10_000 + member).expect("small")), now));
        }
    }
    (shard, None)
}

fn transactions(budget: &Arc<StateBudget>, ids: usize, partitions: i32) -> (TransactionShard, Option<usize>) {
    let mut shard = TransactionShard::new(TransactionConfig::default()).within(Arc::clone(budget));
    for id in 0..ids {
        let value = TransactionMetadata {
            producer: ProducerIdAndEpoch { id: ProducerId(1), epoch: ProducerEpoch(1) },
            previous_producer_id: None,
            next_producer_id: None,
            last_producer_epoch: None,
            timeout_ms: 60_000,
            state: TransactionState::Ongoing,
            partitions: (0..partitions).map(|p| TopicPartition::new(text(30, 0), p)).collect(),
            started_ms: Some(1),
            updated_ms: 1,
            client_version: TransactionVersion::V2,
        };
        shard.replay(&TransactionRecord { transactional_id: text(20, id).into(), value: Some(value) });
    }
    (shard, None)
}

fn share_states(budget: &Arc<StateBudget>, states: usize, batches: i64) -> (ShareStateShard, Option<usize>) {
    let mut shard = ShareStateShard::new(ShareStateConfig::default()).within(Arc::clone(budget));
    let batch = |at: i64| StateBatch {
        first_offset: at * 2,
        last_offset: at * 2,
        state: DeliveryState::Acknowledged,
        delivery_count: 1,
    };
    for index in 0..states {
        let key = SharePartitionKey { group_id: text(20, index).into(), topic_id: Uuid([1; 16]), partition: 0 };
        let state = ShareState {
            snapshot_epoch: 0,
            state_epoch: 0,
            leader_epoch: 0,
            start_offset: Some(0),
            delivery_complete_count: Some(0),
            created_ms: 0,
            written_ms: 0,
            batches: (0..batches).map(batch).collect(),
        };
        shard.replay(ShareStateRecord::Snapshot(key, Some(state)), i64::try_from(index).expect("small"));
    }
    (shard, None)
}

fn metadata(records: impl IntoIterator<Item = MetadataRecord>) -> (Image, Option<usize>) {
    let mut image = Image::default();
    records.into_iter().for_each(|record| image.replay(&record).expect("it fits"));
    let weight = image.weight();
    (image, Some(weight))
}

fn acl(index: usize) -> MetadataRecord {
    MetadataRecord::AccessControlEntry(AccessControlEntryRecord {
        id: Uuid(u128::try_from(index).expect("small").to_be_bytes()),
        resource_type: 2,
        resource_name: text(20, index),
        pattern_type: 3,
        principal: format!("User:{}", text(10, index)),
        host: "*".to_owned(),
        operation: 3,
        permission_type: 3,
    })
}

fn credential(index: usize) -> MetadataRecord {
    MetadataRecord::UserScramCredential(UserScramCredentialRecord {
        name: text(20, index),
        mechanism: 1,
        salt: Bytes::from(vec![0; 20]),
        stored_key: Bytes::from(vec![0; 32]),
        server_key: Bytes::from(vec![0; 32]),
        iterations: 4096,
    })
}

fn group_setting(index: usize) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: 32,
        resource_name: text(20, index),
        name: "consumer.session.timeout.ms".to_owned(),
        value: Some("45000".to_owned()),
    })
}

#[test]
fn what_is_charged_is_what_it_takes_or_more() {
    check("positions of one partition in many groups", |budget| shard_of(budget, offsets(2_000, 1, 1, 0)));
    check("positions in many topics", |budget| shard_of(budget, offsets(10, 300, 1, 0)));
    check("positions in many partitions", |budget| shard_of(budget, offsets(10, 2, 500, 0)));
    check("positions with long texts", |budget| shard_of(budget, offsets(10, 1, 100, 4_000)));
    check("positions of open transactions", |budget| {
        let mut shard = GroupShard::new(GroupConfig::default()).within(Arc::clone(budget));
        for (index, record) in offsets(2_000, 1, 1, 100).enumerate() {
            shard.replay_pending(ProducerId(i64::try_from(index).expect("small")), &record);
        }
        (shard, None)
    });
    check("a classic member in each group", |budget| classic(budget, 500, 1, 100));
    check("many classic members in a group", |budget| classic(budget, 1, 500, 100));
    check("classic members with large subscriptions", |budget| classic(budget, 10, 2, 50_000));
    check("a consumer in each group", |budget| shard_of(budget, consumers(500, 1, 1, 1)));
    check("many consumers in a group", |budget| shard_of(budget, consumers(1, 500, 5, 2)));
    check("consumers with many partitions", |budget| shard_of(budget, consumers(2, 2, 100, 50)));
    check("streams members with many tasks", |budget| shard_of(budget, streams(5, 20, 10)));
    check("a streams member in each group", |budget| shard_of(budget, streams(200, 1, 1)));
    check("share groups", |budget| shard_of(budget, share_groups(50, 10)));
    check("idle transactional ids", |budget| transactions(budget, 2_000, 0));
    check("transactions in many partitions", |budget| transactions(budget, 50, 200));
    check("share partitions of which little is known", |budget| share_states(budget, 2_000, 1));
    check("share partitions of which much is known", |budget| share_states(budget, 20, 2_000));
    check("access rules", |_| metadata((0..2_000).map(acl)));
    check("credentials", |_| metadata((0..2_000).map(credential)));
    check("settings of groups", |_| metadata((0..2_000).map(group_setting)));
}
