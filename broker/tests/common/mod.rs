//! What the scenarios share: a broker reached both ways, and a raw peer that says what it likes on a socket.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]
#![expect(dead_code, reason = "each scenario uses its part")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use riverrun_broker::{Broker, BrokerBuilder};
use riverrun_client::transport::{Connection, TcpOptions, TcpTransport, Transport};
use riverrun_core::{
    protocol::{
        Request, RequestBody, ResponseBody, UnexpectedResponse, decode_response, encode_request,
        messages::{
            CreateTopicsRequest, FetchRequest, FetchResponse, MetadataRequest, ProduceRequest, ProduceResponse,
            create_topics::CreatableTopic,
            fetch::{FetchPartition, FetchTopic, PartitionData},
            metadata::{MetadataRequestTopic, MetadataResponseTopic},
            produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData},
        },
    },
    record::{BatchBuilder, BatchOptions, DecompressLimits, batches},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long anything may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Which way a scenario goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    InProcess,
    Tcp,
}

pub(crate) const BOTH: [Way; 2] = [Way::InProcess, Way::Tcp];

/// A builder with a free port and no rebalance delay.
pub(crate) fn builder() -> BrokerBuilder {
    Broker::builder().listen("127.0.0.1:0").set("group.initial.rebalance.delay.ms", "0").unwrap()
}

/// One connection to a broker.
pub(crate) struct Peer {
    connection: Arc<dyn Connection>,
}

impl Peer {
    pub(crate) async fn connect(broker: &Broker, way: Way) -> Self {
        let transport: Arc<dyn Transport> = match way {
            Way::InProcess => broker.transport(),
            Way::Tcp => Arc::new(TcpTransport::new(&broker.addresses()[0].to_string(), TcpOptions::default()).unwrap()),
        };
        let address = transport.bootstrap().remove(0);
        Self { connection: transport.connect(&address).await.unwrap() }
    }

    /// Sends a request in the newest version and gives the response.
    pub(crate) async fn call<R: Request>(&self, request: R) -> R::Response
    where
        R::Response: TryFrom<ResponseBody, Error = UnexpectedResponse>,
    {
        let version = *self.connection.versions(R::KEY).expect("the API is served").end();
        self.call_in(version, request).await
    }

    /// Sends a request in a certain version.
    pub(crate) async fn call_in<R: Request>(&self, version: i16, request: R) -> R::Response {
        let call = self.connection.call(version, request.into());
        let response = tokio::time::timeout(PATIENCE, call).await.expect("an answer in time");
        response.expect("an answer").expect("a response").try_into().expect("the API's response")
    }

    pub(crate) async fn create_topic(&self, name: &str, num_partitions: i32) {
        let topic = CreatableTopic { name: name.into(), num_partitions, replication_factor: 1, ..Default::default() };
        let created = self.call(CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await;
        assert_eq!(created.topics[0].error_code, 0, "{created:?}");
    }

    pub(crate) async fn describe_topic(&self, name: &str) -> MetadataResponseTopic {
        let topics = Some(vec![MetadataRequestTopic { name: Some(name.into()), ..Default::default() }]);
        let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
        self.call(request).await.topics.remove(0)
    }

    /// Produces to partition 0 with acks=all.
    pub(crate) async fn produce(&self, topic: &str, batch: Bytes) -> PartitionProduceResponse {
        let mut produced = self.call_in(9, produce_request(topic, batch, -1)).await;
        produced.responses.remove(0).partition_responses.remove(0)
    }

    /// Fetches partition 0 from an offset.
    pub(crate) async fn fetch(&self, topic: &str, offset: i64, max_wait_ms: i32) -> PartitionData {
        let mut fetched: FetchResponse = self.call_in(12, fetch_request(topic, offset, max_wait_ms)).await;
        fetched.responses.remove(0).partitions.remove(0)
    }
}

pub(crate) fn produce_request(topic: &str, batch: Bytes, acks: i16) -> ProduceRequest {
    let partition = PartitionProduceData { index: 0, records: Some(batch) };
    let topic = TopicProduceData { name: topic.into(), partition_data: vec![partition], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

pub(crate) fn fetch_request(topic: &str, fetch_offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() };
    FetchRequest { max_wait_ms, min_bytes: 1, topics: vec![topic], ..Default::default() }
}

/// A batch of these values.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_of(BatchOptions::default(), values)
}

pub(crate) fn batch_of(options: BatchOptions, values: &[&str]) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let mut builder = BatchBuilder::new(options);
    for value in values {
        builder.append(i64::try_from(now).unwrap(), Some(b"key"), Some(value.as_bytes()), []).unwrap();
    }
    builder.build().unwrap()
}

/// The values in fetched bytes.
pub(crate) fn values(records: Option<Bytes>) -> Vec<String> {
    let mut values = Vec::new();
    for batch in batches(records.unwrap_or_default()) {
        for record in &batch.unwrap().decode(&DecompressLimits::default()).unwrap() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

/// A socket on which anything can be said.
pub(crate) struct RawPeer {
    stream: TcpStream,
    received: BytesMut,
}

impl RawPeer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), received: BytesMut::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends what may not be taken any more; whether it was.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn request(&mut self, version: i16, correlation_id: i32, body: impl Into<RequestBody>) {
        let frame = encode_request(&body.into(), version, correlation_id, Some("raw")).unwrap();
        self.send(&frame.to_bytes()).await;
    }

    /// The next frame without its length; none if the broker closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(prefix) = self.received.first_chunk::<4>() {
                    let size = usize::try_from(i32::from_be_bytes(*prefix)).unwrap();
                    if self.received.len() >= 4 + size {
                        self.received.advance(4);
                        return Some(self.received.split_to(size).freeze());
                    }
                }
                match self.stream.read_buf(&mut self.received).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
        .expect("an answer or an end in time")
    }

    /// The next response.
    pub(crate) async fn response<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let frame = self.frame().await.expect("a response");
        let (correlation_id, body) = decode_response(R::KEY, version, &frame, &Default::default()).unwrap();
        (correlation_id, body.try_into().unwrap())
    }
}

pub(crate) fn single(response: ProduceResponse) -> PartitionProduceResponse {
    response.responses[0].partition_responses[0].clone()
}
