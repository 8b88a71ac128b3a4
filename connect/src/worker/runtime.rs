//! A worker over any [`Cluster`]: checks connectors, splits them into tasks, and owns the tasks.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OnceCell;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    AddError,
    cluster::Cluster,
    status::Board,
    supervisor::{Role, SharedStore, Supervisor},
    task::TaskSetup,
};
use crate::{
    Configuration, Connectors, Properties,
    config::{CommonConfig, SinkConfig, SourceConfig, WorkerConfig},
    connector::Factory,
    converter::Converter,
};

/// The worker. Dropping it tells the tasks to stop and waits for none.
pub(super) struct Runtime<C: Cluster> {
    cluster: C,
    config: Arc<WorkerConfig>,
    worker_id: String,
    seed: u64,
    connectors: Connectors,
    board: Board,
    store: SharedStore<C>,
    /// Names in use; held for the length of [`Runtime::add`].
    names: Mutex<HashSet<String>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl<C: Cluster> Runtime<C> {
    pub(super) fn new(cluster: C, config: WorkerConfig, connectors: Connectors, worker_id: String, seed: u64) -> Self {
        Self {
            cluster,
            config: Arc::new(config),
            worker_id,
            seed,
            connectors,
            board: Board::new(),
            store: Arc::new(OnceCell::new()),
            names: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// Checks a connector's configuration and its split into tasks, without starting anything.
    pub(super) fn plan(&self, properties: &Properties) -> Result<Plan, AddError> {
        let name = properties.get("name").unwrap_or_default().trim().to_owned();
        let wrong = |errors| AddError::Config { connector: name.clone(), errors };
        let class = properties.get("connector.class").unwrap_or_default();
        if class.trim().is_empty() {
            // There is no table to check the rest against.
            return Err(wrong(
                CommonConfig::from_properties(properties).err().unwrap_or(crate::config::ConfigErrors(vec![])),
            ));
        }
        let plugin = self.connectors.find(class).map_err(|source| AddError::UnknownClass {
            connector: name.clone(),
            origin: properties.origin("connector.class"),
            source: Box::new(source),
        })?;
        plugin.check(properties).map_err(wrong)?;
        let common = CommonConfig::from_properties(properties).map_err(wrong)?;
        let split = match &plugin.factory {
            Factory::Source(factory) => factory.task_configs(properties, common.tasks_max),
            Factory::Sink(factory) => factory.task_configs(properties, common.tasks_max),
        };
        let tasks = split.map_err(wrong)?;
        if tasks.len() > common.tasks_max {
            return Err(AddError::TooManyTasks { connector: name, tasks: tasks.len(), tasks_max: common.tasks_max });
        }
        let plan = Plan { common, class: plugin.name, kind: plugin.kind, factory: plugin.factory.clone(), tasks };
        Ok(plan)
    }

    /// Starts a connector.
    pub(super) fn add(&self, properties: &Properties) -> Result<(), AddError> {
        let plan = self.plan(properties)?;
        let name: Arc<str> = plan.common.name.as_str().into();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stop.is_cancelled() {
            return Err(AddError::Stopped);
        }
        if !names.insert(name.to_string()) {
            return Err(AddError::Duplicate { connector: name.to_string(), origin: properties.origin("name") });
        }
        self.board.add(&name, plan.class, plan.kind, &self.worker_id, plan.tasks.len());
        let tasks = plan.tasks.len();
        for (task, task_properties) in plan.tasks.into_iter().enumerate() {
            let common = plan.common.clone();
            let key_kind = common.key_converter.unwrap_or(self.config.key_converter);
            let value_kind = common.value_converter.unwrap_or(self.config.value_converter);
            let wrong = |errors| AddError::Config { connector: name.to_string(), errors };
            let role = match &plan.factory {
                Factory::Source(factory) => {
                    Role::Source(Arc::clone(factory), SourceConfig::from_properties(properties).map_err(wrong)?)
                }
                Factory::Sink(factory) => {
                    Role::Sink(Arc::clone(factory), SinkConfig::from_properties(properties).map_err(wrong)?)
                }
            };
            let setup = TaskSetup {
                connector: name.clone(),
                task,
                tasks,
                worker: Arc::clone(&self.config),
                key_converter: Converter::new(key_kind, common.key_schemas_enable),
                value_converter: Converter::new(value_kind, common.value_schemas_enable),
                common,
                status: self.board.task(&name, task),
                stop: self.stop.clone(),
                seed: self.seed,
            };
            let supervisor = Supervisor {
                setup: Arc::new(setup),
                properties: task_properties,
                role,
                cluster: self.cluster.clone(),
                store: Arc::clone(&self.store),
            };
            self.tasks.spawn(supervisor.run());
        }
        Ok(())
    }

    /// Tells all tasks to stop and waits until they have.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.board.stop_all();
    }
}

impl<C: Cluster> Drop for Runtime<C> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A connector whose configuration is in order.
pub(super) struct Plan {
    common: CommonConfig,
    class: &'static str,
    kind: crate::connector::ConnectorKind,
    factory: Factory,
    tasks: Vec<Properties>,
}
