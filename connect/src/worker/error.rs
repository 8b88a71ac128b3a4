//! Why a worker or a connector was not started.

use crate::{
    config::{ConfigErrors, Origin},
    connector::UnknownConnector,
};

/// Why a connector was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Its configuration is wrong.
    #[error("connector `{connector}`:\n{errors}")]
    Config {
        /// Its name, as far as it has one.
        connector: String,
        /// All that is wrong.
        errors: ConfigErrors,
    },
    /// There is no such connector.
    #[error("{}connector `{connector}`: {source}", origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default())]
    UnknownClass {
        /// Its name.
        connector: String,
        /// Where the class was written.
        origin: Option<Origin>,
        /// What there is instead.
        source: Box<UnknownConnector>,
    },
    /// Another connector has its name.
    #[error(
        "{}there are two connectors `{connector}`; give one of them another name",
        origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default()
    )]
    Duplicate {
        /// The name.
        connector: String,
        /// Where the second one was written.
        origin: Option<Origin>,
    },
    /// It made more tasks than it was allowed to.
    #[error(
        "connector `{connector}` made {tasks} tasks of `tasks.max` = {tasks_max}; raise that, or mend the connector"
    )]
    TooManyTasks {
        /// Its name.
        connector: String,
        /// How many it made.
        tasks: usize,
        /// How many were allowed.
        tasks_max: usize,
    },
    /// The worker has been stopped.
    #[error("the worker has been stopped")]
    Stopped,
}

/// Why a worker was not started. Nothing runs then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The worker's own configuration is wrong.
    #[error("the worker's configuration:\n{0}")]
    Worker(#[from] ConfigErrors),
    /// A connector is wrong.
    #[error(transparent)]
    Connector(#[from] AddError),
}
