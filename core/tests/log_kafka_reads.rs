//! Has Apache Kafka's own tool read the files of a log with transactions: control batches, `.txnindex`, `.snapshot`.
//!
//! Ignored unless asked for, because it needs Java; run as `record_kafka_reads.rs` says.

use std::{path::Path, process::Command, sync::Arc};

use riverrun_core::{
    LeaderEpoch, TopicPartition, Uuid,
    log::{AppendOrigin, Log, LogConfig, LogOptions, OsVfs, TransactionMarker},
    record::{BatchBuilder, BatchOptions},
};

fn produce(log: &mut Log, producer_id: i64, base_sequence: i32, count: i32) {
    let options =
        BatchOptions { producer_id, producer_epoch: 3, base_sequence, transactional: true, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    for _ in 0..count {
        builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), []).expect("room in the batch");
    }
    log.append(builder.build().expect("a batch"), AppendOrigin::Client, LeaderEpoch(5), 1_700_000_000_000)
        .expect("the append");
}

fn end(log: &mut Log, producer_id: i64, producer_epoch: i16, commit: bool) {
    let marker =
        TransactionMarker { producer_id, producer_epoch, commit, coordinator_epoch: 12, transaction_version: 0 };
    log.append_marker(&marker, LeaderEpoch(5), 1_700_000_001_000).expect("the marker");
}

fn dump(command: &str, file: &Path) -> String {
    let mut words = command.split_whitespace();
    let mut tool = Command::new(words.next().expect("a command"));
    tool.args(words).args(["--deep-iteration", "--print-data-log", "--files"]).arg(file);
    let output = tool.output().expect("the tool runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
#[ignore = "needs Apache Kafka's kafka-dump-log, named by RIVERRUN_KAFKA_DUMP_LOG"]
fn kafkas_dump_tool_reads_transactions() {
    let command = std::env::var("RIVERRUN_KAFKA_DUMP_LOG").expect("RIVERRUN_KAFKA_DUMP_LOG names the tool");
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("t-0");
    let options = LogOptions {
        topic_partition: TopicPartition::new("t", 0),
        topic_id: Uuid([1; 16]),
        config: LogConfig::default(),
        recovery_point: 0,
        was_compacted: false,
        clean_shutdown: false,
        log_start_offset: 0,
        producers_max: riverrun_core::log::PRODUCERS_MAX,
        state: riverrun_core::budget::StateBudget::unlimited(),
    };
    let mut log = Log::open(Arc::new(OsVfs), &folder, options).unwrap();
    produce(&mut log, 7, 0, 3);
    produce(&mut log, 8, 0, 2);
    end(&mut log, 7, 3, false);
    end(&mut log, 8, 4, true);
    produce(&mut log, 7, 3, 4);
    log.close().unwrap();

    let text = dump(&command, &folder.join("00000000000000000000.log"));
    assert!(text.contains("endTxnMarker: ABORT coordinatorEpoch: 12"), "{text}");
    assert!(text.contains("endTxnMarker: COMMIT coordinatorEpoch: 12"), "{text}");
    let text = dump(&command, &folder.join("00000000000000000000.txnindex"));
    let aborted = "version: 0 producerId: 7 firstOffset: 0 lastOffset: 5 lastStableOffset: 3";
    assert!(text.lines().any(|line| line.trim() == aborted), "{text}");
    let text = dump(&command, &folder.join("00000000000000000011.snapshot"));
    let open = |line: &str| {
        line.contains("producerId: 7 producerEpoch: 3 coordinatorEpoch: 12")
            && line.contains("currentTxnFirstOffset: OptionalLong[7]")
            && line.contains("lastSequence: 6")
    };
    assert!(text.lines().any(open), "{text}");
    let ended = |line: &str| {
        line.contains("producerId: 8 producerEpoch: 4 coordinatorEpoch: 12")
            && line.contains("currentTxnFirstOffset: OptionalLong.empty")
            && line.contains("lastTimestamp: 1700000001000")
    };
    assert!(text.lines().any(ended), "{text}");
}
