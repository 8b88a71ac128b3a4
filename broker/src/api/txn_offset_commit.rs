//! TxnOffsetCommit (API key 28): a group's positions are stored as part of a transaction (KIP-98). v3: the member commits
//! under its generation (KIP-447); v4: TRANSACTION_ABORTABLE; v5: the group joins the transaction by itself (KIP-890).

use std::sync::Arc;

use riverrun_core::{
    TopicPartition,
    group::{self, CommitOutcome, GenerationId, GroupError, GroupId, InstanceId, MemberId, OffsetToCommit},
    protocol::{
        ErrorCode,
        messages::{
            TxnOffsetCommitRequest, TxnOffsetCommitResponse,
            txn_offset_commit::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic},
        },
    },
    transaction::{TransactionError, TransactionalId},
};

use super::{group_error, transactional};
use crate::{
    Reply, RequestContext,
    groups::{self, Pending},
    node::Node,
    transactions::{CoordinatorError, Verification},
};

/// The first version whose clients know TRANSACTION_ABORTABLE.
const ABORTABLE: i16 = 4;
/// The first version in which the group joins the transaction without being added before.
const ADDS_GROUP: i16 = 5;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: TxnOffsetCommitRequest) -> Reply {
    let version = context.api_version;
    let (mut response, command) = check_partitions(node, &request);
    if request.group_id.is_empty() {
        fill(&mut response, std::iter::repeat(ErrorCode::InvalidGroupId));
        return Reply::now(response);
    }
    let verification = Verification {
        transactional_id: TransactionalId::from(request.transactional_id),
        producer: transactional::producer(request.producer_id, request.producer_epoch),
        adds: version >= ADDS_GROUP,
    };
    // A task of its own: a caller that goes away does not leave half of it.
    let committing = node.tasks.spawn_on(commit(Arc::clone(node), verification, command), &node.runtime);
    Reply::later(async move {
        let unavailable = Err(Refusal::Transaction(CoordinatorError::NotAvailable));
        match committing.await.unwrap_or(unavailable) {
            Ok(outcomes) => {
                let code = |outcome: &CommitOutcome| match outcome {
                    Ok(()) => ErrorCode::None,
                    Err(error) => ErrorCode::from(error),
                };
                fill(&mut response, outcomes.iter().map(code));
            }
            Err(refusal) => fill(&mut response, std::iter::repeat(refusal.code(version))),
        }
        response
    })
}

/// Why no position is stored.
enum Refusal {
    Transaction(CoordinatorError),
    Group(groups::CoordinatorError),
}

impl From<CoordinatorError> for Refusal {
    fn from(error: CoordinatorError) -> Self {
        Self::Transaction(error)
    }
}

impl Refusal {
    fn code(&self, version: i16) -> ErrorCode {
        match self {
            // Clients from before KIP-447 take a member they cannot fence for one with an old generation.
            Self::Group(groups::CoordinatorError::Group(
                GroupError::UnknownMember | GroupError::FencedInstance { .. },
            )) if version < 3 => ErrorCode::IllegalGeneration,
            Self::Group(error) => group_error(error),
            Self::Transaction(CoordinatorError::Refused(error)) => match error {
                TransactionError::ProducerFenced { .. } => ErrorCode::InvalidProducerEpoch,
                TransactionError::PartitionNotInTransaction if version < ABORTABLE => ErrorCode::InvalidTxnState,
                TransactionError::ConcurrentTransactions if version < ADDS_GROUP => ErrorCode::CoordinatorNotAvailable,
                error => ErrorCode::from(error),
            },
            Self::Transaction(error) => transactional::code(error),
        }
    }
}

async fn commit(
    node: Arc<Node>,
    verification: Verification,
    command: group::OffsetCommitRequest,
) -> Result<Vec<CommitOutcome>, Refusal> {
    let unavailable = || Refusal::Group(groups::CoordinatorError::NotAvailable);
    let partition = node.groups.partition_of(&command.group_id).ok_or_else(unavailable)?;
    let shard = node.group_shard(&command.group_id).map_err(Refusal::Group)?;
    if verification.adds {
        node.join_transaction(&verification, vec![partition.clone()]).await?;
    }
    let append = || -> Pending<_> {
        node.groups.command_in_transaction(&shard, verification.producer, |machine, now| {
            machine.commit_pending_offsets(&command, now)
        })
    };
    let committed = node.in_transaction(&verification, &partition, append)?;
    committed.await.map_err(Refusal::Group)
}

/// Marks a partition whose code the coordinator is to give.
const UNDECIDED: i16 = i16::MIN;

/// The response with the codes that are known already, and the command with the other positions in the same order.
fn check_partitions(
    node: &Node,
    request: &TxnOffsetCommitRequest,
) -> (TxnOffsetCommitResponse, group::OffsetCommitRequest) {
    let image = node.image();
    let mut offsets = Vec::new();
    let topics = request.topics.iter().map(|topic| {
        let known = image.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let Some(known) = known.filter(|known| known.partitions.contains_key(&index)) else {
                let error_code = ErrorCode::UnknownTopicOrPartition.code();
                return TxnOffsetCommitResponsePartition { partition_index: index, error_code };
            };
            offsets.push(OffsetToCommit {
                topic_partition: TopicPartition::new(Arc::clone(&known.name), index),
                topic_id: Some(known.id),
                offset: partition.committed_offset,
                leader_epoch: Some(partition.committed_leader_epoch).filter(|epoch| *epoch >= 0),
                metadata: partition.committed_metadata.clone().unwrap_or_default(),
            });
            TxnOffsetCommitResponsePartition { partition_index: index, error_code: UNDECIDED }
        });
        TxnOffsetCommitResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
    });
    let response = TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() };
    let command = group::OffsetCommitRequest {
        group_id: GroupId::from(request.group_id.as_str()),
        generation: GenerationId::from_wire(request.generation_id),
        member_id: MemberId::from_wire(&request.member_id),
        group_instance_id: request.group_instance_id.as_deref().map(InstanceId::from),
        tells_member_epoch: false,
        retention_ms: None,
        offsets,
    };
    (response, command)
}

fn fill(response: &mut TxnOffsetCommitResponse, mut codes: impl Iterator<Item = ErrorCode>) {
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if partition.error_code == UNDECIDED {
            partition.error_code = codes.next().unwrap_or(ErrorCode::UnknownServerError).code();
        }
    }
}
