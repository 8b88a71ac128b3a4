//! What is set for each group, as values that the coordinators read: the group's own over the broker's.
//!
//! Rebuilt whenever settings change; reading is one look-up under a read lock that nobody holds for long.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use riverrun_core::metadata::{ConfigResource, GroupSettingBound, GroupSettingError, GroupSettings, Image};

use crate::config::BrokerConfig;

/// The settings of all groups.
#[derive(Debug, Default)]
pub(crate) struct GroupConfigs {
    current: RwLock<Current>,
}

#[derive(Debug, Default)]
struct Current {
    defaults: Arc<GroupSettings>,
    /// Groups for which something is set.
    own: HashMap<Arc<str>, Arc<GroupSettings>>,
}

impl GroupConfigs {
    /// What holds for a group.
    pub(crate) fn get(&self, group_id: &str) -> Arc<GroupSettings> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(current.own.get(group_id).unwrap_or(&current.defaults))
    }

    /// Takes over what the metadata and the broker's settings say now.
    pub(crate) fn update(&self, config: &BrokerConfig, image: &Image) {
        let defaults = group_defaults(config);
        let own = image.configured_resources().filter_map(|resource| {
            let ConfigResource::Group(name) = resource else { return None };
            let settings = defaults.with(&image.configs(resource), |bound| broker_bound(config, bound));
            Some((Arc::clone(name), Arc::new(settings)))
        });
        let own = own.collect();
        let current = Current { defaults: Arc::new(defaults), own };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }
}

/// What holds for groups that set nothing: the broker's own settings, where it has them.
pub(crate) fn group_defaults(config: &BrokerConfig) -> GroupSettings {
    let mut defaults = GroupSettings::default();
    for setting in GroupSettings::SETTINGS {
        if let Some(value) = setting.broker_setting.and_then(|name| config.get(name))
            && let Err(error) = defaults.set(setting.name, &value)
        {
            tracing::warn!(setting = setting.broker_setting, value, %error, "no default for groups");
        }
    }
    defaults
}

/// Checks what the broker sets for all groups.
pub(crate) fn check_group_defaults(config: &BrokerConfig) -> Result<(), GroupSettingError> {
    group_defaults(config).validate_defaults(|bound| broker_bound(config, bound))
}

/// A bound as the broker's settings give it.
pub(crate) fn broker_bound(config: &BrokerConfig, bound: GroupSettingBound) -> i32 {
    config.get(bound.name).and_then(|value| value.parse().ok()).unwrap_or(bound.default)
}
