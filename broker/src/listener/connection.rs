//! One client connection: frames in, requests handled in order, responses out in the same order.
//!
//! ```text
//! socket -> FrameBuffer -> decode -> Broker::handle -> queue of replies -> encode -> OutBuffer -> socket
//! ```
//! Handling begins in the order of arrival and does not wait for earlier answers; only the oldest answer is awaited,
//! since responses leave in request order (see [`Reply`]). Nothing is read while the queue is full or a write is
//! blocked: a client that does not take its answers is not served further. Everything that is wrong with a connection
//! ends that connection, with one log line.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use riverrun_core::protocol::{
    ApiKey, DecodeLimits, DecodeRequestError, EncodeError, RequestHeader, ResponseBody, decode_request, encode_response,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    frame_buffer::{FrameBuffer, FrameTooLarge},
    out_buffer::OutBuffer,
};
use crate::{Reply, RequestContext, api, node::Node};

/// Encoded responses that are gathered before they are written, as long as more are ready.
const GATHER_BYTES: usize = 1 << 20;

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
    #[error(transparent)]
    FrameTooLarge(#[from] FrameTooLarge),
    #[error("malformed request: {0}")]
    Malformed(#[from] DecodeRequestError),
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
    response: Answer,
}

enum Answer {
    Ready(ResponseBody),
    Waiting(BoxFuture<'static, ResponseBody>),
}

struct Connection {
    node: Arc<Node>,
    origin: Origin,
    client_host: String,
    input: FrameBuffer,
    queue: VecDeque<Pending>,
    queued_bytes: usize,
    output: OutBuffer,
}

/// Serves one connection until it ends, and logs why if it was not the client's wish.
pub(super) async fn serve(node: Arc<Node>, stream: TcpStream, origin: Origin) {
    let peer = origin.peer;
    let mut connection = Connection::new(node, origin);
    let Err(ended) = connection.run(stream).await else { return };
    match &ended {
        Ended::ByClient | Ended::ShutDown | Ended::Idle(_) | Ended::Socket(_) => {
            tracing::debug!(%peer, reason = %ended, "connection closed");
        }
        Ended::MidFrame
        | Ended::Stuck(_)
        | Ended::FrameTooLarge(_)
        | Ended::Malformed(_)
        | Ended::NotServed { .. }
        | Ended::FailedUnanswered(_) => tracing::warn!(%peer, reason = %ended, "connection closed"),
        Ended::Encode { source, .. } => {
            tracing::error!(%peer, reason = %ended, %source, "connection closed");
        }
    }
}

impl Connection {
    fn new(node: Arc<Node>, origin: Origin) -> Self {
        let limit = usize::try_from(node.start_config.socket_request_max_bytes).unwrap_or(usize::MAX);
        Self {
            node,
            origin,
            client_host: format!("/{}", origin.peer.ip()),
            input: FrameBuffer::new(limit),
            queue: VecDeque::new(),
            queued_bytes: 0,
            output: OutBuffer::default(),
        }
    }

    async fn run(&mut self, mut stream: TcpStream) -> Result<(), Ended> {
        let idle = u64::try_from(self.node.start_config.connections_max_idle_ms).map(Duration::from_millis).ok();
        let node = Arc::clone(&self.node);
        loop {
            self.handle_frames()?;
            self.encode_ready()?;
            if self.output.has_remaining() {
                write(&mut stream, &mut self.output, idle).await?;
                continue;
            }
            if node.stopping.is_cancelled() && self.queue.is_empty() {
                return Err(Ended::ShutDown);
            }
            let reads = self.may_read() && !node.stopping.is_cancelled();
            let waits_for_client = self.queue.is_empty();
            tokio::select! {
                read = stream.read_buf(self.input.space()), if reads => {
                    if read? == 0 {
                        // What was handled has happened, but there is nobody left to answer.
                        return Err(if self.input.is_mid_frame() { Ended::MidFrame } else { Ended::ByClient });
                    }
                }
                () = front_ready(&mut self.queue), if !waits_for_client => {}
                () = node.stopping.cancelled(), if !node.stopping.is_cancelled() => {}
                () = sleep(idle), if waits_for_client => {
                    return Err(Ended::Idle(idle.unwrap_or_default()));
                }
            }
        }
    }

    /// Whether another request fits in what the connection may have under way.
    fn may_read(&self) -> bool {
        let config = &self.node.start_config;
        let count_max = usize::try_from(config.riverrun_connection_inflight_max).unwrap_or(1);
        let bytes_max = usize::try_from(config.riverrun_connection_inflight_max_bytes).unwrap_or(1);
        self.queue.len() < count_max && self.queued_bytes < bytes_max
    }

    /// Handles the frames that have arrived whole, as far as the connection's budget goes.
    fn handle_frames(&mut self) -> Result<(), Ended> {
        while self.may_read()
            && !self.node.stopping.is_cancelled()
            && let Some(frame) = self.input.next_frame()?
        {
            self.handle_frame(&frame)?;
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: &Bytes) -> Result<(), Ended> {
        let decoded_max = usize::try_from(self.node.start_config.riverrun_request_max_decoded_bytes).unwrap_or(1024);
        let limits = DecodeLimits::default().with_decoded_bytes_max(decoded_max);
        let (header, body) = match decode_request(frame, &limits) {
            Ok(request) => request,
            Err(DecodeRequestError::UnsupportedVersion { api_key: ApiKey::ApiVersions, correlation_id, .. }) => {
                // KIP-511: answered in version 0, so that any client can read which versions there are.
                let header =
                    RequestHeader { api_key: ApiKey::ApiVersions, api_version: 0, correlation_id, client_id: None };
                let response = api::api_versions::unsupported_version();
                self.enqueue(header, frame.len(), Answer::Ready(response.into()));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !api::is_served(header.api_key) {
            return Err(Ended::NotServed { api_key: header.api_key, version: header.api_version });
        }
        let context = RequestContext {
            api_version: header.api_version,
            client_id: header.client_id.clone(),
            client_host: self.client_host.clone(),
            connection_id: self.origin.connection_id,
            listener: Some(self.origin.listener),
        };
        let span = tracing::trace_span!(
            "request",
            api_key = header.api_key.name(),
            api_version = header.api_version,
            correlation_id = header.correlation_id,
            client_id = header.client_id.as_deref(),
        );
        let reply = span.in_scope(|| api::handle(&self.node, &context, body));
        match reply {
            Reply::Now(response) => self.enqueue(header, frame.len(), Answer::Ready(response)),
            Reply::Later(response) => self.enqueue(header, frame.len(), Answer::Waiting(response)),
            Reply::Never => {}
            Reply::Close => return Err(Ended::FailedUnanswered(header.api_key)),
        }
        Ok(())
    }

    fn enqueue(&mut self, header: RequestHeader, frame_bytes: usize, response: Answer) {
        self.queued_bytes += frame_bytes;
        self.queue.push_back(Pending { header, frame_bytes, response });
    }

    /// Encodes the answers at the front of the queue that are there, up to a good write's worth.
    fn encode_ready(&mut self) -> Result<(), Ended> {
        while self.output.remaining() < GATHER_BYTES {
            let Some(Pending { response: Answer::Ready(_), .. }) = self.queue.front() else { break };
            let Some(Pending { header, frame_bytes, response: Answer::Ready(body) }) = self.queue.pop_front() else {
                break;
            };
            self.queued_bytes -= frame_bytes;
            let RequestHeader { api_key, api_version, correlation_id, .. } = header;
            let frame = encode_response(&body, api_version, correlation_id).map_err(|source| Ended::Encode {
                api_key,
                version: api_version,
                source,
            })?;
            self.output.push(frame);
        }
        Ok(())
    }
}

/// Waits until the answer at the front is there; more of those behind it may be ready too.
/// Cancel-safe: the future stays in the queue.
async fn front_ready(queue: &mut VecDeque<Pending>) {
    let Some(front) = queue.front_mut() else { return };
    if let Answer::Waiting(response) = &mut front.response {
        let response = response.await;
        front.response = Answer::Ready(response);
    }
    for pending in queue.iter_mut().skip(1) {
        let Answer::Waiting(response) = &mut pending.response else { continue };
        match futures::FutureExt::now_or_never(response) {
            Some(response) => pending.response = Answer::Ready(response),
            None => break,
        }
    }
}

/// Waits for the idle time; for ever if there is none.
async fn sleep(idle: Option<Duration>) {
    match idle {
        Some(idle) => tokio::time::sleep(idle).await,
        None => std::future::pending().await,
    }
}

/// Writes everything. A client that takes nothing for the idle time is given up.
async fn write(stream: &mut TcpStream, output: &mut OutBuffer, idle: Option<Duration>) -> Result<(), Ended> {
    while output.has_remaining() {
        let written = match idle {
            Some(idle) => tokio::time::timeout(idle, stream.write_buf(output)).await.map_err(|_| Ended::Stuck(idle))?,
            None => stream.write_buf(output).await,
        };
        if written? == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
    }
    Ok(())
}
