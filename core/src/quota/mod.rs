//! Quotas at work: what clients have used, and how long they are to wait for it (KIP-13, KIP-124, KIP-219, KIP-599,
//! KIP-612).
//!
//! | file | what |
//! |---|---|
//! | `rate` | a rate over the last windows |
//! | `token_bucket` | a budget that refills |
//! | `limits` | which bound holds for which user and client id |
//! | `client` | what users and client ids have used: [`ClientQuotas`] |
//! | `connections` | how fast connections come: [`ConnectionRates`] |
//!
//! # Calling contract
//! Times come in, in milliseconds of a clock that does not go back; waiting times go out. Who waits, and how, is the
//! caller's business. Memory is bounded: what nobody uses is forgotten once it counts for nothing, and of more clients
//! than [`COUNTERS_MAX`] the rest share one counter.
//!
//! Not here: which quotas are set ([`crate::metadata::QuotaEntity`]).
//!
//! Source: Kafka `ClientQuotaManager`, `ClientRequestQuotaManager`, `ControllerMutationQuotaManager`,
//! `ConnectionQuotas`, `SampledStat`, `Rate`, `TokenBucket`.

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod client;
mod connections;
mod limits;
mod rate;
#[cfg(test)]
mod tests;
mod token_bucket;

pub use client::{COUNTERS_MAX, ClientQuotas, MutationRefused, QuotaWindows};
pub use connections::{ConnectionLimits, ConnectionRates, ConnectionVerdict};
pub use limits::{QuotaKind, Subject};
pub use rate::{SampledRate, Windows};
pub use token_bucket::TokenBucket;

/// Milliseconds as Kafka rounds them.
fn round_ms(ms: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest whole number there is")]
    let whole = (ms + 0.5).floor() as i64;
    whole.max(0)
}
