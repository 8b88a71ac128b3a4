//! SaslHandshake (API key 17) and SaslAuthenticate (API key 36) on a listener without SASL, the only kind there is:
//! ILLEGAL_SASL_STATE (34), as Kafka answers on PLAINTEXT. Without them some clients take the broker for one of 0.9.

use riverrun_core::protocol::{
    ErrorCode,
    messages::{SaslAuthenticateResponse, SaslHandshakeResponse},
};

pub(super) fn handshake() -> SaslHandshakeResponse {
    SaslHandshakeResponse { error_code: ErrorCode::IllegalSaslState.code(), ..Default::default() }
}

pub(super) fn authenticate() -> SaslAuthenticateResponse {
    SaslAuthenticateResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        error_message: Some("this listener takes no SASL authentication".to_owned()),
        ..Default::default()
    }
}
