//! One client connection: frames in, requests handled in order, responses out in the same order.
//!
//! ```text
//! socket -> FrameBuffer -> decode -> Broker::handle -> queue of replies -> encode -> OutBuffer -> socket
//! ```
//! Handling begins in the order of arrival and does not wait for earlier answers; only the oldest answer is awaited,
//! since responses leave in request order (see [`Reply`]). Nothing is read while the queue is full or a write is
//! blocked, and nothing is handled while enough record bytes wait to be written: a client that does not take its
//! answers is not served further, and holds the memory of one response. A client that is beyond a quota gets its answer,
//! and nothing is read from it for as long as that says (KIP-219). Everything that is wrong with a connection
//! ends that connection, with one log line.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use riverrun_core::log::FileSpan;
use riverrun_core::protocol::{
    ApiKey, DecodeLimits, DecodeRequestError, EncodeError, RequestBody, RequestHeader, ResponseBody, decode_request,
    encode_response, encode_response_apart,
};
use tokio::{io::AsyncReadExt, time::Instant};

use super::{
    Unsent,
    busy_poll::BusyPoll,
    caps::Activity,
    frame_buffer::{FrameBuffer, FrameTooLarge},
    memory::{RequestMemory, Reserved, Waiting},
    out_buffer::OutBuffer,
    sendfile,
    stream::Stream,
};
use crate::{
    Reply, RequestContext, api,
    log_limit::LineKind,
    node::Node,
    quotas::millis,
    reply::Stored,
    security::{BareStep, Session, SessionTime, Step},
};

/// Encoded responses that are gathered before they are written, as long as more are ready.
const GATHER_BYTES: usize = 1 << 20;
/// When a timer that is not to fire is set to.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the client closed it")]
    ByClient,
    #[error("the client closed it in the middle of a request")]
    MidFrame,
    #[error("the broker stops")]
    ShutDown,
    #[error("nothing happened for {0:?} (connections.max.idle.ms)")]
    Idle(Duration),
    #[error("the client took no bytes for {0:?} (connections.max.idle.ms)")]
    Stuck(Duration),
    #[error(
        "a request did not arrive within {0:?} while others waited for memory (riverrun.request.receive.timeout.ms)"
    )]
    Slow(Duration),
    #[error(transparent)]
    FrameTooLarge(#[from] FrameTooLarge),
    #[error("malformed request: {0}")]
    Malformed(#[from] DecodeRequestError),
    #[error("authentication failed: {0}")]
    Unauthenticated(String),
    #[error("there are more connections than max.connections, and nothing came on this one for longest")]
    Surplus,
    #[error("the client did not authenticate in time (riverrun.authentication.timeout.ms)")]
    AuthenticationTimeout,
    #[error("{api_key} version {version} is not served")]
    NotServed { api_key: ApiKey, version: i16 },
    #[error("a {0} request without response failed")]
    FailedUnanswered(ApiKey),
    #[error("cannot encode the response to {api_key} version {version}")]
    Encode { api_key: ApiKey, version: i16, source: EncodeError },
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
    pub(super) listener: usize,
    pub(super) connection_id: u64,
}

/// A request that has been handled and whose response has not been written.
struct Pending {
    header: RequestHeader,
    /// What the request holds in memory.
    frame_bytes: usize,
    /// Its share of the memory of all requests, if it still holds it.
    _reserved: Option<Reserved>,
    response: Answer,
}

#[expect(clippy::large_enum_variant, reason = "nearly every answer is ready at once, and would be boxed for nothing")]
enum Answer {
    Ready(Ready),
    Waiting(BoxFuture<'static, ResponseBody>),
    WaitingStored(BoxFuture<'static, Stored>),
}

/// A response, and how many record bytes it holds in memory.
struct Ready {
    body: ResponseBody,
    files: Vec<Option<FileSpan>>,
    record_bytes: usize,
}

impl From<ResponseBody> for Ready {
    fn from(body: ResponseBody) -> Self {
        let record_bytes = match &body {
            ResponseBody::Fetch(fetch) => {
                let partitions = fetch.responses.iter().flat_map(|topic| &topic.partitions);
                partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len).sum()
            }
            _ => 0,
        };
        Self { body, files: Vec::new(), record_bytes }
    }
}

impl From<Stored> for Ready {
    fn from(Stored { body, files }: Stored) -> Self {
        let has_files = files.iter().any(Option::is_some);
        Self { files: if has_files { files } else { Vec::new() }, ..Self::from(body) }
    }
}

impl Answer {
    /// Waits for the answer; at once if it is there.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        let ready = match self {
            Self::Ready(_) => return Poll::Ready(0),
            Self::Waiting(response) => Ready::from(ready!(response.as_mut().poll(context))),
            Self::WaitingStored(response) => Ready::from(ready!(response.as_mut().poll(context))),
        };
        let record_bytes = ready.record_bytes;
        *self = Self::Ready(ready);
        Poll::Ready(record_bytes)
    }
}

/// Requests whose responses have not been written, in their order.
#[derive(Default)]
struct Queue {
    pending: VecDeque<Pending>,
    /// What the requests hold in memory.
    request_bytes: usize,
    /// What the responses that are there hold.
    record_bytes: usize,
}

struct Connection {
    node: Arc<Node>,
    origin: Origin,
    /// What is the same for all its requests, and what was with the last one.
    context: RequestContext,
    session: Session,
    /// Why the connection is to be closed once its answers are written.
    closing: Option<Ended>,
    /// Whether the broker stops; looked at once a turn, which takes a lock.
    stopping: bool,
    input: FrameBuffer,
    /// The memory of the request that has begun to arrive, and since when it has it.
    arriving: Option<(Reserved, Instant)>,
    /// There is no memory for the next request.
    waiting: Option<Waiting>,
    queue: Queue,
    output: OutBuffer,
    unsent: Unsent,
}

/// Serves one connection until it ends, and logs why if it was not the client's wish.
pub(super) async fn serve(node: Arc<Node>, stream: Stream, origin: Origin, session: Session, activity: Arc<Activity>) {
    let peer = origin.peer;
    let mut connection = Connection::new(Arc::clone(&node), origin, session);
    let ended = tokio::select! {
        biased;
        () = activity.surplus.cancelled() => Err(Ended::Surplus),
        ended = connection.run(stream, &activity) => ended,
    };
    let Err(ended) = ended else { return };
    let Some(kind) = ended.line_kind() else {
        tracing::debug!(%peer, reason = %ended, "connection closed");
        return;
    };
    let Some(left_out) = node.log_line(kind) else { return };
    match &ended {
        Ended::Encode { source, .. } => {
            tracing::error!(%peer, reason = %ended, %source, left_out, "connection closed");
        }
        _ => tracing::warn!(%peer, reason = %ended, left_out, "connection closed"),
    }
}

impl Ended {
    /// What the log is told; nothing of what happens every day.
    fn line_kind(&self) -> Option<LineKind> {
        match self {
            Self::ByClient | Self::ShutDown | Self::Surplus | Self::Idle(_) | Self::Socket(_) => None,
            Self::MidFrame => Some(LineKind::MidFrame),
            Self::Stuck(_) => Some(LineKind::Stuck),
            Self::Slow(_) => Some(LineKind::Slow),
            Self::FrameTooLarge(_) => Some(LineKind::FrameTooLarge),
            Self::Malformed(_) => Some(LineKind::Malformed),
            Self::Unauthenticated(_) => Some(LineKind::Unauthenticated),
            Self::AuthenticationTimeout => Some(LineKind::AuthenticationTimeout),
            Self::NotServed { .. } => Some(LineKind::NotServed),
            Self::FailedUnanswered(_) => Some(LineKind::FailedUnanswered),
            Self::Encode { .. } => Some(LineKind::Encode),
        }
    }
}

impl Connection {
    fn new(node: Arc<Node>, origin: Origin, session: Session) -> Self {
        let limit = usize::try_from(node.start_config.socket_request_max_bytes).unwrap_or(usize::MAX);
        Self {
            unsent: Unsent::new(Arc::clone(&node)),
            node,
            origin,
            context: RequestContext {
                api_version: 0,
                client_id: None,
                client_host: format!("/{}", origin.peer.ip()),
                connection_id: origin.connection_id,
                principal: session.principal().clone(),
                listener: Some(origin.listener),
                takes_files: false,
                request_bytes: None,
                mute: Some(Arc::default()),
            },
            input: FrameBuffer::new(session.receive_max().map_or(limit, |max| max.min(limit))),
            session,
            arriving: None,
            waiting: None,
            closing: None,
            stopping: false,
            queue: Queue::default(),
            output: OutBuffer::default(),
        }
    }

    async fn run(&mut self, mut stream: Stream, activity: &Activity) -> Result<(), Ended> {
        let idle = u64::try_from(self.node.start_config.connections_max_idle_ms).map(Duration::from_millis).ok();
        let node = Arc::clone(&self.node);
        self.context.takes_files = sendfile::is_possible(&stream);
        // All are made once and not with every request; a timer is looked at when it fires.
        let mut stopped = pin!(node.stopping.cancelled());
        let mut idle_timer = pin!(tokio::time::sleep(idle.unwrap_or(FOREVER)));
        let mut last_request = Instant::now();
        let mut authentication_timer = pin!(tokio::time::sleep_until(self.authentication_deadline()));
        let mut mute_timer = pin!(tokio::time::sleep(FOREVER));
        let mut receive_timer = pin!(tokio::time::sleep(FOREVER));
        let receive_timeout = self.receive_timeout();
        let mut was_open = self.session.is_open();
        let mut busy_poll = self.busy_poll(&stream);
        loop {
            self.stopping = node.stopping.is_cancelled();
            self.handle_frames()?;
            if self.session.is_open() != was_open {
                // It authenticates again, or has done so: each time has its own deadline.
                was_open = !was_open;
                authentication_timer.as_mut().reset(self.authentication_deadline());
            }
            self.encode_ready()?;
            self.unsent.set(self.output.memory_bytes() + self.queue.record_bytes);
            if !self.output.is_empty() {
                let hurry = self.arriving.as_ref().map(|(_, since)| Hurry {
                    memory: &node.request_memory,
                    until: *since + receive_timeout,
                    timeout: receive_timeout,
                });
                write(&mut stream, &mut self.output, idle, hurry).await?;
                continue;
            }
            if self.stopping && self.queue.pending.is_empty() {
                return Err(Ended::ShutDown);
            }
            if self.queue.pending.is_empty()
                && let Some(ended) = self.closing.take()
            {
                return Err(ended);
            }
            let muted_until = self.muted_until();
            if let Some(until) = muted_until {
                mute_timer.as_mut().reset(until);
            }
            let waits_for_memory = self.waiting.is_some();
            let mut freed = pin!(node.request_memory.freed());
            // First listened to and then looked at, so that nothing is missed.
            if waits_for_memory && !freed.as_mut().enable() && node.request_memory.is_free() {
                continue;
            }
            let receive_until = self.arriving.as_ref().map(|(_, since)| *since + receive_timeout);
            if let Some(until) = receive_until {
                receive_timer.as_mut().reset(until);
            }
            let reads = self.may_read() && !waits_for_memory && !self.stopping;
            let waits_for_client = self.queue.pending.is_empty() && !waits_for_memory;
            let has_pending = !self.queue.pending.is_empty();
            if reads
                && waits_for_client
                && busy_poll.is_worthwhile()
                && let Some(read) = busy_poll.read(&node.connections.busy, &mut stream, self.input.space()).await
            {
                last_request = self.received(read?, activity, &mut busy_poll)?;
                continue;
            }
            tokio::select! {
                biased;
                read = stream.read_buf(self.input.space()), if reads => {
                    last_request = self.received(read?, activity, &mut busy_poll)?;
                }
                () = self.queue.front_ready(), if has_pending => last_request = Instant::now(),
                () = &mut freed, if waits_for_memory => last_request = Instant::now(),
                () = &mut stopped, if !self.stopping => {}
                // The client was told to wait: that it did is not idleness.
                () = &mut mute_timer, if muted_until.is_some() => last_request = Instant::now(),
                () = &mut receive_timer, if receive_until.is_some() => self.check_arrival(receive_timeout)?,
                () = &mut authentication_timer, if !self.session.is_open() => {
                    return Err(Ended::AuthenticationTimeout);
                }
                () = &mut idle_timer, if idle.is_some() => {
                    let idle = idle.unwrap_or(FOREVER);
                    let until = last_request + idle;
                    if waits_for_client && muted_until.is_none() && until <= Instant::now() {
                        return Err(Ended::Idle(idle));
                    }
                    idle_timer.as_mut().reset(if waits_for_client { until } else { Instant::now() + idle });
                }
            }
        }
    }

    /// Takes note of `count` bytes that have come, and says when that was.
    fn received(&self, count: usize, activity: &Activity, busy_poll: &mut BusyPoll) -> Result<Instant, Ended> {
        if count == 0 {
            // What was handled has happened, but there is nobody left to answer.
            return Err(if self.input.is_mid_frame() { Ended::MidFrame } else { Ended::ByClient });
        }
        let now = Instant::now();
        activity.note(self.node.clock.ms_of(now));
        busy_poll.received(now, count);
        Ok(now)
    }

    /// How to wait for the client; never awake where there is no socket.
    fn busy_poll(&self, stream: &Stream) -> BusyPoll {
        let micros = u64::try_from(self.node.start_config.riverrun_busy_poll_us).unwrap_or(0);
        BusyPoll::new(Duration::from_micros(if matches!(stream, Stream::Other(_)) { 0 } else { micros }))
    }

    /// Whether another request fits in what the connection may have under way.
    fn may_read(&self) -> bool {
        let config = &self.node.start_config;
        let count_max = usize::try_from(config.riverrun_connection_inflight_max).unwrap_or(1);
        let bytes_max = usize::try_from(config.riverrun_connection_inflight_max_bytes).unwrap_or(1);
        if self.closing.is_some() || self.muted_until().is_some() {
            return false;
        }
        let queue = &self.queue;
        let unsent = queue.record_bytes + self.output.remaining();
        queue.pending.len() < count_max && queue.request_bytes < bytes_max && unsent < GATHER_BYTES
    }

    /// Until when nothing is read, for the sake of a quota.
    fn muted_until(&self) -> Option<Instant> {
        self.context.mute.as_ref().and_then(|mute| mute.until(&self.node.clock))
    }

    /// Handles the frames that have arrived whole, as far as the connection's budget goes.
    fn handle_frames(&mut self) -> Result<(), Ended> {
        self.waiting = None;
        while self.may_read()
            && !self.stopping
            && let Some(size) = self.input.announced()?
        {
            let (reserved, since) = match self.arriving.take() {
                Some((reserved, since)) => (reserved, Some(since)),
                None => match self.node.request_memory.reserve(size) {
                    Some(reserved) => (reserved, None),
                    None => {
                        self.waiting = Some(self.node.request_memory.wait());
                        break;
                    }
                },
            };
            let Some(frame) = self.input.next_frame()? else {
                self.arriving = Some((reserved, since.unwrap_or_else(Instant::now)));
                break;
            };
            self.handle_frame(&frame, reserved)?;
        }
        Ok(())
    }

    fn receive_timeout(&self) -> Duration {
        millis(i64::from(self.node.start_config.riverrun_request_receive_timeout_ms))
    }

    /// Looks after a request that has been arriving for long: it may, as long as nobody waits for its memory.
    fn check_arrival(&mut self, receive_timeout: Duration) -> Result<(), Ended> {
        if self.node.request_memory.is_contended() {
            return Err(Ended::Slow(receive_timeout));
        }
        if let Some((_, since)) = &mut self.arriving {
            *since = Instant::now();
        }
        Ok(())
    }

    /// Until when the client must have authenticated.
    fn authentication_deadline(&self) -> tokio::time::Instant {
        let listener = self.node.listeners.get(self.origin.listener);
        tokio::time::Instant::now() + listener.map_or(Duration::ZERO, |listener| listener.authentication_timeout)
    }

    /// What the session says of a request that is not simply the broker's to handle: the request, if it still is.
    fn authenticate(&mut self, header: &RequestHeader, body: RequestBody, frame_bytes: usize) -> Option<RequestBody> {
        if self.session.is_endless() {
            return Some(body);
        }
        let time = SessionTime { now: tokio::time::Instant::now(), wall_ms: self.node.clock.wall_ms() };
        match self.session.take(header.api_version, body, &self.node.image(), time) {
            Step::Handle(body) => return Some(body),
            Step::Answer(answer) => {
                self.queue.push(header.clone(), frame_bytes, Answer::Ready(answer.into()));
                if let Some(limit) = self.session.receive_max() {
                    self.input.set_limit(limit);
                } else {
                    let limit = self.node.start_config.socket_request_max_bytes;
                    self.input.set_limit(usize::try_from(limit).unwrap_or(usize::MAX));
                }
            }
            Step::Refuse { answer, reason } => {
                self.closing = Some(Ended::Unauthenticated(reason));
                let delay = self.node.listeners.get(self.origin.listener).map(|listener| listener.failed_delay);
                let told = async move {
                    tokio::time::sleep(delay.unwrap_or_default()).await;
                    answer
                };
                self.queue.push(header.clone(), frame_bytes, Answer::Waiting(Box::pin(told)));
            }
            Step::Close { reason } => self.closing = Some(Ended::Unauthenticated(reason)),
        }
        None
    }

    fn handle_bare_token(&mut self, token: &Bytes) -> Result<(), Ended> {
        // Its answer goes past the queue, and what was asked before it, in one go, is to be answered before it.
        self.encode_ready()?;
        let time = SessionTime { now: tokio::time::Instant::now(), wall_ms: self.node.clock.wall_ms() };
        match self.session.take_bare(token, &self.node.image(), time) {
            BareStep::Answer(answer) => {
                self.output.push_bare(&answer);
                Ok(())
            }
            BareStep::Close { reason } => Err(Ended::Unauthenticated(reason)),
        }
    }

    /// Handles a request. Its memory is given back then; that of records once they are answered.
    fn handle_frame(&mut self, frame: &Bytes, reserved: Reserved) -> Result<(), Ended> {
        if !self.session.is_open() {
            if self.session.expects_bare_token() {
                return self.handle_bare_token(frame);
            }
            // Nothing else is even decoded before the client has said who it is.
            let api_key = frame.first_chunk().map_or(-1, |key| i16::from_be_bytes(*key));
            if !self.session.admits(api_key) {
                return Err(Ended::Unauthenticated(format!("a request of API {api_key} came before it")));
            }
        }
        let decoded_max = usize::try_from(self.node.start_config.riverrun_request_max_decoded_bytes).unwrap_or(1024);
        let limits = DecodeLimits::default().with_decoded_bytes_max(decoded_max);
        let (header, body) = match decode_request(frame, &limits) {
            Ok(request) => request,
            Err(DecodeRequestError::UnsupportedVersion { api_key: ApiKey::ApiVersions, correlation_id, .. }) => {
                // KIP-511: answered in version 0, so that any client can read which versions there are.
                let header =
                    RequestHeader { api_key: ApiKey::ApiVersions, api_version: 0, correlation_id, client_id: None };
                let response = api::api_versions::unsupported_version();
                self.queue.push(header, frame.len(), Answer::Ready(ResponseBody::from(response).into()));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !api::is_served(header.api_key) {
            return Err(Ended::NotServed { api_key: header.api_key, version: header.api_version });
        }
        let Some(body) = self.authenticate(&header, body, frame.len()) else { return Ok(()) };
        self.context.api_version = header.api_version;
        self.context.request_bytes = Some(frame.len());
        if self.context.client_id != header.client_id {
            self.context.client_id.clone_from(&header.client_id);
        }
        if self.context.principal != *self.session.principal() {
            self.context.principal.clone_from(self.session.principal());
        }
        let span = tracing::trace_span!(
            "request",
            api_key = header.api_key.name(),
            api_version = header.api_version,
            correlation_id = header.correlation_id,
            client_id = header.client_id.as_deref(),
        );
        let reply = span.in_scope(|| api::handle(&self.node, &self.context, body));
        let reserved = (header.api_key == ApiKey::Produce).then_some(reserved);
        match reply {
            Reply::Now(response) => self.queue.push(header, frame.len(), Answer::Ready(response.into())),
            Reply::Later(response) => {
                self.queue.push_holding(header, frame.len(), Answer::Waiting(response), reserved);
            }
            Reply::Stored(stored) => self.queue.push(header, frame.len(), Answer::Ready((*stored).into())),
            Reply::StoredLater(response) => self.queue.push(header, frame.len(), Answer::WaitingStored(response)),
            Reply::Never => {}
            Reply::Close => return Err(Ended::FailedUnanswered(header.api_key)),
        }
        Ok(())
    }

    /// Encodes the answers at the front of the queue that are there, up to a good write's worth.
    fn encode_ready(&mut self) -> Result<(), Ended> {
        while self.output.remaining() < GATHER_BYTES {
            let Some((header, Ready { body, files, .. })) = self.queue.pop_ready() else { break };
            let RequestHeader { api_key, api_version: version, correlation_id, .. } = header;
            let failed = |source| Ended::Encode { api_key, version, source };
            if files.is_empty() {
                self.output.push(encode_response(&body, version, correlation_id).map_err(failed)?);
                continue;
            }
            let apart = files.iter().map(|file| file.as_ref().map_or(0, FileSpan::size_in_bytes)).collect();
            let parts = encode_response_apart(&body, version, correlation_id, apart).map_err(failed)?;
            self.node.connections.count_files(files.iter().flatten().count());
            self.output.push_apart(parts, &files);
        }
        Ok(())
    }
}

impl Queue {
    fn push(&mut self, header: RequestHeader, frame_bytes: usize, response: Answer) {
        self.push_holding(header, frame_bytes, response, None);
    }

    fn push_holding(
        &mut self,
        header: RequestHeader,
        frame_bytes: usize,
        response: Answer,
        reserved: Option<Reserved>,
    ) {
        self.request_bytes += frame_bytes;
        if let Answer::Ready(ready) = &response {
            self.record_bytes += ready.record_bytes;
        }
        self.pending.push_back(Pending { header, frame_bytes, _reserved: reserved, response });
    }

    /// Takes the answer at the front, if it is there.
    fn pop_ready(&mut self) -> Option<(RequestHeader, Ready)> {
        let Pending { header, frame_bytes, _reserved, response } = self.pending.pop_front()?;
        match response {
            Answer::Ready(ready) => {
                self.request_bytes -= frame_bytes;
                self.record_bytes -= ready.record_bytes;
                Some((header, ready))
            }
            waiting @ (Answer::Waiting(_) | Answer::WaitingStored(_)) => {
                self.pending.push_front(Pending { header, frame_bytes, _reserved, response: waiting });
                None
            }
        }
    }

    /// Waits until the answer at the front is there; more of those behind it may be ready too.
    /// Cancel-safe: the future stays in the queue.
    async fn front_ready(&mut self) {
        let mut answers = self.pending.iter_mut().map(|pending| &mut pending.response);
        let Some(front) = answers.next() else { return };
        self.record_bytes += poll_fn(|context| front.poll(context)).await;
        for answer in answers {
            if self.record_bytes >= GATHER_BYTES {
                break;
            }
            let polled = poll_fn(|context| Poll::Ready(answer.poll(context))).await;
            let Poll::Ready(record_bytes) = polled else { break };
            self.record_bytes += record_bytes;
        }
    }
}

/// What a connection that writes while it has memory for an unfinished request has to look after.
struct Hurry<'a> {
    memory: &'a RequestMemory,
    until: Instant,
    timeout: Duration,
}

/// Writes everything. A client that takes nothing for the idle time is given up.
async fn write(
    stream: &mut Stream,
    output: &mut OutBuffer,
    idle: Option<Duration>,
    mut hurry: Option<Hurry<'_>>,
) -> Result<(), Ended> {
    while !output.is_empty() {
        let mut sending = pin!(output.write_some(stream));
        // As a rule the socket takes it at once, and no timer is needed.
        let written = match futures::poll!(sending.as_mut()) {
            Poll::Ready(written) => written,
            Poll::Pending => {
                let idle = idle.unwrap_or(FOREVER);
                let stuck = Instant::now() + idle;
                loop {
                    let hurry_until = hurry.as_ref().map_or(stuck, |hurry| hurry.until);
                    tokio::select! {
                        biased;
                        written = sending.as_mut() => break written,
                        () = tokio::time::sleep_until(stuck) => return Err(Ended::Stuck(idle)),
                        () = tokio::time::sleep_until(hurry_until), if hurry.is_some() => {
                            if let Some(hurry) = &mut hurry {
                                if hurry.memory.is_contended() {
                                    return Err(Ended::Slow(hurry.timeout));
                                }
                                hurry.until = Instant::now() + hurry.timeout;
                            }
                        }
                    }
                }
            }
        };
        if written? == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
    }
    Ok(())
}
