//! A transport whose broker is a closure, for tests of what no real broker can be made to do on demand. Tests only.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use riverrun_core::protocol::{
    ApiKey, RequestBody, ResponseBody,
    messages::{
        InitProducerIdResponse, MetadataRequest, MetadataResponse,
        metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    },
    supported_versions,
};
use tokio::time::sleep;

use super::{BrokerAddress, CallError, ConnectError, Connection, Transport};

/// What the broker does with a request.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(ResponseBody),
    Late(Duration, ResponseBody),
    /// The connection breaks, after that time.
    Break(Duration),
    Never,
}

impl<T: Into<ResponseBody>> From<T> for Reply {
    fn from(response: T) -> Self {
        Self::Answer(response.into())
    }
}

type Handler = dyn FnMut(RequestBody) -> Reply + Send;

/// A cluster of one broker, node 1.
#[derive(Clone)]
pub(crate) struct Fake {
    handler: Arc<Mutex<Box<Handler>>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    /// A broker that knows topics of three partitions and producer ids, and leaves the rest to `handler`, which is
    /// called in the order of the calls.
    pub(crate) fn new(mut handler: impl FnMut(RequestBody) -> Reply + Send + 'static) -> Arc<Self> {
        let mut next_producer_id = 100;
        let handler = move |request| match request {
            RequestBody::Metadata(request) => metadata(request).into(),
            RequestBody::InitProducerId(_) => {
                next_producer_id += 1;
                InitProducerIdResponse { producer_id: next_producer_id, producer_epoch: 0, ..Default::default() }.into()
            }
            other => handler(other),
        };
        Arc::new(Self { handler: Arc::new(Mutex::new(Box::new(handler))) })
    }
}

fn metadata(request: MetadataRequest) -> MetadataResponse {
    let partition = |partition_index| MetadataResponsePartition { partition_index, leader_id: 1, ..Default::default() };
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| MetadataResponseTopic {
        name: topic.name,
        partitions: (0..3).map(partition).collect(),
        ..Default::default()
    });
    let broker = MetadataResponseBroker { node_id: 1, host: "fake".to_owned(), port: 1, ..Default::default() };
    MetadataResponse { brokers: vec![broker], topics: topics.collect(), ..Default::default() }
}

impl Transport for Fake {
    fn bootstrap(&self) -> Vec<BrokerAddress> {
        vec![BrokerAddress::new("fake", 1)]
    }

    fn connect(&self, _to: &BrokerAddress) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let connection = FakeConnection { fake: self.clone(), broken: Arc::default() };
        async { Ok(Arc::new(connection) as Arc<dyn Connection>) }.boxed()
    }
}

#[derive(Debug)]
struct FakeConnection {
    fake: Fake,
    broken: Arc<AtomicBool>,
}

impl Connection for FakeConnection {
    fn versions(&self, key: ApiKey) -> Option<RangeInclusive<i16>> {
        Some(supported_versions(key))
    }

    fn call(&self, _version: i16, request: RequestBody) -> BoxFuture<'static, Result<Option<ResponseBody>, CallError>> {
        let closed = CallError::Closed { source: None };
        if self.is_closed() {
            return async { Err(closed) }.boxed();
        }
        let reply = (self.fake.handler.lock().unwrap())(request);
        let broken = Arc::clone(&self.broken);
        async move {
            match reply {
                Reply::Answer(response) => Ok(Some(response)),
                Reply::Late(after, response) => {
                    sleep(after).await;
                    Ok(Some(response))
                }
                Reply::Break(after) => {
                    sleep(after).await;
                    broken.store(true, Ordering::Relaxed);
                    Err(closed)
                }
                Reply::Never => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn is_closed(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}
