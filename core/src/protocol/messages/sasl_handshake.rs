//! SaslHandshake: API key 17, versions 0-1, never flexible.
//!
//! Chooses the SASL mechanism of a connection. After version 1 the tokens travel in SaslAuthenticate.

use riverrun_core_derive::Message;

/// The request of `SaslHandshake`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 17, versions = "0-1", flexible = "none")]
pub struct SaslHandshakeRequest {
    pub mechanism: String,
}

/// The response of `SaslHandshake`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 17, versions = "0-1", flexible = "none")]
pub struct SaslHandshakeResponse {
    pub error_code: i16,
    pub mechanisms: Vec<String>,
}
