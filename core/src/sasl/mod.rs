//! The SASL mechanisms of both sides, as state machines: tokens in, tokens out. Random numbers come in as arguments.
//!
//! | file | what |
//! |---|---|
//! | `scram` | SCRAM-SHA-256 and -512 (RFC 5802, RFC 7677): keys, server, client |
//! | `plain`, `oauthbearer` | the messages of PLAIN (RFC 4616) and OAUTHBEARER (RFC 7628) |
//! | `jaas` | the form in which Kafka users write their passwords |
//! | `base64` | the encoding of SCRAM's binary fields |
//!
//! Feature `sasl`. The cryptography is ring's.

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod base64;
pub mod jaas;
mod oauthbearer;
mod plain;
pub mod scram;

pub use base64::{decode as base64_decode, decode_url as base64_decode_url, encode as base64_encode};
pub use oauthbearer::OAuthBearerMessage;
pub use plain::{InvalidPlain, PlainMessage};

/// Compares secrets in a time that says nothing of where they differ: by their keyed hashes.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"riverrun compares");
    ring::hmac::verify(&key, a, ring::hmac::sign(&key, b).as_ref()).is_ok()
}
