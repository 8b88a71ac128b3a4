//! Subscriptions to client metrics (KIP-714): which clients are to send which of their metrics, and how often. Stored as
//! settings of a resource whose name is the subscription's.
//!
//! A pattern is a regular expression for the whole of one attribute of a client. It is the caller's to compile: this
//! crate only parts the attribute from it.
//!
//! Source: Kafka `ClientMetricsConfigs`.

use std::collections::BTreeMap;

/// `interval.ms` if it is not set: five minutes.
pub const CLIENT_METRICS_INTERVAL_MS_DEFAULT: i32 = 300_000;
/// The bounds of `interval.ms`.
const INTERVAL_MS: std::ops::RangeInclusive<i32> = 100..=3_600_000;

/// What patterns can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientAttribute {
    /// The id that the client drew for itself.
    InstanceId,
    /// `client.id`.
    Id,
    /// The name of its software.
    SoftwareName,
    /// The version of its software.
    SoftwareVersion,
    /// The address it comes from.
    SourceAddress,
    /// The port it comes from.
    SourcePort,
}

impl ClientAttribute {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "client_instance_id" => Self::InstanceId,
            "client_id" => Self::Id,
            "client_software_name" => Self::SoftwareName,
            "client_software_version" => Self::SoftwareVersion,
            "client_source_address" => Self::SourceAddress,
            "client_source_port" => Self::SourcePort,
            _ => return None,
        })
    }
}

/// A subscription cannot be so. The words are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientMetricsError {
    /// Subscriptions have no setting of that name.
    #[error("Unknown client metrics configuration: {name}")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// The interval is no number.
    #[error("Invalid value {value} for configuration interval.ms: Not a number of type INT")]
    NotANumber {
        /// The value.
        value: String,
    },
    /// The interval is out of bounds.
    #[error("Invalid value {value} for interval.ms, interval must be between 100 and 3600000 (1 hour)")]
    Interval {
        /// The value.
        value: i32,
    },
    /// A pattern names no attribute, or is no regular expression.
    #[error("Illegal client matching pattern: {pattern}")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMetricsSubscription {
    /// Prefixes of the names of metrics; `*` for all. None are wanted if it is empty.
    pub metrics: Vec<String>,
    /// How often they are to be sent.
    pub interval_ms: i32,
    /// Which clients: all these patterns must fit. All clients if it is empty.
    pub matches: Vec<(ClientAttribute, String)>,
}

impl ClientMetricsSubscription {
    /// The settings: name and what they mean.
    pub const SETTINGS: [(&'static str, &'static str); 3] = [
        ("interval.ms", "Metrics push interval in milliseconds"),
        ("match", "Client match criteria"),
        ("metrics", "Telemetry metric name prefix list"),
    ];

    /// Reads what is set of a subscription; `is_regex` says whether a text is a regular expression.
    ///
    /// # Errors
    /// The first setting that is unknown or must not be so.
    pub fn parse(
        configs: &BTreeMap<String, String>,
        is_regex: impl Fn(&str) -> bool,
    ) -> Result<Self, ClientMetricsError> {
        let mut subscription =
            Self { metrics: Vec::new(), interval_ms: CLIENT_METRICS_INTERVAL_MS_DEFAULT, matches: Vec::new() };
        for (name, value) in configs {
            match name.as_str() {
                "metrics" => subscription.metrics = words(value).map(str::to_owned).collect(),
                "interval.ms" => {
                    let interval = value.trim().parse();
                    let interval = interval.map_err(|_| ClientMetricsError::NotANumber { value: value.clone() })?;
                    if !INTERVAL_MS.contains(&interval) {
                        return Err(ClientMetricsError::Interval { value: interval });
                    }
                    subscription.interval_ms = interval;
                }
                "match" => {
                    let pattern = |pattern: &str| {
                        let parts = pattern.split_once('=').filter(|(_, regex)| !regex.contains('='));
                        let parts = parts.and_then(|(name, regex)| {
                            Some((ClientAttribute::from_name(name.trim())?, regex.trim().to_owned()))
                        });
                        parts
                            .filter(|(_, regex)| !regex.is_empty() && is_regex(regex))
                            .ok_or_else(|| ClientMetricsError::Pattern { pattern: pattern.to_owned() })
                    };
                    subscription.matches = words(value).map(pattern).collect::<Result<_, _>>()?;
                }
                _ => return Err(ClientMetricsError::UnknownName { name: name.clone() }),
            }
        }
        Ok(subscription)
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<ClientMetricsSubscription, String> {
        let configs = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        ClientMetricsSubscription::parse(&configs, |regex| regex != "(").map_err(|error| error.to_string())
    }

    #[test]
    fn a_subscription_is_read_with_kafkas_rules() {
        assert_eq!(parse("metrics", "a., b.").unwrap().metrics, ["a.", "b."]);
        assert_eq!(parse("metrics", "").unwrap().interval_ms, 300_000);
        let matches = parse("match", "client_id=abc.*,client_software_name=x").unwrap().matches;
        let expected = [(ClientAttribute::Id, "abc.*".to_owned()), (ClientAttribute::SoftwareName, "x".to_owned())];
        assert_eq!(matches, expected);
        for (name, value, words) in [
            ("interval.ms", "5", "Invalid value 5 for interval.ms, interval must be between 100 and 3600000 (1 hour)"),
            ("interval.ms", "x", "Invalid value x for configuration interval.ms: Not a number of type INT"),
            ("match", "foo=abc", "Illegal client matching pattern: foo=abc"),
            ("match", "client_id=(", "Illegal client matching pattern: client_id=("),
            ("match", "client_id", "Illegal client matching pattern: client_id"),
            ("nope", "x", "Unknown client metrics configuration: nope"),
        ] {
            assert_eq!(parse(name, value), Err(words.to_owned()));
        }
    }
}
