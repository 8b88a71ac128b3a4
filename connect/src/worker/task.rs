//! What source and sink tasks share: who they are, their settings, and retrying in place.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::{Backoff, RETRY_DELAY},
    status::Reporter,
};
use crate::{
    TaskError,
    config::{CommonConfig, ErrorTolerance, WorkerConfig},
    connector::error_chain,
    converter::Converter,
    random::seed,
};

/// Everything about a task that does not change while it lives.
#[derive(Debug)]
pub(super) struct TaskSetup {
    pub(super) connector: Arc<str>,
    pub(super) task: usize,
    pub(super) tasks: usize,
    pub(super) worker: Arc<WorkerConfig>,
    pub(super) common: CommonConfig,
    pub(super) key_converter: Converter,
    pub(super) value_converter: Converter,
    pub(super) status: Reporter,
    pub(super) stop: CancellationToken,
    pub(super) seed: u64,
}

impl TaskSetup {
    /// `connector-<kind>-<name>-<task>`, as Kafka Connect names its clients.
    pub(super) fn client_id(&self, kind: &str) -> String {
        format!("connector-{kind}-{}-{}", self.connector, self.task)
    }

    /// A record cannot be delivered: an error unless that is tolerated; then it is counted, and maybe logged.
    pub(super) fn tolerate(&self, what: impl FnOnce() -> String) -> Result<(), TaskError> {
        match self.common.errors_tolerance {
            ErrorTolerance::None => Err(TaskError::fatal(what())),
            ErrorTolerance::All => {
                if self.common.errors_log_enable {
                    tracing::warn!(connector = %self.connector, task = self.task, "record skipped: {}", what());
                }
                self.status.update(|task| task.skipped += 1);
                Ok(())
            }
        }
    }

    /// Begins a series of tries.
    pub(super) fn retry(&self, what: &'static str) -> Retry {
        let delay_max = self.common.errors_retry_delay_max;
        let backoff = Backoff::new(RETRY_DELAY, delay_max, seed(what, self.seed));
        Retry { what, backoff, since: Instant::now(), timeout: self.common.errors_retry_timeout.0 }
    }

    /// Calls `operation` until it works, fails for good, or the task is stopped (`None`; the operation is dropped).
    pub(super) async fn insist<T, E, F>(
        &self,
        what: &'static str,
        mut operation: impl FnMut() -> F,
    ) -> Result<Option<T>, TaskError>
    where
        E: Into<TaskError>,
        F: Future<Output = Result<T, E>>,
    {
        let mut retry = self.retry(what);
        loop {
            let result = tokio::select! {
                biased;
                result = operation() => result,
                () = self.stop.cancelled() => return Ok(None),
            };
            let error = match result {
                Ok(done) => {
                    retry.succeeded(&self.status);
                    return Ok(Some(done));
                }
                Err(error) => error.into(),
            };
            let delay = retry.failed(error, &self.status)?;
            tokio::select! {
                () = self.stop.cancelled() => return Ok(None),
                () = sleep(delay) => {}
            }
        }
    }
}

/// A call that is tried again in place.
#[derive(Debug)]
pub(super) struct Retry {
    what: &'static str,
    backoff: Backoff,
    since: Instant,
    timeout: Option<Duration>,
}

impl Retry {
    /// The call failed: how long to wait before it is repeated, or the error if it is not to be.
    pub(super) fn failed(&mut self, error: TaskError, status: &Reporter) -> Result<Duration, TaskError> {
        if self.backoff.failures() == 0 {
            self.since = Instant::now();
        }
        if !error.is_retriable() || self.timeout.is_some_and(|timeout| self.since.elapsed() >= timeout) {
            return Err(error);
        }
        let delay = self.backoff.fail();
        status.retrying(format!("{} (attempt {}): {}", self.what, self.backoff.failures(), error_chain(&error)), delay);
        Ok(delay)
    }

    /// The call worked.
    pub(super) fn succeeded(&mut self, status: &Reporter) {
        if self.backoff.failures() > 0 {
            self.backoff.succeed();
            status.running();
        }
    }
}
