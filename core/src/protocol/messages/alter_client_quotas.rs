//! AlterClientQuotas: API key 49, versions 0-1, flexible from 1.
//!
//! Sets or removes client quotas.
//!
//! - v1: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `AlterClientQuotas`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 49, versions = "0-1", flexible = "1+")]
pub struct AlterClientQuotasRequest {
    pub entries: Vec<EntryData>,
    pub validate_only: bool,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct EntryData {
    pub entity: Vec<EntityData>,
    pub ops: Vec<OpData>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct EntityData {
    pub entity_type: String,
    #[kafka(nullable = "0+")]
    pub entity_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct OpData {
    pub key: String,
    pub value: f64,
    pub remove: bool,
}

/// The response of `AlterClientQuotas`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 49, versions = "0-1", flexible = "1+")]
pub struct AlterClientQuotasResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub entries: Vec<EntryDataResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(name = "EntryData")]
pub struct EntryDataResponse {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub entity: Vec<EntityDataResponse>,
}

#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(name = "EntityData")]
pub struct EntityDataResponse {
    pub entity_type: String,
    #[kafka(nullable = "0+")]
    pub entity_name: Option<String>,
}
