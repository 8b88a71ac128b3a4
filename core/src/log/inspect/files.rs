//! What a file or folder of a data directory is, by its name alone. The names are Kafka's, and those few that only this
//! broker writes. Source: Kafka's `LogFileUtils`, `LogManager`, `UnifiedLog`.

use crate::{TopicPartition, log::segment::file_name};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFile {
    /// `<base offset>.log`: batches.
    Segment(i64),
    /// `<base offset>.index`.
    OffsetIndex(i64),
    /// `<base offset>.timeindex`.
    TimeIndex(i64),
    /// `<base offset>.txnindex`.
    TransactionIndex(i64),
    /// `<offset>.snapshot`: the producers before that offset.
    ProducerSnapshot(i64),
    /// `<offset>-<epoch>.checkpoint`: a snapshot of a metadata log, itself a file of batches.
    MetadataSnapshot,
    /// `leader-epoch-checkpoint`.
    LeaderEpochs,
    /// `partition.metadata`.
    PartitionMetadata,
    /// `recovery-point-offset-checkpoint` and others of its form.
    OffsetCheckpoint,
    /// `riverrun-bookmarks`.
    Bookmarks,
    /// `meta.properties`.
    MetaProperties,
    /// What a broker puts beside these and no reader of logs needs: a lock, a mark, the state of a vote.
    Known,
    /// What interrupted work, or work that still goes on, has left.
    Leftover(Leftover),
}

/// Files of unfinished work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// `.deleted`: to be removed.
    Deleted,
    /// `.cleaned`: a compaction that did not get to its end.
    Cleaned,
    /// `.swap`: a compaction whose result takes the place of older segments.
    Swap,
    /// `.tmp`: a small file that was to be replaced.
    Temporary,
}

impl DataFile {
    /// What a file of this name is; `None` for one that no broker writes.
    pub fn of_name(name: &str) -> Option<Self> {
        let known = match name {
            "leader-epoch-checkpoint" => Self::LeaderEpochs,
            "partition.metadata" => Self::PartitionMetadata,
            "recovery-point-offset-checkpoint"
            | "log-start-offset-checkpoint"
            | "replication-offset-checkpoint"
            | "cleaner-offset-checkpoint" => Self::OffsetCheckpoint,
            "riverrun-bookmarks" => Self::Bookmarks,
            "meta.properties" => Self::MetaProperties,
            ".lock" | ".kafka_cleanshutdown" | "quorum-state" | "bootstrap.checkpoint" | "lost+found" => Self::Known,
            _ => return Self::of_numbered(name),
        };
        Some(known)
    }

    fn of_numbered(name: &str) -> Option<Self> {
        let (stem, suffix) = name.rsplit_once('.')?;
        let leftover = match suffix {
            "deleted" => Some(Leftover::Deleted),
            "cleaned" => Some(Leftover::Cleaned),
            "swap" => Some(Leftover::Swap),
            "tmp" => Some(Leftover::Temporary),
            _ => None,
        };
        if let Some(leftover) = leftover {
            return Self::of_name(stem).map(|_| Self::Leftover(leftover));
        }
        if suffix == "checkpoint" {
            let (offset, epoch) = stem.split_once('-')?;
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            return (digits(offset) && digits(epoch)).then_some(Self::MetadataSnapshot);
        }
        let offset: i64 = stem.parse().ok()?;
        if offset < 0 || name != file_name(offset, suffix) {
            return None;
        }
        match suffix {
            "log" => Some(Self::Segment(offset)),
            "index" => Some(Self::OffsetIndex(offset)),
            "timeindex" => Some(Self::TimeIndex(offset)),
            "txnindex" => Some(Self::TransactionIndex(offset)),
            "snapshot" => Some(Self::ProducerSnapshot(offset)),
            _ => None,
        }
    }
}

/// The partition whose folder has this name; `None` if it is no partition's.
pub fn partition_of_folder(name: &str) -> Option<TopicPartition> {
    let (topic, digits) = name.rsplit_once('-')?;
    let partition: i32 = digits.parse().ok()?;
    // Neither "t-+1" nor "t-01" is a name that was given.
    let named = partition >= 0 && digits == partition.to_string();
    (named && crate::metadata::validate_topic_name(topic).is_ok()).then(|| TopicPartition::new(topic, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_files_are() {
        let cases = [
            ("00000000000000000017.log", Some(DataFile::Segment(17))),
            ("00000000000000000017.txnindex", Some(DataFile::TransactionIndex(17))),
            ("00000000000000000017.log.swap", Some(DataFile::Leftover(Leftover::Swap))),
            ("00000000000000000017.index.deleted", Some(DataFile::Leftover(Leftover::Deleted))),
            ("leader-epoch-checkpoint.tmp", Some(DataFile::Leftover(Leftover::Temporary))),
            ("00000000000000000017-0000000003.checkpoint", Some(DataFile::MetadataSnapshot)),
            ("17.log", None),
            ("-0000000000000000017.log", None),
            ("thesis.tmp", None),
            ("notes.txt", None),
            ("a.checkpoint", None),
        ];
        for (name, expected) in cases {
            assert_eq!(DataFile::of_name(name), expected, "{name}");
        }
    }

    #[test]
    fn folders_of_partitions_are_known_by_their_names() {
        assert_eq!(partition_of_folder("a-b-12"), Some(TopicPartition::new("a-b", 12)));
        for name in ["t", "t-", "t-01", "t-+1", "-1", "t-0.x-delete", "t-99999999999"] {
            assert_eq!(partition_of_folder(name), None, "{name}");
        }
    }
}
