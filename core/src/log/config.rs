//! The settings of one topic's log, in one table: Kafka's name, field, type, default, valid values, documentation. The
//! table yields the struct, its parser, what DescribeConfigs tells and the reference page.
//!
//! Names, defaults and bounds are those of Kafka's `LogConfig` and `TopicConfig`; `riverrun.durability` is ours.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::record::Compression;

/// The type of a setting's value, as DescribeConfigs names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A 32-bit number.
    Int,
    /// A 64-bit number.
    Long,
    /// A decimal fraction.
    Double,
    /// Words separated by commas.
    List,
}

/// Why a value cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The name is no topic setting.
    #[error("unknown topic config '{name}'")]
    UnknownName {
        /// The name given.
        name: String,
    },
    /// The value is of the wrong type or out of bounds.
    #[error("invalid value '{value}' for topic config {name}: expected {expected}")]
    InvalidValue {
        /// The setting.
        name: String,
        /// The value given.
        value: String,
        /// What would be valid.
        expected: String,
    },
}

/// What a topic does when it grows old: `cleanup.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Keep only the last value of every key.
    pub compact: bool,
    /// Delete whole segments by time and size.
    pub delete: bool,
}

/// Whose clock a record's timestamp is: `message.timestamp.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's at the append.
    LogAppendTime,
}

/// When an append counts as done: `riverrun.durability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once an fdatasync has covered it; those that arrive meanwhile share the next one.
    Fsync,
    /// Once it is written to the page cache, as Kafka does.
    Os,
    /// Once it is in memory; such a topic has no files.
    Memory,
}

/// A value that is written as text in a config.
trait ConfigValue: Sized {
    const TYPE: ConfigType;
    /// What is expected, for an error.
    fn expected() -> String;
    fn parse(text: &str) -> Option<Self>;
    fn format(&self) -> String;
}

macro_rules! plain_value {
    ($($type:ty => $config_type:ident, $expected:literal;)*) => {$(
        impl ConfigValue for $type {
            const TYPE: ConfigType = ConfigType::$config_type;
            fn expected() -> String { $expected.to_owned() }
            fn parse(text: &str) -> Option<Self> { text.trim().parse().ok() }
            fn format(&self) -> String { self.to_string() }
        }
    )*};
}
plain_value! {
    bool => Boolean, "true or false";
    i32 => Int, "a 32-bit number";
    i64 => Long, "a 64-bit number";
    f64 => Double, "a decimal fraction";
    String => String, "text";
}

/// The values of an enumeration, by Kafka's spelling.
macro_rules! word_value {
    ($type:ty, $config_type:ident, $($word:literal => $value:expr),+) => {
        impl ConfigValue for $type {
            const TYPE: ConfigType = ConfigType::$config_type;
            fn expected() -> String { ["one of", $($word),+].join(" ") }
            fn parse(text: &str) -> Option<Self> {
                match text.trim() { $($word => Some($value),)+ _ => None }
            }
            fn format(&self) -> String {
                $(if *self == $value { return $word.to_owned(); })+
                String::new()
            }
        }
    };
}
word_value!(MessageTimestampType, String, "CreateTime" => Self::CreateTime, "LogAppendTime" => Self::LogAppendTime);
word_value!(Durability, String, "fsync" => Self::Fsync, "os" => Self::Os, "memory" => Self::Memory);

impl ConfigValue for CleanupPolicy {
    const TYPE: ConfigType = ConfigType::List;

    fn expected() -> String {
        "delete, compact, or both with a comma".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut policy = Self { compact: false, delete: false };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "compact" => policy.compact = true,
                "delete" => policy.delete = true,
                _ => return None,
            }
        }
        Some(policy)
    }

    fn format(&self) -> String {
        match (self.compact, self.delete) {
            (true, true) => "compact,delete",
            (true, false) => "compact",
            (false, true) => "delete",
            (false, false) => "",
        }
        .to_owned()
    }
}

/// `compression.type`: `None` keeps what the producer chose.
impl ConfigValue for Option<Compression> {
    const TYPE: ConfigType = ConfigType::String;

    fn expected() -> String {
        "one of uncompressed zstd lz4 snappy gzip producer".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "producer" => Some(None),
            "uncompressed" => Some(Some(Compression::None)),
            "none" => None,
            codec => Compression::from_str(codec).ok().map(Some),
        }
    }

    fn format(&self) -> String {
        match self {
            None => "producer".to_owned(),
            Some(Compression::None) => "uncompressed".to_owned(),
            Some(codec) => codec.to_string(),
        }
    }
}

/// One setting as people are told of it.
#[derive(Debug, Clone)]
pub struct ConfigEntry {
    /// Kafka's name.
    pub name: &'static str,
    /// The type of its value.
    pub config_type: ConfigType,
    /// The value, as text.
    pub value: String,
    /// What it does.
    pub doc: &'static str,
}

macro_rules! log_config {
    ($($(#[doc = $doc:literal])+ $name:literal $field:ident: $type:ty = $default:expr, $valid:expr;)*) => {
        /// The settings of one topic's log. `LogConfig::default()` has Kafka's defaults.
        #[derive(Debug, Clone, PartialEq)]
        pub struct LogConfig {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        impl Default for LogConfig {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl LogConfig {
            /// The names of all settings.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Sets one setting from text.
            ///
            /// # Errors
            /// [`ConfigError`] if the name is unknown or the value not valid for it.
            pub fn set(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
                let invalid = |expected: String| ConfigError::InvalidValue {
                    name: name.to_owned(), value: text.to_owned(), expected,
                };
                match name {
                    $($name => {
                        let value = <$type as ConfigValue>::parse(text)
                            .ok_or_else(|| invalid(<$type as ConfigValue>::expected()))?;
                        let valid: Valid<$type> = $valid;
                        (valid.check)(&value).then_some(()).ok_or_else(|| invalid(valid.expected.to_owned()))?;
                        self.$field = value;
                    })*
                    _ => return Err(ConfigError::UnknownName { name: name.to_owned() }),
                }
                Ok(())
            }

            /// Every setting with its value here.
            pub fn entries(&self) -> Vec<ConfigEntry> {
                vec![$(ConfigEntry {
                    name: $name,
                    config_type: <$type as ConfigValue>::TYPE,
                    value: self.$field.format(),
                    doc: concat!($($doc),+).trim_ascii(),
                },)*]
            }
        }
    };
}

/// A bound on a setting's values.
struct Valid<T> {
    check: fn(&T) -> bool,
    expected: &'static str,
}

fn any<T>() -> Valid<T> {
    Valid { check: |_| true, expected: "any value" }
}

fn at_least_zero() -> Valid<i64> {
    Valid { check: |value| *value >= 0, expected: "0 or more" }
}

fn at_least_one() -> Valid<i64> {
    Valid { check: |value| *value >= 1, expected: "1 or more" }
}

fn at_least_minus_one() -> Valid<i64> {
    Valid { check: |value| *value >= -1, expected: "-1 (no limit), 0 or more" }
}

log_config! {
    /// What becomes of old records: `delete` drops whole segments by time and size, `compact` keeps the last value of
    /// every key, `compact,delete` does both.
    "cleanup.policy" cleanup_policy: CleanupPolicy = CleanupPolicy { compact: false, delete: true }, any();
    /// The codec batches are stored in; `producer` keeps what each producer chose.
    "compression.type" compression: Option<Compression> = None, any();
    /// Milliseconds a tombstone outlives its compaction, for readers to see it.
    "delete.retention.ms" delete_retention_ms: i64 = 86_400_000, at_least_zero();
    /// Milliseconds a deleted segment's files stay before they are removed.
    "file.delete.delay.ms" file_delete_delay_ms: i64 = 60_000, at_least_zero();
    /// Records after which the log is synced with `riverrun.durability=os`; what comes then is committed by the sync.
    "flush.messages" flush_messages: i64 = i64::MAX, at_least_one();
    /// Milliseconds after which the log is synced with `riverrun.durability=os`, though nobody waits for it.
    "flush.ms" flush_ms: i64 = i64::MAX, at_least_zero();
    /// Bytes of log between two entries of the offset index.
    "index.interval.bytes" index_interval_bytes: i32 = 4096, Valid { check: |v| *v >= 0, expected: "0 or more" };
    /// Largest batch in bytes that is accepted, after compression.
    "max.message.bytes" max_message_bytes: i32 = 1_048_588, Valid { check: |v| *v >= 0, expected: "0 or more" };
    /// Milliseconds after which a record must be open to compaction.
    "max.compaction.lag.ms" max_compaction_lag_ms: i64 = i64::MAX, at_least_one();
    /// Largest lead in milliseconds a record's own timestamp may have over the broker's clock.
    "message.timestamp.after.max.ms" message_timestamp_after_max_ms: i64 = 3_600_000, at_least_zero();
    /// Largest lag in milliseconds a record's own timestamp may have behind the broker's clock.
    "message.timestamp.before.max.ms" message_timestamp_before_max_ms: i64 = i64::MAX, at_least_zero();
    /// Whose clock gives the timestamp: `CreateTime` the producer's, `LogAppendTime` the broker's.
    "message.timestamp.type" message_timestamp_type: MessageTimestampType = MessageTimestampType::CreateTime, any();
    /// Share of the log that must be dirty before it is compacted.
    "min.cleanable.dirty.ratio" min_cleanable_dirty_ratio: f64 = 0.5,
        Valid { check: |v| (0.0..=1.0).contains(v), expected: "a fraction from 0 to 1" };
    /// Milliseconds a record is safe from compaction.
    "min.compaction.lag.ms" min_compaction_lag_ms: i64 = 0, at_least_zero();
    /// Replicas that must have a record before `acks=all` is answered; on one node it is 1.
    "min.insync.replicas" min_insync_replicas: i32 = 1, Valid { check: |v| *v >= 1, expected: "1 or more" };
    /// Whether a new segment's file gets its full size at once.
    "preallocate" preallocate: bool = false, any();
    /// Bytes of a partition beyond which old segments are deleted; -1 for no limit.
    "retention.bytes" retention_bytes: i64 = -1, at_least_minus_one();
    /// Milliseconds after which a segment is deleted; -1 for no limit.
    "retention.ms" retention_ms: i64 = 604_800_000, at_least_minus_one();
    /// When an append counts as done: `fsync` once it is synced (the default: one node has no replica to fall back on),
    /// `os` once it is in the page cache as with Kafka, `memory` for a topic without files: its records are gone when the
    /// broker stops, its offsets go on (after a crash from where they were a minute before). Files cannot become memory
    /// or memory files: that takes a new topic.
    "riverrun.durability" durability: Durability = Durability::Fsync, any();
    /// Bytes of a segment's file, after which a new segment begins.
    "segment.bytes" segment_bytes: i32 = 1_073_741_824,
        Valid { check: |v| *v >= 1_048_576, expected: "1048576 or more" };
    /// Bytes an index file may have; a full one begins a new segment.
    "segment.index.bytes" segment_index_bytes: i32 = 10_485_760, Valid { check: |v| *v >= 4, expected: "4 or more" };
    /// Largest random time in milliseconds taken off `segment.ms`, so that not all topics roll at once.
    "segment.jitter.ms" segment_jitter_ms: i64 = 0, at_least_zero();
    /// Milliseconds after which a new segment begins even if the last is not full.
    "segment.ms" segment_ms: i64 = 604_800_000, at_least_one();
    /// Whether a replica outside the in-sync set may become leader, at the price of records.
    "unclean.leader.election.enable" unclean_leader_election_enable: bool = false, any();
}

impl LogConfig {
    /// Milliseconds after which a new segment begins: only a closed one can be compacted, and `max.compaction.lag.ms` says
    /// when it must be.
    pub(super) fn effective_segment_ms(&self) -> i64 {
        if self.cleanup_policy.compact { self.segment_ms.min(self.max_compaction_lag_ms) } else { self.segment_ms }
    }

    /// Lays a topic's overrides over this config.
    ///
    /// # Errors
    /// The first [`ConfigError`] among them.
    pub fn with_overrides(&self, overrides: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut config = self.clone();
        for (name, value) in overrides {
            config.set(name, value)?;
        }
        Ok(config)
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_reads_back() {
        let config = LogConfig::default();
        let mut again = LogConfig { retention_ms: 1, ..LogConfig::default() };
        for entry in config.entries() {
            again.set(entry.name, &entry.value).expect("a default is a valid value");
            assert!(!entry.doc.is_empty(), "{} has a doc", entry.name);
        }
        assert_eq!(again, config);
    }

    #[test]
    fn a_bad_value_is_named() {
        let error = LogConfig::default().set("segment.bytes", "14").expect_err("too small");
        assert_eq!(error.to_string(), "invalid value '14' for topic config segment.bytes: expected 1048576 or more");
        let error = LogConfig::default().set("segment.byte", "14").expect_err("unknown");
        assert_eq!(error.to_string(), "unknown topic config 'segment.byte'");
    }

    #[test]
    fn compression_keeps_kafkas_words() {
        let mut config = LogConfig::default();
        config.set("compression.type", "uncompressed").expect("valid");
        assert_eq!(config.compression, Some(Compression::None));
        assert!(config.set("compression.type", "none").is_err());
    }
}
