//! What producer, consumer and admin share: the image of the cluster, the calls that keep it fresh, and the search for
//! coordinators. Nothing runs in the background: whoever finds the image wanting refreshes it, one refresh at a time.

mod image;
mod pool;

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::seq::SliceRandom;
use riverrun_core::protocol::{
    ErrorCode, Request,
    messages::{FindCoordinatorRequest, MetadataRequest, metadata::MetadataRequestTopic},
};
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use image::{Image, Topic};
pub(crate) use pool::{Pool, REQUEST_TIMEOUT, version_of};

use crate::{
    backoff::Backoff,
    error::{CallError, ClientError},
    transport::{BrokerAddress, Transport},
};

/// How old knowledge of a topic may become before it is refreshed (`metadata.max.age.ms`).
pub(crate) const METADATA_MAX_AGE: Duration = Duration::from_secs(300);

/// How long a topic may stay unknown: the brokers of a cluster hear of a new one one after the other.
const UNKNOWN_TOPIC_PATIENCE: Duration = Duration::from_secs(5);

/// The cluster, as far as it is known, and the way to ask it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pool: Pool,
    /// Guards the reference; images are never changed.
    image: Mutex<Arc<Image>>,
    /// Held during a refresh.
    refreshing: tokio::sync::Mutex<()>,
}

/// Which topics to ask about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    All,
    /// An empty list asks about brokers only.
    Topics {
        names: &'a [Arc<str>],
        allow_auto_create: bool,
    },
}

impl Cluster {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { pool: Pool::new(transport), image: Mutex::default(), refreshing: tokio::sync::Mutex::default() }
    }

    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        self.pool.transport()
    }

    /// The connections for calls that no long poll may hold up.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls whichever broker answers: those known, in random order, then those of the bootstrap list.
    pub(crate) async fn call_any<R: Request>(
        &self,
        mut build: impl FnMut(i16) -> R,
    ) -> Result<R::Response, ClientError> {
        let mut tried: Vec<BrokerAddress> = Vec::new();
        let mut last = None;
        let mut known: Vec<_> = self.image().brokers.values().map(|broker| broker.address.clone()).collect();
        known.shuffle(&mut rand::rng());
        for address in known.into_iter().chain(self.transport().bootstrap()) {
            if tried.contains(&address) {
                continue;
            }
            match self.pool.call(&address, &mut build).await {
                Err(ClientError::Connect(error)) => last = Some(error),
                Err(ClientError::Call(error)) if error.breaks_connection() && error.is_retriable() => {
                    tracing::debug!(%address, %error, "broker does not answer");
                }
                outcome => return outcome,
            }
            tried.push(address);
        }
        Err(ClientError::NoBroker { tried, source: last })
    }

    /// Asks a broker about topics, once.
    pub(crate) async fn refresh(&self, wanted: Wanted<'_>) -> Result<Arc<Image>, ClientError> {
        let _one_at_a_time = self.refreshing.lock().await;
        let response = self.call_any(|version| metadata_request(version, wanted)).await?;
        let code = ErrorCode::from_code(response.error_code);
        if code != ErrorCode::None {
            return Err(CallError::Broker { api: MetadataRequest::KEY, code }.into());
        }
        let all_topics = matches!(wanted, Wanted::All);
        let mut image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        *image = Arc::new(image.merge(response, all_topics, Instant::now()));
        Ok(Arc::clone(&image))
    }

    /// A topic that exists; asks until it has partitions, or until `limit` has passed.
    pub(crate) async fn topic(
        &self,
        name: &Arc<str>,
        allow_auto_create: bool,
        limit: Duration,
    ) -> Result<Arc<Topic>, ClientError> {
        if let Some(topic) = self.image().topic(name)
            && topic.error.is_none()
            && topic.learned.elapsed() < METADATA_MAX_AGE
        {
            return Ok(Arc::clone(topic));
        }
        let patience = Instant::now() + UNKNOWN_TOPIC_PATIENCE;
        retrying(limit, || async move {
            self.ask_topic(name, allow_auto_create).await.map_err(|error| match error.code() {
                Some(ErrorCode::UnknownTopicOrPartition) if Instant::now() >= patience => {
                    ClientError::UnknownTopic { topic: Arc::clone(name) }
                }
                _ => error,
            })
        })
        .await
    }

    /// Asks about one topic, once.
    pub(crate) async fn ask_topic(&self, name: &Arc<str>, allow_auto_create: bool) -> Result<Arc<Topic>, ClientError> {
        let wanted = Wanted::Topics { names: std::slice::from_ref(name), allow_auto_create };
        let image = self.refresh(wanted).await?;
        let topic = image.topic(name).map(Arc::clone);
        let code = topic.as_ref().map_or(Some(ErrorCode::UnknownTopicOrPartition), |topic| topic.error);
        match (topic, code) {
            (Some(topic), None) => Ok(topic),
            (_, code) => {
                let code = code.unwrap_or(ErrorCode::UnknownTopicOrPartition);
                Err(ClientError::Topic { topic: Arc::clone(name), code })
            }
        }
    }

    /// The broker that coordinates a group, asked once.
    pub(crate) async fn find_coordinator(&self, group: &Arc<str>) -> Result<Coordinator, ClientError> {
        let response = self.call_any(|version| find_coordinator_request(version, group)).await?;
        let listed = response.coordinators.into_iter().next();
        let (code, node, host, port) = match listed {
            Some(found) => (found.error_code, found.node_id, found.host, found.port),
            None => (response.error_code, response.node_id, response.host, response.port),
        };
        let code = ErrorCode::from_code(code);
        match u16::try_from(port) {
            Ok(port) if code == ErrorCode::None => Ok(Coordinator { node, address: BrokerAddress::new(host, port) }),
            _ if code == ErrorCode::None => {
                Err(ClientError::Coordinator { group: Arc::clone(group), code: ErrorCode::CoordinatorNotAvailable })
            }
            _ => Err(ClientError::Coordinator { group: Arc::clone(group), code }),
        }
    }
}

/// Where a group's coordinator is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coordinator {
    pub(crate) node: i32,
    pub(crate) address: BrokerAddress,
}

fn metadata_request(version: i16, wanted: Wanted<'_>) -> MetadataRequest {
    let (topics, allow_auto_topic_creation) = match wanted {
        // Version 0 knows no null: there an empty list means all.
        Wanted::All => ((version == 0).then(Vec::new), true),
        Wanted::Topics { names, allow_auto_create } => {
            let topic = |name: &Arc<str>| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
            (Some(names.iter().map(topic).collect()), allow_auto_create || version < 4)
        }
    };
    MetadataRequest { topics, allow_auto_topic_creation, ..Default::default() }
}

fn find_coordinator_request(version: i16, group: &str) -> FindCoordinatorRequest {
    if version >= 4 {
        FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..Default::default() }
    } else {
        FindCoordinatorRequest { key: group.to_owned(), ..Default::default() }
    }
}

/// Repeats `attempt` with back-off while its error is retriable, until `limit` has passed.
pub(crate) async fn retrying<T, F>(limit: Duration, mut attempt: impl FnMut() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let deadline = Instant::now() + limit;
    let mut failures = 0;
    let mut last = None;
    loop {
        match timeout_at(deadline, attempt()).await {
            Ok(Err(error)) if error.is_retriable() => last = Some(error),
            Ok(outcome) => return outcome,
            Err(_) => return Err(ClientError::TimedOut { after: limit, source: last.map(Box::new) }),
        }
        failures += 1;
        let wait = Backoff::default().after(failures, rand::random());
        if Instant::now() + wait >= deadline {
            return Err(ClientError::TimedOut { after: limit, source: last.map(Box::new) });
        }
        sleep(wait).await;
    }
}
