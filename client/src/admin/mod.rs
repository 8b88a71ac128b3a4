//! Administration: topics, configuration, groups, offsets, the cluster itself. Each call asks and answers; nothing is
//! kept. What is asked about many items answers for each apart, since some may be refused.
//!
//! Source: Kafka's `Admin`; KIP-4 and its successors.

mod configs;
mod groups;
mod offsets;
mod records;
mod route;
#[cfg(test)]
mod tests;
mod topics;
mod users;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use riverrun_core::protocol::{
    ApiKey, ErrorCode,
    messages::{DescribeClusterRequest, describe_cluster::DescribeClusterBroker},
};

pub use configs::{AlterConfig, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym, ConfigType};
pub use groups::{GroupDescription, GroupFilter, GroupListing, GroupMemberDescription};
pub use offsets::OffsetSpec;
pub use topics::{CreatedTopic, NewTopic, PartitionDescription, TopicDescription, TopicListing};
pub use users::{ScramChange, ScramCredentials};

use crate::{
    Client, ClientError,
    cluster::{Cluster, Pool, REQUEST_TIMEOUT, Wanted, retrying, version_of},
    consumer::check,
    transport::BrokerAddress,
};

/// How long a call may take with its repetitions (`default.api.timeout.ms`).
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a broker may take for one request, in milliseconds. Less than we wait, so that its answer still comes.
const BROKER_TIMEOUT_MS: i32 = 25_000;
const _: () = assert!((BROKER_TIMEOUT_MS as u128) < REQUEST_TIMEOUT.as_millis());

/// Why a broker refused one item of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} ({})", code.name(), message.as_deref().unwrap_or(code.message()))]
pub struct Refused {
    /// The broker's code.
    pub code: ErrorCode,
    /// The broker's words, if it sent any.
    pub message: Option<String>,
}

impl Refused {
    /// Whether the same may succeed later.
    pub fn is_retriable(&self) -> bool {
        self.code.is_retriable()
    }
}

/// An answer per item.
pub type Results<K, V> = BTreeMap<K, Result<V, Refused>>;

fn item<V>(error_code: i16, message: Option<String>, value: V) -> Result<V, Refused> {
    match ErrorCode::from_code(error_code) {
        ErrorCode::None => Ok(value),
        code => Err(Refused { code, message }),
    }
}

/// Administers a cluster. Made by [`Client::admin`]; cheap to clone.
///
/// Brokers that moved, are loading or are out of reach are asked again until the time allowed has passed. So is one
/// whose answer got lost: then a topic which that attempt created may be reported as existing. A call can be dropped at
/// any time; what was sent by then is carried out all the same.
///
/// ```no_run
/// # async fn example(client: riverrun_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use riverrun_client::NewTopic;
///
/// let results = client.admin().create_topics(&[NewTopic::new("orders", 3).config("retention.ms", "60000")]).await?;
/// for (topic, result) in results {
///     println!("{topic}: {:?}", result?.id);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
    /// Apart from the client's own, for a change may keep a connection busy for long.
    pool: Arc<Pool>,
    timeout: Duration,
}

/// The cluster's brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The node that controls it, as clients are told.
    pub controller: Option<i32>,
    /// Its brokers, by node id.
    pub nodes: Vec<Node>,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Its id.
    pub id: i32,
    /// Where it listens.
    pub host: String,
    /// At which port.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        let pool = Arc::new(Pool::new(Arc::clone(client.cluster().transport())));
        Self { client, pool, timeout: TIMEOUT }
    }

    /// Sets how long each call may take with its repetitions; one minute otherwise (`default.api.timeout.ms`).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn cluster(&self) -> &Cluster {
        self.client.cluster()
    }

    /// The newest version of an API that this broker and we know.
    async fn version(&self, address: &BrokerAddress, key: ApiKey) -> Result<i16, ClientError> {
        let connection = self.pool.get(address).await?;
        Ok(version_of(&*connection, key, i16::MAX)?)
    }

    /// The cluster's brokers.
    ///
    /// # Errors
    /// If no broker answers.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let described = retrying(self.timeout, || async {
            let response = self.cluster().call_any(|_| DescribeClusterRequest::default()).await?;
            check(ApiKey::DescribeCluster, response.error_code)?;
            Ok(response)
        });
        match described.await {
            Ok(response) => {
                let node = |broker: DescribeClusterBroker| Node {
                    id: broker.broker_id,
                    host: broker.host,
                    port: broker.port,
                    rack: broker.rack,
                };
                Ok(ClusterDescription {
                    cluster_id: Some(response.cluster_id).filter(|id| !id.is_empty()),
                    controller: Some(response.controller_id).filter(|id| *id >= 0),
                    nodes: response.brokers.into_iter().map(node).collect(),
                })
            }
            Err(ClientError::Call(crate::CallError::Unsupported { .. })) => self.describe_by_metadata().await,
            Err(error) => Err(error),
        }
    }

    /// As clients did before KIP-700.
    async fn describe_by_metadata(&self) -> Result<ClusterDescription, ClientError> {
        let image = self.cluster().refresh(Wanted::Topics { names: &[], allow_auto_create: false }).await?;
        let nodes = image.brokers.iter().map(|(id, broker)| Node {
            id: *id,
            host: broker.address.host.clone(),
            port: broker.address.port.into(),
            rack: broker.rack.clone(),
        });
        Ok(ClusterDescription {
            cluster_id: image.cluster_id.clone(),
            controller: image.controller,
            nodes: nodes.collect(),
        })
    }
}
