//! Which positions have outlived their use, and which groups with them (KIP-211).
//!
//! | group | a position expires when this is older than the retention |
//! |---|---|
//! | stores offsets only | its commit |
//! | Empty | the moment the group became empty; its commit if that is unknown |
//! | Stable, of consumers | its commit, and no member subscribes to the topic |
//! | of the consumer protocol | its commit, and no member subscribes to the topic |
//! | any other | never |
//!
//! A position committed with a retention of its own expires at the time that gave. A group without members and without
//! positions is forgotten. What an open transaction may replace does not expire, nor does its group.
//!
//! Source: Kafka `OffsetMetadataManager.cleanupExpiredOffsets`, `OffsetExpirationConditionImpl`.

use std::collections::BTreeSet;

use super::{
    CommittedOffset, Decision, GroupRecord, GroupShard, GroupState, Now, classic::Group, consumer::ConsumerGroup,
    offsets::tombstone, streams::StreamsGroup, timer::Timer,
};
use crate::TopicPartition;

impl GroupShard {
    /// Looks through all groups and sets the time of the next look.
    pub(super) fn expire_offsets(&mut self, now: Now, out: &mut Decision) {
        let next_ms = now.monotonic_ms.saturating_add(self.config.offsets_retention_check_interval_ms.max(1));
        self.timers.set(Timer::OffsetExpiry, next_ms);
        for group in self.groups.values() {
            group.expire_offsets(self, now, out);
        }
        for group in self.consumers.values() {
            if group.is_empty() && !self.groups.contains_key(&group.id) {
                group.tombstones(&mut out.records);
            }
        }
        for group in self.streams.values() {
            if group.is_empty() && !self.groups.contains_key(&group.id) {
                group.tombstones(&mut out.records);
            }
        }
    }
}

impl Group {
    fn expire_offsets(&self, shard: &GroupShard, now: Now, out: &mut Decision) {
        let (pending, retention_ms) = (&shard.pending, shard.config.offsets_retention_ms);
        let (consumer, streams) = (shard.consumers.get(&self.id), shard.streams.get(&self.id));
        let to_members = consumer.map(ConsumerGroup::subscribed_topics);
        let to_members = to_members.or_else(|| streams.map(StreamsGroup::subscribed_topics));
        let is_new_protocol = to_members.is_some();
        let subscribed = match to_members {
            Some(topics) => Some(topics.into_iter().map(str::to_owned).collect()),
            None => self.subscribed_topics(),
        };
        let rule = match (is_new_protocol, &subscribed) {
            (true, Some(topics)) => Some(ExpiryRule::AfterCommitUnlessIn(topics)),
            _ => self.expiry_rule(subscribed.as_ref()),
        };
        let Some(rule) = rule else { return };
        let mut remains = pending.has_group(&self.id);
        for (topic, partitions) in &self.offsets {
            for (partition, offset) in partitions {
                let tp = TopicPartition::new(topic.clone(), *partition);
                if rule.expires(topic, offset, retention_ms, now) && !pending.is_pending(&self.id, &tp) {
                    out.records.push(tombstone(&self.id, tp));
                } else {
                    remains = true;
                }
            }
        }
        if let Some(consumer) = consumer {
            if !remains && consumer.is_empty() {
                consumer.tombstones(&mut out.records);
            }
        } else if let Some(streams) = streams {
            if !remains && streams.is_empty() {
                streams.tombstones(&mut out.records);
            }
        } else if !remains && self.state == GroupState::Empty && self.pending.is_empty() {
            out.records.push(GroupRecord::Group { group_id: self.id.clone(), value: None });
        }
    }

    fn expiry_rule<'a>(&self, subscribed: Option<&'a BTreeSet<String>>) -> Option<ExpiryRule<'a>> {
        match (self.state, subscribed) {
            (GroupState::Empty, _) if self.protocol_type.is_none() => Some(ExpiryRule::AfterCommit),
            (GroupState::Empty, _) => {
                Some(self.state_since_ms.map_or(ExpiryRule::AfterCommit, |since_ms| ExpiryRule::After { since_ms }))
            }
            (GroupState::Stable, Some(topics)) => Some(ExpiryRule::AfterCommitUnlessIn(topics)),
            (GroupState::Stable, None)
            | (
                GroupState::PreparingRebalance
                | GroupState::CompletingRebalance
                | GroupState::NotReady
                | GroupState::Assigning
                | GroupState::Reconciling
                | GroupState::Dead,
                _,
            ) => None,
        }
    }
}

/// From when the retention of a position counts.
#[derive(Debug)]
enum ExpiryRule<'a> {
    AfterCommit,
    AfterCommitUnlessIn(&'a BTreeSet<String>),
    After { since_ms: i64 },
}

impl ExpiryRule<'_> {
    fn expires(&self, topic: &str, offset: &CommittedOffset, retention_ms: i64, now: Now) -> bool {
        let since_ms = match self {
            Self::AfterCommit => offset.commit_timestamp_ms,
            Self::AfterCommitUnlessIn(topics) if topics.contains(topic) => return false,
            Self::AfterCommitUnlessIn(_) => offset.commit_timestamp_ms,
            Self::After { since_ms } => *since_ms,
        };
        match offset.expire_timestamp_ms {
            Some(expire_ms) => now.wall_ms >= expire_ms,
            None => now.wall_ms.saturating_sub(since_ms) >= retention_ms,
        }
    }
}
