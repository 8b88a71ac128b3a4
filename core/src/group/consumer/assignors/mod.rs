//! Who gets which partitions: the assignors that run here. Each is a pure function from what the members subscribe to,
//! and what they were to have until now, to what they are to have.
//!
//! Source: KIP-848; Kafka `ConsumerGroupPartitionAssignor`.

mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use super::PartitionSet;
use crate::{
    Uuid,
    group::{InstanceId, MemberId},
};

/// A member as an assignor sees it.
#[derive(Debug, Clone)]
pub(super) struct AssignorMember<'a> {
    /// A static member's own name.
    pub(super) instance_id: Option<&'a InstanceId>,
    /// The topics it subscribes to, of those that exist.
    pub(super) topics: BTreeSet<Uuid>,
    /// Its target until now.
    pub(super) target: Option<&'a PartitionSet>,
}

/// A group as an assignor sees it.
#[derive(Debug, Clone, Default)]
pub(super) struct AssignorInput<'a> {
    pub(super) members: BTreeMap<&'a MemberId, AssignorMember<'a>>,
    /// How many partitions each topic has.
    pub(super) topics: BTreeMap<Uuid, i32>,
}

/// What each member is to have.
pub(super) type Targets = BTreeMap<MemberId, PartitionSet>;

/// An assignor that members may wish for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assignor {
    /// Shares of equal size, changed as little as possible.
    Uniform,
    /// Of each topic a range, the same ranges of topics that have the same number of partitions.
    Range,
}

impl Assignor {
    /// Every assignor there is.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// Finds an assignor by its name, or by the name of Kafka's class.
    pub fn from_name(name: &str) -> Option<Self> {
        const CLASSES: &str = "org.apache.kafka.coordinator.group.assignor.";
        match name.strip_prefix(CLASSES).unwrap_or(name) {
            "uniform" | "UniformAssignor" => Some(Self::Uniform),
            "range" | "RangeAssignor" => Some(Self::Range),
            _ => None,
        }
    }

    pub(super) fn assign(self, input: &AssignorInput<'_>) -> Targets {
        match self {
            Self::Uniform => uniform::assign(input),
            Self::Range => range::assign(input),
        }
    }
}

/// The members in the order in which they are served: static ones by their own names first, which do not change when
/// they come back.
fn in_order<'a>(input: &AssignorInput<'a>) -> Vec<(&'a MemberId, AssignorMember<'a>)> {
    let mut members: Vec<_> = input.members.iter().map(|(id, member)| (*id, member.clone())).collect();
    members.sort_by_key(|(id, member)| (member.instance_id.is_none(), member.instance_id, *id));
    members
}
