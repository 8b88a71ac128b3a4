//! `file-sink`: appends one JSON line per record to a file.
//!
//! - A line is complete or not there: a torn line that a crash left at the end is cut off at the start, and what a failed
//!   write left is cut off before the write is tried again.
//! - `flush` is an fsync; offsets are committed only after it. After a failed fsync the file is not trusted with another
//!   one: the task fails, starts anew and gets the records again.
//! - Delivery is at least once: records written after the last commit come again after a crash. With `deduplicate=true`
//!   the sink keeps, in `<file>.offsets`, how far each partition is in the file: lines beyond what was flushed are cut
//!   off at the start, records that are in the file already are dropped, and each record is in the file exactly once. That
//!   file must not outlive the topic: records of a topic made anew begin at offset 0 and would be taken for known.
//! - One file takes one writer: there is one task whatever `tasks.max` says, and no second connector may write the file.

mod file;

use std::path::PathBuf;

use file::{LineFile, LineFileError};

use super::console::{data_to_json, to_json};
use crate::{
    Sink, SinkContext, SinkRecord, TaskError,
    config::{ConfigErrors, ConfigType, ConfigValue, Expected, Properties},
    offload::Offload,
};

crate::config! {
    /// Keys of `file-sink`.
    pub struct FileSinkConfig {
        /// The file; it and its folder are created if missing.
        pub file: PathBuf = "file", High;
        /// `value`: the record's value alone; `record`: an object of topic, partition, offset, timestamp, key, value,
        /// headers.
        pub format: LineFormat = "format", Medium, default "record";
        /// Whether to keep offsets beside the file, so that each record is in it exactly once.
        pub deduplicate: bool = "deduplicate", Medium, default "false";
    }
}

/// What is in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// The record's value alone.
    Value,
    /// The whole record.
    Record,
}

impl ConfigValue for LineFormat {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, Expected> {
        match text {
            "value" => Ok(Self::Value),
            "record" => Ok(Self::Record),
            _ => Err("`value` or `record`".into()),
        }
    }
}

impl From<LineFileError> for TaskError {
    fn from(error: LineFileError) -> Self {
        if error.is_retriable() { Self::retriable(error) } else { Self::fatal(error) }
    }
}

/// The sink.
#[derive(Debug)]
pub struct FileSink {
    format: LineFormat,
    file: Offload<LineFile, Result<(), LineFileError>>,
}

impl Sink for FileSink {
    type Config = FileSinkConfig;

    fn task_configs(_: &FileSinkConfig, properties: &Properties, _: usize) -> Result<Vec<Properties>, ConfigErrors> {
        Ok(vec![properties.clone()])
    }

    async fn start(config: FileSinkConfig, _: SinkContext) -> Result<Self, TaskError> {
        let open = move || LineFile::open(&config.file, config.deduplicate);
        let file = tokio::task::spawn_blocking(open).await.map_err(TaskError::fatal)??;
        Ok(Self { format: config.format, file: Offload::new(file) })
    }

    async fn put(&mut self, batch: &[SinkRecord]) -> Result<(), TaskError> {
        let lines: Vec<_> = batch
            .iter()
            .map(|record| {
                let value = match self.format {
                    LineFormat::Value => data_to_json(&record.value),
                    LineFormat::Record => to_json(record),
                };
                (record.topic_partition.clone(), record.offset, value.to_string())
            })
            .collect();
        Ok(self.file.run(move |file| file.append(&lines)).await??)
    }

    async fn flush(&mut self) -> Result<(), TaskError> {
        Ok(self.file.run(LineFile::flush).await??)
    }
}

#[cfg(test)]
mod tests {
    use riverrun_core::TopicPartition;
    use serde_json::{Value, json};

    use super::*;
    use crate::{Data, config::Configuration, connector::Rejections};

    fn record(offset: i64, value: Value) -> SinkRecord {
        SinkRecord {
            topic_partition: TopicPartition::new("t", 0),
            offset,
            timestamp: 1,
            key: "k".into(),
            value: Data::from(value),
            headers: Vec::new(),
            raw_key: None,
            raw_value: None,
        }
    }

    async fn written(format: &str) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let properties = Properties::new().set("file", path.display()).set("format", format);
        let context = SinkContext { connector: "s".into(), task: 0, tasks: 1, rejections: Rejections::default() };
        let mut sink = FileSink::start(FileSinkConfig::from_properties(&properties).unwrap(), context).await.unwrap();
        sink.put(&[record(0, json!({ "a": "two\nlines" })), record(1, Value::Null)]).await.unwrap();
        sink.put(&[]).await.unwrap();
        sink.flush().await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn one_line_per_record() {
        assert_eq!(written("value").await, [json!({ "a": "two\nlines" }), Value::Null]);
        let record = json!({
            "topic": "t", "partition": 0, "offset": 1, "timestamp": 1, "key": "k", "value": null
        });
        assert_eq!(written("record").await[1], record);
    }

    #[test]
    fn one_task_whatever_is_allowed() {
        let properties = Properties::new().set("file", "x");
        let config = FileSinkConfig::from_properties(&properties).unwrap();
        assert_eq!(FileSink::task_configs(&config, &properties, 8).unwrap().len(), 1);
    }
}
