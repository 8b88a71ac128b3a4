//! What a verification finds: where, what, how serious, and what to do about it.

use std::path::PathBuf;

use crate::log::SnapshotDefect;

/// How serious a finding is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Records are lost or cannot be read, or the broker will not open the partition, or the directory.
    Damage,
    /// The end of a log that a crash has torn: the next start cuts it off.
    TornTail,
    /// A derived file is wrong or missing, and can be made anew from the batches.
    Rebuildable,
    /// A file that nobody needs.
    Leftover,
}

impl Severity {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damage => "damage",
            Self::TornTail => "torn tail",
            Self::Rebuildable => "rebuildable",
            Self::Leftover => "leftover",
        }
    }
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which file or folder.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub position: Option<u64>,
    /// At which offset of the log.
    pub offset: Option<i64>,
    /// What is wrong.
    pub problem: Problem,
    /// How serious that is.
    pub severity: Severity,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Bytes that are no batch, or whose checksum is wrong.
    #[error("damaged batch of {bytes} bytes: {reason}")]
    Batch {
        /// How many bytes.
        bytes: u64,
        /// Why they are no sound batch.
        reason: String,
    },
    /// A death in mid-write.
    #[error("{bytes} bytes at the end were not written to their end: {reason}")]
    TornTail {
        /// How many bytes will be cut off.
        bytes: u64,
        /// Why they are no sound batch.
        reason: String,
    },
    /// The records of a sound batch cannot be read.
    #[error("the records of the batch are unreadable: {reason}")]
    Records {
        /// Why.
        reason: String,
    },
    /// Offsets are missing, in a log that was not compacted.
    #[error("offsets {expected} to {} are missing", found - 1)]
    OffsetsMissing {
        /// The offset that should follow.
        expected: i64,
        /// The one that does.
        found: i64,
    },
    /// Offsets do not rise.
    #[error("offset {found} comes after {}", expected - 1)]
    OffsetsGoBack {
        /// The offset that should follow.
        expected: i64,
        /// The one that does.
        found: i64,
    },
    /// The leader epochs of batches fall.
    #[error("leader epoch {found} comes after {before}")]
    EpochFalls {
        /// The epoch of the batch.
        found: i32,
        /// That of the batch before.
        before: i32,
    },
    /// The log ends before what a checkpoint knows to be there.
    #[error("the log ends at offset {end}, but {file} knows it up to {known}")]
    EndsTooEarly {
        /// Where it ends.
        end: i64,
        /// Which file knows better.
        file: &'static str,
        /// Where it was.
        known: i64,
    },
    /// There is no segment.
    #[error("there is no segment")]
    NoSegment,
    /// An index of a closed segment is not there.
    #[error("it is missing")]
    IndexMissing,
    /// An entry of an index is not of this segment.
    #[error("entry {entry} ({text}) {reason}")]
    IndexEntry {
        /// Which one, from 0.
        entry: u64,
        /// What it says.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An index ends within an entry.
    #[error("it ends within an entry")]
    IndexCut,
    /// The time index does not have the segment's largest timestamp.
    #[error("its last timestamp is {found}, the largest of the segment is {expected}")]
    LargestTime {
        /// That of the last entry, -1 if there is none.
        found: i64,
        /// That of the batches.
        expected: i64,
    },
    /// A transaction was aborted and the index does not know.
    #[error("the transaction of producer {producer_id} from offset {first_offset} on was aborted, and is not in it")]
    AbortedMissing {
        /// Whose.
        producer_id: i64,
        /// Where it began.
        first_offset: i64,
    },
    /// A producer snapshot is not sound.
    #[error(transparent)]
    Snapshot(#[from] SnapshotDefect),
    /// A producer snapshot knows of what comes after it.
    #[error("it has a batch of producer {producer_id} at offset {offset}, which is not before it")]
    SnapshotAhead {
        /// The producer.
        producer_id: i64,
        /// The batch's last offset.
        offset: i64,
    },
    /// A small file cannot be understood.
    #[error("it is malformed: {reason}")]
    Malformed {
        /// Why.
        reason: String,
    },
    /// A file that must be there is not.
    #[error("it is missing")]
    Missing,
    /// The epoch checkpoint says something else than the batches.
    #[error("it has epoch {stated} for the batch at offset {offset}, which was written in epoch {written}")]
    EpochDiffers {
        /// That of the checkpoint.
        stated: i32,
        /// That of the batch.
        written: i32,
        /// Where the batch begins.
        offset: i64,
    },
    /// The entries of the epoch checkpoint do not rise.
    #[error("its epochs or their offsets do not rise")]
    EpochsDoNotRise,
    /// A checkpoint names an offset that the log does not have.
    #[error("it has offset {offset} for {partition}, whose log is {start} to {end}")]
    OutOfBounds {
        /// The offset.
        offset: i64,
        /// Whose.
        partition: String,
        /// Where the log begins.
        start: i64,
        /// Where it ends.
        end: i64,
    },
    /// A checkpoint names a partition that is not there.
    #[error("it names {partition}, which has no folder")]
    NoFolder {
        /// The partition.
        partition: String,
    },
    /// What interrupted work has left.
    #[error("left by interrupted work")]
    Leftover,
    /// Something that no broker puts there.
    #[error("no broker gives a file this name")]
    Strange,
    /// The file system refuses.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
}

impl Finding {
    /// What to do about it. The broker is to be stopped before any file is touched.
    pub fn advice(&self) -> &'static str {
        match &self.problem {
            Problem::TornTail { .. } => "nothing is to be done: the next start of the broker cuts it off",
            Problem::Records { .. } => {
                "the checksum holds, so its producer wrote it so; consumers fail there and have to seek past it"
            }
            Problem::Batch { .. }
            | Problem::OffsetsMissing { .. }
            | Problem::OffsetsGoBack { .. }
            | Problem::EpochFalls { .. }
            | Problem::EndsTooEarly { .. }
            | Problem::NoSegment => {
                "restore the partition's folder from a copy, or move it away to start it empty; `riverrun log dump` prints \
                 what is sound"
            }
            Problem::IndexMissing
            | Problem::IndexEntry { .. }
            | Problem::IndexCut
            | Problem::LargestTime { .. }
            | Problem::AbortedMissing { .. } => {
                "remove the segment's .index, .timeindex and .txnindex: they are built anew from its batches"
            }
            Problem::Snapshot(_) | Problem::SnapshotAhead { .. } => {
                "remove the file: the producers are read from an older snapshot or the batches"
            }
            Problem::EpochDiffers { .. } | Problem::EpochsDoNotRise => {
                "remove the file: the epochs are read from the batches"
            }
            Problem::Malformed { .. } | Problem::Missing if self.file.ends_with("meta.properties") => {
                "restore the file from a copy: it says whose directory this is, and no broker starts without it"
            }
            Problem::Malformed { .. } if self.file.ends_with("log-start-offset-checkpoint") => {
                "remove the file: logs then begin at their first segment, records deleted before by request may return"
            }
            Problem::Malformed { .. } | Problem::Missing => "remove the file if it is there: it is written anew",
            Problem::OutOfBounds { .. } | Problem::NoFolder { .. } => {
                "nothing is to be done: the entry is not believed, and goes when the file is next written"
            }
            Problem::Leftover => "nothing is to be done: the next start of the broker completes or removes it",
            Problem::Strange => "move it elsewhere; brokers leave it alone",
            Problem::Unreadable { .. } => "look at the disk and at the rights of the file, then verify again",
        }
    }

    /// The problem's name, for programs.
    pub fn kind(&self) -> &'static str {
        match &self.problem {
            Problem::Batch { .. } => "damaged_batch",
            Problem::TornTail { .. } => "torn_tail",
            Problem::Records { .. } => "unreadable_records",
            Problem::OffsetsMissing { .. } => "offsets_missing",
            Problem::OffsetsGoBack { .. } => "offsets_go_back",
            Problem::EpochFalls { .. } => "epoch_falls",
            Problem::EndsTooEarly { .. } => "ends_too_early",
            Problem::NoSegment => "no_segment",
            Problem::IndexMissing => "index_missing",
            Problem::IndexEntry { .. } => "index_entry",
            Problem::IndexCut => "index_cut",
            Problem::LargestTime { .. } => "largest_time",
            Problem::AbortedMissing { .. } => "aborted_missing",
            Problem::Snapshot(_) => "snapshot",
            Problem::SnapshotAhead { .. } => "snapshot_ahead",
            Problem::Malformed { .. } => "malformed",
            Problem::Missing => "missing",
            Problem::EpochDiffers { .. } => "epoch_differs",
            Problem::EpochsDoNotRise => "epochs_do_not_rise",
            Problem::OutOfBounds { .. } => "out_of_bounds",
            Problem::NoFolder { .. } => "no_folder",
            Problem::Leftover => "leftover",
            Problem::Strange => "strange",
            Problem::Unreadable { .. } => "unreadable",
        }
    }
}
