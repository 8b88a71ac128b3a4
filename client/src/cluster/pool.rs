//! Open connections by broker, opened when first needed. One attempt at a time per broker, with back-off between
//! attempts; who comes meanwhile waits for the same attempt. A connection that breaks is replaced at the next call.
//!
//! Producer, consumer and the client's own calls each have a pool, for a broker handles the requests of one connection
//! one after the other: a long poll would hold up everything behind it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use riverrun_core::protocol::{ApiKey, Request};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    backoff::Backoff,
    error::{CallError, ClientError, ConnectError},
    transport::{BrokerAddress, Connection, Transport},
};

/// How long a request may take (`request.timeout.ms`).
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections of one purpose.
#[derive(Debug)]
pub(crate) struct Pool {
    transport: Arc<dyn Transport>,
    /// Guards the map only; each slot has a lock of its own.
    slots: Mutex<HashMap<BrokerAddress, Arc<Slot>>>,
}

/// The connection to one broker.
#[derive(Debug, Default)]
struct Slot {
    /// Held while connecting, so that others wait for the outcome.
    state: tokio::sync::Mutex<SlotState>,
}

#[derive(Debug, Default)]
struct SlotState {
    connection: Option<Arc<dyn Connection>>,
    failures: u32,
    not_before: Option<Instant>,
}

impl Pool {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, slots: Mutex::default() }
    }

    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    fn slot(&self, address: &BrokerAddress) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(address) {
            return Arc::clone(slot);
        }
        Arc::clone(slots.entry(address.clone()).or_default())
    }

    /// An open connection; waits for the back-off to pass if the last attempt failed.
    pub(crate) async fn get(&self, address: &BrokerAddress) -> Result<Arc<dyn Connection>, ConnectError> {
        let slot = self.slot(address);
        let mut state = slot.state.lock().await;
        if let Some(connection) = state.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        state.connection = None;
        if let Some(then) = state.not_before {
            sleep_until(then).await;
        }
        match self.transport.connect(address).await {
            Ok(connection) => {
                *state = SlotState { connection: Some(Arc::clone(&connection)), ..SlotState::default() };
                Ok(connection)
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.not_before = Some(Instant::now() + Backoff::RECONNECT.after(state.failures, rand::random()));
                Err(error)
            }
        }
    }

    /// Forgets the connection to a broker, because it turned out to be of no use.
    pub(crate) fn forget(&self, address: &BrokerAddress) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    /// Sends a request in the newest version that both sides know, and waits for its response.
    pub(crate) async fn call<R: Request>(
        &self,
        address: &BrokerAddress,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, ClientError> {
        self.call_within(address, REQUEST_TIMEOUT, i16::MAX, build).await
    }

    /// The same with a limit to the time it may take and to the version.
    pub(crate) async fn call_within<R: Request>(
        &self,
        address: &BrokerAddress,
        limit: Duration,
        version_max: i16,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, ClientError> {
        let connection = self.get(address).await?;
        let result = call(&*connection, limit, version_max, build).await;
        if result.as_ref().is_err_and(CallError::breaks_connection) {
            self.forget(address);
        }
        Ok(result?)
    }
}

/// The newest version of `key` up to `version_max` that both sides know.
pub(crate) fn version_of(connection: &dyn Connection, key: ApiKey, version_max: i16) -> Result<i16, CallError> {
    let versions = connection.versions(key).filter(|versions| *versions.start() <= version_max);
    let versions = versions.ok_or(CallError::Unsupported { api: key })?;
    Ok(version_max.min(*versions.end()))
}

async fn call<R: Request>(
    connection: &dyn Connection,
    limit: Duration,
    version_max: i16,
    build: impl FnOnce(i16) -> R,
) -> Result<R::Response, CallError> {
    let version = version_of(connection, R::KEY, version_max)?;
    let response = timeout(limit, connection.call(version, build(version).into())).await;
    let response = response.map_err(|_| CallError::TimedOut { api: R::KEY, after: limit })??;
    response.and_then(|body| R::Response::try_from(body).ok()).ok_or(CallError::OutOfStep)
}
