//! GetTelemetrySubscriptions: API key 71, versions 0, flexible from 0.
//!
//! Asks which client metrics the broker wants (KIP-714).

use riverrun_core_derive::Message;

use crate::Uuid;

/// The request of `GetTelemetrySubscriptions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 71, versions = "0", flexible = "0+")]
pub struct GetTelemetrySubscriptionsRequest {
    pub client_instance_id: Uuid,
}

/// The response of `GetTelemetrySubscriptions`.
#[derive(Clone, Debug, PartialEq, Message)]
#[kafka(key = 71, versions = "0", flexible = "0+")]
pub struct GetTelemetrySubscriptionsResponse {
    /// How long the client should wait for the sake of a quota.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub client_instance_id: Uuid,
    pub subscription_id: i32,
    pub accepted_compression_types: Vec<i8>,
    pub push_interval_ms: i32,
    pub telemetry_max_bytes: i32,
    pub delta_temporality: bool,
    pub requested_metrics: Vec<String>,
}
