//! DescribeAcls: API key 29, versions 1-3, flexible from 2.
//!
//! Lists the access rules that match a filter.
//!
//! - v2: flexible form (KIP-482)

use riverrun_core_derive::Message;

/// The request of `DescribeAcls`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 29, versions = "1-3", flexible = "2+")]
pub struct DescribeAclsRequest {
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

/// The response of `DescribeAcls`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 29, versions = "1-3", flexible = "2+")]
pub struct DescribeAclsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub resources: Vec<DescribeAclsResource>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeAclsResource {
    pub resource_type: i8,
    pub resource_name: String,
    /// 3: the literal name; 4: names with this prefix.
    #[kafka(versions = "1+", default = "3")]
    pub pattern_type: i8,
    pub acls: Vec<AclDescription>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AclDescription {
    pub principal: String,
    pub host: String,
    pub operation: i8,
    /// 2: deny; 3: allow.
    pub permission_type: i8,
}
