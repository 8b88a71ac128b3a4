//! SaslAuthenticate: API key 36, versions 0-2, flexible from 2.
//!
//! Carries one step of the SASL exchange.
//!
//! - v1: response gains `session_lifetime_ms`; sessions that end (KIP-368)
//! - v2: flexible form (KIP-482)

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `SaslAuthenticate`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 36, versions = "0-2", flexible = "2+")]
pub struct SaslAuthenticateRequest {
    /// The mechanism's own token.
    pub auth_bytes: Bytes,
}

/// The response of `SaslAuthenticate`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 36, versions = "0-2", flexible = "2+")]
pub struct SaslAuthenticateResponse {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    /// The mechanism's own token.
    pub auth_bytes: Bytes,
    /// After how long the client must authenticate again; 0 for never.
    #[kafka(versions = "1+", ignorable)]
    pub session_lifetime_ms: i64,
}
