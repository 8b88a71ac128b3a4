//! What can go wrong between the client and a broker, below producer, consumer and admin, which have error types of
//! their own. Each type says whether trying again can help, and whether the request may have been carried out.

use std::{io, sync::Arc, time::Duration};

use riverrun_core::protocol::{ApiKey, DecodeError, EncodeError, ErrorCode};

use crate::transport::{BrokerAddress, ParseAddressError};

/// Why no connection to a broker came about. Nothing was sent to it but the negotiation of versions.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host name leads to no address.
    #[error("cannot resolve broker address {address}")]
    Resolve {
        /// The broker.
        address: BrokerAddress,
        /// What the resolver says.
        #[source]
        source: Arc<io::Error>,
    },
    /// Nobody listens there, or the network is in the way.
    #[error("cannot connect to broker {address}")]
    Refused {
        /// The broker.
        address: BrokerAddress,
        /// What the operating system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// The broker did not answer in time.
    #[error("no connection to broker {address} within {after:?}")]
    TimedOut {
        /// The broker.
        address: BrokerAddress,
        /// How long was waited.
        after: Duration,
    },
    /// Versions could not be negotiated: whoever listens there is no broker, or an incompatible one.
    #[error("{address} does not answer as a Kafka broker")]
    Negotiation {
        /// The broker.
        address: BrokerAddress,
        /// What was wrong with the answer.
        #[source]
        source: CallError,
    },
    /// The embedded broker has been shut down.
    #[error("the broker at {address} has been shut down")]
    ShutDown {
        /// The broker.
        address: BrokerAddress,
    },
}

impl ConnectError {
    /// Whether a later attempt may succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Refused { .. } | Self::TimedOut { .. } => true,
            Self::Negotiation { source, .. } => source.is_retriable(),
            Self::ShutDown { .. } => false,
        }
    }
}

/// Why a request on an open connection has no response.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The connection was closed before the response came.
    #[error("the connection to the broker was closed")]
    Closed {
        /// What the operating system says, if it was more than an orderly close.
        #[source]
        source: Option<Arc<io::Error>>,
    },
    /// The response did not come in time; the connection is given up.
    #[error("no response to {api:?} within {after:?}")]
    TimedOut {
        /// The API that was called.
        api: ApiKey,
        /// How long was waited.
        after: Duration,
    },
    /// The request cannot be expressed in the version chosen.
    #[error("cannot encode {api:?} version {version}")]
    Encode {
        /// The API that was called.
        api: ApiKey,
        /// The version chosen.
        version: i16,
        /// What does not fit.
        #[source]
        source: Arc<EncodeError>,
    },
    /// The broker sent bytes that are no response; the connection is given up.
    #[error("the response to {api:?} version {version} is malformed")]
    Decode {
        /// The API that was called.
        api: ApiKey,
        /// The version chosen.
        version: i16,
        /// What is wrong with it.
        #[source]
        source: Arc<DecodeError>,
    },
    /// The response does not belong to the request; the connection is given up.
    #[error("the broker sent a response that belongs to no request")]
    OutOfStep,
    /// The broker announced a response above the limit; the connection is given up.
    #[error("a response of {size} bytes is above the limit of {limit}")]
    TooLarge {
        /// Bytes announced.
        size: u64,
        /// Bytes allowed (`TcpOptions::max_response_bytes`).
        limit: usize,
    },
    /// So many requests wait for responses that another one is refused.
    #[error("{limit} requests wait for the broker's responses already")]
    Backlog {
        /// Requests that may wait.
        limit: usize,
    },
    /// Broker and client have no version of this API in common.
    #[error("the broker has no version of {api:?} that this client knows")]
    Unsupported {
        /// The API.
        api: ApiKey,
    },
    /// The broker reported an error for the request as a whole.
    #[error("{api:?} failed: {} ({})", code.name(), code.message())]
    Broker {
        /// The API.
        api: ApiKey,
        /// The code.
        code: ErrorCode,
    },
}

impl CallError {
    /// Whether the same request may succeed on another connection or later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Closed { .. } | Self::TimedOut { .. } | Self::OutOfStep | Self::Backlog { .. } => true,
            Self::Broker { code, .. } => code.is_retriable(),
            Self::Encode { .. } | Self::Decode { .. } | Self::TooLarge { .. } | Self::Unsupported { .. } => false,
        }
    }

    /// Whether the broker may have carried the request out although there is no answer.
    pub fn may_have_side_effects(&self) -> bool {
        match self {
            Self::Encode { .. } | Self::Backlog { .. } | Self::Unsupported { .. } | Self::Broker { .. } => false,
            Self::Closed { .. }
            | Self::TimedOut { .. }
            | Self::Decode { .. }
            | Self::OutOfStep
            | Self::TooLarge { .. } => true,
        }
    }

    /// Whether the connection is of no use any more.
    pub(crate) fn breaks_connection(&self) -> bool {
        match self {
            Self::Closed { .. }
            | Self::TimedOut { .. }
            | Self::Decode { .. }
            | Self::OutOfStep
            | Self::TooLarge { .. } => true,
            Self::Encode { .. } | Self::Backlog { .. } | Self::Unsupported { .. } | Self::Broker { .. } => false,
        }
    }
}

/// Why the cluster could not be asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The bootstrap list cannot be read.
    #[error(transparent)]
    Address(#[from] ParseAddressError),
    /// No broker, of the bootstrap list or known since, could be reached.
    #[error("no broker could be reached, tried {}", crate::error::join(tried))]
    NoBroker {
        /// The brokers tried.
        tried: Vec<BrokerAddress>,
        /// Why the last one could not.
        #[source]
        source: Option<ConnectError>,
    },
    /// One broker could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The topic does not exist, or may not be seen.
    #[error("topic `{topic}`: {} ({})", code.name(), code.message())]
    Topic {
        /// Its name.
        topic: Arc<str>,
        /// What the broker says about it.
        code: ErrorCode,
    },
    /// The topic does not exist, asked again and again for a while.
    #[error("topic `{topic}` does not exist")]
    UnknownTopic {
        /// Its name.
        topic: Arc<str>,
    },
    /// The topic has no such partition.
    #[error("topic `{topic}` has no partition {partition}")]
    NoPartition {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition asked for.
        partition: i32,
    },
    /// The partition has no leader at present.
    #[error("partition {topic}-{partition} has no leader at present")]
    NoLeader {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
    },
    /// The cluster has no such broker.
    #[error("the cluster has no broker with node id {node}")]
    NoNode {
        /// The id asked for.
        node: i32,
    },
    /// No broker coordinates the group at present.
    #[error("no coordinator for group `{group}`: {} ({})", code.name(), code.message())]
    Coordinator {
        /// The group.
        group: Arc<str>,
        /// What the broker says.
        code: ErrorCode,
    },
    /// All attempts within the time allowed failed.
    #[error("no success within {after:?}")]
    TimedOut {
        /// How long was tried.
        after: Duration,
        /// Why the last attempt failed.
        #[source]
        source: Option<Box<ClientError>>,
    },
    /// The client, or the part of it that was asked, has been closed.
    #[error("the client has been closed")]
    Closed,
}

impl ClientError {
    /// Whether a later attempt may succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::NoBroker { .. } | Self::NoLeader { .. } | Self::TimedOut { .. } => true,
            Self::Connect(error) => error.is_retriable(),
            Self::Call(error) => error.is_retriable(),
            Self::Topic { code, .. } | Self::Coordinator { code, .. } => code.is_retriable(),
            Self::Address(_)
            | Self::UnknownTopic { .. }
            | Self::NoPartition { .. }
            | Self::NoNode { .. }
            | Self::Closed => false,
        }
    }

    /// Whether a broker may have carried out what was asked although there is no answer.
    pub fn may_have_side_effects(&self) -> bool {
        match self {
            Self::Call(error) => error.may_have_side_effects(),
            Self::TimedOut { source, .. } => source.as_ref().is_some_and(|error| error.may_have_side_effects()),
            Self::Address(_)
            | Self::NoBroker { .. }
            | Self::Connect(_)
            | Self::Topic { .. }
            | Self::UnknownTopic { .. }
            | Self::NoPartition { .. }
            | Self::NoLeader { .. }
            | Self::NoNode { .. }
            | Self::Coordinator { .. }
            | Self::Closed => false,
        }
    }

    /// The broker's code, if a broker refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Call(CallError::Broker { code, .. }) | Self::Topic { code, .. } | Self::Coordinator { code, .. } => {
                Some(*code)
            }
            Self::TimedOut { source, .. } => source.as_ref().and_then(|error| error.code()),
            Self::UnknownTopic { .. } => Some(ErrorCode::UnknownTopicOrPartition),
            _ => None,
        }
    }
}

pub(crate) fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
