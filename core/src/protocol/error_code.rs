//! Kafka's error codes: one table of number, name, whether a client may try again, and what the code says.
//!
//! Message fields hold the bare `i16`, since a peer may send a code that is not in the table. Which codes are retriable
//! follows the Java client (`Errors.java`: exceptions that extend `RetriableException`).

use std::fmt;

macro_rules! error_codes {
    ($($variant:ident = $code:literal, $name:literal, $retry:ident, $message:literal;)+) => {
        /// An error code of the Kafka protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i16)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $message] $variant = $code,)+
        }

        impl ErrorCode {
            /// Every code, by ascending number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number on the wire.
            pub const fn code(self) -> i16 {
                self as i16
            }

            /// Reads a number off the wire. A code of a later Kafka, which is in no table of ours, is
            /// [`ErrorCode::UnknownServerError`], as in the Java client.
            pub const fn from_code(code: i16) -> Self {
                match code {
                    $($code => Self::$variant,)+
                    _ => Self::UnknownServerError,
                }
            }

            /// Kafka's name of the code.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What the code says.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)+
                }
            }

            /// Whether the same request may succeed later.
            pub const fn is_retriable(self) -> bool {
                match self {
                    $(Self::$variant => error_codes!(@ $retry),)+
                }
            }
        }
    };
    (@ retriable) => { true };
    (@ final) => { false };
}

error_codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", final, "the broker failed in an unforeseen way";
    None = 0, "NONE", final, "no error";
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", final, "the offset lies outside what the partition holds";
    CorruptMessage = 2, "CORRUPT_MESSAGE", retriable, "the record batch is damaged";
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", retriable, "no such topic or partition here";
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", final, "the fetch size is invalid";
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", retriable, "the partition has no leader at present";
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", retriable, "this broker does not lead, or does not replicate, the partition";
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", retriable, "the operation did not finish in time";
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", final, "the broker is not available";
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", retriable, "the replica is not available";
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", final, "the record batch is larger than the topic allows";
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", final, "the controller epoch is out of date";
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", final, "the commit's metadata text is too long";
    NetworkException = 13, "NETWORK_EXCEPTION", retriable, "the connection broke before an answer came";
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", retriable, "the coordinator is still reading its state";
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", retriable, "no coordinator is available";
    NotCoordinator = 16, "NOT_COORDINATOR", retriable, "this broker is not the coordinator";
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", final, "the topic name is invalid";
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", final, "the record batch is larger than a segment";
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", retriable, "too few replicas are in sync";
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retriable, "the records were appended, but then too few replicas were in sync";
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", final, "acks is none of -1, 0, 1";
    IllegalGeneration = 22, "ILLEGAL_GENERATION", final, "the group has moved on to another generation";
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", final, "the member's protocols do not fit those of the group";
    InvalidGroupId = 24, "INVALID_GROUP_ID", final, "the group id is invalid";
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", final, "the group does not know this member";
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", final, "the session timeout lies outside the allowed range";
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", final, "the group is rebalancing, so join again";
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", final, "the committed offset record is too large";
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", final, "not allowed on this topic";
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", final, "not allowed on this group";
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", final, "not allowed on the cluster";
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", final, "the record's timestamp lies outside the allowed range";
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", final, "the SASL mechanism is not enabled";
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", final, "this request is not allowed in this state of authentication";
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", final, "the version of this API is not supported";
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", final, "a topic of this name exists";
    InvalidPartitions = 37, "INVALID_PARTITIONS", final, "the number of partitions is invalid";
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", final, "the replication factor is invalid";
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", final, "the assignment of replicas is invalid";
    InvalidConfig = 40, "INVALID_CONFIG", final, "the configuration is invalid";
    NotController = 41, "NOT_CONTROLLER", retriable, "this broker is not the controller";
    InvalidRequest = 42, "INVALID_REQUEST", final, "the request contradicts itself or the state of the connection";
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", final, "the message format does not support this";
    PolicyViolation = 44, "POLICY_VIOLATION", final, "a policy of the cluster forbids this";
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", final, "the producer's sequence number leaves a gap";
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", final, "the producer's sequence number was already used";
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", final, "the producer epoch is older than the current one";
    InvalidTxnState = 48, "INVALID_TXN_STATE", final, "the transaction is in a state that does not allow this";
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", final, "the producer id does not belong to this transactional id";
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", final, "the transaction timeout is above the allowed maximum";
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", retriable, "another change of this transaction is under way";
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", final, "the transaction coordinator's epoch is out of date";
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", final, "not allowed on this transactional id";
    SecurityDisabled = 54, "SECURITY_DISABLED", final, "security features are turned off";
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", final, "not tried, because another part of the request failed";
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", retriable, "the disk failed under the partition";
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", final, "no such log directory";
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", final, "authentication failed";
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", final, "nothing is known of this producer id any more";
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", final, "the partition is being reassigned";
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", final, "delegation tokens are turned off";
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", final, "no such delegation token";
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", final, "the delegation token belongs to another principal";
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", final, "delegation tokens may not be requested over this connection";
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", final, "not allowed on this delegation token";
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", final, "the delegation token has expired";
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", final, "the principal's type is not supported";
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", final, "the group still has members";
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", final, "no such group";
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", retriable, "no such fetch session";
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", retriable, "the fetch session's epoch is not the expected one";
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", retriable, "the leader has no listener of the name the client uses";
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", final, "deleting topics is turned off";
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", retriable, "the leader epoch is older than the broker's";
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", retriable, "the leader epoch is newer than the broker's";
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", final, "the compression type is not supported by this version";
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", final, "the broker epoch is out of date";
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", retriable, "the leader has not yet caught up with its own high watermark";
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", final, "join again with the member id in this reply";
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", retriable, "the preferred leader is not available";
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", final, "the group is full";
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", final, "another member has taken over this static member id";
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", retriable, "no replica is eligible to lead";
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", retriable, "the leader is already the one wanted";
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", final, "the partition is not being reassigned";
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", final, "the group is subscribed to this topic";
    InvalidRecord = 87, "INVALID_RECORD", final, "a record breaks the topic's rules";
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", retriable, "offsets of an open transaction are pending";
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", retriable, "the quota is used up";
    ProducerFenced = 90, "PRODUCER_FENCED", final, "a newer producer with this transactional id has taken over";
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", final, "no such resource";
    DuplicateResource = 92, "DUPLICATE_RESOURCE", final, "the resource is named twice or exists already";
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", final, "the credential is not acceptable";
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", final, "the set of voters is inconsistent";
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", final, "the feature level cannot be changed in this way";
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", final, "the feature levels could not be changed";
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", final, "the forwarded principal cannot be read";
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", final, "no such snapshot";
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", final, "the position lies outside the snapshot";
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", retriable, "no such topic id";
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", final, "this broker id is already registered";
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", final, "this broker id is not registered";
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", retriable, "the topic id does not fit the log's";
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", final, "the cluster id does not fit this cluster";
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", final, "no such transactional id";
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", retriable, "the fetch session mixes topic ids and topic names";
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", final, "the replica may not join the in-sync set";
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", final, "a new leader has been elected in the meantime";
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", final, "the offset has moved to tiered storage";
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", final, "the member's epoch is out of date, so rejoin";
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", final, "another member still holds this instance id";
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", final, "none of the member's assignors is supported";
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", final, "the member's epoch is behind, so wait for the next heartbeat";
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", final, "the request was meant for another kind of endpoint";
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", final, "this kind of endpoint is not supported";
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", final, "no such controller";
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", final, "no such telemetry subscription";
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", final, "the telemetry data is too large";
    InvalidRegistration = 119, "INVALID_REGISTRATION", final, "the broker's registration is invalid";
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", final, "the transaction must be aborted";
    InvalidRecordState = 121, "INVALID_RECORD_STATE", final, "the record is not in a state that allows this";
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", retriable, "no such share session";
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", retriable, "the share session's epoch is not the expected one";
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", final, "the share group's state epoch is out of date";
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", final, "the voter's key does not fit";
    DuplicateVoter = 126, "DUPLICATE_VOTER", final, "the voter is already in the set";
    VoterNotFound = 127, "VOTER_NOT_FOUND", final, "no such voter";
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", final, "the regular expression is invalid";
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", final, "forget all metadata and bootstrap again";
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", final, "the topology is invalid";
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", final, "the topology's epoch is invalid";
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", final, "the topology's epoch is out of date";
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", retriable, "too many share sessions";
}

impl ErrorCode {
    /// Whether this is [`ErrorCode::None`].
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// `Ok` for [`ErrorCode::None`] and the code itself for all others.
    ///
    /// # Errors
    /// The code, if it says that something went wrong.
    pub const fn ok(self) -> Result<(), Self> {
        match self {
            Self::None => Ok(()),
            code => Err(code),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.code(), self.message())
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), *code);
        }
        assert_eq!(ErrorCode::from_code(9999), ErrorCode::UnknownServerError);
    }
}
