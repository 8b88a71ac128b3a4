//! What the broker makes of bytes on a socket: every version of every API, pipelines, and all that is malformed.

mod common;

use bytes::Bytes;
use common::{RawPeer, batch, builder, fetch_request, produce_request};
use riverrun_broker::Broker;
use riverrun_core::protocol::{
    ApiKey, ErrorCode, RequestBody, decode_response, encode_request,
    messages::{
        ApiVersionsRequest, CreateTopicsRequest, FetchRequest, MetadataRequest, ProduceRequest,
        create_topics::CreatableTopic,
    },
    supported_versions,
};

async fn broker_with_topic() -> (Broker, RawPeer) {
    let broker = builder().in_memory().start().await.expect("it starts");
    let mut peer = RawPeer::connect(broker.addresses()[0]).await;
    let topic = CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    peer.request(7, 1, CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await;
    assert_eq!(peer.response::<CreateTopicsRequest>(7).await.1.topics[0].error_code, 0);
    (broker, peer)
}

/// A request that asks for nothing.
fn empty(key: ApiKey) -> RequestBody {
    macro_rules! empty {
        ($($api:ident)+) => {
            match key {
                $(ApiKey::$api => RequestBody::$api(Default::default()),)+
                other => panic!("{other} is advertised and not tested"),
            }
        };
    }
    empty! {
        Produce Fetch ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup
        Heartbeat LeaveGroup SyncGroup DescribeGroups ListGroups SaslHandshake ApiVersions CreateTopics
        DeleteTopics DeleteRecords InitProducerId OffsetForLeaderEpoch DescribeConfigs AlterConfigs DescribeLogDirs SaslAuthenticate
        CreatePartitions DeleteGroups IncrementalAlterConfigs OffsetDelete DescribeCluster ListConfigResources DescribeTopicPartitions
        WriteTxnMarkers DescribeProducers AddPartitionsToTxn AddOffsetsToTxn EndTxn TxnOffsetCommit DescribeTransactions ListTransactions
        DescribeAcls CreateAcls DeleteAcls DescribeUserScramCredentials AlterUserScramCredentials DescribeClientQuotas AlterClientQuotas
        ElectLeaders AlterPartitionReassignments ListPartitionReassignments DescribeQuorum AlterReplicaLogDirs UnregisterBroker UpdateFeatures
        ConsumerGroupHeartbeat ConsumerGroupDescribe ShareGroupHeartbeat ShareGroupDescribe ShareFetch ShareAcknowledge
        InitializeShareGroupState ReadShareGroupState WriteShareGroupState DeleteShareGroupState ReadShareGroupStateSummary
        DescribeShareGroupOffsets AlterShareGroupOffsets DeleteShareGroupOffsets StreamsGroupHeartbeat StreamsGroupDescribe
        CreateDelegationToken RenewDelegationToken ExpireDelegationToken DescribeDelegationToken
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_of_every_api_that_is_advertised_is_answered() {
    let (broker, mut peer) = broker_with_topic().await;
    let request = ApiVersionsRequest { client_software_name: "raw".into(), client_software_version: "1".into() };
    peer.request(4, 2, request).await;
    let versions = peer.response::<ApiVersionsRequest>(4).await.1;
    assert_eq!(versions.error_code, 0);
    let served = ["group.version", "metadata.version", "share.version", "streams.version", "transaction.version"];
    assert!(versions.finalized_features.iter().all(|feature| served.contains(&&*feature.name)));
    for api in &versions.api_keys {
        let key = ApiKey::try_from(api.api_key).unwrap();
        for version in supported_versions(key) {
            assert!(version >= api.min_version && version <= api.max_version, "{key} {version}");
            let mut peer = RawPeer::connect(broker.addresses()[0]).await;
            peer.request(version, 77, empty(key)).await;
            if key == ApiKey::Produce {
                // acks=0: no answer, and nothing to complain of in an empty request.
                continue;
            }
            let answer = peer.frame().await.unwrap_or_else(|| panic!("{key} version {version} closed the connection"));
            decode_response(key, version, &answer, &Default::default()).unwrap();
        }
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_travel_in_every_version() {
    let (broker, mut peer) = broker_with_topic().await;
    for version in 3..=12 {
        peer.request(version, i32::from(version), produce_request("t", batch(&["x"]), -1)).await;
        let (correlation, produced) = peer.response::<ProduceRequest>(version).await;
        let produced = common::single(produced);
        let offset = i64::from(version) - 3;
        assert_eq!((correlation, produced.error_code, produced.base_offset), (i32::from(version), 0, offset));
    }
    for version in 4..=12 {
        peer.request(
            version,
            1,
            FetchRequest { session_epoch: if version < 7 { -1 } else { 0 }, ..fetch_request("t", 9, 0) },
        )
        .await;
        let (_, mut fetched) = peer.response::<FetchRequest>(version).await;
        let partition = fetched.responses.remove(0).partitions.remove(0);
        assert_eq!((partition.error_code, common::values(partition.records)), (0, vec!["x".to_owned()]), "{version}");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let (broker, mut peer) = broker_with_topic().await;
    peer.request(9, 1, produce_request("t", batch(&["a"]), -1)).await;
    peer.request(12, 2, fetch_request("t", 1, 60_000)).await;
    peer.request(9, 3, produce_request("t", batch(&["b"]), 0)).await;
    peer.request(9, 4, produce_request("t", batch(&["c"]), -1)).await;
    peer.request(9, 5, MetadataRequest::default()).await;
    assert_eq!(common::single(peer.response::<ProduceRequest>(9).await.1).base_offset, 0);
    let (correlation, mut fetched) = peer.response::<FetchRequest>(12).await;
    assert_eq!(correlation, 2);
    // The fetch waits for what stands behind it in the same pipeline.
    let fetched = common::values(fetched.responses.remove(0).partitions.remove(0).records);
    assert_eq!(fetched.first().map(String::as_str), Some("b"));
    let (correlation, produced) = peer.response::<ProduceRequest>(9).await;
    assert_eq!((correlation, common::single(produced).base_offset), (4, 2), "acks=0 has no answer");
    assert_eq!(peer.response::<MetadataRequest>(9).await.0, 5);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_ends_its_connection_and_no_other() {
    let (broker, mut healthy) = broker_with_topic().await;
    let announced = |size: i32| size.to_be_bytes().to_vec();
    let framed = |content: &[u8]| [&u32::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat();
    let header =
        |key: i16, version: i16| [key.to_be_bytes(), version.to_be_bytes(), [0; 2], [0; 2], [0xff; 2]].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a frame above socket.request.max.bytes", announced(i32::MAX)),
        ("a negative length", announced(-1)),
        ("an HTTP request", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("garbage", framed(&[0xa5; 64])),
        ("an empty frame", framed(&[])),
        ("an unknown API", framed(&header(999, 0))),
        ("an API that is not served", framed(&[header(83, 0), vec![0; 50]].concat())),
        ("a version that is not known", framed(&header(1, 99))),
        ("a body cut short", framed(&[header(3, 1), vec![0, 0, 0, 9]].concat())),
        ("a count that lies", framed(&[header(3, 1), vec![0x7f, 0xff, 0xff, 0xff]].concat())),
    ];
    for (what, bytes) in cases {
        let mut peer = RawPeer::connect(broker.addresses()[0]).await;
        peer.send(&bytes).await;
        assert_eq!(peer.frame().await, None, "{what} was answered");
        healthy.request(9, 1, MetadataRequest::default()).await;
        assert_eq!(healthy.response::<MetadataRequest>(9).await.0, 1, "after {what}");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_version_of_the_first_question_is_answered_in_version_0() {
    let (broker, _) = broker_with_topic().await;
    let mut peer = RawPeer::connect(broker.addresses()[0]).await;
    let content = [18i16.to_be_bytes(), 99i16.to_be_bytes(), [0; 2], [0, 5], [0xff; 2]].concat();
    peer.send(&[&u32::try_from(content.len()).unwrap().to_be_bytes()[..], &content].concat()).await;
    let (correlation, answer) = peer.response::<ApiVersionsRequest>(0).await;
    assert_eq!((correlation, answer.error_code), (5, ErrorCode::UnsupportedVersion.code()));
    assert!(answer.api_keys.iter().any(|api| api.api_key == 18 && api.max_version >= 4));
    // The connection goes on.
    peer.request(
        3,
        6,
        ApiVersionsRequest { client_software_name: "bad name".into(), client_software_version: "1".into() },
    )
    .await;
    let (_, answer) = peer.response::<ApiVersionsRequest>(3).await;
    assert_eq!(answer.error_code, ErrorCode::InvalidRequest.code());
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_produce_without_an_answer_closes_the_connection() {
    let (broker, mut peer) = broker_with_topic().await;
    peer.request(9, 1, produce_request("nowhere", batch(&["x"]), 0)).await;
    assert_eq!(peer.frame().await, None);
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caps_and_limits_hold() {
    let builder = builder().in_memory().set("socket.request.max.bytes", "1000").unwrap();
    let broker = builder.set("max.connections.per.ip", "1").unwrap().start().await.unwrap();
    let mut first = RawPeer::connect(broker.addresses()[0]).await;
    first.request(9, 1, MetadataRequest::default()).await;
    first.response::<MetadataRequest>(9).await;
    let mut second = RawPeer::connect(broker.addresses()[0]).await;
    assert_eq!(second.frame().await, None, "above max.connections.per.ip");
    let large = Bytes::from(vec![b'x'; 2_000]);
    first.request(9, 2, produce_request("t", large, -1)).await;
    assert_eq!(first.frame().await, None, "above socket.request.max.bytes");
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_not_taken_stop_what_stands_behind_them() {
    const FETCHES: i32 = 60;
    let (broker, mut peer) = broker_with_topic().await;
    let large = "x".repeat(1_000_000);
    peer.request(9, 1, produce_request("t", batch(&[&large]), -1)).await;
    assert_eq!(common::single(peer.response::<ProduceRequest>(9).await.1).error_code, 0);
    // More than the buffers of the sockets take: were all of them handled at once, all of them would lie in memory.
    let mut slow = RawPeer::connect(broker.addresses()[0]).await;
    let pipeline = (1..=FETCHES).flat_map(|correlation| {
        let frame = encode_request(&fetch_request("t", 0, 60_000).into(), 12, correlation, None).unwrap();
        frame.to_bytes()
    });
    slow.send(&pipeline.collect::<Vec<u8>>()).await;
    assert_eq!(slow.response::<FetchRequest>(12).await.0, 1);
    peer.request(9, 2, produce_request("t", batch(&["later"]), -1)).await;
    assert_eq!(common::single(peer.response::<ProduceRequest>(9).await.1).error_code, 0);
    let mut last = Vec::new();
    for correlation in 2..=FETCHES {
        let (answered, mut fetched) = slow.response::<FetchRequest>(12).await;
        assert_eq!(answered, correlation);
        last = common::values(fetched.responses.remove(0).partitions.remove(0).records);
    }
    assert_eq!(last.last().map(String::as_str), Some("later"), "the last fetch was handled before its turn");
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_goes_on_in_small_steps_when_there_is_no_memory_for_more() {
    let builder = builder().in_memory().set("riverrun.responses.max.bytes", "0").unwrap();
    let broker = builder.start().await.unwrap();
    let peer = common::Peer::connect(&broker, common::Way::Tcp).await;
    peer.create_topic("t", 1).await;
    for value in ["a", "b"] {
        assert_eq!(peer.produce("t", batch(&[value])).await.error_code, 0);
    }
    for (offset, value) in [(0, "a"), (1, "b")] {
        assert_eq!(common::values(peer.fetch("t", offset, 60_000).await.records), [value]);
    }
    broker.shutdown().await.unwrap();
}
