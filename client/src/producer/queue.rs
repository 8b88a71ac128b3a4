//! One partition's batches: the open one, those that wait, and what is known of those in flight. Decides when the
//! front batch may leave, and numbers batches so that the broker can tell a repetition from a loss.
//!
//! ```text
//!            append               seal               take               success
//!  record ---------> open batch ------> waiting queue ------> in flight ---------> gone
//!                                            ^                   |
//!                                            +----- retriable ---+
//! ```
//!
//! Order is kept so: a batch that comes back goes in front of all that were begun after it, and while such a batch
//! waits or is in flight nothing else of the partition is sent. A partition whose numbering has become uncertain (a
//! batch was given up, or the broker lost its state) waits until nothing is in flight and then starts a new epoch at
//! sequence 0.
//!
//! Source: KIP-98, KIP-360; Kafka's `RecordAccumulator`, `TxnPartitionMap`.

use std::{collections::VecDeque, time::Duration};

use riverrun_core::TopicPartition;
use tokio::time::Instant;

use super::batch::{Batch, OpenBatch, ProducerSession, Sequenced, advance};

/// The batches of one partition.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) topic_partition: TopicPartition,
    /// The node that leads the partition, while known.
    pub(super) leader: Option<i32>,
    pub(super) open: Option<OpenBatch>,
    pub(super) waiting: VecDeque<Batch>,
    pub(super) in_flight: usize,
    /// A batch that was sent before is in flight.
    pub(super) retry_in_flight: bool,
    /// Nothing is sent before this.
    pub(super) not_before: Option<Instant>,
    /// Whether the accumulator has it on its list.
    pub(super) listed: bool,
    /// How large the last batch became: the next one's first allocation.
    pub(super) typical_size: usize,
    numbering: Option<Numbering>,
    renumber: bool,
}

/// Sequence numbers within a session.
#[derive(Debug, Clone, Copy)]
struct Numbering {
    session: ProducerSession,
    next: i32,
    /// The first number not yet acknowledged.
    unacknowledged: i32,
}

/// What decides whether open batches may leave early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) linger: Duration,
    /// Somebody waits for everything to be sent, or for room.
    pub(super) hurry: bool,
    pub(super) max_in_flight: usize,
    pub(super) delivery_timeout: Duration,
}

/// Whether a batch may leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// Not before then.
    At(Instant),
    /// An event will tell: an append, or a response.
    Waiting,
}

impl Queue {
    pub(super) fn new(topic_partition: TopicPartition) -> Self {
        Self {
            topic_partition,
            leader: None,
            open: None,
            waiting: VecDeque::new(),
            in_flight: 0,
            retry_in_flight: false,
            not_before: None,
            listed: false,
            typical_size: 0,
            numbering: None,
            renumber: false,
        }
    }

    /// Whether no record is here that has not been sent.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// Closes the open batch.
    pub(super) fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            self.typical_size = open.builder.size_estimate();
            self.waiting.push_back(open.seal());
        }
    }

    /// Whether its first batch may leave.
    pub(super) fn readiness(&self, now: Instant, rules: &Rules) -> Readiness {
        if self.in_flight >= rules.max_in_flight || self.retry_in_flight || (self.renumber && self.in_flight > 0) {
            return Readiness::Waiting;
        }
        if let Some(then) = self.not_before.filter(|then| *then > now) {
            return Readiness::At(then);
        }
        match (self.waiting.front(), &self.open) {
            (Some(batch), _) if batch.attempts > 0 && self.in_flight > 0 => Readiness::Waiting,
            (Some(_), _) => Readiness::Ready,
            (None, Some(_)) if rules.hurry => Readiness::Ready,
            // Without linger what is in flight paces the next batch, which fills meanwhile.
            (None, Some(_)) if rules.linger.is_zero() && self.in_flight > 0 => Readiness::Waiting,
            (None, Some(open)) => {
                let due = open.created + rules.linger;
                if due <= now { Readiness::Ready } else { Readiness::At(due) }
            }
            (None, None) => Readiness::Waiting,
        }
    }

    /// When its oldest batch will have waited too long.
    pub(super) fn expiry(&self, rules: &Rules) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|batch| batch.created).min();
        let created = waiting.or_else(|| self.open.as_ref().map(|open| open.created))?;
        Some(created + rules.delivery_timeout)
    }

    /// Takes out the batches that have waited too long.
    pub(super) fn expire(&mut self, now: Instant, rules: &Rules) -> Vec<Batch> {
        if self.expiry(rules).is_none_or(|expiry| expiry > now) {
            return Vec::new();
        }
        let is_late = |created: Instant| created + rules.delivery_timeout <= now;
        if self.open.as_ref().is_some_and(|open| is_late(open.created)) {
            self.seal();
        }
        let (late, rest): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|batch| is_late(batch.created));
        self.waiting = rest.into();
        if late.iter().any(|batch| batch.sequenced.is_some()) {
            self.renumber = true;
        }
        late
    }

    /// Whether a new epoch is due before the next batch.
    pub(super) fn wants_new_epoch(&self) -> bool {
        self.renumber && self.in_flight == 0
    }

    /// Says that the numbering is uncertain: the next batch waits for a new epoch.
    pub(super) fn request_new_epoch(&mut self) {
        self.renumber = true;
    }

    /// Takes the first batch to send it, numbered if there is a session. Call it only when [`Readiness::Ready`] and
    /// no new epoch is due.
    pub(super) fn take(&mut self, session: Option<ProducerSession>) -> Option<Batch> {
        if self.waiting.is_empty() {
            self.seal();
        }
        if let Some(session) = session {
            self.number_first(session)?;
        }
        let mut batch = self.waiting.pop_front()?;
        self.retry_in_flight = batch.attempts > 0;
        batch.attempts += 1;
        self.in_flight += 1;
        self.not_before = None;
        Some(batch)
    }

    fn number_first(&mut self, session: ProducerSession) -> Option<()> {
        let numbering = match self.numbering {
            Some(numbering) if numbering.session == session => numbering,
            // Batches of the older session are still on their way and go first.
            Some(numbering) if self.in_flight > 0 || self.waiting.front()?.sequenced.is_some() => numbering,
            _ => Numbering { session, next: 0, unacknowledged: 0 },
        };
        let numbering = self.numbering.insert(numbering);
        let batch = self.waiting.front_mut()?;
        if batch.sequenced.is_none() {
            batch.sequenced = Some(Sequenced { session: numbering.session, base_sequence: numbering.next });
            numbering.next = advance(numbering.next, batch.count());
        }
        Some(())
    }

    /// Starts anew with `session`: the batches that were sent before are numbered from 0, in order.
    pub(super) fn renumber(&mut self, session: ProducerSession) {
        self.renumber = false;
        let mut next = 0;
        for batch in self.waiting.iter_mut().filter(|batch| batch.sequenced.is_some()) {
            batch.resequence(Sequenced { session, base_sequence: next });
            next = advance(next, batch.count());
        }
        self.numbering = Some(Numbering { session, next, unacknowledged: 0 });
    }

    /// A batch came back, with whatever result.
    pub(super) fn returned(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.retry_in_flight = false;
    }

    /// A batch was written.
    pub(super) fn acknowledged(&mut self, batch: &Batch) {
        if let (Some(numbering), Some(sequenced)) = (&mut self.numbering, batch.sequenced)
            && numbering.session == sequenced.session
        {
            numbering.unacknowledged = advance(sequenced.base_sequence, batch.count());
        }
    }

    /// Whether all batches before this one have been acknowledged.
    pub(super) fn is_next_unacknowledged(&self, batch: &Batch) -> bool {
        match (self.numbering, batch.sequenced) {
            (Some(numbering), Some(sequenced)) => {
                numbering.session == sequenced.session && numbering.unacknowledged == sequenced.base_sequence
            }
            _ => true,
        }
    }

    /// Puts a batch back where its age places it.
    pub(super) fn put_back(&mut self, batch: Batch) {
        let place = self.waiting.iter().position(|other| other.order() > batch.order());
        self.waiting.insert(place.unwrap_or(self.waiting.len()), batch);
    }
}
