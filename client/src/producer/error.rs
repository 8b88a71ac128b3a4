//! What can go wrong in a producer: before a record is accepted ([`SendError`]), and after ([`ProduceError`]).

use std::{sync::Arc, time::Duration};

use riverrun_core::{
    TopicPartition,
    protocol::{ApiKey, ErrorCode},
    record,
};

use super::batch::{Batch, Failure};
use crate::error::{CallError, ClientError};

/// Why a record was not accepted. It was not sent and will not be.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The topic's partitions are not known.
    #[error("cannot send to topic `{topic}`")]
    Metadata {
        /// The topic.
        topic: Arc<str>,
        /// Why they are not.
        #[source]
        source: ClientError,
    },
    /// The record names a partition that the topic does not have.
    #[error("topic `{topic}` has {partitions} partitions and no partition {partition}")]
    NoPartition {
        /// The topic.
        topic: Arc<str>,
        /// The partition named.
        partition: i32,
        /// Partitions that it has.
        partitions: usize,
    },
    /// The record is larger than a request or the whole buffer may be.
    #[error("a record of {size} bytes is above the limit of {limit}")]
    TooLarge {
        /// Bytes that it takes.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The record cannot be encoded.
    #[error("the record cannot be encoded")]
    Encode(#[source] Arc<record::BuildError>),
    /// No room in the buffer within `max_block`: records come faster than the brokers take them.
    #[error("no room in the producer's buffer within {after:?}")]
    BufferFull {
        /// How long was waited.
        after: Duration,
    },
    /// The producer has been closed.
    #[error("the producer has been closed")]
    Closed,
}

impl SendError {
    /// Whether sending the record again later may succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Metadata { source, .. } => source.is_retriable(),
            Self::BufferFull { .. } => true,
            Self::NoPartition { .. } | Self::TooLarge { .. } | Self::Encode(_) | Self::Closed => false,
        }
    }

    /// Whether the record may have been written: never.
    pub fn may_have_side_effects(&self) -> bool {
        false
    }
}

/// Why an accepted record is not known to be written. The producer has tried again as long as that could help.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The broker refused it.
    #[error("{topic_partition}: {} ({})", code.name(), message.as_deref().unwrap_or(code.message()))]
    Broker {
        /// The partition.
        topic_partition: TopicPartition,
        /// The broker's code.
        code: ErrorCode,
        /// The broker's words, if it sent any.
        message: Option<Arc<str>>,
    },
    /// `delivery_timeout` passed.
    #[error("{topic_partition}: not acknowledged within {after:?} after {attempts} attempts")]
    TimedOut {
        /// The partition.
        topic_partition: TopicPartition,
        /// The time allowed.
        after: Duration,
        /// How often it was sent.
        attempts: u32,
        /// Why the last attempt failed, if there was one.
        #[source]
        source: Option<CallError>,
    },
    /// The request could not be made, or its response not understood.
    #[error("{topic_partition}: the request failed")]
    Call {
        /// The partition.
        topic_partition: TopicPartition,
        /// How.
        #[source]
        source: CallError,
    },
    /// The batch could not be compressed or encoded.
    #[error("{topic_partition}: the batch cannot be encoded")]
    Encode {
        /// The partition.
        topic_partition: TopicPartition,
        /// Why.
        #[source]
        source: Arc<record::BuildError>,
    },
    /// No producer id could be had, which idempotence needs.
    #[error("{topic_partition}: no producer id: {} ({})", code.name(), code.message())]
    ProducerId {
        /// The partition.
        topic_partition: TopicPartition,
        /// The broker's code.
        code: ErrorCode,
    },
    /// The producer was closed or dropped before the record was acknowledged.
    #[error("{topic_partition}: the producer was closed before the record was acknowledged")]
    Closed {
        /// The partition.
        topic_partition: TopicPartition,
        /// Whether it had been sent.
        sent: bool,
    },
}

impl ProduceError {
    pub(super) fn timed_out(topic_partition: TopicPartition, after: Duration, batch: &Batch) -> Self {
        let source = match &batch.failure {
            Some(Failure::Call(error)) => Some(error.clone()),
            Some(Failure::Broker { code, .. }) => Some(CallError::Broker { api: ApiKey::Produce, code: *code }),
            None => None,
        };
        Self::TimedOut { topic_partition, after, attempts: batch.attempts, source }
    }

    /// Whether sending the record anew may succeed. If it [may have had effects](Self::may_have_side_effects), it
    /// may then be there twice.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Broker { code, .. } | Self::ProducerId { code, .. } => code.is_retriable(),
            Self::TimedOut { .. } => true,
            Self::Call { source, .. } => source.is_retriable(),
            Self::Encode { .. } | Self::Closed { .. } => false,
        }
    }

    /// Whether the record may have been written although it is not known to be.
    pub fn may_have_side_effects(&self) -> bool {
        match self {
            Self::Broker { code, .. } => {
                matches!(code, ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicasAfterAppend)
            }
            Self::TimedOut { attempts, .. } => *attempts > 0,
            Self::Call { source, .. } => source.may_have_side_effects(),
            Self::Closed { sent, .. } => *sent,
            Self::Encode { .. } | Self::ProducerId { .. } => false,
        }
    }
}

/// Why settings do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerConfigError {
    /// Idempotence needs acknowledgement by all replicas.
    #[error("idempotence needs acks=all")]
    IdempotenceNeedsAcksAll,
    /// Idempotence allows five requests in flight at most.
    #[error("idempotence allows 1 to 5 requests in flight, not {max_in_flight}")]
    IdempotenceInFlight {
        /// The number set.
        max_in_flight: usize,
    },
    /// A size or count is zero or beyond what it may be.
    #[error("{setting} of {value} is out of range")]
    OutOfRange {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: usize,
    },
    /// This build lacks the codec.
    #[error("this build has no support for {codec}")]
    CodecNotBuilt {
        /// The codec.
        codec: record::Compression,
    },
}
