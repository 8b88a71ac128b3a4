//! Control records: what a broker writes among users' records, in batches flagged as control and of one record each.
//!
//! | bytes | field of the key | note                                      |
//! |------:|------------------|-------------------------------------------|
//! |     2 | version          | 0; a higher one only adds bytes behind    |
//! |     2 | type             | see [`ControlRecordType`]                 |
//!
//! The value of a transaction's marker:
//!
//! | bytes | field             | note                                     |
//! |------:|-------------------|------------------------------------------|
//! |     2 | version           | 0; a higher one only adds bytes behind   |
//! |     4 | coordinator epoch | of the transaction coordinator's log     |
//!
//! Source: KIP-98; Kafka's `ControlRecordType`, `EndTransactionMarker`.

/// What a control record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRecordType {
    /// The producer's transaction is aborted: its records before this are void.
    Abort,
    /// The producer's transaction is committed.
    Commit,
    /// A new leader of a metadata quorum (KIP-595).
    LeaderChange,
    /// Start of a metadata snapshot (KIP-630).
    SnapshotHeader,
    /// End of a metadata snapshot.
    SnapshotFooter,
    /// Version of the quorum's own protocol (KIP-853).
    KraftVersion,
    /// Voters of a metadata quorum (KIP-853).
    KraftVoters,
    /// One that is not known here, to be skipped.
    Unknown(i16),
}

impl ControlRecordType {
    /// The wire's number.
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(id) => id,
        }
    }

    /// The type of that number.
    pub fn from_id(id: i16) -> Self {
        match id {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            other => Self::Unknown(other),
        }
    }
}

/// The key of a control record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlRecord {
    /// Version of the key's layout.
    pub version: i16,
    /// What the record tells.
    pub control_type: ControlRecordType,
}

/// Why a record of a control batch is no control record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlRecordError {
    /// It has no key, or no value where it needs one.
    #[error("a control record lacks its key or value")]
    Missing,
    /// Key or value ends too early.
    #[error("a control record's key or value needs {needed} bytes, {available} are there")]
    TooShort {
        /// Bytes that had to be there.
        needed: usize,
        /// Bytes that were.
        available: usize,
    },
    /// A version below 0.
    #[error("a control record has version {version}")]
    InvalidVersion {
        /// The version as found.
        version: i16,
    },
}

impl ControlRecord {
    /// Reads a record's key.
    ///
    /// # Errors
    /// [`ControlRecordError`]. A type that is not known is none.
    pub fn parse(key: Option<&[u8]>) -> Result<Self, ControlRecordError> {
        let [v0, v1, t0, t1] = take(key)?;
        Ok(Self {
            version: check_version(i16::from_be_bytes([v0, v1]))?,
            control_type: ControlRecordType::from_id(i16::from_be_bytes([t0, t1])),
        })
    }

    /// The key's bytes.
    pub fn to_bytes(self) -> [u8; 4] {
        let ([v0, v1], [t0, t1]) = (self.version.to_be_bytes(), self.control_type.id().to_be_bytes());
        [v0, v1, t0, t1]
    }
}

/// The value of a marker that ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Epoch of the coordinator that decided; markers of older ones are refused.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// Reads a record's value.
    ///
    /// # Errors
    /// [`ControlRecordError`].
    pub fn parse(value: Option<&[u8]>) -> Result<Self, ControlRecordError> {
        let [v0, v1, e0, e1, e2, e3] = take(value)?;
        check_version(i16::from_be_bytes([v0, v1]))?;
        Ok(Self { coordinator_epoch: i32::from_be_bytes([e0, e1, e2, e3]) })
    }

    /// The value's bytes, at version 0.
    pub fn to_bytes(self) -> [u8; 6] {
        let [e0, e1, e2, e3] = self.coordinator_epoch.to_be_bytes();
        [0, 0, e0, e1, e2, e3]
    }
}

fn take<const LEN: usize>(bytes: Option<&[u8]>) -> Result<[u8; LEN], ControlRecordError> {
    let bytes = bytes.ok_or(ControlRecordError::Missing)?;
    bytes.first_chunk().copied().ok_or(ControlRecordError::TooShort { needed: LEN, available: bytes.len() })
}

fn check_version(version: i16) -> Result<i16, ControlRecordError> {
    if version < 0 { Err(ControlRecordError::InvalidVersion { version }) } else { Ok(version) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for id in -1..9 {
            assert_eq!(ControlRecordType::from_id(id).id(), id);
        }
        let commit = ControlRecord { version: 0, control_type: ControlRecordType::Commit };
        assert_eq!(commit.to_bytes(), [0, 0, 0, 1]);
        assert_eq!(ControlRecord::parse(Some(&[0, 0, 0, 1])), Ok(commit));
        let newer = ControlRecord::parse(Some(&[0, 3, 0, 0, 9, 9])).unwrap();
        assert_eq!(newer, ControlRecord { version: 3, control_type: ControlRecordType::Abort });
        assert_eq!(ControlRecord::parse(None), Err(ControlRecordError::Missing));
        let short = ControlRecord::parse(Some(&[0, 0, 0]));
        assert_eq!(short, Err(ControlRecordError::TooShort { needed: 4, available: 3 }));
        let negative = ControlRecord::parse(Some(&[0xff, 0xff, 0, 0]));
        assert_eq!(negative, Err(ControlRecordError::InvalidVersion { version: -1 }));
    }

    #[test]
    fn marker_values() {
        let marker = EndTransactionMarker { coordinator_epoch: 258 };
        assert_eq!(marker.to_bytes(), [0, 0, 0, 0, 1, 2]);
        assert_eq!(EndTransactionMarker::parse(Some(&marker.to_bytes())), Ok(marker));
        assert!(EndTransactionMarker::parse(Some(&[0; 5])).is_err());
        assert!(EndTransactionMarker::parse(None).is_err());
    }
}
