//! How the partitions of a group's topics are shared among its members. The member that the coordinator made leader
//! runs this, for all.
//!
//! An assignor is a pure function of the topics and of what the members said when they joined; it is not where
//! ownership changes hands: that is the membership's business, by the [`RebalanceProtocol`].
//!
//! Invariants of every assignor here: each partition of a topic that somebody subscribes to has exactly one owner, who
//! subscribes to it (with [`CooperativeSticky`] at most one: a partition that moves is nobody's for one round); the
//! result depends on the input only, not on its order.
//!
//! Source: Kafka's `ConsumerPartitionAssignor`, KIP-54 (sticky), KIP-429 (cooperative), KIP-792 (generation).

mod cooperative_sticky;
mod range;
mod round_robin;
#[cfg(test)]
mod tests;

use std::{cmp::Ordering, collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use riverrun_core::TopicPartition;

pub use cooperative_sticky::CooperativeSticky;
pub use range::Range;
pub use round_robin::RoundRobin;

/// When members give up what they had in a rebalance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RebalanceProtocol {
    /// Everything, before they join again: processing stops meanwhile.
    Eager,
    /// Only what others get, after the assignment is known; a second round hands it over (KIP-429).
    Cooperative,
}

/// The topics to be shared: name and number of partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterTopics {
    topics: BTreeMap<Arc<str>, i32>,
}

impl ClusterTopics {
    /// The number of partitions of a topic, if it exists.
    pub fn partition_count(&self, topic: &str) -> Option<i32> {
        self.topics.get(topic).copied()
    }

    /// Names and numbers of partitions, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32)> {
        self.topics.iter().map(|(topic, count)| (topic, *count))
    }

    /// All partitions, by topic and index.
    pub fn partitions(&self) -> impl Iterator<Item = TopicPartition> {
        self.iter().flat_map(|(topic, count)| {
            (0..count).map(move |partition| TopicPartition { topic: Arc::clone(topic), partition })
        })
    }
}

impl<T: Into<Arc<str>>> FromIterator<(T, i32)> for ClusterTopics {
    fn from_iter<I: IntoIterator<Item = (T, i32)>>(topics: I) -> Self {
        Self { topics: topics.into_iter().map(|(topic, count)| (topic.into(), count)).collect() }
    }
}

/// What one member said when it joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that the coordinator gave it.
    pub member_id: Arc<str>,
    /// Its static name, if it has one (KIP-345).
    pub group_instance_id: Option<Arc<str>>,
    /// The topics it subscribes to.
    pub topics: Vec<Arc<str>>,
    /// The partitions it still has; none with the eager protocol.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got them, if it says so.
    pub generation_id: Option<i32>,
    /// What its assignor added.
    pub user_data: Option<Bytes>,
}

impl GroupMember {
    /// Whether it subscribes to `topic`.
    pub fn subscribes_to(&self, topic: &str) -> bool {
        self.topics.iter().any(|known| &**known == topic)
    }

    /// The order in which members are served: static ones by name, then dynamic ones by id, as in Kafka.
    fn order(&self, other: &Self) -> Ordering {
        match (&self.group_instance_id, &other.group_instance_id) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.member_id.cmp(&other.member_id),
        }
    }
}

/// The partitions of each member, by its id. A member without an entry has none.
pub type Assignments = BTreeMap<Arc<str>, Vec<TopicPartition>>;

/// Shares partitions among members.
///
/// All members must offer an assignor of the same name; the coordinator chooses one that all have.
pub trait Assignor: Send + Sync + fmt::Debug + 'static {
    /// The name by which members agree, such as `range`.
    fn name(&self) -> &str;

    /// When members give up what they had.
    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    /// What this member adds to its subscription for the leader's assignor to read.
    fn user_data(&self, owned: &[TopicPartition], generation_id: Option<i32>) -> Option<Bytes> {
        let _ = (owned, generation_id);
        None
    }

    /// Shares out `topics`, which are all that any member subscribes to and that exist.
    fn assign(&self, topics: &ClusterTopics, members: &[GroupMember]) -> Assignments;
}

/// The members in the order in which they are served.
fn in_order(members: &[GroupMember]) -> Vec<&GroupMember> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by(|a, b| a.order(b));
    members
}
