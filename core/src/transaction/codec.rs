//! The coordinator's record to and from the key and value of `__transaction_state`.
//!
//! | key type | key | value | value versions read | written |
//! |---|---|---|---|---|
//! | 0 | transactional id | [`TransactionMetadata`] | 0-1 | 1 |
//!
//! Records of other types, and of states that are never stored, are skipped. Source: Kafka `TransactionLog`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{ProducerIdAndEpoch, TransactionMetadata, TransactionState, TransactionVersion, TransactionalId};
use crate::{
    ProducerEpoch, ProducerId, TopicPartition,
    protocol::{
        DecodeError, DecodeLimits, EncodeError, decode_key, decode_versioned, encode_key, encode_versioned,
        record_type,
        records::{TransactionLogKey, TransactionLogValue, transaction_log::PartitionsSchema},
    },
};

const TRANSACTION: i16 = 0;
const VALUE_VERSION: i16 = 1;
/// For an absent time, id or epoch.
const NONE: i16 = -1;

/// One change of durable state. `None` as a value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRecord {
    /// Which transactional id.
    pub transactional_id: TransactionalId,
    /// What is known of it.
    pub value: Option<TransactionMetadata>,
}

/// A record as it is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The record's key.
    pub key: Bytes,
    /// The record's value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Why a record of `__transaction_state` cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeRecordError {
    /// The key is malformed.
    #[error("malformed key of a transaction record")]
    Key(#[source] DecodeError),
    /// The value is malformed.
    #[error("malformed value of the record of transactional id {transactional_id}")]
    Value {
        /// The id the key names.
        transactional_id: String,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// The value names a state that is not known.
    #[error("transactional id {transactional_id} is in state {status}, which is not known")]
    UnknownState {
        /// The id the key names.
        transactional_id: String,
        /// The number of the state.
        status: i8,
    },
}

/// Writes a record.
///
/// # Errors
/// If a text in it is longer than the format carries.
pub fn encode_record(record: &TransactionRecord) -> Result<EncodedRecord, EncodeError> {
    let key = encode_key(&TransactionLogKey { transactional_id: record.transactional_id.to_string() })?;
    let value = record.value.as_ref().map(|value| encode_versioned(&to_wire(value), VALUE_VERSION)).transpose()?;
    Ok(EncodedRecord { key, value })
}

/// Reads a record; `None` if it is of a type that is not known.
///
/// # Errors
/// If it is malformed.
pub fn decode_record(key: &Bytes, value: Option<&Bytes>) -> Result<Option<TransactionRecord>, DecodeRecordError> {
    if record_type(key).map_err(DecodeRecordError::Key)? != TRANSACTION {
        return Ok(None);
    }
    let limits = DecodeLimits::default();
    let TransactionLogKey { transactional_id } = decode_key(key, &limits).map_err(DecodeRecordError::Key)?;
    let value = match value {
        None => None,
        Some(bytes) => match decode_versioned::<TransactionLogValue>(bytes, &limits) {
            Ok((_, value)) => {
                let status = value.transaction_status;
                let state = TransactionState::from_id(status);
                let state = state.ok_or_else(|| DecodeRecordError::UnknownState {
                    transactional_id: transactional_id.clone(),
                    status,
                })?;
                Some(from_wire(value, state))
            }
            Err(source) => return Err(DecodeRecordError::Value { transactional_id, source }),
        },
    };
    Ok(Some(TransactionRecord { transactional_id: transactional_id.into(), value }))
}

fn to_wire(value: &TransactionMetadata) -> TransactionLogValue {
    TransactionLogValue {
        producer_id: value.producer.id.0,
        previous_producer_id: ProducerId::to_wire(value.previous_producer_id),
        next_producer_id: ProducerId::to_wire(value.next_producer_id),
        producer_epoch: value.producer.epoch.0,
        next_producer_epoch: NONE,
        transaction_timeout_ms: value.timeout_ms,
        transaction_status: value.state.id(),
        transaction_partitions: (value.state != TransactionState::Empty).then(|| by_topic(value)),
        transaction_last_update_timestamp_ms: value.updated_ms,
        transaction_start_timestamp_ms: value.started_ms.unwrap_or(NONE.into()),
        client_transaction_version: value.client_version.level(),
    }
}

fn by_topic(value: &TransactionMetadata) -> Vec<PartitionsSchema> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in &value.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let topic = |(topic, partition_ids): (&str, _)| PartitionsSchema { topic: topic.to_owned(), partition_ids };
    topics.into_iter().map(topic).collect()
}

fn from_wire(value: TransactionLogValue, state: TransactionState) -> TransactionMetadata {
    // Without a transaction there is none of its partitions, whatever the record says: Kafka does not read them either.
    let topics = value.transaction_partitions.filter(|_| state != TransactionState::Empty).unwrap_or_default();
    let partitions = topics.into_iter().flat_map(|PartitionsSchema { topic, partition_ids }| {
        let topic: std::sync::Arc<str> = topic.into();
        partition_ids.into_iter().map(move |partition| TopicPartition::new(topic.clone(), partition))
    });
    TransactionMetadata {
        producer: ProducerIdAndEpoch { id: ProducerId(value.producer_id), epoch: ProducerEpoch(value.producer_epoch) },
        previous_producer_id: ProducerId::from_wire(value.previous_producer_id),
        next_producer_id: ProducerId::from_wire(value.next_producer_id),
        last_producer_epoch: None,
        timeout_ms: value.transaction_timeout_ms,
        state,
        partitions: partitions.collect(),
        started_ms: (value.transaction_start_timestamp_ms >= 0).then_some(value.transaction_start_timestamp_ms),
        updated_ms: value.transaction_last_update_timestamp_ms,
        client_version: TransactionVersion::from_level(value.client_transaction_version),
    }
}
