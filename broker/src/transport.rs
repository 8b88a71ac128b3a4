//! The in-process transport: typed requests go to [`crate::Broker::handle`], typed responses come back. Record batches
//! are shared, nothing is encoded.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use riverrun_client::{
    CallError, ConnectError,
    transport::{BrokerAddress, Connection, Transport},
};
use riverrun_core::protocol::{ApiKey, RequestBody, ResponseBody, supported_versions};

use crate::{Reply, RequestContext, api, broker::Inner, quotas::Mute};

/// Leads to one broker, whatever address is asked for: a single node has one.
pub(crate) struct InProcess {
    broker: Arc<Inner>,
}

impl InProcess {
    pub(crate) fn new(broker: Arc<Inner>) -> Self {
        Self { broker }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("node", &self.broker.node.id).finish()
    }
}

impl Transport for InProcess {
    fn bootstrap(&self) -> Vec<BrokerAddress> {
        let endpoint = self.broker.node.advertised(None);
        vec![BrokerAddress::new(endpoint.host, endpoint.port)]
    }

    fn connect(&self, to: &BrokerAddress) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let connected = if self.broker.node.stopping.is_cancelled() {
            Err(ConnectError::ShutDown { address: to.clone() })
        } else {
            let id = self.broker.node.connections.next_id();
            let (broker, mute) = (Arc::clone(&self.broker), Arc::default());
            Ok(Arc::new(InProcessConnection { broker, id, mute }) as Arc<dyn Connection>)
        };
        ready(connected).boxed()
    }
}

struct InProcessConnection {
    broker: Arc<Inner>,
    id: u64,
    /// Until when answers are held back for the sake of a quota.
    mute: Arc<Mute>,
}

impl fmt::Debug for InProcessConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessConnection").field("id", &self.id).finish()
    }
}

impl Drop for InProcessConnection {
    fn drop(&mut self) {
        self.broker.node.shares.connection_closed(self.id);
    }
}

impl Connection for InProcessConnection {
    fn versions(&self, key: ApiKey) -> Option<RangeInclusive<i16>> {
        api::is_served(key).then(|| supported_versions(key))
    }

    fn call(&self, version: i16, request: RequestBody) -> BoxFuture<'static, Result<Option<ResponseBody>, CallError>> {
        let api = request.api_key();
        let node = &self.broker.node;
        if node.stopping.is_cancelled() {
            return ready(Err(CallError::Closed { source: None })).boxed();
        }
        if !self.versions(api).is_some_and(|versions| versions.contains(&version)) {
            return ready(Err(CallError::Unsupported { api })).boxed();
        }
        let mut context = RequestContext::in_process(self.id, version, None);
        if node.quotas.is_active() {
            context.mute = Some(Arc::clone(&self.mute));
        }
        let answer = match api::handle(node, &context, request) {
            Reply::Now(response) => ready(Ok(Some(response))).boxed(),
            Reply::Stored(stored) => ready(Ok(Some(stored.body))).boxed(),
            Reply::StoredLater(stored) => async move { Ok(Some(stored.await.body)) }.boxed(),
            Reply::Later(response) => async move { Ok(Some(response.await)) }.boxed(),
            Reply::Never => ready(Ok(None)).boxed(),
            Reply::Close => ready(Err(CallError::Closed { source: None })).boxed(),
        };
        if context.mute.is_none() {
            return answer;
        }
        // No socket can be left unread, so a client beyond its quota gets its answer late.
        let (mute, clock, stopping) = (Arc::clone(&self.mute), node.clock, node.stopping.clone());
        async move {
            let answer = answer.await;
            tokio::select! {
                () = mute.passed(&clock) => {}
                () = stopping.cancelled() => {}
            }
            answer
        }
        .boxed()
    }

    fn is_closed(&self) -> bool {
        self.broker.node.stopping.is_cancelled()
    }
}
