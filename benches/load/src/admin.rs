//! Topics made and removed around a run, and the first answer of a broker that starts.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use riverrun_core::protocol::{
    ErrorCode, encode_request,
    messages::{
        ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, ListOffsetsRequest,
        create_partitions::CreatePartitionsTopic,
        create_topics::{CreatableTopic, CreatableTopicConfig},
        list_offsets::{ListOffsetsPartition, ListOffsetsTopic},
    },
};

use crate::connection::{CLIENT_ID, call, connect};

/// `ListOffsets` timestamp that asks for the end of the log.
const LATEST: i64 = -1;
/// Apache Kafka makes no more than 10,000 records of metadata of one request.
const PARTITIONS_PER_REQUEST: i32 = 5000;
/// How long a broker may take over anything here.
const PATIENCE: Duration = Duration::from_secs(180);

/// Makes a topic and waits until each of its partitions can be used.
///
/// # Errors
/// If the broker refuses, or is not ready after three minutes.
pub fn create_topic(address: &str, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<()> {
    let configs = configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig { name: (*name).to_owned(), value: Some((*value).to_owned()) });
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions.min(PARTITIONS_PER_REQUEST),
        replication_factor: 1,
        configs: configs.collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 120_000, ..CreateTopicsRequest::default() };
    let response = call(&mut connect(address)?, request, 4)?;
    for topic in response.topics {
        let message = topic.error_message.unwrap_or_default();
        ErrorCode::from_code(topic.error_code)
            .ok()
            .with_context(|| format!("cannot create topic {name}: {message}"))?;
    }
    let mut there = partitions.min(PARTITIONS_PER_REQUEST);
    while there < partitions {
        await_partitions(address, name, there)?;
        there = partitions.min(there + PARTITIONS_PER_REQUEST);
        add_partitions(address, name, there)?;
    }
    await_partitions(address, name, partitions)
}

fn add_partitions(address: &str, name: &str, count: i32) -> Result<()> {
    let topic = CreatePartitionsTopic { name: name.to_owned(), count, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: 120_000, validate_only: false };
    for topic in call(&mut connect(address)?, request, 1)?.results {
        let message = topic.error_message.unwrap_or_default();
        ErrorCode::from_code(topic.error_code)
            .ok()
            .with_context(|| format!("cannot add partitions to {name}: {message}"))?;
    }
    Ok(())
}

/// Waits until the end of every partition can be asked for; returns the ends.
///
/// # Errors
/// If that is not so after three minutes.
pub fn await_partitions(address: &str, name: &str, partitions: i32) -> Result<()> {
    let began = Instant::now();
    loop {
        let refusal = match end_offsets(address, name, partitions) {
            Ok(_) => return Ok(()),
            Err(refusal) => refusal,
        };
        if began.elapsed() > PATIENCE {
            return Err(refusal.context(format!("topic {name} is not ready after {PATIENCE:?}")));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The end offset of each partition.
///
/// # Errors
/// If one of them is not served.
pub fn end_offsets(address: &str, name: &str, partitions: i32) -> Result<Vec<i64>> {
    let wanted = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: LATEST,
        ..ListOffsetsPartition::default()
    };
    let topic = ListOffsetsTopic { name: name.to_owned(), partitions: (0..partitions).map(wanted).collect() };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..ListOffsetsRequest::default() };
    let response = call(&mut connect(address)?, request, 5)?;
    let mut found = Vec::new();
    for partition in response.topics.into_iter().flat_map(|topic| topic.partitions) {
        ErrorCode::from_code(partition.error_code)
            .ok()
            .with_context(|| format!("partition {}", partition.partition_index))?;
        found.push(partition.offset);
    }
    if found.len() != usize::try_from(partitions)? {
        bail!("asked for {partitions} partitions of {name}, heard of {}", found.len());
    }
    Ok(found)
}

/// Removes a topic.
///
/// # Errors
/// If the broker refuses.
pub fn delete_topic(address: &str, name: &str) -> Result<()> {
    let request = DeleteTopicsRequest {
        topic_names: vec![name.to_owned()],
        timeout_ms: 120_000,
        ..DeleteTopicsRequest::default()
    };
    let response = call(&mut connect(address)?, request, 4)?;
    for topic in response.responses {
        ErrorCode::from_code(topic.error_code).ok().with_context(|| format!("cannot delete topic {name}"))?;
    }
    Ok(())
}

/// Whether a broker at `address` answers `ApiVersions` now; one try.
pub fn answers(address: &str) -> bool {
    let attempt = || -> Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let frame = encode_request(&ApiVersionsRequest::default().into(), 0, 1, Some(CLIENT_ID))?;
        stream.write_all(&frame.to_bytes())?;
        let mut start = [0; 8];
        stream.read_exact(&mut start)?;
        Ok(true)
    };
    attempt().unwrap_or(false)
}
