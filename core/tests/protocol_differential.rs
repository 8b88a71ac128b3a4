//! Our codec against the `kafka-protocol` crate, which is generated from Kafka 4.1's definitions: for each message and
//! version that both know, what ours writes the other reads and writes again, byte for byte, and ours reads that as the
//! message it began with.

#[path = "protocol/sample.rs"]
mod sample;

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages as theirs,
    protocol::{Decodable, Encodable, Message as Theirs},
};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use riverrun_core::protocol::{DecodeLimits, Reader, RootMessage, Writer, consumer, messages, records};

/// The versions that Kafka added after 4.1, so that the other crate has not.
const NEWER_THAN_4_1: &[(&str, i16)] = &[
    ("ListOffsetsRequest", 11),
    ("ListOffsetsResponse", 11),
    ("OffsetCommitRequest", 10),
    ("OffsetFetchRequest", 10),
    ("WriteTxnMarkersRequest", 2),
    ("WriteTxnMarkersResponse", 2),
    ("DescribeLogDirsRequest", 5),
    ("DescribeLogDirsResponse", 5),
];

/// Compares one message at all common versions; returns the versions that only ours knows.
fn compare<O, T>() -> Vec<(&'static str, i16)>
where
    O: RootMessage + Debug + PartialEq,
    T: Theirs + Encodable + Decodable + Debug,
{
    let config = ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() };
    let mut only_ours = Vec::new();
    for version in O::VALID_VERSIONS.first..=O::VALID_VERSIONS.last {
        if !(T::VERSIONS.min..=T::VERSIONS.max).contains(&version) {
            only_ours.push((O::NAME, version));
            continue;
        }
        // A runner counts its successes, so a used one would run nothing more.
        let result = TestRunner::new(config.clone()).run(&vec(any::<u8>(), 0..400), |choices| {
            let sample = sample::message::<O>(version, &mut sample::Entropy::new(&choices));
            there_and_back::<O, T>(&Bytes::from(sample.plain), version)?;
            there_and_back::<O, T>(&default_bytes::<O>(version), version)
        });
        if let Err(error) = result {
            panic!("{} version {version}: {error}", O::NAME);
        }
    }
    only_ours
}

fn default_bytes<O: RootMessage>(version: i16) -> Bytes {
    sample::message::<O>(version, &mut sample::Entropy::new(&[])).plain.into()
}

fn there_and_back<O, T>(bytes: &Bytes, version: i16) -> Result<(), TestCaseError>
where
    O: RootMessage + Debug + PartialEq,
    T: Encodable + Decodable + Debug,
{
    let message: O = decode(bytes, version);
    let written = encode(&message, version);

    let mut rest = written.clone();
    let other = T::decode(&mut rest, version).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(rest.is_empty(), "{} bytes left by the other: {:?}", rest.len(), other);
    let mut rewritten = BytesMut::new();
    other.encode(&mut rewritten, version).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&rewritten[..], &written[..], "{:?} and {:?}", message, other);
    prop_assert_eq!(decode::<O>(&rewritten.freeze(), version), message);
    Ok(())
}

fn decode<O: RootMessage>(bytes: &Bytes, version: i16) -> O {
    let mut reader = Reader::new(bytes, &DecodeLimits::default());
    let message = O::decode(&mut reader, version).expect("a sample is a message");
    reader.finish().expect("a sample is a whole message");
    message
}

fn encode<O: RootMessage>(message: &O, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(&mut writer, version).expect("a decoded message can be written");
    writer.into_bytes()
}

macro_rules! compare_all {
    ($($module:ident: $($name:ident),+;)+) => {{
        let mut only_ours = Vec::new();
        $($(only_ours.extend(compare::<$module::$name, theirs::$name>());)+)+
        only_ours
    }};
}

#[test]
fn both_codecs_write_and_read_the_same_bytes() {
    let only_ours = compare_all! {
        messages: ProduceRequest, ProduceResponse, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, FindCoordinatorRequest, FindCoordinatorResponse, JoinGroupRequest, JoinGroupResponse, HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse, DescribeGroupsRequest, DescribeGroupsResponse, ListGroupsRequest, ListGroupsResponse, SaslHandshakeRequest, SaslHandshakeResponse, ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DeleteRecordsRequest, DeleteRecordsResponse, InitProducerIdRequest, InitProducerIdResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, EndTxnRequest, EndTxnResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse, DescribeAclsRequest, DescribeAclsResponse, CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeConfigsRequest, DescribeConfigsResponse, AlterConfigsRequest, AlterConfigsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse, SaslAuthenticateRequest, SaslAuthenticateResponse, CreatePartitionsRequest, CreatePartitionsResponse, DeleteGroupsRequest, DeleteGroupsResponse, ElectLeadersRequest, ElectLeadersResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OffsetDeleteRequest, OffsetDeleteResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse, AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, UpdateFeaturesRequest, UpdateFeaturesResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest, DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest, PushTelemetryResponse, ListConfigResourcesRequest, ListConfigResourcesResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
        consumer: ConsumerProtocolSubscription, ConsumerProtocolAssignment;
        records: EndTxnMarker;
    };
    assert_eq!(only_ours, NEWER_THAN_4_1);
}
