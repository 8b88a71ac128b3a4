//! The consumer's loop: start what should be under way, hand out what has come, wait for the next thing to happen.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use riverrun_core::{TopicPartition, protocol::ErrorCode};
use tokio::time::{Instant, sleep_until};

use super::{
    Consumer,
    assignment::{Place, Subscription, at, reset_place},
    error::{CommitError, ConsumeError},
    fetch::{self, Got, Wanted as WantedPartition},
    fetched::Fetched,
    group::{Group, Round, SharedOut},
    offsets,
    rebalance::Step,
    record::{ConsumerEvent, ConsumerRecords, OffsetAndMetadata, OffsetAndTimestamp},
    settings::IsolationLevel,
};
use crate::{
    backoff::Backoff,
    cluster::{Cluster, METADATA_MAX_AGE, Pool, Wanted},
    error::ClientError,
    producer::concerns_metadata,
};

/// Answers of one broker that may lie here unread when the next is asked for.
const ANSWERS_AHEAD: usize = 1;
/// How soon a subscribed topic that does not exist is looked for again.
const MISSING_TOPIC_INTERVAL: Duration = Duration::from_secs(2);

/// What is under way.
#[derive(Debug)]
pub(super) struct Work {
    pool: Arc<Pool>,
    /// The topics to know about.
    pub(super) topics: Vec<Arc<str>>,
    pub(super) steps: VecDeque<Step>,
    /// A step's operation is under way.
    pub(super) blocked: Option<Blocked>,
    pub(super) events: FuturesUnordered<BoxFuture<'static, Event>>,
    fetched: VecDeque<Fetched>,
    fetching: HashSet<i32>,
    next_response: u64,
    /// Nodes that failed: how often, and until when they are left alone.
    failing: HashMap<i32, (u32, Instant)>,
    pub(super) metadata_due: Instant,
    asking_metadata: bool,
    metadata_failures: u32,
    /// Questions asked under an earlier subscription or assignment are answered to nobody.
    pub(super) shared_out: Option<SharedOut>,
    auto_commit: Option<(Duration, Instant)>,
    auto_committing: bool,
    auto_committed: BTreeMap<TopicPartition, OffsetAndMetadata>,
    errors: VecDeque<ConsumeError>,
}

/// Which operation holds up the steps after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Records of partitions that stay are handed out meanwhile.
    ByRound,
    /// Nothing is handed out: the offsets being committed are the last ones.
    ByCommit,
}

type Asked = Vec<(TopicPartition, u64)>;

/// Something that was under way has ended.
#[derive(Debug)]
pub(super) enum Event {
    Round(Result<Round, ConsumeError>),
    StepCommitted(Result<(), CommitError>),
    AutoCommitted(BTreeMap<TopicPartition, OffsetAndMetadata>, Result<(), CommitError>),
    Committed(Asked, Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError>),
    Offsets(Asked, Result<HashMap<TopicPartition, Option<OffsetAndTimestamp>>, ClientError>),
    Fetched(i32, Result<Vec<Got>, ClientError>),
    Metadata(Result<(), ClientError>),
}

impl Work {
    pub(super) fn new(cluster: &Arc<Cluster>, auto_commit: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            pool: Arc::new(Pool::new(Arc::clone(cluster.transport()))),
            topics: Vec::new(),
            steps: VecDeque::new(),
            blocked: None,
            events: FuturesUnordered::new(),
            fetched: VecDeque::new(),
            fetching: HashSet::new(),
            next_response: 0,
            failing: HashMap::new(),
            metadata_due: now,
            asking_metadata: false,
            metadata_failures: 0,
            shared_out: None,
            auto_commit: auto_commit.map(|interval| (interval, now + interval)),
            auto_committing: false,
            auto_committed: BTreeMap::new(),
            errors: VecDeque::new(),
        }
    }

    /// Forgets everything under way.
    pub(super) fn forget(&mut self) {
        self.steps.clear();
        self.blocked = None;
        self.events = FuturesUnordered::new();
        self.fetched.clear();
        self.fetching.clear();
        self.asking_metadata = false;
        self.auto_committing = false;
        self.shared_out = None;
        self.errors.clear();
    }

    pub(super) fn start(&self, operation: impl Future<Output = Event> + Send + 'static) {
        self.events.push(operation.boxed());
    }
}

/// As long as it lives, the application counts as polling.
struct Polling(Option<Arc<Group>>);

impl Polling {
    fn new(group: Option<&Arc<Group>>) -> Self {
        if let Some(group) = group {
            group.membership().set_polling(true, Instant::now());
        }
        Self(group.cloned())
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        if let Some(group) = &self.0 {
            group.membership().set_polling(false, Instant::now());
        }
    }
}

impl Consumer {
    /// Waits up to `timeout` for records. A rebalance goes on by itself within.
    ///
    /// Cancel-safe: a call that is dropped loses no record.
    ///
    /// # Errors
    /// See [`ConsumeError`]; polling on is possible unless it says otherwise.
    pub async fn poll(&mut self, timeout: Duration) -> Result<ConsumerRecords, ConsumeError> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.poll_event(left).await? {
                ConsumerEvent::Records(records) => return Ok(records),
                ConsumerEvent::Idle => return Ok(ConsumerRecords::default()),
                ConsumerEvent::Revoked(_) | ConsumerEvent::Lost(_) | ConsumerEvent::Assigned(_) => {}
            }
        }
    }

    /// Waits up to `timeout` for the next event: records, or a step of a rebalance, which goes on only at the next
    /// call of this or of [`poll`](Self::poll); in between the application may commit what it has processed.
    ///
    /// Cancel-safe: a call that is dropped loses no event.
    ///
    /// # Errors
    /// See [`ConsumeError`]; polling on is possible unless it says otherwise.
    pub async fn poll_event(&mut self, timeout: Duration) -> Result<ConsumerEvent, ConsumeError> {
        match &self.subscription {
            Subscription::None => return Err(ConsumeError::NotSubscribed),
            Subscription::Topics(_) | Subscription::Matching(_) if self.group.is_none() => {
                return Err(ConsumeError::NoGroup);
            }
            _ => {}
        }
        let group = self.group.clone().filter(|_| self.is_member());
        let _polling = Polling::new(group.as_ref());
        let deadline = Instant::now() + timeout;
        self.auto_commit();
        loop {
            while let Some(Some(event)) = self.work.events.next().now_or_never() {
                self.take(event);
            }
            if let Some(error) = self.work.errors.pop_front() {
                return Err(error);
            }
            if let Some(event) = self.advance() {
                return Ok(event);
            }
            self.maintain();
            if self.work.blocked != Some(Blocked::ByCommit)
                && let Some(records) = self.hand_out()?
            {
                // The next fetch is on its way while the application works.
                self.fetch();
                return Ok(ConsumerEvent::Records(records));
            }
            if Instant::now() >= deadline {
                return Ok(ConsumerEvent::Idle);
            }
            let until = self.next_look().min(deadline);
            let changed = async {
                match &group {
                    Some(group) => group.changed.notified().await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                Some(event) = self.work.events.next() => Some(event),
                () = changed => None,
                () = sleep_until(until) => None,
            };
            if let Some(event) = event {
                self.take(event);
            }
        }
    }

    /// Starts what should be under way.
    fn maintain(&mut self) {
        let now = Instant::now();
        if now >= self.work.metadata_due || self.lacks_a_leader() {
            self.ask_metadata();
        }
        self.find_places();
        self.fetch();
    }

    /// When to look again if nothing happens before.
    fn next_look(&self) -> Instant {
        let now = Instant::now();
        let paused = self.assignment.iter().filter_map(|(_, reading)| reading.not_before);
        let failing = self.work.failing.values().map(|(_, until)| *until);
        let metadata = (!self.work.asking_metadata).then_some(self.work.metadata_due);
        let pending = paused.chain(failing).filter(|then| *then > now).chain(metadata);
        pending.min().unwrap_or(now + METADATA_MAX_AGE)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Round(result) => self.round_ended(result),
            Event::StepCommitted(result) => {
                self.work.blocked = None;
                if let Err(error) = result {
                    tracing::warn!(consumer = self.name, %error, "offsets not committed before partitions go");
                }
            }
            Event::AutoCommitted(offsets, result) => {
                self.work.auto_committing = false;
                match result {
                    Ok(()) => self.work.auto_committed = offsets,
                    Err(error) => tracing::debug!(consumer = self.name, %error, "offsets not committed"),
                }
            }
            Event::Committed(asked, result) => self.learn_committed(asked, result),
            Event::Offsets(asked, result) => self.learn_offsets(asked, result),
            Event::Fetched(node, result) => self.take_fetched(node, result),
            Event::Metadata(result) => {
                self.work.asking_metadata = false;
                match result {
                    Ok(()) => self.metadata_learned(),
                    Err(error) => {
                        tracing::debug!(consumer = self.name, %error, "cannot learn metadata");
                        self.work.metadata_failures += 1;
                        let failures = self.work.metadata_failures;
                        self.work.metadata_due = Instant::now() + Backoff::default().after(failures, rand::random());
                    }
                }
            }
        }
    }

    pub(super) fn fail(&mut self, error: impl Into<ConsumeError>) {
        self.work.errors.push_back(error.into());
    }

    fn lacks_a_leader(&self) -> bool {
        if self.work.asking_metadata || self.work.metadata_failures > 0 {
            return false;
        }
        let image = self.cluster.image();
        let known = |partition: &TopicPartition| {
            let topic = image.topic(&partition.topic);
            topic.and_then(|topic| topic.partition(partition.partition)).is_some_and(|p| p.leader.is_some())
        };
        !self.assignment.iter().all(|(partition, _)| known(partition))
    }

    pub(super) fn ask_metadata(&mut self) {
        if std::mem::replace(&mut self.work.asking_metadata, true) {
            return;
        }
        let cluster = Arc::clone(&self.cluster);
        let allow_auto_create = self.settings.allow_auto_create;
        let all = matches!(self.subscription, Subscription::Matching(_));
        let mut names = self.work.topics.clone();
        if let Some(shared_out) = &self.work.shared_out {
            names.extend(shared_out.names.iter().cloned());
            names.sort_unstable();
            names.dedup();
        }
        self.work.start(async move {
            let wanted = if all { Wanted::All } else { Wanted::Topics { names: &names, allow_auto_create } };
            Event::Metadata(cluster.refresh(wanted).await.map(|_| ()))
        });
    }

    fn metadata_learned(&mut self) {
        let image = self.cluster.image();
        let now = Instant::now();
        if let Subscription::Matching(accept) = &self.subscription {
            let wanted = image.topics().filter(|topic| topic.error.is_none() && !topic.is_internal);
            let mut topics: Vec<_> =
                wanted.filter(|topic| accept(&topic.name)).map(|topic| Arc::clone(&topic.name)).collect();
            topics.sort_unstable();
            if topics != self.work.topics {
                self.work.topics = topics;
                if let Some(group) = &self.group {
                    group.membership().request_rejoin("the topics that match have changed");
                }
            }
        }
        if let (Some(before), Some(group)) = (&self.work.shared_out, &self.group)
            && SharedOut::now(before.names.clone(), &image) != *before
        {
            group.membership().request_rejoin("the topics' partitions have changed");
            self.work.shared_out = None;
        }
        let exists = |name: &Arc<str>| image.topic(name).is_some_and(|topic| topic.error.is_none());
        if !self.work.topics.iter().all(exists) {
            self.work.metadata_due = now + MISSING_TOPIC_INTERVAL;
        } else {
            self.work.metadata_due = now + METADATA_MAX_AGE;
        }
        self.work.metadata_failures = 0;
        if self.lacks_a_leader() {
            // An election takes its time.
            self.work.metadata_failures = 1;
            self.work.metadata_due = now + Backoff::default().after(1, rand::random());
        }
    }

    /// Asks where to begin, for partitions that do not know.
    fn find_places(&mut self) {
        let policy = self.settings.auto_offset_reset;
        let has_group = self.group.is_some();
        let (mut committed, mut times) = (Vec::new(), HashMap::new());
        let mut nowhere = Vec::new();
        for (partition, reading) in self.assignment.iter_mut().filter(|(_, reading)| !reading.asking) {
            if reading.place == Place::Committed && !has_group {
                match reset_place(policy) {
                    Some(place) => reading.place = place,
                    None => {
                        nowhere.push(partition.clone());
                        continue;
                    }
                }
            }
            match reading.place {
                Place::Committed => committed.push((partition.clone(), reading.fence)),
                Place::Time(time) => {
                    times.insert(partition.clone(), (time, reading.fence));
                }
                Place::At { .. } => continue,
            }
            reading.asking = true;
        }
        for topic_partition in nowhere {
            self.fail(ConsumeError::NoOffset { topic_partition });
        }
        let limit = self.settings.api_timeout;
        if let (Some(group), false) = (&self.group, committed.is_empty()) {
            let group = Arc::clone(group);
            let partitions = committed.iter().map(|(partition, _)| partition.clone()).collect();
            let found = offsets::committed(group, partitions, limit);
            self.work.start(async move { Event::Committed(committed, found.await) });
        }
        if !times.is_empty() {
            let asked = times.iter().map(|(partition, (_, fence))| (partition.clone(), *fence)).collect();
            let times = times.into_iter().map(|(partition, (time, _))| (partition, time)).collect();
            let isolation = self.settings.isolation.to_wire();
            let found = offsets::list_offsets(Arc::clone(&self.cluster), times, isolation, limit);
            self.work.start(async move { Event::Offsets(asked, found.await) });
        }
    }

    fn learn_committed(
        &mut self,
        asked: Asked,
        result: Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError>,
    ) {
        let policy = self.settings.auto_offset_reset;
        let mut nowhere = Vec::new();
        let (found, failure) = match result {
            Ok(found) => (Some(found), None),
            Err(error) => (None, Some(error)),
        };
        for (partition, fence) in asked {
            let Some(reading) = self.assignment.get_mut(&partition).filter(|reading| reading.fence == fence) else {
                continue;
            };
            reading.asking = false;
            let Some(found) = &found else { continue };
            match (found.get(&partition), reset_place(policy)) {
                (Some(OffsetAndMetadata { offset, leader_epoch, .. }), _) => {
                    let (position, leader_epoch) = (*offset, *leader_epoch);
                    reading.place = Place::At { position, fetch_offset: position, leader_epoch };
                }
                (None, Some(place)) => reading.place = place,
                (None, None) => nowhere.push(partition),
            }
        }
        for topic_partition in nowhere {
            self.fail(ConsumeError::NoOffset { topic_partition });
        }
        if let Some(error) = failure {
            self.fail(error);
        }
    }

    fn learn_offsets(
        &mut self,
        asked: Asked,
        result: Result<HashMap<TopicPartition, Option<OffsetAndTimestamp>>, ClientError>,
    ) {
        for (partition, fence) in asked {
            let Some(reading) = self.assignment.get_mut(&partition).filter(|reading| reading.fence == fence) else {
                continue;
            };
            reading.asking = false;
            if let Ok(Some(Some(found))) = result.as_ref().map(|found| found.get(&partition)) {
                reading.place = at(found.offset);
            }
        }
        if let Err(error) = result {
            self.fail(error);
        }
    }

    /// Asks every broker that has something to give and is not asked already.
    fn fetch(&mut self) {
        let now = Instant::now();
        let image = self.cluster.image();
        let mut by_node: HashMap<i32, Vec<WantedPartition>> = HashMap::new();
        for (partition, reading) in self.assignment.iter() {
            let Place::At { fetch_offset, .. } = reading.place else { continue };
            if reading.paused || reading.not_before.is_some_and(|then| then > now) {
                continue;
            }
            let known = image.topic(&partition.topic).and_then(|topic| topic.partition(partition.partition));
            let Some((known, node)) = known.and_then(|known| Some((known, known.leader?))) else { continue };
            by_node.entry(node).or_default().push(WantedPartition {
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

    fn take_fetched(&mut self, node: i32, result: Result<Vec<Got>, ClientError>) {
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
        let Got { wanted: WantedPartition { topic_partition, fence, offset, .. }, code, data } = got;
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
    fn hand_out(&mut self) -> Result<Option<ConsumerRecords>, ConsumeError> {
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

    /// Commits what earlier polls have handed out, if it is time to.
    fn auto_commit(&mut self) {
        let now = Instant::now();
        let Some((interval, due)) = self.work.auto_commit.as_mut().filter(|(_, due)| *due <= now) else { return };
        *due = now + *interval;
        let offsets = self.assignment.consumed(None);
        let (Some(group), false) = (&self.group, self.work.auto_committing || !self.work.steps.is_empty()) else {
            return;
        };
        if offsets.is_empty() || offsets == self.work.auto_committed {
            return;
        }
        self.work.auto_committing = true;
        let committed = offsets::commit(Arc::clone(group), offsets.clone(), self.settings.api_timeout);
        self.work.start(async move { Event::AutoCommitted(offsets, committed.await) });
    }
}
