//! Stories of a log on a failing disk, told from seeds: [`tell`] runs one. What they hold the log to stands in
//! `docs/reliability.md`; `cargo xtask seeds` tells many of them.
//!
//! Everything goes through the log's public interface and its [`Vfs`](riverrun_core::log::Vfs). No clock, no thread, no
//! randomness but the seed's: a story told twice is the same, which a test checks.

mod bugs;
mod check;
mod compaction;
mod ledger;
mod story;

pub use bugs::Bug;
pub use story::{Trace, Violation, tell};
