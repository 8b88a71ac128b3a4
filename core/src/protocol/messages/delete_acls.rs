//! DeleteAcls: API key 31, versions 1-3, flexible from 2.
//!
//! Removes the access rules that match filters.
//!
//! - v2: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `DeleteAcls`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 31, versions = "1-3", flexible = "2+")]
pub struct DeleteAclsRequest {
    pub filters: Vec<DeleteAclsFilter>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteAclsFilter {
    pub resource_type_filter: i8,
    #[kafka(nullable = "0+")]
    pub resource_name_filter: Option<String>,
    #[kafka(versions = "1+", default = "3")]
    pub pattern_type_filter: i8,
    #[kafka(nullable = "0+")]
    pub principal_filter: Option<String>,
    #[kafka(nullable = "0+")]
    pub host_filter: Option<String>,
    pub operation: i8,
    /// 2: deny; 3: allow.
    pub permission_type: i8,
}

/// The response of `DeleteAcls`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 31, versions = "1-3", flexible = "2+")]
pub struct DeleteAclsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub filter_results: Vec<DeleteAclsFilterResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteAclsFilterResult {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub matching_acls: Vec<DeleteAclsMatchingAcl>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DeleteAclsMatchingAcl {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub resource_type: i8,
    pub resource_name: String,
    /// 3: the literal name; 4: names with this prefix.
    #[kafka(versions = "1+", default = "3")]
    pub pattern_type: i8,
    pub principal: String,
    pub host: String,
    pub operation: i8,
    /// 2: deny; 3: allow.
    pub permission_type: i8,
}
