//! The table of a configuration's keys, and checking texts against it.

use std::{cell::RefCell, slice};

use serde::Serialize;

use super::{ConfigError, ConfigErrors, ConfigProblem, ConfigValue, Expected, Properties};

/// A typed configuration together with the table of its keys; [`config!`](crate::config!) writes both.
pub trait Configuration: Sized + Send + 'static {
    /// The table, in the order in which the keys should be read.
    const KEYS: &'static [ConfigKey];

    /// Reads the keys of the table; other keys are not looked at.
    ///
    /// # Errors
    /// Every key that is missing or not allowed.
    fn from_properties(properties: &Properties) -> Result<Self, ConfigErrors>;
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// The key as it is written in a file.
    pub name: &'static str,
    /// The type of its value.
    pub kind: ConfigType,
    /// The text it stands at when it is not set.
    pub default: Option<&'static str>,
    /// True if it must be set.
    pub required: bool,
    /// Which values are allowed.
    pub validator: Validator,
    /// How much it matters to somebody who configures this for the first time.
    pub importance: Importance,
    /// What it is for, as written above the field.
    pub doc: &'static str,
    /// Reads a text as the key's type, for checks that need no typed value.
    pub probe: fn(&str) -> Result<(), Expected>,
}

impl ConfigKey {
    /// What it is for, without the blanks a doc comment brings along.
    pub fn description(&self) -> &'static str {
        self.doc.trim()
    }
}

/// Types of values, named as Kafka Connect's REST interface names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// 16 bits.
    Short,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// Floating point.
    Double,
    /// Comma-separated texts.
    List,
    /// The name of a class, or one of our short names.
    Class,
    /// A text that is never shown.
    Password,
}

/// How much a key matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Importance {
    /// Look at it first.
    High,
    /// Look at it when tuning.
    Medium,
    /// Leave it alone unless you know why.
    Low,
}

/// Which values of a key are allowed, beyond those its type allows.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Validator {
    /// All of them.
    Any,
    /// A number of at least this.
    AtLeast(i64),
    /// A number within these bounds, both included.
    Between(i64, i64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A text, or a list, that is not empty.
    NonEmpty,
    /// Anything else; the function says what it expected.
    Custom(fn(&str) -> Result<(), Expected>),
}

impl Validator {
    /// Checks the trimmed text of a key.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn check(&self, text: &str) -> Result<(), Expected> {
        let number = || text.replace('_', "").parse::<f64>().unwrap_or(f64::NAN);
        match *self {
            Self::Any => Ok(()),
            Self::AtLeast(least) if number() >= least as f64 => Ok(()),
            Self::AtLeast(least) => Err(format!("a number of {least} or more").into()),
            Self::Between(least, most) if number() >= least as f64 && number() <= most as f64 => Ok(()),
            Self::Between(least, most) => Err(format!("a number from {least} to {most}").into()),
            Self::OneOf(values) if values.contains(&text) => Ok(()),
            Self::OneOf(values) => Err(format!("one of `{}`", values.join("`, `")).into()),
            Self::NonEmpty if text.split(',').any(|item| !item.trim().is_empty()) => Ok(()),
            Self::NonEmpty => Err("a value that is not empty".into()),
            Self::Custom(check) => check(text),
        }
    }
}

/// Reads keys one after the other, in the order of their table. Used by the code that [`config!`](crate::config!) writes.
#[doc(hidden)]
#[derive(Debug)]
pub struct ConfigReader<'a> {
    properties: &'a Properties,
    /// Keys not read yet, and what was wrong with the others. A cell, since a table may be empty and never be read.
    state: RefCell<(slice::Iter<'a, ConfigKey>, Vec<ConfigError>)>,
}

impl<'a> ConfigReader<'a> {
    #[doc(hidden)]
    pub fn new(properties: &'a Properties, keys: &'a [ConfigKey]) -> Self {
        Self { properties, state: RefCell::new((keys.iter(), Vec::new())) }
    }

    #[doc(hidden)]
    pub fn read<T: ConfigValue>(&self) -> Option<T> {
        let (keys, errors) = &mut *self.state.borrow_mut();
        let key = keys.next()?;
        let text = self.properties.get(key.name).or(key.default).map(str::trim);
        let Some(text) = text else {
            let absent = T::absent();
            if absent.is_none() {
                errors.push(problem(self.properties, key, missing(key)));
            }
            return absent;
        };
        let value = T::parse(text).and_then(|value| key.validator.check(text).map(|()| value));
        value.map_err(|expected| errors.push(problem(self.properties, key, invalid(key, text, expected)))).ok()
    }

    #[doc(hidden)]
    pub fn is_clean(&self) -> bool {
        self.state.borrow().1.is_empty()
    }

    #[doc(hidden)]
    pub fn into_errors(self) -> ConfigErrors {
        ConfigErrors(self.state.into_inner().1)
    }
}

/// Checks `properties` against several tables at once: every key set must be in one of them, every required key must
/// be set, every value must be allowed. This is all that can be said without starting a connector.
///
/// # Errors
/// Every key that is wrong, unknown keys with the known key most like them.
pub fn check(properties: &Properties, tables: &[&[ConfigKey]]) -> Result<(), ConfigErrors> {
    let keys = || tables.iter().flat_map(|table| table.iter());
    let mut errors = Vec::new();
    for key in keys() {
        let text = properties.get(key.name).or(key.default).map(str::trim);
        match text {
            None if key.required => errors.push(problem(properties, key, missing(key))),
            None => {}
            Some(text) => {
                if let Err(expected) = (key.probe)(text).and_then(|()| key.validator.check(text)) {
                    errors.push(problem(properties, key, invalid(key, text, expected)));
                }
            }
        }
    }
    for (name, _) in properties.iter().filter(|(name, _)| !keys().any(|key| key.name == *name)) {
        let note = NOT_HERE.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, note)| *note);
        let nearest = nearest(name, keys().map(|key| key.name));
        let problem = ConfigProblem::Unknown { nearest, note };
        errors.push(ConfigError { origin: properties.origin(name), key: name.to_owned(), problem });
    }
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
}

/// The candidate spelled most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, _)| *distance <= (name.len() / 3).max(2))
        .map(|(_, candidate)| candidate.to_owned())
}

fn problem(properties: &Properties, key: &ConfigKey, problem: ConfigProblem) -> ConfigError {
    ConfigError { origin: properties.origin(key.name), key: key.name.to_owned(), problem }
}

fn missing(key: &ConfigKey) -> ConfigProblem {
    ConfigProblem::Missing { doc: key.description().to_owned() }
}

fn invalid(key: &ConfigKey, text: &str, expected: Expected) -> ConfigProblem {
    let value = (key.kind != ConfigType::Password).then(|| text.to_owned());
    ConfigProblem::Invalid { value, expected: expected.0.into_owned() }
}

/// Keys of Kafka Connect that have no meaning here, by prefix.
const NOT_HERE: &[(&str, &str)] = &[
    ("transforms", "Kafka Connect has it, this runtime has no transforms"),
    ("predicates", "Kafka Connect has it, this runtime has no transforms"),
    ("header.converter", "headers are passed on as bytes here"),
    ("producer.override.", "client settings are those of the worker's client"),
    ("consumer.override.", "client settings are those of the worker's client"),
    ("exactly.once.support", "delivery is at least once here"),
    ("transaction.boundary", "delivery is at least once here"),
    ("topics.regex", "list the topics under `topics`"),
    ("config.action.reload", "there are no config providers here"),
    ("plugin.path", "connectors are compiled in, nothing is loaded from a path"),
];

#[cfg(test)]
mod tests {
    use super::*;

    crate::config! {
        /// For the tests below.
        struct Sample {
            /// Where records go.
            topic: String = "topic", High, valid Validator::NonEmpty;
            /// How many
            /// at once.
            batch: usize = "batch.size", Medium, default "10", valid Validator::Between(1, 100);
            /// Maybe a limit.
            limit: Option<i64> = "limit", Low;
            /// A secret.
            secret: Option<super::super::Password> = "secret", Low,
                valid Validator::Custom(|text| if text.len() < 3 { Err("three characters".into()) } else { Ok(()) });
        }
    }

    fn errors(properties: &Properties) -> String {
        check(properties, &[Sample::KEYS]).map_or_else(|errors| errors.to_string(), |()| String::new())
    }

    #[test]
    fn values_and_defaults() {
        let sample = Sample::from_properties(&Properties::new().set("topic", " t ")).unwrap();
        assert_eq!((sample.topic.as_str(), sample.batch, sample.limit), ("t", 10, None));
        assert!(sample.secret.is_none());
        assert_eq!(Sample::KEYS[1].description(), "How many at once.");
        assert!(Sample::KEYS[0].required && !Sample::KEYS[1].required && !Sample::KEYS[2].required);
    }

    #[test]
    fn all_errors_at_once() {
        let properties = Properties::new().set("batch.size", "0").set("limit", "many").set("tpoic", "x");
        let text = errors(&properties);
        assert!(text.contains("`topic` is required and not set: Where records go."), "{text}");
        assert!(text.contains("`batch.size` is `0`: expected a number from 1 to 100"), "{text}");
        assert!(text.contains("`limit` is `many`: expected a whole number"), "{text}");
        assert!(text.contains("unknown key `tpoic`; did you mean `topic`?"), "{text}");
        assert_eq!(Sample::from_properties(&properties).err().map(|errors| errors.0.len()), Some(3));
    }

    #[test]
    fn kafka_keys_without_meaning_say_so() {
        let text = errors(&Properties::new().set("topic", "t").set("transforms", "a"));
        assert!(text.contains("unknown key `transforms`: Kafka Connect has it"), "{text}");
    }

    #[test]
    fn secrets_stay_hidden() {
        let properties = Properties::new().set("topic", "t").set("secret", "ab");
        assert_eq!(errors(&properties), "`secret`: expected three characters");
        assert!(!format!("{properties:?}").contains("ab"));
    }
}
