//! Has Apache Kafka's own tool read a segment made of our batches, one for every codec and flag.
//!
//! Ignored unless asked for, because it needs Java. Run it with
//! `RIVERRUN_KAFKA_DUMP_LOG="<command>" cargo test -p riverrun-core --test record_kafka_reads -- --ignored`, where the
//! command, words parted by blanks, is Kafka's `kafka-dump-log.sh` or what stands for it.

mod record_common;

use std::{fs, process::Command};

use bytes::Bytes;
use record_common::{OwnedRecord, build, owned};
use riverrun_core::record::{
    BatchHeader, BatchOptions, Compression, ControlRecord, ControlRecordType, DecompressLimits, EndTransactionMarker,
    batches,
};

const RECORDS: usize = 3000;

fn record(i: usize) -> OwnedRecord {
    OwnedRecord {
        timestamp: 1_700_000_000_000 + i64::try_from(i).expect("a small number"),
        key: Some(format!("key-{i}").into_bytes()),
        value: (i % 10 != 9).then(|| format!("value {i} of a batch that riverrun wrote").into_bytes()),
        headers: vec![("dup".into(), Some(b"1".to_vec())), ("dup".into(), None)],
    }
}

/// A segment: a batch of every codec, the last transactional, and the marker that ends its transaction.
fn segment() -> (Vec<u8>, usize) {
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let mut bytes = Vec::new();
    let mut base_offset = 0;
    let mut batch_count = 0;
    let mut add = |options: BatchOptions, records: &[OwnedRecord]| {
        let batch = build(BatchOptions { base_offset, partition_leader_epoch: 5, ..options }, records);
        base_offset = BatchHeader::parse(&batch).expect("our own header").next_offset();
        bytes.extend_from_slice(&batch);
        batch_count += 1;
    };
    for compression in codecs() {
        add(BatchOptions { compression, ..BatchOptions::default() }, &records);
        add(
            BatchOptions { compression, log_append_time_ms: Some(1_800_000_000_000), ..BatchOptions::default() },
            &records,
        );
    }
    let producer = BatchOptions { producer_id: 7, producer_epoch: 1, transactional: true, ..BatchOptions::default() };
    add(BatchOptions { base_sequence: 0, ..producer.clone() }, &records);
    let commit = ControlRecord { version: 0, control_type: ControlRecordType::Commit };
    let marker = OwnedRecord {
        timestamp: 1_700_000_000_000,
        key: Some(commit.to_bytes().to_vec()),
        value: Some(EndTransactionMarker { coordinator_epoch: 12 }.to_bytes().to_vec()),
        headers: Vec::new(),
    };
    add(BatchOptions { control: true, ..producer }, &[marker]);
    add(BatchOptions { delete_horizon_ms: Some(1_600_000_000_000), ..BatchOptions::default() }, &records);
    (bytes, batch_count)
}

fn codecs() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|codec| codec.is_available())
}

fn count_records(segment: Vec<u8>) -> usize {
    let read = batches(Bytes::from(segment)).map(|batch| owned(&batch?.decode(&DecompressLimits::default())?));
    read.map(|records| records.expect("our own batch").len()).sum()
}

#[test]
#[ignore = "needs Apache Kafka's kafka-dump-log, named by RIVERRUN_KAFKA_DUMP_LOG"]
fn kafkas_dump_tool_reads_every_batch() {
    let command = std::env::var("RIVERRUN_KAFKA_DUMP_LOG").expect("RIVERRUN_KAFKA_DUMP_LOG names the tool");
    let mut words = command.split_whitespace();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("00000000000000000000.log");
    let (bytes, batch_count) = segment();
    fs::write(&path, &bytes).unwrap();
    let ours = count_records(bytes);
    assert_eq!(ours, (batch_count - 1) * RECORDS + 1);

    let mut tool = Command::new(words.next().expect("a command"));
    tool.args(words).args(["--deep-iteration", "--print-data-log", "--files"]).arg(&path);
    let output = tool.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");

    let headers: Vec<_> = text.lines().filter(|line| line.starts_with("baseOffset:")).collect();
    assert_eq!(headers.len(), batch_count, "{text}\n{errors}");
    assert!(headers.iter().all(|line| line.contains("isvalid: true")), "{headers:#?}");
    for codec in codecs() {
        let name = format!("compresscodec: {codec} ");
        assert!(headers.iter().filter(|line| line.contains(&name)).count() >= 2, "{headers:#?}");
    }
    assert!(headers.iter().any(|line| line.contains("deleteHorizonMs: OptionalLong[1600000000000]")), "{headers:#?}");
    assert!(text.contains("endTxnMarker: COMMIT coordinatorEpoch: 12"), "{text}");
    let of_records: Vec<_> = text.lines().filter(|line| line.starts_with("| offset:")).collect();
    assert_eq!(of_records.len(), ours);
    for (line, offset) in of_records.iter().zip(0..) {
        assert!(line.starts_with(&format!("| offset: {offset} ")), "{line}");
        if let Some((_, payload)) = line.split_once("payload: ") {
            assert!(line.contains(" headerKeys: [dup,dup] "), "{line}");
            assert!(payload.starts_with("value ") && payload.ends_with(" of a batch that riverrun wrote"), "{line}");
        }
    }
    eprintln!("{}", headers.join("\n"));
}
