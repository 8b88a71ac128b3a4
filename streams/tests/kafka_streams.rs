//! The same jobs, inputs and outputs as recorded from Apache Kafka Streams 4.3 in its own test driver: description,
//! results, repartition topics and changelogs byte for byte, and the number of dropped records. `recorder/` holds the
//! program that made the data.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fmt::Write, fs, path::Path, time::Duration};

use bytes::Bytes;
use riverrun_streams::prelude::*;

const SIZE: Duration = Duration::from_millis(10);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn tumbling(grace: u64) -> TimeWindows {
    TimeWindows::tumbling(SIZE).grace(ms(grace))
}

fn grouped(b: &StreamsBuilder) -> KGroupedStream<String, i64> {
    b.stream("in", (Utf8, I64)).group_by_key("by-key", (Utf8, I64))
}

fn out(table: KTable<String, i64>) {
    table.to_stream().to("out", (Utf8, I64.nullable()));
}

fn windowed_out(table: KTable<Windowed<String>, i64>) {
    table.to_stream().to("out", (Utf8.windowed(SIZE), I64.nullable()));
}

fn hex(bytes: Option<&Bytes>) -> String {
    match bytes {
        None => "-".to_owned(),
        Some(bytes) if bytes.is_empty() => "empty".to_owned(),
        Some(bytes) => bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        }),
    }
}

fn unhex(hex: &str) -> Option<Bytes> {
    let byte = |n: usize| u8::from_str_radix(&hex[n..n + 2], 16).unwrap();
    (hex != "-").then(|| (0..hex.len()).step_by(2).map(byte).collect())
}

/// Kafka lists neighbours in the order of a hash map; here they are sorted.
fn in_order(line: &str) -> String {
    for arrow in ["--> ", "<-- "] {
        if let Some((start, names)) = line.split_once(arrow) {
            let mut names: Vec<_> = names.split(", ").collect();
            names.sort_unstable();
            return format!("{start}{arrow}{}", names.join(", "));
        }
    }
    line.to_owned()
}

/// Replays a recording and writes one of our own, which must be the same.
fn compare(name: &str, describe: impl FnOnce(&StreamsBuilder)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.txt"));
    let recorded = fs::read_to_string(path).unwrap();
    let b = StreamsBuilder::new("app");
    describe(&b);
    let topology = b.build().unwrap();
    let t = TestDriver::new(&topology).unwrap();

    let mut ours = String::new();
    for line in topology.describe().to_string().lines() {
        writeln!(ours, "describe {line}").unwrap();
    }
    for line in recorded.lines().filter(|line| line.starts_with("in ")) {
        writeln!(ours, "{line}").unwrap();
        let [_, topic, key, value, timestamp] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let input = t.input(topic, (Raw, Raw));
        input.at(timestamp.parse().unwrap()).send(unhex(key), unhex(value)).unwrap();
        for topic in t.produced_topics() {
            for r in t.output(&topic, (Raw, Raw)).drain().unwrap() {
                let (key, value) = (hex(r.key.as_ref()), hex(r.value.as_ref()));
                writeln!(ours, "out {topic} {key} {value} {}", r.timestamp).unwrap();
            }
        }
    }
    writeln!(ours, "dropped {}", t.metrics().dropped_total()).unwrap();

    for (n, (ours, theirs)) in ours.lines().zip(recorded.lines()).enumerate() {
        assert_eq!(in_order(ours), in_order(theirs), "{name}.txt, line {}", n + 1);
    }
    assert_eq!(ours.lines().count(), recorded.lines().count(), "{name}.txt");
}

#[test]
fn count() {
    compare("count", |b| out(grouped(b).count("store")));
}

#[test]
fn reduce() {
    compare("reduce", |b| out(grouped(b).reduce("store", |x, y| x.wrapping_mul(3).wrapping_add(*y))));
}

#[test]
fn aggregate() {
    compare("aggregate", |b| {
        out(grouped(b).aggregate("store", I64, || 7, |_, v, a| *a = a.wrapping_mul(31).wrapping_add(*v)))
    });
}

#[test]
fn table_filter() {
    compare("table-filter", |b| out(grouped(b).count("store").filter(|_, n| n % 2 == 0).map_values(|_, n| n * 10)));
}

#[test]
fn repartition() {
    compare("repartition", |b| {
        let signed = b.stream("in", (Utf8, I64)).filter(|_, v| *v != 0).flat_map_values(|_, v| [v, -v]);
        let by_sign = signed.group_by("by-sign", (Utf8, I64), |k, v| format!("{k}{}", if *v < 0 { '-' } else { '+' }));
        out(by_sign.count("store"));
    });
}

#[test]
fn merge() {
    compare("merge", |b| {
        let stream = b.stream("in", (Utf8, I64));
        let negative = stream.clone().map_values(|_, v| -v);
        stream.merge(negative).to("out", (Utf8, I64));
    });
}

#[test]
fn windowed_count() {
    compare("windowed-count", |b| windowed_out(grouped(b).windowed_by(tumbling(5)).count("store")));
}

#[test]
fn windowed_without_grace() {
    compare("windowed-no-grace", |b| {
        windowed_out(grouped(b).windowed_by(tumbling(0)).reduce("store", |x, y| x.wrapping_mul(3).wrapping_add(*y)));
    });
}

#[test]
fn hopping() {
    compare("hopping", |b| {
        let windows = TimeWindows::hopping(SIZE, ms(4)).grace(ms(3));
        windowed_out(grouped(b).windowed_by(windows).aggregate(
            "store",
            I64,
            || 7,
            |_, v, a| *a = a.wrapping_mul(31).wrapping_add(*v),
        ));
    });
}

#[test]
fn emit_final() {
    compare("emit-final", |b| {
        let windowed = grouped(b).windowed_by(tumbling(5)).emit(EmitStrategy::on_window_close());
        windowed_out(windowed.count("store"));
    });
}

#[test]
fn emit_final_hopping() {
    compare("emit-final-hopping", |b| {
        let windowed = grouped(b).windowed_by(TimeWindows::hopping(SIZE, ms(4)));
        let windowed = windowed.emit(EmitStrategy::on_window_close());
        windowed_out(windowed.reduce("store", |x, y| x.wrapping_mul(3).wrapping_add(*y)));
    });
}
