//! Looking into the files of logs without opening them as logs: for tools, and for whoever has to know what is wrong.
//! Nothing here writes. What is read may be damaged anywhere, and may be written to meanwhile by a broker.
//!
//! - [`DataFile`] tells what a file is by its name, [`BatchScan`] walks the batches of a segment past what is damaged.
//! - [`verify_directory`] and [`verify_partition`] hold all files of a log against each other.
//! - The other readers give the entries of indexes, snapshots and checkpoints as they stand in their files.
//!
//! All parsing is that of the log itself. Memory is bounded by one batch, or one small file, at a time.

mod directory;
mod entries;
mod files;
mod finding;
mod indexes;
mod partition;
mod scan;
#[cfg(test)]
mod tests;

pub use directory::{DirectoryFacts, verify_directory, verify_root};
pub use entries::{
    AbortedEntry, OffsetEntry, SnapshotBatch, SnapshotEntry, TimeEntry, aborted_entries, offset_entries,
    snapshot_entries, time_entries,
};
pub use files::{DataFile, Leftover, partition_of_folder};
pub use finding::{Finding, Problem, Severity};
pub use partition::{Observer, PartitionFacts, PartitionSummary, verify_partition};
pub use scan::{BatchScan, DamagedBytes, Scanned, ScannedBatch};
