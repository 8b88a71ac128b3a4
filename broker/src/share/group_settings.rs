//! What holds for one share group: its own settings (`share.*` of its GROUP resource) within the broker's bounds, and the
//! broker's (`group.share.*`) for what it does not set.

use std::collections::BTreeMap;

use riverrun_core::{metadata::ConfigResource, share::partition::Limits};

use crate::{config::BrokerConfig, node::Node, storage::ReadIsolation};

/// The settings of one share group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupSettings {
    pub(crate) limits: Limits,
    pub(crate) reset: Reset,
    pub(crate) isolation: ReadIsolation,
    pub(crate) session_timeout_ms: i32,
    pub(crate) heartbeat_interval_ms: i32,
}

/// Where a group begins in a partition it has never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    Earliest,
    Latest,
    /// At the first record that is not older.
    Since {
        ms: i64,
    },
}

impl GroupSettings {
    /// The settings of a group now.
    pub(crate) fn of(node: &Node, group: &str) -> Self {
        let own = node.image().configs(&ConfigResource::Group(group.into()));
        Self::from_configs(&node.start_config, &own)
    }

    fn from_configs(broker: &BrokerConfig, own: &BTreeMap<String, String>) -> Self {
        let number = |name: &str, default: i32, min: i32, max: i32| {
            let set = own.get(name).and_then(|text| text.trim().parse().ok());
            set.unwrap_or(default).clamp(min, max.max(min))
        };
        let lock_ms = number(
            "share.record.lock.duration.ms",
            broker.group_share_record_lock_duration_ms,
            broker.group_share_min_record_lock_duration_ms,
            broker.group_share_max_record_lock_duration_ms,
        );
        let count = number(
            "share.delivery.count.limit",
            broker.group_share_delivery_count_limit,
            broker.group_share_min_delivery_count_limit,
            broker.group_share_max_delivery_count_limit,
        );
        let records = number(
            "share.partition.max.record.locks",
            broker.group_share_partition_max_record_locks,
            broker.group_share_min_partition_max_record_locks,
            broker.group_share_max_partition_max_record_locks,
        );
        let limits = Limits {
            delivery_count_max: i16::try_from(count).unwrap_or(i16::MAX),
            records_max: i64::from(records),
            lock_ms: i64::from(lock_ms),
        };
        let reset = own.get("share.auto.offset.reset").and_then(|text| parse_reset(text));
        let committed =
            own.get("share.isolation.level").is_some_and(|level| level.eq_ignore_ascii_case("read_committed"));
        Self {
            limits,
            reset: reset.unwrap_or(Reset::Latest),
            isolation: if committed { ReadIsolation::Committed } else { ReadIsolation::HighWatermark },
            session_timeout_ms: number(
                "share.session.timeout.ms",
                broker.group_share_session_timeout_ms,
                broker.group_share_min_session_timeout_ms,
                broker.group_share_max_session_timeout_ms,
            ),
            heartbeat_interval_ms: number(
                "share.heartbeat.interval.ms",
                broker.group_share_heartbeat_interval_ms,
                broker.group_share_min_heartbeat_interval_ms,
                broker.group_share_max_heartbeat_interval_ms,
            ),
        }
    }
}

fn parse_reset(text: &str) -> Option<Reset> {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "earliest" => Some(Reset::Earliest),
        "latest" => Some(Reset::Latest),
        other => Some(Reset::Since { ms: parse_duration_ms(other.strip_prefix("by_duration:")?)? }),
    }
}

/// An ISO 8601 duration of days, hours, minutes and seconds, as Java's `Duration` reads it, in lower case.
fn parse_duration_ms(text: &str) -> Option<i64> {
    let text = text.strip_prefix('p')?;
    let (days, time) = text.split_once('t').unwrap_or((text, ""));
    let mut total = 0.0;
    let mut any = false;
    for (part, units) in [(days, [('d', 86_400.0)].as_slice()), (time, &[('h', 3600.0), ('m', 60.0), ('s', 1.0)])] {
        let mut rest = part;
        while !rest.is_empty() {
            let at = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let (number, tail) = rest.split_at(at);
            let unit = tail.chars().next()?;
            let (_, seconds) = units.iter().find(|(name, _)| *name == unit)?;
            total += number.parse::<f64>().ok()? * seconds;
            any = true;
            rest = tail.get(1..)?;
        }
    }
    let ms = total * 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "a duration that is not a number of milliseconds is refused")]
    (any && (0.0..9e15).contains(&ms)).then_some(ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets() {
        assert_eq!(parse_reset("Earliest"), Some(Reset::Earliest));
        assert_eq!(parse_reset("by_duration:P1DT2H3M4.5S"), Some(Reset::Since { ms: 93_784_500 }));
        for bad in ["by_duration:", "by_duration:P", "by_duration:PT", "by_duration:-PT1S", "none", "by_duration:PT1D"]
        {
            assert_eq!(parse_reset(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_group_has_its_own_within_the_bounds() {
        let broker = BrokerConfig::default();
        let own = [("share.record.lock.duration.ms", "1"), ("share.isolation.level", "read_committed")];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let settings = GroupSettings::from_configs(&broker, &own);
        assert_eq!(settings.limits, Limits { lock_ms: 15_000, ..Limits::default() });
        assert_eq!((settings.isolation, settings.reset), (ReadIsolation::Committed, Reset::Latest));
    }
}
