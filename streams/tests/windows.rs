//! Windowed aggregation, rule by rule: bounds, lateness, emission, restart. Every bound is tried one millisecond to
//! each side.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use riverrun_streams::{Headers, prelude::*};

const SIZE: Duration = Duration::from_millis(10);
const GRACE: Duration = Duration::from_millis(5);

fn windowed(emit: EmitStrategy, windows: TimeWindows) -> TestDriver {
    let b = StreamsBuilder::new("app");
    b.stream("in", (Utf8, I64))
        .group_by_key("by-key", (Utf8, I64))
        .windowed_by(windows)
        .emit(emit)
        .reduce("sums", |a, b| a + b)
        .to_stream()
        .to("out", (Utf8.windowed(SIZE), I64.nullable()));
    TestDriver::new(&b.build().unwrap()).unwrap()
}

fn on_update() -> TestDriver {
    windowed(EmitStrategy::on_window_update(), TimeWindows::tumbling(SIZE).grace(GRACE))
}

fn on_close() -> TestDriver {
    windowed(EmitStrategy::on_window_close(), TimeWindows::tumbling(SIZE).grace(GRACE))
}

fn send(t: &TestDriver, key: &str, timestamp: i64) {
    t.input("in", (Utf8, I64)).at(timestamp).send(key.to_owned(), 1).unwrap();
}

/// Key, window start, value and timestamp of what was written since the last call.
fn drain(t: &TestDriver) -> Vec<(String, i64, i64, i64)> {
    let records = t.output("out", (Utf8.windowed(SIZE), I64)).drain().unwrap();
    records.into_iter().map(|r| (r.key.key, r.key.window.start, r.value, r.timestamp)).collect()
}

fn row(key: &str, start: i64, value: i64, timestamp: i64) -> (String, i64, i64, i64) {
    (key.to_owned(), start, value, timestamp)
}

/// W1, and T7: the result's timestamp is the largest that went in.
#[test]
fn windows_take_their_start_but_not_their_end() {
    let t = on_update();
    for timestamp in [0, 9, 10, 8] {
        send(&t, "k", timestamp);
    }
    assert_eq!(drain(&t), [row("k", 0, 1, 0), row("k", 0, 2, 9), row("k", 10, 1, 10), row("k", 0, 3, 9)]);
}

/// W2: window `[0, 10)` with grace 5 takes records while stream time is below 15.
#[test]
fn a_window_closes_at_end_plus_grace() {
    for (stream_time, taken) in [(14, true), (15, false), (16, false)] {
        let t = on_update();
        send(&t, "other", stream_time);
        send(&t, "k", 9);
        assert_eq!(drain(&t).contains(&row("k", 0, 1, 9)), taken, "stream time {stream_time}");
        assert_eq!(t.dropped("late-record"), u64::from(!taken), "stream time {stream_time}");
    }
}

/// W2: the record that moves stream time is judged by the stream time it made; W7: grace is zero unless given.
#[test]
fn without_grace_a_window_closes_at_its_end() {
    let t = windowed(EmitStrategy::on_window_update(), TimeWindows::tumbling(SIZE));
    send(&t, "k", 9);
    send(&t, "k", 10);
    send(&t, "k", 9);
    assert_eq!(t.dropped("late-record"), 1);
    assert_eq!(drain(&t), [row("k", 0, 1, 9), row("k", 10, 1, 10)]);
}

/// W2: a hopping record may be late for some of its windows and not for others.
#[test]
fn lateness_is_per_window() {
    let t = windowed(EmitStrategy::on_window_update(), TimeWindows::hopping(SIZE, GRACE));
    send(&t, "k", 12);
    assert_eq!(drain(&t), [row("k", 5, 1, 12), row("k", 10, 1, 12)]);
    send(&t, "k", 9);
    assert_eq!(drain(&t), [row("k", 5, 2, 12)], "window [0, 10) is closed, [5, 15) is not");
    assert_eq!(t.dropped("late-record"), 1);
}

/// T2: stream time is the operator's own, so what a filter drops does not move it.
#[test]
fn stream_time_is_that_of_the_operator() {
    let b = StreamsBuilder::new("app");
    b.stream("in", (Utf8, I64))
        .filter(|key, _| key != "dropped")
        .group_by_key("by-key", (Utf8, I64))
        .windowed_by(TimeWindows::tumbling(SIZE))
        .count("counts");
    let t = TestDriver::new(&b.build().unwrap()).unwrap();
    send(&t, "dropped", 1_000);
    send(&t, "k", 1);
    assert_eq!(t.dropped("late-record"), 0);
}

/// W3: a null key is dropped and does not move stream time; a null value is aggregated.
#[test]
fn nulls() {
    let b = StreamsBuilder::new("app");
    b.stream("in", (Utf8.nullable(), I64.nullable()))
        .group_by_key("by-key", (Utf8.nullable(), I64.nullable()))
        .windowed_by(TimeWindows::tumbling(SIZE))
        .count("counts")
        .to_stream()
        .for_each(|_, _| ());
    let t = TestDriver::new(&b.build().unwrap()).unwrap();
    let input = t.input("in", (Utf8.nullable(), I64.nullable()));
    input.at(1_000).send(None, Some(1)).unwrap();
    assert_eq!(t.dropped("null-key"), 1);
    input.at(1).send(Some("k".into()), None).unwrap();
    assert_eq!(t.dropped("late-record"), 0);
    assert_eq!(t.store("counts", (Utf8.windowed(SIZE), I64)).all().unwrap()[0].value, 1);
}

/// W8 and W9: nothing before the close, then one result per key, at the millisecond stream time reaches end + grace.
#[test]
fn final_results_come_once_at_the_close() {
    let t = on_close();
    for (key, timestamp) in [("b", 3), ("a", 9), ("a", 1), ("z", 14)] {
        send(&t, key, timestamp);
    }
    assert_eq!(drain(&t), [], "stream time 14 closes nothing");
    send(&t, "z", 15);
    assert_eq!(drain(&t), [row("a", 0, 2, 9), row("b", 0, 1, 3)], "by window, then by key");
    send(&t, "a", 9);
    assert_eq!(t.dropped("late-record"), 1);
    send(&t, "z", 16);
    assert_eq!(drain(&t), [], "a final result is final");
    send(&t, "y", 1_000);
    assert_eq!(drain(&t), [row("z", 10, 3, 16)], "windows the store must forget are emitted first");
}

/// W9 without grace: window `[0, 10)` comes out when stream time is 10.
#[test]
fn final_results_without_grace() {
    let t = windowed(EmitStrategy::on_window_close(), TimeWindows::tumbling(SIZE));
    send(&t, "k", 0);
    send(&t, "k", 9);
    assert_eq!(drain(&t), []);
    send(&t, "k", 10);
    assert_eq!(drain(&t), [row("k", 0, 2, 9)]);
}

/// T5 and W8: a restart neither loses a window that is open, nor emits one twice, nor lets late records in.
#[test]
fn a_restart_changes_nothing() {
    let mut t = on_close();
    send(&t, "k", 1);
    send(&t, "k", 15);
    assert_eq!(drain(&t), [row("k", 0, 1, 1)]);
    t.restart().unwrap();
    send(&t, "k", 9);
    assert_eq!(t.dropped("late-record"), 1);
    send(&t, "k", 16);
    assert_eq!(drain(&t), []);
    t.restart().unwrap();
    send(&t, "k", 25);
    assert_eq!(drain(&t), [row("k", 10, 2, 16)]);
}

/// T7: a final result has the stored timestamp and the headers of the record that closed its window.
#[test]
fn final_results_have_the_headers_of_the_closing_record() {
    let t = on_close();
    let input = t.input("in", (Utf8, I64));
    let by = |name: &str| Headers::from_iter([("by", Some(bytes::Bytes::copy_from_slice(name.as_bytes())))]);
    input.at(1).headers(by("first")).send("k".into(), 1).unwrap();
    input.at(15).headers(by("second")).send("k".into(), 1).unwrap();
    let record = t.output("out", (Utf8.windowed(SIZE), I64)).drain().unwrap().remove(0);
    assert_eq!((record.timestamp, record.headers), (1, by("second")));
}

/// The late output has the record, its time, and the windows it missed.
#[test]
fn late_records_can_be_had() {
    let b = StreamsBuilder::new("app");
    let (windowed, late) = b
        .stream("in", (Utf8, I64))
        .group_by_key("by-key", (Utf8, I64))
        .windowed_by(TimeWindows::hopping(SIZE, GRACE).grace(Duration::from_millis(1)))
        .with_late();
    late.to("late", (Utf8, Json));
    windowed.count("counts").to_stream().for_each(|_, _| ());
    let t = TestDriver::new(&b.build().unwrap()).unwrap();
    send(&t, "k", 100);
    t.input("in", (Utf8, I64)).at(7).send("k".into(), 42).unwrap();
    let late = t.output("late", (Utf8, Json)).drain().unwrap();
    let windows = vec![Window { start: 0, end: 10 }, Window { start: 5, end: 15 }];
    let expected: Late<i64> = Late { value: 42, windows, close_time: 99 };
    assert_eq!((&late[0].value, late[0].timestamp), (&expected, 7));
    assert_eq!(t.dropped("late-record"), 2, "counted per window");
}

/// E1 and E3: the changelog's name; the store is readable by windowed key.
#[test]
fn the_store_is_backed_by_its_changelog() {
    let t = on_update();
    send(&t, "k", 12);
    assert_eq!(t.produced_topics(), ["app-sums-changelog", "out"]);
    let key = Windowed { key: "k".to_owned(), window: Window { start: 10, end: 20 } };
    assert_eq!(t.store("sums", (Utf8.windowed(SIZE), I64)).get(&key).unwrap(), Some(1));
}

/// What the demo does: a state struct over JSON values, final results, JSON out.
#[test]
fn statistics_per_window() {
    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    struct Statistics {
        samples: Vec<f64>,
    }
    #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    struct Row {
        metric: String,
        start: i64,
        count: usize,
        max: f64,
    }
    let b = StreamsBuilder::new("app");
    b.stream("samples", (Utf8, Json))
        .group_by_key("by-metric", (Utf8, Json))
        .windowed_by(TimeWindows::tumbling(SIZE))
        .emit(EmitStrategy::on_window_close())
        .aggregate("statistics", Json, Statistics::default, |_, sample: &f64, s: &mut Statistics| {
            s.samples.push(*sample);
        })
        .to_stream()
        .map(|key, statistics| {
            let samples = statistics.map(|s| s.samples).unwrap_or_default();
            let max = samples.iter().copied().fold(f64::MIN, f64::max);
            let row = Row { metric: key.key.clone(), start: key.window.start, count: samples.len(), max };
            (key.key, row)
        })
        .to("rows", (Utf8, Json));
    let t = TestDriver::new(&b.build().unwrap()).unwrap();
    let input = t.input("samples", (Utf8, Json));
    for (timestamp, sample) in [(0, 1.5), (5, 2.5), (10, 0.5)] {
        input.at(timestamp).send("cpu".into(), sample).unwrap();
    }
    let rows: Vec<TestRecord<String, Row>> = t.output("rows", (Utf8, Json)).drain().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].value, Row { metric: "cpu".into(), start: 0, count: 2, max: 2.5 });
}
