//! Metadata-log records of SCRAM credentials: type 11 sets one, type 22 removes it (KIP-554, KIP-900).

use bytes::Bytes;
use riverrun_core_derive::Message;

/// Sets a user's credential for a mechanism.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 11, versions = "0", flexible = "0+")]
pub struct UserScramCredentialRecord {
    pub name: String,
    /// 1: SCRAM-SHA-256; 2: SCRAM-SHA-512.
    pub mechanism: i8,
    pub salt: Bytes,
    pub stored_key: Bytes,
    pub server_key: Bytes,
    pub iterations: i32,
}

/// Removes a user's credential for a mechanism.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 22, versions = "0", flexible = "0+")]
pub struct RemoveUserScramCredentialRecord {
    pub name: String,
    pub mechanism: i8,
}
