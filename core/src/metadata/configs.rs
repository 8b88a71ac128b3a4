//! Settings of topics, brokers and other resources: what is a resource, and the records that alter its settings.
//!
//! Source: Kafka `ConfigurationControlManager`; KIP-339 (incremental), KIP-226 (dynamic broker settings).

use std::{collections::BTreeMap, sync::Arc};

use super::{ClientMetricsError, GroupSettingError, Image, MetadataRecord};
use crate::{
    NodeId,
    protocol::{ErrorCode, records::ConfigRecord},
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// Something that has settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    /// A topic.
    Topic(Arc<str>),
    /// One broker.
    Broker(NodeId),
    /// All brokers, where one has no setting of its own.
    AllBrokers,
    /// A subscription to client metrics.
    ClientMetrics(Arc<str>),
    /// A group.
    Group(Arc<str>),
}

/// No resource has that type and name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no resource of type {resource_type} is called '{name}'")]
pub struct UnknownResourceType {
    /// The type's number on the wire.
    pub resource_type: i8,
    /// The name.
    pub name: String,
}

impl ConfigResource {
    /// Reads the wire form; a broker's name is its id, and empty for all brokers.
    ///
    /// # Errors
    /// If the type is unknown or has no settings in the metadata, or a broker's name is no id.
    pub fn from_wire(resource_type: i8, name: &str) -> Result<Self, UnknownResourceType> {
        let unknown = || UnknownResourceType { resource_type, name: name.to_owned() };
        match resource_type {
            TOPIC => Ok(Self::Topic(name.into())),
            BROKER if name.is_empty() => Ok(Self::AllBrokers),
            BROKER => name.parse().ok().and_then(NodeId::from_wire).map(Self::Broker).ok_or_else(unknown),
            CLIENT_METRICS => Ok(Self::ClientMetrics(name.into())),
            GROUP => Ok(Self::Group(name.into())),
            _ => Err(unknown()),
        }
    }

    /// The wire form: type and name.
    pub fn to_wire(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (TOPIC, name.to_string()),
            Self::Broker(node) => (BROKER, node.to_string()),
            Self::AllBrokers => (BROKER, String::new()),
            Self::ClientMetrics(name) => (CLIENT_METRICS, name.to_string()),
            Self::Group(name) => (GROUP, name.to_string()),
        }
    }
}

/// What settings there are and what they may be.
pub trait ConfigRules {
    /// The default of a setting that is a list of words, as text; `None` if it is no list.
    fn list_default(&self, resource: &ConfigResource, name: &str) -> Option<String>;

    /// Checks all that is set of a resource, together.
    ///
    /// # Errors
    /// The first setting that is unknown or must not be so.
    fn validate(&self, resource: &ConfigResource, configs: &BTreeMap<String, String>) -> Result<(), InvalidConfig>;

    /// Whether a setting of a broker can only be given before its start.
    fn is_fixed(&self, _name: &str) -> bool {
        false
    }

    /// Checks all that is set of a group, together. Without rules of its own, a broker has no settings of groups.
    ///
    /// # Errors
    /// The first setting that is unknown or must not be so.
    fn validate_group(&self, configs: &BTreeMap<String, String>) -> Result<(), GroupSettingError> {
        let unknown = |name: &String| Err(GroupSettingError::UnknownName { name: name.clone() });
        configs.keys().next().map_or(Ok(()), unknown)
    }

    /// Checks all that is set of a subscription to client metrics; the same without rules.
    ///
    /// # Errors
    /// The first setting that is unknown or must not be so.
    fn validate_client_metrics(&self, configs: &BTreeMap<String, String>) -> Result<(), ClientMetricsError> {
        let unknown = |name: &String| Err(ClientMetricsError::UnknownName { name: name.clone() });
        configs.keys().next().map_or(Ok(()), unknown)
    }
}

/// A setting that is unknown or must not be so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("setting '{name}': {reason}")]
pub struct InvalidConfig {
    /// The setting.
    pub name: String,
    /// What is wrong, in a sentence for the user.
    pub reason: String,
}

/// What to do with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Give it this value.
    Set(String),
    /// Back to its default.
    Delete,
    /// Add words to a list that does not hold them.
    Append(String),
    /// Take words out of a list.
    Subtract(String),
}

/// One step of an incremental alteration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigAlteration {
    /// The setting.
    pub name: String,
    /// What to do with it.
    pub operation: ConfigOperation,
}

/// Why settings are not altered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlterConfigsError {
    /// There is no such topic.
    #[error("The topic '{name}' does not exist.")]
    UnknownTopic {
        /// The name.
        name: String,
    },
    /// A setting is named twice.
    #[error("setting '{name}' is altered twice in one request")]
    Duplicate {
        /// The setting.
        name: String,
    },
    /// Words are added to or taken from what is no list.
    #[error("Can't {operation} to key {name} because its type is not LIST.")]
    NotAList {
        /// The setting.
        name: String,
        /// What was to be done: `APPEND` or `SUBTRACT`.
        operation: &'static str,
    },
    /// Settings of a broker that can only be given before its start.
    #[error("Cannot update these configs dynamically: [{}]", names.join(", "))]
    Fixed {
        /// Their names.
        names: Vec<String>,
    },
    /// Settings for all groups are the broker's own.
    #[error("Default group resources are not allowed.")]
    NamelessGroup,
    /// A subscription needs a name.
    #[error("Subscription name can't be empty")]
    NamelessSubscription,
    /// A setting of a group is not valid.
    #[error(transparent)]
    Group(#[from] GroupSettingError),
    /// A subscription to client metrics is not valid.
    #[error(transparent)]
    ClientMetrics(#[from] ClientMetricsError),
    /// The result is not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
}

impl From<&AlterConfigsError> for ErrorCode {
    fn from(error: &AlterConfigsError) -> Self {
        match error {
            AlterConfigsError::UnknownTopic { .. } => Self::UnknownTopicOrPartition,
            AlterConfigsError::Duplicate { .. }
            | AlterConfigsError::Fixed { .. }
            | AlterConfigsError::NamelessGroup
            | AlterConfigsError::NamelessSubscription
            | AlterConfigsError::ClientMetrics(
                ClientMetricsError::UnknownName { .. } | ClientMetricsError::Interval { .. },
            ) => Self::InvalidRequest,
            AlterConfigsError::NotAList { .. }
            | AlterConfigsError::Invalid(_)
            | AlterConfigsError::Group(_)
            | AlterConfigsError::ClientMetrics(
                ClientMetricsError::NotANumber { .. } | ClientMetricsError::Pattern { .. },
            ) => Self::InvalidConfig,
        }
    }
}

impl Image {
    /// The records that alter some settings of `resource` (IncrementalAlterConfigs). What has its value already needs
    /// no record. To check only, drop the result.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn alter_configs(
        &self,
        resource: &ConfigResource,
        alterations: &[ConfigAlteration],
        rules: &impl ConfigRules,
    ) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        let current = self.configs(resource);
        let mut wanted = (*current).clone();
        let mut seen = std::collections::BTreeSet::new();
        for ConfigAlteration { name, operation } in alterations {
            if !seen.insert(name) {
                return Err(AlterConfigsError::Duplicate { name: name.clone() });
            }
            let list = |operation| {
                let default = rules.list_default(resource, name);
                let default = default.ok_or_else(|| AlterConfigsError::NotAList { name: name.clone(), operation })?;
                Ok::<String, AlterConfigsError>(current.get(name).cloned().unwrap_or(default))
            };
            let value = match operation {
                ConfigOperation::Set(value) => Some(value.clone()),
                ConfigOperation::Delete => None,
                ConfigOperation::Append(words) => Some(append(&list("APPEND")?, words)),
                ConfigOperation::Subtract(words) => Some(subtract(&list("SUBTRACT")?, words)),
            };
            match value {
                Some(value) => wanted.insert(name.clone(), value),
                None => wanted.remove(name),
            };
        }
        self.set_configs(resource, &wanted, rules)
    }

    /// The records after which exactly `wanted` is set for `resource` (AlterConfigs).
    ///
    /// # Errors
    /// The first reason against it.
    pub fn set_configs(
        &self,
        resource: &ConfigResource,
        wanted: &BTreeMap<String, String>,
        rules: &impl ConfigRules,
    ) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        match resource {
            ConfigResource::Topic(name) if self.topic(name).is_none() => {
                return Err(AlterConfigsError::UnknownTopic { name: name.to_string() });
            }
            ConfigResource::Broker(_) | ConfigResource::AllBrokers => {
                let names: Vec<_> = wanted.keys().filter(|name| rules.is_fixed(name)).cloned().collect();
                if !names.is_empty() {
                    return Err(AlterConfigsError::Fixed { names });
                }
                rules.validate(resource, wanted)?;
            }
            ConfigResource::Topic(_) => rules.validate(resource, wanted)?,
            ConfigResource::Group(name) if name.is_empty() => return Err(AlterConfigsError::NamelessGroup),
            ConfigResource::Group(_) => rules.validate_group(wanted)?,
            ConfigResource::ClientMetrics(name) if name.is_empty() => {
                return Err(AlterConfigsError::NamelessSubscription);
            }
            ConfigResource::ClientMetrics(_) => rules.validate_client_metrics(wanted)?,
        }
        let current = self.configs(resource);
        let (resource_type, resource_name) = resource.to_wire();
        let record = |name: &String, value: Option<&String>| {
            MetadataRecord::Config(ConfigRecord {
                resource_type,
                resource_name: resource_name.clone(),
                name: name.clone(),
                value: value.cloned(),
            })
        };
        let removed = current.keys().filter(|name| !wanted.contains_key(*name)).map(|name| record(name, None));
        let changed = wanted.iter().filter(|(name, value)| current.get(*name) != Some(*value));
        Ok(removed.chain(changed.map(|(name, value)| record(name, Some(value)))).collect())
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn append(list: &str, added: &str) -> String {
    let mut result: Vec<&str> = words(list).collect();
    for word in words(added) {
        if !result.contains(&word) {
            result.push(word);
        }
    }
    result.join(",")
}

fn subtract(list: &str, removed: &str) -> String {
    let removed: Vec<&str> = words(removed).collect();
    words(list).filter(|word| !removed.contains(word)).collect::<Vec<_>>().join(",")
}
