//! The source task: passes over the files at an interval, on a thread that may block, and makes records of lines.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{
    FileTailConfig, InvalidUtf8, LogLevel, TailFormat,
    follow::Line,
    tailer::{Pass, Tailer},
};
use crate::{
    Data, Source, SourceContext, SourcePartition, SourceRecord, TaskError, base64,
    config::{ConfigErrors, Properties},
    offload::Offload,
};

/// The source.
#[derive(Debug)]
pub struct FileTail {
    config: FileTailConfig,
    tailer: Offload<Tailer, Pass>,
    interval: Interval,
    began: Instant,
    /// A pass is due now: a tick has come, or the last pass left something.
    due: bool,
    finished: Vec<SourcePartition>,
}

impl Source for FileTail {
    type Config = FileTailConfig;

    fn task_configs(
        _: &FileTailConfig,
        properties: &Properties,
        tasks_max: usize,
    ) -> Result<Vec<Properties>, ConfigErrors> {
        // Files are shared out by their inodes, which each task sees for itself.
        Ok(vec![properties.clone(); tasks_max])
    }

    async fn start(config: FileTailConfig, context: SourceContext) -> Result<Self, TaskError> {
        let mut interval = interval(config.interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let tailer = Offload::new(Tailer::new(&config, &context)?);
        Ok(Self { config, tailer, interval, began: Instant::now(), due: false, finished: Vec::new() })
    }

    async fn poll(&mut self) -> Result<Vec<SourceRecord>, TaskError> {
        loop {
            if !self.due {
                self.interval.tick().await;
                self.due = true;
            }
            let now = self.began.elapsed();
            let pass = self.tailer.run(move |tailer| tailer.pass(now)).await?;
            // No await from here to the return: the lines are out of the tailer and must not get lost.
            self.due = pass.more;
            self.finished.extend(pass.finished);
            let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            let records: Vec<_> = pass.lines.into_iter().filter_map(|line| record(&self.config, line, at)).collect();
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    fn finished(&mut self) -> Vec<SourcePartition> {
        std::mem::take(&mut self.finished)
    }
}

/// The record of a line; keyed by the file, so that its lines stay in order.
fn record(config: &FileTailConfig, line: Line, at: i64) -> Option<SourceRecord> {
    let level = LogLevel::detect(&line.bytes).map(LogLevel::name);
    let value = match (config.format, String::from_utf8(line.bytes)) {
        (TailFormat::Raw, Ok(text)) => Data::Text(text),
        (TailFormat::Raw, Err(error)) => Data::Bytes(error.into_bytes().into()),
        (TailFormat::Json, Ok(text)) => Data::Json(object(&line.file, &text, level, at)),
        (TailFormat::Json, Err(error)) => {
            let mut value = object(&line.file, &String::from_utf8_lossy(error.as_bytes()), level, at);
            match config.invalid_utf8 {
                InvalidUtf8::Base64 => value["line_base64"] = base64::encode(error.as_bytes()).into(),
                InvalidUtf8::Replace => {}
                InvalidUtf8::Skip => return None,
            }
            Data::Json(value)
        }
    };
    let value = match value {
        Data::Json(mut value) if line.cut => {
            value["truncated"] = true.into();
            Data::Json(value)
        }
        other => other,
    };
    let record = SourceRecord::new(config.topic.as_str(), value).key(&*line.file).timestamp(at);
    Some(record.position(&line.partition, line.offset))
}

fn object(file: &str, line: &str, level: Option<&'static str>, at: i64) -> Value {
    json!({ "file": file, "line": line, "level": level, "at": at })
}
