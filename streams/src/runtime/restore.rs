//! Rebuilds the stores of new tasks from their changelogs, from the first record to the end as it is when restoring
//! begins (E7). One consumer outside any group reads all of them together.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use riverrun_client::{Client, TopicPartition};

use super::error::StreamsError;
use crate::{
    engine::{Task, TaskId},
    topology::changelog_topic,
};

/// Longest wait for the next records of a changelog that has not ended.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A changelog's partition that is being read.
struct Changelog {
    task: TaskId,
    store: Arc<str>,
    end: i64,
}

pub(super) async fn restore(
    client: &Client,
    app_id: &str,
    tasks: &mut BTreeMap<TaskId, Task>,
) -> Result<(), StreamsError> {
    let mut open = HashMap::new();
    for (id, task) in tasks.iter() {
        for store in task.stores() {
            let changelog = TopicPartition { topic: changelog_topic(app_id, &store), partition: id.partition };
            open.insert(changelog, Changelog { task: *id, store, end: 0 });
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let mut consumer = client.consumer().auto_commit(false).build()?;
    let partitions: Vec<_> = open.keys().cloned().collect();
    let (starts, ends) = (consumer.beginning_offsets(&partitions).await?, consumer.end_offsets(&partitions).await?);
    for (partition, end) in ends {
        if let Some(changelog) = open.get_mut(&partition) {
            changelog.end = end;
        }
    }
    open.retain(|partition, changelog| starts.get(partition).copied().unwrap_or(0) < changelog.end);
    let result = read(&mut consumer, &starts, open, tasks).await;
    consumer.close().await?;
    result
}

async fn read(
    consumer: &mut riverrun_client::Consumer,
    starts: &HashMap<TopicPartition, i64>,
    mut open: HashMap<TopicPartition, Changelog>,
    tasks: &mut BTreeMap<TaskId, Task>,
) -> Result<(), StreamsError> {
    consumer.assign(&open.keys().cloned().collect::<Vec<_>>());
    for partition in open.keys() {
        consumer.seek(partition, starts.get(partition).copied().unwrap_or(0))?;
    }
    let mut restored = 0_usize;
    while !open.is_empty() {
        let records = consumer.poll(MAX_WAIT).await?;
        let idle = records.is_empty();
        restored += records.len();
        for (partition, records) in records.into_partitions() {
            let Some(Changelog { task, store, .. }) = open.get(&partition) else { continue };
            let Some(target) = tasks.get_mut(task) else { continue };
            for record in records {
                target
                    .restore(store, record.key.as_ref(), record.value.as_ref(), record.timestamp)
                    .map_err(|source| StreamsError::Store { task: task.to_string(), source })?;
            }
        }
        let mut stalled = None;
        open.retain(|partition, changelog| {
            let offset = consumer.position(partition).unwrap_or(0);
            if offset < changelog.end {
                stalled = Some((partition.clone(), offset, changelog.end));
            }
            offset < changelog.end
        });
        if let (true, Some((changelog, offset, end))) = (idle, stalled) {
            return Err(StreamsError::RestoreIncomplete { changelog, offset, end });
        }
    }
    tracing::info!(records = restored, "stores are restored");
    Ok(())
}
