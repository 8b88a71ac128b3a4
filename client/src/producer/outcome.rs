//! What a response means for a batch: written, to be sent again, to be split, or given up. The rules of the idempotent
//! producer are here.
//!
//! | answer                              | what follows                                                            |
//! |-------------------------------------|-------------------------------------------------------------------------|
//! | none, DUPLICATE_SEQUENCE_NUMBER     | written                                                                 |
//! | MESSAGE_TOO_LARGE, RECORD_LIST_...  | split in halves that keep their sequence numbers; given up if one record|
//! | OUT_OF_ORDER_SEQUENCE_NUMBER        | an earlier batch failed: again; else numbers are lost: new epoch, again |
//! | UNKNOWN_PRODUCER_ID                 | the broker forgot us: new epoch, again                                  |
//! | INVALID_PRODUCER_EPOCH              | a new producer id, again                                                |
//! | retriable, or no answer             | again after a back-off, until `delivery_timeout`                        |
//! | all else                            | given up; with idempotence a new epoch, as the number is missing        |
//!
//! Source: KIP-98, KIP-360; Kafka's `Sender.completeBatch`, `TransactionManager.canRetry`.

use std::sync::Arc;

use riverrun_core::protocol::ErrorCode;
use tokio::time::Instant;

use super::{
    accumulator::{Accumulator, Outgoing, Session},
    batch::{Batch, Failure},
    completion::Written,
    error::ProduceError,
};

/// What is known of a batch that was sent.
#[derive(Debug)]
pub(super) enum Answer {
    /// The broker wrote it, or did not say.
    Written(Written),
    Failed(Failure),
    /// It never left: it could not be encoded.
    NotEncoded(Arc<riverrun_core::record::BuildError>),
}

/// What the loop has to do after an answer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Consequence {
    /// Buffer bytes freed.
    pub(super) freed: usize,
    /// What is known of leaders is out of date.
    pub(super) refresh_metadata: bool,
}

enum Verdict {
    Retry,
    Split,
    GiveUp,
}

impl Accumulator {
    /// Takes a batch back. `random` is any number.
    pub(super) fn complete(&mut self, sent: Outgoing, answer: Answer, now: Instant, random: u32) -> Consequence {
        let Outgoing { queue: id, mut batch, topic_partition } = sent;
        if let Some(queue) = self.queues.get_mut(id.0) {
            queue.returned();
        }
        let failure = match answer {
            Answer::Written(written) => {
                if let Some(queue) = self.queues.get_mut(id.0) {
                    queue.acknowledged(&batch);
                }
                self.list(id);
                return Consequence { freed: self.finish(&batch, Ok(written)), refresh_metadata: false };
            }
            Answer::NotEncoded(source) => {
                let error = ProduceError::Encode { topic_partition, source };
                self.note_gap(id, &batch);
                self.list(id);
                return Consequence { freed: self.finish(&batch, Err(error)), refresh_metadata: false };
            }
            Answer::Failed(failure) => failure,
        };
        let refresh_metadata = match &failure {
            Failure::Broker { code, .. } => concerns_metadata(*code),
            Failure::Call(_) => true,
        };
        let verdict = self.judge(id, &batch, &failure);
        batch.failure = Some(failure);
        let late = batch.created + self.settings.delivery_timeout <= now;
        let freed = match verdict {
            Verdict::Retry if late => {
                let error = ProduceError::timed_out(topic_partition, self.settings.delivery_timeout, &batch);
                self.give_up(id, &batch, error)
            }
            Verdict::Retry => {
                if let Some(queue) = self.queues.get_mut(id.0) {
                    queue.not_before = Some(now + self.settings.backoff.after(batch.attempts, random));
                    queue.put_back(batch);
                }
                0
            }
            Verdict::Split => match batch.split(self.settings.compression) {
                Some(halves) => {
                    self.count_part(batch.id);
                    if let Some(queue) = self.queues.get_mut(id.0) {
                        halves.into_iter().for_each(|half| queue.put_back(half));
                    }
                    0
                }
                None => self.give_up(id, &batch, error_of(topic_partition, &batch)),
            },
            Verdict::GiveUp => self.give_up(id, &batch, error_of(topic_partition, &batch)),
        };
        self.list(id);
        Consequence { freed, refresh_metadata }
    }

    fn judge(&mut self, id: super::accumulator::QueueId, batch: &Batch, failure: &Failure) -> Verdict {
        let code = match failure {
            Failure::Call(error) if error.is_retriable() => return Verdict::Retry,
            Failure::Call(_) => return Verdict::GiveUp,
            Failure::Broker { code, .. } => *code,
        };
        match code {
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge if batch.count() > 1 => Verdict::Split,
            ErrorCode::OutOfOrderSequenceNumber if batch.sequenced.is_some() => {
                if let Some(queue) = self.queues.get_mut(id.0).filter(|queue| queue.is_next_unacknowledged(batch)) {
                    queue.request_new_epoch();
                }
                Verdict::Retry
            }
            ErrorCode::UnknownProducerId if batch.sequenced.is_some() => {
                if let Some(queue) = self.queues.get_mut(id.0) {
                    queue.request_new_epoch();
                }
                Verdict::Retry
            }
            ErrorCode::InvalidProducerEpoch if batch.sequenced.is_some() => {
                let current = batch.sequenced.map(|sequenced| Session::Known(sequenced.session));
                if current == Some(self.session) {
                    self.session = Session::Missing;
                }
                if let Some(queue) = self.queues.get_mut(id.0) {
                    queue.request_new_epoch();
                }
                Verdict::Retry
            }
            code if code.is_retriable() => Verdict::Retry,
            _ => Verdict::GiveUp,
        }
    }

    fn give_up(&mut self, id: super::accumulator::QueueId, batch: &Batch, error: ProduceError) -> usize {
        self.note_gap(id, batch);
        self.finish(batch, Err(error))
    }

    /// A numbered batch will not be written, so its numbers will be missing.
    fn note_gap(&mut self, id: super::accumulator::QueueId, batch: &Batch) {
        if batch.sequenced.is_some()
            && let Some(queue) = self.queues.get_mut(id.0)
        {
            queue.request_new_epoch();
        }
    }
}

fn error_of(topic_partition: riverrun_core::TopicPartition, batch: &Batch) -> ProduceError {
    match &batch.failure {
        Some(Failure::Broker { code, message }) => {
            ProduceError::Broker { topic_partition, code: *code, message: message.clone() }
        }
        Some(Failure::Call(source)) => ProduceError::Call { topic_partition, source: source.clone() },
        None => ProduceError::Closed { topic_partition, sent: batch.attempts > 0 },
    }
}

/// Whether a code says that another broker leads the partition now, or that it is gone.
pub(crate) fn concerns_metadata(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::NetworkException
            | ErrorCode::KafkaStorageError
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
    )
}
