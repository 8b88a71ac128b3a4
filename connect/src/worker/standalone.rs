//! The worker as programs see it: a builder, and a handle on what runs.

use std::{collections::BTreeMap, fmt};

use riverrun_client::Client;

use super::{AddError, ConnectorStatus, StartError, client::ClientCluster, runtime::Runtime};
use crate::{
    Configuration, Connectors, Properties,
    config::{ConfigFile, WorkerConfig, check},
};

/// Settings of a [`Worker`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct WorkerBuilder {
    client: Client,
    properties: Properties,
    connectors: Connectors,
    configured: Vec<Properties>,
    worker_id: String,
    seed: u64,
}

impl WorkerBuilder {
    /// Adds a connector to run.
    pub fn connector(mut self, properties: Properties) -> Self {
        self.configured.push(properties);
        self
    }

    /// Takes over a configuration file: the worker's keys, in place of those of the same names, and all connectors. May
    /// be called for several files.
    pub fn file(mut self, file: ConfigFile) -> Self {
        self.properties.merge(file.worker);
        self.configured.extend(file.connectors);
        self
    }

    /// Sets one of the worker's keys; see [`WorkerConfig`].
    pub fn set(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.properties.insert(key, value);
        self
    }

    /// The connectors that can be run; default: [`Connectors::builtin`].
    pub fn connectors(mut self, connectors: Connectors) -> Self {
        self.connectors = connectors;
        self
    }

    /// How statuses name this worker; default: `standalone`.
    pub fn worker_id(mut self, id: impl Into<String>) -> Self {
        self.worker_id = id.into();
        self
    }

    /// The seed of the jitter of all back-offs; default: this process's id, so that workers do not retry in step.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks every configuration, then starts all connectors. Does not wait for the cluster: a task that cannot reach
    /// it fails, says so in its status, and is started again.
    ///
    /// # Errors
    /// A configuration is wrong.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<Worker, StartError> {
        check(&self.properties, &[WorkerConfig::KEYS])?;
        let config = WorkerConfig::from_properties(&self.properties)?;
        let cluster = ClientCluster::new(self.client);
        let runtime = Runtime::new(cluster, config, self.connectors, self.worker_id, self.seed);
        for properties in &self.configured {
            runtime.plan(properties)?;
        }
        for properties in &self.configured {
            runtime.add(properties)?;
        }
        Ok(Worker { runtime })
    }
}

/// Runs connectors in this process.
///
/// ```no_run
/// use riverrun_client::Client;
/// use riverrun_connect::{Properties, Worker};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("localhost:9092").await?;
/// let worker = Worker::builder(client)
///     .connector(Properties::connector("metrics", "host-metrics").set("topic", "host-metrics"))
///     .connector(
///         Properties::connector("archive", "file-sink").set("topics", "host-metrics").set("file", "metrics.jsonl"),
///     )
///     .start()?;
/// tokio::signal::ctrl_c().await?;
/// for connector in worker.stop().await {
///     println!("{}: {} records", connector.name, connector.tasks.iter().map(|task| task.records).sum::<u64>());
/// }
/// # Ok(())
/// # }
/// ```
///
/// Dropping it tells all tasks to stop and waits for none of them; [`Worker::stop`] waits.
pub struct Worker {
    runtime: Runtime<ClientCluster>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("status", &self.status()).finish()
    }
}

impl Worker {
    /// A worker over `client`.
    pub fn builder(client: impl Into<Client>) -> WorkerBuilder {
        WorkerBuilder {
            client: client.into(),
            properties: Properties::new(),
            connectors: Connectors::builtin(),
            configured: Vec::new(),
            worker_id: "standalone".to_owned(),
            seed: u64::from(std::process::id()),
        }
    }

    /// Starts a further connector.
    ///
    /// # Errors
    /// Its configuration is wrong, or the worker has been stopped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn add(&self, properties: &Properties) -> Result<(), AddError> {
        self.runtime.add(properties)
    }

    /// What all connectors are doing, by name.
    pub fn status(&self) -> Vec<ConnectorStatus> {
        self.runtime.board().snapshot()
    }

    /// Waits until the statuses, by connector, are as `wanted`; looks again whenever one of them changes. Cancel-safe.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&BTreeMap<String, ConnectorStatus>) -> bool) {
        let mut watch = self.runtime.board().watch();
        // It fails only if the sender is gone, which `self` holds.
        let _ = watch.wait_for(|statuses| wanted(statuses)).await;
    }

    /// Stops all tasks: sources store the offsets of what is acknowledged, sinks flush and commit. Takes at
    /// most `task.shutdown.graceful.timeout.ms` and twice `offset.flush.timeout.ms`; what is not done by then is done again
    /// after the next start. Answers the last statuses.
    pub async fn stop(self) -> Vec<ConnectorStatus> {
        self.runtime.stop().await;
        self.status()
    }
}
