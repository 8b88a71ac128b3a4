//! The tail against files that are written, renamed, truncated and found again: single stories, and random ones against a
//! model.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::{
    FileTailConfig,
    source::FileTail,
    tailer::{Pass, Tailer},
};
use crate::{
    Data, Source, SourceContext, SourceRecord,
    config::{Configuration, Properties},
    connector::StoredOffsets,
    record::SourcePosition,
};

/// The only task of a connector without stored offsets.
pub(crate) fn context() -> SourceContext {
    context_at([])
}

/// The same, left at these positions; the last one of a partition counts.
pub(crate) fn context_at(positions: impl IntoIterator<Item = SourcePosition>) -> SourceContext {
    let offsets = positions.into_iter().map(|position| (position.partition, position.offset));
    SourceContext { connector: "test".into(), task: 0, tasks: 1, offsets: offsets.collect() }
}

struct Bench {
    folder: TempDir,
    properties: Properties,
    stored: BTreeMap<crate::SourcePartition, crate::SourceOffset>,
    tailer: Tailer,
    now: Duration,
}

impl Bench {
    fn new(pattern: &str, properties: Properties) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(pattern);
        let properties = properties.set("topic", "t").set("file", file.display());
        let tailer = tailer(&properties, StoredOffsets::default());
        Self { folder, properties, stored: BTreeMap::new(), tailer, now: Duration::ZERO }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn restart(&mut self) {
        self.tailer = tailer(&self.properties, self.stored.clone().into_iter().collect());
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// Passes until nothing is left, 250 ms apart.
    fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            self.wait(Duration::from_millis(250));
            let pass = self.tailer.pass(self.now);
            let quiet = pass.lines.is_empty() && !pass.more;
            lines.extend(self.take(pass));
            if quiet {
                return lines;
            }
        }
    }

    fn take(&mut self, pass: Pass) -> Vec<String> {
        let line = |line: super::follow::Line| {
            self.stored.insert(line.partition, line.offset);
            String::from_utf8_lossy(&line.bytes).into_owned()
        };
        let lines = pass.lines.into_iter().map(line).collect();
        for partition in pass.finished {
            self.stored.remove(&partition);
        }
        lines
    }
}

fn tailer(properties: &Properties, offsets: StoredOffsets) -> Tailer {
    let config = FileTailConfig::from_properties(properties).unwrap();
    Tailer::new(&config, &SourceContext { offsets, ..context() }).unwrap()
}

#[test]
fn growth_and_an_unfinished_line() {
    let mut bench = Bench::new("a.log", Properties::new());
    assert!(bench.lines().is_empty(), "the file may come later");
    bench.append("a.log", "one\ntwo\r\nthr");
    assert_eq!(bench.lines(), ["one", "two"]);
    bench.append("a.log", "ee\n\n");
    assert_eq!(bench.lines(), ["three", ""]);
}

#[test]
fn a_restart_goes_on_behind_the_last_line() {
    let mut bench = Bench::new("*.log", Properties::new());
    bench.append("a.log", "one\ntw");
    bench.append("b.log", "eins\n");
    assert_eq!(bench.lines(), ["one", "eins"]);
    bench.append("a.log", "o\n");
    bench.restart();
    assert_eq!(bench.lines(), ["two"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end() {
    let mut bench = Bench::new("a.log", Properties::new());
    bench.append("a.log", "one\n");
    assert_eq!(bench.lines(), ["one"]);
    bench.append("a.log", "two\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "three\n");
    bench.append("a.log.1", "late\nunfinished");
    let mut lines = bench.lines();
    lines.sort();
    assert_eq!(lines, ["late", "three", "two"]);
    assert_eq!(bench.stored.len(), 2);
    bench.wait(Duration::from_secs(6));
    assert_eq!(bench.lines(), ["unfinished"]);
    assert_eq!(bench.stored.len(), 1, "the renamed file is forgotten");
}

#[test]
fn a_file_renamed_while_nobody_looked_is_read_to_its_end() {
    let mut bench = Bench::new("a.log", Properties::new());
    bench.append("a.log", "one\n");
    bench.lines();
    bench.append("a.log", "two\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "three\n");
    bench.restart();
    let mut lines = bench.lines();
    lines.sort();
    assert_eq!(lines, ["three", "two"]);
}

#[test]
fn a_file_deleted_while_nobody_looked_is_forgotten() {
    let mut bench = Bench::new("a.log", Properties::new());
    bench.append("a.log", "one\n");
    bench.lines();
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.append("a.log", "other\n");
    bench.restart();
    assert_eq!(bench.lines(), ["other"], "even if it got the same inode");
    assert_eq!(bench.stored.len(), 1);
}

#[test]
fn truncation_starts_over() {
    let mut bench = Bench::new("a.log", Properties::new());
    bench.append("a.log", "one\ntwo\n");
    bench.lines();
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    fs::write(bench.path("a.log"), "").unwrap();
    assert!(bench.lines().is_empty());
    bench.append("a.log", "three\n");
    assert_eq!(bench.lines(), ["three"]);
    fs::write(bench.path("a.log"), "longer than it was before\n").unwrap();
    assert_eq!(bench.lines(), ["longer than it was before"], "told by its first bytes");
}

#[test]
fn long_lines_are_cut() {
    let mut bench = Bench::new("a.log", Properties::new().set("max.line.bytes", 1024));
    let exact = "x".repeat(1024);
    bench.append("a.log", format!("{exact}\n{exact}y\n{}\nshort\n", "z".repeat(200_000)));
    let pass = bench.tailer.pass(Duration::ZERO);
    let told: Vec<_> = pass.lines.iter().map(|line| (line.bytes.len(), line.cut)).collect();
    assert_eq!(told, [(1024, false), (1024, true), (1024, true), (5, false)]);
    bench.take(pass);
    bench.restart();
    assert!(bench.lines().is_empty());
}

#[test]
fn from_the_end_only_what_comes_later() {
    let mut bench = Bench::new("*.log", Properties::new().set("start.position", "end"));
    bench.append("a.log", "old\nunfin");
    assert!(bench.lines().is_empty());
    bench.append("a.log", "ished\n");
    bench.append("b.log", "new file\n");
    let mut lines = bench.lines();
    lines.sort();
    assert_eq!(lines, ["new file", "unfinished"]);
}

#[test]
fn excluded_files_and_bad_patterns() {
    let mut bench = Bench::new("*", Properties::new());
    bench.append("a.gz", "no\n");
    bench.append("a.log", "yes\n");
    assert_eq!(bench.lines(), ["yes"]);
    let config = FileTailConfig::from_properties(&Properties::new().set("topic", "t").set("file", "/a/***")).unwrap();
    let error = Tailer::new(&config, &context()).unwrap_err().to_string();
    assert!(error.contains("`file` is `/a/***`: expected a glob pattern"), "{error}");
}

#[test]
fn tasks_share_the_files() {
    let bench = Bench::new("*.log", Properties::new());
    for name in ["a.log", "b.log", "c.log", "d.log", "e.log"] {
        bench.append(name, format!("{name}\n"));
    }
    let config = FileTailConfig::from_properties(&bench.properties).unwrap();
    let of_task = |task| {
        let mut tailer = Tailer::new(&config, &SourceContext { task, tasks: 2, ..context() }).unwrap();
        tailer.pass(Duration::ZERO).lines.len()
    };
    assert_eq!(of_task(0) + of_task(1), 5);
}

async fn records(bench: &Bench, properties: Properties) -> Vec<SourceRecord> {
    let properties = properties.set("topic", "t").set("file", bench.path("a.log").display());
    let config = FileTailConfig::from_properties(&properties).unwrap();
    FileTail::start(config, context()).await.unwrap().poll().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn records_of_lines() {
    let bench = Bench::new("a.log", Properties::new());
    bench.append("a.log", b"WARN slow\nb\xffd\n");
    let file = bench.path("a.log").display().to_string();
    let values = |records: Vec<SourceRecord>| -> Vec<_> { records.into_iter().map(|record| record.value).collect() };

    let json = records(&bench, Properties::new()).await;
    let at = json[0].timestamp.unwrap();
    assert_eq!(json[0].key, Data::Text(file.clone()));
    assert_eq!(json[0].value, Data::Json(json!({ "file": file, "line": "WARN slow", "level": "WARN", "at": at })));
    let Data::Json(second) = &json[1].value else { panic!("JSON") };
    assert_eq!((&second["line"], &second["line_base64"]), (&json!("b\u{fffd}d"), &json!("Yv9k")));
    assert_eq!(records(&bench, Properties::new().set("invalid.utf8", "skip")).await.len(), 1);
    let raw = values(records(&bench, Properties::new().set("format", "raw")).await);
    assert_eq!(raw, [Data::Text("WARN slow".to_owned()), Data::Bytes(b"b\xffd"[..].into())]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_poll_loses_no_line() {
    let bench = Bench::new("a.log", Properties::new());
    bench.append("a.log", "one\n");
    let config = FileTailConfig::from_properties(&bench.properties).unwrap();
    let mut source = FileTail::start(config, context()).await.unwrap();
    // The first poll gets as far as the blocking thread and, unless that one is very fast, is dropped there.
    let first = futures::poll!(Box::pin(source.poll()));
    let records = if let std::task::Poll::Ready(records) = first { records } else { source.poll().await };
    assert_eq!(records.unwrap().len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    /// Appends this many lines, and maybe the beginning of a further one.
    Append(u8, bool),
    Pass,
    Rename,
    Truncate,
    Restart,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..6, any::<bool>()).prop_map(|(lines, open)| Step::Append(lines, open)),
        3 => Just(Step::Pass),
        1 => Just(Step::Rename),
        1 => Just(Step::Truncate),
        1 => Just(Step::Restart),
        1 => Just(Step::Wait),
    ]
}

/// What was written and must come, in order, per file.
#[derive(Default)]
struct Model {
    next: u32,
    /// Complete lines of the present file that were not seen yet.
    expected: Vec<String>,
    unfinished: String,
    /// Lines of renamed files that were not seen yet.
    renamed: Vec<String>,
}

impl Model {
    fn append(&mut self, count: u8, open: bool) -> String {
        let mut text = String::new();
        for _ in 0..count {
            self.next += 1;
            let line = format!("line {} {}", self.next, "x".repeat(self.next as usize % 90));
            self.expected.push(format!("{}{line}", std::mem::take(&mut self.unfinished)));
            text.push_str(&line);
            text.push('\n');
        }
        if open {
            self.next += 1;
            let part = format!("part {} ", self.next);
            self.unfinished.push_str(&part);
            text.push_str(&part);
        }
        text
    }

    /// Every line that comes is due, and comes in its file's order.
    fn see(&mut self, lines: Vec<String>) {
        for line in lines {
            if self.expected.first() == Some(&line) {
                self.expected.remove(0);
            } else {
                let index = self.renamed.iter().position(|other| *other == line);
                self.renamed.remove(index.unwrap_or_else(|| panic!("{line:?} was not due")));
            }
        }
    }
}

fn run(steps: Vec<Step>) {
    let mut bench = Bench::new("a.log", Properties::new().set("batch.lines.max", 3));
    let mut model = Model::default();
    let mut rotations = 0;
    bench.append("a.log", "");
    for step in steps {
        match step {
            Step::Append(count, open) => bench.append("a.log", model.append(count, open)),
            Step::Pass => {
                bench.wait(Duration::from_millis(250));
                let pass = bench.tailer.pass(bench.now);
                let lines = bench.take(pass);
                model.see(lines);
            }
            Step::Rename => {
                // A file that was never looked at can go unseen: that is no promise. Files rotated earlier have ended.
                let lines = bench.lines();
                model.see(lines);
                bench.append("a.log", model.append(2, true));
                rotations += 1;
                bench.rename("a.log", &format!("a.log.{rotations}"));
                bench.append("a.log", "");
                model.renamed.append(&mut model.expected);
                model.renamed.push(std::mem::take(&mut model.unfinished));
                // It has to be seen before it may go in its turn.
                bench.wait(Duration::from_millis(250));
                let pass = bench.tailer.pass(bench.now);
                let lines = bench.take(pass);
                model.see(lines);
            }
            Step::Truncate => {
                let lines = bench.lines();
                model.see(lines);
                assert!(model.expected.is_empty());
                model.unfinished.clear();
                fs::write(bench.path("a.log"), "").unwrap();
                let lines = bench.lines();
                model.see(lines);
            }
            Step::Restart => bench.restart(),
            Step::Wait => bench.wait(Duration::from_secs(6)),
        }
    }
    // A file found again after a restart is first seen to be gone, and then waited for.
    for _ in 0..3 {
        let lines = bench.lines();
        model.see(lines);
        bench.wait(Duration::from_secs(6));
    }
    assert_eq!((model.expected, model.renamed), (Vec::<String>::new(), Vec::new()));
    assert!(Path::new(&bench.path("a.log")).exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Every complete line comes exactly once, in order, whatever happens to the file between.
    #[test]
    fn every_line_once(steps in proptest::collection::vec(step(), 1..40)) {
        run(steps);
    }
}
