//! Counts allocations per request, from the frame's bytes to the answer's: the gate that keeps the data path as lean as it
//! is. Whoever lowers a number lowers it here too.
//!
//! This file holds one test only, because the count is of the whole process.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

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
    record::{BatchBuilder, BatchOptions},
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Handles the frame of a request and encodes its answer. Returns the fewest allocations of many rounds: now and then a
/// buffer grows, or another thread is at work.
fn fewest(broker: &Broker, version: i16, body: RequestBody) -> usize {
    let frame: Bytes = encode_request(&body, version, 1, Some("client")).expect("encodes").content();
    let mut context = RequestContext::in_process(1, version, Some("client".to_owned()));
    context.api_version = version;
    let round = || {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let (header, body) = decode_request(&frame, &DecodeLimits::default()).expect("decodes");
        let Reply::Now(answer) = broker.handle(&context, body) else { panic!("answered at once") };
        let response = encode_response(&answer, header.api_version, header.correlation_id).expect("encodes");
        assert!(response.size_in_bytes() > 40);
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    (0..200).map(|_| round()).min().unwrap_or_default()
}

#[tokio::test]
async fn a_request_allocates_little() {
    let broker = Broker::builder().in_memory().start().await.expect("starts");
    let topic = CreatableTopic { name: "t".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let create = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
    match broker.handle(&RequestContext::in_process(1, 7, None), create.into()) {
        Reply::Later(created) => drop(created.await),
        other => drop(other),
    }
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(1, None, Some(&[7; 100]), []).expect("fits");
    let data = PartitionProduceData { index: 0, records: Some(builder.build().expect("builds")) };
    let topic = TopicProduceData { name: "t".into(), partition_data: vec![data], ..Default::default() };
    let produce = ProduceRequest { acks: 1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() };
    let produced = fewest(&broker, 9, produce.into());

    let partition = FetchPartition { fetch_offset: 0, partition_max_bytes: 1000, ..Default::default() };
    let topic = FetchTopic { topic: "t".into(), partitions: vec![partition], ..Default::default() };
    let fetch = FetchRequest { max_bytes: 1000, min_bytes: 1, topics: vec![topic], ..Default::default() };
    let fetched = fewest(&broker, 12, fetch.into());

    println!("allocations per request: produce {produced}, fetch {fetched}");
    assert!(produced <= PRODUCE_MAX, "produce: {produced} allocations, {PRODUCE_MAX} before");
    assert!(fetched <= FETCH_MAX, "fetch: {fetched} allocations, {FETCH_MAX} before");
    broker.shutdown().await.expect("stops");
}

const PRODUCE_MAX: usize = 10;
const FETCH_MAX: usize = 19;
