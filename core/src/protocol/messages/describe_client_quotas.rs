//! DescribeClientQuotas: API key 48, versions 0-1, flexible from 1.
//!
//! Reads client quotas.
//!
//! - v1: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `DescribeClientQuotas`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 48, versions = "0-1", flexible = "1+")]
pub struct DescribeClientQuotasRequest {
    pub components: Vec<ComponentData>,
    pub strict: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ComponentData {
    pub entity_type: String,
    pub match_type: i8,
    #[kafka(nullable = "0+")]
    pub r#match: Option<String>,
}

/// The response of `DescribeClientQuotas`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 48, versions = "0-1", flexible = "1+")]
pub struct DescribeClientQuotasResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    #[kafka(nullable = "0+")]
    pub entries: Option<Vec<EntryData>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct EntryData {
    pub entity: Vec<EntityData>,
    pub values: Vec<ValueData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct EntityData {
    pub entity_type: String,
    #[kafka(nullable = "0+")]
    pub entity_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ValueData {
    pub key: String,
    pub value: f64,
}
