//! A configuration file, whichever of the two formats: the worker's keys and those of any number of connectors.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Properties, properties_file, toml_file};

/// What a file, or several together, configure.
///
/// In TOML one file holds it all; keys are Kafka Connect's, nested tables are joined with dots, arrays become lists:
///
/// ```
/// use std::path::Path;
/// use riverrun_connect::config::ConfigFile;
///
/// let file = ConfigFile::parse_toml(
///     r#"
///     [worker]
///     offset.flush.interval.ms = 1000
///
///     [connector.metrics]
///     connector.class = "host-metrics"
///     topic = "host-metrics"
///
///     [connector.archive]
///     connector.class = "file-sink"
///     topics = ["host-metrics", "logs"]
///     file = "out.jsonl"
///     "#,
///     Path::new("connect.toml"),
/// )?;
/// assert_eq!(file.connectors.len(), 2);
/// assert_eq!(file.worker.get("offset.flush.interval.ms"), Some("1000"));
/// # Ok::<(), riverrun_connect::config::ConfigFileError>(())
/// ```
///
/// A properties file holds one connector (it has `connector.class`) or the worker, as Kafka's standalone worker takes
/// them: `connect-standalone worker.properties one.properties two.properties`.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    /// The worker's keys.
    pub worker: Properties,
    /// One per connector.
    pub connectors: Vec<Properties>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFileError {
    /// It cannot be read.
    #[error("{}: cannot read this configuration: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is neither of the two formats.
    #[error("{}: a configuration file's name ends in `.toml` or `.properties`", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// It does not follow its format.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and how to put it right.
        message: String,
    },
}

impl ConfigFileError {
    pub(super) fn syntax(path: &Path, line: usize, message: &str) -> Self {
        Self::Syntax { path: path.to_owned(), line, message: message.to_owned() }
    }
}

impl ConfigFile {
    /// Reads a `.toml` or `.properties` file. Blocks; call it before anything runs.
    ///
    /// # Errors
    /// The file cannot be read, or does not follow its format.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigFileError> {
        let path = path.as_ref();
        let parse = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::parse_toml,
            Some("properties") => Self::parse_properties,
            _ => return Err(ConfigFileError::Format { path: path.to_owned() }),
        };
        let text =
            fs::read_to_string(path).map_err(|source| ConfigFileError::Read { path: path.to_owned(), source })?;
        parse(&text, path)
    }

    /// Reads TOML; `path` is for messages only.
    ///
    /// # Errors
    /// The text is not TOML, or holds something that is no configuration.
    pub fn parse_toml(text: &str, path: &Path) -> Result<Self, ConfigFileError> {
        toml_file::parse(text, path)
    }

    /// Reads properties; `path` is for messages only.
    ///
    /// # Errors
    /// The text does not follow the format.
    pub fn parse_properties(text: &str, path: &Path) -> Result<Self, ConfigFileError> {
        let properties = properties_file::parse(text, path)?;
        if properties.contains("connector.class") || properties.contains("name") {
            Ok(Self { worker: Properties::new(), connectors: vec![properties] })
        } else {
            Ok(Self { worker: properties, connectors: Vec::new() })
        }
    }

    /// Takes over a further file: its worker keys in place of those of the same names, and its connectors besides.
    pub fn merge(&mut self, other: Self) {
        self.worker.merge(other.worker);
        self.connectors.extend(other.connectors);
    }
}
