//! DescribeConfigs (API key 32): the settings of topics and of this broker, with where each value comes from (KIP-226).
//! v3: types and documentation (KIP-569).

use std::collections::BTreeMap;

use riverrun_core::{
    log::LogConfig,
    metadata::{
        CLIENT_METRICS_INTERVAL_MS_DEFAULT, ClientMetricsSubscription, ConfigResource, GroupSettingType, GroupSettings,
    },
    protocol::{
        ErrorCode,
        messages::{
            DescribeConfigsRequest, DescribeConfigsResponse,
            describe_configs::{
                DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
            },
        },
    },
};

use crate::{
    config::{BrokerConfig, ConfigType, UpdateMode, broker_synonym, config_type, is_sensitive},
    groups::group_defaults,
    node::Node,
};

const DYNAMIC_TOPIC: i8 = 1;
const DYNAMIC_BROKER: i8 = 2;
const DYNAMIC_DEFAULT_BROKER: i8 = 3;
const STATIC_BROKER: i8 = 4;
const DEFAULT: i8 = 5;
const DYNAMIC_CLIENT_METRICS: i8 = 7;
const DYNAMIC_GROUP: i8 = 8;

/// What Kafka keeps to itself, and shows only to those who set it.
const INTERNAL: [&str; 1] = ["producer.id.expiration.check.interval.ms"];

pub(super) fn handle(node: &Node, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let (synonyms, documentation) = (request.include_synonyms, request.include_documentation);
    let describe = |resource: DescribeConfigsResource| {
        let (code, message, mut configs) = match rows(node, &resource, synonyms, documentation) {
            Ok(configs) => (ErrorCode::None, None, configs),
            Err((code, message)) => (code, Some(message), Vec::new()),
        };
        if let Some(keys) = &resource.configuration_keys {
            configs.retain(|row| keys.contains(&row.name));
        }
        DescribeConfigsResult {
            error_code: code.code(),
            error_message: message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
            configs,
        }
    };
    DescribeConfigsResponse { results: request.resources.into_iter().map(describe).collect(), ..Default::default() }
}

type Rows = Vec<DescribeConfigsResourceResult>;

fn rows(
    node: &Node,
    resource: &DescribeConfigsResource,
    synonyms: bool,
    documentation: bool,
) -> Result<Rows, (ErrorCode, String)> {
    let resource = ConfigResource::from_wire(resource.resource_type, &resource.resource_name)
        .map_err(|error| (ErrorCode::InvalidRequest, error.to_string()))?;
    match &resource {
        ConfigResource::Topic(name) => {
            let image = node.image();
            if image.topic(name).is_none() {
                return Err((ErrorCode::UnknownTopicOrPartition, format!("topic '{name}' does not exist")));
            }
            Ok(topic_rows(node, &image.configs(&resource), synonyms, documentation))
        }
        ConfigResource::Broker(id) if *id == node.id => Ok(broker_rows(node, synonyms, documentation)),
        ConfigResource::Broker(id) => {
            Err((ErrorCode::InvalidRequest, format!("broker {id} was asked for, this is broker {}", node.id)))
        }
        ConfigResource::AllBrokers => {
            let image = node.image();
            let configs = image.configs(&resource);
            let rows = broker_rows(node, synonyms, documentation).into_iter();
            Ok(rows
                .filter_map(|row| {
                    let value = configs.get(&row.name)?.clone();
                    Some(DescribeConfigsResourceResult {
                        value: (!row.is_sensitive).then_some(value),
                        config_source: DYNAMIC_DEFAULT_BROKER,
                        // What holds for every broker is not what else one of them would go by.
                        synonyms: row.synonyms.into_iter().filter(|s| s.source == DYNAMIC_DEFAULT_BROKER).collect(),
                        ..row
                    })
                })
                .collect())
        }
        ConfigResource::Group(name) if name.is_empty() => {
            Err((ErrorCode::InvalidRequest, "Group name must not be empty".to_owned()))
        }
        ConfigResource::Group(name) => {
            Ok(group_rows(node, name, &node.image().configs(&resource), synonyms, documentation))
        }
        ConfigResource::ClientMetrics(name) if name.is_empty() => {
            Err((ErrorCode::InvalidRequest, "Client metrics subscription name must not be empty".to_owned()))
        }
        ConfigResource::ClientMetrics(_) => {
            Ok(client_metrics_rows(&node.image().configs(&resource), synonyms, documentation))
        }
    }
}

/// The settings of a topic for which `overrides` are set.
pub(super) fn topic_rows(
    node: &Node,
    overrides: &BTreeMap<String, String>,
    synonyms: bool,
    documentation: bool,
) -> Rows {
    let defaults = node.log_defaults();
    let fixed = LogConfig::default().entries();
    defaults
        .entries()
        .into_iter()
        .zip(fixed)
        .map(|(entry, fixed)| {
            let mut all = Vec::new();
            if let Some(value) = overrides.get(entry.name) {
                all.push(synonym(entry.name, value.clone(), DYNAMIC_TOPIC));
            }
            match broker_synonym(entry.name) {
                Some(broker) => all.extend(broker_values(node, broker)),
                None => all.push(synonym(entry.name, fixed.value, DEFAULT)),
            }
            // Where several broker settings make one default, its value is the effective one.
            let overridden = all.first().is_some_and(|first| first.source == DYNAMIC_TOPIC);
            let value = if overridden { all.first().and_then(|first| first.value.clone()) } else { Some(entry.value) };
            DescribeConfigsResourceResult {
                name: entry.name.to_owned(),
                value,
                config_source: all.first().map_or(DEFAULT, |first| first.source),
                synonyms: if synonyms { all } else { Vec::new() },
                config_type: config_type(entry.config_type).wire(),
                documentation: documentation.then(|| entry.doc.to_owned()),
                ..Default::default()
            }
        })
        .collect()
}

/// The settings of a group for which `overrides` are set; a group that nobody ever set has them too. Numbers are as
/// they are in force, should a bound of the broker have changed since.
fn group_rows(
    node: &Node,
    group: &str,
    overrides: &BTreeMap<String, String>,
    synonyms: bool,
    documentation: bool,
) -> Rows {
    let defaults = group_defaults(node.settings.config());
    let effective = node.group_configs.get(group);
    let rows = GroupSettings::SETTINGS.iter().map(|setting| {
        let mut all = Vec::new();
        if let Some(value) = overrides.get(setting.name) {
            all.push(synonym(setting.name, value.clone(), DYNAMIC_GROUP));
        }
        match setting.broker_setting.filter(|name| BrokerConfig::setting(name).is_some()) {
            Some(name) => all.extend(broker_values(node, name)),
            None => {
                let name = setting.broker_setting.unwrap_or(setting.name);
                all.push(synonym(name, defaults.get(setting.name).unwrap_or_default(), DEFAULT));
            }
        }
        let config_type = match setting.setting_type {
            GroupSettingType::Int => ConfigType::Int,
            GroupSettingType::Boolean => ConfigType::Boolean,
            GroupSettingType::String => ConfigType::String,
        };
        DescribeConfigsResourceResult {
            name: setting.name.to_owned(),
            value: match config_type {
                ConfigType::Int => effective.get(setting.name),
                _ => all.first().and_then(|first| first.value.clone()),
            },
            config_source: all.first().map_or(DEFAULT, |first| first.source),
            synonyms: if synonyms { all } else { Vec::new() },
            config_type: config_type.wire(),
            documentation: documentation.then(|| setting.doc.to_owned()),
            ..Default::default()
        }
    });
    rows.collect()
}

/// The settings of a subscription to client metrics; defaults are no synonyms, as in Kafka.
fn client_metrics_rows(overrides: &BTreeMap<String, String>, synonyms: bool, documentation: bool) -> Rows {
    let rows = ClientMetricsSubscription::SETTINGS.iter().map(|(name, doc)| {
        let (default, config_type) = match *name {
            "interval.ms" => (CLIENT_METRICS_INTERVAL_MS_DEFAULT.to_string(), ConfigType::Int),
            _ => (String::new(), ConfigType::List),
        };
        let own = overrides.get(*name).map(|value| synonym(name, value.clone(), DYNAMIC_CLIENT_METRICS));
        DescribeConfigsResourceResult {
            name: (*name).to_owned(),
            value: own.as_ref().map_or(Some(default), |own| own.value.clone()),
            config_source: own.as_ref().map_or(DEFAULT, |own| own.source),
            synonyms: own.into_iter().filter(|_| synonyms).collect(),
            config_type: config_type.wire(),
            documentation: documentation.then(|| (*doc).to_owned()),
            ..Default::default()
        }
    });
    rows.collect()
}

fn broker_rows(node: &Node, synonyms: bool, documentation: bool) -> Rows {
    let shown =
        BrokerConfig::SETTINGS.iter().filter(|s| !INTERNAL.contains(&s.name) || node.settings.given(s.name).is_some());
    let rows = shown.map(|setting| {
        let mut all = broker_values(node, setting.name);
        let is_sensitive = is_sensitive(setting.name);
        if is_sensitive {
            all.iter_mut().for_each(|value| value.value = None);
        }
        DescribeConfigsResourceResult {
            is_sensitive,
            name: setting.name.to_owned(),
            value: all.first().and_then(|first| first.value.clone()),
            read_only: setting.mode == UpdateMode::ReadOnly,
            config_source: all.first().map_or(DEFAULT, |first| first.source),
            synonyms: if synonyms { all } else { Vec::new() },
            config_type: setting.config_type.wire(),
            documentation: documentation.then(|| setting.doc.to_owned()),
        }
    });
    rows.collect()
}

/// The values of a broker setting, the one in force first; none if it is not set and has no default.
fn broker_values(node: &Node, name: &str) -> Vec<DescribeConfigsSynonym> {
    let image = node.image();
    let dynamic = |resource: &ConfigResource| image.configs(resource).get(name).cloned();
    let own = dynamic(&ConfigResource::Broker(node.id)).map(|value| synonym(name, value, DYNAMIC_BROKER));
    let all = dynamic(&ConfigResource::AllBrokers).map(|value| synonym(name, value, DYNAMIC_DEFAULT_BROKER));
    let given = node.settings.given(name).map(|value| synonym(name, value.to_owned(), STATIC_BROKER));
    let default = BrokerConfig::default().get(name).map(|value| synonym(name, value, DEFAULT));
    [own, all, given, default].into_iter().flatten().collect()
}

fn synonym(name: &str, value: String, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym { name: name.to_owned(), value: Some(value), source }
}
