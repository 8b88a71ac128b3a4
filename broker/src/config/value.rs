//! How the types of setting values are read from text, written back and named on the wire. Not here: which settings
//! exist (`broker`, `topic`).

use std::fmt;

/// The type of a setting, numbered as DescribeConfigs does (KIP-569).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// A 32-bit integer.
    Int,
    /// A 16-bit integer.
    Short,
    /// A 64-bit integer.
    Long,
    /// A floating-point number.
    Double,
    /// Texts separated by commas.
    List,
    /// A secret: never shown.
    Password,
}

impl ConfigType {
    /// The number on the wire.
    pub const fn wire(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Password => 9,
        }
    }

    /// Kafka's word for it in documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Int => "int",
            Self::Short => "short",
            Self::Long => "long",
            Self::Double => "double",
            Self::List => "list",
            Self::Password => "password",
        }
    }
}

/// How much a user should care, as in Kafka's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Nearly every deployment decides it.
    High,
    /// Often worth a thought.
    Medium,
    /// The default fits.
    Low,
}

impl fmt::Display for Importance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        })
    }
}

/// When a setting can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateMode {
    /// Read once at start.
    ReadOnly,
    /// Also through (Incremental)AlterConfigs while the broker runs.
    Dynamic,
}

/// A type that a setting can have.
pub(crate) trait ConfigValue: Sized {
    const TYPE: ConfigType;
    /// Reads the value; the error says what was expected.
    fn parse(text: &str) -> Result<Self, String>;
    /// Writes the value as Kafka shows it; `None` is Kafka's null.
    fn render(&self) -> Option<String>;
}

macro_rules! number {
    ($($type:ty => $config_type:ident, $what:literal;)+) => {$(
        impl ConfigValue for $type {
            const TYPE: ConfigType = ConfigType::$config_type;

            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| format!("expected {}", $what))
            }

            fn render(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

number! {
    i16 => Short, "a 16-bit integer";
    i32 => Int, "a 32-bit integer";
    i64 => Long, "a 64-bit integer";
}

impl ConfigValue for f64 {
    const TYPE: ConfigType = ConfigType::Double;

    fn parse(text: &str) -> Result<Self, String> {
        let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| "expected a number".to_owned())
    }

    /// As Java writes it: with an exponent from ten millions on.
    fn render(&self) -> Option<String> {
        Some(if self.abs() < 1e7 { format!("{self:?}") } else { format!("{self:E}") })
    }
}

impl ConfigValue for bool {
    const TYPE: ConfigType = ConfigType::Boolean;

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            t if t.eq_ignore_ascii_case("true") => Ok(true),
            t if t.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("expected true or false".to_owned()),
        }
    }

    fn render(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl ConfigValue for String {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.trim().to_owned())
    }

    fn render(&self) -> Option<String> {
        Some(self.clone())
    }
}

/// A secret setting: shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text for a secret.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl ConfigValue for Secret {
    const TYPE: ConfigType = ConfigType::Password;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::new(text.trim()))
    }

    fn render(&self) -> Option<String> {
        Some("[hidden]".to_owned())
    }
}

impl ConfigValue for Vec<String> {
    const TYPE: ConfigType = ConfigType::List;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    fn render(&self) -> Option<String> {
        Some(self.join(","))
    }
}

impl<T: ConfigValue> ConfigValue for Option<T> {
    const TYPE: ConfigType = T::TYPE;

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn render(&self) -> Option<String> {
        self.as_ref().and_then(T::render)
    }
}

/// When an acks=all reply may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After an fdatasync shared by all that wait.
    Fsync,
    /// After write(2), as Apache Kafka does.
    Os,
}

impl ConfigValue for Durability {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "fsync" => Ok(Self::Fsync),
            "os" => Ok(Self::Os),
            _ => Err("expected fsync or os".to_owned()),
        }
    }

    fn render(&self) -> Option<String> {
        Some(match self {
            Self::Fsync => "fsync".to_owned(),
            Self::Os => "os".to_owned(),
        })
    }
}

/// A bound on a number, checked after parsing; absent values pass.
pub(crate) trait Bounded {
    fn as_number(&self) -> Option<f64>;
}

macro_rules! bounded {
    ($($type:ty),+) => {$(
        impl Bounded for $type {
            #[expect(clippy::allow_attributes, reason = "which casts are lossless differs between the types")]
            #[allow(clippy::cast_lossless, clippy::cast_precision_loss, reason = "only compared with small bounds")]
            fn as_number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }
    )+};
}

bounded!(i16, i32, i64, f64);

impl<T: Bounded> Bounded for Option<T> {
    fn as_number(&self) -> Option<f64> {
        self.as_ref().and_then(T::as_number)
    }
}

/// Accepts everything.
pub(crate) fn any<T>(_: &T) -> Result<(), String> {
    Ok(())
}

/// Accepts numbers from `min` on.
pub(crate) fn at_least<T: Bounded>(min: i32) -> impl Fn(&T) -> Result<(), String> {
    move |value| match value.as_number() {
        Some(number) if number < f64::from(min) => Err(format!("must be at least {min}")),
        _ => Ok(()),
    }
}

/// Accepts numbers from `min` to `max`.
pub(crate) fn within<T: Bounded>(min: i32, max: i32) -> impl Fn(&T) -> Result<(), String> {
    move |value| match value.as_number() {
        Some(number) if number < f64::from(min) || number > f64::from(max) => {
            Err(format!("must be from {min} to {max}"))
        }
        _ => Ok(()),
    }
}

/// Accepts numbers from 0 to 1.
pub(crate) fn fraction(value: &f64) -> Result<(), String> {
    if (0.0..=1.0).contains(value) { Ok(()) } else { Err("must be a fraction from 0 to 1".to_owned()) }
}

/// Accepts hosts with a count each, `host:count`.
pub(crate) fn counted_hosts() -> impl Fn(&Vec<String>) -> Result<(), String> {
    let is_one = |value: &str| {
        let parts = value.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        parts.and_then(|(_, count)| count.trim().parse::<i32>().ok()).is_some_and(|count| count >= 0)
    };
    move |values| match values.iter().find(|value| !is_one(value)) {
        Some(value) => Err(format!("expected host:count, found `{value}`")),
        None => Ok(()),
    }
}

/// Accepts one of the given texts.
pub(crate) fn one_of(allowed: &'static [&'static str]) -> impl Fn(&String) -> Result<(), String> {
    move |value| {
        if allowed.contains(&value.as_str()) { Ok(()) } else { Err(format!("expected one of {}", allowed.join(", "))) }
    }
}

/// Accepts one of the given texts, whatever the case.
pub(crate) fn one_of_ignoring_case(allowed: &'static [&'static str]) -> impl Fn(&String) -> Result<(), String> {
    move |value| {
        let known = allowed.iter().any(|word| word.eq_ignore_ascii_case(value));
        if known { Ok(()) } else { Err(format!("expected one of {}", allowed.join(", "))) }
    }
}

/// Accepts a list of the given texts, not empty.
pub(crate) fn list_of(allowed: &'static [&'static str]) -> impl Fn(&Vec<String>) -> Result<(), String> {
    move |values| {
        let known = values.iter().all(|value| allowed.contains(&value.as_str()));
        if known && !values.is_empty() {
            Ok(())
        } else {
            Err(format!("expected one or more of {}", allowed.join(", ")))
        }
    }
}
