//! One file per Kafka API: each translates a request into calls of the domain, and what comes of it into a response.
//! No rule of the domain lives here. [`SERVED`] is the list of what this broker serves, and all that it advertises.

mod acls;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_replica_log_dirs;
pub(crate) mod api_versions;
mod client_quotas;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod features;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod partition_reassignments;
mod produce;
mod sasl;
mod share_acknowledge;
mod share_fetch;
mod share_group_describe;
mod share_group_heartbeat;
mod share_group_offsets;
mod share_group_state;
mod streams_group_describe;
pub(crate) mod streams_group_heartbeat;
mod sync_group;
#[cfg(test)]
mod transaction_tests;
mod transactional;
mod txn_offset_commit;
mod unregister_broker;
mod update_features;
mod user_scram_credentials;
mod write_txn_markers;

use std::sync::Arc;

pub(crate) use api_versions::METADATA_VERSION;
pub(crate) use fetch::Sessions as FetchSessions;

use riverrun_core::{
    log::{AppendError, ProducerError, ReadError},
    protocol::{ApiKey, ErrorCode, RequestBody},
    record::BatchError,
};

use crate::{
    Reply, RequestContext,
    groups::CoordinatorError,
    metadata::ChangeError,
    node::Node,
    quotas,
    security::{
        Permissions,
        guard::{self, Decision},
    },
    storage::{Partition, PartitionReadError, ProduceError},
    topics::TopicError,
};

/// The APIs that are served, each in all versions of the codec.
pub(crate) const SERVED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::SaslHandshake,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::AddPartitionsToTxn,
    ApiKey::AddOffsetsToTxn,
    ApiKey::EndTxn,
    ApiKey::WriteTxnMarkers,
    ApiKey::TxnOffsetCommit,
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::AlterReplicaLogDirs,
    ApiKey::DescribeLogDirs,
    ApiKey::SaslAuthenticate,
    ApiKey::CreatePartitions,
    ApiKey::CreateDelegationToken,
    ApiKey::RenewDelegationToken,
    ApiKey::ExpireDelegationToken,
    ApiKey::DescribeDelegationToken,
    ApiKey::DeleteGroups,
    ApiKey::ElectLeaders,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::OffsetDelete,
    ApiKey::DescribeClientQuotas,
    ApiKey::AlterClientQuotas,
    ApiKey::DescribeUserScramCredentials,
    ApiKey::AlterUserScramCredentials,
    ApiKey::DescribeQuorum,
    ApiKey::DescribeCluster,
    ApiKey::DescribeProducers,
    ApiKey::UnregisterBroker,
    ApiKey::DescribeTransactions,
    ApiKey::ListTransactions,
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::ListConfigResources,
    ApiKey::UpdateFeatures,
    ApiKey::DescribeTopicPartitions,
    ApiKey::ShareGroupHeartbeat,
    ApiKey::ShareGroupDescribe,
    ApiKey::ShareFetch,
    ApiKey::ShareAcknowledge,
    ApiKey::InitializeShareGroupState,
    ApiKey::ReadShareGroupState,
    ApiKey::WriteShareGroupState,
    ApiKey::DeleteShareGroupState,
    ApiKey::ReadShareGroupStateSummary,
    ApiKey::DescribeShareGroupOffsets,
    ApiKey::AlterShareGroupOffsets,
    ApiKey::DeleteShareGroupOffsets,
    ApiKey::StreamsGroupHeartbeat,
    ApiKey::StreamsGroupDescribe,
];

/// Whether an API is served.
pub(crate) fn is_served(key: ApiKey) -> bool {
    SERVED.contains(&key)
}

/// Begins a request, as far as its client may. Whatever it changes has happened when this returns.
pub(crate) fn handle(node: &Arc<Node>, context: &RequestContext, body: RequestBody) -> Reply {
    if !node.quotas.is_active() {
        return permitted(node, context, body);
    }
    quotas::charge(&node.quotas, context, body, |body| permitted(node, context, body))
}

fn permitted(node: &Arc<Node>, context: &RequestContext, body: RequestBody) -> Reply {
    if !node.authorizer.is_enabled() && !guard::wants_operations(&body) {
        return dispatch(node, context, body);
    }
    let permissions = Permissions::new(&node.authorizer, node.image(), context);
    let auto_create = node.start_config.auto_create_topics_enable;
    match guard::decide(permissions, context.api_version, auto_create, body) {
        Decision::Pass(body) => dispatch(node, context, body),
        Decision::Amend(body, amend) => {
            // What is to be amended must be there: records that are sent from their file could not be taken out.
            let context = RequestContext { takes_files: false, ..context.clone() };
            guard::amended(dispatch(node, &context, body), amend)
        }
        Decision::AmendStored(body, amend) => guard::amended_stored(dispatch(node, context, body), amend),
        Decision::Answer(answer) => Reply::Now(answer),
        Decision::PassAndClose(body) => {
            dispatch(node, context, body);
            Reply::Close
        }
        Decision::Close => Reply::Close,
    }
}

fn dispatch(node: &Arc<Node>, context: &RequestContext, body: RequestBody) -> Reply {
    if let Some(refusal) = features::refusal(node, &body) {
        return Reply::Now(refusal);
    }
    match body {
        RequestBody::Produce(request) => produce::handle(node, context, request),
        RequestBody::Fetch(request) => fetch::handle(node, context, request),
        RequestBody::ListOffsets(request) => Reply::now(list_offsets::handle(node, context, &request)),
        RequestBody::Metadata(request) => metadata::handle(node, context, request),
        RequestBody::OffsetCommit(request) => offset_commit::handle(node, context, request),
        RequestBody::OffsetFetch(request) => offset_fetch::handle(node, context, request),
        RequestBody::FindCoordinator(request) => find_coordinator::handle(node, context, request),
        RequestBody::JoinGroup(request) => join_group::handle(node, context, request),
        RequestBody::Heartbeat(request) => Reply::now(heartbeat::handle(node, request)),
        RequestBody::LeaveGroup(request) => leave_group::handle(node, context, request),
        RequestBody::SyncGroup(request) => sync_group::handle(node, request),
        RequestBody::DescribeGroups(request) => Reply::now(describe_groups::handle(node, context, request)),
        RequestBody::ListGroups(request) => Reply::now(list_groups::handle(node, &request)),
        RequestBody::ConsumerGroupHeartbeat(request) => consumer_group_heartbeat::handle(node, context, request),
        RequestBody::ConsumerGroupDescribe(request) => Reply::now(consumer_group_describe::handle(node, request)),
        RequestBody::SaslHandshake(_) => Reply::now(sasl::handshake()),
        RequestBody::SaslAuthenticate(_) => Reply::now(sasl::authenticate()),
        RequestBody::ApiVersions(request) => Reply::now(api_versions::handle(node, context, &request)),
        RequestBody::CreateTopics(request) => create_topics::handle(node, context, request),
        RequestBody::DeleteTopics(request) => delete_topics::handle(node, context, request),
        RequestBody::DeleteRecords(request) => delete_records::handle(node, &request),
        RequestBody::InitProducerId(request) => init_producer_id::handle(node, context, request),
        RequestBody::AddPartitionsToTxn(request) => add_partitions_to_txn::handle(node, context, request),
        RequestBody::AddOffsetsToTxn(request) => add_offsets_to_txn::handle(node, context, request),
        RequestBody::EndTxn(request) => end_txn::handle(node, context, request),
        RequestBody::TxnOffsetCommit(request) => txn_offset_commit::handle(node, context, request),
        RequestBody::DescribeTransactions(request) => Reply::now(describe_transactions::handle(node, request)),
        RequestBody::ListTransactions(request) => Reply::now(list_transactions::handle(node, &request)),
        RequestBody::OffsetForLeaderEpoch(request) => Reply::now(offset_for_leader_epoch::handle(node, &request)),
        RequestBody::WriteTxnMarkers(request) => write_txn_markers::handle(node, &request),
        RequestBody::DescribeProducers(request) => Reply::now(describe_producers::handle(node, &request)),
        RequestBody::DescribeConfigs(request) => Reply::now(describe_configs::handle(node, request)),
        RequestBody::AlterConfigs(request) => alter_configs::handle(node, request),
        RequestBody::IncrementalAlterConfigs(request) => incremental_alter_configs::handle(node, request),
        RequestBody::DescribeLogDirs(request) => Reply::now(describe_log_dirs::handle(node, &request)),
        RequestBody::AlterReplicaLogDirs(request) => Reply::now(alter_replica_log_dirs::handle(node, request)),
        RequestBody::ElectLeaders(request) => Reply::now(elect_leaders::handle(node, &request)),
        RequestBody::AlterPartitionReassignments(request) => Reply::now(partition_reassignments::alter(node, request)),
        RequestBody::ListPartitionReassignments(_) => Reply::now(partition_reassignments::list()),
        RequestBody::DescribeQuorum(request) => Reply::now(describe_quorum::handle(node, context, &request)),
        RequestBody::UnregisterBroker(request) => Reply::now(unregister_broker::handle(node, &request)),
        RequestBody::CreatePartitions(request) => create_partitions::handle(node, context, request),
        RequestBody::CreateDelegationToken(request) => Reply::now(delegation_tokens::create(context, request)),
        RequestBody::RenewDelegationToken(_) => Reply::now(delegation_tokens::renew(context)),
        RequestBody::ExpireDelegationToken(_) => Reply::now(delegation_tokens::expire(context)),
        RequestBody::DescribeDelegationToken(_) => Reply::now(delegation_tokens::describe(context)),
        RequestBody::DeleteGroups(request) => delete_groups::handle(node, request),
        RequestBody::OffsetDelete(request) => offset_delete::handle(node, request),
        RequestBody::DescribeCluster(request) => Reply::now(describe_cluster::handle(node, context, &request)),
        RequestBody::UpdateFeatures(request) => update_features::handle(node, context, request),
        RequestBody::ListConfigResources(request) => Reply::now(list_config_resources::handle(node, context, &request)),
        RequestBody::DescribeTopicPartitions(request) => Reply::now(describe_topic_partitions::handle(node, request)),
        RequestBody::DescribeAcls(request) => Reply::now(acls::describe(node, request)),
        RequestBody::CreateAcls(request) => acls::create(node, request),
        RequestBody::DeleteAcls(request) => acls::delete(node, request),
        RequestBody::DescribeClientQuotas(request) => Reply::now(client_quotas::describe(node, &request)),
        RequestBody::AlterClientQuotas(request) => client_quotas::alter(node, request),
        RequestBody::DescribeUserScramCredentials(request) => {
            Reply::now(user_scram_credentials::describe(node, request))
        }
        RequestBody::AlterUserScramCredentials(request) => user_scram_credentials::alter(node, request),
        RequestBody::ShareGroupHeartbeat(request) => share_group_heartbeat::handle(node, context, request),
        RequestBody::ShareGroupDescribe(request) => Reply::now(share_group_describe::handle(node, request)),
        RequestBody::ShareFetch(request) => share_fetch::handle(node, context, request),
        RequestBody::ShareAcknowledge(request) => share_acknowledge::handle(node, context, request),
        RequestBody::InitializeShareGroupState(request) => share_group_state::initialize(node, request),
        RequestBody::ReadShareGroupState(request) => Reply::now(share_group_state::read(node, &request)),
        RequestBody::WriteShareGroupState(request) => share_group_state::write(node, request),
        RequestBody::DeleteShareGroupState(request) => share_group_state::delete(node, request),
        RequestBody::ReadShareGroupStateSummary(request) => Reply::now(share_group_state::summary(node, &request)),
        RequestBody::DescribeShareGroupOffsets(request) => Reply::now(share_group_offsets::describe(node, request)),
        RequestBody::AlterShareGroupOffsets(request) => share_group_offsets::alter(node, request),
        RequestBody::DeleteShareGroupOffsets(request) => share_group_offsets::delete(node, request),
        RequestBody::StreamsGroupHeartbeat(request) => streams_group_heartbeat::handle(node, context, request),
        RequestBody::StreamsGroupDescribe(request) => Reply::now(streams_group_describe::handle(node, request)),
        // Not advertised; both transports refuse it before it comes here.
        other => {
            tracing::warn!(api_key = other.api_key().name(), "request for an API that is not served");
            Reply::Close
        }
    }
}

/// The code for what a group request was refused with.
fn group_error(error: &CoordinatorError) -> ErrorCode {
    match error {
        CoordinatorError::Loading => ErrorCode::CoordinatorLoadInProgress,
        CoordinatorError::NotAvailable => ErrorCode::CoordinatorNotAvailable,
        CoordinatorError::Group(error) => ErrorCode::from(error),
    }
}

/// The code for why a batch was not appended.
fn produce_code(error: &ProduceError) -> ErrorCode {
    match error {
        ProduceError::Append(error) => match error {
            AppendError::Corrupt(error) => batch_code(error),
            AppendError::NotOneBatch { .. } | AppendError::InvalidRecord { .. } => ErrorCode::InvalidRecord,
            AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            AppendError::InvalidTimestamp { .. } | AppendError::ForeignClock => ErrorCode::InvalidTimestamp,
            AppendError::Producer(ProducerError::OutOfOrderSequence { .. }) => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::Producer(ProducerError::Fenced { .. }) => ErrorCode::InvalidProducerEpoch,
            AppendError::Producer(ProducerError::CoordinatorFenced { .. }) => ErrorCode::TransactionCoordinatorFenced,
            AppendError::Producer(ProducerError::NotInTransaction { .. } | ProducerError::NotVerified { .. }) => {
                ErrorCode::InvalidTxnState
            }
            // Transactions end by themselves, so it may try again.
            AppendError::Producer(ProducerError::TooMany { .. }) => ErrorCode::ThrottlingQuotaExceeded,
            AppendError::Io { .. } | AppendError::Offline { .. } => ErrorCode::KafkaStorageError,
        },
        ProduceError::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
        ProduceError::Gone => ErrorCode::UnknownTopicOrPartition,
    }
}

/// The code for why a producer's bytes are no batch.
fn batch_code(error: &BatchError) -> ErrorCode {
    match error {
        BatchError::UnsupportedMagic { .. } | BatchError::CountMismatch { .. } | BatchError::OffsetGap { .. } => {
            ErrorCode::InvalidRecord
        }
        BatchError::CodecNotBuilt { .. } | BatchError::UnknownCodec { .. } => ErrorCode::UnsupportedCompressionType,
        BatchError::TooShort { .. }
        | BatchError::TrailingBytes { .. }
        | BatchError::InvalidLength { .. }
        | BatchError::InvalidOffsets { .. }
        | BatchError::InvalidRecordCount { .. }
        | BatchError::CrcMismatch { .. }
        | BatchError::Decompress { .. }
        | BatchError::DecompressedTooLarge { .. }
        | BatchError::MalformedRecord { .. }
        | BatchError::BytesAfterLastRecord { .. } => ErrorCode::CorruptMessage,
    }
}

/// The code for why nothing was read.
fn read_code(error: &PartitionReadError) -> ErrorCode {
    match error {
        PartitionReadError::Log(ReadError::OffsetOutOfRange { .. }) => ErrorCode::OffsetOutOfRange,
        PartitionReadError::Log(ReadError::Corrupt { .. } | ReadError::Io { .. } | ReadError::Offline { .. }) => {
            ErrorCode::KafkaStorageError
        }
        PartitionReadError::Gone => ErrorCode::UnknownTopicOrPartition,
    }
}

/// Compares the leader epoch a client believes in with the partition's; -1 is not compared (KIP-320). A partition whose
/// files cannot be used has no leader.
fn check_leader_epoch(partition: &Partition, believed: i32) -> Result<(), ErrorCode> {
    match believed {
        _ if partition.is_offline() => Err(ErrorCode::KafkaStorageError),
        _ if believed < 0 => Ok(()),
        _ if believed < partition.leader_epoch().0 => Err(ErrorCode::FencedLeaderEpoch),
        _ if believed > partition.leader_epoch().0 => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// The code and the words for why the metadata did not change.
fn change_code<E: std::fmt::Display>(
    error: &ChangeError<E>,
    refused: impl FnOnce(&E) -> ErrorCode,
) -> (ErrorCode, String) {
    let code = match error {
        ChangeError::Refused(error) => refused(error),
        ChangeError::NoRoom => ErrorCode::PolicyViolation,
        ChangeError::Log(_) => ErrorCode::KafkaStorageError,
    };
    (code, error.to_string())
}

/// The same for topics.
fn topic_code<E>(error: &ChangeError<TopicError<E>>) -> (ErrorCode, String)
where
    E: std::fmt::Display,
    for<'e> ErrorCode: From<&'e E>,
{
    change_code(error, |error| match error {
        TopicError::Refused(error) => ErrorCode::from(error),
        TopicError::Throttled(_) => ErrorCode::ThrottlingQuotaExceeded,
        TopicError::Storage(_) | TopicError::NotMade { .. } => ErrorCode::KafkaStorageError,
        TopicError::DeletionDisabled => ErrorCode::TopicDeletionDisabled,
        TopicError::Internal { .. } => ErrorCode::InvalidTopicException,
    })
}

/// A text that is null for "none" where the version knows null, and empty where it does not.
fn null_or_empty(nullable: bool, text: Option<String>) -> Option<String> {
    if nullable { text } else { Some(text.unwrap_or_default()) }
}
