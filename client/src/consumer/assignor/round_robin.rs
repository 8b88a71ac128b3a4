//! `roundrobin`: all partitions of all topics are dealt out one by one, passing over members that do not subscribe.
//! Source: Kafka's `RoundRobinAssignor`, whose name and result it shares.

use std::sync::Arc;

use super::{Assignments, Assignor, ClusterTopics, GroupMember, in_order};

/// Partitions dealt out one by one.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &str {
        "roundrobin"
    }

    fn assign(&self, topics: &ClusterTopics, members: &[GroupMember]) -> Assignments {
        let members = in_order(members);
        let mut assignments = Assignments::new();
        let mut next = 0;
        for partition in topics.partitions() {
            let turns = members.iter().enumerate().cycle().skip(next).take(members.len());
            let taker = turns.into_iter().find(|(_, member)| member.subscribes_to(&partition.topic));
            let Some((index, member)) = taker else { continue };
            assignments.entry(Arc::clone(&member.member_id)).or_default().push(partition);
            next = (index + 1) % members.len();
        }
        assignments
    }
}
