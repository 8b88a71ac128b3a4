//! Looking into the files of logs without opening them as logs: for tools, and for whoever has to know what is wrong.
//! Nothing here writes. What is read may be damaged anywhere, and may be written to meanwhile by a broker.
//!
//! - [`DataFile`] tells what a file is by its name, [`BatchScan`] walks the batches of a segment past what is damaged.
//! - The other readers give the entries of indexes, snapshots and checkpoints as they stand in their files.
//!
//! All parsing is that of the log itself. Memory is bounded by one batch, or one small file, at a time.

mod files;
mod scan;

pub use files::{DataFile, Leftover, partition_of_folder};
pub use scan::{BatchScan, DamagedBytes, Scanned, ScannedBatch};
