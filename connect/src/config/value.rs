//! How the text of a key becomes a value: one small implementation per type.

use std::{borrow::Cow, fmt, path::PathBuf, time::Duration};

use super::ConfigType;

/// Says what a text should have been; becomes part of the error message: "expected {0}".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(pub Cow<'static, str>);

impl From<&'static str> for Expected {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Expected {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// A type that a configuration key can have. Implement it for enums and formats of your own.
pub trait ConfigValue: Sized {
    /// The type as tools see it.
    const TYPE: ConfigType;

    /// True for types that have a value for "not set"; see [`ConfigValue::absent`].
    const OPTIONAL: bool = false;

    /// Reads the text of a key; the text is trimmed already.
    ///
    /// # Errors
    /// What was expected instead.
    fn parse(text: &str) -> Result<Self, Expected>;

    /// The value when the key is neither set nor has a default; `None` makes the key required.
    fn absent() -> Option<Self> {
        None
    }
}

impl ConfigValue for String {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, Expected> {
        Ok(text.to_owned())
    }
}

impl ConfigValue for PathBuf {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, Expected> {
        if text.is_empty() { Err("a path".into()) } else { Ok(text.into()) }
    }
}

impl ConfigValue for bool {
    const TYPE: ConfigType = ConfigType::Boolean;

    fn parse(text: &str) -> Result<Self, Expected> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("`true` or `false`".into()),
        }
    }
}

macro_rules! integer {
    ($($int:ty => $kind:ident, $expected:literal;)*) => {$(
        impl ConfigValue for $int {
            const TYPE: ConfigType = ConfigType::$kind;

            fn parse(text: &str) -> Result<Self, Expected> {
                text.replace('_', "").parse().map_err(|_| $expected.into())
            }
        }
    )*};
}

integer! {
    i16 => Short, "a whole number";
    i32 => Int, "a whole number";
    i64 => Long, "a whole number";
    u32 => Int, "a whole number, not negative";
    u64 => Long, "a whole number, not negative";
    usize => Long, "a whole number, not negative";
}

impl ConfigValue for f64 {
    const TYPE: ConfigType = ConfigType::Double;

    fn parse(text: &str) -> Result<Self, Expected> {
        text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or("a number".into())
    }
}

/// A number of milliseconds, as every duration in Kafka's configurations; the key's name ends in `.ms`.
impl ConfigValue for Duration {
    const TYPE: ConfigType = ConfigType::Long;

    fn parse(text: &str) -> Result<Self, Expected> {
        text.replace('_', "")
            .parse()
            .map(Duration::from_millis)
            .map_err(|_| Expected::from("a whole number of milliseconds, not negative"))
    }
}

/// Comma-separated; blanks around an item do not count; an empty text is an empty list.
impl ConfigValue for Vec<String> {
    const TYPE: ConfigType = ConfigType::List;

    fn parse(text: &str) -> Result<Self, Expected> {
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }
}

impl<T: ConfigValue> ConfigValue for Option<T> {
    const TYPE: ConfigType = T::TYPE;
    const OPTIONAL: bool = true;

    fn parse(text: &str) -> Result<Self, Expected> {
        T::parse(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A secret: read it with [`Password::reveal`]; it never shows in debug output or error messages.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl ConfigValue for Password {
    const TYPE: ConfigType = ConfigType::Password;

    fn parse(text: &str) -> Result<Self, Expected> {
        Ok(Self(text.to_owned()))
    }
}
