//! Sinks: what is committed when, what a failure does, and where undeliverable records go.

use riverrun_core::TopicPartition;

use super::*;
use crate::worker::{State, cluster::InputEvent};

fn start(bench: &Bench, name: &str, more: &[(&str, &str)]) -> Tape {
    let mut properties = Properties::connector(name, "tape").set("topics", "in");
    for (key, value) in more {
        properties.insert(*key, value);
    }
    bench.runtime.add(&properties).unwrap();
    Tape::of(name)
}

#[tokio::test(start_paused = true)]
async fn offsets_are_committed_after_a_flush() {
    let bench = Bench::new();
    bench.memory.produce("in", "a");
    bench.memory.produce("in", "b");
    let tape = start(&bench, "s1", &[]);
    tape.with(|state| state.flush_failures.push_back(true));
    bench.wait_for("s1", |task| task.records == 2).await;
    // The first flush fails, the second works.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((bench.memory.committed("connect-s1", "in"), tape.with(|state| state.flushed)), (None, 0));
    bench.wait_for("s1", |task| task.commits == 1).await;
    assert_eq!((bench.memory.committed("connect-s1", "in"), tape.with(|state| state.flushed)), (Some(2), 2));
}

#[tokio::test(start_paused = true)]
async fn a_stop_flushes_and_commits() {
    let bench = Bench::new();
    bench.memory.produce("in", "a");
    let tape = start(&bench, "s2", &[]);
    bench.wait_for("s2", |task| task.records == 1).await;
    soon(bench.runtime.stop()).await;
    assert_eq!((bench.memory.committed("connect-s2", "in"), tape.with(|state| state.flushed)), (Some(1), 1));
    let again = Bench::over(bench.memory.clone());
    again.memory.produce("in", "b");
    start(&again, "s2", &[]);
    again.wait_for("s2", |task| task.records == 1).await;
    assert_eq!(tape.with(|state| state.put.clone()), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_retriable_put_is_repeated_with_the_same_batch() {
    let bench = Bench::new();
    bench.memory.produce("in", "a");
    let tape = Tape::of("s3");
    tape.with(|state| state.put_failures.extend([true, true]));
    start(&bench, "s3", &[]);
    let retrying = bench.wait_for("s3", |task| task.trace.is_some()).await;
    assert_eq!(retrying.trace.as_deref(), Some("put failed (attempt 1): tape jammed"));
    bench.memory.produce("in", "b");
    let task = bench.wait_for("s3", |task| task.records == 2).await;
    assert_eq!((task.restarts, task.trace), (0, None));
    assert_eq!(tape.with(|state| state.put.clone()), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_put_starts_the_task_over_from_the_committed_offset() {
    let bench = Bench::new();
    bench.memory.produce("in", "a");
    let tape = start(&bench, "s4", &[]);
    bench.wait_for("s4", |task| task.commits == 1).await;
    tape.with(|state| state.put_failures.push_back(false));
    bench.memory.produce("in", "b");
    let failed = bench.wait_for("s4", |task| task.state == State::Failed).await;
    assert_eq!(failed.trace.as_deref(), Some("tape torn"));
    bench.wait_for("s4", |task| task.records == 2).await;
    assert_eq!(tape.with(|state| (state.put.clone(), state.starts)), (vec!["a".to_owned(), "b".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn revoked_partitions_are_committed_first_and_lost_ones_are_not() {
    let bench = Bench::new();
    bench.memory.produce("in", "a");
    let tape = start(&bench, "s5", &[]);
    bench.wait_for("s5", |task| task.records == 1).await;
    let partition = TopicPartition::new("in", 0);
    bench.memory.tell(InputEvent::Revoked(vec![partition.clone()]));
    bench.wait_for("s5", |task| task.commits == 1).await;
    soon(bench.memory.until(|_| tape.with(|state| state.revoked.len()) == 1)).await;
    assert_eq!(bench.memory.committed("connect-s5", "in"), Some(1));
    bench.memory.produce("in", "b");
    bench.wait_for("s5", |task| task.records == 2).await;
    bench.memory.tell(InputEvent::Lost(vec![partition]));
    soon(bench.memory.until(|_| tape.with(|state| state.revoked.len()) == 2)).await;
    soon(bench.runtime.stop()).await;
    assert_eq!(bench.memory.committed("connect-s5", "in"), Some(1), "what was lost is not ours to commit");
}

#[tokio::test(start_paused = true)]
async fn undeliverable_records_fail_the_task_with_the_remedy() {
    let bench = Bench::new();
    bench.memory.produce("in", "no JSON");
    start(&bench, "s6", &[("value.converter", "json")]);
    let failed = bench.wait_for("s6", |task| task.state == State::Failed).await;
    let trace = failed.trace.unwrap();
    assert!(trace.starts_with("in-0 offset 0: these bytes are not JSON"), "{trace}");
    assert!(trace.ends_with("set `errors.tolerance` to `all`"), "{trace}");
}

#[tokio::test(start_paused = true)]
async fn undeliverable_records_go_to_the_dead_letter_topic() {
    let bench = Bench::new();
    for value in ["\"good\"", "no JSON", "\"rejected\"", "no JSON either"] {
        bench.memory.produce("in", value);
    }
    let tape = Tape::of("s7");
    tape.with(|state| state.reject.push("\"rejected\""));
    bench.memory.hold("dead");
    let keys = [
        ("value.converter", "json"),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", "dead"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ];
    start(&bench, "s7", &keys);
    soon(bench.memory.until(|memory| memory.values("dead").len() == 3)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(bench.memory.committed("connect-s7", "in"), None, "the dead letters are not acknowledged");
    bench.memory.release();
    let task = bench.wait_for("s7", |task| task.commits == 1).await;
    assert_eq!((task.records, task.skipped, task.dead_lettered), (1, 3, 3));
    assert_eq!(bench.memory.committed("connect-s7", "in"), Some(4), "also behind a skipped record");
    assert_eq!(bench.memory.values("dead"), ["no JSON", "no JSON either", "\"rejected\""]);
    let headers: Vec<_> = bench.memory.records("dead").remove(2).headers;
    let header = |name: &str| {
        let (_, value) = headers.iter().find(|(header, _)| *header == format!("__connect.errors.{name}")).unwrap();
        String::from_utf8(value.clone().unwrap().to_vec()).unwrap()
    };
    assert_eq!((header("topic"), header("offset"), header("stage")), ("in".into(), "2".into(), "TASK_PUT".into()));
    assert_eq!(header("exception.message"), "not to my taste");
}
