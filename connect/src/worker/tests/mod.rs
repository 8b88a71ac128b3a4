//! The runtime's rules, in virtual time, over a cluster in memory and connectors driven by the test.

mod connectors;
mod memory;
mod sinks;
mod sources;

use std::{future::Future, time::Duration};

use tokio::time::timeout;

use self::{
    connectors::{Tape, Well, connectors},
    memory::Memory,
};
use super::{runtime::Runtime, status::TaskStatus};
use crate::{
    Properties,
    config::{Configuration, WorkerConfig},
};

/// A worker over a cluster in memory.
struct Bench {
    memory: Memory,
    runtime: Runtime<Memory>,
}

impl Bench {
    fn new() -> Self {
        Self::over(Memory::new())
    }

    fn over(memory: Memory) -> Self {
        let config = WorkerConfig::from_properties(&Properties::new().set("value.converter", "string")).unwrap();
        let runtime = Runtime::new(memory.clone(), config, connectors(), "test".to_owned(), 1);
        Self { memory, runtime }
    }

    fn task(&self, connector: &str) -> TaskStatus {
        let statuses = self.runtime.board().snapshot();
        statuses.into_iter().find(|status| status.name == connector).unwrap().tasks.remove(0)
    }

    /// Waits until the only task of a connector is as `wanted`.
    async fn wait_for(&self, connector: &str, wanted: impl Fn(&TaskStatus) -> bool) -> TaskStatus {
        let mut watch = self.runtime.board().watch();
        let reached = watch.wait_for(|board| board.get(connector).is_some_and(|status| wanted(&status.tasks[0])));
        soon(async { drop(reached.await.unwrap()) }).await;
        self.task(connector)
    }
}

/// Virtual hours are free, but a test that waits for ever should fail.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(3600), future).await.expect("within an hour of virtual time")
}
