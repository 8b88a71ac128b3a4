//! Coordinator records to and from the keys and values of `__consumer_offsets`.
//!
//! | key type | key | value | value versions read | written |
//! |---|---|---|---|---|
//! | 0, 1 | group, topic, partition | a position | 0-4 | 3; 1 if the commit had a retention of its own |
//! | 2 | group | a generation | 0-4 | 3 |
//!
//! Types above 2 belong to protocols that are not served; [`decode_record`] skips them.
//!
//! Source: Kafka `GroupCoordinatorRecordHelpers`, `GroupCoordinatorRecordSerde`.

use bytes::{BufMut, Bytes, BytesMut};

use super::{CommittedOffset, GenerationId, GroupId, GroupMetadata, GroupRecord, InstanceId, MemberId, MemberMetadata};
use crate::{
    TopicPartition,
    protocol::{
        DecodeError, DecodeLimits, EncodeError, decode_key, decode_versioned, encode_key, encode_versioned,
        record_type,
        records::{self, GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue},
    },
};

const LEGACY_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const GROUP: i16 = 2;

/// The newest value version that older brokers read too.
const VALUE_VERSION: i16 = 3;
/// The only version of a position that tells when it expires.
const OFFSET_VERSION_WITH_EXPIRY: i16 = 1;

/// A record as it is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The record's key.
    pub key: Bytes,
    /// The record's value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Why a record of `__consumer_offsets` cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeRecordError {
    /// The key is malformed.
    #[error("malformed key of a coordinator record")]
    Key(#[source] DecodeError),
    /// The value is malformed.
    #[error("malformed value of a coordinator record of group {group}")]
    Value {
        /// The group the key names.
        group: String,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
}

/// Writes a record.
///
/// # Errors
/// If a text in it is longer than the format carries.
pub fn encode_record(record: &GroupRecord) -> Result<EncodedRecord, EncodeError> {
    match record {
        GroupRecord::Offset { group_id, topic_partition, value } => {
            let key = OffsetCommitKey {
                group: group_id.to_string(),
                topic: topic_partition.topic.to_string(),
                partition: topic_partition.partition,
            };
            Ok(EncodedRecord { key: encode_key(&key)?, value: value.as_ref().map(encode_offset).transpose()? })
        }
        GroupRecord::Group { group_id, value } => {
            let key = GroupMetadataKey { group: group_id.to_string() };
            Ok(EncodedRecord { key: encode_key(&key)?, value: value.as_ref().map(encode_group).transpose()? })
        }
    }
}

/// Reads a record; `None` if it is of a type that is not served here.
///
/// # Errors
/// If key or value is malformed.
pub fn decode_record(key: &Bytes, value: Option<&Bytes>) -> Result<Option<GroupRecord>, DecodeRecordError> {
    let limits = DecodeLimits::default();
    let record = match record_type(key).map_err(DecodeRecordError::Key)? {
        LEGACY_OFFSET | OFFSET => {
            let key: OffsetCommitKey = decode_key(&as_type(OFFSET, key), &limits).map_err(DecodeRecordError::Key)?;
            let value = value.map(|v| decode_versioned::<OffsetCommitValue>(v, &limits)).transpose();
            let value = value.map_err(|source| DecodeRecordError::Value { group: key.group.clone(), source })?;
            GroupRecord::Offset {
                group_id: key.group.into(),
                topic_partition: TopicPartition::new(key.topic, key.partition),
                value: value.map(|(_, value)| offset_from_wire(value)),
            }
        }
        GROUP => {
            let key: GroupMetadataKey = decode_key(key, &limits).map_err(DecodeRecordError::Key)?;
            let value = value.map(|v| decode_versioned::<GroupMetadataValue>(v, &limits)).transpose();
            let value = value.map_err(|source| DecodeRecordError::Value { group: key.group.clone(), source })?;
            GroupRecord::Group {
                group_id: GroupId::from(key.group),
                value: value.map(|(_, value)| group_from_wire(value)),
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(record))
}

/// The same key under another type; the two types of positions have the same fields.
fn as_type(record_type: i16, key: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(key.len());
    bytes.put_i16(record_type);
    bytes.extend_from_slice(key.get(2..).unwrap_or_default());
    bytes.freeze()
}

fn encode_offset(offset: &CommittedOffset) -> Result<Bytes, EncodeError> {
    let value = OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch.unwrap_or(-1),
        metadata: offset.metadata.clone(),
        commit_timestamp: offset.commit_timestamp_ms,
        expire_timestamp: offset.expire_timestamp_ms.unwrap_or(-1),
        topic_id: offset.topic_id.unwrap_or_default(),
    };
    let version = if offset.expire_timestamp_ms.is_some() { OFFSET_VERSION_WITH_EXPIRY } else { VALUE_VERSION };
    encode_versioned(&value, version)
}

fn offset_from_wire(value: OffsetCommitValue) -> CommittedOffset {
    CommittedOffset {
        offset: value.offset,
        leader_epoch: (value.leader_epoch >= 0).then_some(value.leader_epoch),
        metadata: value.metadata,
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
        topic_id: (!value.topic_id.is_zero()).then_some(value.topic_id),
    }
}

fn encode_group(group: &GroupMetadata) -> Result<Bytes, EncodeError> {
    let member = |m: &MemberMetadata| records::MemberMetadata {
        member_id: m.member_id.to_string(),
        group_instance_id: m.group_instance_id.as_ref().map(ToString::to_string),
        client_id: m.client_id.clone(),
        client_host: m.client_host.clone(),
        rebalance_timeout: m.rebalance_timeout_ms,
        session_timeout: m.session_timeout_ms,
        subscription: m.subscription.clone(),
        assignment: m.assignment.clone(),
    };
    let value = GroupMetadataValue {
        protocol_type: group.protocol_type.clone(),
        generation: group.generation.0,
        protocol: group.protocol_name.clone(),
        leader: group.leader.as_ref().map(ToString::to_string),
        current_state_timestamp: group.state_timestamp_ms.unwrap_or(-1),
        members: group.members.iter().map(member).collect(),
    };
    encode_versioned(&value, VALUE_VERSION)
}

fn group_from_wire(value: GroupMetadataValue) -> GroupMetadata {
    let member = |m: records::MemberMetadata| MemberMetadata {
        member_id: MemberId::from(m.member_id),
        group_instance_id: m.group_instance_id.map(InstanceId::from),
        client_id: m.client_id,
        client_host: m.client_host,
        // The oldest records tell no rebalance timeout; then it is the session timeout.
        rebalance_timeout_ms: if m.rebalance_timeout < 0 { m.session_timeout } else { m.rebalance_timeout },
        session_timeout_ms: m.session_timeout,
        subscription: m.subscription,
        assignment: m.assignment,
    };
    GroupMetadata {
        protocol_type: value.protocol_type,
        generation: GenerationId(value.generation),
        protocol_name: value.protocol,
        leader: value.leader.map(MemberId::from),
        state_timestamp_ms: (value.current_state_timestamp >= 0).then_some(value.current_state_timestamp),
        members: value.members.into_iter().map(member).collect(),
    }
}
