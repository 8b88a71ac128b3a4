//! CreateAcls: API key 30, versions 1-3, flexible from 2.
//!
//! Adds access rules.
//!
//! - v2: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `CreateAcls`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 30, versions = "1-3", flexible = "2+")]
pub struct CreateAclsRequest {
    pub creations: Vec<AclCreation>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AclCreation {
    pub resource_type: i8,
    pub resource_name: String,
    #[kafka(versions = "1+", default = "3")]
    pub resource_pattern_type: i8,
    pub principal: String,
    pub host: String,
    pub operation: i8,
    /// 2: deny; 3: allow.
    pub permission_type: i8,
}

/// The response of `CreateAcls`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 30, versions = "1-3", flexible = "2+")]
pub struct CreateAclsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub results: Vec<AclCreationResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AclCreationResult {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
}
