//! Bytes that Apache Kafka 4.3's own message classes wrote: versions newer than the differential test reaches, and the
//! records of internal topics, which the other codec does not know. Ours reads them as the same values and writes the
//! same bytes.

use std::fmt::Debug;

use bytes::Bytes;
use riverrun_core::{
    Uuid,
    protocol::{
        DecodeLimits, Reader, RootMessage, Writer,
        consumer::{AssignedPartitions, ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition},
        decode_key, decode_metadata_record, decode_versioned, encode_key, encode_metadata_record, encode_versioned,
        messages::{
            DescribeLogDirsResponse, FetchRequest, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest,
            WriteTxnMarkersRequest, describe_log_dirs, fetch, list_offsets, offset_commit, offset_fetch,
            write_txn_markers,
        },
        metadata_record_header, record_type,
        records::{
            ConfigRecord, FeatureLevelRecord, GroupMetadataKey, GroupMetadataValue, MemberMetadata, OffsetCommitKey,
            OffsetCommitValue, PartitionRecord, ProducerIdsRecord, RemoveTopicRecord, TopicRecord,
        },
    },
};

/// The id that Kafka's `new Uuid(1, 2)` makes.
const ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);

fn limits() -> DecodeLimits {
    DecodeLimits::default()
}

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn message<M: RootMessage + Debug + PartialEq>(version: i16, message: &M, hex: &str) {
    let golden = bytes(hex);
    let mut writer = Writer::new();
    message.encode(&mut writer, version).expect("the version carries the message");
    assert_eq!(writer.into_bytes(), golden, "{message:?}");
    let mut reader = Reader::new(&golden, &limits());
    assert_eq!(M::decode(&mut reader, version).as_ref(), Ok(message));
    assert_eq!(reader.finish(), Ok(()));
}

fn key<M: RootMessage + Debug + PartialEq>(message: &M, hex: &str) {
    assert_eq!(encode_key(message), Ok(bytes(hex)), "{message:?}");
    assert_eq!(decode_key(&bytes(hex), &limits()).as_ref(), Ok(message));
    assert_eq!(record_type(&bytes(hex)).ok(), M::MESSAGE_KEY);
}

fn versioned<M: RootMessage + Clone + Debug + PartialEq>(version: i16, message: &M, hex: &str) {
    assert_eq!(encode_versioned(message, version), Ok(bytes(hex)), "{message:?}");
    assert_eq!(decode_versioned(&bytes(hex), &limits()), Ok((version, message.clone())));
}

fn metadata<M: RootMessage + Debug + PartialEq>(version: i16, message: &M, hex: &str) {
    assert_eq!(encode_metadata_record(message, version), Ok(bytes(hex)), "{message:?}");
    assert_eq!(decode_metadata_record(&bytes(hex), &limits()).as_ref(), Ok(message));
    let header = metadata_record_header(&bytes(hex)).expect("a record has a header");
    assert_eq!(i16::try_from(header.record_type).ok(), M::MESSAGE_KEY);
    assert_eq!(header.version, version);
}

#[test]
fn messages_of_4_3() {
    let partitions =
        vec![list_offsets::ListOffsetsPartition { partition_index: 3, timestamp: -6, ..Default::default() }];
    let topics = vec![list_offsets::ListOffsetsTopic { name: "t".into(), partitions }];
    let request = ListOffsetsRequest { replica_id: -1, isolation_level: 1, topics, timeout_ms: 500 };
    message(11, &request, "ffffffff010202740200000003fffffffffffffffffffffffa0000000001f400");

    let partitions = vec![offset_commit::OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 42,
        committed_leader_epoch: 5,
        committed_metadata: Some("x".into()),
    }];
    let topics = vec![offset_commit::OffsetCommitRequestTopic { topic_id: ID, partitions, ..Default::default() }];
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 7,
        member_id: "m".into(),
        topics,
        ..Default::default()
    };
    let hex = "026700000007026d0002000000000000000100000000000000020200000001000000000000002a000000050278000000";
    message(10, &request, hex);

    let partition_indexes = vec![1, 2];
    let topics = vec![offset_fetch::OffsetFetchRequestTopics { topic_id: ID, partition_indexes, ..Default::default() }];
    let groups = vec![offset_fetch::OffsetFetchRequestGroup {
        group_id: "g".into(),
        topics: Some(topics),
        ..Default::default()
    }];
    let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
    let hex = "02026700ffffffff020000000000000001000000000000000203000000010000000200000100";
    message(10, &request, hex);
}

#[test]
fn more_messages_of_4_3() {
    let topics = vec![write_txn_markers::WritableTxnMarkerTopic { name: "t".into(), partition_indexes: vec![0] }];
    let markers = vec![write_txn_markers::WritableTxnMarker {
        producer_id: 9,
        producer_epoch: 2,
        transaction_result: true,
        topics,
        coordinator_epoch: 4,
        transaction_version: 2,
    }];
    let request = WriteTxnMarkersRequest { markers };
    message(2, &request, "02000000000000000900020102027402000000000000000004020000");

    let partitions = vec![describe_log_dirs::DescribeLogDirsPartition { partition_size: 10, ..Default::default() }];
    let topics = vec![describe_log_dirs::DescribeLogDirsTopic { name: "t".into(), partitions }];
    let results = vec![describe_log_dirs::DescribeLogDirsResult {
        log_dir: "/d".into(),
        topics,
        total_bytes: 100,
        usable_bytes: 50,
        is_cordoned: true,
        ..Default::default()
    }];
    let response = DescribeLogDirsResponse { results, ..Default::default() };
    let hex = "000000000000020000032f640202740200000000000000000000000a0000000000000000000000000000000000006400000000\
               00000032010000";
    message(5, &response, hex);

    let partitions = vec![fetch::FetchPartition {
        fetch_offset: 8,
        partition_max_bytes: 1 << 20,
        high_watermark: 6,
        ..Default::default()
    }];
    let request = FetchRequest {
        cluster_id: Some("c".into()),
        replica_state: fetch::ReplicaState { replica_id: 2, replica_epoch: 3 },
        max_wait_ms: 500,
        min_bytes: 1,
        topics: vec![fetch::FetchTopic { topic_id: ID, partitions, ..Default::default() }],
        ..Default::default()
    };
    let hex = "000001f4000000017fffffff0000000000ffffffff02000000000000000100000000000000020200000000ffffffff00000000\
               00000008ffffffffffffffffffffffff0010000001010800000000000000060001010200020263010d000000020000000000\
               00000300";
    message(18, &request, hex);
}

#[test]
fn records_of_consumer_offsets() {
    key(&OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 1 }, "000100016700017400000001");
    let mut value = OffsetCommitValue {
        offset: 42,
        leader_epoch: 5,
        metadata: "x".into(),
        commit_timestamp: 1000,
        ..Default::default()
    };
    versioned(3, &value, "0003000000000000002a0000000500017800000000000003e8");
    value.topic_id = ID;
    let hex = "0004000000000000002a00000005027800000000000003e801001000000000000000010000000000000002";
    versioned(4, &value, hex);

    key(&GroupMetadataKey { group: "g".into() }, "0002000167");
    let member = MemberMetadata {
        member_id: "m".into(),
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout: 300_000,
        session_timeout: 10_000,
        subscription: Bytes::from_static(&[1, 2]),
        assignment: Bytes::from_static(&[3]),
        ..Default::default()
    };
    let value = GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 2,
        protocol: Some("range".into()),
        leader: Some("m".into()),
        current_state_timestamp: 1000,
        members: vec![member],
    };
    let hex = "00030008636f6e73756d657200000002000572616e676500016d00000000000003e80000000100016dffff00016300022f68\
               000493e0000027100000000201020000000103";
    versioned(3, &value, hex);
}

#[test]
fn what_group_members_tell_each_other() {
    let owned_partitions = vec![TopicPartition { topic: "t".into(), partitions: vec![0, 1] }];
    let (generation_id, rack_id) = (4, Some("r".into()));
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["t".into()],
        user_data: None,
        owned_partitions,
        generation_id,
        rack_id,
    };
    let hex = "000300000001000174ffffffff0000000100017400000002000000000000000100000004000172";
    versioned(3, &subscription, hex);
    // A version from the future is read as the newest we know; what it appends is ignored.
    let future = bytes(&format!("0009{}abcdef", &hex[4..]));
    assert_eq!(decode_versioned(&future, &limits()), Ok((9, subscription)));

    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: vec![AssignedPartitions { topic: "t".into(), partitions: vec![0, 1] }],
        user_data: Some(Bytes::from_static(&[9])),
    };
    versioned(0, &assignment, "0000000000010001740000000200000000000000010000000109");
}

#[test]
fn records_of_the_metadata_log() {
    let record = TopicRecord { name: "t".into(), topic_id: ID };
    metadata(0, &record, "01020002740000000000000001000000000000000200");
    let record = PartitionRecord {
        topic_id: ID,
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![ID],
        partition_id: 0,
        ..Default::default()
    };
    let hex = "010301000000000000000000000001000000000000000202000000010200000001010100000001000000000000000002000000\
               0000000001000000000000000200";
    metadata(1, &record, hex);
    let record = ConfigRecord {
        resource_type: 2,
        resource_name: "t".into(),
        name: "retention.ms".into(),
        value: Some("1000".into()),
    };
    metadata(0, &record, "0104000202740d726574656e74696f6e2e6d73053130303000");
    metadata(0, &RemoveTopicRecord { topic_id: ID }, "0109000000000000000001000000000000000200");
    let record = ProducerIdsRecord { broker_id: 1, broker_epoch: 2, next_producer_id: 1000 };
    metadata(0, &record, "010f0000000001000000000000000200000000000003e800");
    let record = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 29 };
    metadata(0, &record, "010c00116d657461646174612e76657273696f6e001d00");
}
