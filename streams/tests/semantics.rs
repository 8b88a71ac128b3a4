//! Records, tables and errors outside windows, rule by rule.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use riverrun_streams::{DriverError, ProcessError, TopologyError, prelude::*};

fn driver(describe: impl FnOnce(&StreamsBuilder)) -> TestDriver {
    let b = StreamsBuilder::new("app");
    describe(&b);
    TestDriver::new(&b.build().unwrap()).unwrap()
}

fn values(t: &TestDriver, topic: &str) -> Vec<i64> {
    t.output(topic, (Raw, I64)).drain().unwrap().into_iter().map(|r| r.value).collect()
}

/// The measure of brevity.
#[test]
fn word_count_in_twenty_lines() {
    let b = StreamsBuilder::new("word-count");
    b.stream("lines", (Raw, Utf8))
        .flat_map_values(|_, line: String| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by("by-word", (Utf8, Utf8), |_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("word-counts", (Utf8, I64.nullable()));
    let mut t = TestDriver::new(&b.build().unwrap()).unwrap();

    t.input("lines", (Raw, Utf8)).at(3).send(None, "To be or not to be".into()).unwrap();
    t.restart().unwrap();
    t.input("lines", (Raw, Utf8)).at(1).send(None, "be".into()).unwrap();
    let counts = t.output("word-counts", (Utf8, I64)).drain().unwrap();
    let counts: Vec<_> = counts.iter().map(|r| (r.key.as_str(), r.value, r.timestamp)).collect();
    let expected = [("to", 1, 3), ("be", 1, 3), ("or", 1, 3), ("not", 1, 3), ("to", 2, 3), ("be", 2, 3), ("be", 3, 3)];
    assert_eq!(counts, expected, "T7: the larger of the two timestamps");
    assert_eq!(t.produced_topics(), ["word-count-by-word-repartition", "word-count-counts-changelog", "word-counts"]);
}

/// T1: a negative timestamp fails and names the record; an extractor may skip instead.
#[test]
fn negative_timestamps_fail_unless_skipped() {
    let t = driver(|b| b.stream("in", (Raw, I64)).to("out", (Raw, I64)));
    let input = t.input("in", (Raw, I64));
    input.at(0).send(None, 1).unwrap();
    match input.at(-1).send(None, 2) {
        Err(DriverError::Process(ProcessError::InvalidTimestamp { topic, partition, offset, timestamp, .. })) => {
            assert_eq!((&*topic, partition, offset, timestamp), ("in", 0, 1, -1));
        }
        other => panic!("{other:?}"),
    }
    let t = driver(|b| {
        b.stream("in", (Raw, I64)).timestamp_or_skip(|_, n| (*n >= 0).then_some(*n)).to("out", (Raw, I64));
    });
    let input = t.input("in", (Raw, I64));
    for n in [1, -2, 3] {
        input.at(0).send(None, n).unwrap();
    }
    let out = t.output("out", (Raw, I64)).drain().unwrap();
    assert_eq!(out.iter().map(|r| r.timestamp).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(t.dropped("invalid-timestamp"), 1);
}

/// T3: across partitions by timestamp, within one by offset even where timestamps go back.
#[test]
fn the_smallest_head_timestamp_goes_first() {
    let b = StreamsBuilder::new("app");
    let left = b.stream("left", (Utf8, I64));
    b.stream("right", (Utf8, I64)).merge(left).to("out", (Utf8, I64));
    let topology = b.build().unwrap();
    let t = TestDriver::new(&topology).unwrap();
    let record = |(timestamp, value)| (timestamp, "k".to_owned(), value);
    let left = [(1, 10), (7, 11), (3, 12), (9, 13)].map(record);
    let right = [(2, 20), (3, 21), (8, 22)].map(record);
    let left = t.input("left", (Utf8, I64)).batch(left).unwrap();
    let right = t.input("right", (Utf8, I64)).batch(right).unwrap();
    t.send_together([left, right]).unwrap();
    assert_eq!(values(&t, "out"), [10, 20, 21, 11, 12, 22, 13]);
}

/// W3 outside windows: null key or null value is dropped; R2: null keys never reach a repartition topic.
#[test]
fn aggregations_drop_nulls() {
    let t = driver(|b| {
        let stream = b.stream("in", (Utf8.nullable(), I64.nullable()));
        let direct = stream.clone().group_by_key("direct", (Utf8.nullable(), I64.nullable()));
        direct.count("direct");
        let regrouped = stream.group_by("by-key", (Utf8.nullable(), I64.nullable()), |key, _| key.clone());
        regrouped.count("regrouped");
    });
    let input = t.input("in", (Utf8.nullable(), I64.nullable()));
    input.at(0).send(None, Some(1)).unwrap();
    assert_eq!(t.dropped("null-key"), 2, "once in the aggregation, once before the repartition topic");
    input.at(0).send(Some("k".into()), None).unwrap();
    assert_eq!(t.dropped("null-value"), 2);
    assert!(t.store("direct", (Utf8, I64)).all().unwrap().is_empty());
    assert!(t.store("regrouped", (Utf8, I64)).all().unwrap().is_empty());
    assert_eq!(t.output("app-by-key-repartition", (Utf8, I64.nullable())).drain().unwrap().len(), 1);
}

/// A source without a value for null drops and counts; a nullable one keeps it, and a table's deletion with it (K5).
#[test]
fn sources_keep_null_only_if_their_serde_can() {
    let t = driver(|b| {
        b.stream("strict", (Utf8, I64)).to("strict-out", (Utf8, I64));
        b.stream("loose", (Raw, I64.nullable())).to("loose-out", (Raw, I64.nullable()));
    });
    for topic in ["strict", "loose"] {
        let input = t.input(topic, (Utf8.nullable(), I64.nullable()));
        input.at(0).send(None, Some(1)).unwrap();
        input.at(0).send(Some("k".into()), None).unwrap();
    }
    assert_eq!((t.dropped("null-key"), t.dropped("null-value")), (1, 1));
    assert!(t.output("strict-out", (Raw, Raw)).drain().unwrap().is_empty());
    let loose = t.output("loose-out", (Utf8.nullable(), I64.nullable())).drain().unwrap();
    assert_eq!((&loose[0].key, loose[0].value), (&None, Some(1)));
    assert_eq!((loose[1].key.as_deref(), loose[1].value), (Some("k"), None));
}

#[test]
fn a_record_that_does_not_decode_fails_by_name_or_is_skipped() {
    let t = driver(|b| b.stream("in", (Raw, I64)).to("out", (Raw, I64)));
    let error = t.input("in", (Raw, Utf8)).at(0).send(None, "seven".into()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "KSTREAM-SOURCE-0000000000: the value of in-0 at offset 0 does not decode: expected 8 bytes, got 5"
    );
    let t = driver(|b| b.stream("in", (Raw, I64)).on_error(OnError::Skip).to("out", (Raw, I64)));
    t.input("in", (Raw, Utf8)).at(0).send(None, "seven".into()).unwrap();
    t.input("in", (Raw, I64)).at(0).send(None, 7).unwrap();
    assert_eq!((values(&t, "out"), t.dropped("deserialization")), (vec![7], 1));
}

/// R1: which operators make a grouping go through a topic.
#[test]
fn only_changed_keys_are_repartitioned() {
    type Stream = KStream<String, i64>;
    let repartitions = |op: fn(Stream, Stream) -> Stream| {
        let b = StreamsBuilder::new("app");
        let other = b.stream("other", (Utf8, I64)).map(|k, v| (k, v));
        op(b.stream("in", (Utf8, I64)), other).group_by_key("by-key", (Utf8, I64)).count("counts");
        b.build().unwrap().describe().to_string().contains("by-key-repartition")
    };
    assert!(!repartitions(|s, _| s));
    assert!(!repartitions(|s, _| s.map_values(|_, v| v).filter(|_, _| true).peek(|_, _| ())));
    assert!(!repartitions(|s, _| s.flat_map_values(|_, v| [v])));
    assert!(repartitions(|s, _| s.map(|k, v| (k, v))));
    assert!(repartitions(|s, _| s.select_key(|k, _| k.clone())));
    assert!(repartitions(|s, _| s.flat_map(|k, v| [(k, v)])));
    assert!(repartitions(|s, other| s.merge(other)), "merge: if either side's key changed");
    assert!(repartitions(|s, _| s.map(|k, v| (k, v)).map_values(|_, v| v).filter(|_, _| true)), "value ops carry it");
    assert!(repartitions(|s, _| s.map(|k, v| (k, v)).split("s").rest("all")));
}

/// Paths that meet again keep the order of processing record by record, whatever the batch.
#[test]
fn diamonds_keep_order() {
    for batch in [1, 2, 256] {
        let t = driver(|b| {
            let stream = b.stream("in", (Raw, I64));
            let negative = stream.clone().map_values(|_, n| -n);
            stream.merge(negative).to("merged", (Raw, I64));
            let mut parity = b.stream("numbers", (Raw, I64)).split("parity");
            parity.branch("even", |_, n| n % 2 == 0).map_values(|_, n| n * 10).to("same", (Raw, I64));
            parity.rest("odd").to("same", (Raw, I64));
        })
        .max_batch(batch);
        for topic in ["in", "numbers"] {
            t.input(topic, (Raw, I64)).send_all((1..=4).map(|n| (0, None, n))).unwrap();
        }
        // The clone's child was described first.
        assert_eq!(values(&t, "merged"), [-1, 1, -2, 2, -3, 3, -4, 4], "batches of {batch}");
        assert_eq!(values(&t, "same"), [1, 20, 3, 40], "batches of {batch}");
    }
}

#[test]
fn mistakes_are_found_at_build() {
    let build = |describe: fn(&StreamsBuilder)| {
        let b = StreamsBuilder::new("app");
        describe(&b);
        b.build().unwrap_err()
    };
    let count = |b: &StreamsBuilder, topic: &str, store: &str| {
        b.stream(topic, (Utf8, I64)).group_by_key("by-key", (Utf8, I64)).count(store);
    };
    assert_eq!(build(|_| ()), TopologyError::NoSource { app_id: "app".into() });
    let twice = |b: &StreamsBuilder| {
        for _ in 0..2 {
            b.stream("in", (Raw, Raw)).for_each(|_, _| ());
        }
    };
    assert_eq!(build(twice), TopologyError::DuplicateSource { topic: "in".into() });
    let b = StreamsBuilder::new("app");
    count(&b, "a", "counts");
    count(&b, "b", "counts");
    assert_eq!(b.build().unwrap_err(), TopologyError::DuplicateStore { store: "counts".into() });
    let regrouped = |b: &StreamsBuilder| {
        for (topic, store) in [("a", "s"), ("b", "t")] {
            b.stream(topic, (Utf8, I64)).group_by("same", (Utf8, I64), |k, _| k.clone()).count(store);
        }
    };
    assert_eq!(build(regrouped), TopologyError::DuplicateRepartition { name: "same-repartition".into() });
    let b = StreamsBuilder::new("app");
    count(&b, "a", "no spaces");
    assert_eq!(b.build().unwrap_err(), TopologyError::InvalidName { name: "app-no spaces-changelog".into() });
    let late = |b: &StreamsBuilder| {
        b.stream("in", (Utf8, I64)).peek(|_, _| ()).timestamp(|_, n| *n).for_each(|_, _| ());
    };
    assert_eq!(build(late), TopologyError::NotASource { setting: "timestamp" });
    let windows = |b: &StreamsBuilder| {
        let grouped = b.stream("in", (Utf8, I64)).group_by_key("k", (Utf8, I64));
        grouped.windowed_by(TimeWindows::tumbling(std::time::Duration::ZERO)).count("w");
    };
    assert_eq!(build(windows), TopologyError::InvalidWindows { store: "w".into() });
}

#[test]
fn the_driver_names_what_is_not_there() {
    let t = driver(|b| b.stream("in", (Raw, I64)).for_each(|_, _| ()));
    let error = t.input("inn", (Raw, I64)).send(None, 1).unwrap_err();
    assert_eq!(error.to_string(), "the topology reads no topic `inn`");
    let error = t.store("counts", (Utf8, I64)).all().unwrap_err();
    assert_eq!(error.to_string(), "the topology has no store `counts`");
}

/// E1: parts are numbered by first appearance.
#[test]
fn describe_in_kafkas_layout() {
    let b = StreamsBuilder::new("word-count");
    b.stream("lines", (Raw, Utf8))
        .flat_map_values(|_, line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by("by-word", (Utf8, Utf8), |_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("word-counts", (Utf8, I64.nullable()));
    let expected = "\
Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [lines])
      --> KSTREAM-FLATMAPVALUES-0000000001
    Processor: KSTREAM-FLATMAPVALUES-0000000001 (stores: [])
      --> by-word
      <-- KSTREAM-SOURCE-0000000000
    Processor: by-word (stores: [])
      --> by-word-repartition-filter
      <-- KSTREAM-FLATMAPVALUES-0000000001
    Processor: by-word-repartition-filter (stores: [])
      --> by-word-repartition-sink
      <-- by-word
    Sink: by-word-repartition-sink (topic: by-word-repartition)
      <-- by-word-repartition-filter

  Sub-topology: 1
    Source: by-word-repartition-source (topics: [by-word-repartition])
      --> KSTREAM-AGGREGATE-0000000003
    Processor: KSTREAM-AGGREGATE-0000000003 (stores: [counts])
      --> KTABLE-TOSTREAM-0000000007
      <-- by-word-repartition-source
    Processor: KTABLE-TOSTREAM-0000000007 (stores: [])
      --> KSTREAM-SINK-0000000008
      <-- KSTREAM-AGGREGATE-0000000003
    Sink: KSTREAM-SINK-0000000008 (topic: word-counts)
      <-- KTABLE-TOSTREAM-0000000007

";
    assert_eq!(b.build().unwrap().describe().to_string(), expected);
}
