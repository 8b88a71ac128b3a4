//! Metadata-log record of a client quota: type 14 (KIP-546).

use riverrun_core_derive::Message;

/// Sets or removes one quota of an entity.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 14, versions = "0", flexible = "0+")]
pub struct ClientQuotaRecord {
    pub entity: Vec<EntityData>,
    pub key: String,
    pub value: f64,
    pub remove: bool,
}

/// One part of an entity: a user, a client id or an address.
#[derive(Clone, Debug, PartialEq, Message)]
pub struct EntityData {
    pub entity_type: String,
    /// Null for the default of this type.
    #[kafka(nullable = "0+")]
    pub entity_name: Option<String>,
}
