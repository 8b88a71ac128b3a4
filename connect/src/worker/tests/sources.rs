//! Sources: what is stored when, what a failure does, and what a restart goes on with.

use super::{connectors::Draw, *};
use crate::{
    SourceOffset,
    worker::{AddError, State},
};

const OFFSETS: &str = "connect-offsets";

fn start(bench: &Bench, name: &str, more: &[(&str, &str)]) -> Well {
    let mut properties = Properties::connector(name, "well");
    for (key, value) in more {
        properties.insert(*key, value);
    }
    bench.runtime.add(&properties).unwrap();
    Well::of(name)
}

#[tokio::test(start_paused = true)]
async fn offsets_follow_acknowledgements() {
    let bench = Bench::new();
    bench.memory.hold("out");
    let well = start(&bench, "c1", &[]);
    well.fill(Draw::Values(vec!["a", "b"]));
    soon(bench.memory.until(|memory| memory.values("out") == ["a", "b"])).await;
    // Ten flush intervals pass, and nothing is acknowledged.
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(bench.memory.values(OFFSETS).is_empty());
    bench.memory.release();
    soon(bench.memory.until(|memory| memory.values(OFFSETS) == ["{\"drawn\":2}"])).await;
    let record = bench.memory.records(OFFSETS).remove(0);
    assert_eq!(record.key.as_deref(), Some(&br#"["c1",{"well":"only"}]"#[..]));
    let task = bench.wait_for("c1", |task| task.commits == 1).await;
    assert_eq!((task.records, task.state), (2, State::Running));
    soon(async {
        while well.commits().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    assert_eq!(well.commits()[0].offset, SourceOffset::of("drawn", 2));
    let created: Vec<_> = bench.memory.created().iter().map(|spec| (spec.name.to_string(), spec.compacted)).collect();
    assert_eq!(created, [(OFFSETS.to_owned(), true), ("out".to_owned(), false)]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_stores_what_is_acknowledged_and_a_new_worker_goes_on() {
    let bench = Bench::new();
    let well = start(&bench, "resume", &[]);
    well.fill(Draw::Values(vec!["a", "b", "c"]));
    soon(bench.memory.until(|memory| memory.values("out").len() == 3)).await;
    soon(bench.runtime.stop()).await;
    assert_eq!(bench.memory.values(OFFSETS), ["{\"drawn\":3}"]);
    assert_eq!((bench.task("resume").state, well.stops()), (State::Unassigned, 1));
    let again = Bench::over(bench.memory.clone());
    start(&again, "resume", &[]);
    well.fill(Draw::Values(vec!["d"]));
    soon(again.memory.until(|memory| memory.values("out").len() == 4)).await;
    assert_eq!(well.started_at(), [None, Some(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever_for_acknowledgements() {
    let bench = Bench::new();
    let well = start(&bench, "patience", &[]);
    well.fill(Draw::Values(vec!["a"]));
    soon(bench.memory.until(|memory| memory.values("out").len() == 1)).await;
    bench.wait_for("patience", |task| task.records == 1).await;
    bench.memory.hold("out");
    well.fill(Draw::Values(vec!["b"]));
    soon(bench.memory.until(|memory| memory.values("out").len() == 2)).await;
    let began = tokio::time::Instant::now();
    soon(bench.runtime.stop()).await;
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(bench.memory.values(OFFSETS), ["{\"drawn\":1}"], "the second record is not covered");
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_says_why_and_starts_again_later() {
    let bench = Bench::new();
    let well = start(&bench, "fails", &[("restart.delay.ms", "1000")]);
    well.fill(Draw::Values(vec!["a"]));
    soon(bench.memory.until(|memory| memory.values("out").len() == 1)).await;
    bench.wait_for("fails", |task| task.records == 1).await;
    well.fill(Draw::Fatal);
    let failed = bench.wait_for("fails", |task| task.state == State::Failed).await;
    assert_eq!((failed.trace.as_deref(), failed.restarts), (Some("broken"), 0));
    assert!(failed.next_attempt_at_ms.is_some());
    let began = tokio::time::Instant::now();
    let running = bench.wait_for("fails", |task| task.state == State::Running).await;
    assert_eq!((running.trace, running.restarts, running.next_attempt_at_ms), (None, 1, None));
    assert!(began.elapsed() >= Duration::from_millis(500) && began.elapsed() <= Duration::from_secs(1));
    assert_eq!(well.started_at(), [None, Some(1)], "what was acknowledged is not read again");
    well.fill(Draw::Panic);
    let failed = bench.wait_for("fails", |task| task.state == State::Failed).await;
    assert_eq!(failed.trace.as_deref(), Some("panicked: on purpose"));
    bench.wait_for("fails", |task| task.state == State::Running && task.restarts == 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_a_task_fails_may_still_arrive() {
    let bench = Bench::new();
    bench.memory.hold("out");
    let well = start(&bench, "on-its-way", &[]);
    well.fill(Draw::Values(vec!["a"]));
    well.fill(Draw::Fatal);
    soon(bench.memory.until(|memory| memory.values("out").len() == 1)).await;
    bench.memory.release();
    let running = bench.wait_for("on-its-way", |task| task.restarts == 1 && task.state == State::Running).await;
    assert_eq!((running.records, well.started_at()), (1, vec![None, Some(1)]));
}

#[tokio::test(start_paused = true)]
async fn too_many_failures_in_a_row_end_it() {
    let bench = Bench::new();
    let well = start(&bench, "gives-up", &[("restart.attempts.max", "2")]);
    for _ in 0..3 {
        well.fill(Draw::Fatal);
    }
    let failed = bench.wait_for("gives-up", |task| task.state == State::Failed && task.restarts == 2).await;
    assert_eq!(failed.next_attempt_at_ms, None);
    soon(bench.runtime.stop()).await;
    assert_eq!(bench.task("gives-up").state, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_away_is_waited_for() {
    let bench = Bench::new();
    bench.memory.fail_outputs(3);
    let well = start(&bench, "away", &[]);
    well.fill(Draw::Values(vec!["a"]));
    soon(bench.memory.until(|memory| memory.values("out") == ["a"])).await;
    assert_eq!(bench.task("away").restarts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_retriable_poll_is_repeated_in_place() {
    let bench = Bench::new();
    let well = start(&bench, "retries", &[]);
    bench.wait_for("retries", |task| task.state == State::Running).await;
    let began = tokio::time::Instant::now();
    well.fill(Draw::Retriable);
    well.fill(Draw::Retriable);
    well.fill(Draw::Values(vec!["a"]));
    let retrying = bench.wait_for("retries", |task| task.trace.is_some()).await;
    assert_eq!(retrying.trace.as_deref(), Some("poll failed (attempt 1): come back later"));
    soon(bench.memory.until(|memory| memory.values("out") == ["a"])).await;
    assert!(began.elapsed() >= Duration::from_millis(450) && began.elapsed() <= Duration::from_secs(1));
    let task = bench.wait_for("retries", |task| task.trace.is_none()).await;
    assert_eq!((task.restarts, well.started_at().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn no_retries_at_all_if_so_configured() {
    let bench = Bench::new();
    let well = start(&bench, "impatient", &[("errors.retry.timeout", "0")]);
    well.fill(Draw::Retriable);
    bench.wait_for("impatient", |task| task.state == State::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn an_undelivered_record_starts_the_task_over() {
    let bench = Bench::new();
    bench.memory.fail_next("out", true);
    let well = start(&bench, "undelivered", &[]);
    well.fill(Draw::Values(vec!["a", "b"]));
    bench.wait_for("undelivered", |task| task.restarts == 1).await;
    bench.wait_for("undelivered", |task| task.state == State::Running).await;
    assert_eq!(well.started_at(), [None, None], "b is acknowledged, and yet nothing is stored: a is not");
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_skipped_if_that_is_tolerated() {
    let bench = Bench::new();
    bench.memory.fail_next("out", false);
    let well = start(&bench, "tolerant", &[("errors.tolerance", "all")]);
    well.fill(Draw::Values(vec!["a", "b"]));
    let task = bench.wait_for("tolerant", |task| task.commits == 1).await;
    assert_eq!((task.skipped, task.records, task.restarts), (1, 1, 0));
    assert_eq!(bench.memory.values(OFFSETS), ["{\"drawn\":2}"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_converted_fails_or_is_skipped() {
    let bench = Bench::new();
    let strict = start(&bench, "strict", &[("value.converter", "bytes")]);
    strict.fill(Draw::Values(vec!["text"]));
    let failed = bench.wait_for("strict", |task| task.state == State::Failed).await;
    let trace = failed.trace.unwrap();
    assert!(trace.starts_with("value of a record for topic `out`: the `bytes` converter takes bytes only"), "{trace}");
    let lenient = start(&bench, "lenient", &[("value.converter", "bytes"), ("errors.tolerance", "all")]);
    lenient.fill(Draw::Values(vec!["text"]));
    let task = bench.wait_for("lenient", |task| task.commits == 1).await;
    assert_eq!((task.skipped, task.records), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_finished_partition_is_forgotten() {
    let bench = Bench::new();
    let well = start(&bench, "finishes", &[]);
    well.fill(Draw::Values(vec!["a"]));
    bench.wait_for("finishes", |task| task.commits == 1).await;
    well.fill(Draw::Finish("b"));
    bench.wait_for("finishes", |task| task.commits == 2).await;
    assert_eq!(bench.memory.values(OFFSETS), ["{\"drawn\":1}", "null"]);
    assert_eq!(bench.memory.values("out"), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn offsets_that_kafka_connect_has_written_are_taken_over() {
    let memory = Memory::new();
    let key = br#"["taken", {"well": "only"}]"#;
    memory.produce(OFFSETS, "garbage without a key");
    let output = super::super::cluster::Cluster::output(&memory, "test").await.unwrap();
    let record = riverrun_client::ProducerRecord::to(OFFSETS).key(&key[..]).value("{\"drawn\":7}");
    super::super::cluster::Output::send(&output, record).await.unwrap().await.unwrap();
    let bench = Bench::over(memory);
    let well = start(&bench, "taken", &[]);
    well.fill(Draw::Values(vec!["h"]));
    bench.wait_for("taken", |task| task.commits == 1).await;
    assert_eq!(well.started_at(), [Some(7)]);
    let last = bench.memory.records(OFFSETS).pop().unwrap();
    assert_eq!((last.key.as_deref(), last.value.as_deref()), (Some(&key[..]), Some(&b"{\"drawn\":8}"[..])));
}

#[tokio::test(start_paused = true)]
async fn wrong_configurations_are_refused() {
    let bench = Bench::new();
    let add = |properties: Properties| bench.runtime.add(&properties).unwrap_err();
    assert!(matches!(add(Properties::connector("x", "wel")), AddError::UnknownClass { .. }));
    let text = add(Properties::connector("x", "well").set("tpoic", "t")).to_string();
    assert_eq!(text, "connector `x`:\nunknown key `tpoic`; did you mean `topic`?");
    let text = add(Properties::new().set("name", "x")).to_string();
    assert!(text.contains("`connector.class` is required"), "{text}");
    bench.runtime.add(&Properties::connector("x", "well")).unwrap();
    assert!(matches!(add(Properties::connector("x", "well")), AddError::Duplicate { .. }));
    soon(bench.runtime.stop()).await;
    assert!(matches!(add(Properties::connector("y", "well")), AddError::Stopped));
}
