//! The broker's configuration: what was set before the start, what was set while it ran, and where each value comes
//! from. [`BrokerConfig`] is the table; `Settings` keeps what was given apart from the defaults.
//!
//! A name that Kafka knows but that means nothing here is accepted with a warning; a name that nobody knows is refused
//! with the nearest match, since a misspelt setting that is silently ignored is the worst of the three.

mod broker;
mod kafka_names;
mod page;
mod properties;
mod rules;
mod value;

pub use broker::{BrokerConfig, InvalidValue, Setting};
pub use page::reference_page;
pub(crate) use properties::parse as parse_properties;
pub(crate) use rules::{Rules, broker_synonym, config_type, topic_config};
pub use value::{ConfigType, Durability, Importance, Secret, UpdateMode};

/// What `riverrun broker --help` says of the settings.
pub fn help() -> String {
    page::help()
}

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither Riverrun nor Kafka has a broker setting of this name.
    #[error("unknown broker setting `{name}`{}", suggestion(nearest.as_deref()))]
    UnknownName {
        /// The name given.
        name: String,
        /// The known name that looks most like it, if any does.
        nearest: Option<String>,
    },
    /// The value is of the wrong type or out of bounds.
    #[error(transparent)]
    InvalidValue(#[from] InvalidValue),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// What became of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is in force.
    Effective,
    /// Kafka has such a setting, but it means nothing here.
    WithoutEffect,
}

/// Names by which settings go besides the one in the table.
const ALIASES: &[(&str, &str)] = &[("broker.id", "node.id")];

/// Settings as they were given, with the configuration they add up to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Name and value of each setting given, last one wins.
    given: std::collections::BTreeMap<String, String>,
    /// Settings of one listener, or of one mechanism of one: `listener.name.<listener>.[<mechanism>.]<setting>`.
    of_listeners: std::collections::BTreeMap<String, Secret>,
    config: BrokerConfig,
}

/// How the names of settings of one listener begin.
const LISTENER_PREFIX: &str = "listener.name.";

/// Settings that a listener can have of its own.
fn has_listener_form(name: &str) -> bool {
    name.starts_with("ssl.")
        || name.starts_with("sasl.")
        || [
            "connections.max.reauth.ms",
            "connection.failed.authentication.delay.ms",
            "max.connections",
            "max.connection.creation.rate",
        ]
        .contains(&name)
}

impl Settings {
    /// Takes one setting.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<Accepted, ConfigError> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, own)| own);
        if let Some(setting) = listener_setting(name) {
            // Checked now, on a copy, and laid over the common settings when the listener is set up.
            self.config.clone().set(setting, value)?;
            self.of_listeners.insert(name.to_owned(), Secret::new(value));
            return Ok(Accepted::Effective);
        }
        if self.config.set(name, value)? {
            self.given.insert(name.to_owned(), self.config.get(name).unwrap_or_default());
            Ok(Accepted::Effective)
        } else if kafka_names::is_known(name) {
            Ok(Accepted::WithoutEffect)
        } else {
            Err(ConfigError::UnknownName { name: name.to_owned(), nearest: nearest(name) })
        }
    }

    /// The value that was given for a setting.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// What the settings add up to.
    pub(crate) fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// Whether a setting was given for this very listener.
    pub(crate) fn is_listeners_own(&self, listener: &str, setting: &str) -> bool {
        self.of_listeners.contains_key(&format!("{LISTENER_PREFIX}{}.{setting}", listener.to_ascii_lowercase()))
    }

    /// What they add up to for one listener, and for one mechanism of it: the settings of the mechanism before those of
    /// the listener before the common ones.
    pub(crate) fn of_listener(&self, listener: &str, mechanism: Option<&str>) -> BrokerConfig {
        let mut config = self.config.clone();
        // Kafka takes no JAAS configuration of a server without listener and mechanism.
        config.sasl_jaas_config = None;
        let listener = format!("{LISTENER_PREFIX}{}.", listener.to_ascii_lowercase());
        let mechanism = mechanism.map(|mechanism| format!("{listener}{}.", mechanism.to_ascii_lowercase()));
        for prefix in std::iter::once(&listener).chain(&mechanism) {
            for (name, value) in &self.of_listeners {
                // What remains after the listener's prefix and names a mechanism is no setting and is passed over.
                if let Some(setting) = name.strip_prefix(prefix.as_str()) {
                    let _ = config.set(setting, value.reveal());
                }
            }
        }
        config
    }
}

/// The setting in the name of a setting of one listener, or of one mechanism of one.
fn listener_setting(name: &str) -> Option<&'static str> {
    let (_listener, rest) = name.strip_prefix(LISTENER_PREFIX)?.split_once('.')?;
    let known = |name: &str| {
        BrokerConfig::setting(name).filter(|setting| has_listener_form(setting.name)).map(|setting| setting.name)
    };
    known(rest).or_else(|| known(rest.split_once('.')?.1))
}

/// Whether the value of a setting must not be shown.
pub(crate) fn is_sensitive(name: &str) -> bool {
    let name = listener_setting(name).unwrap_or(name);
    BrokerConfig::setting(name).is_some_and(|setting| setting.config_type == ConfigType::Password)
}

/// The known setting whose name is most like `name`, if one is much like it.
fn nearest(name: &str) -> Option<String> {
    let known = BrokerConfig::SETTINGS.iter().map(|setting| setting.name);
    known
        .chain(kafka_names::WITHOUT_EFFECT.iter().copied())
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 3.max(candidate.len() / 4))
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_three_kinds() {
        let mut settings = Settings::default();
        assert_eq!(settings.set("num.partitions", "3"), Ok(Accepted::Effective));
        assert_eq!(settings.set("broker.id", "7"), Ok(Accepted::Effective));
        assert_eq!(settings.set("num.io.threads", "8"), Ok(Accepted::WithoutEffect));
        let error = settings.set("num.partition", "3").unwrap_err();
        assert_eq!(error.to_string(), "unknown broker setting `num.partition`; did you mean `num.partitions`?");
        let error = settings.set("completely.different.thing.altogether", "3").unwrap_err();
        assert!(matches!(error, ConfigError::UnknownName { nearest: None, .. }), "{error}");
        assert_eq!((settings.config().num_partitions, settings.config().node_id), (3, 7));
    }

    #[test]
    fn a_listener_has_settings_of_its_own() {
        let mut settings = Settings::default();
        settings.set("ssl.client.auth", "required").unwrap();
        settings.set("listener.name.outside.ssl.client.auth", "none").unwrap();
        settings.set("listener.name.outside.plain.sasl.jaas.config", "x user_a=\"secret\";").unwrap();
        assert_eq!(settings.of_listener("INSIDE", None).ssl_client_auth, "required");
        let outside = settings.of_listener("OUTSIDE", Some("PLAIN"));
        assert_eq!(outside.ssl_client_auth, "none");
        assert!(outside.sasl_jaas_config.is_some());
        assert!(settings.of_listener("OUTSIDE", None).sasl_jaas_config.is_none());
        assert!(!format!("{settings:?}").contains("secret"));
        assert!(is_sensitive("listener.name.outside.plain.sasl.jaas.config") && !is_sensitive("ssl.client.auth"));
        assert!(settings.set("listener.name.outside.ssl.client.auth", "perhaps").is_err());
    }
}
