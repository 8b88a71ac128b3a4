//! The partitioned log: batches of records in segment files, in Kafka's layout.
//!
//! ```text
//! <data dir>/meta.properties                         whose directory this is
//!            .lock  .kafka_cleanshutdown             one process at a time; did it stop cleanly
//!            recovery-point-offset-checkpoint        what was synced, by partition
//!            log-start-offset-checkpoint             what DeleteRecords removed, by partition
//!            cleaner-offset-checkpoint               what was compacted, by partition
//!            riverrun-bookmarks                      derived: what is known of each log without a look at it
//!            <topic>-<partition>/
//!                partition.metadata                  the topic's id
//!                leader-epoch-checkpoint             which epoch began where
//!                <base offset>.log                   the batches: the only truth
//!                <base offset>.index  .timeindex     derived: where an offset, where a time is
//!                <base offset>.txnindex              derived: which transactions were aborted
//!                <base offset>.snapshot              derived: the producers before that offset
//! ```
//!
//! A `.log` file that grows may end in zeros: see `room.rs`.
//!
//! A [`Log`] is one partition. It is synchronous, has one owner, knows no clock and no thread: time comes in as an
//! argument, the disk through [`Vfs`]. Durable write is two steps with two names: [`Log::append`] puts a batch into the
//! page cache, a [`FlushTicket`] makes it durable, from any thread, without the log being held.
//!
//! Invariants (the numbers are those the tests name): log start ≤ last stable offset ≤ high watermark ≤ log end (L6);
//! opening yields a batch-aligned prefix of what was written that contains all that was synced, and opening again changes nothing (L7);
//! indexes and snapshots can be deleted without changing an answer (L8); a damaged batch is a torn tail or an error,
//! never silently the end of the log (L9).
//!
//! Compaction is in `compaction/`: what is rewritten stands beside the log's files until it takes their place (L10). The
//! log does not compact itself: its owner has a thread for it.
#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod append;
mod checkpoint;
mod compaction;
mod config;
mod directory;
mod epochs;
mod error;
mod flush;
mod index;
pub mod inspect;
mod marker;
mod open;
mod producer_snapshot;
mod producers;
mod read;
mod recovery;
mod rest;
mod retention;
mod roll;
mod room;
mod segment;
mod span;
mod tail;
mod tear;
#[cfg(test)]
mod tests;
mod transactions;
mod txn_index;
mod verification;
mod vfs;

mod partition_log;

pub use append::AppendOrigin;
pub use checkpoint::{CheckpointError, read_epochs, read_offsets, read_topic_id, write_offsets, write_topic_id};
pub use compaction::{
    Cleanable, Compaction, CompactionError, CompactionLimits, CompactionReport, Pace, ReplacedFiles, Replacement,
    Stopped,
};
pub use config::{CleanupPolicy, ConfigEntry, ConfigError, ConfigType, Durability, LogConfig, MessageTimestampType};
pub use directory::{DirectoryError, DirectoryIdentity, LogDirectory};
pub use epochs::LeaderEpochs;
pub use error::{AppendError, OpenError, ReadError, StorageError};
pub use flush::{FlushError, FlushTicket, Flushed};
pub use marker::TransactionMarker;
pub use open::{LogOptions, OpenHints, OpenProgress, PRODUCERS_MAX};
pub use partition_log::{AppendInfo, Log};
pub use producer_snapshot::SnapshotDefect;
pub use producers::{ActiveProducer, ProducerError};
pub use read::{OffsetTime, ReadInfo};
pub use recovery::Recovery;
pub use rest::{Bookmark, encode_bookmarks, read_bookmarks, write_bookmarks};
pub use span::{FileSpan, Found, SpanSearch};
pub use txn_index::AbortedTransaction;
pub use verification::{TransactionStart, VerificationGuard};
pub use vfs::{BoundedVfs, Fault, Handles, OsVfs, ReadOnlyVfs, SimulatedVfs, Vfs, VfsFile};
