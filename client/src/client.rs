//! The handle from which producers, consumers and admin clients are made.

use std::sync::Arc;

use crate::{
    admin::Admin,
    cluster::{Cluster, Wanted},
    consumer::ConsumerBuilder,
    error::ClientError,
    producer::ProducerBuilder,
    transport::{TcpOptions, TcpTransport, Transport},
};

/// A cluster to work with, remote or in this process. Cheap to clone; clones share connections and metadata.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use riverrun_client::{Client, ProducerRecord};
///
/// let client = Client::connect("localhost:9092").await?;
/// let producer = client.producer().build()?;
/// producer.send(ProducerRecord::to("greetings").value("hello")).await?.await?;
/// producer.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    cluster: Arc<Cluster>,
}

impl Client {
    /// Connects over TCP to a cluster, given a comma-separated list of `host:port` (`bootstrap.servers`), and learns
    /// its brokers.
    ///
    /// # Errors
    /// If the list cannot be read or none of the brokers answers.
    pub async fn connect(bootstrap: &str) -> Result<Self, ClientError> {
        let client = Self::new(Arc::new(TcpTransport::new(bootstrap, TcpOptions::default())?));
        client.cluster.refresh(Wanted::Topics { names: &[], allow_auto_create: false }).await?;
        Ok(client)
    }

    /// A client over any transport. Nothing is sent yet.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { cluster: Arc::new(Cluster::new(transport)) }
    }

    /// Begins a producer.
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.clone())
    }

    /// Begins a consumer.
    pub fn consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.clone())
    }

    /// Administration of topics, groups and configuration.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }
}
