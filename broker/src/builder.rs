//! How a broker is set up: where its data lies, where it listens, and Kafka's settings by their names.

use std::{path::PathBuf, sync::Arc};

use riverrun_core::log::Vfs;

use crate::{
    Broker, StartError,
    config::{Accepted, ConfigError, Settings, parse_properties},
};

/// How long an empty group waits for more members after the first.
const FIRST_REBALANCE_DELAY: &str = "group.initial.rebalance.delay.ms";

/// Where the data is to lie.
#[derive(Debug, Clone)]
pub(crate) enum DataPlace {
    /// In a folder.
    Folder(PathBuf),
    /// Nowhere: in memory.
    Memory,
}

/// Sets a broker up.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use riverrun_broker::Broker;
///
/// let broker = Broker::builder().in_memory().set("num.partitions", "3")?.listen("127.0.0.1:0").start().await?;
/// assert_eq!(broker.addresses().len(), 1);
/// broker.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "nothing runs before start()"]
pub struct BrokerBuilder {
    pub(crate) place: Option<DataPlace>,
    pub(crate) listen: Vec<String>,
    pub(crate) settings: Settings,
    pub(crate) vfs: Option<Arc<dyn Vfs>>,
    warnings: Vec<String>,
}

impl BrokerBuilder {
    /// The folder for the data (`log.dirs`); made if it does not exist. A folder with other files in it is refused.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Some(DataPlace::Folder(path.into()));
        self
    }

    /// Keeps the logs of the data directory on this disk instead of the operating system's, for tests of disks that fail. The
    /// lock and the identity of the directory stay where they are.
    #[doc(hidden)]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = Some(vfs);
        self
    }

    /// Keeps everything in memory: for tests and caches. All is gone when the broker stops.
    ///
    /// Kafka's wait for further members before a group's first rebalance is for many that start at once, and costs a test
    /// three seconds: here it is 0, unless `group.initial.rebalance.delay.ms` is set.
    pub fn in_memory(mut self) -> Self {
        self.place = Some(DataPlace::Memory);
        if self.settings.given(FIRST_REBALANCE_DELAY).is_none()
            && let Err(error) = self.settings.set(FIRST_REBALANCE_DELAY, "0")
        {
            self.warnings.push(error.to_string());
        }
        self
    }

    /// The id of this broker (`node.id`). Default: 1. Fixed once a data directory is in use.
    pub fn node_id(mut self, id: i32) -> Self {
        // The start checks it; an id that is no id must not be lost on the way.
        if self.settings.set("node.id", &id.to_string()).is_err() {
            self.warnings.push(format!("node.id={id} is no node id; the default holds"));
        }
        self
    }

    /// Listens on `host:port` too, in addition to the setting `listeners`; port 0 takes any free one. Without any
    /// listener the broker serves in-process clients only and opens no port.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen.push(address.into());
        self
    }

    /// Sets one of Kafka's broker settings by its name. One that Kafka knows but that means nothing here is accepted
    /// with a [warning](Self::warnings).
    ///
    /// # Errors
    /// If nobody knows the name (the nearest match is in the error), or the value is not valid.
    pub fn set(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        if self.settings.set(name, value)? == Accepted::WithoutEffect {
            self.warnings.push(format!("{name} has no effect"));
        }
        Ok(self)
    }

    /// Takes all settings of a `server.properties` text. Settings made later win.
    ///
    /// # Errors
    /// As [`Self::set`], for the first setting that is wrong.
    pub fn properties(mut self, text: &str) -> Result<Self, ConfigError> {
        for (_line, name, value) in parse_properties(text) {
            self = self.set(&name, &value)?;
        }
        Ok(self)
    }

    /// Whether it is decided where the data lies.
    pub fn has_data_dir(&self) -> bool {
        self.place.is_some() || !self.settings.config().log_dirs.is_empty() || self.settings.config().log_dir.is_some()
    }

    /// Whether the broker is going to listen on any port.
    pub fn has_listener(&self) -> bool {
        !self.listen.is_empty() || !self.settings.config().listeners.is_empty()
    }

    /// What was accepted without an effect, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Starts the broker on the current tokio runtime. When this returns, it serves.
    ///
    /// # Errors
    /// [`StartError`]; nothing keeps running then.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn start(self) -> Result<Broker, StartError> {
        self.start_unless(std::future::pending()).await
    }

    /// The same, but gives up when `stop` resolves before the broker serves, with [`StartError::Stopped`]: after a crash a start
    /// reads what was written last, and that can take a while. What was opened is closed by then.
    ///
    /// # Errors
    /// As [`Self::start`].
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_unless(self, stop: impl Future<Output = ()>) -> Result<Broker, StartError> {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        crate::start::start(self, stop).await
    }

    /// The place for the data, from what was called and what was set.
    pub(crate) fn data_place(&self) -> Result<DataPlace, StartError> {
        if let Some(place) = &self.place {
            return Ok(place.clone());
        }
        let config = self.settings.config();
        match config.log_dirs.as_slice() {
            [] => {
                let folder = config.log_dir.as_ref().ok_or(StartError::NoDataDirectory)?;
                Ok(DataPlace::Folder(folder.into()))
            }
            [folder] => Ok(DataPlace::Folder(folder.into())),
            several => Err(StartError::SeveralDataDirectories { count: several.len() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(builder: &BrokerBuilder) -> i32 {
        builder.settings.config().group_initial_rebalance_delay_ms
    }

    #[test]
    fn groups_of_a_broker_in_memory_form_at_once_unless_told_otherwise() {
        assert_eq!(delay(&Broker::builder().data_dir("d")), 3_000);
        assert_eq!(delay(&Broker::builder().in_memory()), 0);
        assert_eq!(delay(&Broker::builder().in_memory().set(FIRST_REBALANCE_DELAY, "7").unwrap()), 7);
        assert_eq!(delay(&Broker::builder().set(FIRST_REBALANCE_DELAY, "7").unwrap().in_memory()), 7);
    }
}
