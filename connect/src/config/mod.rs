//! Configuration: text in, typed values out, and errors that name file, line, key and remedy.
//!
//! Three layers, each of its own file:
//! 1. [`Properties`]: keys and texts with the place each came from; read from a Java properties file, from TOML, or set
//!    by a program.
//! 2. [`ConfigKey`]: one row of a connector's table (name, type, default, validator, importance, text). The table is
//!    data, so checking a configuration and describing it need no instance of the connector.
//! 3. [`Configuration`]: a typed struct with its table, both written once through [`config!`](crate::config!).
//!
//! It is not a layering of sources: what overrides what is the caller's decision, made before keys get here.
//! The shape follows Kafka's `ConfigDef`.

mod common;
mod definition;
mod error;
mod file;
mod macros;
mod properties;
mod properties_file;
mod toml_file;
mod value;

pub use common::{CommonConfig, ErrorTolerance, RetryTimeout, SinkConfig, SourceConfig, WorkerConfig};
#[doc(hidden)]
pub use definition::ConfigReader;
pub(crate) use definition::nearest;
pub use definition::{ConfigKey, ConfigType, Configuration, Importance, Validator, check};
pub use error::{ConfigError, ConfigErrors, ConfigProblem, Origin};
pub use file::{ConfigFile, ConfigFileError};
pub use properties::Properties;
pub use value::{ConfigValue, Expected, Password};
