//! Who asks, and how: what a handler knows of a request besides its body.

use std::sync::Arc;

use crate::{Principal, quotas::Mute};

/// The circumstances of one request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestContext {
    /// The version in which the request came and its response is due.
    pub api_version: i16,
    /// How the client calls itself.
    pub client_id: Option<String>,
    /// The client's address as groups show it: `/127.0.0.1`, or `/in-process`.
    pub client_host: String,
    /// Unique per connection of this run.
    pub connection_id: u64,
    /// Who asks. In-process clients are `User:ANONYMOUS`, as those of a plaintext listener are.
    pub principal: Principal,
    /// Which listener the connection came in by; `None` in process. Clients are told the addresses of their listener.
    pub listener: Option<usize>,
    /// Whether records may be sent from their files.
    pub(crate) takes_files: bool,
    /// The bytes of the request, where it came as bytes.
    pub(crate) request_bytes: Option<usize>,
    /// Until when the client is left alone for the sake of a quota.
    pub(crate) mute: Option<Arc<Mute>>,
}

impl RequestContext {
    /// The circumstances of an in-process request.
    pub fn in_process(connection_id: u64, api_version: i16, client_id: Option<String>) -> Self {
        Self {
            api_version,
            client_id,
            client_host: "/in-process".to_owned(),
            connection_id,
            principal: Principal::anonymous(),
            listener: None,
            takes_files: false,
            request_bytes: None,
            mute: None,
        }
    }
}
