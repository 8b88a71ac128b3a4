//! Reading a log that lies in the page cache: one connection, one fetch at a time of up to so many bytes, from the start
//! of a partition to its end, again and again. Batches are counted by their headers; records are not looked at.

use std::{net::TcpStream, time::Instant};

use anyhow::{Context, Result, bail};
use bytes::{BufMut, BytesMut};
use riverrun_core::{
    protocol::{
        ErrorCode, encode_request,
        messages::{
            FetchRequest,
            fetch::{FetchPartition, FetchTopic},
        },
    },
    record::{BASE_OFFSET_OFFSET, BATCH_LENGTH_OFFSET, LAST_OFFSET_DELTA_OFFSET, LENGTH_OVERHEAD, RECORD_COUNT_OFFSET},
};

use crate::{
    connection::{CLIENT_ID, Frames},
    meter::Meter,
};

/// The last version that is not flexible and names topics: everything stands at a place known in advance.
const FETCH_VERSION: i16 = 11;
/// Where the fetch offset stands behind the topic's name: partition count, partition, leader epoch before it.
const OFFSET_BEHIND_NAME: usize = 4 + 4 + 4;

/// One partition's fetch, encoded once; the offset is patched in.
#[derive(Debug)]
pub struct FetchFrame {
    bytes: BytesMut,
    offset_at: usize,
    topic_len: usize,
}

/// What a fetch returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes of whole batches.
    pub bytes: u64,
    /// Their records.
    pub records: u64,
    /// The offset behind them; `None` if there were none.
    pub next_offset: Option<i64>,
}

impl FetchFrame {
    /// A fetch from partition 0 of `topic` of at most `max_bytes`, which waits up to `max_wait_ms` for one byte.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn new(topic: &str, max_bytes: i32, max_wait_ms: i32) -> Result<Self> {
        let partition = FetchPartition { partition: 0, partition_max_bytes: max_bytes, ..FetchPartition::default() };
        let topics = vec![FetchTopic { topic: topic.to_owned(), partitions: vec![partition], ..FetchTopic::default() }];
        let request = FetchRequest { max_wait_ms, min_bytes: 1, max_bytes, topics, ..FetchRequest::default() };
        let frame = encode_request(&request.into(), FETCH_VERSION, 1, Some(CLIENT_ID))?;
        let mut bytes = BytesMut::with_capacity(frame.size_in_bytes());
        frame.segments().iter().for_each(|segment| bytes.put_slice(segment));
        let name = bytes.windows(topic.len()).rposition(|window| window == topic.as_bytes());
        let offset_at = name.context("a fetch without its topic")? + topic.len() + OFFSET_BEHIND_NAME;
        Ok(Self { bytes, offset_at, topic_len: topic.len() })
    }

    /// The request's bytes, for `offset`.
    pub fn at(&mut self, offset: i64) -> &[u8] {
        self.bytes[self.offset_at..self.offset_at + 8].copy_from_slice(&offset.to_be_bytes());
        &self.bytes
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// If it is a refusal, or cut short.
    pub fn read(&self, frame: &[u8]) -> Result<Fetched> {
        // Correlation id, throttle time; error; session id, topic count, name, partition count, partition.
        let refusal = i16_at(frame, 8)?;
        let error_at = 4 + 4 + 2 + 4 + 4 + 2 + self.topic_len + 4 + 4;
        for code in [refusal, i16_at(frame, error_at)?] {
            ErrorCode::from_code(code).ok().context("the broker refuses to be read from")?;
        }
        // High watermark, last stable offset, log start offset; then aborted transactions, preferred replica, records.
        let aborted_at = error_at + 2 + 8 + 8 + 8;
        let aborted = usize::try_from(i32_at(frame, aborted_at)?).unwrap_or(0);
        let records_at = aborted_at + 4 + aborted * 16 + 4 + 4;
        walk(frame.get(records_at..).unwrap_or_default())
    }
}

/// Counts whole batches.
fn walk(mut records: &[u8]) -> Result<Fetched> {
    let mut fetched = Fetched::default();
    while records.len() > RECORD_COUNT_OFFSET {
        let len = LENGTH_OVERHEAD + usize::try_from(i32_at(records, BATCH_LENGTH_OFFSET)?)?;
        let Some((batch, rest)) = records.split_at_checked(len) else { break };
        let last = i64_at(batch, BASE_OFFSET_OFFSET)? + i64::from(i32_at(batch, LAST_OFFSET_DELTA_OFFSET)?);
        fetched.bytes += len as u64;
        fetched.records += u64::try_from(i32_at(batch, RECORD_COUNT_OFFSET)?)?;
        fetched.next_offset = Some(last + 1);
        records = rest;
    }
    Ok(fetched)
}

fn i16_at(bytes: &[u8], at: usize) -> Result<i16> {
    Ok(i16::from_be_bytes(field(bytes, at)?))
}

fn i32_at(bytes: &[u8], at: usize) -> Result<i32> {
    Ok(i32::from_be_bytes(field(bytes, at)?))
}

fn i64_at(bytes: &[u8], at: usize) -> Result<i64> {
    Ok(i64::from_be_bytes(field(bytes, at)?))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().context("a fetch response that is cut short")
}

/// Reads partition 0 of `topic`, whose end is `end_offset`, until the meter has enough.
///
/// # Errors
/// If the connection breaks, the broker refuses, or the log holds nothing.
pub fn run(stream: &mut TcpStream, topic: &str, max_bytes: i32, end_offset: i64, meter: &mut Meter) -> Result<()> {
    use std::io::Write;
    let mut request = FetchFrame::new(topic, max_bytes, 500)?;
    let mut frames = Frames::default();
    let mut offset = 0;
    while !meter.is_done() {
        let began = Instant::now();
        stream.write_all(request.at(offset))?;
        let fetched = request.read(frames.read_one(stream)?)?;
        let Some(next) = fetched.next_offset else { bail!("nothing to read at offset {offset} of {topic}") };
        meter.answered(began, Instant::now(), fetched.records, fetched.bytes)?;
        offset = if next >= end_offset { 0 } else { next };
    }
    Ok(())
}
