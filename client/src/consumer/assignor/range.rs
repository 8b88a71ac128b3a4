//! `range`: topic by topic, each subscribed member gets a run of neighbouring partitions. Topics with equally many
//! partitions and the same members are cut alike, so what belongs together by key comes to the same member. Source:
//! Kafka's `RangeAssignor`, whose name and result it shares (without rack awareness, KIP-881).

use std::sync::Arc;

use riverrun_core::TopicPartition;

use super::{Assignments, Assignor, ClusterTopics, GroupMember, in_order};

/// Runs of neighbouring partitions, topic by topic. The first members get one more where it does not come out even.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(&self, topics: &ClusterTopics, members: &[GroupMember]) -> Assignments {
        let members = in_order(members);
        let mut assignments = Assignments::new();
        for (topic, partition_count) in topics.iter() {
            let subscribed: Vec<_> = members.iter().filter(|member| member.subscribes_to(topic)).collect();
            let Ok(member_count) = i32::try_from(subscribed.len()) else { continue };
            if member_count == 0 {
                continue;
            }
            let (each, extra) = (partition_count / member_count, partition_count % member_count);
            let mut next = 0;
            for (index, member) in (0..).zip(subscribed) {
                let end = next + each + i32::from(index < extra);
                let run = (next..end).map(|partition| TopicPartition { topic: Arc::clone(topic), partition });
                assignments.entry(Arc::clone(&member.member_id)).or_default().extend(run);
                next = end;
            }
        }
        assignments
    }
}
