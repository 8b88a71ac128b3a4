//! The metadata-log records the image understands, and their bytes.
//!
//! Frame: unsigned varints for the frame's version (1), the record type and the record's version; then the record.
//! A record of another type (a broker's registration, ...) decodes to `None` and is skipped.
//!
//! | type | record | version written |
//! |---|---|---|
//! | 2 | topic | 0 |
//! | 3 | partition | 2 |
//! | 4 | config | 0 |
//! | 5 | change of a partition | 2 |
//! | 9 | removal of a topic | 0 |
//! | 11 | SCRAM credential | 0 |
//! | 12 | level of a feature | 0 |
//! | 14 | client quota | 0 |
//! | 15 | next producer id | 0 |
//! | 18 | access rule | 0 |
//! | 19 | removal of an access rule | 0 |
//! | 22 | removal of a SCRAM credential | 0 |
//!
//! Source: Kafka `MetadataRecordSerde`, `MetadataRecordType`; versions as Apache Kafka 4.3 writes them.

use bytes::Bytes;

use crate::protocol::{
    DecodeError, DecodeLimits, EncodeError, RootMessage, decode_metadata_record, encode_metadata_record,
    metadata_record_header,
    records::{
        AccessControlEntryRecord, ClientQuotaRecord, ConfigRecord, FeatureLevelRecord, PartitionChangeRecord,
        PartitionRecord, ProducerIdsRecord, RemoveAccessControlEntryRecord, RemoveTopicRecord,
        RemoveUserScramCredentialRecord, TopicRecord, UserScramCredentialRecord,
    },
};

/// One change of the metadata.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetadataRecord {
    /// A topic begins, without partitions.
    Topic(TopicRecord),
    /// A partition as a whole.
    Partition(PartitionRecord),
    /// A value of a setting, or its removal.
    Config(ConfigRecord),
    /// Some fields of a partition.
    PartitionChange(PartitionChangeRecord),
    /// A topic ends, with its partitions and settings.
    RemoveTopic(RemoveTopicRecord),
    /// The level of a cluster feature; 0 removes it.
    FeatureLevel(FeatureLevelRecord),
    /// All producer ids below are given out.
    ProducerIds(ProducerIdsRecord),
    /// A SCRAM credential of a user.
    UserScramCredential(UserScramCredentialRecord),
    /// The end of one.
    RemoveUserScramCredential(RemoveUserScramCredentialRecord),
    /// An access rule.
    AccessControlEntry(AccessControlEntryRecord),
    /// The end of one.
    RemoveAccessControlEntry(RemoveAccessControlEntryRecord),
    /// A client quota, or its end.
    ClientQuota(ClientQuotaRecord),
}

/// Why a metadata-log record cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("malformed metadata record")]
pub struct DecodeMetadataError(#[from] DecodeError);

const PARTITION_VERSION: i16 = 2;

impl MetadataRecord {
    /// Writes the record with its frame, as the value of a log record without a key.
    ///
    /// # Errors
    /// If a text in it is longer than the format carries.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        match self {
            Self::Topic(record) => encode_metadata_record(record, 0),
            Self::Partition(record) => encode_metadata_record(record, PARTITION_VERSION),
            Self::Config(record) => encode_metadata_record(record, 0),
            Self::PartitionChange(record) => encode_metadata_record(record, PARTITION_VERSION),
            Self::RemoveTopic(record) => encode_metadata_record(record, 0),
            Self::FeatureLevel(record) => encode_metadata_record(record, 0),
            Self::ProducerIds(record) => encode_metadata_record(record, 0),
            Self::UserScramCredential(record) => encode_metadata_record(record, 0),
            Self::RemoveUserScramCredential(record) => encode_metadata_record(record, 0),
            Self::AccessControlEntry(record) => encode_metadata_record(record, 0),
            Self::RemoveAccessControlEntry(record) => encode_metadata_record(record, 0),
            Self::ClientQuota(record) => encode_metadata_record(record, 0),
        }
    }

    /// Reads a framed record; `None` if the image has no use for its type.
    ///
    /// # Errors
    /// If the bytes are malformed, or of a version that is not known.
    pub fn decode(bytes: &Bytes) -> Result<Option<Self>, DecodeMetadataError> {
        fn read<M: RootMessage>(
            bytes: &Bytes,
            wrap: impl FnOnce(M) -> MetadataRecord,
        ) -> Result<Option<MetadataRecord>, DecodeMetadataError> {
            Ok(Some(wrap(decode_metadata_record(bytes, &DecodeLimits::default())?)))
        }
        match metadata_record_header(bytes)?.record_type {
            2 => read(bytes, Self::Topic),
            3 => read(bytes, Self::Partition),
            4 => read(bytes, Self::Config),
            5 => read(bytes, Self::PartitionChange),
            9 => read(bytes, Self::RemoveTopic),
            11 => read(bytes, Self::UserScramCredential),
            12 => read(bytes, Self::FeatureLevel),
            14 => read(bytes, Self::ClientQuota),
            15 => read(bytes, Self::ProducerIds),
            18 => read(bytes, Self::AccessControlEntry),
            19 => read(bytes, Self::RemoveAccessControlEntry),
            22 => read(bytes, Self::RemoveUserScramCredential),
            _ => Ok(None),
        }
    }
}
