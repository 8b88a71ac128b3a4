//! Configuration of topics, brokers and groups.
//!
//! Source: DescribeConfigs (KIP-133, synonyms of KIP-226, documentation of KIP-569), IncrementalAlterConfigs (KIP-339).

use std::collections::BTreeMap;

use riverrun_core::protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    create_topics::CreatableTopicConfigs,
    describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult},
    incremental_alter_configs::{AlterConfigsResource, AlterableConfig},
};

use super::{
    Admin, Refused, Results, item,
    route::{Round, controller_moved, settle},
};
use crate::ClientError;

/// What has a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// A broker, by node id; `None` is the default of all brokers.
    Broker(Option<i32>),
    /// A group.
    Group(String),
}

impl ConfigResource {
    fn to_wire(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (2, name.clone()),
            Self::Broker(id) => (4, id.map(|id| id.to_string()).unwrap_or_default()),
            Self::Group(name) => (32, name.clone()),
        }
    }

    fn from_wire(kind: i8, name: String) -> Option<Self> {
        match kind {
            2 => Some(Self::Topic(name)),
            4 => Some(Self::Broker(name.parse().ok())),
            32 => Some(Self::Group(name)),
            _ => None,
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on this broker while it runs.
    DynamicBroker,
    /// Set on all brokers while they run.
    DynamicDefaultBroker,
    /// The broker's settings file.
    StaticBroker,
    /// The built-in default.
    Default,
    /// Set on the group.
    Group,
    /// Something else.
    Unknown,
}

impl ConfigSource {
    fn from_wire(source: i8) -> Self {
        match source {
            1 => Self::Topic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }
}

/// Of what kind a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A number of 32 bits.
    Int,
    /// A number of 16 bits.
    Short,
    /// A number of 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Texts with commas between them.
    List,
    /// The name of a class.
    Class,
    /// A secret.
    Password,
}

impl ConfigType {
    fn from_wire(kind: i8) -> Option<Self> {
        match kind {
            1 => Some(Self::Boolean),
            2 => Some(Self::String),
            3 => Some(Self::Int),
            4 => Some(Self::Short),
            5 => Some(Self::Long),
            6 => Some(Self::Double),
            7 => Some(Self::List),
            8 => Some(Self::Class),
            9 => Some(Self::Password),
            _ => None,
        }
    }
}

/// One value of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// The value; `None` if it is secret or unset.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed.
    pub is_read_only: bool,
    /// Whether it is secret.
    pub is_sensitive: bool,
    /// Of what kind it is, if the broker tells.
    pub kind: Option<ConfigType>,
    /// Where the value would come from, the strongest first: the one in force, then those behind it.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it is for, if the broker tells.
    pub documentation: Option<String>,
}

impl ConfigEntry {
    /// Whether nobody has set it.
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::Default
    }

    /// From what a broker tells of a topic it has just created.
    pub(super) fn of_created(config: CreatableTopicConfigs) -> (String, Self) {
        let CreatableTopicConfigs { name, value, read_only: is_read_only, config_source, is_sensitive } = config;
        let source = ConfigSource::from_wire(config_source);
        let (kind, synonyms, documentation) = (None, Vec::new(), None);
        (name, Self { value, source, is_read_only, is_sensitive, kind, synonyms, documentation })
    }
}

/// A value that a configuration has or would have, under the name it has there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigSynonym {
    /// The name: that of a broker's setting may differ from the topic's (`log.retention.ms`, `retention.ms`).
    pub name: String,
    /// The value; `None` if it is secret or unset.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// A change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlterConfig {
    /// Sets it.
    Set(String),
    /// Goes back to the default.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes from a list.
    Subtract(String),
}

impl Admin {
    /// All values of each configuration, by name.
    ///
    /// # Errors
    /// If a broker does not answer; refusals are in the results.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Results<ConfigResource, BTreeMap<String, ConfigEntry>>, ClientError> {
        settle(self.timeout, resources.iter().cloned(), controller_moved, |open, _| async move {
            let mut round = Round::of([]);
            for (node, resources) in by_node(open.iter()) {
                let build = |version| describe_request(version, &resources);
                match self.call_node(node, build).await {
                    Ok(response) => round.answers.extend(response.results.into_iter().filter_map(described)),
                    Err(error) => round.failure = Some(error),
                }
            }
            Ok(round)
        })
        .await
    }

    /// Changes single values and leaves the others as they are.
    ///
    /// # Errors
    /// If a broker does not answer; refusals are in the results.
    pub async fn alter_configs(
        &self,
        changes: &BTreeMap<ConfigResource, BTreeMap<String, AlterConfig>>,
    ) -> Result<Results<ConfigResource, ()>, ClientError> {
        self.alter_or_validate(changes, false).await
    }

    /// What [`alter_configs`](Self::alter_configs) would do, without doing it.
    ///
    /// # Errors
    /// If a broker does not answer; refusals are in the results.
    pub async fn validate_configs(
        &self,
        changes: &BTreeMap<ConfigResource, BTreeMap<String, AlterConfig>>,
    ) -> Result<Results<ConfigResource, ()>, ClientError> {
        self.alter_or_validate(changes, true).await
    }

    async fn alter_or_validate(
        &self,
        changes: &BTreeMap<ConfigResource, BTreeMap<String, AlterConfig>>,
        validate_only: bool,
    ) -> Result<Results<ConfigResource, ()>, ClientError> {
        settle(self.timeout, changes.keys().cloned(), controller_moved, |open, _| async move {
            let mut round = Round::of([]);
            for (node, resources) in by_node(open.iter()) {
                let build = |_| alter_request(&resources, changes, validate_only);
                match self.call_node(node, build).await {
                    Ok(response) => round.answers.extend(response.responses.into_iter().filter_map(|result| {
                        let key = ConfigResource::from_wire(result.resource_type, result.resource_name)?;
                        Some((key, item(result.error_code, result.error_message, ())))
                    })),
                    Err(error) => round.failure = Some(error),
                }
            }
            Ok(round)
        })
        .await
    }

    /// Asks a given broker, or any.
    async fn call_node<R: riverrun_core::protocol::Request>(
        &self,
        node: Option<i32>,
        build: impl Fn(i16) -> R,
    ) -> Result<R::Response, ClientError> {
        let Some(node) = node else { return self.cluster().call_any(build).await };
        if self.cluster().image().address(node).is_none() {
            self.describe_by_metadata().await?;
        }
        match self.cluster().image().address(node) {
            Some(address) => self.pool.call(address, build).await,
            None => Err(ClientError::NoNode { node }),
        }
    }
}

/// A broker's own configuration is to be had from it alone; all else from any.
fn by_node<'a>(resources: impl Iterator<Item = &'a ConfigResource>) -> BTreeMap<Option<i32>, Vec<&'a ConfigResource>> {
    let mut nodes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for resource in resources {
        let node = match resource {
            ConfigResource::Broker(id) => *id,
            ConfigResource::Topic(_) | ConfigResource::Group(_) => None,
        };
        nodes.entry(node).or_default().push(resource);
    }
    nodes
}

/// A configuration by name.
type ConfigEntries = BTreeMap<String, ConfigEntry>;

fn describe_request(version: i16, resources: &[&ConfigResource]) -> DescribeConfigsRequest {
    let resource = |resource: &&ConfigResource| {
        let (resource_type, resource_name) = resource.to_wire();
        DescribeConfigsResource { resource_type, resource_name, configuration_keys: None }
    };
    DescribeConfigsRequest {
        resources: resources.iter().map(resource).collect(),
        include_synonyms: true,
        include_documentation: version >= 3,
    }
}

fn described(result: DescribeConfigsResult) -> Option<(ConfigResource, Result<ConfigEntries, Refused>)> {
    let key = ConfigResource::from_wire(result.resource_type, result.resource_name)?;
    let entries = result.configs.into_iter().map(entry).collect();
    Some((key, item(result.error_code, result.error_message, entries)))
}

fn alter_request(
    resources: &[&ConfigResource],
    changes: &BTreeMap<ConfigResource, BTreeMap<String, AlterConfig>>,
    validate_only: bool,
) -> IncrementalAlterConfigsRequest {
    let resource = |resource: &&ConfigResource| {
        let (resource_type, resource_name) = resource.to_wire();
        let configs = changes.get(*resource).into_iter().flatten().map(alterable).collect();
        AlterConfigsResource { resource_type, resource_name, configs }
    };
    IncrementalAlterConfigsRequest { resources: resources.iter().map(resource).collect(), validate_only }
}

fn entry(config: DescribeConfigsResourceResult) -> (String, ConfigEntry) {
    let synonyms = config.synonyms.into_iter().map(|synonym| ConfigSynonym {
        name: synonym.name,
        value: synonym.value,
        source: ConfigSource::from_wire(synonym.source),
    });
    let entry = ConfigEntry {
        value: config.value,
        source: ConfigSource::from_wire(config.config_source),
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
        kind: ConfigType::from_wire(config.config_type),
        synonyms: synonyms.collect(),
        documentation: config.documentation,
    };
    (config.name, entry)
}

fn alterable((name, change): (&String, &AlterConfig)) -> AlterableConfig {
    let (config_operation, value) = match change {
        AlterConfig::Set(value) => (0, Some(value.clone())),
        AlterConfig::Delete => (1, None),
        AlterConfig::Append(value) => (2, Some(value.clone())),
        AlterConfig::Subtract(value) => (3, Some(value.clone())),
    };
    AlterableConfig { name: name.clone(), config_operation, value }
}
