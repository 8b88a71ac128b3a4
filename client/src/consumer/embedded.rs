//! The blobs that members of a group exchange through the coordinator, which does not look into them: what a member
//! subscribes to and owns, and what it is assigned. Source: Kafka's `ConsumerProtocol`, KIP-429, KIP-792.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use riverrun_core::{
    TopicPartition,
    protocol::{
        DecodeError, DecodeLimits, EncodeError,
        consumer::{self, AssignedPartitions, ConsumerProtocolAssignment, ConsumerProtocolSubscription},
        decode_versioned, encode_versioned,
        messages::join_group::JoinGroupResponseMember,
    },
};

use super::assignor::GroupMember;

/// The newest version of both blobs.
const VERSION: i16 = 3;

/// What a member says of itself.
pub(super) fn subscription(
    topics: &[Arc<str>],
    owned: &[TopicPartition],
    generation_id: Option<i32>,
    user_data: Option<Bytes>,
) -> Result<Bytes, EncodeError> {
    let owned_partitions = by_topic(owned)
        .into_iter()
        .map(|(topic, partitions)| consumer::TopicPartition { topic: topic.to_string(), partitions });
    let mut topics: Vec<_> = topics.iter().map(ToString::to_string).collect();
    topics.sort_unstable();
    let subscription = ConsumerProtocolSubscription {
        topics,
        user_data,
        owned_partitions: owned_partitions.collect(),
        generation_id: generation_id.unwrap_or(-1),
        rack_id: None,
    };
    encode_versioned(&subscription, VERSION)
}

/// Reads what a member said.
pub(super) fn member(response: &JoinGroupResponseMember) -> Result<GroupMember, DecodeError> {
    let limits = DecodeLimits::default();
    let (_, subscription) = decode_versioned::<ConsumerProtocolSubscription>(&response.metadata, &limits)?;
    let owned = subscription.owned_partitions.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.topic.into();
        topic.partitions.into_iter().map(move |partition| TopicPartition { topic: Arc::clone(&name), partition })
    });
    Ok(GroupMember {
        member_id: response.member_id.as_str().into(),
        group_instance_id: response.group_instance_id.as_deref().map(Arc::from),
        topics: subscription.topics.into_iter().map(Arc::from).collect(),
        owned: owned.collect(),
        generation_id: Some(subscription.generation_id).filter(|generation| *generation >= 0),
        user_data: subscription.user_data,
    })
}

/// What a member is assigned.
pub(super) fn assignment(partitions: &[TopicPartition]) -> Result<Bytes, EncodeError> {
    let assigned_partitions = by_topic(partitions)
        .into_iter()
        .map(|(topic, partitions)| AssignedPartitions { topic: topic.to_string(), partitions });
    let assignment = ConsumerProtocolAssignment { assigned_partitions: assigned_partitions.collect(), user_data: None };
    encode_versioned(&assignment, VERSION)
}

/// Reads what this member is assigned. No bytes at all mean nothing.
pub(crate) fn assigned(bytes: &Bytes) -> Result<Vec<TopicPartition>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (_, assignment) = decode_versioned::<ConsumerProtocolAssignment>(bytes, &DecodeLimits::default())?;
    let partitions = assignment.assigned_partitions.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.topic.into();
        topic.partitions.into_iter().map(move |partition| TopicPartition { topic: Arc::clone(&name), partition })
    });
    Ok(partitions.collect())
}

/// Partitions by topic, both in order.
pub(crate) fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<&Arc<str>, Vec<i32>> {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    topics.values_mut().for_each(|partitions| partitions.sort_unstable());
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_come_back() {
        let partitions = [TopicPartition::new("b", 2), TopicPartition::new("a", 1), TopicPartition::new("b", 0)];
        let read = assigned(&assignment(&partitions).unwrap()).unwrap();
        assert_eq!(read, [partitions[1].clone(), partitions[2].clone(), partitions[0].clone()]);
        assert!(assigned(&Bytes::new()).unwrap().is_empty());
        let topics: Vec<Arc<str>> = vec!["b".into(), "a".into()];
        let metadata = subscription(&topics, &partitions, Some(4), Some(Bytes::from("x"))).unwrap();
        let response = JoinGroupResponseMember { member_id: "m".to_owned(), group_instance_id: None, metadata };
        let member = member(&response).unwrap();
        assert_eq!((member.generation_id, member.owned.len(), member.topics.len()), (Some(4), 3, 2));
    }
}
