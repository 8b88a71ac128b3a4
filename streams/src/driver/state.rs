//! The untyped inside of the test driver: topics as lists, one task per sub-topology, and what was committed.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use crate::{
    engine::{Task, TaskId},
    error::DriverError,
    metrics::Metrics,
    record::{Headers, Output, RawRecord},
    store::{ChangelogRecord, EncodedEntry},
    topology::{Topology, changelog_topic},
    window::millis,
};

pub(super) struct State {
    topology: Topology,
    tasks: Vec<Task>,
    max_batch: Option<usize>,
    /// Which task reads a topic.
    readers: HashMap<Arc<str>, usize>,
    /// Next offset of every topic written or sent to.
    ends: HashMap<Arc<str>, i64>,
    /// What was written, by topic, until a test drains it; changelogs as well.
    outputs: BTreeMap<Arc<str>, VecDeque<Output>>,
    /// What stores are rebuilt from, by store.
    changelogs: BTreeMap<Arc<str>, Vec<ChangelogRecord>>,
    /// Metadata of the last commit, by task and topic.
    committed: HashMap<(usize, Arc<str>), String>,
    metrics: Metrics,
    now_ms: i64,
}

impl State {
    pub(super) fn new(topology: Topology) -> Self {
        let mut readers = HashMap::new();
        for subtopology in 0..topology.subtopology_count() {
            for topic in topology.source_topics(subtopology) {
                readers.insert(topic.full(topology.app_id()), subtopology);
            }
        }
        let mut state = Self {
            topology,
            tasks: Vec::new(),
            max_batch: None,
            readers,
            ends: HashMap::new(),
            outputs: BTreeMap::new(),
            changelogs: BTreeMap::new(),
            committed: HashMap::new(),
            metrics: Metrics::default(),
            now_ms: 0,
        };
        state.tasks = state.empty_tasks();
        state
    }

    fn empty_tasks(&self) -> Vec<Task> {
        let task = |subtopology| {
            let mut task = self.topology.task(TaskId { subtopology, partition: 0 }, &self.metrics);
            if let Some(records) = self.max_batch {
                task.set_max_batch(records);
            }
            task
        };
        (0..self.topology.subtopology_count()).map(task).collect()
    }

    pub(super) fn set_max_batch(&mut self, records: usize) {
        self.max_batch = Some(records);
        self.tasks.iter_mut().for_each(|task| task.set_max_batch(records));
    }

    pub(super) fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(super) fn advance_wall_clock(&mut self, by: Duration) {
        self.now_ms = self.now_ms.saturating_add(millis(by));
    }

    pub(super) fn produced_topics(&self) -> Vec<String> {
        self.outputs.keys().map(|topic| topic.to_string()).collect()
    }

    fn reader(&self, topic: &str) -> Result<usize, DriverError> {
        let unknown = || DriverError::UnknownTopic { topic: topic.to_owned() };
        self.readers.get(topic).copied().ok_or_else(unknown)
    }

    fn next_offset(&mut self, topic: &Arc<str>) -> i64 {
        let end = self.ends.entry(topic.clone()).or_default();
        *end += 1;
        *end - 1
    }

    /// Buffers the records, of several topics if need be, then processes until nothing is left, and commits.
    pub(super) fn send(&mut self, records: Vec<Output>) -> Result<(), DriverError> {
        for record in &records {
            self.reader(&record.topic)?;
        }
        let mut arriving = records;
        while !arriving.is_empty() {
            self.buffer(std::mem::take(&mut arriving))?;
            for task in &mut self.tasks {
                task.process()?;
                for output in task.take_outputs() {
                    if self.readers.contains_key(&output.topic) {
                        arriving.push(output.clone());
                    }
                    self.outputs.entry(output.topic.clone()).or_default().push_back(output);
                }
            }
        }
        self.commit()
    }

    fn buffer(&mut self, records: Vec<Output>) -> Result<(), DriverError> {
        let mut by_topic: Vec<(Arc<str>, Vec<RawRecord>)> = Vec::new();
        for Output { topic, key, value, timestamp, headers, .. } in records {
            let raw = RawRecord { offset: self.next_offset(&topic), timestamp, key, value, headers };
            match by_topic.iter_mut().find(|(known, _)| *known == topic) {
                Some((_, raws)) => raws.push(raw),
                None => by_topic.push((topic, vec![raw])),
            }
        }
        for (topic, raws) in by_topic {
            let reader = self.reader(&topic)?;
            self.tasks[reader].buffer(&topic, raws)?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), DriverError> {
        for (id, task) in self.tasks.iter_mut().enumerate() {
            let (changelogs, outputs, app_id) = (&mut self.changelogs, &mut self.outputs, self.topology.app_id());
            task.drain_changelogs(&mut |store, record| {
                let topic = changelog_topic(app_id, store);
                let ChangelogRecord { key, value, timestamp } = record.clone();
                let (key, headers) = (Some(key), Headers::new());
                let output = Output { topic: topic.clone(), key, value, timestamp, headers, partition_key: None };
                outputs.entry(topic).or_default().push_back(output);
                changelogs.entry(store.clone()).or_default().push(record);
            })?;
            for offset in task.committable() {
                self.committed.insert((id, offset.topic), offset.metadata);
            }
        }
        Ok(())
    }

    pub(super) fn restart(&mut self) -> Result<(), DriverError> {
        let mut tasks = self.empty_tasks();
        for task in &mut tasks {
            for store in task.stores() {
                for ChangelogRecord { key, value, timestamp } in self.changelogs.get(&store).into_iter().flatten() {
                    task.restore(&store, Some(key), value.as_ref(), *timestamp)?;
                }
            }
        }
        for ((id, topic), metadata) in &self.committed {
            tasks[*id].restore_metadata(topic, metadata)?;
        }
        self.tasks = tasks;
        Ok(())
    }

    /// Takes all records written to a topic.
    pub(super) fn drain(&mut self, topic: &str) -> Vec<Output> {
        self.outputs.get_mut(topic).map(std::mem::take).unwrap_or_default().into()
    }

    pub(super) fn entries(&self, store: &str) -> Result<Vec<EncodedEntry>, DriverError> {
        let entries = self.tasks.iter().find_map(|task| task.entries(store));
        let unknown = || DriverError::UnknownStore { store: store.to_owned() };
        Ok(entries.ok_or_else(unknown)??)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("topology", &self.topology).finish_non_exhaustive()
    }
}
