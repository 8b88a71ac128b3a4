//! What can be wrong with a configuration, one fact per error, all of a connector's errors together.

use std::{fmt, path::Path, sync::Arc};

/// The place a key was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The configuration file.
    pub file: Arc<Path>,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

/// One key that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the key was written; `None` if a program set it.
    pub origin: Option<Origin>,
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub problem: ConfigProblem,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// A required key is not set.
    Missing {
        /// What the key is for.
        doc: String,
    },
    /// The value cannot be read, or is not allowed.
    Invalid {
        /// The value as written; `None` for a secret.
        value: Option<String>,
        /// What would be right.
        expected: String,
    },
    /// No such key.
    Unknown {
        /// The known key that is spelled most alike.
        nearest: Option<String>,
        /// Said about keys that Kafka Connect knows and this runtime does not.
        note: Option<&'static str>,
    },
}

impl ConfigError {
    /// A value that a connector finds wrong only when it looks at several keys together.
    pub fn invalid(key: &str, value: &str, expected: impl Into<String>) -> Self {
        let problem = ConfigProblem::Invalid { value: Some(value.to_owned()), expected: expected.into() };
        Self { origin: None, key: key.to_owned(), problem }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        let key = &self.key;
        match &self.problem {
            ConfigProblem::Missing { doc } => write!(f, "`{key}` is required and not set: {doc}"),
            ConfigProblem::Invalid { value: Some(value), expected } => {
                write!(f, "`{key}` is `{value}`: expected {expected}")
            }
            ConfigProblem::Invalid { value: None, expected } => write!(f, "`{key}`: expected {expected}"),
            ConfigProblem::Unknown { nearest, note } => {
                write!(f, "unknown key `{key}`")?;
                if let Some(note) = note {
                    write!(f, ": {note}")?;
                }
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None => write!(f, "; remove it"),
                }
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with one configuration, so that it can be corrected in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
