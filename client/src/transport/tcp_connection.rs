//! One TCP connection: requests are numbered and written in the order of the calls, responses come back in the same
//! order and are matched by number.
//!
//! A call encodes and, when nothing is queued, writes at once on the caller's thread; one task per connection writes
//! what the socket did not take and reads responses. The connection owns that task and aborts it when dropped; who
//! still waits for a response then gets [`CallError::Closed`].
//!
//! Source: Kafka's `NetworkClient` and `Selector`; a broker answers the requests of a connection in order.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, Bytes};
use futures::{FutureExt, future::BoxFuture};
use riverrun_core::protocol::{
    ApiKey, DecodeLimits, RequestBody, ResponseBody, correlation_id, decode_response, encode_request,
};
use tokio::{
    io::Interest,
    net::TcpStream,
    sync::{Notify, oneshot},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Connection, frame::FrameDecoder, negotiate::Versions, tcp::TcpOptions};
use crate::error::CallError;

/// Segments given to one write.
const SEGMENTS_PER_WRITE: usize = 64;

/// An open connection.
#[derive(Debug)]
pub(super) struct TcpConnection {
    shared: Arc<Shared>,
    versions: Versions,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Shared {
    stream: TcpStream,
    options: Arc<TcpOptions>,
    /// Guards the order of requests: numbering, queueing and writing happen in one step. Never held over an await.
    state: Mutex<State>,
    /// Tells the task that the socket did not take everything.
    unsent: Notify,
}

#[derive(Debug, Default)]
struct State {
    next_correlation_id: i32,
    outgoing: VecDeque<Bytes>,
    pending: VecDeque<Pending>,
    closed: Option<CallError>,
}

/// A request whose response is awaited.
#[derive(Debug)]
struct Pending {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    reply: oneshot::Sender<Result<ResponseBody, CallError>>,
}

impl TcpConnection {
    pub(super) fn start(stream: TcpStream, options: Arc<TcpOptions>) -> Self {
        let shared = Arc::new(Shared { stream, options, state: Mutex::default(), unsent: Notify::new() });
        let task = tokio::spawn(drive(Arc::clone(&shared)));
        Self { shared, versions: Versions::new(), _task: AbortOnDropHandle::new(task) }
    }

    pub(super) fn set_versions(&mut self, versions: Versions) {
        self.versions = versions;
    }
}

impl Connection for TcpConnection {
    fn versions(&self, key: ApiKey) -> Option<RangeInclusive<i16>> {
        self.versions.get(&key).cloned()
    }

    fn call(&self, version: i16, request: RequestBody) -> BoxFuture<'static, Result<Option<ResponseBody>, CallError>> {
        match self.shared.send(version, &request) {
            Ok(None) => async { Ok(None) }.boxed(),
            Ok(Some(reply)) => {
                let closed = || CallError::Closed { source: None };
                async move { reply.await.unwrap_or_else(|_| Err(closed())).map(Some) }.boxed()
            }
            Err(error) => async { Err(error) }.boxed(),
        }
    }

    fn is_closed(&self) -> bool {
        self.shared.lock().closed.is_some()
    }
}

impl Drop for TcpConnection {
    fn drop(&mut self) {
        self.shared.close(CallError::Closed { source: None });
    }
}

type Reply = oneshot::Receiver<Result<ResponseBody, CallError>>;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, version: i16, request: &RequestBody) -> Result<Option<Reply>, CallError> {
        let api = request.api_key();
        let wants_response = !matches!(request, RequestBody::Produce(produce) if produce.acks == 0);
        let mut state = self.lock();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        if state.pending.len() >= self.options.max_pending_requests {
            return Err(CallError::Backlog { limit: self.options.max_pending_requests });
        }
        let correlation_id = state.next_correlation_id;
        let frame = encode_request(request, version, correlation_id, Some(&self.options.client_id))
            .map_err(|source| CallError::Encode { api, version, source: Arc::new(source) })?;
        state.next_correlation_id = correlation_id.wrapping_add(1);
        let idle = state.outgoing.is_empty();
        state.outgoing.extend(frame.into_segments());
        let reply = wants_response.then(|| {
            let (reply, receiver) = oneshot::channel();
            state.pending.push_back(Pending { correlation_id, api, version, reply });
            receiver
        });
        if idle && !matches!(self.write(&mut state), Ok(true)) {
            // Not everything was taken, or the socket is broken: the task sees to both.
            self.unsent.notify_one();
        }
        Ok(reply)
    }

    /// Writes as much as the socket takes; whether that was everything.
    fn write(&self, state: &mut State) -> io::Result<bool> {
        while !state.outgoing.is_empty() {
            let slices: Vec<_> = state.outgoing.iter().take(SEGMENTS_PER_WRITE).map(|b| IoSlice::new(b)).collect();
            let mut written = match self.stream.try_write_vectored(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            while let Some(segment) = state.outgoing.front_mut() {
                if segment.len() > written {
                    segment.advance(written);
                    break;
                }
                written -= segment.len();
                state.outgoing.pop_front();
            }
        }
        Ok(true)
    }

    /// Reads what is there into `decoder` and delivers the responses.
    fn read(&self, decoder: &mut FrameDecoder) -> Result<(), CallError> {
        loop {
            match self.stream.try_read_buf(decoder.buffer()) {
                Ok(0) => return Err(CallError::Closed { source: None }),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(CallError::Closed { source: Some(Arc::new(error)) }),
            }
            while let Some(frame) = decoder.next()? {
                self.deliver(&frame)?;
            }
        }
    }

    fn deliver(&self, frame: &Bytes) -> Result<(), CallError> {
        let pending = self.lock().pending.pop_front().ok_or(CallError::OutOfStep)?;
        let Pending { api, version, .. } = pending;
        if correlation_id(frame) != Ok(pending.correlation_id) {
            let _ = pending.reply.send(Err(CallError::OutOfStep));
            return Err(CallError::OutOfStep);
        }
        let response = decode_response(api, version, frame, &DecodeLimits::default())
            .map(|(_, body)| body)
            .map_err(|source| CallError::Decode { api, version, source: Arc::new(source) });
        let failed = response.as_ref().err().cloned();
        // Who asked may have gone; the response is then nobody's.
        let _ = pending.reply.send(response);
        failed.map_or(Ok(()), Err)
    }

    fn close(&self, error: CallError) {
        let pending = {
            let mut state = self.lock();
            state.outgoing.clear();
            state.closed.get_or_insert_with(|| error.clone());
            std::mem::take(&mut state.pending)
        };
        for pending in pending {
            let _ = pending.reply.send(Err(error.clone()));
        }
    }
}

/// Writes and reads until the connection breaks.
async fn drive(shared: Arc<Shared>) {
    let mut decoder = FrameDecoder::new(shared.options.max_response_bytes);
    let error = loop {
        let has_unsent = !shared.lock().outgoing.is_empty();
        let interest = if has_unsent { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let ready = tokio::select! {
            ready = shared.stream.ready(interest) => ready,
            () = shared.unsent.notified() => continue,
        };
        let step = match ready {
            Err(error) => Err(CallError::Closed { source: Some(Arc::new(error)) }),
            Ok(ready) => {
                let written = if ready.is_writable() && has_unsent {
                    let written = shared.write(&mut shared.lock()).map(|_| ());
                    written.map_err(|error| CallError::Closed { source: Some(Arc::new(error)) })
                } else {
                    Ok(())
                };
                written.and_then(|()| if ready.is_readable() { shared.read(&mut decoder) } else { Ok(()) })
            }
        };
        if let Err(error) = step {
            break error;
        }
    };
    tracing::debug!(%error, "connection closed");
    shared.close(error);
}
