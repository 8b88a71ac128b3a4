//! CreatePartitions (API key 37): more partitions for a topic (KIP-195). v3: THROTTLING_QUOTA_EXCEEDED (KIP-599).

use std::sync::Arc;

use futures::future::join_all;
use riverrun_core::{
    NodeId,
    metadata::CreatePartitions,
    protocol::{
        ErrorCode,
        messages::{CreatePartitionsRequest, CreatePartitionsResponse, create_partitions::CreatePartitionsTopicResult},
    },
};

use super::topic_code;
use crate::{Reply, RequestContext, node::Node, quotas::MutationQuota, storage::Committed};

/// The first version that knows THROTTLING_QUOTA_EXCEEDED.
const STRICT: i16 = 3;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: CreatePartitionsRequest) -> Reply {
    let quota = Arc::new(MutationQuota::of(&node.quotas, context, STRICT));
    let charged = Arc::clone(&quota);
    let creating = node.off_runtime(move |node| create(node, request, &charged));
    Reply::later(async move {
        let (mut results, waiting) = creating.await;
        let lost = join_all(waiting).await.iter().any(Result::is_err);
        for topic in results.iter_mut().filter(|topic| lost && topic.error_code == ErrorCode::None.code()) {
            topic.error_code = ErrorCode::KafkaStorageError.code();
        }
        CreatePartitionsResponse { results, throttle_time_ms: quota.settle() }
    })
}

fn create(
    node: &Node,
    request: CreatePartitionsRequest,
    quota: &MutationQuota,
) -> (Vec<CreatePartitionsTopicResult>, Vec<Committed>) {
    let mut waiting = Vec::new();
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let nodes = |ids: Vec<i32>| ids.into_iter().map(NodeId).collect();
        let command = CreatePartitions {
            topic: topic.name.clone(),
            partition_count: topic.count,
            assignments: topic.assignments.map(|a| a.into_iter().map(|a| nodes(a.broker_ids)).collect()),
            validate_only: request.validate_only,
        };
        let (code, error_message) = match node.create_partitions(&command, quota) {
            Ok(((), committed)) => {
                waiting.push(committed);
                (ErrorCode::None, None)
            }
            Err(error) => {
                let (code, message) = topic_code(&error);
                (code, Some(message))
            }
        };
        results.push(CreatePartitionsTopicResult { name: topic.name, error_code: code.code(), error_message });
    }
    (results, waiting)
}
