//! Metadata-log records of access rules: type 18 adds one, type 19 removes it (KIP-801).

use riverrun_core_derive::Message;

use crate::Uuid;

/// Adds an access rule.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 18, versions = "0", flexible = "0+")]
pub struct AccessControlEntryRecord {
    pub id: Uuid,
    pub resource_type: i8,
    pub resource_name: String,
    /// 3: the literal name; 4: names with this prefix.
    pub pattern_type: i8,
    pub principal: String,
    pub host: String,
    pub operation: i8,
    /// 2: deny; 3: allow.
    pub permission_type: i8,
}

/// Removes an access rule.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 19, versions = "0", flexible = "0+")]
pub struct RemoveAccessControlEntryRecord {
    pub id: Uuid,
}
