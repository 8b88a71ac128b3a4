//! What can go wrong with a log, one enum per operation. The broker maps each to Kafka's codes in one place.

use std::io;

use super::{CheckpointError, producers::ProducerError};
use crate::{Uuid, record::BatchError};

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("cannot {action} {file}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file.
        file: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A batch is damaged, and it is no torn tail: what follows it is sound, or it was durable once.
    #[error(
        "{file} is corrupt at byte {position}: {reason}. It is no torn tail, so nothing was cut off. `riverrun log \
         verify` shows what is sound. Restore the file from a copy, or move the partition's folder away to start it \
         empty, and restart the broker"
    )]
    Corrupt {
        /// The segment.
        file: String,
        /// Where the damaged batch begins.
        position: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A segment does not end where the next one begins, though both were synced.
    #[error(
        "{file} ends at offset {ends}, but the next segment begins at {next_base}. Restore the file from a copy, or \
         remove the segments from {next_base} on to go on without their records"
    )]
    Discontinuous {
        /// The earlier segment.
        file: String,
        /// Where it ends.
        ends: i64,
        /// Where the next one begins.
        next_base: i64,
    },
    /// The folder belongs to another topic of the same name, deleted since.
    #[error(
        "{folder} holds the data of topic id {found}, not of {expected}; move it away to start the partition empty"
    )]
    OtherTopic {
        /// The partition's folder.
        folder: String,
        /// The id in its `partition.metadata`.
        found: Uuid,
        /// The id the topic has.
        expected: Uuid,
    },
    /// A small file beside the segments is unreadable.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It was told to stop (`OpenProgress::stop`). Nothing was cut off or lost; opening it again begins anew.
    #[error("the opening was stopped")]
    Stopped,
}

/// Why a batch is not appended. Nothing of it is in the log then.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch is malformed or damaged.
    #[error("the batch is corrupt")]
    Corrupt(#[from] BatchError),
    /// There are several batches, or none, where a producer must send one.
    #[error("expected exactly one record batch, got {count}")]
    NotOneBatch {
        /// How many there are.
        count: usize,
    },
    /// The batch breaks a rule for what a producer may send.
    #[error("invalid batch: {reason}")]
    InvalidRecord {
        /// The rule.
        reason: &'static str,
    },
    /// The batch is larger than `max.message.bytes`.
    #[error("the batch has {bytes} bytes, max.message.bytes allows {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The batch is larger than a whole segment.
    #[error("the batch has {bytes} bytes, a segment holds {limit}")]
    LargerThanSegment {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A timestamp is too far from the broker's clock.
    #[error("timestamp {timestamp} is outside {earliest}..={latest} (message.timestamp.before/after.max.ms)")]
    InvalidTimestamp {
        /// The batch's largest timestamp.
        timestamp: i64,
        /// The earliest that is allowed.
        earliest: i64,
        /// The latest that is allowed.
        latest: i64,
    },
    /// A producer stamped its batch as only the broker may.
    #[error("a producer may not stamp records with LogAppendTime")]
    ForeignClock,
    /// The producer's sequence or epoch does not fit.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The disk is full or failed; nothing was appended, and what is in the log can be read.
    #[error("cannot append to {file}")]
    Io {
        /// The segment.
        file: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The log is offline after an earlier failure of its disk.
    #[error("the log is offline: {reason}; restart the broker once the disk is sound")]
    Offline {
        /// What failed.
        reason: String,
    },
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log.
    #[error("offset {offset} is outside {log_start_offset}..={log_end_offset}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: i64,
        /// The first offset there is.
        log_start_offset: i64,
        /// The offset the next record will have.
        log_end_offset: i64,
    },
    /// A batch in the log is damaged.
    #[error("{file} is corrupt at byte {position}")]
    Corrupt {
        /// The segment.
        file: String,
        /// Where the batch begins.
        position: u64,
        /// What is wrong with it.
        #[source]
        source: BatchError,
    },
    /// The log's files cannot be used, and it was opened without them.
    #[error("the log is offline: {reason}")]
    Offline {
        /// What is wrong with them.
        reason: String,
    },
    /// The disk failed.
    #[error("cannot read {file}")]
    Io {
        /// The segment.
        file: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl ReadError {
    /// The same as a failure of the log's upkeep.
    pub(super) fn into_storage(self) -> StorageError {
        match self {
            Self::Io { file, source } => StorageError { action: "read", file, source },
            Self::Corrupt { ref file, .. } => {
                let file = file.clone();
                StorageError { action: "read", file, source: io::Error::new(io::ErrorKind::InvalidData, self) }
            }
            Self::OffsetOutOfRange { .. } | Self::Offline { .. } => {
                StorageError { action: "read", file: String::new(), source: io::Error::other(self) }
            }
        }
    }
}

/// Why the log's own upkeep (flush, roll, retention, closing) failed. The log is offline then.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {file}")]
pub struct StorageError {
    /// What was being done.
    pub action: &'static str,
    /// With which file.
    pub file: String,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// An error with its causes, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
