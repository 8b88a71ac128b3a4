//! What operators ask of a consumer group: what it looks like (ConsumerGroupDescribe).
//!
//! Source: Kafka `GroupMetadataManager.consumerGroupDescribe`, `ConsumerGroup.asDescribedGroup`; KIP-848, KIP-1099.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Assignor, ConsumerMember, Epoch, PartitionSet, member::partitions_of, target::preferred_assignor};
use crate::{
    Uuid,
    group::{GroupError, GroupId, GroupShard, GroupState, InstanceId, MemberId},
};

/// Partitions of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedPartitions {
    /// The topic's id.
    pub topic_id: Uuid,
    /// Its name.
    pub topic: Arc<str>,
    /// The partitions.
    pub partitions: BTreeSet<i32>,
}

/// A member of a described consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// The member.
    pub member_id: MemberId,
    /// A static member's own name.
    pub instance_id: Option<InstanceId>,
    /// Where it runs.
    pub rack_id: Option<String>,
    /// The epoch it has reached.
    pub member_epoch: Epoch,
    /// The client id of its connection.
    pub client_id: String,
    /// The address of its connection.
    pub client_host: String,
    /// The topics it subscribes to by name.
    pub topic_names: BTreeSet<String>,
    /// The topics it subscribes to by pattern.
    pub topic_regex: Option<String>,
    /// What it has.
    pub assigned: Vec<DescribedPartitions>,
    /// What it is to have.
    pub target: Vec<DescribedPartitions>,
    /// Whether it speaks the classic protocol.
    pub is_classic: bool,
}

/// A consumer group in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// Where it stands.
    pub state: GroupState,
    /// Counts the changes of its subscriptions.
    pub group_epoch: Epoch,
    /// Of which epoch the targets are.
    pub target_epoch: Epoch,
    /// Who decides the targets.
    pub assignor: Assignor,
    /// Its members by id.
    pub members: Vec<DescribedConsumer>,
}

impl GroupShard {
    /// One consumer group in full.
    ///
    /// # Errors
    /// [`GroupError::GroupNotFound`]; [`GroupError::WrongType`] if it is of another type.
    pub fn describe_consumer_group(&self, group_id: &GroupId) -> Result<DescribedConsumerGroup, GroupError> {
        let group = self.consumers.get(group_id).ok_or_else(|| self.no_consumer_group(group_id))?;
        let default = self.config.consumer.assignors.first().copied().unwrap_or(Assignor::Uniform);
        let member = |member: &ConsumerMember| DescribedConsumer {
            member_id: member.id.clone(),
            instance_id: member.subscription.instance_id.clone(),
            rack_id: member.subscription.rack_id.clone(),
            member_epoch: member.epoch(),
            client_id: member.subscription.client_id.clone(),
            client_host: member.subscription.client_host.clone(),
            topic_names: member.subscription.topic_names.clone(),
            topic_regex: member.subscription.topic_regex.clone(),
            assigned: self.described(&partitions_of(&member.current.assigned)),
            target: self.described(&group.target_of(member)),
            is_classic: member.is_classic(),
        };
        Ok(DescribedConsumerGroup {
            state: group.state(),
            group_epoch: group.group.epoch,
            target_epoch: group.target.epoch,
            assignor: preferred_assignor(group.members.values()).unwrap_or(default),
            members: group.members.values().map(member).collect(),
        })
    }

    /// Topics that exist no longer are left out.
    fn described(&self, partitions: &PartitionSet) -> Vec<DescribedPartitions> {
        let topic = |(id, partitions): (&Uuid, &BTreeSet<i32>)| {
            let topic = Arc::clone(self.topics.name(*id)?);
            Some(DescribedPartitions { topic_id: *id, topic, partitions: partitions.clone() })
        };
        partitions.iter().filter_map(topic).collect()
    }
}
