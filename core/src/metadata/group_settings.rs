//! Settings of one group, in one table: field, type, default, name, the broker setting that is its default, bounds.
//! They are stored as those of topics are (KIP-848, KIP-932, KIP-1071); a group that sets nothing has the broker's.
//!
//! Not here: which groups exist. A group may be given settings before it has members, and keeps them after.
//!
//! Source: Kafka `GroupConfig`.

use std::collections::BTreeMap;

/// A setting of a group cannot be so. The words are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupSettingError {
    /// Groups have no setting of that name.
    #[error("Unknown group config name: {name}")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// The value is of another type, or outside of what is ever allowed.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue {
        /// The setting.
        name: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The value is below what the broker allows.
    #[error("{name} must be greater than or equal to {bound}")]
    BelowBound {
        /// The setting.
        name: &'static str,
        /// The broker setting that says so.
        bound: &'static str,
    },
    /// The value is above what the broker allows.
    #[error("{name} must be less than or equal to {bound}")]
    AboveBound {
        /// The setting.
        name: &'static str,
        /// The broker setting that says so.
        bound: &'static str,
    },
    /// A broker's setting is no less than another that it must be less than.
    #[error("{name} must be less than {other}")]
    NotLess {
        /// The setting.
        name: &'static str,
        /// The other one.
        other: &'static str,
    },
    /// A member would be taken for dead between two heartbeats.
    #[error("{session} must be greater than {heartbeat}")]
    SessionTooShort {
        /// The session timeout.
        session: &'static str,
        /// The heartbeat interval.
        heartbeat: &'static str,
    },
}

/// The type of a group's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSettingType {
    /// A 32-bit integer.
    Int,
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
}

/// A bound that the broker sets: the name of the broker's setting, and its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSettingBound {
    /// The broker's setting.
    pub name: &'static str,
    /// Its default.
    pub default: i32,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSetting {
    /// The name.
    pub name: &'static str,
    /// The type of its value.
    pub setting_type: GroupSettingType,
    /// The broker setting that is its default, if there is one.
    pub broker_setting: Option<&'static str>,
    /// The least value that the broker allows.
    pub min: Option<GroupSettingBound>,
    /// The greatest value that the broker allows.
    pub max: Option<GroupSettingBound>,
    /// What it does.
    pub doc: &'static str,
}

/// Where a share group begins to read a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareOffsetReset {
    /// With the first record there is.
    Earliest,
    /// With the next record to come.
    Latest,
    /// With the first record that is no older than so many milliseconds.
    ByDuration {
        /// How old.
        age_ms: i64,
    },
}

/// Which records a share group sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareIsolation {
    /// All of them.
    ReadUncommitted,
    /// Those of committed transactions, and those of none.
    ReadCommitted,
}

trait Value: Sized {
    const TYPE: GroupSettingType;
    fn parse(text: &str, least: i32) -> Result<Self, String>;
    fn number(&self) -> Option<i32> {
        None
    }
    fn render(&self) -> String;
}

impl Value for i32 {
    const TYPE: GroupSettingType = GroupSettingType::Int;

    fn parse(text: &str, least: i32) -> Result<Self, String> {
        let value = text.trim().parse().map_err(|_| "Not a number of type INT".to_owned())?;
        if value < least { Err(format!("Value must be at least {least}")) } else { Ok(value) }
    }

    fn number(&self) -> Option<i32> {
        Some(*self)
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl Value for bool {
    const TYPE: GroupSettingType = GroupSettingType::Boolean;

    fn parse(text: &str, _: i32) -> Result<Self, String> {
        match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("Expected value to be either true or false".to_owned()),
        }
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl Value for ShareIsolation {
    const TYPE: GroupSettingType = GroupSettingType::String;

    fn parse(text: &str, _: i32) -> Result<Self, String> {
        match text {
            "read_committed" => Ok(Self::ReadCommitted),
            "read_uncommitted" => Ok(Self::ReadUncommitted),
            _ => Err("String must be one of: read_committed, read_uncommitted".to_owned()),
        }
    }

    fn render(&self) -> String {
        match self {
            Self::ReadCommitted => "read_committed".to_owned(),
            Self::ReadUncommitted => "read_uncommitted".to_owned(),
        }
    }
}

impl Value for ShareOffsetReset {
    const TYPE: GroupSettingType = GroupSettingType::String;

    fn parse(text: &str, _: i32) -> Result<Self, String> {
        let by_duration =
            |text: &str| Some(Self::ByDuration { age_ms: duration_ms(text.strip_prefix("by_duration:")?)? });
        match text {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            text => by_duration(text),
        }
        .ok_or_else(|| {
            format!(
                "Invalid value `{text}` for configuration share.auto.offset.reset. The value must be either \
                 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
            )
        })
    }

    fn render(&self) -> String {
        match self {
            Self::Earliest => "earliest".to_owned(),
            Self::Latest => "latest".to_owned(),
            Self::ByDuration { age_ms } => format!("by_duration:PT{}.{:03}S", age_ms / 1000, age_ms % 1000),
        }
    }
}

/// Reads an ISO 8601 duration of days, hours, minutes and seconds, as `java.time.Duration` does; not negative.
fn duration_ms(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None if rest.is_empty() => return None,
        None => (rest, ""),
    };
    let mut total: i64 = 0;
    if !days.is_empty() {
        let days: i64 = days.strip_suffix('D')?.parse().ok()?;
        total = days.checked_mul(86_400_000)?;
    }
    let mut rest = time;
    for (unit, unit_ms) in [('H', 3_600_000_i64), ('M', 60_000)] {
        if let Some((count, after)) = rest.split_once(unit) {
            total = total.checked_add(count.parse::<i64>().ok()?.checked_mul(unit_ms)?)?;
            rest = after;
        }
    }
    if !rest.is_empty() {
        let seconds = rest.strip_suffix('S')?;
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
        if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
        total = total.checked_add(whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(millis.parse().ok()?)?)?;
    }
    (total >= 0).then_some(total)
}

macro_rules! bound {
    (-) => {
        None
    };
    ($name:literal = $default:literal) => {
        Some(GroupSettingBound { name: $name, default: $default })
    };
}

macro_rules! broker_setting {
    (-) => {
        None
    };
    ($name:literal) => {
        Some($name)
    };
}

macro_rules! settings {
    ($($field:ident: $type:ty = $default:expr, $name:literal, least $least:literal, default of $broker:tt,
        min ($($min:tt)+), max ($($max:tt)+), $doc:literal;)*) => {
        /// What holds for one group.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct GroupSettings {
            $(#[doc = $doc] pub $field: $type,)*
        }

        impl Default for GroupSettings {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl GroupSettings {
            /// Every setting.
            pub const SETTINGS: &'static [GroupSetting] = &[$(GroupSetting {
                name: $name,
                setting_type: <$type as Value>::TYPE,
                broker_setting: broker_setting!($broker),
                min: bound!($($min)+),
                max: bound!($($max)+),
                doc: $doc,
            },)*];

            /// Sets one value from text.
            ///
            /// # Errors
            /// If there is no such setting, or the value is not one of its type.
            pub fn set(&mut self, name: &str, text: &str) -> Result<(), GroupSettingError> {
                match name {
                    $($name => {
                        self.$field = <$type as Value>::parse(text, $least).map_err(|reason| {
                            GroupSettingError::InvalidValue { name: $name, value: text.to_owned(), reason }
                        })?;
                    })*
                    _ => return Err(GroupSettingError::UnknownName { name: name.to_owned() }),
                }
                Ok(())
            }

            /// The value of a setting as text.
            pub fn get(&self, name: &str) -> Option<String> {
                match name {
                    $($name => Some(self.$field.render()),)*
                    _ => None,
                }
            }

            fn number(&self, name: &str) -> Option<i32> {
                match name {
                    $($name => self.$field.number(),)*
                    _ => None,
                }
            }
        }
    };
}

settings! {
    consumer_assignment_interval_ms: i32 = 1_000, "consumer.assignment.interval.ms", least 0,
        default of "group.consumer.assignment.interval.ms",
        min ("group.consumer.min.assignment.interval.ms" = 0), max ("group.consumer.max.assignment.interval.ms" = 15_000),
        "Milliseconds between two assignments of a consumer group.";
    consumer_heartbeat_interval_ms: i32 = 5_000, "consumer.heartbeat.interval.ms", least 1,
        default of "group.consumer.heartbeat.interval.ms",
        min ("group.consumer.min.heartbeat.interval.ms" = 5_000), max ("group.consumer.max.heartbeat.interval.ms" = 15_000),
        "Milliseconds between two heartbeats of a member of a consumer group.";
    consumer_session_timeout_ms: i32 = 45_000, "consumer.session.timeout.ms", least 1,
        default of "group.consumer.session.timeout.ms",
        min ("group.consumer.min.session.timeout.ms" = 45_000), max ("group.consumer.max.session.timeout.ms" = 60_000),
        "Milliseconds of silence after which a member of a consumer group is taken for dead.";
    share_assignment_interval_ms: i32 = 1_000, "share.assignment.interval.ms", least 0,
        default of "group.share.assignment.interval.ms",
        min ("group.share.min.assignment.interval.ms" = 0), max ("group.share.max.assignment.interval.ms" = 15_000),
        "Milliseconds between two assignments of a share group.";
    share_auto_offset_reset: ShareOffsetReset = ShareOffsetReset::Latest, "share.auto.offset.reset", least 0,
        default of -, min (-), max (-),
        "Where a share group begins: earliest, latest, or by_duration:<PnDTnHnMn.nS> for records of that age.";
    share_delivery_count_limit: i32 = 5, "share.delivery.count.limit", least 2,
        default of "group.share.delivery.count.limit",
        min ("group.share.min.delivery.count.limit" = 2), max ("group.share.max.delivery.count.limit" = 10),
        "How often a record is delivered to a share group at most.";
    share_heartbeat_interval_ms: i32 = 5_000, "share.heartbeat.interval.ms", least 1,
        default of "group.share.heartbeat.interval.ms",
        min ("group.share.min.heartbeat.interval.ms" = 5_000), max ("group.share.max.heartbeat.interval.ms" = 15_000),
        "Milliseconds between two heartbeats of a member of a share group.";
    share_isolation_level: ShareIsolation = ShareIsolation::ReadUncommitted, "share.isolation.level", least 0,
        default of -, min (-), max (-),
        "Whether a share group sees records of open and aborted transactions: read_committed or read_uncommitted.";
    share_partition_max_record_locks: i32 = 2_000, "share.partition.max.record.locks", least 100,
        default of "group.share.partition.max.record.locks",
        min ("group.share.min.partition.max.record.locks" = 100), max ("group.share.max.partition.max.record.locks" = 4_000),
        "Records of one partition that members of a share group may hold.";
    share_record_lock_duration_ms: i32 = 30_000, "share.record.lock.duration.ms", least 1_000,
        default of "group.share.record.lock.duration.ms",
        min ("group.share.min.record.lock.duration.ms" = 15_000), max ("group.share.max.record.lock.duration.ms" = 60_000),
        "Milliseconds a member of a share group may hold a record before others get it.";
    share_renew_acknowledge_enable: bool = true, "share.renew.acknowledge.enable", least 0,
        default of -, min (-), max (-),
        "Whether members of a share group may prolong their hold on records.";
    share_session_timeout_ms: i32 = 45_000, "share.session.timeout.ms", least 1,
        default of "group.share.session.timeout.ms",
        min ("group.share.min.session.timeout.ms" = 45_000), max ("group.share.max.session.timeout.ms" = 60_000),
        "Milliseconds of silence after which a member of a share group is taken for dead.";
    streams_assignment_interval_ms: i32 = 1_000, "streams.assignment.interval.ms", least 0,
        default of "group.streams.assignment.interval.ms",
        min ("group.streams.min.assignment.interval.ms" = 0), max ("group.streams.max.assignment.interval.ms" = 15_000),
        "Milliseconds between two assignments of a streams group.";
    streams_heartbeat_interval_ms: i32 = 5_000, "streams.heartbeat.interval.ms", least 1,
        default of "group.streams.heartbeat.interval.ms",
        min ("group.streams.min.heartbeat.interval.ms" = 5_000), max ("group.streams.max.heartbeat.interval.ms" = 15_000),
        "Milliseconds between two heartbeats of a member of a streams group.";
    streams_initial_rebalance_delay_ms: i32 = 3_000, "streams.initial.rebalance.delay.ms", least 0,
        default of "group.streams.initial.rebalance.delay.ms", min (-), max (-),
        "Milliseconds a new streams group waits for more members before its first assignment.";
    streams_num_standby_replicas: i32 = 0, "streams.num.standby.replicas", least 0,
        default of "group.streams.num.standby.replicas",
        min (-), max ("group.streams.max.standby.replicas" = 2),
        "Standby replicas of each task of a streams group.";
    streams_session_timeout_ms: i32 = 45_000, "streams.session.timeout.ms", least 1,
        default of "group.streams.session.timeout.ms",
        min ("group.streams.min.session.timeout.ms" = 45_000), max ("group.streams.max.session.timeout.ms" = 60_000),
        "Milliseconds of silence after which a member of a streams group is taken for dead.";
}

/// Session timeouts with the heartbeat intervals they must exceed.
const SESSIONS: [(&str, &str); 3] = [
    ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
    ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
    ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
];

impl GroupSettings {
    /// The row of a setting.
    pub fn setting(name: &str) -> Option<&'static GroupSetting> {
        Self::SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// The settings of a group for which `overrides` are set, over these defaults. What is stored and no longer valid
    /// is passed over, and what the broker no longer allows is brought to its bound.
    #[must_use]
    pub fn with(&self, overrides: &BTreeMap<String, String>, bound: impl Fn(GroupSettingBound) -> i32) -> Self {
        let mut settings = self.clone();
        for (name, value) in overrides {
            let Ok(()) = settings.set(name, value) else { continue };
            let (Some(row), Some(number)) = (Self::setting(name), settings.number(name)) else { continue };
            let least = row.min.map_or(i32::MIN, &bound);
            let within = number.min(row.max.map_or(i32::MAX, &bound)).max(least);
            if within != number {
                // A bound below what is ever allowed changes nothing.
                let _ = settings.set(name, &within.to_string());
            }
        }
        settings
    }

    /// Checks these defaults, which a broker sets for all groups, against its bounds and each other; names are the broker's.
    ///
    /// # Errors
    /// The first setting of the broker that must not be so.
    pub fn validate_defaults(&self, bound: impl Fn(GroupSettingBound) -> i32) -> Result<(), GroupSettingError> {
        for row in Self::SETTINGS {
            if let (Some(min), Some(max)) = (row.min, row.max)
                && bound(max) < bound(min)
            {
                return Err(GroupSettingError::BelowBound { name: max.name, bound: min.name });
            }
            let (Some(name), Some(number)) = (row.broker_setting, self.number(row.name)) else { continue };
            if let Some(min) = row.min.filter(|min| number < bound(*min)) {
                return Err(GroupSettingError::BelowBound { name, bound: min.name });
            }
            if let Some(max) = row.max.filter(|max| number > bound(*max)) {
                return Err(GroupSettingError::AboveBound { name, bound: max.name });
            }
        }
        for (session, heartbeat) in SESSIONS {
            let of_broker = |name| Self::setting(name).and_then(|row| row.broker_setting);
            if let (Some(other), Some(name)) = (of_broker(session), of_broker(heartbeat))
                && self.number(session) <= self.number(heartbeat)
            {
                return Err(GroupSettingError::NotLess { name, other });
            }
        }
        Ok(())
    }

    /// Checks all that is set of a group, together, over these defaults; `bound` gives the broker's bounds.
    ///
    /// # Errors
    /// The first setting that is unknown or must not be so.
    pub fn validate(
        &self,
        overrides: &BTreeMap<String, String>,
        bound: impl Fn(GroupSettingBound) -> i32,
    ) -> Result<(), GroupSettingError> {
        let unknown = overrides.keys().find(|name| Self::setting(name).is_none());
        if let Some(name) = unknown {
            return Err(GroupSettingError::UnknownName { name: name.clone() });
        }
        let mut settings = self.clone();
        for (name, value) in overrides {
            settings.set(name, value)?;
        }
        for name in overrides.keys() {
            let (Some(row), Some(number)) = (Self::setting(name), settings.number(name)) else { continue };
            if let Some(min) = row.min.filter(|min| number < bound(*min)) {
                return Err(GroupSettingError::BelowBound { name: row.name, bound: min.name });
            }
            if let Some(max) = row.max.filter(|max| number > bound(*max)) {
                return Err(GroupSettingError::AboveBound { name: row.name, bound: max.name });
            }
        }
        for (session, heartbeat) in SESSIONS {
            if settings.number(session) <= settings.number(heartbeat) {
                return Err(GroupSettingError::SessionTooShort { session, heartbeat });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<(), String> {
        let overrides = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        GroupSettings::default().validate(&overrides, |bound| bound.default).map_err(|error| error.to_string())
    }

    #[test]
    fn the_words_are_kafkas() {
        assert_eq!(check("consumer.session.timeout.ms", "50000"), Ok(()));
        for (name, value, words) in [
            (
                "consumer.session.timeout.ms",
                "5",
                "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
            ),
            (
                "streams.num.standby.replicas",
                "3",
                "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
            ),
            (
                "share.record.lock.duration.ms",
                "5",
                "Invalid value 5 for configuration share.record.lock.duration.ms: Value must be at least 1000",
            ),
            (
                "consumer.session.timeout.ms",
                "abc",
                "Invalid value abc for configuration consumer.session.timeout.ms: Not a number of type INT",
            ),
            ("no.such", "1", "Unknown group config name: no.such"),
        ] {
            assert_eq!(check(name, value), Err(words.to_owned()));
        }
    }

    #[test]
    fn durations_are_javas() {
        for (text, expected) in [
            ("PT1H", Some(3_600_000)),
            ("P1DT1H1M1.5S", Some(90_061_500)),
            ("pt0.25s", Some(250)),
            ("P2D", Some(172_800_000)),
            ("-PT1H", None),
            ("PT-1H", None),
            ("PT", None),
            ("P", None),
            ("1H", None),
            ("PT1H1D", None),
            ("P99999999999999999D", None),
        ] {
            assert_eq!(duration_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_stored_is_kept_within_bounds_that_changed_since() {
        let stored = BTreeMap::from([
            ("consumer.session.timeout.ms".to_owned(), "55000".to_owned()),
            ("share.auto.offset.reset".to_owned(), "by_duration:PT1M".to_owned()),
            ("gone".to_owned(), "1".to_owned()),
        ]);
        let bound = |bound: GroupSettingBound| if bound.default == 60_000 { 50_000 } else { bound.default };
        let settings = GroupSettings::default().with(&stored, bound);
        assert_eq!(settings.consumer_session_timeout_ms, 50_000);
        assert_eq!(settings.share_auto_offset_reset, ShareOffsetReset::ByDuration { age_ms: 60_000 });
        assert_eq!(settings.get("share.auto.offset.reset").as_deref(), Some("by_duration:PT60.000S"));
    }

    #[test]
    fn every_default_is_valid() {
        let defaults = GroupSettings::default();
        let all = GroupSettings::SETTINGS.iter().map(|row| (row.name.to_owned(), defaults.get(row.name).unwrap()));
        assert_eq!(defaults.validate(&all.collect(), |bound| bound.default), Ok(()));
        assert!(GroupSettings::SETTINGS.is_sorted_by_key(|row| row.name));
    }
}
