//! TCP listeners: binding and accepting. What a connection does is in `connection`, how many there may be in `caps`.

mod busy_poll;
mod caps;
mod connection;
mod frame_buffer;
mod host_caps;
mod memory;
mod out_buffer;
mod sendfile;
mod socket;
mod stream;

use std::{
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use futures::FutureExt;
use riverrun_core::quota::ConnectionVerdict;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::{
    Principal,
    endpoint::Endpoint,
    error::StartError,
    log_limit::LineKind,
    node::Node,
    quotas::millis,
    security::{ListenerSecurity, Session, certificate_principal},
};
pub(crate) use caps::ConnectionCaps;
use caps::{Cap, Slot, Slots};
use connection::Origin;
pub(crate) use memory::RequestMemory;
pub(crate) use stream::ByteStream;
use stream::{Opaque, Stream};

/// Connections beyond a quota that are kept open, unread; those beyond are closed at once.
const REFUSED_MAX: usize = 1_000;

/// Connections that are open now, and what they hold together.
#[derive(Debug, Default)]
pub(crate) struct OpenConnections {
    next_id: AtomicU64,
    slots: Arc<Slots>,
    /// Record bytes in responses that are not sent yet.
    unsent: AtomicUsize,
    /// Connections that are kept unread until they are closed.
    refused: AtomicUsize,
    /// Spans of records that went out, or are about to, from their files.
    files: AtomicU64,
    /// Whether one of them waits awake for its client.
    busy: AtomicBool,
}

impl OpenConnections {
    /// A number no other connection of this run has.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts other caps on connections in force. Does not block.
    pub(crate) fn set_caps(&self, caps: ConnectionCaps) {
        self.slots.set_caps(caps);
    }

    /// Record bytes in responses that are not sent yet, over all connections.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// How many spans of records were sent from their files.
    pub(crate) fn files_sent(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    fn count_files(&self, count: usize) {
        self.files.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// One connection's share of the unsent bytes; ends when dropped.
#[derive(Debug)]
struct Unsent {
    node: Arc<Node>,
    bytes: usize,
}

impl Unsent {
    fn new(node: Arc<Node>) -> Self {
        Self { node, bytes: 0 }
    }

    fn set(&mut self, bytes: usize) {
        let all = &self.node.connections.unsent;
        if bytes > self.bytes {
            all.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            all.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Binds one listener to the first address its host name leads to that can be had.
pub(crate) async fn bind(endpoint: &Endpoint, backlog: u32) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source: io::Error| StartError::Listen { address: endpoint.to_string(), source };
    let host = if endpoint.host.is_empty() { "0.0.0.0" } else { endpoint.host.as_str() };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name leads to no address");
    for address in lookup_host((host, endpoint.port)).await.map_err(failed)? {
        match listen(address, backlog) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = error,
        }
    }
    Err(if last.kind() == io::ErrorKind::AddrInUse {
        StartError::AddressInUse { address: endpoint.to_string() }
    } else {
        failed(last)
    })
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // So that a restarted broker gets its port back while old connections linger in TIME_WAIT. On Windows the option
    // would let two processes share the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(backlog)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Accepts connections until the broker stops. Each is served by a task of its own, so that a panic ends one only.
pub(crate) async fn accept(node: Arc<Node>, listener: TcpListener, index: usize) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = node.stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => match node.quotas.admit(peer.ip(), index) {
                ConnectionVerdict::Accept { wait_ms } => {
                    // Nobody else is accepted meanwhile: the listener as a whole has had too many, or the broker has.
                    let admitted = async {
                        if wait_ms > 0 {
                            tokio::time::sleep(millis(wait_ms)).await;
                        }
                        slot(&node, peer, index).await
                    };
                    let slot = tokio::select! {
                        slot = admitted => slot,
                        () = node.stopping.cancelled() => return,
                    };
                    if let Some(slot) = slot {
                        serve(&node, stream, peer, slot);
                    }
                }
                ConnectionVerdict::Refuse { throttle_ms } => refuse(&node, stream, throttle_ms),
            },
            Err(error) => {
                // Out of file descriptors as a rule: wait for some to be closed instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::select! {
                    () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
                    () = node.stopping.cancelled() => return,
                }
            }
        }
    }
}

/// Closes a connection that is beyond its address's quota, after a while: one that is closed at once comes again at once.
fn refuse(node: &Arc<Node>, stream: TcpStream, throttle_ms: i64) {
    let node = Arc::clone(node);
    if let Some(left_out) = node.log_line(LineKind::ConnectionRate) {
        let peer = stream.peer_addr().ok();
        tracing::warn!(?peer, throttle_ms, left_out, "connection refused: its address connects too fast");
    }
    if node.connections.refused.fetch_add(1, Ordering::Relaxed) >= REFUSED_MAX {
        node.connections.refused.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let tasks = node.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(millis(throttle_ms)) => {}
            () = node.stopping.cancelled() => {}
        }
        node.connections.refused.fetch_sub(1, Ordering::Relaxed);
        drop(stream);
    });
}

/// Waits until a connection may be open; `None` if it may not.
async fn slot(node: &Arc<Node>, peer: SocketAddr, listener: usize) -> Option<Slot> {
    let tell = |cap: Cap, what: &'static str| {
        if let Some(left_out) = node.log_line(LineKind::TooManyConnections) {
            let Cap { setting, limit } = cap;
            tracing::warn!(%peer, setting, limit, left_out, "{what}");
        }
    };
    let waits = |cap| tell(cap, "a connection waits until another goes, and its listener with it: the cap is reached");
    let refused = |cap| tell(cap, "connection refused: the cap of its address is reached");
    Slot::wait(node, peer.ip(), listener, waits).await.map_err(refused).ok()
}

fn serve(node: &Arc<Node>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
    socket::tune(&stream, peer);
    let origin = slot.origin(peer);
    let node = Arc::clone(node);
    let tasks = node.tasks.clone();
    tasks.spawn(async move {
        let greeted = tokio::select! {
            greeted = greet(&node, stream, origin) => greeted,
            () = slot.activity.surplus.cancelled() => None,
        };
        if let Some((stream, principal)) = greeted {
            run(&node, stream, origin, principal, &slot).await;
        }
        drop(slot);
    });
}

/// Serves a stream that is no socket of ours as if it had come in by a listener. Whatever its security protocol
/// encrypts is the caller's to decrypt. It ends when the stream does, or the broker.
pub(crate) async fn serve_other(node: &Arc<Node>, stream: Box<dyn ByteStream>, peer: SocketAddr, listener: usize) {
    let slot = tokio::select! {
        slot = slot(node, peer, listener) => slot,
        () = node.stopping.cancelled() => None,
    };
    let Some(slot) = slot else { return };
    run(node, Stream::Other(Opaque(stream)), slot.origin(peer), Principal::anonymous(), &slot).await;
}

/// Serves a connection. A panic ends it, and nothing else.
async fn run(node: &Arc<Node>, stream: Stream, origin: Origin, principal: Principal, slot: &Slot) {
    let Some(security) = node.listeners.get(origin.listener).cloned() else { return };
    let session = Session::new(security, principal);
    let serving = connection::serve(Arc::clone(node), stream, origin, session, Arc::clone(&slot.activity));
    if let Err(panic) = AssertUnwindSafe(serving).catch_unwind().await
        && let Some(left_out) = node.log_line(LineKind::Panic)
    {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let panic = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        tracing::error!(peer = %origin.peer, panic, left_out, "a connection ended with a panic; the others go on");
    }
    node.shares.connection_closed(origin.connection_id);
}

/// Does the TLS handshake of a connection, if its listener has TLS, and says who the client is by its certificate.
async fn greet(node: &Node, stream: TcpStream, origin: Origin) -> Option<(Stream, Principal)> {
    let security = node.listeners.get(origin.listener)?;
    let Some(tls) = &security.tls else { return Some((Stream::Plain(stream), Principal::anonymous())) };
    let handshake = tokio_rustls::TlsAcceptor::from(tls.current()).accept(stream);
    let done = tokio::select! {
        done = tokio::time::timeout(security.authentication_timeout, handshake) => done,
        () = node.stopping.cancelled() => return None,
    };
    let peer = origin.peer;
    match done {
        Ok(Ok(stream)) => {
            let principal = certificate_identity(security, &stream);
            if principal.is_none()
                && let Some(left_out) = node.log_line(LineKind::CertificateName)
            {
                let listener = &security.name;
                tracing::warn!(%peer, listener, left_out, "no rule of ssl.principal.mapping.rules fits the certificate");
            }
            let principal = principal?;
            Some((Stream::Tls(Box::new(stream)), principal))
        }
        Ok(Err(error)) => {
            if let Some(left_out) = node.log_line(LineKind::TlsFailed) {
                tracing::info!(%peer, listener = security.name, %error, left_out, "TLS handshake failed");
            }
            None
        }
        Err(_) => {
            if let Some(left_out) = node.log_line(LineKind::TlsTimeout) {
                tracing::info!(%peer, listener = security.name, left_out, "TLS handshake took too long");
            }
            None
        }
    }
}

/// Who the client is by its certificate; `None` if the mapping rules have no name for it.
fn certificate_identity(
    security: &ListenerSecurity,
    stream: &tokio_rustls::server::TlsStream<TcpStream>,
) -> Option<Principal> {
    let Some(certificate) = stream.get_ref().1.peer_certificates().and_then(<[_]>::first) else {
        return Some(Principal::anonymous());
    };
    certificate_principal(security, certificate)
}
