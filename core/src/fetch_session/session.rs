//! One session: its partitions in the order in which they are read, what the client was told of each, and which of them
//! may have something new.
//!
//! Invariant: a partition that is not hot was last answered, or left out, with what it still has; whoever changes a
//! partition says so with [`FetchSession::heat`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{INITIAL_EPOCH, next_epoch};
use crate::Uuid;

/// How a session names a topic: all of its requests in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicKey {
    /// By name, before version 13.
    Name(Arc<str>),
    /// By id.
    Id(Uuid),
}

/// A partition of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    /// Its topic.
    pub topic: TopicKey,
    /// Its index.
    pub partition: i32,
}

/// Why a request does not belong to the session it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is no such session: it was evicted, or the broker was restarted.
    #[error("there is no fetch session {id}")]
    NotFound {
        /// The id.
        id: i32,
    },
    /// The request is not the next one.
    #[error("request {got} of a fetch session came, {expected} is next")]
    InvalidEpoch {
        /// The request's epoch.
        got: i32,
        /// The session's.
        expected: i32,
    },
    /// The session has topics by name and the request by id, or the other way round.
    #[error("a fetch session names topics by name or by id, not both")]
    TopicIdMismatch,
}

/// What the client is told of a partition beside records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The high watermark.
    pub high_watermark: i64,
    /// The first offset there is.
    pub log_start_offset: i64,
    /// Whether there is an error, or a divergence: such an answer is never left out, and the next one is not either.
    pub failed: bool,
}

/// A session. `W` is what the client wants of a partition, `P` the shell's handle of it.
#[derive(Debug)]
pub struct FetchSession<W, P> {
    by_id: bool,
    /// The epoch of the next request.
    epoch: i32,
    entries: BTreeMap<u64, Entry<W, P>>,
    tokens: HashMap<PartitionKey, u64>,
    hot: BTreeSet<u64>,
    next_token: u64,
}

#[derive(Debug)]
struct Entry<W, P> {
    key: PartitionKey,
    wanted: W,
    place: P,
    told: Option<Told>,
}

impl<W, P> FetchSession<W, P> {
    /// An empty session that names topics by id or by name.
    pub fn new(by_id: bool) -> Self {
        Self {
            by_id,
            epoch: next_epoch(INITIAL_EPOCH),
            entries: BTreeMap::new(),
            tokens: HashMap::new(),
            hot: BTreeSet::new(),
            next_token: 0,
        }
    }

    /// How many partitions it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none, and so has no use any more.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Checks that a request is the next one.
    ///
    /// # Errors
    /// [`SessionError`]; the session is as before.
    pub fn check(&self, epoch: i32, by_id: bool) -> Result<(), SessionError> {
        if epoch != self.epoch {
            return Err(SessionError::InvalidEpoch { got: epoch, expected: self.epoch });
        }
        if by_id == self.by_id { Ok(()) } else { Err(SessionError::TopicIdMismatch) }
    }

    /// Goes on to the next request.
    pub fn advance(&mut self) {
        self.epoch = next_epoch(self.epoch);
    }

    /// Adds a partition, or takes note of what the client wants of it now. `place` gives the handle of a new one, and that
    /// of a known one whose handle is not `right` any more; it is called with the token by which the session knows it.
    pub fn want(&mut self, key: PartitionKey, wanted: W, right: impl FnOnce(&P) -> bool, place: impl FnOnce(u64) -> P) {
        if let Some(token) = self.tokens.get(&key).copied() {
            if let Some(entry) = self.entries.get_mut(&token) {
                entry.wanted = wanted;
                if !right(&entry.place) {
                    entry.place = place(token);
                }
            }
            self.hot.insert(token);
            return;
        }
        let token = self.next_token;
        self.next_token += 1;
        self.tokens.insert(key.clone(), token);
        self.hot.insert(token);
        self.entries.insert(token, Entry { key, wanted, place: place(token), told: None });
    }

    /// Drops a partition.
    pub fn forget(&mut self, key: &PartitionKey) {
        if let Some(token) = self.tokens.remove(key) {
            self.entries.remove(&token);
            self.hot.remove(&token);
        }
    }

    /// Something may have happened to a partition.
    pub fn heat(&mut self, token: u64) {
        if self.entries.contains_key(&token) {
            self.hot.insert(token);
        }
    }

    /// Something may have happened to all of them.
    pub fn heat_all(&mut self) {
        self.hot.extend(self.entries.keys());
    }

    /// The partitions that may have something to tell: first those that had nothing for longest.
    pub fn hot(&self) -> Vec<u64> {
        self.hot.iter().copied().collect()
    }

    /// A partition's key, what is wanted of it, and its handle.
    pub fn entry(&mut self, token: u64) -> Option<(&PartitionKey, &W, &mut P)> {
        self.entries.get_mut(&token).map(|entry| (&entry.key, &entry.wanted, &mut entry.place))
    }

    /// Whether a partition that was read with this outcome belongs into the answer. If it does not, having neither records
    /// nor anything else that is new, it is not hot any more.
    pub fn has_news(&mut self, token: u64, bytes: usize, told: Told) -> bool {
        let Some(entry) = self.entries.get(&token) else { return false };
        let has_news = bytes > 0 || told.failed || entry.told != Some(told);
        if !has_news {
            self.hot.remove(&token);
        }
        has_news
    }

    /// Takes note of what the client is told in the answer. A partition that had no records is not hot any more.
    pub fn tell(&mut self, token: u64, bytes: usize, told: Told) {
        let Some(entry) = self.entries.get_mut(&token) else { return };
        entry.told = Some(told);
        if bytes == 0 && !told.failed {
            self.hot.remove(&token);
        }
    }

    /// Puts a partition that gave records behind all others, so that none waits for ever (KIP-74). `moved` is told the new
    /// token.
    pub fn rotate(&mut self, token: u64, moved: impl FnOnce(&mut P, u64)) {
        let Some(mut entry) = self.entries.remove(&token) else { return };
        let new = self.next_token;
        self.next_token += 1;
        if self.hot.remove(&token) {
            self.hot.insert(new);
        }
        self.tokens.insert(entry.key.clone(), new);
        moved(&mut entry.place, new);
        self.entries.insert(new, entry);
    }
}
