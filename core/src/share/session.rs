//! Share sessions: which partitions a member fetches from, told only as they change, and whether its requests come in
//! order.
//!
//! | epoch of the request | means |
//! |---|---|
//! | 0 | a new session, in place of any the member had |
//! | the one after the request before | the session goes on |
//! | -1 | the session ends; what its member holds is for others |
//!
//! Unlike a fetch session it is known by group and member, and cannot be done without: a member has at most one.
//!
//! Source: Kafka `ShareSession`, `ShareSessionCache`, `SharePartitionManager`; KIP-932.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    Uuid,
    budget::{Charge, StateBudget, entry_bytes, heap_bytes},
    group::{GroupId, MemberId},
    protocol::ErrorCode,
};

/// Partitions of one session at most.
pub const PARTITIONS_MAX: usize = 100_000;

const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// A member in its group.
pub type SessionKey = (GroupId, MemberId);

/// What an epoch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStep {
    /// A new session.
    Begin,
    /// The next request of a session.
    Continue(i32),
    /// The end of the session.
    End,
}

impl SessionStep {
    /// Reads the wire form; any other negative number continues no session.
    pub fn from_epoch(epoch: i32) -> Self {
        match epoch {
            INITIAL_EPOCH => Self::Begin,
            FINAL_EPOCH => Self::End,
            other => Self::Continue(other),
        }
    }
}

/// Why a request belongs to no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The member has none.
    #[error("the member has no share session")]
    NotFound,
    /// A request was lost, or came twice.
    #[error("the session is at epoch {expected}")]
    InvalidEpoch {
        /// The epoch of the next request.
        expected: i32,
    },
    /// There are as many as there may be.
    #[error("no more than {limit} share sessions")]
    LimitReached {
        /// The limit.
        limit: usize,
    },
}

impl From<&SessionError> for ErrorCode {
    fn from(error: &SessionError) -> Self {
        match error {
            SessionError::NotFound => Self::ShareSessionNotFound,
            SessionError::InvalidEpoch { .. } => Self::InvalidShareSessionEpoch,
            SessionError::LimitReached { .. } => Self::ShareSessionLimitReached,
        }
    }
}

/// A member's session.
#[derive(Debug)]
pub struct ShareSession {
    next_epoch: i32,
    /// The connection it was last used on: when that closes, the session ends.
    connection_id: u64,
    /// The partitions; the number is when one was last served, so that all get their turn.
    partitions: BTreeMap<(Uuid, i32), u64>,
    turn: u64,
    charge: Charge,
}

/// Bytes of a partition of a session.
const PARTITION_WEIGHT: usize = entry_bytes::<(Uuid, i32), u64>();

impl ShareSession {
    fn begun(connection_id: u64, budget: &Arc<StateBudget>, key: &SessionKey) -> Self {
        let mut charge = Charge::new(Arc::clone(budget));
        charge.set(entry_bytes::<SessionKey, Self>() + heap_bytes(key.0.len()) + heap_bytes(key.1.len()));
        Self { next_epoch: 1, connection_id, partitions: BTreeMap::new(), turn: 0, charge }
    }

    /// The partitions, those that were not served for the longest time first.
    pub fn partitions(&self) -> Vec<(Uuid, i32)> {
        let mut partitions: Vec<_> = self.partitions.iter().collect();
        partitions.sort_by_key(|(_, served)| **served);
        partitions.into_iter().map(|(partition, _)| *partition).collect()
    }

    /// Puts a partition last.
    pub fn served(&mut self, partition: (Uuid, i32)) {
        self.turn += 1;
        if let Some(served) = self.partitions.get_mut(&partition) {
            *served = self.turn;
        }
    }

    /// Changes the partitions. What there is no room for is left out, as if it had no records.
    pub fn update(&mut self, added: &[(Uuid, i32)], forgotten: &[(Uuid, i32)]) {
        let before = self.partitions.len();
        for partition in forgotten {
            self.partitions.remove(partition);
        }
        for partition in added {
            let more = (self.partitions.len() + 1).saturating_sub(before) * PARTITION_WEIGHT;
            if self.partitions.len() < PARTITIONS_MAX && self.charge.fits(more) {
                self.partitions.entry(*partition).or_insert(0);
            }
        }
        self.charge.change(before * PARTITION_WEIGHT, self.partitions.len() * PARTITION_WEIGHT);
    }
}

/// The sessions of one broker.
#[derive(Debug)]
pub struct ShareSessions {
    sessions_max: usize,
    sessions: BTreeMap<SessionKey, ShareSession>,
    budget: Arc<StateBudget>,
}

impl ShareSessions {
    /// No sessions yet, and never more than `sessions_max`.
    pub fn new(sessions_max: usize) -> Self {
        Self { sessions_max, sessions: BTreeMap::new(), budget: StateBudget::unlimited() }
    }

    /// The same with their part in a common budget.
    #[must_use]
    pub fn within(mut self, budget: Arc<StateBudget>) -> Self {
        self.budget = budget;
        self
    }

    /// Begins or goes on with a session.
    ///
    /// # Errors
    /// If there is none, the epoch is another, or there are too many.
    pub fn enter(
        &mut self,
        key: &SessionKey,
        step: SessionStep,
        connection_id: u64,
    ) -> Result<&mut ShareSession, SessionError> {
        match step {
            SessionStep::Begin => {
                if !self.sessions.contains_key(key) && self.sessions.len() >= self.sessions_max {
                    return Err(SessionError::LimitReached { limit: self.sessions_max });
                }
                let begun = ShareSession::begun(connection_id, &self.budget, key);
                self.sessions.insert(key.clone(), begun);
                self.sessions.get_mut(key).ok_or(SessionError::NotFound)
            }
            SessionStep::Continue(epoch) => {
                let session = self.sessions.get_mut(key).ok_or(SessionError::NotFound)?;
                if session.next_epoch != epoch {
                    return Err(SessionError::InvalidEpoch { expected: session.next_epoch });
                }
                session.next_epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
                session.connection_id = connection_id;
                Ok(session)
            }
            SessionStep::End => self.sessions.get_mut(key).ok_or(SessionError::NotFound),
        }
    }

    /// A session, if the member has one.
    pub fn get(&mut self, key: &SessionKey) -> Option<&mut ShareSession> {
        self.sessions.get_mut(key)
    }

    /// Ends a session.
    pub fn remove(&mut self, key: &SessionKey) -> Option<ShareSession> {
        self.sessions.remove(key)
    }

    /// Ends the sessions of a connection that is gone, and tells whose they were.
    pub fn remove_connection(&mut self, connection_id: u64) -> Vec<(SessionKey, ShareSession)> {
        let of_connection = self.sessions.iter().filter(|(_, session)| session.connection_id == connection_id);
        let keys: Vec<_> = of_connection.map(|(key, _)| key.clone()).collect();
        keys.into_iter().filter_map(|key| self.sessions.remove_entry(&key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_in_order_or_not_at_all() {
        let mut sessions = ShareSessions::new(1);
        let key: SessionKey = ("g".into(), "m".into());
        let next = |epoch| SessionStep::from_epoch(epoch);
        assert_eq!(sessions.enter(&key, next(1), 7).map(drop), Err(SessionError::NotFound));
        sessions.enter(&key, next(0), 7).unwrap().update(&[(Uuid([1; 16]), 0), (Uuid([1; 16]), 1)], &[]);
        let session = sessions.enter(&key, next(1), 7).unwrap();
        session.served((Uuid([1; 16]), 0));
        assert_eq!(session.partitions(), [(Uuid([1; 16]), 1), (Uuid([1; 16]), 0)]);
        assert_eq!(sessions.enter(&key, next(1), 7).map(drop), Err(SessionError::InvalidEpoch { expected: 2 }));
        let other: SessionKey = ("g".into(), "n".into());
        assert_eq!(sessions.enter(&other, next(0), 8).map(drop), Err(SessionError::LimitReached { limit: 1 }));
        assert!(sessions.remove_connection(8).is_empty());
        assert_eq!(sessions.remove_connection(7).len(), 1);
        assert_eq!(sessions.enter(&key, next(2), 7).map(drop), Err(SessionError::NotFound));
    }
}
