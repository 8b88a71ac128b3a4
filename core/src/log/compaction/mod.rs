//! Compaction: of all records with one key only the last stays. Offsets do not change, order does not change, and what
//! readers get from any offset on folds to the same keys and values as before.
//!
//! - `decide` says what of a log is to be compacted and whether it is worth it: pure functions.
//! - [`Compaction`] reads and writes files beside the log, which is not held meanwhile.
//! - `filter` says what stays of a batch; `key_map` and `transactions` are what it has to know.
//! - `swap` puts the new segments in the place of the old ones; a crash leaves the old or the new (L10).
//!
//! A compaction is given the time, and a secret for hashing keys, as arguments; when to run, and how fast, is its
//! caller's to say.
//!
//! Never touched: the segment that grows, what is at or behind the last stable offset, records younger than
//! `min.compaction.lag.ms`. Source: Kafka's `LogCleaner`, `LogCleanerManager`, `Cleaner`; KIP-58, KIP-354, KIP-534.

mod decide;
mod filter;
mod key_map;
mod run;
mod swap;
mod transactions;

pub use decide::Cleanable;
pub(super) use filter::LastOfProducer;
pub use run::{Compaction, CompactionError, CompactionLimits, CompactionReport, Pace, Replacement, Stopped};
pub use swap::ReplacedFiles;
pub(super) use swap::complete_swaps;
