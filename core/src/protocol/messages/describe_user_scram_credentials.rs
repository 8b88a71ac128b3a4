//! DescribeUserScramCredentials: API key 50, versions 0, flexible from 0.
//!
//! Lists SCRAM credentials of users, without secrets; null users stand for all.

use riverrun_core_derive::Message;

/// The request of `DescribeUserScramCredentials`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 50, versions = "0", flexible = "0+")]
pub struct DescribeUserScramCredentialsRequest {
    #[kafka(nullable = "0+")]
    pub users: Option<Vec<UserName>>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct UserName {
    pub name: String,
}

/// The response of `DescribeUserScramCredentials`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 50, versions = "0", flexible = "0+")]
pub struct DescribeUserScramCredentialsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub results: Vec<DescribeUserScramCredentialsResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct DescribeUserScramCredentialsResult {
    pub user: String,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub credential_infos: Vec<CredentialInfo>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct CredentialInfo {
    pub mechanism: i8,
    pub iterations: i32,
}
