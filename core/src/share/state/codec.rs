//! Share states to and from the keys and values of `__share_group_state`.
//!
//! | key type | value | written |
//! |---|---|---|
//! | 0 | a snapshot; none: the state is deleted | on initialization, and after some updates |
//! | 1 | an update of the snapshot before it | else |
//!
//! Source: Kafka `ShareCoordinatorRecordHelpers`.

use bytes::Bytes;

use super::{DeliveryState, SharePartitionKey, ShareState, StateBatch};
use crate::protocol::{
    DecodeError, DecodeLimits, EncodeError, decode_key, decode_versioned, encode_key, encode_versioned, record_type,
    records::{ShareSnapshotKey, ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue, share_state},
};

const SNAPSHOT: i16 = 0;
const UPDATE: i16 = 1;
const VERSION: i16 = 0;

/// One change of durable state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareStateRecord {
    /// A whole state, or that there is none any more.
    Snapshot(SharePartitionKey, Option<ShareState>),
    /// A change to the snapshot before it.
    Update(SharePartitionKey, Update),
}

/// What an update record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub(super) snapshot_epoch: i32,
    pub(super) leader_epoch: i32,
    pub(super) start_offset: Option<i64>,
    pub(super) delivery_complete_count: Option<i32>,
    pub(super) batches: Vec<StateBatch>,
}

/// A record as it is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The record's key.
    pub key: Bytes,
    /// The record's value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Why a record of `__share_group_state` cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeRecordError {
    /// The key is malformed.
    #[error("malformed key of a share state record")]
    Key(#[source] DecodeError),
    /// The value is malformed.
    #[error("malformed value of the state of share partition {key}")]
    Value {
        /// Whose state.
        key: String,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// The value names a state that records are never stored in, or its ranges are no ranges.
    #[error("the state of share partition {key} makes no sense")]
    Batches {
        /// Whose state.
        key: String,
    },
}

/// Writes a record.
///
/// # Errors
/// If a text in it is longer than the format carries.
pub fn encode_record(record: &ShareStateRecord) -> Result<EncodedRecord, EncodeError> {
    match record {
        ShareStateRecord::Snapshot(key, state) => {
            let SharePartitionKey { group_id, topic_id, partition } = key;
            let key = ShareSnapshotKey { group_id: group_id.to_string(), topic_id: *topic_id, partition: *partition };
            let value = state.as_ref().map(|state| ShareSnapshotValue {
                snapshot_epoch: state.snapshot_epoch,
                state_epoch: state.state_epoch,
                leader_epoch: state.leader_epoch,
                start_offset: state.start_offset.unwrap_or(-1),
                delivery_complete_count: state.delivery_complete_count.unwrap_or(-1),
                create_timestamp: state.created_ms,
                write_timestamp: state.written_ms,
                state_batches: to_wire(&state.batches),
            });
            let value = value.map(|value| encode_versioned(&value, VERSION)).transpose()?;
            Ok(EncodedRecord { key: encode_key(&key)?, value })
        }
        ShareStateRecord::Update(key, update) => {
            let SharePartitionKey { group_id, topic_id, partition } = key;
            let key = ShareUpdateKey { group_id: group_id.to_string(), topic_id: *topic_id, partition: *partition };
            let value = ShareUpdateValue {
                snapshot_epoch: update.snapshot_epoch,
                leader_epoch: update.leader_epoch,
                start_offset: update.start_offset.unwrap_or(-1),
                delivery_complete_count: update.delivery_complete_count.unwrap_or(-1),
                state_batches: to_wire(&update.batches),
            };
            Ok(EncodedRecord { key: encode_key(&key)?, value: Some(encode_versioned(&value, VERSION)?) })
        }
    }
}

/// Reads a record; `None` if it is of a type that is not known.
///
/// # Errors
/// If it is malformed.
pub fn decode_record(key: &Bytes, value: Option<&Bytes>) -> Result<Option<ShareStateRecord>, DecodeRecordError> {
    let limits = DecodeLimits::default();
    match record_type(key).map_err(DecodeRecordError::Key)? {
        SNAPSHOT => {
            let ShareSnapshotKey { group_id, topic_id, partition } =
                decode_key(key, &limits).map_err(DecodeRecordError::Key)?;
            let key = SharePartitionKey { group_id: group_id.into(), topic_id, partition };
            let value = value.map(|value| decode_versioned::<ShareSnapshotValue>(value, &limits)).transpose();
            let value = match value.map_err(|source| DecodeRecordError::Value { key: key.to_string(), source })? {
                None => None,
                Some((_, value)) => {
                    let batches = from_wire(&value.state_batches);
                    let batches = batches.ok_or_else(|| DecodeRecordError::Batches { key: key.to_string() })?;
                    Some(ShareState {
                        snapshot_epoch: value.snapshot_epoch,
                        state_epoch: value.state_epoch,
                        leader_epoch: value.leader_epoch,
                        start_offset: offset(value.start_offset),
                        delivery_complete_count: count(value.delivery_complete_count),
                        created_ms: value.create_timestamp,
                        written_ms: value.write_timestamp,
                        batches,
                    })
                }
            };
            Ok(Some(ShareStateRecord::Snapshot(key, value)))
        }
        UPDATE => {
            let ShareUpdateKey { group_id, topic_id, partition } =
                decode_key(key, &limits).map_err(DecodeRecordError::Key)?;
            let key = SharePartitionKey { group_id: group_id.into(), topic_id, partition };
            let Some(value) = value else { return Ok(None) };
            let (_, value) = decode_versioned::<ShareUpdateValue>(value, &limits)
                .map_err(|source| DecodeRecordError::Value { key: key.to_string(), source })?;
            let batches = from_wire(&value.state_batches);
            let update = Update {
                snapshot_epoch: value.snapshot_epoch,
                leader_epoch: value.leader_epoch,
                start_offset: offset(value.start_offset),
                delivery_complete_count: count(value.delivery_complete_count),
                batches: batches.ok_or_else(|| DecodeRecordError::Batches { key: key.to_string() })?,
            };
            Ok(Some(ShareStateRecord::Update(key, update)))
        }
        _ => Ok(None),
    }
}

fn offset(wire: i64) -> Option<i64> {
    (wire >= 0).then_some(wire)
}

fn count(wire: i32) -> Option<i32> {
    (wire >= 0).then_some(wire)
}

fn to_wire(batches: &[StateBatch]) -> Vec<share_state::StateBatch> {
    let wire = |batch: &StateBatch| share_state::StateBatch {
        first_offset: batch.first_offset,
        last_offset: batch.last_offset,
        delivery_state: batch.state.id(),
        delivery_count: batch.delivery_count,
    };
    batches.iter().map(wire).collect()
}

fn from_wire(batches: &[share_state::StateBatch]) -> Option<Vec<StateBatch>> {
    let batches = batches.iter().map(|batch| {
        Some(StateBatch {
            first_offset: batch.first_offset,
            last_offset: batch.last_offset,
            state: DeliveryState::from_id(batch.delivery_state)?,
            delivery_count: batch.delivery_count,
        })
    });
    let batches: Vec<_> = batches.collect::<Option<_>>()?;
    super::shard::is_sorted(&batches).then_some(batches)
}
