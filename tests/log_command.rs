//! `riverrun log`: what it prints of a data directory, sound and damaged, with which exit code, and that it changes nothing.
//! The kinds of damage are planted one by one in core's tests; here it is what a user sees.
#![cfg(unix)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use riverrun::core::{
    LeaderEpoch, TopicPartition, Uuid,
    log::{AppendOrigin, Log, LogConfig, LogOptions, OsVfs, TransactionMarker, write_offsets},
    record::{BatchBuilder, BatchOptions, Compression},
};

fn log_command(arguments: &[&str], path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riverrun"));
    command.env_remove("RUST_LOG").arg("log").args(arguments).arg(path).output().expect("it runs")
}

/// What it printed, and its exit code.
fn said(output: &Output) -> (String, i32) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8(text).expect("text");
    assert!(!text.contains("panicked"), "{text}");
    (text, output.status.code().expect("it ended by itself"))
}

fn said_to(arguments: &[&str], path: &Path, code: i32, words: &[&str]) -> String {
    let (text, found) = said(&log_command(arguments, path));
    assert_eq!(found, code, "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: '{word}' is not in: {text}");
    }
    text
}

/// A data directory, cleanly closed, with a transaction that was aborted and one that was committed.
fn data_directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a folder");
    let folder = directory.path().join("orders-0");
    let options = LogOptions {
        topic_partition: TopicPartition::new("orders", 0),
        topic_id: Uuid([1; 16]),
        config: LogConfig::default(),
        recovery_point: 0,
        clean_shutdown: false,
        was_compacted: false,
        log_start_offset: 0,
        producers_max: riverrun_core::log::PRODUCERS_MAX,
        state: riverrun_core::budget::StateBudget::unlimited(),
    };
    let mut log = Log::open(Arc::new(OsVfs), &folder, options).expect("opens");
    for (round, commit) in [(0, false), (1, true)] {
        let options = BatchOptions {
            producer_id: 7,
            producer_epoch: 0,
            base_sequence: round * 2,
            transactional: true,
            compression: Compression::Gzip,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        builder
            .append(1_700_000_000_000, Some(b"one"), Some(b"first"), [("trace", Some(b"abc".as_slice()))])
            .expect("it works");
        builder.append(1_700_000_000_001, None, Some(&[0xff, 0]), []).expect("it works");
        log.append(builder.build().expect("it works"), AppendOrigin::Client, LeaderEpoch(0), 1_700_000_000_100)
            .expect("appends");
        let marker = TransactionMarker {
            producer_id: 7,
            producer_epoch: 0,
            commit,
            coordinator_epoch: 4,
            transaction_version: 0,
        };
        log.append_marker(&marker, LeaderEpoch(0), 1_700_000_000_100).expect("appends");
        log.roll().expect("rolls");
    }
    let end = log.log_end_offset();
    log.close().expect("closes");
    let identity = format!("version=1\ncluster.id=c\nnode.id=1\ndirectory.id={}\n", Uuid([2; 16]));
    fs::write(directory.path().join("meta.properties"), identity).expect("it works");
    fs::write(directory.path().join(".kafka_cleanshutdown"), "{}").expect("it works");
    let points = [(TopicPartition::new("orders", 0), end)].into();
    write_offsets(&OsVfs, &directory.path().join("recovery-point-offset-checkpoint"), &points).expect("it works");
    (directory, folder)
}

#[test]
fn dump_prints_batches_records_and_the_small_files() {
    let (directory, folder) = data_directory();
    let root = directory.path();
    said_to(&["dump"], &folder, 0, &["baseOffset: 0 lastOffset: 1", "compresscodec: gzip", "isControl: true"]);
    let words =
        [r#"key: "one" value: "first" headers: [trace="abc"]"#, "value: 0xff00", "control: ABORT", "control: COMMIT"];
    said_to(&["dump", "--records"], &folder, 0, &words);
    let text =
        said_to(&["dump", "--records", "--from", "4", "--max", "2"], &folder, 0, &["| offset: 4", "| offset: 5"]);
    assert_eq!(text.matches("| offset").count(), 2, "{text}");
    let text = said_to(&["dump", "--json", "--records", "--topic", "orders"], root, 0, &[]);
    let types: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object"))
        .map(|object| object["type"].as_str().expect("a type").to_owned())
        .collect();
    assert_eq!(types.iter().filter(|name| *name == "batch").count(), 4);
    assert_eq!(types.iter().filter(|name| *name == "record").count(), 6);
    for (name, word) in [
        ("00000000000000000000.index", "#"),
        ("00000000000000000000.timeindex", "timestamp: 1700000000100"),
        ("00000000000000000000.txnindex", "producerId: 7 firstOffset: 0 lastOffset: 2 lastStableOffset: 3"),
        ("00000000000000000006.snapshot", "producerId: 7 producerEpoch: 0 coordinatorEpoch: 4"),
        ("leader-epoch-checkpoint", "epoch: 0 offset: 0"),
        ("partition.metadata", "topicId: AQEBAQEBAQEBAQEBAQEBAQ"),
    ] {
        said_to(&["dump"], &folder.join(name), 0, &[word]);
    }
    said_to(&["dump"], &root.join("meta.properties"), 0, &["nodeId: 1"]);
    said_to(&["dump"], &root.join("recovery-point-offset-checkpoint"), 0, &["topic: orders partition: 0 offset: 6"]);
    said_to(&["dump", "--topic", "order"], root, 1, &["its topics are: orders"]);
    said_to(&["dump"], root, 1, &["--topic"]);
}

#[test]
fn verify_says_what_is_wrong_and_how_bad_it_is() {
    let (directory, folder) = data_directory();
    let root = directory.path();
    said_to(&["verify"], root, 0, &["1 partitions", "4 batches", "clean"]);
    said_to(&["verify", "--deep"], &folder, 0, &["clean"]);

    let segment = folder.join("00000000000000000000.log");
    let sound = fs::read(&segment).expect("it works");
    let mut changed = sound.clone();
    changed[70] ^= 1;
    fs::write(&segment, &changed).expect("it works");
    let words = ["damage: ", "00000000000000000000.log at byte 0, offset 0", "checksum is", "sound offsets: 2 to 5"];
    said_to(&["verify"], root, 1, &words);
    let text = said_to(&["verify", "--json"], root, 1, &[]);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("an object");
    assert_eq!((&first["kind"], &first["severity"]), (&"damaged_batch".into(), &"damage".into()));
    said_to(&["dump"], &folder, 1, &["isvalid: false", "baseOffset: 2"]);
    assert_eq!(fs::read(&segment).expect("it works"), changed, "nothing was changed");
    fs::write(&segment, &sound).expect("it works");

    let index = folder.join("00000000000000000000.txnindex");
    let held = fs::read(&index).expect("it works");
    fs::write(&index, []).expect("it works");
    said_to(&["verify"], root, 1, &["rebuildable: ", "was aborted, and is not in it", "remove the segment's .index"]);
    fs::write(&index, held).expect("it works");

    fs::write(folder.join("notes.txt"), "x").expect("it works");
    said_to(&["verify", "--topic", "orders"], root, 1, &["leftover: ", "notes.txt"]);
}

#[test]
fn verify_that_cannot_run_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    said_to(&["verify"], &folder.path().join("nowhere"), 2, &["nowhere"]);
    said_to(&["verify"], folder.path(), 2, &["neither a data directory nor a partition's folder"]);
    let file = folder.path().join("00000000000000000000.log");
    fs::write(&file, "x").expect("it works");
    said_to(&["verify"], &file, 2, &["is a file"]);
    said_to(&["verify", "--no-such-flag"], folder.path(), 2, &["--no-such-flag"]);
}

/// Run by CI on what Apache Kafka has written; by hand, after `apache-kafka stop`.
#[test]
#[ignore = "needs the data directory of an Apache Kafka that was stopped, named by RIVERRUN_KAFKA_DATA_DIR"]
fn what_apache_kafka_wrote_is_read_and_sound() {
    let root = PathBuf::from(std::env::var("RIVERRUN_KAFKA_DATA_DIR").expect("RIVERRUN_KAFKA_DATA_DIR names it"));
    let (text, code) = said(&log_command(&["verify", "--deep"], &root));
    // Kafka removes what it deleted a minute later, or at its next start: it may have been stopped before.
    let sound = |line: &str| {
        line.starts_with(' ')
            || line.starts_with("leftover: ") && (line.contains(".deleted: ") || line.contains("-delete: "))
    };
    let mut findings: Vec<_> = text.lines().collect();
    let is_clean = findings.pop().expect("a summary").ends_with("clean");
    assert!(findings.iter().all(|line| sound(line)), "{text}");
    assert_eq!((code == 0, findings.is_empty()), (is_clean, is_clean), "{text}");
    let folder = root.join("__cluster_metadata-0");
    let text = said_to(&["dump", "--records"], &folder, 0, &["TopicRecord", "PartitionRecord", "LEADER_CHANGE"]);
    assert!(!text.contains("malformed") && !text.contains("isvalid: false"));
    let text = said_to(&["dump", "--records", "--topic", "__consumer_offsets"], &root, 0, &[]);
    assert!(!text.contains("malformed"), "{text}");
}
