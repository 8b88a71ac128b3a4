//! Metadata-log record that sets or clears one dynamic configuration value: type 4 (KIP-631).

use riverrun_core_derive::Message;

/// Sets a value, or clears it if null.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 4, versions = "0", flexible = "0+")]
pub struct ConfigRecord {
    pub resource_type: i8,
    pub resource_name: String,
    pub name: String,
    #[kafka(nullable = "0+")]
    pub value: Option<String>,
}
