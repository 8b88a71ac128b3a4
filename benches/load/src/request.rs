//! Produce requests, encoded once: a head of their own (topic, partition) and a batch that all of them share. The
//! correlation id is always the same; a broker answers in order, so nothing is lost by that.

use std::{
    io::{self, IoSlice, Write},
    net::TcpStream,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use riverrun_core::{
    protocol::{
        ErrorCode, encode_request,
        messages::{
            ProduceRequest,
            produce::{PartitionProduceData, TopicProduceData},
        },
    },
    record::{BatchBuilder, BatchOptions, Compression},
};

use crate::{connection::CLIENT_ID, payload};

/// The last version whose answer has its error code at a place known in advance.
const PRODUCE_VERSION: i16 = 7;
/// Requests written by one system call at most.
const REQUESTS_PER_WRITE: usize = 32;

/// What a produce request is to hold.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The topic.
    pub topic: String,
    /// Requests go to partitions 0 up to this, in turns, one partition each.
    pub partitions: i32,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// Records of a batch, which is all a request holds.
    pub batch_records: u64,
    /// 1, or -1 for all.
    pub acks: i16,
    /// How the batch is compressed.
    pub compression: Compression,
}

/// Encoded requests, to be sent in turns.
#[derive(Debug)]
pub struct Requests {
    list: Vec<Encoded>,
    /// Records of one request.
    pub records: u64,
    /// Payload bytes of one request.
    pub bytes: u64,
    error_code_at: usize,
}

#[derive(Debug)]
struct Encoded {
    head: Bytes,
    body: Bytes,
}

impl Encoded {
    fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

impl Requests {
    /// Encodes one request per partition.
    ///
    /// # Errors
    /// If the batch cannot be built.
    pub fn encode(shape: &Shape) -> Result<Self> {
        let batch = batch(shape)?;
        let list = (0..shape.partitions).map(|partition| encode(shape, partition, batch.clone()));
        let list = list.collect::<Result<Vec<_>>>()?;
        if list.is_empty() {
            bail!("a topic has at least one partition");
        }
        Ok(Self {
            list,
            records: shape.batch_records,
            bytes: shape.batch_records * shape.record_bytes as u64,
            // Correlation id, topic count, topic, partition count, partition.
            error_code_at: 4 + 4 + 2 + shape.topic.len() + 4 + 4,
        })
    }

    /// Fails if the answer `frame` is a refusal.
    ///
    /// # Errors
    /// With the broker's error code.
    pub fn check(&self, frame: &[u8]) -> Result<()> {
        let code = frame.get(self.error_code_at..).and_then(<[u8]>::first_chunk).context("a short produce response")?;
        match i16::from_be_bytes(*code) {
            0 => Ok(()),
            code => bail!("the broker refuses to append: {}", ErrorCode::from_code(code)),
        }
    }
}

fn batch(shape: &Shape) -> Result<Bytes> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let now = i64::try_from(now)?;
    let mut builder = BatchBuilder::new(BatchOptions { compression: shape.compression, ..BatchOptions::default() });
    for seed in 0..shape.batch_records {
        let value = payload::value(shape.record_bytes, seed);
        builder.append(now, None, Some(&value), [])?;
    }
    Ok(builder.build()?)
}

fn encode(shape: &Shape, partition: i32, batch: Bytes) -> Result<Encoded> {
    let partition_data = vec![PartitionProduceData { index: partition, records: Some(batch) }];
    let topic = TopicProduceData { name: shape.topic.clone(), partition_data, ..TopicProduceData::default() };
    let request =
        ProduceRequest { acks: shape.acks, timeout_ms: 30_000, topic_data: vec![topic], ..ProduceRequest::default() };
    let frame = encode_request(&request.into(), PRODUCE_VERSION, 1, Some(CLIENT_ID))?;
    let mut segments = frame.into_segments().into_iter();
    let head = segments.next().unwrap_or_default();
    let body = segments.next().unwrap_or_default();
    if segments.next().is_some() {
        bail!("a produce request in more than two pieces");
    }
    Ok(Encoded { head, body })
}

/// What one connection still has to write.
#[derive(Debug)]
pub struct Outbox {
    next: usize,
    pending: usize,
    /// Bytes of the next request that have been written already.
    written: usize,
}

impl Outbox {
    /// Nothing to write; the first request will be number `first` of the cycle.
    pub fn starting_at(first: usize) -> Self {
        Self { next: first, pending: 0, written: 0 }
    }

    /// `count` more requests are to be sent.
    pub fn queue(&mut self, count: usize) {
        self.pending += count;
    }

    /// Whether all has been written.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Writes until nothing is left, or the socket takes no more.
    ///
    /// # Errors
    /// What the socket says, other than that it would block.
    pub fn write_to(&mut self, mut stream: &TcpStream, requests: &Requests) -> io::Result<()> {
        while self.pending > 0 {
            let mut slices = Vec::with_capacity(2 * REQUESTS_PER_WRITE);
            for turn in 0..self.pending.min(REQUESTS_PER_WRITE) {
                let request = &requests.list[(self.next + turn) % requests.list.len()];
                slices.push(IoSlice::new(&request.head));
                slices.push(IoSlice::new(&request.body));
            }
            let mut rest = slices.as_mut_slice();
            IoSlice::advance_slices(&mut rest, self.written);
            match stream.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.advance(count, requests),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn advance(&mut self, count: usize, requests: &Requests) {
        self.written += count;
        loop {
            let len = requests.list[self.next % requests.list.len()].len();
            if self.pending == 0 || self.written < len {
                return;
            }
            self.written -= len;
            self.pending -= 1;
            self.next = (self.next + 1) % requests.list.len();
        }
    }
}
