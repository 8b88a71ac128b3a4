//! The loop around the accumulator: looks what can be sent, sends it, and feeds answers back. Connections, metadata
//! and the producer id are had on the side, so that one slow broker holds up no other. One task per producer; it ends
//! when its token is cancelled, and whatever is unfinished then is told so.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use riverrun_core::{
    Uuid,
    protocol::{ApiKey, ErrorCode, Request, ResponseBody, messages::InitProducerIdRequest},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    accumulator::{Outgoing, Plan, Session},
    batch::ProducerSession,
    error::ProduceError,
    outcome::Answer,
    request::{self, TOPIC_IDS_FROM},
};
use crate::{
    backoff::Backoff,
    cluster::{METADATA_MAX_AGE, Pool, Wanted, version_of},
    error::{CallError, ClientError},
    transport::{BrokerAddress, Connection},
};

/// Runs until `end` is cancelled.
pub(super) async fn run(shared: Arc<Shared>, end: CancellationToken, name: String) {
    let mut sender = Sender::new(shared);
    let unfinished = end.run_until_cancelled(sender.serve()).await.is_none();
    tracing::debug!(producer = name, unfinished, "producer ends");
}

/// What has happened on the side.
enum Event {
    Connected { node: i32, address: BrokerAddress, result: Result<Arc<dyn Connection>, ClientError> },
    Answered { request: u64, result: Result<Option<ResponseBody>, CallError> },
    Metadata(Result<(), ClientError>),
    Session(Result<ProducerSession, ClientError>),
}

/// A request on its way.
struct InFlight {
    node: i32,
    sent: Vec<Outgoing>,
    ids: Option<HashMap<Arc<str>, Uuid>>,
}

struct Sender {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    connections: HashMap<i32, (BrokerAddress, Arc<dyn Connection>)>,
    connecting: HashSet<i32>,
    in_flight: HashMap<u64, InFlight>,
    next_request: u64,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    asking_metadata: bool,
    metadata_failures: u32,
    metadata_due: Instant,
    asking_session: bool,
    session_failures: u32,
}

impl Sender {
    fn new(shared: Arc<Shared>) -> Self {
        let pool = Arc::new(Pool::new(Arc::clone(shared.cluster.transport())));
        Self {
            shared,
            pool,
            connections: HashMap::new(),
            connecting: HashSet::new(),
            in_flight: HashMap::new(),
            next_request: 0,
            events: FuturesUnordered::new(),
            asking_metadata: false,
            metadata_failures: 0,
            metadata_due: Instant::now() + METADATA_MAX_AGE,
            asking_session: false,
            session_failures: 0,
        }
    }

    async fn serve(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let plan = self.look();
            let next_look = plan.next_look.unwrap_or(self.metadata_due).min(self.metadata_due);
            self.carry_out(plan);
            tokio::select! {
                Some(event) = self.events.next() => self.take(event),
                () = shared.wake.notified() => {}
                () = sleep_until(next_look) => {
                    if Instant::now() >= self.metadata_due {
                        self.ask_metadata();
                    }
                }
            }
            // Answers that came meanwhile are taken together, so that what they make way for leaves together too.
            while let Some(Some(event)) = self.events.next().now_or_never() {
                self.take(event);
            }
        }
    }

    fn look(&mut self) -> Plan {
        self.connections.retain(|_, (_, connection)| !connection.is_closed());
        let connections = &self.connections;
        self.shared.lock().poll(Instant::now(), |node| connections.contains_key(&node))
    }

    fn carry_out(&mut self, plan: Plan) {
        self.shared.free(plan.freed);
        for (node, sent) in plan.requests {
            self.send(node, sent);
        }
        for node in plan.unconnected {
            self.connect(node);
        }
        if plan.wants_session {
            self.ask_session();
        }
        if !plan.leaderless.is_empty() {
            self.ask_metadata();
        }
    }

    fn send(&mut self, node: i32, mut sent: Vec<Outgoing>) {
        let Some((_, connection)) = self.connections.get(&node).cloned() else {
            let closed = || Answer::Failed(super::batch::Failure::Call(CallError::Closed { source: None }));
            let answers = sent.iter().map(|_| closed()).collect();
            return self.complete(node, sent, answers);
        };
        let mut encoded = Vec::with_capacity(sent.len());
        let mut refused = Vec::new();
        let mut accepted = Vec::with_capacity(sent.len());
        for mut outgoing in sent.drain(..) {
            match outgoing.batch.encoded() {
                Ok(bytes) => {
                    encoded.push(bytes);
                    accepted.push(outgoing);
                }
                Err(error) => refused.push((outgoing, Answer::NotEncoded(Arc::new(error)))),
            }
        }
        if !refused.is_empty() {
            let (refused, answers) = refused.into_iter().unzip();
            self.take_back(refused, answers);
        }
        if accepted.is_empty() {
            return self.shared.lock().request_ended(node);
        }
        let ids = request::topic_ids(&self.shared.cluster.image(), &accepted);
        let version_max = if ids.is_some() { i16::MAX } else { TOPIC_IDS_FROM - 1 };
        let version = match version_of(&*connection, ApiKey::Produce, version_max) {
            Ok(version) => version,
            Err(error) => {
                let answers = request::answers(&accepted, None, Err(error));
                return self.complete(node, accepted, answers);
            }
        };
        let ids = ids.filter(|_| version >= TOPIC_IDS_FROM);
        let body = request::request(&self.shared.settings, ids.as_ref(), accepted.iter().zip(encoded));
        let response = connection.call(version, body.into());
        let request = self.next_request;
        self.next_request += 1;
        self.in_flight.insert(request, InFlight { node, sent: accepted, ids });
        let limit = self.shared.settings.request_timeout;
        self.events.push(
            async move {
                let late = |_| Err(CallError::TimedOut { api: ApiKey::Produce, after: limit });
                let result = timeout(limit, response).await.unwrap_or_else(late);
                drop(connection);
                Event::Answered { request, result }
            }
            .boxed(),
        );
    }

    fn connect(&mut self, node: i32) {
        if !self.connecting.insert(node) {
            return;
        }
        let Some(address) = self.shared.cluster.image().address(node).cloned() else {
            self.connecting.remove(&node);
            return self.ask_metadata();
        };
        let pool = Arc::clone(&self.pool);
        let connected = async move {
            let result = pool.get(&address).await.map_err(ClientError::from);
            Event::Connected { node, address, result }
        };
        self.events.push(connected.boxed());
    }

    fn ask_metadata(&mut self) {
        if std::mem::replace(&mut self.asking_metadata, true) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        // The first question is asked at once; those after it not in a hurry, for an election takes its time.
        let wait = match self.metadata_failures {
            0 => None,
            failures => Some(Backoff::default().after(failures, rand::random())),
        };
        self.metadata_failures = self.metadata_failures.saturating_add(1);
        let asked = async move {
            if let Some(wait) = wait {
                sleep(wait).await;
            }
            let names = shared.lock().topics();
            let wanted = Wanted::Topics { names: &names, allow_auto_create: false };
            Event::Metadata(shared.cluster.refresh(wanted).await.map(|_| ()))
        };
        self.events.push(asked.boxed());
    }

    fn ask_session(&mut self) {
        if std::mem::replace(&mut self.asking_session, true) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let failures = self.session_failures;
        let asked = async move {
            if failures > 0 {
                sleep(Backoff::default().after(failures, rand::random())).await;
            }
            Event::Session(init_producer_id(&shared).await)
        };
        self.events.push(asked.boxed());
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Connected { node, address, result } => {
                self.connecting.remove(&node);
                match result {
                    Ok(connection) => {
                        self.connections.insert(node, (address, connection));
                    }
                    Err(error) => {
                        tracing::debug!(node, %error, "cannot connect");
                        self.ask_metadata();
                    }
                }
            }
            Event::Answered { request, result } => self.answered(request, result),
            Event::Metadata(result) => {
                self.asking_metadata = false;
                self.metadata_due = Instant::now() + METADATA_MAX_AGE;
                match result {
                    Ok(()) => self.take_over_metadata(),
                    Err(error) => tracing::debug!(%error, "cannot learn metadata"),
                }
            }
            Event::Session(result) => self.take_session(result),
        }
    }

    fn take_over_metadata(&mut self) {
        let image = self.shared.cluster.image();
        self.connections.retain(|node, (address, _)| image.address(*node) == Some(address));
        let mut accumulator = self.shared.lock();
        for name in accumulator.topics() {
            if let Some(topic) = image.topic(&name).filter(|topic| topic.error.is_none()) {
                accumulator.set_topic(topic);
            }
        }
    }

    fn take_session(&mut self, result: Result<ProducerSession, ClientError>) {
        self.asking_session = false;
        match result {
            Ok(session) => {
                self.session_failures = 0;
                self.shared.lock().session = Session::Known(session);
            }
            Err(error) if error.is_retriable() => {
                tracing::debug!(%error, "no producer id yet");
                self.session_failures = self.session_failures.saturating_add(1);
            }
            Err(error) => {
                self.session_failures = self.session_failures.saturating_add(1);
                let code = error.code().unwrap_or(ErrorCode::UnknownServerError);
                let freed = self.shared.lock().abandon(|topic_partition, _| match &error {
                    ClientError::Call(source) if error.code().is_none() => {
                        ProduceError::Call { topic_partition, source: source.clone() }
                    }
                    _ => ProduceError::ProducerId { topic_partition, code },
                });
                self.shared.free(freed);
            }
        }
    }

    fn answered(&mut self, request: u64, result: Result<Option<ResponseBody>, CallError>) {
        let Some(InFlight { node, sent, ids }) = self.in_flight.remove(&request) else { return };
        if let Err(error) = &result {
            tracing::debug!(node, %error, "produce request failed");
            if error.breaks_connection()
                && let Some((address, _)) = self.connections.remove(&node)
            {
                self.pool.forget(&address);
            }
        }
        let answers = request::answers(&sent, ids.as_ref(), result);
        self.complete(node, sent, answers);
    }

    /// Ends a request: its batches go back with their answers.
    fn complete(&mut self, node: i32, sent: Vec<Outgoing>, answers: Vec<Answer>) {
        self.shared.lock().request_ended(node);
        self.take_back(sent, answers);
    }

    fn take_back(&mut self, sent: Vec<Outgoing>, answers: Vec<Answer>) {
        let now = Instant::now();
        let (mut freed, mut refresh_metadata) = (0, false);
        {
            let mut accumulator = self.shared.lock();
            for (outgoing, answer) in sent.into_iter().zip(answers) {
                let consequence = accumulator.complete(outgoing, answer, now, rand::random());
                freed += consequence.freed;
                refresh_metadata |= consequence.refresh_metadata;
            }
        }
        self.shared.free(freed);
        if refresh_metadata {
            self.ask_metadata();
        } else {
            self.metadata_failures = 0;
        }
    }
}

/// Tells everyone who still waits. Runs too when the runtime drops the task.
impl Drop for Sender {
    fn drop(&mut self) {
        let mut freed = 0;
        {
            let mut accumulator = self.shared.lock();
            accumulator.closed = true;
            for InFlight { sent, .. } in std::mem::take(&mut self.in_flight).into_values() {
                for Outgoing { batch, topic_partition, .. } in sent {
                    freed += accumulator.finish(&batch, Err(ProduceError::Closed { topic_partition, sent: true }));
                }
            }
            freed += accumulator
                .abandon(|topic_partition, batch| ProduceError::Closed { topic_partition, sent: batch.attempts > 0 });
        }
        self.shared.room.close();
        self.shared.free(freed);
        self.shared.finished.notify_waiters();
    }
}

async fn init_producer_id(shared: &Shared) -> Result<ProducerSession, ClientError> {
    let build = |_| InitProducerIdRequest {
        // Kafka's default is the empty id, which it refuses.
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..Default::default()
    };
    let response = shared.cluster.call_any(build).await?;
    match ErrorCode::from_code(response.error_code) {
        ErrorCode::None => Ok(ProducerSession { id: response.producer_id, epoch: response.producer_epoch }),
        code => Err(CallError::Broker { api: InitProducerIdRequest::KEY, code }.into()),
    }
}
