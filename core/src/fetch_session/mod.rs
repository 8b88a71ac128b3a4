//! Fetch sessions (KIP-227): the broker remembers which partitions a client fetches, the client names only what changed,
//! and the answers leave out what did not.
//!
//! ```text
//! request id, epoch   means                                            answer
//! 0, -1               no session                                       session 0
//! 0, 0                a new session with these partitions              its id, or 0 if there is no slot
//! n, 0                the same, after session n is dropped             the same
//! n, -1               drop session n, go on without                    session 0
//! n, e                the e-th request of session n: partitions to     id n; error 70 if there is no such session, 71 if
//!                     add or change, partitions to forget              e is not next, 106 if it names topics otherwise
//! ```
//! A session whose partitions are all forgotten ends. [`SessionCache`] decides who has a slot, [`FetchSession`] what is
//! read and what is answered. Both are plain data: the time and random ids come in as arguments.
//!
//! Beyond Kafka: a session knows which of its partitions may have something to tell ([`FetchSession::hot`]), so a request
//! costs what has changed and not what is fetched.
//!
//! Source: Kafka's `FetchSession`, `FetchManager`.

mod cache;
mod session;
#[cfg(test)]
mod tests;

pub use cache::SessionCache;
pub use session::{FetchSession, PartitionKey, SessionError, Told, TopicKey};

/// The epoch of a request that begins a session.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request without a session, or that ends one.
pub const FINAL_EPOCH: i32 = -1;

/// The epoch that follows.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}
