//! Fetching ahead and handing out. One fetch per broker is under way; what came lies in a row, in the order in which it
//! came, until polls have taken it. At most [`ANSWERS_AHEAD`] answers of a broker lie here when the next is asked for.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use futures::FutureExt;
use riverrun_core::{TopicPartition, protocol::ErrorCode};
use tokio::time::Instant;

use super::{
    Consumer,
    assignment::{Place, reset_place},
    error::ConsumeError,
    fetch::{self, Got, Wanted},
    fetched::Fetched,
    poll::Event,
    record::ConsumerRecords,
    settings::IsolationLevel,
};
use crate::{backoff::Backoff, error::ClientError, producer::concerns_metadata};

/// Answers of one broker that may lie here unread when the next is asked for.
const ANSWERS_AHEAD: usize = 1;

impl Consumer {
    /// Asks every broker that has something to give and is not asked already.
    pub(super) fn fetch(&mut self) {
        let now = Instant::now();
        let image = self.cluster.image();
        let mut by_node: HashMap<i32, Vec<Wanted>> = HashMap::new();
        for (partition, reading) in self.assignment.iter() {
            let Place::At { fetch_offset, .. } = reading.place else { continue };
            if reading.paused || reading.not_before.is_some_and(|then| then > now) {
                continue;
            }
            let known = image.topic(&partition.topic).and_then(|topic| topic.partition(partition.partition));
            let Some((known, node)) = known.and_then(|known| Some((known, known.leader?))) else { continue };
            by_node.entry(node).or_default().push(Wanted {
                topic_partition: partition.clone(),
                fence: reading.fence,
                offset: fetch_offset,
                leader_epoch: known.leader_epoch,
            });
        }
        for (node, mut wanted) in by_node {
            let is_failing = self.work.failing.get(&node).is_some_and(|(_, until)| *until > now);
            if self.work.fetching.contains(&node) || is_failing || self.answers_of(node) > ANSWERS_AHEAD {
                continue;
            }
            let Some(address) = image.address(node).cloned() else { continue };
            // Brokers fill an answer in the order of the question: whoever was first goes last next time.
            let turn = usize::try_from(self.work.next_response).unwrap_or(0) % wanted.len().max(1);
            wanted.rotate_left(turn);
            self.work.fetching.insert(node);
            let (pool, settings) = (Arc::clone(&self.work.pool), Arc::clone(&self.settings));
            let fetched = fetch::fetch(pool, address, Arc::clone(&image), settings, wanted);
            // The first poll of the future sends the request; without it nothing would leave before the next poll.
            let mut fetched = async move { Event::Fetched(node, fetched.await) }.boxed();
            match (&mut fetched).now_or_never() {
                Some(event) => self.work.start(std::future::ready(event)),
                None => self.work.events.push(fetched),
            }
        }
    }

    /// How many answers of a node lie here unread.
    fn answers_of(&self, node: i32) -> usize {
        let is_wanted = |fetched: &&Fetched| {
            let reading = self.assignment.get(&fetched.topic_partition);
            fetched.node == node && reading.is_some_and(|r| r.fence == fetched.fence && !r.paused)
        };
        let responses: HashSet<u64> = self.work.fetched.iter().filter(is_wanted).map(|f| f.response).collect();
        responses.len()
    }

    pub(super) fn take_fetched(&mut self, node: i32, result: Result<Vec<Got>, ClientError>) {
        self.work.fetching.remove(&node);
        let got = match result {
            Ok(got) => got,
            Err(error) => {
                tracing::debug!(consumer = self.name, node, %error, "fetch failed");
                let failing = self.work.failing.entry(node).or_insert((0, Instant::now()));
                failing.0 += 1;
                failing.1 = Instant::now() + Backoff::default().after(failing.0, rand::random());
                if !error.is_retriable() {
                    self.fail(error);
                }
                return self.ask_metadata();
            }
        };
        self.work.failing.remove(&node);
        let response = self.work.next_response;
        self.work.next_response += 1;
        for got in got {
            self.take_partition((node, response), got);
        }
    }

    fn take_partition(&mut self, origin: (i32, u64), got: Got) {
        let Got { wanted: Wanted { topic_partition, fence, offset, .. }, code, data } = got;
        let policy = self.settings.auto_offset_reset;
        let Some(reading) = self.assignment.get_mut(&topic_partition).filter(|reading| reading.fence == fence) else {
            return;
        };
        if code == ErrorCode::None {
            reading.failures = 0;
            let records = data.records.unwrap_or_default();
            if records.is_empty() {
                return;
            }
            let read_committed = self.settings.isolation == IsolationLevel::ReadCommitted;
            let aborted = read_committed.then(|| data.aborted_transactions.unwrap_or_default());
            let fetched = Fetched::new(topic_partition, fence, origin, records, aborted);
            if let (Place::At { fetch_offset, .. }, Some(end)) = (&mut reading.place, fetched.end_offset()) {
                *fetch_offset = end.max(*fetch_offset);
            }
            self.work.fetched.push_back(fetched);
            return;
        }
        reading.failures += 1;
        reading.not_before = Some(Instant::now() + Backoff::default().after(reading.failures, rand::random()));
        if code == ErrorCode::OffsetOutOfRange {
            // What was fetched before is handed out first; then the position is here and the answer the same.
            if reading.position() == Some(offset) {
                tracing::info!(consumer = self.name, %topic_partition, offset, "offset is out of range");
                match reset_place(policy) {
                    Some(place) => {
                        let _ = self.assignment.set_place(&topic_partition, place);
                    }
                    None => self.fail(ConsumeError::OffsetOutOfRange { topic_partition, offset }),
                }
            }
        } else if concerns_metadata(code) {
            self.ask_metadata();
        } else if !code.is_retriable() && code != ErrorCode::UnknownServerError {
            self.fail(ConsumeError::Fetch { topic_partition, code });
        }
    }

    /// Takes up to `max_poll_records` of what was fetched.
    pub(super) fn hand_out(&mut self) -> Result<Option<ConsumerRecords>, ConsumeError> {
        let mut records = ConsumerRecords::default();
        let mut room = self.settings.max_poll_records;
        let mut kept = VecDeque::new();
        let mut failure = None;
        let mut stuck: Vec<TopicPartition> = Vec::new();
        while let Some(mut fetched) = self.work.fetched.pop_front() {
            let partition = fetched.topic_partition.clone();
            let Some(reading) = self.assignment.get_mut(&partition).filter(|r| r.fence == fetched.fence) else {
                continue;
            };
            let Place::At { position, leader_epoch, .. } = &mut reading.place else { continue };
            if room == 0 || reading.paused || stuck.contains(&partition) {
                kept.push_back(fetched);
                continue;
            }
            match fetched.take(*position, room, &self.settings.decompress) {
                Ok(taken) => {
                    if let Some(next) = taken.position {
                        *position = next;
                        *leader_epoch = taken.leader_epoch;
                    }
                    room -= taken.records.len();
                    records.push(partition.clone(), taken.records);
                    if !taken.exhausted {
                        stuck.push(partition);
                        kept.push_back(fetched);
                    }
                }
                Err(source) => {
                    let offset = *position;
                    failure = Some(ConsumeError::Damaged { topic_partition: partition.clone(), offset, source });
                    stuck.push(partition);
                    kept.push_back(fetched);
                }
            }
        }
        self.work.fetched = kept;
        match failure {
            Some(error) if records.is_empty() => Err(error),
            _ => Ok((!records.is_empty()).then_some(records)),
        }
    }
}
