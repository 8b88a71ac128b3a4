//! Reads segment files that Apache Kafka wrote (see `fixtures/record/README.md`): what its Java producer makes of each
//! codec, and what its broker adds. Our encoding without compression must be the same to the byte.

mod record_common;

use std::{fs, path::PathBuf};

use bytes::Bytes;
use record_common::{OwnedRecord, build, owned};
use riverrun_core::record::{
    BatchError, BatchOptions, Compression, ControlRecord, ControlRecordType, DecompressLimits, EndTransactionMarker,
    RecordBatch, TimestampType, batches, validate_header, validate_records,
};

fn fixture(name: &str) -> Vec<RecordBatch> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/record").join(name);
    let found = batches(Bytes::from(fs::read(path).expect("the fixture lies beside the test")));
    let found: Vec<_> = found.map(Result::unwrap).collect();
    for batch in &found {
        batch.verify_crc().expect("the fixture is whole");
    }
    found
}

/// The record that went in as line `i` of the producer's input.
fn expected(i: usize) -> OwnedRecord {
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    OwnedRecord {
        timestamp: 0,
        key: if i % 5 == 4 { None } else { bytes(&format!("key-{}", i % 7)) },
        value: if i % 11 == 10 {
            None
        } else {
            bytes(&format!("river {i} runs past Eve and Adam's, from swerve of shore to bend of bay"))
        },
        headers: match i % 3 {
            0 => vec![("trace".into(), bytes(&i.to_string())), ("tag".into(), bytes("a")), ("tag".into(), bytes("b"))],
            1 => vec![("empty".into(), None)],
            _ => Vec::new(),
        },
    }
}

#[test]
fn batches_of_every_codec_are_read() {
    for codec in Compression::ALL {
        let [batch] = &fixture(&format!("{codec}.log"))[..] else { panic!("one batch each") };
        let header = batch.header();
        let count = if codec == Compression::None { 24 } else { 1500 };
        assert_eq!(header.attributes.compression(), codec);
        assert_eq!((header.base_offset, header.record_count, header.base_sequence), (0, count, 0));
        assert_eq!(header.partition_leader_epoch, 0);
        validate_header(header).unwrap();
        let decoded = batch.decode(&DecompressLimits::default());
        if !codec.is_available() {
            assert!(matches!(decoded, Err(BatchError::CodecNotBuilt { codec: Compression::Zstd })));
            continue;
        }
        let decoded = decoded.unwrap();
        let summary = validate_records(&decoded).unwrap();
        assert_eq!((summary.record_count, summary.max_timestamp), (count, header.max_timestamp), "{codec}");
        for (i, record) in owned(&decoded).unwrap().into_iter().enumerate() {
            assert!((header.base_timestamp..=header.max_timestamp).contains(&record.timestamp));
            assert_eq!(OwnedRecord { timestamp: 0, ..record }, expected(i), "{codec} {i}");
        }
    }
}

#[test]
fn our_encoding_is_kafkas_to_the_byte() {
    let [batch] = &fixture("none.log")[..] else { panic!("one batch") };
    let header = batch.header();
    let records = owned(&batch.decode(&DecompressLimits::default()).unwrap()).unwrap();
    let options = BatchOptions {
        partition_leader_epoch: header.partition_leader_epoch,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        ..BatchOptions::default()
    };
    assert_eq!(build(options, &records), batch.bytes());
}

#[test]
fn a_limit_below_the_content_is_kept() {
    for codec in Compression::ALL.into_iter().filter(|codec| *codec != Compression::None && codec.is_available()) {
        let [batch] = &fixture(&format!("{codec}.log"))[..] else { panic!("one batch each") };
        let limit = DecompressLimits { max_bytes: 100_000 };
        let result = batch.decode(&limit);
        assert!(matches!(result, Err(BatchError::DecompressedTooLarge { limit: 100_000, .. })), "{codec}: {result:?}");
    }
}

#[test]
fn a_transaction_with_the_brokers_time() {
    let found = fixture("transaction.log");
    let shape: Vec<_> = found
        .iter()
        .map(|batch| {
            let header = batch.header();
            assert!(header.attributes.is_transactional());
            assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
            (header.base_offset, header.record_count, header.producer_epoch, header.attributes.is_control())
        })
        .collect();
    assert_eq!(shape, [(0, 1, 0, false), (1, 1, 1, true), (2, 2, 1, false), (4, 1, 2, true)]);
    for batch in &found {
        if !batch.header().attributes.compression().is_available() {
            continue;
        }
        let records = batch.decode(&DecompressLimits::default()).unwrap();
        for record in &records {
            let record = record.unwrap();
            assert_eq!(record.timestamp, batch.header().max_timestamp);
            if batch.header().attributes.is_control() {
                let key = ControlRecord::parse(record.key).unwrap();
                assert_eq!(key, ControlRecord { version: 0, control_type: ControlRecordType::Commit });
                let marker = EndTransactionMarker::parse(record.value).unwrap();
                assert_eq!(marker, EndTransactionMarker { coordinator_epoch: 0 });
                assert_eq!(record.value, Some(marker.to_bytes().as_slice()));
            }
        }
    }
}
