//! SaslAuthenticate: API key 36, versions 0-2, flexible from 2.
//!
//! - v1: response gains `session_lifetime_ms`
//! - v2: flexible form

use bytes::Bytes;
use riverrun_core_derive::Message;

/// The request of `SaslAuthenticate`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 36, versions = "0-2", flexible = "2+")]
pub struct SaslAuthenticateRequest {
    pub auth_bytes: Bytes,
}

/// The response of `SaslAuthenticate`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 36, versions = "0-2", flexible = "2+")]
pub struct SaslAuthenticateResponse {
    pub error_code: i16,
    #[kafka(nullable = "0+")]
    pub error_message: Option<String>,
    pub auth_bytes: Bytes,
    #[kafka(versions = "1+", ignorable)]
    pub session_lifetime_ms: i64,
}
