//! A rebalance as a row of steps: commit, tell the application, give up, join, take over. The row stands still after
//! each event until the next poll, and while a step's operation is under way.

use std::sync::Arc;

use riverrun_core::TopicPartition;

use super::{
    Consumer,
    assignment::{Place, Subscription},
    assignor::RebalanceProtocol,
    error::ConsumeError,
    group::Round,
    membership::State,
    offsets,
    poll::{Blocked, Event},
    record::ConsumerEvent,
};

/// One step.
#[derive(Debug)]
pub(super) enum Step {
    /// Commit the positions of partitions about to go.
    Commit(Vec<TopicPartition>),
    Tell(ConsumerEvent),
    Remove(Vec<TopicPartition>),
    Add(Vec<TopicPartition>),
    Join,
    /// Ask for another round, in which what was given up is handed over.
    Rejoin,
}

impl Consumer {
    /// Takes steps until there is an event to tell, or none can be taken.
    pub(super) fn advance(&mut self) -> Option<ConsumerEvent> {
        loop {
            if self.work.blocked.is_some() {
                return None;
            }
            let Some(step) = self.work.steps.pop_front() else {
                if !self.begin_round() {
                    return None;
                }
                continue;
            };
            match step {
                Step::Tell(event) => return Some(event),
                Step::Remove(partitions) => partitions.iter().for_each(|partition| self.assignment.remove(partition)),
                Step::Add(partitions) => {
                    for partition in partitions {
                        self.assignment.add(partition, Place::Committed);
                    }
                }
                Step::Commit(partitions) => self.commit_step(&partitions),
                Step::Join => self.join(),
                Step::Rejoin => {
                    if let Some(group) = &self.group {
                        group.membership().request_rejoin("partitions were given up for others");
                    }
                }
            }
        }
    }

    /// Lays out the steps up to joining, if a round is due; whether it is.
    fn begin_round(&mut self) -> bool {
        let is_ready = match &self.subscription {
            Subscription::Topics(_) => true,
            Subscription::Matching(_) => !self.work.topics.is_empty(),
            Subscription::None | Subscription::Manual => false,
        };
        let Some(group) = self.group.as_ref().filter(|_| is_ready) else { return false };
        let mut membership = group.membership();
        if !membership.wants_to_join() {
            return false;
        }
        let lost = membership.is_lost();
        membership.loss_is_told();
        drop(membership);
        let owned = self.assignment.all();
        let going = match self.settings.rebalance_protocol() {
            _ if lost => owned,
            RebalanceProtocol::Eager => owned,
            RebalanceProtocol::Cooperative => {
                owned.into_iter().filter(|partition| !self.work.topics.contains(&partition.topic)).collect()
            }
        };
        if lost && !going.is_empty() {
            self.work.steps.push_back(Step::Tell(ConsumerEvent::Lost(going.clone())));
            self.work.steps.push_back(Step::Remove(going));
        } else {
            self.revoke(going);
        }
        self.work.steps.push_back(Step::Join);
        true
    }

    fn revoke(&mut self, going: Vec<TopicPartition>) {
        if going.is_empty() {
            return;
        }
        if self.settings.auto_commit.is_some() {
            self.work.steps.push_back(Step::Commit(going.clone()));
        }
        self.work.steps.push_back(Step::Tell(ConsumerEvent::Revoked(going.clone())));
        self.work.steps.push_back(Step::Remove(going));
    }

    fn commit_step(&mut self, partitions: &[TopicPartition]) {
        let offsets = self.assignment.consumed(Some(partitions));
        let (Some(group), false) = (&self.group, offsets.is_empty()) else { return };
        let committed = offsets::commit(Arc::clone(group), offsets, self.settings.api_timeout);
        self.work.blocked = Some(Blocked::ByCommit);
        self.work.start(async move { Event::StepCommitted(committed.await) });
    }

    fn join(&mut self) {
        let Some(group) = &self.group else { return };
        let owned = match self.settings.rebalance_protocol() {
            RebalanceProtocol::Eager => Vec::new(),
            RebalanceProtocol::Cooperative => self.assignment.all(),
        };
        let round = Arc::clone(group).round(self.work.topics.clone(), owned);
        self.work.blocked = Some(Blocked::ByRound);
        self.work.start(async move { Event::Round(round.await) });
    }

    /// Lays out the steps that follow a round.
    pub(super) fn round_ended(&mut self, result: Result<Round, ConsumeError>) {
        self.work.blocked = None;
        let (partitions, shared_out) = match result {
            Ok(Round::Assigned { partitions, shared_out }) => (partitions, shared_out),
            Ok(Round::Lost) => return,
            Err(error) => {
                if let Some(group) = &self.group {
                    debug_assert_ne!(group.membership().state(), State::Stable, "a failed round leaves the group");
                }
                return self.fail(error);
            }
        };
        self.work.shared_out = shared_out;
        let owned = self.assignment.all();
        let going: Vec<_> = owned.into_iter().filter(|partition| !partitions.contains(partition)).collect();
        let coming: Vec<_> = partitions.into_iter().filter(|partition| !self.assignment.contains(partition)).collect();
        tracing::debug!(consumer = self.name, ?going, ?coming, "assigned");
        let has_given_up = !going.is_empty();
        self.revoke(going);
        if has_given_up {
            self.work.steps.push_back(Step::Rejoin);
        }
        if !coming.is_empty() {
            self.work.steps.push_back(Step::Add(coming.clone()));
            self.work.steps.push_back(Step::Tell(ConsumerEvent::Assigned(coming)));
        }
    }
}
