//! `console`: prints records to standard output, one line each.
//!
//! A flush hands the lines to the operating system; whether they are durable is up to what standard output is.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    Data, Sink, SinkContext, SinkRecord, TaskError, base64,
    config::{ConfigType, ConfigValue, Expected},
};

crate::config! {
    /// Keys of `console`.
    pub struct ConsoleConfig {
        /// `text`: topic, partition, offset, key and value; `json`: one JSON object per record.
        pub format: ConsoleFormat = "format", Medium, default "text";
    }
}

/// How `console` prints a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl ConfigValue for ConsoleFormat {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, Expected> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("`text` or `json`".into()),
        }
    }
}

/// The sink.
#[derive(Debug)]
pub struct Console {
    format: ConsoleFormat,
}

impl Sink for Console {
    type Config = ConsoleConfig;

    async fn start(config: ConsoleConfig, _: SinkContext) -> Result<Self, TaskError> {
        Ok(Self { format: config.format })
    }

    async fn put(&mut self, batch: &[SinkRecord]) -> Result<(), TaskError> {
        let lines = lines(self.format, batch);
        // A pipe that nobody reads blocks, so this is no call for a runtime thread.
        let written = tokio::task::spawn_blocking(move || io::stdout().write_all(lines.as_bytes())).await;
        Ok(written.map_err(TaskError::fatal)??)
    }

    async fn flush(&mut self) -> Result<(), TaskError> {
        Ok(tokio::task::spawn_blocking(|| io::stdout().flush()).await.map_err(TaskError::fatal)??)
    }
}

fn lines(format: ConsoleFormat, batch: &[SinkRecord]) -> String {
    let mut out = String::new();
    for record in batch {
        match format {
            ConsoleFormat::Json => out.push_str(&to_json(record).to_string()),
            ConsoleFormat::Text => {
                let SinkRecord { topic_partition, offset, key, value, .. } = record;
                out.push_str(&format!("{topic_partition}@{offset} {} {}", plain(key), plain(value)));
            }
        }
        out.push('\n');
    }
    out
}

/// Text as it is but for control characters, which could drive a terminal.
fn plain(data: &Data) -> String {
    match data {
        Data::Text(text) => {
            text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
        }
        other => data_to_json(other).to_string(),
    }
}

/// A record as one JSON object, shared by the sinks that write JSON.
pub(super) fn to_json(record: &SinkRecord) -> Value {
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value.as_deref().map(bytes_to_json) }))
        .collect();
    let mut object = json!({
        "topic": &*record.topic_partition.topic,
        "partition": record.topic_partition.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": data_to_json(&record.key),
        "value": data_to_json(&record.value),
    });
    if !headers.is_empty() {
        object["headers"] = headers.into();
    }
    object
}

/// Bytes that are text become a string, others `{"base64":…}`.
pub(super) fn data_to_json(data: &Data) -> Value {
    match data {
        Data::Null => Value::Null,
        Data::Bytes(bytes) => bytes_to_json(bytes),
        Data::Text(text) => Value::String(text.clone()),
        Data::Json(value) => value.clone(),
    }
}

fn bytes_to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => json!({ "base64": base64::encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use riverrun_core::TopicPartition;

    use super::*;

    #[test]
    fn both_formats() {
        let record = SinkRecord {
            topic_partition: TopicPartition::new("t", 1),
            offset: 7,
            timestamp: 5,
            key: Data::Null,
            value: Data::Json(json!({ "a": 1 })),
            headers: vec![("h".to_owned(), Some(Bytes::from_static(b"\xff")))],
            raw_key: None,
            raw_value: None,
        };
        let text = SinkRecord { value: "a\u{1b}[2Jb".into(), key: "k".into(), ..record.clone() };
        assert_eq!(lines(ConsoleFormat::Text, &[record.clone(), text]), "t-1@7 null {\"a\":1}\nt-1@7 k a\\u{1b}[2Jb\n");
        let parsed: Value = serde_json::from_str(&lines(ConsoleFormat::Json, &[record])).unwrap();
        assert_eq!(
            parsed,
            json!({ "topic": "t", "partition": 1, "offset": 7, "timestamp": 5, "key": null, "value": { "a": 1 },
                    "headers": [{ "name": "h", "value": { "base64": "/w==" } }] })
        );
    }
}
