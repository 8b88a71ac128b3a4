//! What each API asks of the access rules, apart from its handler: the parts of a request that are not allowed are taken
//! out before it is handled, and answered in their place afterwards.
//!
//! What only reads is handled whole and amended, since sessions and listings make the request say less than the answer;
//! what changes something is cut down first. A name that a client may not see is answered the same whether it exists
//! or not. An API that is not in this table is refused as long as there are access rules.
//!
//! | resource not allowed | code |
//! |---|---|
//! | topic | TOPIC_AUTHORIZATION_FAILED (29); by id alone UNKNOWN_TOPIC_ID (100) |
//! | group | GROUP_AUTHORIZATION_FAILED (30) |
//! | cluster | CLUSTER_AUTHORIZATION_FAILED (31) |
//! | transactional id | TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53) |
//!
//! Source: Kafka `KafkaApis`, `ControllerApis`, `AclApis`, `AuthHelper`.

mod admin;
mod cluster;
mod data;
mod groups;
mod placement;
mod share;
mod streams;
#[cfg(test)]
mod tests;
mod transactions;

use futures::FutureExt;
use riverrun_core::protocol::{ErrorCode, RequestBody, ResponseBody};

use super::Permissions;
use crate::{Reply, reply::Stored};

const TOPIC_DENIED: i16 = ErrorCode::TopicAuthorizationFailed.code();
const GROUP_DENIED: i16 = ErrorCode::GroupAuthorizationFailed.code();
const CLUSTER_DENIED: i16 = ErrorCode::ClusterAuthorizationFailed.code();
const TRANSACTIONAL_ID_DENIED: i16 = ErrorCode::TransactionalIdAuthorizationFailed.code();

/// Puts what was taken out of a request into its answer.
pub(crate) type Amend = Box<dyn FnOnce(&mut ResponseBody) + Send>;

/// The same for an answer whose records may still be in their files.
pub(crate) type AmendStored = Box<dyn FnOnce(&mut Stored) + Send>;

/// What becomes of a request.
pub(crate) enum Decision {
    /// It is handled as it is.
    Pass(RequestBody),
    /// It is handled, and its answer amended.
    Amend(RequestBody, Amend),
    /// The same where records may be sent from their files: what is not allowed is taken out of both.
    AmendStored(RequestBody, AmendStored),
    /// It is answered without being handled.
    Answer(ResponseBody),
    /// It is handled, and the connection closed: it has no answer in which to say what was not allowed.
    PassAndClose(RequestBody),
    /// The connection is closed.
    Close,
}

impl Decision {
    fn answer(response: impl Into<ResponseBody>) -> Self {
        Self::Answer(response.into())
    }

    fn amend<R>(request: impl Into<RequestBody>, amend: impl FnOnce(&mut R) + Send + 'static) -> Self
    where
        R: TryFrom<ResponseBody> + Into<ResponseBody> + Default,
    {
        let amend = move |body: &mut ResponseBody| {
            let taken = std::mem::replace(body, ResponseBody::Heartbeat(Default::default()));
            if let Ok(mut response) = R::try_from(taken) {
                amend(&mut response);
                *body = response.into();
            }
        };
        Self::Amend(request.into(), Box::new(amend))
    }
}

/// Whether a request wants to know what the client may do, which is told without access rules too.
pub(crate) fn wants_operations(body: &RequestBody) -> bool {
    match body {
        RequestBody::Metadata(request) => {
            request.include_topic_authorized_operations || request.include_cluster_authorized_operations
        }
        RequestBody::DescribeGroups(request) => request.include_authorized_operations,
        RequestBody::ConsumerGroupDescribe(request) => request.include_authorized_operations,
        RequestBody::ShareGroupDescribe(request) => request.include_authorized_operations,
        RequestBody::StreamsGroupDescribe(request) => request.include_authorized_operations,
        RequestBody::DescribeCluster(request) => request.include_cluster_authorized_operations,
        RequestBody::DescribeTopicPartitions(_) => true,
        _ => false,
    }
}

/// Decides on a request.
pub(crate) fn decide(permissions: Permissions, version: i16, auto_create: bool, body: RequestBody) -> Decision {
    let may = permissions;
    match body {
        // Who may not even know the versions could not be told anything.
        RequestBody::ApiVersions(_) | RequestBody::SaslHandshake(_) | RequestBody::SaslAuthenticate(_) => {
            Decision::Pass(body)
        }
        // There are none: everybody is told so.
        RequestBody::CreateDelegationToken(_)
        | RequestBody::RenewDelegationToken(_)
        | RequestBody::ExpireDelegationToken(_)
        | RequestBody::DescribeDelegationToken(_) => Decision::Pass(body),
        RequestBody::Produce(request) => data::produce(&may, request),
        RequestBody::Fetch(request) => data::fetch(may, request),
        RequestBody::ListOffsets(request) => data::list_offsets(may, request),
        RequestBody::OffsetForLeaderEpoch(request) => data::offset_for_leader_epoch(may, request),
        RequestBody::DeleteRecords(request) => data::delete_records(&may, request),
        RequestBody::Metadata(request) => cluster::metadata(may, version, auto_create, request),
        RequestBody::DescribeTopicPartitions(request) => cluster::describe_topic_partitions(may, request),
        RequestBody::DescribeCluster(request) => cluster::describe_cluster(may, request),
        RequestBody::DescribeLogDirs(request) => cluster::describe_log_dirs(&may, request),
        RequestBody::ElectLeaders(request) => placement::elect_leaders(&may, request),
        RequestBody::AlterPartitionReassignments(request) => placement::alter_reassignments(&may, request),
        RequestBody::ListPartitionReassignments(request) => placement::list_reassignments(&may, request),
        RequestBody::DescribeQuorum(request) => placement::describe_quorum(&may, request),
        RequestBody::AlterReplicaLogDirs(request) => placement::alter_log_dirs(&may, request),
        RequestBody::UnregisterBroker(request) => placement::unregister_broker(&may, request),
        RequestBody::JoinGroup(request) => groups::join(&may, request),
        RequestBody::SyncGroup(request) => groups::sync(&may, request),
        RequestBody::Heartbeat(request) => groups::heartbeat(&may, request),
        RequestBody::LeaveGroup(request) => groups::leave(&may, request),
        RequestBody::OffsetCommit(request) => groups::offset_commit(&may, request),
        RequestBody::OffsetFetch(request) => groups::offset_fetch(may, request),
        RequestBody::OffsetDelete(request) => groups::offset_delete(&may, request),
        RequestBody::FindCoordinator(request) => groups::find_coordinator(&may, version, request),
        RequestBody::DescribeGroups(request) => groups::describe(may, request),
        RequestBody::ListGroups(request) => groups::list(may, request),
        RequestBody::ConsumerGroupHeartbeat(request) => groups::consumer_heartbeat(&may, request),
        RequestBody::ConsumerGroupDescribe(request) => groups::consumer_describe(may, request),
        RequestBody::DeleteGroups(request) => groups::delete(&may, request),
        RequestBody::InitProducerId(request) => transactions::init_producer_id(&may, request),
        RequestBody::AddPartitionsToTxn(request) => transactions::add_partitions(&may, request),
        RequestBody::AddOffsetsToTxn(request) => transactions::add_offsets(&may, request),
        RequestBody::EndTxn(request) => transactions::end(&may, request),
        RequestBody::TxnOffsetCommit(request) => transactions::offset_commit(&may, request),
        RequestBody::WriteTxnMarkers(request) => transactions::write_markers(&may, request),
        RequestBody::DescribeProducers(request) => transactions::describe_producers(may, request),
        RequestBody::DescribeTransactions(request) => transactions::describe(may, request),
        RequestBody::ListTransactions(request) => transactions::list(may, request),
        RequestBody::CreateTopics(request) => admin::create_topics(may, request),
        RequestBody::DeleteTopics(request) => admin::delete_topics(&may, request),
        RequestBody::CreatePartitions(request) => admin::create_partitions(&may, request),
        RequestBody::DescribeConfigs(request) => admin::describe_configs(may, request),
        RequestBody::AlterConfigs(request) => admin::alter_configs(&may, request),
        RequestBody::IncrementalAlterConfigs(request) => admin::incremental_alter_configs(&may, request),
        RequestBody::ListConfigResources(request) => admin::list_config_resources(&may, request),
        RequestBody::UpdateFeatures(request) => admin::update_features(&may, request),
        RequestBody::CreateAcls(request) => admin::create_acls(&may, request),
        RequestBody::DeleteAcls(request) => admin::delete_acls(&may, request),
        RequestBody::DescribeAcls(request) => admin::describe_acls(&may, request),
        RequestBody::DescribeClientQuotas(request) => admin::describe_quotas(&may, request),
        RequestBody::AlterClientQuotas(request) => admin::alter_quotas(&may, request),
        RequestBody::DescribeUserScramCredentials(request) => admin::describe_scram(&may, request),
        RequestBody::AlterUserScramCredentials(request) => admin::alter_scram(&may, request),
        RequestBody::StreamsGroupHeartbeat(request) => streams::heartbeat(&may, request),
        RequestBody::StreamsGroupDescribe(request) => streams::describe(may, request),
        RequestBody::ShareGroupHeartbeat(request) => share::heartbeat(&may, request),
        RequestBody::ShareGroupDescribe(request) => share::describe(may, request),
        RequestBody::ShareFetch(request) => share::fetch(may, request),
        RequestBody::ShareAcknowledge(request) => share::acknowledge(&may, request),
        RequestBody::InitializeShareGroupState(_)
        | RequestBody::ReadShareGroupState(_)
        | RequestBody::WriteShareGroupState(_)
        | RequestBody::DeleteShareGroupState(_)
        | RequestBody::ReadShareGroupStateSummary(_) => share::state(&may, body),
        RequestBody::DescribeShareGroupOffsets(request) => share::describe_offsets(may, request),
        RequestBody::AlterShareGroupOffsets(request) => share::alter_offsets(&may, request),
        RequestBody::DeleteShareGroupOffsets(request) => share::delete_offsets(&may, request),
        other if !may.is_checked() => Decision::Pass(other),
        other => {
            tracing::warn!(api_key = other.api_key().name(), "refused: no access rule speaks of this API");
            Decision::Close
        }
    }
}

/// Amends an answer, whenever it comes.
pub(crate) fn amended(reply: Reply, amend: Amend) -> Reply {
    match reply {
        Reply::Now(mut body) => {
            amend(&mut body);
            Reply::Now(body)
        }
        Reply::Later(body) => Reply::Later(Box::pin(body.map(|mut body| {
            amend(&mut body);
            body
        }))),
        // Nothing that cannot be amended may leave.
        Reply::Stored(_) | Reply::StoredLater(_) => Reply::Close,
        Reply::Never => Reply::Never,
        Reply::Close => Reply::Close,
    }
}

/// Amends an answer whose records may be in files, whenever it comes.
pub(crate) fn amended_stored(reply: Reply, amend: AmendStored) -> Reply {
    match reply {
        Reply::Now(body) => {
            let mut stored = Stored::in_memory(body);
            amend(&mut stored);
            Reply::Now(stored.body)
        }
        Reply::Later(body) => Reply::Later(Box::pin(body.map(|body| {
            let mut stored = Stored::in_memory(body);
            amend(&mut stored);
            stored.body
        }))),
        Reply::Stored(mut stored) => {
            amend(&mut stored);
            (*stored).into()
        }
        Reply::StoredLater(stored) => Reply::stored_later(stored.map(|mut stored| {
            amend(&mut stored);
            stored
        })),
        Reply::Never => Reply::Never,
        Reply::Close => Reply::Close,
    }
}

/// Parts a list in those that fit and those that do not.
fn part<T>(all: Vec<T>, fits: impl Fn(&T) -> bool) -> (Vec<T>, Vec<T>) {
    all.into_iter().partition(fits)
}
