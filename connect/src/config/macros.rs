//! The macro that writes a configuration struct, its table and its reader from one list.

/// Declares a typed configuration: a struct, the table of its keys, and the reading of one from the other.
///
/// A field is written as `name: Type = "key", Importance[, default "text"][, valid Validator];`. The comment above it is
/// the key's description. A key without default is required unless its type is an `Option`.
///
/// ```
/// use std::time::Duration;
/// use riverrun_connect::config::{Configuration, Properties, Validator};
///
/// riverrun_connect::config! {
///     /// What the ticker can be told.
///     pub struct TickerConfig {
///         /// Topic the ticks go to.
///         pub topic: String = "topic", High;
///         /// Time between two ticks.
///         pub interval: Duration = "interval.ms", Medium, default "1000", valid Validator::AtLeast(1);
///     }
/// }
///
/// let config = TickerConfig::from_properties(&Properties::new().set("topic", "ticks"))?;
/// assert_eq!(config.interval, Duration::from_secs(1));
/// # Ok::<(), riverrun_connect::config::ConfigErrors>(())
/// ```
#[macro_export]
macro_rules! config {
    (
        $(#[doc = $struct_doc:literal])*
        $struct_vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $vis:vis $field:ident : $type:ty = $key:literal, $importance:ident
                    $(, default $default:literal)?
                    $(, valid $validator:expr)? ;
            )*
        }
    ) => {
        $(#[doc = $struct_doc])*
        #[derive(Clone, Debug)]
        $struct_vis struct $name {
            $(
                $(#[doc = $doc])*
                $vis $field: $type,
            )*
        }

        impl $crate::config::Configuration for $name {
            const KEYS: &'static [$crate::config::ConfigKey] = &[$(
                $crate::config::ConfigKey {
                    name: $key,
                    kind: <$type as $crate::config::ConfigValue>::TYPE,
                    default: $crate::config!(@default $($default)?),
                    required: $crate::config!(@required $type $(, $default)?),
                    validator: $crate::config!(@validator $($validator)?),
                    importance: $crate::config::Importance::$importance,
                    doc: concat!($($doc),*),
                    probe: |text| <$type as $crate::config::ConfigValue>::parse(text).map(|_| ()),
                },
            )*];

            fn from_properties(
                properties: &$crate::config::Properties,
            ) -> Result<Self, $crate::config::ConfigErrors> {
                let reader = $crate::__ConfigReader::new(properties, Self::KEYS);
                $(let $field = reader.read::<$type>();)*
                match ($($field,)*) {
                    ($(Some($field),)*) if reader.is_clean() => Ok(Self { $($field),* }),
                    _ => Err(reader.into_errors()),
                }
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (@required $type:ty) => { !<$type as $crate::config::ConfigValue>::OPTIONAL };
    (@required $type:ty, $default:literal) => { false };
    (@validator) => { $crate::config::Validator::Any };
    (@validator $validator:expr) => { $validator };
}
