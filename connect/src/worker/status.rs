//! What connectors and tasks are doing, for whoever asks. Fields and states are those of Kafka Connect's REST interface;
//! what it lacks (restarts, retries, counts) stands beside them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;
use tokio::sync::watch;

use crate::connector::ConnectorKind;

/// The state of a connector or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum State {
    /// Not started yet, or not running any more.
    Unassigned,
    /// At work.
    Running,
    /// Down after a failure; [`TaskStatus::next_attempt_at_ms`] says whether and when it is started again.
    Failed,
    /// Being started again after a failure.
    Restarting,
    /// Stopped with its worker. Only connectors have this state.
    Stopped,
}

/// What a connector is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConnectorStatus {
    /// Its name.
    pub name: String,
    /// Its class, as [`Connectors`](crate::Connectors) names it.
    pub class: String,
    /// Which way it moves records.
    #[serde(rename = "type")]
    pub kind: ConnectorKind,
    /// Its own state; its tasks have theirs.
    pub state: State,
    /// Its tasks, by number.
    pub tasks: Vec<TaskStatus>,
}

/// What a task is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TaskStatus {
    /// Its number.
    pub id: usize,
    /// Its state.
    pub state: State,
    /// The worker it is on.
    pub worker_id: String,
    /// Why it failed last, or what it is retrying, with all causes; gone once it works again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// How often it was started again.
    pub restarts: u64,
    /// When it is started, or the failed call repeated, next; milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at_ms: Option<i64>,
    /// Sources: records acknowledged by the cluster. Sinks: records put.
    pub records: u64,
    /// Records skipped for an error, by `errors.tolerance=all`.
    pub skipped: u64,
    /// Those of them that went to the dead letter topic.
    pub dead_lettered: u64,
    /// Successful writes of offsets.
    pub commits: u64,
}

/// All statuses, by connector; every change wakes whoever watches.
#[derive(Clone, Debug)]
pub(crate) struct Board(Arc<watch::Sender<BTreeMap<String, ConnectorStatus>>>);

impl Board {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }

    /// A connector and its tasks, all unassigned.
    pub(crate) fn add(&self, name: &str, class: &str, kind: ConnectorKind, worker_id: &str, tasks: usize) {
        let task = |id| TaskStatus {
            id,
            state: State::Unassigned,
            worker_id: worker_id.to_owned(),
            trace: None,
            restarts: 0,
            next_attempt_at_ms: None,
            records: 0,
            skipped: 0,
            dead_lettered: 0,
            commits: 0,
        };
        let tasks = (0..tasks).map(task).collect();
        let (name, class) = (name.to_owned(), class.to_owned());
        let status = ConnectorStatus { name: name.clone(), class, kind, state: State::Running, tasks };
        self.0.send_modify(|board| drop(board.insert(name, status)));
    }

    pub(crate) fn stop_all(&self) {
        self.0.send_modify(|board| board.values_mut().for_each(|connector| connector.state = State::Stopped));
    }

    pub(crate) fn snapshot(&self) -> Vec<ConnectorStatus> {
        self.0.borrow().values().cloned().collect()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<BTreeMap<String, ConnectorStatus>> {
        self.0.subscribe()
    }

    /// One task's share of the board.
    pub(crate) fn task(&self, connector: &Arc<str>, task: usize) -> Reporter {
        Reporter { board: self.clone(), connector: connector.clone(), task }
    }
}

/// Reports what one task is doing.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    board: Board,
    connector: Arc<str>,
    task: usize,
}

impl Reporter {
    pub(crate) fn update(&self, change: impl FnOnce(&mut TaskStatus)) {
        self.board.0.send_modify(|board| {
            let connector = board.get_mut(&*self.connector);
            if let Some(task) = connector.and_then(|connector| connector.tasks.get_mut(self.task)) {
                change(task);
            }
        });
    }

    pub(crate) fn state(&self, state: State) {
        self.update(|task| task.state = state);
    }

    /// Works, and nothing is being retried.
    pub(crate) fn running(&self) {
        self.update(|task| {
            task.state = State::Running;
            task.trace = None;
            task.next_attempt_at_ms = None;
        });
    }

    /// Something failed and is tried again in place.
    pub(crate) fn retrying(&self, trace: String, after: Duration) {
        tracing::warn!(connector = %self.connector, task = self.task, after_ms = millis(after), "retrying: {trace}");
        self.update(|task| {
            task.trace = Some(trace);
            task.next_attempt_at_ms = Some(at_ms(after));
        });
    }

    /// The task failed.
    pub(crate) fn failed(&self, trace: String, next_attempt_after: Option<Duration>) {
        let after = next_attempt_after.map(millis);
        tracing::error!(connector = %self.connector, task = self.task, restart_after_ms = after, "task failed: {trace}");
        self.update(|task| {
            task.state = State::Failed;
            task.trace = Some(trace);
            task.next_attempt_at_ms = next_attempt_after.map(at_ms);
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn at_ms(after: Duration) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from((now + after).as_millis()).unwrap_or(i64::MAX)
}
