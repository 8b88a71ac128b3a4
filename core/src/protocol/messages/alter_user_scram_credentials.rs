//! AlterUserScramCredentials: API key 51, versions 0, flexible from 0.
//!
//! Sets or removes SCRAM credentials.

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `AlterUserScramCredentials`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 51, versions = "0", flexible = "0+")]
pub struct AlterUserScramCredentialsRequest {
    pub deletions: Vec<ScramCredentialDeletion>,
    pub upsertions: Vec<ScramCredentialUpsertion>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ScramCredentialDeletion {
    pub name: String,
    pub mechanism: i8,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct ScramCredentialUpsertion {
    pub name: String,
    pub mechanism: i8,
    pub iterations: i32,
    pub salt: Bytes,
    pub salted_password: Bytes,
}

/// The response of `AlterUserScramCredentials`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 51, versions = "0", flexible = "0+")]
pub struct AlterUserScramCredentialsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub results: Vec<AlterUserScramCredentialsResult>,
}

#[derive(Clone, Debug, PartialEq, Message)]
pub struct AlterUserScramCredentialsResult {
    pub user: String,
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
}
