//! The rules for settings of topics, out of the log's own table. Resources of other kinds have no rules here: a broker
//! that lets them be set wraps this and answers for them.

use std::collections::BTreeMap;

use super::{ConfigResource, ConfigRules, InvalidConfig};
use crate::log::{ConfigType, LogConfig};

/// What a topic may be set to.
#[derive(Debug, Clone)]
pub struct TopicConfigRules {
    /// What holds for a topic that sets nothing.
    pub defaults: LogConfig,
}

impl ConfigRules for TopicConfigRules {
    fn list_default(&self, resource: &ConfigResource, name: &str) -> Option<String> {
        let is_topic = matches!(resource, ConfigResource::Topic(_));
        let entry = self.defaults.entries().into_iter().find(|entry| is_topic && entry.name == name)?;
        (entry.config_type == ConfigType::List).then_some(entry.value)
    }

    fn validate(&self, resource: &ConfigResource, configs: &BTreeMap<String, String>) -> Result<(), InvalidConfig> {
        let mut config = self.defaults.clone();
        for (name, value) in configs {
            let refused = |reason: String| InvalidConfig { name: name.clone(), reason };
            if !matches!(resource, ConfigResource::Topic(_)) {
                return Err(refused("only settings of topics can be altered".to_owned()));
            }
            config.set(name, value).map_err(|error| refused(error.to_string()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_be_set_to_what_the_log_understands() {
        let rules = TopicConfigRules { defaults: LogConfig::default() };
        let topic = ConfigResource::Topic("t".into());
        let with = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(rules.validate(&topic, &with("cleanup.policy", "compact,delete")), Ok(()));
        for (name, value) in [("segment.bytes", "1"), ("cleanup.policy", "burn"), ("no.such.thing", "1")] {
            assert_eq!(rules.validate(&topic, &with(name, value)).unwrap_err().name, name);
        }
        assert!(rules.validate(&ConfigResource::AllBrokers, &with("retention.ms", "1")).is_err());
        assert_eq!(rules.list_default(&topic, "cleanup.policy").as_deref(), Some("delete"));
        assert_eq!(rules.list_default(&topic, "retention.ms"), None);
    }
}
