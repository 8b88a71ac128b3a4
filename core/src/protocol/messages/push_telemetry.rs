//! PushTelemetry: API key 72, versions 0, flexible from 0.
//!
//! Sends client metrics (KIP-714).

use bytes::Bytes;
use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `PushTelemetry`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 72, versions = "0", flexible = "0+")]
pub struct PushTelemetryRequest {
    pub client_instance_id: Uuid,
    pub subscription_id: i32,
    pub terminating: bool,
    pub compression_type: i8,
    pub metrics: Bytes,
}

/// The response of `PushTelemetry`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 72, versions = "0", flexible = "0+")]
pub struct PushTelemetryResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
}
