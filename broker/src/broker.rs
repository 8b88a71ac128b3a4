//! The handle of a running broker.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use riverrun_client::{Client, transport::Transport};
use riverrun_core::protocol::RequestBody;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{BrokerBuilder, Reply, RequestContext, ShutdownError, api, node::Node, transport::InProcess};

/// How long connections may take to send what they still have to say when the broker stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A running broker. Clones are the same broker; it also stops when the last handle, and the last in-process client,
/// are gone, but only [`shutdown`](Self::shutdown) waits until the data is safe and says whether it is.
#[derive(Clone)]
pub struct Broker(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) node: Arc<Node>,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.node.stopping.cancel();
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("id", &self.0.node.id).field("addresses", &self.0.addresses).finish()
    }
}

impl Broker {
    /// Sets a broker up.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    /// Begins a request of any transport. What it changes has changed when this returns, so requests take effect in the
    /// order of the calls; see [`Reply`] for the answer.
    pub fn handle(&self, context: &RequestContext, request: RequestBody) -> Reply {
        api::handle(&self.0.node, context, request)
    }

    /// The addresses it listens on, in the order of its listeners; empty if it opened no port.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.addresses.clone()
    }

    /// Serves one connection on a stream of bytes, as if it had come from `peer` by the listener at this position of
    /// [`addresses`](Self::addresses): for tunnels, for sockets of other kinds, and for tests. TLS, where the listener has it, is the
    /// caller's. Resolves when the connection has ended; there is no error, as there is none for a socket.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn serve_stream(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
        peer: SocketAddr,
        listener: usize,
    ) {
        crate::listener::serve_other(&self.0.node, Box::new(stream), peer, listener).await;
    }

    /// A client in the same process: no sockets, no encoding.
    pub fn client(&self) -> Client {
        Client::new(self.transport())
    }

    /// The way in for clients in the same process.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(InProcess::new(Arc::clone(&self.0)))
    }

    /// The id of the cluster: that of the data directory.
    pub fn cluster_id(&self) -> &str {
        &self.0.node.cluster_id
    }

    /// How many spans of records were sent from their files to plaintext sockets, for tests.
    #[doc(hidden)]
    pub fn files_sent(&self) -> u64 {
        self.0.node.connections.files_sent()
    }

    /// Stops: takes nothing new, answers what is under way, syncs and closes all logs. Calling it again does nothing.
    ///
    /// # Errors
    /// If the data could not all be written. Nothing that was acknowledged is lost, and the next start checks the logs.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the broker stopping, but nobody closes its logs.
    pub async fn shutdown(&self) -> Result<(), ShutdownError> {
        let node = &self.0.node;
        node.stopping.cancel();
        node.groups.close();
        node.transactions.close();
        node.shares.close();
        if !node.tasks.close() {
            return Ok(());
        }
        if tokio::time::timeout(DRAIN, node.tasks.wait()).await.is_err() {
            tracing::warn!(connections = node.tasks.len(), "clients did not take their answers in time");
        }
        let storage = Arc::clone(&node.storage);
        let closed = tokio::task::spawn_blocking(move || storage.close()).await;
        match closed {
            Ok(Ok(())) => {
                tracing::info!("stopped");
                Ok(())
            }
            Ok(Err(error)) => Err(ShutdownError { problem: error.to_string() }),
            Err(_) => Err(ShutdownError { problem: "closing the logs panicked".to_owned() }),
        }
    }
}

impl From<&Broker> for Client {
    fn from(broker: &Broker) -> Self {
        broker.client()
    }
}
