//! The seam between the client and whatever carries its requests: sockets, or a broker in the same process.
//!
//! A [`Transport`] knows where to begin and how to open a [`Connection`]; a connection takes a typed request and gives
//! a typed response. Everything above (pool, metadata, producer, consumer, admin) is the same for both, so what is
//! tested in process holds over TCP. It is not a place for retries or time limits: those are decided above, once.
//!
//! Source: ADR "one protocol, two transports"; the calling contract is the one of Kafka's `NetworkClient`.

#[cfg(test)]
pub(crate) mod fake;
mod frame;
mod negotiate;
mod tcp;
mod tcp_connection;

use std::{fmt, ops::RangeInclusive, str::FromStr, sync::Arc};

use futures::future::BoxFuture;
use riverrun_core::protocol::{ApiKey, RequestBody, ResponseBody};

pub use crate::error::{CallError, ConnectError};
pub use tcp::{TcpOptions, TcpTransport};

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BrokerAddress {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl BrokerAddress {
    /// Names port `port` of `host`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Reads a comma-separated list (`bootstrap.servers`).
    ///
    /// # Errors
    /// If an entry has no port or the list is empty.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, ParseAddressError> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let addresses = entries.map(str::parse).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() { Err(ParseAddressError { text: list.to_owned() }) } else { Ok(addresses) }
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a text is no broker address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no broker address: expected host:port")]
pub struct ParseAddressError {
    /// The text.
    pub text: String,
}

impl FromStr for BrokerAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let invalid = || ParseAddressError { text: text.to_owned() };
        // A listener's name in front is tolerated: PLAINTEXT://host:port.
        let address = text.split_once("://").map_or(text, |(_, address)| address);
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| invalid())?;
        if host.is_empty() { Err(invalid()) } else { Ok(Self::new(host, port)) }
    }
}

/// Opens connections to the brokers of one cluster.
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// The brokers to ask first, when no metadata is there yet.
    fn bootstrap(&self) -> Vec<BrokerAddress>;

    /// Opens a connection, ready for use: versions are negotiated. Dropping the future gives the attempt up.
    fn connect(&self, to: &BrokerAddress) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>>;
}

/// An open connection to one broker. Dropping the last handle closes it, without waiting.
pub trait Connection: Send + Sync + fmt::Debug + 'static {
    /// The versions of an API that both sides know, or nothing if there is none.
    fn versions(&self, key: ApiKey) -> Option<RangeInclusive<i16>>;

    /// Sends a request of the given version and gives its response, `None` for one that has none (acks=0).
    ///
    /// The request is on its way when this returns, whether the future is polled or not, and the broker handles the
    /// requests of one connection in the order of these calls. Dropping the future abandons the response only.
    fn call(&self, version: i16, request: RequestBody) -> BoxFuture<'static, Result<Option<ResponseBody>, CallError>>;

    /// Whether nothing can be sent any more; the pool then opens another connection.
    fn is_closed(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!("localhost:9092".parse(), Ok(BrokerAddress::new("localhost", 9092)));
        assert_eq!("PLAINTEXT://h:1".parse(), Ok(BrokerAddress::new("h", 1)));
        let v6: BrokerAddress = "[::1]:9092".parse().unwrap();
        assert_eq!((v6.host.as_str(), v6.to_string().as_str()), ("::1", "[::1]:9092"));
        assert!("localhost".parse::<BrokerAddress>().is_err());
        assert!(":9092".parse::<BrokerAddress>().is_err());
        assert_eq!(BrokerAddress::parse_list("a:1, b:2,").unwrap().len(), 2);
        assert!(BrokerAddress::parse_list(" , ").is_err());
    }
}
