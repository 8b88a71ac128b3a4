//! The APIs this codec knows: one table gives [`ApiKey`], the enums over all requests and all responses, and the
//! dispatch by key and version. A line here and a file in `messages/` is all that a further API takes.

use std::{fmt, ops::RangeInclusive};

use super::{
    catalogue::MessageVisitor,
    error::{DecodeError, EncodeError},
    message::{Message, RootMessage, Versions},
    messages::{
        AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
        AddRaftVoterRequest, AddRaftVoterResponse, AlterClientQuotasRequest, AlterClientQuotasResponse,
        AlterConfigsRequest, AlterConfigsResponse, AlterPartitionReassignmentsRequest,
        AlterPartitionReassignmentsResponse, AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
        AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, AlterUserScramCredentialsRequest,
        AlterUserScramCredentialsResponse, ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupDescribeRequest,
        ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        CreateAclsRequest, CreateAclsResponse, CreateDelegationTokenRequest, CreateDelegationTokenResponse,
        CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
        DeleteAclsRequest, DeleteAclsResponse, DeleteGroupsRequest, DeleteGroupsResponse, DeleteRecordsRequest,
        DeleteRecordsResponse, DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse,
        DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        DescribeAclsRequest, DescribeAclsResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
        DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest, DescribeConfigsResponse,
        DescribeDelegationTokenRequest, DescribeDelegationTokenResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest, DescribeProducersResponse,
        DescribeQuorumRequest, DescribeQuorumResponse, DescribeShareGroupOffsetsRequest,
        DescribeShareGroupOffsetsResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
        DescribeTransactionsRequest, DescribeTransactionsResponse, DescribeUserScramCredentialsRequest,
        DescribeUserScramCredentialsResponse, ElectLeadersRequest, ElectLeadersResponse, EndTxnRequest, EndTxnResponse,
        ExpireDelegationTokenRequest, ExpireDelegationTokenResponse, FetchRequest, FetchResponse,
        FindCoordinatorRequest, FindCoordinatorResponse, GetTelemetrySubscriptionsRequest,
        GetTelemetrySubscriptionsResponse, HeartbeatRequest, HeartbeatResponse, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse, InitProducerIdRequest, InitProducerIdResponse,
        InitializeShareGroupStateRequest, InitializeShareGroupStateResponse, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, LeaveGroupResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
        ListGroupsRequest, ListGroupsResponse, ListOffsetsRequest, ListOffsetsResponse,
        ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, ListTransactionsRequest,
        ListTransactionsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetCommitResponse,
        OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse,
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, ProduceRequest, ProduceResponse,
        PushTelemetryRequest, PushTelemetryResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
        ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, RemoveRaftVoterRequest,
        RemoveRaftVoterResponse, RenewDelegationTokenRequest, RenewDelegationTokenResponse, SaslAuthenticateRequest,
        SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, ShareAcknowledgeRequest,
        ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse, ShareGroupDescribeRequest,
        ShareGroupDescribeResponse, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
        StreamsGroupDescribeRequest, StreamsGroupDescribeResponse, StreamsGroupHeartbeatRequest,
        StreamsGroupHeartbeatResponse, SyncGroupRequest, SyncGroupResponse, TxnOffsetCommitRequest,
        TxnOffsetCommitResponse, UnregisterBrokerRequest, UnregisterBrokerResponse, UpdateFeaturesRequest,
        UpdateFeaturesResponse, WriteShareGroupStateRequest, WriteShareGroupStateResponse, WriteTxnMarkersRequest,
        WriteTxnMarkersResponse,
    },
    reader::Reader,
    writer::Writer,
};

/// A request message, with what belongs to it.
pub trait Request: RootMessage + Into<RequestBody> {
    /// Its API key.
    const KEY: ApiKey;
    /// The versions the codec reads and writes.
    const VERSIONS: RangeInclusive<i16> = Self::VALID_VERSIONS.first..=Self::VALID_VERSIONS.last;
    /// The first version in flexible form; `i16::MAX` if there is none.
    const FLEXIBLE_FROM: i16 = flexible_from(Self::FLEXIBLE_VERSIONS);
    /// The answer to it.
    type Response: RootMessage + Into<ResponseBody> + TryFrom<ResponseBody, Error = UnexpectedResponse>;
}

const fn flexible_from(flexible: Versions) -> i16 {
    if flexible.is_empty() { i16::MAX } else { flexible.first }
}

/// An API key that this codec has no messages for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("API key {0} is unknown")]
pub struct UnknownApiKey(pub i16);

/// A response body of another API than the one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a response of {expected}, got one of {found}")]
pub struct UnexpectedResponse {
    /// The API that was asked for.
    pub expected: ApiKey,
    /// The API that the body belongs to.
    pub found: ApiKey,
}

macro_rules! apis {
    ($($api:ident = $key:literal: $request:ident => $response:ident),+ $(,)?) => {
        /// The APIs this codec has messages for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        #[non_exhaustive]
        pub enum ApiKey {
            $(
                #[doc = concat!("See [`", stringify!($request), "`].")]
                $api = $key,
            )+
        }

        impl ApiKey {
            /// Every API, by ascending key.
            pub const ALL: &'static [Self] = &[$(Self::$api),+];

            /// The number on the wire.
            pub const fn code(self) -> i16 {
                self as i16
            }

            /// Kafka's name of the API.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$api => stringify!($api),)+
                }
            }

            pub(crate) const fn valid_versions(self) -> Versions {
                match self {
                    $(Self::$api => $request::VALID_VERSIONS,)+
                }
            }

            pub(crate) const fn flexible_versions(self) -> Versions {
                match self {
                    $(Self::$api => $request::FLEXIBLE_VERSIONS,)+
                }
            }
        }

        impl TryFrom<i16> for ApiKey {
            type Error = UnknownApiKey;

            fn try_from(code: i16) -> Result<Self, UnknownApiKey> {
                match code {
                    $($key => Ok(Self::$api),)+
                    _ => Err(UnknownApiKey(code)),
                }
            }
        }

        /// A request of any API.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum RequestBody {
            $(
                #[doc = concat!("A request of ", stringify!($api), ".")]
                $api($request),
            )+
        }

        impl RequestBody {
            /// The API it belongs to.
            pub const fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api,)+
                }
            }

            pub(crate) fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(Self::$api(request) => request.encode(writer, version),)+
                }
            }

            pub(crate) fn decode(key: ApiKey, reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
                match key {
                    $(ApiKey::$api => $request::decode(reader, version).map(Self::$api),)+
                }
            }
        }

        /// A response of any API.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum ResponseBody {
            $(
                #[doc = concat!("A response of ", stringify!($api), ".")]
                $api($response),
            )+
        }

        impl ResponseBody {
            /// The API it belongs to.
            pub const fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api,)+
                }
            }

            /// Where it says how long the client is to wait for the sake of a quota; none if it cannot say so.
            pub fn throttle_time_ms_mut(&mut self) -> Option<&mut i32> {
                match self {
                    $(Self::$api(response) => response.throttle_time_ms_mut(),)+
                }
            }

            pub(crate) fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(Self::$api(response) => response.encode(writer, version),)+
                }
            }

            pub(crate) fn decode(key: ApiKey, reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
                match key {
                    $(ApiKey::$api => $response::decode(reader, version).map(Self::$api),)+
                }
            }
        }

        pub(crate) fn visit_apis(visitor: &mut impl MessageVisitor) {
            $(
                visitor.visit::<$request>();
                visitor.visit::<$response>();
            )+
        }

        $(
            impl Request for $request {
                const KEY: ApiKey = ApiKey::$api;
                type Response = $response;
            }

            impl From<$request> for RequestBody {
                fn from(request: $request) -> Self {
                    Self::$api(request)
                }
            }

            impl From<$response> for ResponseBody {
                fn from(response: $response) -> Self {
                    Self::$api(response)
                }
            }

            impl TryFrom<ResponseBody> for $response {
                type Error = UnexpectedResponse;

                fn try_from(body: ResponseBody) -> Result<Self, UnexpectedResponse> {
                    match body {
                        ResponseBody::$api(response) => Ok(response),
                        other => Err(UnexpectedResponse { expected: ApiKey::$api, found: other.api_key() }),
                    }
                }
            }

            const _: () = assert!(
                matches!($request::MESSAGE_KEY, Some($key)) && matches!($response::MESSAGE_KEY, Some($key)),
                "the key here and the one on the message differ",
            );
        )+
    };
}

apis! {
    Produce = 0: ProduceRequest => ProduceResponse,
    Fetch = 1: FetchRequest => FetchResponse,
    ListOffsets = 2: ListOffsetsRequest => ListOffsetsResponse,
    Metadata = 3: MetadataRequest => MetadataResponse,
    OffsetCommit = 8: OffsetCommitRequest => OffsetCommitResponse,
    OffsetFetch = 9: OffsetFetchRequest => OffsetFetchResponse,
    FindCoordinator = 10: FindCoordinatorRequest => FindCoordinatorResponse,
    JoinGroup = 11: JoinGroupRequest => JoinGroupResponse,
    Heartbeat = 12: HeartbeatRequest => HeartbeatResponse,
    LeaveGroup = 13: LeaveGroupRequest => LeaveGroupResponse,
    SyncGroup = 14: SyncGroupRequest => SyncGroupResponse,
    DescribeGroups = 15: DescribeGroupsRequest => DescribeGroupsResponse,
    ListGroups = 16: ListGroupsRequest => ListGroupsResponse,
    SaslHandshake = 17: SaslHandshakeRequest => SaslHandshakeResponse,
    ApiVersions = 18: ApiVersionsRequest => ApiVersionsResponse,
    CreateTopics = 19: CreateTopicsRequest => CreateTopicsResponse,
    DeleteTopics = 20: DeleteTopicsRequest => DeleteTopicsResponse,
    DeleteRecords = 21: DeleteRecordsRequest => DeleteRecordsResponse,
    InitProducerId = 22: InitProducerIdRequest => InitProducerIdResponse,
    OffsetForLeaderEpoch = 23: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
    AddPartitionsToTxn = 24: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse,
    AddOffsetsToTxn = 25: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse,
    EndTxn = 26: EndTxnRequest => EndTxnResponse,
    WriteTxnMarkers = 27: WriteTxnMarkersRequest => WriteTxnMarkersResponse,
    TxnOffsetCommit = 28: TxnOffsetCommitRequest => TxnOffsetCommitResponse,
    DescribeAcls = 29: DescribeAclsRequest => DescribeAclsResponse,
    CreateAcls = 30: CreateAclsRequest => CreateAclsResponse,
    DeleteAcls = 31: DeleteAclsRequest => DeleteAclsResponse,
    DescribeConfigs = 32: DescribeConfigsRequest => DescribeConfigsResponse,
    AlterConfigs = 33: AlterConfigsRequest => AlterConfigsResponse,
    AlterReplicaLogDirs = 34: AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse,
    DescribeLogDirs = 35: DescribeLogDirsRequest => DescribeLogDirsResponse,
    SaslAuthenticate = 36: SaslAuthenticateRequest => SaslAuthenticateResponse,
    CreatePartitions = 37: CreatePartitionsRequest => CreatePartitionsResponse,
    CreateDelegationToken = 38: CreateDelegationTokenRequest => CreateDelegationTokenResponse,
    RenewDelegationToken = 39: RenewDelegationTokenRequest => RenewDelegationTokenResponse,
    ExpireDelegationToken = 40: ExpireDelegationTokenRequest => ExpireDelegationTokenResponse,
    DescribeDelegationToken = 41: DescribeDelegationTokenRequest => DescribeDelegationTokenResponse,
    DeleteGroups = 42: DeleteGroupsRequest => DeleteGroupsResponse,
    ElectLeaders = 43: ElectLeadersRequest => ElectLeadersResponse,
    IncrementalAlterConfigs = 44: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    AlterPartitionReassignments = 45: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse,
    ListPartitionReassignments = 46: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse,
    OffsetDelete = 47: OffsetDeleteRequest => OffsetDeleteResponse,
    DescribeClientQuotas = 48: DescribeClientQuotasRequest => DescribeClientQuotasResponse,
    AlterClientQuotas = 49: AlterClientQuotasRequest => AlterClientQuotasResponse,
    DescribeUserScramCredentials = 50: DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse,
    AlterUserScramCredentials = 51: AlterUserScramCredentialsRequest => AlterUserScramCredentialsResponse,
    DescribeQuorum = 55: DescribeQuorumRequest => DescribeQuorumResponse,
    UpdateFeatures = 57: UpdateFeaturesRequest => UpdateFeaturesResponse,
    DescribeCluster = 60: DescribeClusterRequest => DescribeClusterResponse,
    DescribeProducers = 61: DescribeProducersRequest => DescribeProducersResponse,
    UnregisterBroker = 64: UnregisterBrokerRequest => UnregisterBrokerResponse,
    DescribeTransactions = 65: DescribeTransactionsRequest => DescribeTransactionsResponse,
    ListTransactions = 66: ListTransactionsRequest => ListTransactionsResponse,
    ConsumerGroupHeartbeat = 68: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
    ConsumerGroupDescribe = 69: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse,
    GetTelemetrySubscriptions = 71: GetTelemetrySubscriptionsRequest => GetTelemetrySubscriptionsResponse,
    PushTelemetry = 72: PushTelemetryRequest => PushTelemetryResponse,
    ListConfigResources = 74: ListConfigResourcesRequest => ListConfigResourcesResponse,
    DescribeTopicPartitions = 75: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse,
    ShareGroupHeartbeat = 76: ShareGroupHeartbeatRequest => ShareGroupHeartbeatResponse,
    ShareGroupDescribe = 77: ShareGroupDescribeRequest => ShareGroupDescribeResponse,
    ShareFetch = 78: ShareFetchRequest => ShareFetchResponse,
    ShareAcknowledge = 79: ShareAcknowledgeRequest => ShareAcknowledgeResponse,
    AddRaftVoter = 80: AddRaftVoterRequest => AddRaftVoterResponse,
    RemoveRaftVoter = 81: RemoveRaftVoterRequest => RemoveRaftVoterResponse,
    InitializeShareGroupState = 83: InitializeShareGroupStateRequest => InitializeShareGroupStateResponse,
    ReadShareGroupState = 84: ReadShareGroupStateRequest => ReadShareGroupStateResponse,
    WriteShareGroupState = 85: WriteShareGroupStateRequest => WriteShareGroupStateResponse,
    DeleteShareGroupState = 86: DeleteShareGroupStateRequest => DeleteShareGroupStateResponse,
    ReadShareGroupStateSummary = 87: ReadShareGroupStateSummaryRequest => ReadShareGroupStateSummaryResponse,
    StreamsGroupHeartbeat = 88: StreamsGroupHeartbeatRequest => StreamsGroupHeartbeatResponse,
    StreamsGroupDescribe = 89: StreamsGroupDescribeRequest => StreamsGroupDescribeResponse,
    DescribeShareGroupOffsets = 90: DescribeShareGroupOffsetsRequest => DescribeShareGroupOffsetsResponse,
    AlterShareGroupOffsets = 91: AlterShareGroupOffsetsRequest => AlterShareGroupOffsetsResponse,
    DeleteShareGroupOffsets = 92: DeleteShareGroupOffsetsRequest => DeleteShareGroupOffsetsResponse,
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The versions of an API that the codec reads and writes.
pub const fn supported_versions(key: ApiKey) -> RangeInclusive<i16> {
    let Versions { first, last } = key.valid_versions();
    first..=last
}

/// The versions of an API that a broker should announce. The same as [`supported_versions`] but for Produce, which is
/// announced from 0 though only 3 and later can be read: older librdkafka turns compression off otherwise (KAFKA-18659).
pub const fn advertised_versions(key: ApiKey) -> RangeInclusive<i16> {
    let Versions { first, last } = key.valid_versions();
    match key {
        ApiKey::Produce => 0..=last,
        _ => first..=last,
    }
}

/// Whether a version of an API is in flexible form (KIP-482); that decides the header's form too.
pub const fn is_flexible(key: ApiKey, version: i16) -> bool {
    key.flexible_versions().contains(version)
}
