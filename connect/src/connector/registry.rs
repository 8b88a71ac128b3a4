//! Which connectors there are, by name. They are compiled in: nothing is loaded at run time.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::{Sink, SinkFactory, Source, SourceFactory, erased::Typed};
use crate::{
    config::{
        CommonConfig, ConfigErrors, ConfigKey, Configuration, Properties, SinkConfig, SourceConfig, check, nearest,
    },
    connectors::{Console, Datagen, FileSink, FileTail, HostMetrics},
};

/// Which way a connector moves records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorKind {
    /// Into the log.
    Source,
    /// Out of the log.
    Sink,
}

/// A registered connector.
#[derive(Clone)]
pub struct Plugin {
    /// The name to configure it by.
    pub name: &'static str,
    /// Further names, such as Kafka's class name for a counterpart.
    pub aliases: &'static [&'static str],
    /// Which way it moves records.
    pub kind: ConnectorKind,
    /// Its own keys; see [`Plugin::tables`] for all of them.
    pub keys: &'static [ConfigKey],
    pub(crate) factory: Factory,
}

#[derive(Clone)]
pub(crate) enum Factory {
    Source(Arc<dyn SourceFactory>),
    Sink(Arc<dyn SinkFactory>),
}

impl Plugin {
    /// The tables of all its keys: those of every connector, those of every connector of its kind, its own.
    pub fn tables(&self) -> [&'static [ConfigKey]; 3] {
        let of_kind = match self.kind {
            ConnectorKind::Source => SourceConfig::KEYS,
            ConnectorKind::Sink => SinkConfig::KEYS,
        };
        [CommonConfig::KEYS, of_kind, self.keys]
    }

    /// Checks a whole configuration without starting anything.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, properties: &Properties) -> Result<(), ConfigErrors> {
        check(properties, &self.tables())
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// No connector of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownConnector {
    /// The name.
    pub class: String,
    /// The name most like it.
    pub nearest: Option<String>,
    /// All names.
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connector `{}`", self.class)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        write!(f, " (there are: {})", self.known.join(", "))
    }
}

impl std::error::Error for UnknownConnector {}

/// The connectors that a worker can run.
#[derive(Clone, Debug)]
pub struct Connectors(Vec<Plugin>);

impl Default for Connectors {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Connectors {
    /// None at all.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Those of this crate.
    pub fn builtin() -> Self {
        Self::none()
            .with_source::<HostMetrics>("host-metrics")
            .with_source::<FileTail>("file-tail")
            .alias(&["FileStreamSource", "FileStreamSourceConnector"])
            .with_source::<Datagen>("datagen")
            .alias(&["DatagenConnector"])
            .with_sink::<FileSink>("file-sink")
            .alias(&["json-lines", "FileStreamSink", "FileStreamSinkConnector"])
            .with_sink::<Console>("console")
    }

    /// Adds a source under `name`, in place of an earlier one of that name.
    #[must_use]
    pub fn with_source<S: Source>(self, name: &'static str) -> Self {
        let factory = Factory::Source(Arc::new(Typed::<S>::new()));
        self.with(Plugin { name, aliases: &[], kind: ConnectorKind::Source, keys: S::Config::KEYS, factory })
    }

    /// Adds a sink under `name`, in place of an earlier one of that name.
    #[must_use]
    pub fn with_sink<S: Sink>(self, name: &'static str) -> Self {
        let factory = Factory::Sink(Arc::new(Typed::<S>::new()));
        self.with(Plugin { name, aliases: &[], kind: ConnectorKind::Sink, keys: S::Config::KEYS, factory })
    }

    /// Further names of the connector added last.
    #[must_use]
    pub fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.aliases = aliases;
        }
        self
    }

    /// The connector that `class` names: by its name or an alias, without regard to case, or as the last part of a Java
    /// class name.
    ///
    /// # Errors
    /// There is none; the error names the nearest.
    pub fn find(&self, class: &str) -> Result<&Plugin, UnknownConnector> {
        let short = class.trim().rsplit('.').next().unwrap_or(class);
        let names = |plugin: &'_ Plugin| std::iter::once(plugin.name).chain(plugin.aliases.iter().copied());
        let is_it = |plugin: &&Plugin| names(plugin).any(|name| name.eq_ignore_ascii_case(short));
        self.0.iter().find(is_it).ok_or_else(|| UnknownConnector {
            class: class.to_owned(),
            nearest: nearest(short, self.0.iter().flat_map(names)),
            known: self.0.iter().map(|plugin| plugin.name).collect(),
        })
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.0.iter()
    }

    fn with(mut self, plugin: Plugin) -> Self {
        self.0.retain(|other| other.name != plugin.name);
        self.0.push(plugin);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_aliases_and_the_nearest() {
        let connectors = Connectors::builtin();
        for class in ["file-tail", "FileStreamSource", "org.apache.kafka.connect.file.FileStreamSourceConnector"] {
            assert_eq!(connectors.find(class).unwrap().name, "file-tail");
        }
        assert_eq!(connectors.find("json-lines").unwrap().kind, ConnectorKind::Sink);
        let error = connectors.find("host-metric").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("host-metrics"));
        assert!(error.to_string().contains("did you mean `host-metrics`?"));
    }

    #[test]
    fn no_key_is_in_two_tables_and_each_default_is_allowed() {
        for plugin in Connectors::builtin().iter() {
            let keys: Vec<_> = plugin.tables().into_iter().flatten().collect();
            for (index, key) in keys.iter().enumerate() {
                assert!(!keys[..index].iter().any(|other| other.name == key.name), "{} twice", key.name);
                assert!(!key.description().is_empty(), "{} needs a text", key.name);
                if let Some(default) = key.default {
                    assert_eq!(
                        (key.probe)(default).and_then(|()| key.validator.check(default)),
                        Ok(()),
                        "{}",
                        key.name
                    );
                }
            }
        }
    }
}
