//! Which partitions a fetch reads: those of the request, or those of the session it belongs to.
//!
//! Lock order: the sessions, then one session, then a partition's state. A partition tells its watchers under its own lock
//! only, so it never waits for a session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use riverrun_core::{
    Uuid,
    budget::StateBudget,
    fetch_session::{FetchSession, PartitionKey, SessionCache, SessionError, Told, TopicKey},
    log::FileSpan,
    metadata::Image,
    protocol::{
        ErrorCode,
        messages::fetch::{FetchPartition, FetchTopic, FetchableTopicResponse, ForgottenTopic},
    },
};

use super::read::{self, Answer, Limits, Part};
use crate::{
    node::Node,
    storage::{FetchWaiter, Partition, ReadIsolation, Watch},
};

/// How a request names topics, and what they are now.
pub(super) struct Names<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) image: &'a Image,
    pub(super) by_id: bool,
}

impl Names<'_> {
    fn key(&self, name: &Arc<str>, id: Uuid, partition: i32) -> PartitionKey {
        let topic = if self.by_id { TopicKey::Id(id) } else { TopicKey::Name(Arc::clone(name)) };
        PartitionKey { topic, partition }
    }

    /// The names of a topic as they go into the answer: that of the metadata is shared.
    fn topic(&self, name: &str, id: Uuid) -> (Arc<str>, Uuid, Option<Uuid>) {
        let known = if self.by_id { self.image.topic_by_id(id) } else { self.image.topic(name) };
        match known {
            Some(topic) if !self.by_id => (Arc::clone(&topic.name), id, Some(topic.id)),
            Some(topic) => (Arc::from(""), id, Some(topic.id)),
            None => (Arc::from(name), id, None),
        }
    }

    fn partition(&self, known: Option<Uuid>, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        match known {
            Some(id) => self.node.storage.partition(id, index).ok_or(ErrorCode::UnknownTopicOrPartition),
            None if self.by_id => Err(ErrorCode::UnknownTopicId),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }
}

/// A partition, as the answer names it and as it is read.
#[derive(Debug)]
pub(super) struct Place {
    topic: Arc<str>,
    topic_id: Uuid,
    partition: Result<Arc<Partition>, ErrorCode>,
    watch: Option<Watch>,
}

impl Place {
    fn watch(&mut self, waiter: &Arc<FetchWaiter>, token: u64) {
        if let Ok(partition) = &self.partition {
            self.watch = Some(partition.watch(waiter, token));
        }
    }

    fn read(&self, wanted: &FetchPartition, limits: &Limits, before: &Answer, memory_max: usize) -> Part {
        if let Some(watch) = &self.watch {
            watch.rearm();
        }
        match &self.partition {
            Ok(partition) => read::read(partition, wanted, limits, before, memory_max),
            Err(code) => Part::refused(wanted.partition, *code),
        }
    }
}

#[derive(Debug)]
pub(super) struct Session {
    partitions: FetchSession<FetchPartition, Place>,
    waiter: Arc<FetchWaiter>,
    isolation: Option<ReadIsolation>,
}

/// The partitions of a fetch.
pub(super) enum Partitions {
    Plain(Vec<(FetchPartition, Place)>),
    /// `all` if the answer is to have every partition, as that which begins the session.
    Session {
        session: SharedSession,
        all: bool,
    },
}

pub(super) type SharedSession = Arc<Mutex<Session>>;

fn lock(session: &SharedSession) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Partitions {
    pub(super) fn plain(names: &Names<'_>, topics: Vec<FetchTopic>) -> Self {
        let mut places = Vec::new();
        for FetchTopic { topic, topic_id, partitions } in topics {
            let (topic, topic_id, known) = names.topic(&topic, topic_id);
            for wanted in partitions {
                let partition = names.partition(known, wanted.partition);
                places.push((wanted, Place { topic: Arc::clone(&topic), topic_id, partition, watch: None }));
            }
        }
        Self::Plain(places)
    }

    pub(super) fn are_watched(&self) -> bool {
        matches!(self, Self::Session { .. })
    }

    /// Whether the answer begins a session.
    pub(super) fn begin_session(&self) -> bool {
        matches!(self, Self::Session { all: true, .. })
    }

    pub(super) fn watch(&mut self, waiter: &Arc<FetchWaiter>) {
        let Self::Plain(places) = self else { return };
        places.iter_mut().for_each(|(_, place)| place.watch(waiter, 0));
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Plain(places) => places.is_empty(),
            Self::Session { session, .. } => lock(session).partitions.is_empty(),
        }
    }

    /// Looks at the partitions; of a session's, at those to which something may have happened.
    pub(super) fn read(&self, waiter: &FetchWaiter, limits: &Limits, memory_max: usize) -> Answer {
        let mut answer = Answer::default();
        match self {
            Self::Plain(places) => {
                for (index, (wanted, place)) in places.iter().enumerate() {
                    let part = place.read(wanted, limits, &answer, memory_max);
                    answer.push(index as u64, part);
                }
            }
            Self::Session { session, all } => {
                let mut session = lock(session);
                waiter.take_changed().into_iter().for_each(|token| session.partitions.heat(token));
                for token in session.partitions.hot() {
                    let Some((_, wanted, place)) = session.partitions.entry(token) else { continue };
                    let part = place.read(wanted, limits, &answer, memory_max);
                    if session.partitions.has_news(token, part.bytes(), told(&part)) || *all {
                        answer.push(token, part);
                    }
                }
            }
        }
        answer
    }

    /// Turns what was found into the answer: its topics, and the files its records are in, one for each partition.
    pub(super) fn finish(&mut self, answer: Answer) -> (Vec<FetchableTopicResponse>, Vec<Option<FileSpan>>) {
        let mut topics: Vec<FetchableTopicResponse> = Vec::new();
        let mut files = Vec::new();
        let mut add = |topic: &str, topic_id: Uuid, Part { data, file }: Part| {
            files.push(file);
            match topics.last_mut() {
                Some(last) if last.topic == topic && last.topic_id == topic_id => last.partitions.push(data),
                _ => topics.push(FetchableTopicResponse { topic: topic.to_owned(), topic_id, partitions: vec![data] }),
            }
        };
        match self {
            Self::Plain(places) => {
                for ((_, place), (_, part)) in places.iter().zip(answer.parts) {
                    add(&place.topic, place.topic_id, part);
                }
            }
            Self::Session { session, .. } => {
                let mut session = lock(session);
                for (token, part) in answer.parts {
                    let (bytes, told) = (part.bytes(), told(&part));
                    let Some((_, _, place)) = session.partitions.entry(token) else { continue };
                    add(&place.topic, place.topic_id, part);
                    session.partitions.tell(token, bytes, told);
                    if bytes > 0 {
                        session.partitions.rotate(token, |place, token| {
                            if let Some(watch) = &place.watch {
                                watch.set_token(token);
                            }
                        });
                    }
                }
            }
        }
        (topics, files)
    }
}

fn told(part: &Part) -> Told {
    Told {
        high_watermark: part.data.high_watermark,
        log_start_offset: part.data.log_start_offset,
        failed: part.failed(),
    }
}

/// The fetch sessions of this broker.
#[derive(Debug)]
pub(crate) struct Sessions {
    cache: Mutex<SessionCache<SharedSession>>,
}

/// A session's id, what is read for it, and who is told.
type Begun = (i32, Partitions, Arc<FetchWaiter>);

impl Sessions {
    /// None yet; at most `slot_count`, each safe from others for `eviction_ms`.
    pub(crate) fn new(slot_count: usize, eviction_ms: i64, budget: Arc<StateBudget>) -> Self {
        Self { cache: Mutex::new(SessionCache::new(slot_count, eviction_ms).within(budget)) }
    }

    fn lock(&self) -> MutexGuard<'_, SessionCache<SharedSession>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops a session, if it is there.
    pub(super) fn end(&self, id: i32) {
        let ended = self.lock().remove(id);
        // Its watches are given up without the lock.
        drop(ended);
    }

    /// Begins a session with these partitions, if there is a slot for it.
    pub(super) fn create(&self, names: &Names<'_>, topics: Vec<FetchTopic>) -> Begun {
        let size = topics.iter().map(|topic| topic.partitions.len()).sum();
        let waiter = Arc::new(FetchWaiter::default());
        let partitions = FetchSession::new(names.by_id);
        let session = Session { partitions, waiter: Arc::clone(&waiter), isolation: None };
        let session = Arc::new(Mutex::new(session));
        let now_ms = names.node.clock.monotonic_ms();
        let taken = if size == 0 { None } else { self.take_slot(&session, size, now_ms) };
        let Some(id) = taken else { return (0, Partitions::plain(names, topics), waiter) };
        lock(&session).want(names, topics);
        (id, Partitions::Session { session, all: true }, waiter)
    }

    fn take_slot(&self, session: &SharedSession, size: usize, now_ms: i64) -> Option<i32> {
        let mut cache = self.lock();
        let id = loop {
            let id = rand::random::<i32>() & i32::MAX;
            if cache.is_free(id) {
                break id;
            }
        };
        let inserted = cache.insert(id, Arc::clone(session), size, now_ms);
        drop(cache);
        // Whoever was evicted gives its watches up here, without the lock.
        inserted.is_ok().then_some(id)
    }

    /// Goes on with a session: the request adds and changes some partitions and forgets others.
    pub(super) fn go_on(
        &self,
        names: &Names<'_>,
        (id, epoch): (i32, i32),
        topics: Vec<FetchTopic>,
        forgotten: Vec<ForgottenTopic>,
        isolation: ReadIsolation,
    ) -> Result<Begun, SessionError> {
        let added = topics.iter().map(|topic| topic.partitions.len()).sum();
        let shared = {
            let mut cache = self.lock();
            let shared = cache.get(id).map(Arc::clone).ok_or(SessionError::NotFound { id })?;
            if !cache.fits(added) {
                // The client asks anew, for a session that it may not get.
                let ended = cache.remove(id);
                drop(cache);
                drop(ended);
                return Err(SessionError::NotFound { id });
            }
            shared
        };
        let mut session = lock(&shared);
        session.partitions.check(epoch, names.by_id)?;
        session.want(names, topics);
        for ForgottenTopic { topic, topic_id, partitions } in forgotten {
            let topic = Arc::from(topic);
            partitions.iter().for_each(|index| session.partitions.forget(&names.key(&topic, topic_id, *index)));
        }
        let waiter = Arc::clone(&session.waiter);
        let size = session.partitions.len();
        if size == 0 {
            drop(session);
            self.end(id);
            return Ok((0, Partitions::Plain(Vec::new()), waiter));
        }
        if session.isolation.replace(isolation).is_some_and(|before| before != isolation) {
            session.partitions.heat_all();
        }
        session.partitions.advance();
        drop(session);
        self.lock().touch(id, size, names.node.clock.monotonic_ms());
        Ok((id, Partitions::Session { session: shared, all: false }, waiter))
    }
}

impl Session {
    /// Takes note of what a request wants. A partition that was not there may be by now.
    fn want(&mut self, names: &Names<'_>, topics: Vec<FetchTopic>) {
        for FetchTopic { topic, topic_id, partitions } in topics {
            let (topic, topic_id, known) = names.topic(&topic, topic_id);
            for wanted in partitions {
                let key = names.key(&topic, topic_id, wanted.partition);
                let partition = names.partition(known, wanted.partition);
                let place = || Place { topic: Arc::clone(&topic), topic_id, partition: partition.clone(), watch: None };
                let waiter = &self.waiter;
                let is_same = |known: &Place| match (&known.partition, &partition) {
                    (Ok(known), Ok(now)) => Arc::ptr_eq(known, now),
                    (Err(known), Err(now)) => known == now,
                    _ => false,
                };
                self.partitions.want(key, wanted, is_same, |token| {
                    let mut place = place();
                    place.watch(waiter, token);
                    place
                });
            }
        }
    }
}
