//! The consumer's loop: start what should be under way, hand out what has come, wait for the next thing to happen.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use riverrun_core::TopicPartition;
use tokio::time::{Instant, sleep_until};

use super::{
    Consumer,
    assignment::Subscription,
    error::{CommitError, ConsumeError},
    fetch::Got,
    fetched::Fetched,
    group::{Group, Round, SharedOut},
    offsets,
    rebalance::Step,
    record::{ConsumerEvent, ConsumerRecords, OffsetAndMetadata, OffsetAndTimestamp},
};
use crate::{
    backoff::Backoff,
    cluster::{Cluster, METADATA_MAX_AGE, Pool, Wanted},
    error::ClientError,
};

/// How soon a subscribed topic that does not exist is looked for again.
const MISSING_TOPIC_INTERVAL: Duration = Duration::from_secs(2);

/// What is under way.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) pool: Arc<Pool>,
    /// The topics to know about.
    pub(super) topics: Vec<Arc<str>>,
    pub(super) steps: VecDeque<Step>,
    /// A step's operation is under way.
    pub(super) blocked: Option<Blocked>,
    pub(super) events: FuturesUnordered<BoxFuture<'static, Event>>,
    pub(super) fetched: VecDeque<Fetched>,
    pub(super) fetching: HashSet<i32>,
    pub(super) next_response: u64,
    /// Nodes that failed: how often, and until when they are left alone.
    pub(super) failing: HashMap<i32, (u32, Instant)>,
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

/// Partitions asked about, with the fence under which they were.
pub(super) type Asked = Vec<(TopicPartition, u64)>;

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
