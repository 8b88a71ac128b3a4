//! The transport over TCP: where to begin, how to connect. What happens on an open connection is in
//! `tcp_connection.rs`.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{net::TcpStream, time::timeout};

use super::{
    BrokerAddress, Connection, ParseAddressError, Transport,
    negotiate::{self, Answer},
    tcp_connection::TcpConnection,
};
use crate::error::{CallError, ConnectError};

/// How connections are opened and what they allow.
#[derive(Debug, Clone)]
pub struct TcpOptions {
    /// How the client calls itself in requests (`client.id`). Default `riverrun`.
    pub client_id: String,
    /// Time for name resolution, connecting and negotiation together (`socket.connection.setup.timeout.ms`).
    /// Default 10 s.
    pub connect_timeout: Duration,
    /// Largest response accepted, in bytes. Default 100 MiB: a fetch of `fetch.max.bytes` (50 MiB) may be exceeded by
    /// one batch.
    pub max_response_bytes: usize,
    /// Requests that may wait for responses on one connection. Default 1024.
    pub max_pending_requests: usize,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            client_id: "riverrun".to_owned(),
            connect_timeout: Duration::from_secs(10),
            max_response_bytes: 100 << 20,
            max_pending_requests: 1024,
        }
    }
}

/// Connections over TCP, without encryption.
#[derive(Debug, Clone)]
pub struct TcpTransport {
    bootstrap: Vec<BrokerAddress>,
    options: Arc<TcpOptions>,
}

impl TcpTransport {
    /// A cluster that is found through the brokers of a comma-separated list of `host:port`.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub fn new(bootstrap: &str, options: TcpOptions) -> Result<Self, ParseAddressError> {
        Ok(Self { bootstrap: BrokerAddress::parse_list(bootstrap)?, options: Arc::new(options) })
    }
}

impl Transport for TcpTransport {
    fn bootstrap(&self) -> Vec<BrokerAddress> {
        self.bootstrap.clone()
    }

    fn connect(&self, to: &BrokerAddress) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let (address, options) = (to.clone(), Arc::clone(&self.options));
        async move {
            let after = options.connect_timeout;
            match timeout(after, open(&address, options)).await {
                Ok(connection) => connection.map(|connection| Arc::new(connection) as Arc<dyn Connection>),
                Err(_) => Err(ConnectError::TimedOut { address, after }),
            }
        }
        .boxed()
    }
}

async fn open(address: &BrokerAddress, options: Arc<TcpOptions>) -> Result<TcpConnection, ConnectError> {
    let mut connection = TcpConnection::start(stream(address).await?, options);
    let negotiation = |source: CallError| ConnectError::Negotiation { address: address.clone(), source };
    let mut version = negotiate::newest();
    loop {
        let response = connection.call(version, negotiate::question(version)).await.map_err(negotiation)?;
        match negotiate::answer(version, response).map_err(negotiation)? {
            Answer::AskAgain(older) => version = older,
            Answer::Agreed(versions) => {
                connection.set_versions(versions);
                return Ok(connection);
            }
        }
    }
}

/// Tries the addresses of the host in turn, as `localhost` may mean `::1` where the broker listens on `127.0.0.1`.
async fn stream(address: &BrokerAddress) -> Result<TcpStream, ConnectError> {
    let resolved = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let resolved =
        resolved.map_err(|source| ConnectError::Resolve { address: address.clone(), source: Arc::new(source) })?;
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host name has no address");
    for socket_address in resolved {
        match TcpStream::connect(socket_address).await {
            Ok(stream) => {
                // Requests are written whole; waiting to fill a segment would only delay them.
                let nodelay = stream.set_nodelay(true);
                return nodelay
                    .map(|()| stream)
                    .map_err(|source| ConnectError::Refused { address: address.clone(), source: Arc::new(source) });
            }
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Refused { address: address.clone(), source: Arc::new(last) })
}
