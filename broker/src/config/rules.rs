//! How broker settings reach topics, and what settings of topics and brokers may be altered while the broker runs.

use std::collections::BTreeMap;

use riverrun_core::{
    log::{ConfigType as LogConfigType, Durability as LogDurability, LogConfig},
    metadata::{
        ClientMetricsError, ClientMetricsSubscription, ConfigResource, ConfigRules, GroupSettingError, InvalidConfig,
        TopicConfigRules,
    },
};

use super::{BrokerConfig, ConfigError, Durability, Settings, UpdateMode, kafka_names};
use crate::groups::{broker_bound, group_defaults};

/// The broker setting that is the default of a topic setting, where they are named differently.
const SYNONYMS: &[(&str, &str)] = &[
    ("cleanup.policy", "log.cleanup.policy"),
    ("compression.type", "compression.type"),
    ("delete.retention.ms", "log.cleaner.delete.retention.ms"),
    ("file.delete.delay.ms", "log.segment.delete.delay.ms"),
    ("flush.messages", "log.flush.interval.messages"),
    ("flush.ms", "log.flush.interval.ms"),
    ("index.interval.bytes", "log.index.interval.bytes"),
    ("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
    ("max.message.bytes", "message.max.bytes"),
    ("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"),
    ("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"),
    ("message.timestamp.type", "log.message.timestamp.type"),
    ("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"),
    ("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"),
    ("min.insync.replicas", "min.insync.replicas"),
    ("retention.bytes", "log.retention.bytes"),
    ("retention.ms", "log.retention.ms"),
    ("riverrun.durability", "riverrun.durability"),
    ("segment.bytes", "log.segment.bytes"),
    ("segment.index.bytes", "log.index.size.max.bytes"),
    ("segment.ms", "log.roll.ms"),
];

/// Kafka's topic settings that mean nothing here and are accepted all the same.
const TOPIC_WITHOUT_EFFECT: &[&str] = &[
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "remote.storage.enable",
];

/// The broker setting that is the default of a topic setting.
pub(crate) fn broker_synonym(topic_setting: &str) -> Option<&'static str> {
    SYNONYMS.iter().find(|(topic, _)| *topic == topic_setting).map(|(_, broker)| *broker)
}

impl BrokerConfig {
    /// What holds for a topic that sets nothing. `in_memory`: there is no disk to wait for.
    pub(crate) fn log_defaults(&self, in_memory: bool) -> LogConfig {
        let mut log = LogConfig::default();
        for (topic, broker) in SYNONYMS {
            if let Some(value) = self.get(broker)
                && let Err(error) = log.set(topic, &value)
            {
                tracing::warn!(setting = broker, value, %error, "no default for topics");
            }
        }
        log.retention_ms = self.effective_retention_ms();
        log.segment_ms = self.effective_roll_ms();
        log.durability = match self.riverrun_durability {
            _ if in_memory => LogDurability::Memory,
            Durability::Fsync => LogDurability::Fsync,
            Durability::Os => LogDurability::Os,
        };
        log
    }
}

/// Lays a topic's settings over the defaults; those without effect are left out.
pub(crate) fn topic_config(defaults: &LogConfig, overrides: &BTreeMap<String, String>) -> LogConfig {
    let mut config = defaults.clone();
    for (name, value) in overrides {
        if !TOPIC_WITHOUT_EFFECT.contains(&name.as_str())
            && let Err(error) = config.set(name, value)
        {
            tracing::warn!(setting = name, value, %error, "a stored topic setting is ignored");
        }
    }
    config
}

/// The rules by which settings are altered.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) topics: TopicConfigRules,
    /// What the broker was started with.
    pub(crate) settings: Settings,
}

impl ConfigRules for Rules {
    fn list_default(&self, resource: &ConfigResource, name: &str) -> Option<String> {
        match resource {
            ConfigResource::Topic(_) => self.topics.list_default(resource, name),
            ConfigResource::Broker(_) | ConfigResource::AllBrokers => {
                let setting = BrokerConfig::setting(name)?;
                (setting.config_type == super::ConfigType::List)
                    .then(|| self.settings.config().get(name).unwrap_or_default())
            }
            _ => None,
        }
    }

    fn is_fixed(&self, name: &str) -> bool {
        BrokerConfig::setting(name).is_some_and(|setting| setting.mode == UpdateMode::ReadOnly)
    }

    fn validate(&self, resource: &ConfigResource, configs: &BTreeMap<String, String>) -> Result<(), InvalidConfig> {
        match resource {
            ConfigResource::Topic(_) => {
                let mut checked = configs.clone();
                checked.retain(|name, _| !TOPIC_WITHOUT_EFFECT.contains(&name.as_str()));
                self.topics.validate(resource, &checked)
            }
            ConfigResource::Broker(_) | ConfigResource::AllBrokers => {
                let mut settings = self.settings.clone();
                for (name, value) in configs {
                    let refused = |error: ConfigError| InvalidConfig { name: name.clone(), reason: error.to_string() };
                    settings.set(name, value).map_err(refused)?;
                    if kafka_names::is_known(name) {
                        tracing::warn!(setting = name, "has no effect");
                    }
                }
                Ok(())
            }
            // They have rules of their own, below.
            ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => Ok(()),
        }
    }

    fn validate_group(&self, configs: &BTreeMap<String, String>) -> Result<(), GroupSettingError> {
        let config = self.settings.config();
        group_defaults(config).validate(configs, |bound| broker_bound(config, bound))
    }

    fn validate_client_metrics(&self, configs: &BTreeMap<String, String>) -> Result<(), ClientMetricsError> {
        ClientMetricsSubscription::parse(configs, |regex| regex::Regex::new(regex).is_ok()).map(drop)
    }
}

/// The type of a log setting, in the terms of this module.
pub(crate) fn config_type(log: LogConfigType) -> super::ConfigType {
    match log {
        LogConfigType::Boolean => super::ConfigType::Boolean,
        LogConfigType::String => super::ConfigType::String,
        LogConfigType::Int => super::ConfigType::Int,
        LogConfigType::Long => super::ConfigType::Long,
        LogConfigType::Double => super::ConfigType::Double,
        LogConfigType::List => super::ConfigType::List,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_synonym_exists_on_both_sides() {
        let log = LogConfig::default();
        for (topic, broker) in SYNONYMS {
            assert!(log.entries().iter().any(|entry| entry.name == *topic), "{topic}");
            assert!(BrokerConfig::setting(broker).is_some(), "{broker}");
        }
    }

    #[test]
    fn the_defaults_of_both_tables_agree() {
        assert_eq!(BrokerConfig::default().log_defaults(false), LogConfig::default());
    }
}
