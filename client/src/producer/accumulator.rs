//! The producer's machine: takes records, decides which batches go where and when, and what a response means for
//! them. No I/O, no clock, no randomness: all come in as arguments. The loop in `sender.rs` drives it.
//!
//! | call        | when                                  | what comes out                                        |
//! |-------------|---------------------------------------|-------------------------------------------------------|
//! | `append`    | a record is sent                      | its [`Delivery`], and whether the loop must look      |
//! | `poll`      | the loop woke                         | requests to send, batches given up, what is missing   |
//! | `complete`  | a batch's response came, or none will | what is known of it, room freed                       |
//! | `set_topic` | metadata came                         |                                                       |
//!
//! Invariants: a record's completion is told exactly once; the room that a batch holds is freed when the last of its
//! parts is; at most `max_in_flight` requests per node are out.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use riverrun_core::{
    TopicPartition,
    record::{BatchBuilder, BatchOptions},
};
use tokio::time::Instant;

use super::{
    batch::{Batch, OpenBatch, ProducerSession},
    completion::Completion,
    error::{ProduceError, SendError},
    queue::{Queue, Readiness, Rules},
    record::{Delivery, ProducerRecord},
    settings::Settings,
};
use crate::cluster::Topic;

/// The index of a queue in the accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct QueueId(pub(super) usize);

/// All partitions' batches.
#[derive(Debug)]
pub(super) struct Accumulator {
    pub(super) settings: Arc<Settings>,
    topics: HashMap<Arc<str>, TopicQueues>,
    pub(super) queues: Vec<Queue>,
    /// The queues that hold unsent records.
    listed: Vec<QueueId>,
    in_flight: HashMap<i32, usize>,
    pub(super) session: Session,
    /// Unfinished batches and the number of their parts.
    unfinished: BTreeMap<u64, usize>,
    next_batch: u64,
    /// How many wait for a flush, or for room.
    pub(super) hurried_by: usize,
    pub(super) closed: bool,
}

/// The queues of one topic, by partition.
#[derive(Debug, Default)]
struct TopicQueues {
    partitions: Vec<QueueId>,
    /// Where records without key go at present, and how many bytes still may.
    sticky: Option<(usize, usize)>,
}

/// The producer's id, if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// Without idempotence none is needed.
    NotNeeded,
    /// One must be asked for.
    Missing,
    Known(ProducerSession),
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) queue: QueueId,
    pub(super) topic_partition: TopicPartition,
    pub(super) batch: Batch,
}

/// What a look at all queues gives.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Requests by node, to be sent in this order.
    pub(super) requests: Vec<(i32, Vec<Outgoing>)>,
    /// Nodes that have something to send but cannot be sent to.
    pub(super) unconnected: Vec<i32>,
    /// Topics with records but a partition without leader.
    pub(super) leaderless: Vec<Arc<str>>,
    /// A producer id is needed.
    pub(super) wants_session: bool,
    /// Buffer bytes freed by giving batches up.
    pub(super) freed: usize,
    /// When to look again, if nothing happens before.
    pub(super) next_look: Option<Instant>,
}

/// What came of an append.
#[derive(Debug)]
pub(super) enum Appended {
    Accepted {
        delivery: Delivery,
        wake: bool,
    },
    /// The topic's partitions must be learned first.
    UnknownTopic,
}

impl Accumulator {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let session = if settings.idempotent { Session::Missing } else { Session::NotNeeded };
        Self {
            settings,
            topics: HashMap::new(),
            queues: Vec::new(),
            listed: Vec::new(),
            in_flight: HashMap::new(),
            session,
            unfinished: BTreeMap::new(),
            next_batch: 0,
            hurried_by: 0,
            closed: false,
        }
    }

    /// The topics that records were sent to.
    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        self.topics.keys().cloned().collect()
    }

    /// Takes over what is known of a topic.
    pub(super) fn set_topic(&mut self, topic: &Topic) {
        let known = self.topics.entry(Arc::clone(&topic.name)).or_default();
        for (index, partition) in (0..).zip(&topic.partitions) {
            if known.partitions.len() <= index {
                let partition = i32::try_from(index).unwrap_or(i32::MAX);
                known.partitions.push(QueueId(self.queues.len()));
                self.queues.push(Queue::new(TopicPartition { topic: Arc::clone(&topic.name), partition }));
            }
            if let Some(queue) = known.partitions.get(index).and_then(|id| self.queues.get_mut(id.0)) {
                queue.leader = partition.leader;
            }
        }
    }

    /// Takes a record of at most `size` bytes, for which room has been reserved. `random` is any number.
    pub(super) fn append(
        &mut self,
        record: &ProducerRecord,
        size: usize,
        timestamp: i64,
        now: Instant,
        random: u32,
    ) -> Result<Appended, SendError> {
        if self.closed {
            return Err(SendError::Closed);
        }
        let Some(id) = self.choose_queue(record, size, random)? else { return Ok(Appended::UnknownTopic) };
        let Self { settings, queues, listed, unfinished, next_batch, .. } = self;
        let Some(queue) = queues.get_mut(id.0) else { return Ok(Appended::UnknownTopic) };
        let full = |open: &OpenBatch| open.builder.size_estimate() + size > settings.batch_size;
        let mut wake = queue.is_empty();
        if queue.open.as_ref().is_some_and(full) {
            queue.seal();
            wake = true;
        }
        let open = queue.open.get_or_insert_with(|| {
            let options = BatchOptions { compression: settings.compression, ..BatchOptions::default() };
            let capacity = (queue.typical_size + queue.typical_size / 8).min(settings.batch_size + 64).max(256);
            let id = *next_batch;
            *next_batch += 1;
            unfinished.insert(id, 1);
            OpenBatch {
                builder: BatchBuilder::with_capacity(options, capacity),
                completion: Arc::new(Completion::new(queue.topic_partition.clone())),
                id,
                created: now,
                memory: 0,
            }
        });
        let headers = record.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        let index = u32::try_from(open.builder.len()).unwrap_or(u32::MAX);
        let appended = open.builder.append(timestamp, record.key.as_deref(), record.value.as_deref(), headers);
        if let Err(error) = appended {
            if open.builder.is_empty() {
                unfinished.remove(&open.id);
                queue.open = None;
            }
            return Err(SendError::Encode(Arc::new(error)));
        }
        open.memory += size;
        let completion = Arc::clone(&open.completion);
        if open.builder.size_estimate() >= settings.batch_size {
            queue.seal();
            wake = true;
        }
        if !queue.listed {
            queue.listed = true;
            listed.push(id);
        }
        Ok(Appended::Accepted { delivery: Delivery { completion, index, timestamp, waker_slot: None }, wake })
    }

    fn choose_queue(
        &mut self,
        record: &ProducerRecord,
        size: usize,
        random: u32,
    ) -> Result<Option<QueueId>, SendError> {
        let Self { settings, topics, queues, .. } = self;
        let Some(topic) = topics.get_mut(&record.topic) else { return Ok(None) };
        let count = topic.partitions.len();
        let Some(partition_count) = i32::try_from(count).ok().filter(|count| *count > 0) else { return Ok(None) };
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let chosen = match record.partition {
            Some(partition) => Some(partition),
            None => settings.partitioner.partition(&record.topic, key, value, partition_count),
        };
        if let Some(partition) = chosen {
            let found = usize::try_from(partition).ok().and_then(|index| topic.partitions.get(index));
            let topic = || Arc::clone(&record.topic);
            let missing = || SendError::NoPartition { topic: topic(), partition, partitions: count };
            return found.copied().map(Some).ok_or_else(missing);
        }
        let (index, room) = topic.sticky.filter(|(index, _)| *index < count).unwrap_or_else(|| {
            let has_leader = |id: &QueueId| queues.get(id.0).is_some_and(|queue| queue.leader.is_some());
            let with_leader: Vec<_> =
                (0..count).filter(|index| topic.partitions.get(*index).is_some_and(has_leader)).collect();
            let random = usize::try_from(random).unwrap_or(0);
            let chosen = random.checked_rem(with_leader.len()).and_then(|nth| with_leader.get(nth).copied());
            (chosen.unwrap_or(random % count), settings.batch_size)
        });
        // Another partition's turn comes once a batch's worth of bytes has gone to this one.
        topic.sticky = room.checked_sub(size).map(|room| (index, room));
        Ok(topic.partitions.get(index).copied())
    }

    fn rules(&self) -> Rules {
        Rules {
            linger: self.settings.linger,
            hurry: self.hurried_by > 0 || self.closed,
            max_in_flight: self.settings.max_in_flight,
            delivery_timeout: self.settings.delivery_timeout,
        }
    }

    /// Takes what can be sent now. `can_send` tells whether a node has an open connection.
    pub(super) fn poll(&mut self, now: Instant, can_send: impl Fn(i32) -> bool) -> Plan {
        let rules = self.rules();
        let mut plan = Plan::default();
        let mut sizes: HashMap<i32, usize> = HashMap::new();
        let mut listed = std::mem::take(&mut self.listed);
        for id in &listed {
            self.give_up_late(*id, now, &rules, &mut plan);
            self.look_at(*id, now, &rules, &can_send, &mut sizes, &mut plan);
        }
        listed.retain(|id| {
            self.queues.get_mut(id.0).is_some_and(|queue| {
                queue.listed = !queue.is_empty();
                queue.listed
            })
        });
        // Whoever came first goes last next time, so that a full request starves nobody.
        if listed.len() > 1 {
            listed.rotate_left(1);
        }
        self.listed = listed;
        for (node, _) in &plan.requests {
            *self.in_flight.entry(*node).or_default() += 1;
        }
        plan
    }

    fn give_up_late(&mut self, id: QueueId, now: Instant, rules: &Rules, plan: &mut Plan) {
        let Some(queue) = self.queues.get_mut(id.0) else { return };
        for batch in queue.expire(now, rules) {
            let topic_partition = queue.topic_partition.clone();
            let error = ProduceError::timed_out(topic_partition, rules.delivery_timeout, &batch);
            plan.freed += finish(&mut self.unfinished, &batch, Err(error));
        }
        earliest(&mut plan.next_look, queue.expiry(rules));
    }

    fn look_at(
        &mut self,
        id: QueueId,
        now: Instant,
        rules: &Rules,
        can_send: &impl Fn(i32) -> bool,
        sizes: &mut HashMap<i32, usize>,
        plan: &mut Plan,
    ) {
        let Some(queue) = self.queues.get_mut(id.0) else { return };
        match queue.readiness(now, rules) {
            Readiness::Ready => {}
            Readiness::At(then) => return earliest(&mut plan.next_look, Some(then)),
            Readiness::Waiting => return,
        }
        let Some(node) = queue.leader else {
            if !plan.leaderless.contains(&queue.topic_partition.topic) {
                plan.leaderless.push(Arc::clone(&queue.topic_partition.topic));
            }
            return;
        };
        if !can_send(node) {
            if !plan.unconnected.contains(&node) {
                plan.unconnected.push(node);
            }
            return;
        }
        if self.in_flight.get(&node).is_some_and(|count| *count >= rules.max_in_flight) {
            return;
        }
        let Some(session) = self.session_for(id, plan) else { return };
        let Some(queue) = self.queues.get_mut(id.0) else { return };
        let next = queue.waiting.front().map(Batch::size);
        let next = next.or_else(|| queue.open.as_ref().map(|open| open.builder.size_estimate())).unwrap_or(0);
        let size = sizes.entry(node).or_default();
        if *size > 0 && *size + next > self.settings.max_request_size {
            // The rest follows in the next request, once this one is on its way.
            return earliest(&mut plan.next_look, Some(now));
        }
        let Some(batch) = queue.take(session) else { return };
        *size += next;
        let outgoing = Outgoing { queue: id, topic_partition: queue.topic_partition.clone(), batch };
        match plan.requests.iter_mut().find(|(known, _)| *known == node) {
            Some((_, request)) => request.push(outgoing),
            None => plan.requests.push((node, vec![outgoing])),
        }
    }

    /// The session to send the queue's next batch with; nothing if one must be had first.
    fn session_for(&mut self, id: QueueId, plan: &mut Plan) -> Option<Option<ProducerSession>> {
        let current = match self.session {
            Session::NotNeeded => return Some(None),
            Session::Missing => {
                plan.wants_session = true;
                return None;
            }
            Session::Known(session) => session,
        };
        let queue = self.queues.get_mut(id.0)?;
        if !queue.wants_new_epoch() {
            return Some(Some(current));
        }
        let Some(epoch) = current.epoch.checked_add(1) else {
            self.session = Session::Missing;
            plan.wants_session = true;
            return None;
        };
        let bumped = ProducerSession { epoch, ..current };
        queue.renumber(bumped);
        self.session = Session::Known(bumped);
        Some(Some(bumped))
    }

    /// A request to `node` is over; its batches are each completed apart.
    pub(super) fn request_ended(&mut self, node: i32) {
        if let Some(count) = self.in_flight.get_mut(&node) {
            *count = count.saturating_sub(1);
        }
    }

    /// Puts a queue on the list, if it has something to send.
    pub(super) fn list(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(id.0).filter(|queue| !queue.listed && !queue.is_empty()) {
            queue.listed = true;
            self.listed.push(id);
        }
    }

    /// A batch was split in two.
    pub(super) fn count_part(&mut self, batch: u64) {
        *self.unfinished.entry(batch).or_default() += 1;
    }

    /// Tells a batch's records how they ended; gives the room freed.
    pub(super) fn finish(&mut self, batch: &Batch, outcome: super::completion::Outcome) -> usize {
        finish(&mut self.unfinished, batch, outcome)
    }

    /// Whether every batch begun before `mark` has ended.
    pub(super) fn is_finished_before(&self, mark: u64) -> bool {
        self.unfinished.first_key_value().is_none_or(|(first, _)| *first >= mark)
    }

    /// The number that the next batch will get.
    pub(super) fn mark(&self) -> u64 {
        self.next_batch
    }

    /// Gives up all that has not been sent; for the end.
    pub(super) fn abandon(&mut self, error: impl Fn(TopicPartition, &Batch) -> ProduceError) -> usize {
        let mut freed = 0;
        for queue in &mut self.queues {
            queue.seal();
            for batch in std::mem::take(&mut queue.waiting) {
                freed += finish(&mut self.unfinished, &batch, Err(error(queue.topic_partition.clone(), &batch)));
            }
            queue.listed = false;
        }
        self.listed.clear();
        freed
    }
}

fn finish(unfinished: &mut BTreeMap<u64, usize>, batch: &Batch, outcome: super::completion::Outcome) -> usize {
    batch.finish(outcome);
    if let Some(parts) = unfinished.get_mut(&batch.id) {
        *parts -= 1;
        if *parts == 0 {
            unfinished.remove(&batch.id);
        }
    }
    batch.memory
}

fn earliest(next: &mut Option<Instant>, other: Option<Instant>) {
    *next = match (*next, other) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}
