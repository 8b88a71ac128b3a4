//! DeleteTopics (API key 20). v5: THROTTLING_QUOTA_EXCEEDED (KIP-599); v6: by id too (KIP-516).

use std::sync::Arc;

use riverrun_core::{
    Uuid,
    metadata::Topic,
    protocol::{
        ErrorCode,
        messages::{DeleteTopicsRequest, DeleteTopicsResponse, delete_topics::DeletableTopicResult},
    },
};

use super::topic_code;
use crate::{Reply, RequestContext, node::Node, quotas::MutationQuota, storage::Committed, topics::TopicRef};

/// The first version that knows THROTTLING_QUOTA_EXCEEDED.
const STRICT: i16 = 5;

pub(super) fn handle(node: &Arc<Node>, context: &RequestContext, request: DeleteTopicsRequest) -> Reply {
    let wanted: Vec<TopicRef> = if context.api_version >= 6 {
        request.topics.into_iter().map(|t| t.name.map_or(TopicRef::Id(t.topic_id), TopicRef::Name)).collect()
    } else {
        request.topic_names.into_iter().map(TopicRef::Name).collect()
    };
    let quota = Arc::new(MutationQuota::of(&node.quotas, context, STRICT));
    let charged = Arc::clone(&quota);
    let deleting = node.off_runtime(move |node| delete(node, wanted, &charged));
    Reply::later(async move {
        let (mut responses, committed) = deleting.await;
        let lost = committed.await.is_err();
        for topic in responses.iter_mut().filter(|topic| lost && topic.error_code == ErrorCode::None.code()) {
            topic.error_code = ErrorCode::KafkaStorageError.code();
        }
        DeleteTopicsResponse { responses, throttle_time_ms: quota.settle() }
    })
}

fn delete(node: &Node, wanted: Vec<TopicRef>, quota: &MutationQuota) -> (Vec<DeletableTopicResult>, Committed) {
    let (outcomes, committed) = node.delete_topics(&wanted, quota);
    let result = |(wanted, outcome): (TopicRef, Result<Arc<Topic>, _>)| match outcome {
        Ok(topic) => {
            tracing::info!(topic = %topic.name, "topic deleted");
            DeletableTopicResult { name: Some(topic.name.to_string()), topic_id: topic.id, ..Default::default() }
        }
        Err(error) => {
            let (code, message) = topic_code(&error);
            let (name, topic_id) = match wanted {
                TopicRef::Name(name) => (Some(name), Uuid::ZERO),
                TopicRef::Id(id) => (None, id),
            };
            DeletableTopicResult { name, topic_id, error_code: code.code(), error_message: Some(message) }
        }
    };
    (wanted.into_iter().zip(outcomes).map(result).collect(), committed)
}
