//! The keys that every connector has, whichever its class, and those of the worker. Names are Kafka Connect's where it
//! has one; a default that differs from Kafka's says so.

use std::time::Duration;

use super::{ConfigType, ConfigValue, Expected, Validator};
use crate::converter::ConverterKind;

crate::config! {
    /// Keys of sources and sinks alike.
    pub struct CommonConfig {
        /// The connector's name, unique in its worker. Offsets and the consumer group hang on it: renaming a connector
        /// starts it from the beginning.
        pub name: String = "name", High, valid Validator::NonEmpty;
        /// What to run: a short name such as `file-tail`, or Kafka's class name where there is a counterpart.
        pub class: String = "connector.class", High, valid Validator::NonEmpty;
        /// How many tasks the connector may split its work into.
        pub tasks_max: usize = "tasks.max", High, default "1", valid Validator::Between(1, 1024);
        /// Form of record keys in the log: `string`, `json`, `bytes`, or the class name of Kafka's converter. Default: the
        /// worker's.
        pub key_converter: Option<ConverterKind> = "key.converter", Medium;
        /// Form of record values in the log, as `key.converter`.
        pub value_converter: Option<ConverterKind> = "value.converter", Medium;
        /// Whether JSON keys are wrapped as `{"schema":…,"payload":…}`. Kafka's default is true; records here carry no
        /// schema.
        pub key_schemas_enable: bool = "key.converter.schemas.enable", Low, default "false";
        /// Whether JSON values are wrapped as `{"schema":…,"payload":…}`. Kafka's default is true; records here carry no
        /// schema.
        pub value_schemas_enable: bool = "value.converter.schemas.enable", Low, default "false";
        /// What becomes of a record that cannot be converted or is refused: `none` fails the task, `all` skips and
        /// counts it.
        pub errors_tolerance: ErrorTolerance = "errors.tolerance", Medium, default "none";
        /// How long a retriable failure of `poll` or `put` is retried in place before the task fails; -1 without end
        /// (what Kafka does, whatever is set), 0 not at all.
        pub errors_retry_timeout: RetryTimeout = "errors.retry.timeout", Medium, default "-1";
        /// The longest wait between two such attempts; the first is 300 ms and each doubles the one before.
        pub errors_retry_delay_max: Duration = "errors.retry.delay.max.ms", Medium, default "60000",
            valid Validator::AtLeast(1);
        /// Whether each skipped record is logged.
        pub errors_log_enable: bool = "errors.log.enable", Medium, default "false";
        /// Wait before a failed task is started again the first time; each further wait doubles. Kafka leaves failed
        /// tasks down.
        pub restart_delay: Duration = "restart.delay.ms", Medium, default "1000", valid Validator::AtLeast(1);
        /// The longest wait before a failed task is started again.
        pub restart_delay_max: Duration = "restart.delay.max.ms", Medium, default "60000", valid Validator::AtLeast(1);
        /// How often in a row a failed task is started again before it stays down; -1 without end. A run that lasts
        /// longer than `restart.delay.max.ms` ends the row.
        pub restart_attempts_max: i64 = "restart.attempts.max", Medium, default "-1", valid Validator::AtLeast(-1);
    }
}

crate::config! {
    /// Keys that every source has.
    pub struct SourceConfig {
        /// Partitions of a topic that the source is the first to write to; -1 for the broker's `num.partitions`.
        pub partitions: i32 = "topic.creation.default.partitions", Medium, default "-1", valid Validator::AtLeast(-1);
        /// Replicas of such a topic; -1 for the broker's `default.replication.factor`.
        pub replication_factor: i16 = "topic.creation.default.replication.factor", Medium, default "-1",
            valid Validator::AtLeast(-1);
    }
}

crate::config! {
    /// Keys that every sink has.
    pub struct SinkConfig {
        /// The topics to read, comma-separated.
        pub topics: Vec<String> = "topics", High, valid Validator::NonEmpty;
        /// Where to start in a partition without committed offset: `earliest` or `latest`.
        pub offset_reset: String = "consumer.override.auto.offset.reset", Low, default "earliest",
            valid Validator::OneOf(&["earliest", "latest"]);
        /// A name for the sink's group members, each with its task's number behind it: a worker that has crashed is taken
        /// over at once by the next one with the same name, instead of after the session timeout. Two workers that run
        /// the same sink at the same time need different ones.
        pub group_instance_id: Option<String> = "consumer.override.group.instance.id", Low, valid Validator::NonEmpty;
        /// How long a group member may be silent before its partitions go to others (Kafka: 45000).
        pub session_timeout: Duration = "consumer.override.session.timeout.ms", Low, default "10000",
            valid Validator::AtLeast(1);
        /// Topic that takes the records which `errors.tolerance=all` skips; none: they are only counted.
        pub dead_letter_topic: Option<String> = "errors.deadletterqueue.topic.name", Medium,
            valid Validator::NonEmpty;
        /// Replicas of that topic if it has to be created; -1 for the broker's default (Kafka: 3).
        pub dead_letter_replication_factor: i16 = "errors.deadletterqueue.topic.replication.factor", Medium, default "-1",
            valid Validator::AtLeast(-1);
        /// Whether headers `__connect.errors.*` on such a record say where it came from and what was wrong.
        pub dead_letter_headers: bool = "errors.deadletterqueue.context.headers.enable", Medium, default "false";
    }
}

crate::config! {
    /// Keys of the worker.
    pub struct WorkerConfig {
        /// Where the cluster is; for programs that make the client from this file.
        pub bootstrap_servers: Option<String> = "bootstrap.servers", High;
        /// Form of record keys for connectors that do not say otherwise.
        pub key_converter: ConverterKind = "key.converter", High, default "string";
        /// Form of record values for connectors that do not say otherwise.
        pub value_converter: ConverterKind = "value.converter", High, default "json";
        /// The compacted topic that keeps source offsets; created if missing.
        pub offset_topic: String = "offset.storage.topic", High, default "connect-offsets", valid Validator::NonEmpty;
        /// Partitions of that topic if it has to be created (Kafka's distributed worker: 25).
        pub offset_topic_partitions: i32 = "offset.storage.partitions", Low, default "1", valid Validator::AtLeast(1);
        /// Replicas of that topic if it has to be created; -1 for the broker's default (Kafka: 3).
        pub offset_topic_replication_factor: i16 = "offset.storage.replication.factor", Low, default "-1",
            valid Validator::AtLeast(-1);
        /// Time between two writes of offsets, of sources and of sinks. Kafka: 60000; a shorter time means fewer
        /// repeated records after a crash.
        pub offset_flush_interval: Duration = "offset.flush.interval.ms", Low, default "5000", valid Validator::AtLeast(1);
        /// How long a write of offsets may take before it is given up until the next time.
        pub offset_flush_timeout: Duration = "offset.flush.timeout.ms", Low, default "5000", valid Validator::AtLeast(1);
        /// How long tasks may take to finish when the worker stops; storing offsets comes on top.
        pub graceful_timeout: Duration = "task.shutdown.graceful.timeout.ms", Low, default "5000",
            valid Validator::AtLeast(1);
        /// Whether missing topics are created.
        pub topic_creation: bool = "topic.creation.enable", Low, default "true";
    }
}

/// What becomes of a record that cannot be converted or is refused by its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorTolerance {
    /// The task fails.
    None,
    /// The record is skipped, counted, and sent to the dead letter topic if there is one.
    All,
}

impl ConfigValue for ErrorTolerance {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, Expected> {
        match text {
            "none" => Ok(Self::None),
            "all" => Ok(Self::All),
            _ => Err("`none` or `all`".into()),
        }
    }
}

/// How long something is retried: `None` without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryTimeout(pub Option<Duration>);

impl ConfigValue for RetryTimeout {
    const TYPE: ConfigType = ConfigType::Long;

    fn parse(text: &str) -> Result<Self, Expected> {
        if text == "-1" {
            return Ok(Self(None));
        }
        Duration::parse(text)
            .map(|timeout| Self(Some(timeout)))
            .map_err(|_| "a whole number of milliseconds, or -1 for no end".into())
    }
}
