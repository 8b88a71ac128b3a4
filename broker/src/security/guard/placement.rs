//! Where partitions and metadata are kept: elections, reassignments, the quorum, log directories, brokers.

use riverrun_core::{
    metadata::AclOperation::{Alter, Describe},
    protocol::{
        ErrorCode,
        messages::{
            AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, AlterReplicaLogDirsRequest,
            AlterReplicaLogDirsResponse, DescribeQuorumRequest, DescribeQuorumResponse, ElectLeadersRequest,
            ElectLeadersResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
            UnregisterBrokerRequest, UnregisterBrokerResponse,
            alter_replica_log_dirs::{AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult},
        },
    },
};

use super::{CLUSTER_DENIED, Decision, Permissions};

fn words() -> Option<String> {
    Some(ErrorCode::ClusterAuthorizationFailed.message().to_owned())
}

/// Alter on the cluster.
pub(super) fn elect_leaders(may: &Permissions, request: ElectLeadersRequest) -> Decision {
    if may.cluster(Alter) {
        return Decision::Pass(request.into());
    }
    Decision::answer(ElectLeadersResponse { error_code: CLUSTER_DENIED, ..Default::default() })
}

/// Alter on the cluster.
pub(super) fn alter_reassignments(may: &Permissions, request: AlterPartitionReassignmentsRequest) -> Decision {
    if may.cluster(Alter) {
        return Decision::Pass(request.into());
    }
    Decision::answer(AlterPartitionReassignmentsResponse {
        error_code: CLUSTER_DENIED,
        error_message: words(),
        ..Default::default()
    })
}

/// Describe on the cluster.
pub(super) fn list_reassignments(may: &Permissions, request: ListPartitionReassignmentsRequest) -> Decision {
    if may.cluster(Describe) {
        return Decision::Pass(request.into());
    }
    Decision::answer(ListPartitionReassignmentsResponse {
        error_code: CLUSTER_DENIED,
        error_message: words(),
        ..Default::default()
    })
}

/// Describe on the cluster.
pub(super) fn describe_quorum(may: &Permissions, request: DescribeQuorumRequest) -> Decision {
    if may.cluster(Describe) {
        return Decision::Pass(request.into());
    }
    Decision::answer(DescribeQuorumResponse {
        error_code: CLUSTER_DENIED,
        error_message: words(),
        ..Default::default()
    })
}

/// Alter on the cluster.
pub(super) fn alter_log_dirs(may: &Permissions, request: AlterReplicaLogDirsRequest) -> Decision {
    if may.cluster(Alter) {
        return Decision::Pass(request.into());
    }
    let topics = request.dirs.into_iter().flat_map(|dir| dir.topics);
    let results = topics.map(|topic| AlterReplicaLogDirTopicResult {
        topic_name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition_index| AlterReplicaLogDirPartitionResult { partition_index, error_code: CLUSTER_DENIED })
            .collect(),
    });
    Decision::answer(AlterReplicaLogDirsResponse { results: results.collect(), ..Default::default() })
}

/// Alter on the cluster.
pub(super) fn unregister_broker(may: &Permissions, request: UnregisterBrokerRequest) -> Decision {
    if may.cluster(Alter) {
        return Decision::Pass(request.into());
    }
    Decision::answer(UnregisterBrokerResponse {
        error_code: CLUSTER_DENIED,
        error_message: words(),
        ..Default::default()
    })
}
