//! Runs one kernel of the data path so many times: what `cargo xtask instructions` counts the instructions of.
//!
//! A kernel does the same in each round, on one thread, without a disk and without a clock in its way, so that two runs of
//! different length differ by rounds only.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use riverrun_broker::{Broker, Reply, RequestContext};
use riverrun_core::{
    protocol::{
        DecodeLimits, RequestBody, decode_request, encode_request, encode_response,
        messages::{
            CreateTopicsRequest, FetchRequest, ProduceRequest,
            create_topics::CreatableTopic,
            fetch::{FetchPartition, FetchTopic},
            produce::{PartitionProduceData, TopicProduceData},
        },
    },
    record::{BatchBuilder, BatchOptions, DecompressLimits, RecordBatch, validate_records},
};

/// The names that the first argument may have.
const KERNELS: &[&str] = &[
    "produce-1",
    "produce-1000",
    "produce-1-idempotent",
    "fetch-1",
    "fetch-1000",
    "encode-1000",
    "iterate-1000",
    "validate-1000",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(kernel) = arguments.next() else {
        KERNELS.iter().for_each(|name| println!("{name}"));
        return Ok(());
    };
    let rounds: usize = arguments.next().context("KERNEL ROUNDS: how many rounds?")?.parse()?;
    match kernel.as_str() {
        "produce-1" => produce(rounds, 1, None).await,
        "produce-1000" => produce(rounds, 1000, None).await,
        // The batch is made anew for each, and its making counts.
        "produce-1-idempotent" => produce(rounds, 1, Some(7)).await,
        "fetch-1" => fetch(rounds, 1).await,
        "fetch-1000" => fetch(rounds, 1000).await,
        "encode-1000" => (0..rounds)
            .try_for_each(|_| batch(1000, BatchOptions::default()).map(|bytes| drop(std::hint::black_box(bytes)))),
        "iterate-1000" => iterate(rounds),
        "validate-1000" => validate(rounds),
        other => bail!("no kernel is called {other}; there are {}", KERNELS.join(", ")),
    }
}

/// A batch of so many records of 100 B.
fn batch(records: i64, options: BatchOptions) -> Result<Bytes> {
    let mut builder = BatchBuilder::with_capacity(options, records as usize * 120);
    for number in 0..records {
        builder.append(1_700_000_000_000 + number, None, Some(&[b'v'; 100]), [])?;
    }
    Ok(builder.build()?)
}

fn iterate(rounds: usize) -> Result<()> {
    let batch = RecordBatch::parse(batch(1000, BatchOptions::default())?)?;
    for _ in 0..rounds {
        let records = batch.decode(&DecompressLimits::default())?;
        for record in records.iter() {
            std::hint::black_box(record?.value);
        }
    }
    Ok(())
}

fn validate(rounds: usize) -> Result<()> {
    let batch = RecordBatch::parse(batch(1000, BatchOptions::default())?)?;
    for _ in 0..rounds {
        batch.verify_crc()?;
        validate_records(&batch.decode(&DecompressLimits::default())?)?;
    }
    Ok(())
}

/// From the bytes of a request to those of its answer.
fn round(broker: &Broker, context: &RequestContext, frame: &Bytes) -> Result<usize> {
    let (header, body) = decode_request(frame, &DecodeLimits::default())?;
    let Reply::Now(answer) = broker.handle(context, body) else { bail!("the answer does not come at once") };
    Ok(encode_response(&answer, header.api_version, header.correlation_id)?.size_in_bytes())
}

/// A broker in memory with the topic `t`.
async fn broker() -> Result<Broker> {
    let broker = Broker::builder().in_memory().start().await?;
    let topic = CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let create = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
    if let Reply::Later(created) = broker.handle(&RequestContext::in_process(1, 7, None), create.into()) {
        created.await;
    }
    Ok(broker)
}

fn request(version: i16, body: &RequestBody) -> Result<(RequestContext, Bytes)> {
    let mut context = RequestContext::in_process(1, version, Some("client".to_owned()));
    context.api_version = version;
    Ok((context, encode_request(body, version, 1, Some("client"))?.content()))
}

fn produce_request(records: Bytes) -> RequestBody {
    let data = PartitionProduceData { index: 0, records: Some(records) };
    let topic = TopicProduceData { name: "t".into(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks: 1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() }.into()
}

async fn produce(rounds: usize, records: i64, producer: Option<i64>) -> Result<()> {
    let broker = broker().await?;
    let (context, frame) = request(9, &produce_request(batch(records, BatchOptions::default())?))?;
    for number in 0..rounds {
        let Some(producer_id) = producer else {
            round(&broker, &context, &frame)?;
            continue;
        };
        let base_sequence = i32::try_from(number)?;
        let options = BatchOptions { producer_id, producer_epoch: 0, base_sequence, ..BatchOptions::default() };
        round(&broker, &context, &request(9, &produce_request(batch(records, options)?))?.1)?;
    }
    broker.shutdown().await?;
    Ok(())
}

async fn fetch(rounds: usize, records: i64) -> Result<()> {
    let broker = broker().await?;
    let (context, frame) = request(9, &produce_request(batch(records, BatchOptions::default())?))?;
    round(&broker, &context, &frame)?;
    let partition = FetchPartition { fetch_offset: 0, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: "t".into(), partitions: vec![partition], ..Default::default() };
    let body = FetchRequest { max_bytes: 1 << 20, min_bytes: 1, topics: vec![topic], ..Default::default() };
    let (context, frame) = request(12, &body.into())?;
    for _ in 0..rounds {
        round(&broker, &context, &frame)?;
    }
    broker.shutdown().await?;
    Ok(())
}
