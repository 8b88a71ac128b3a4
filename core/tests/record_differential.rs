//! Compares our batches with those of the `kafka-protocol` crate, both ways. It keeps headers in a map, so header keys
//! are made unique here; duplicates have their own tests.

mod record_common;
#[path = "record_common/strategies.rs"]
mod strategies;

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    indexmap::IndexMap,
    protocol::StrBytes,
    records::{
        Compression as TheirCompression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
        TimestampType,
    },
};
use proptest::{collection::vec, prelude::*};
use record_common::{OwnedRecord, build, owned};
use riverrun_core::record::{BatchOptions, Compression, DecompressLimits, RecordBatch};
use strategies::{any_codec, any_record};

const BASE_OFFSET: i64 = 1_000;
const BASE_SEQUENCE: i32 = 70;

fn theirs(codec: Compression) -> TheirCompression {
    match codec {
        Compression::None => TheirCompression::None,
        Compression::Gzip => TheirCompression::Gzip,
        Compression::Snappy => TheirCompression::Snappy,
        Compression::Lz4 => TheirCompression::Lz4,
        Compression::Zstd => TheirCompression::Zstd,
    }
}

fn to_theirs(index: i32, record: &OwnedRecord) -> Record {
    let headers = record.headers.iter().map(|(key, value)| {
        (StrBytes::from_string(key.clone()), value.as_ref().map(|value| Bytes::copy_from_slice(value)))
    });
    Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 3,
        producer_id: 9,
        producer_epoch: 2,
        timestamp_type: TimestampType::Creation,
        offset: BASE_OFFSET + i64::from(index),
        sequence: BASE_SEQUENCE + index,
        timestamp: record.timestamp,
        key: record.key.clone().map(Bytes::from),
        value: record.value.clone().map(Bytes::from),
        headers: headers.collect::<IndexMap<_, _>>(),
    }
}

fn options(compression: Compression) -> BatchOptions {
    BatchOptions {
        compression,
        base_offset: BASE_OFFSET,
        partition_leader_epoch: 3,
        producer_id: 9,
        producer_epoch: 2,
        base_sequence: BASE_SEQUENCE,
        transactional: true,
        ..BatchOptions::default()
    }
}

fn records_without_duplicates() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let records = vec(any_record(1_700_000_000_000..1_800_000_000_000i64), 1..30);
    records.prop_map(|mut records| {
        for record in &mut records {
            let mut seen = HashSet::new();
            record.headers.retain(|(key, _)| seen.insert(key.clone()));
        }
        records
    })
}

proptest! {
    #[test]
    fn they_read_ours(codec in any_codec(), records in records_without_duplicates()) {
        let mut bytes = build(options(codec), &records);
        let read = RecordBatchDecoder::decode(&mut bytes).unwrap();
        prop_assert_eq!(read.compression, theirs(codec));
        let expected: Vec<_> = (0..).zip(&records).map(|(i, record)| to_theirs(i, record)).collect();
        prop_assert_eq!(read.records, expected);
    }

    #[test]
    fn we_read_theirs(codec in any_codec(), records in records_without_duplicates()) {
        let input: Vec<_> = (0..).zip(&records).map(|(i, record)| to_theirs(i, record)).collect();
        let mut bytes = BytesMut::new();
        let how = RecordEncodeOptions { version: 2, compression: theirs(codec) };
        RecordBatchEncoder::encode(&mut bytes, &input, &how).unwrap();
        let batch = RecordBatch::parse(bytes.freeze()).unwrap();
        batch.verify_crc().unwrap();
        let header = batch.header();
        prop_assert!(header.attributes.is_transactional() && !header.attributes.is_control());
        prop_assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (9, 2, BASE_SEQUENCE));
        let decoded = batch.decode(&DecompressLimits::default()).unwrap();
        prop_assert_eq!(owned(&decoded).unwrap(), records);
    }

    #[test]
    fn without_compression_and_time_differences_the_bytes_are_the_same(
        records in records_without_duplicates(), timestamp in 0..1_800_000_000_000i64,
    ) {
        // Their base timestamp is the smallest, ours and Kafka's the first record's.
        let records: Vec<_> = records.into_iter().map(|record| OwnedRecord { timestamp, ..record }).collect();
        let input: Vec<_> = (0..).zip(&records).map(|(i, record)| to_theirs(i, record)).collect();
        let mut bytes = BytesMut::new();
        let how = RecordEncodeOptions { version: 2, compression: TheirCompression::None };
        RecordBatchEncoder::encode(&mut bytes, &input, &how).unwrap();
        prop_assert_eq!(build(options(Compression::None), &records), bytes);
    }
}
