//! The batch engine against a reference that handles one record at a time in plain vectors; and a job that is
//! restarted against one that is not. Proptest prints and keeps the seed of what fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use riverrun_streams::prelude::*;

/// A record on the way in: time, key, value.
type Input = (i64, u8, i64);

/// A windowed result: key, window start, value, timestamp.
type Output = (String, i64, i64, i64);

#[derive(Clone, Copy, Debug)]
struct Windows {
    size: i64,
    advance: i64,
    grace: i64,
    on_close: bool,
}

fn ms(n: i64) -> Duration {
    Duration::from_millis(n.unsigned_abs())
}

/// The job under test: every kind of stateless operator, a repartition topic, a windowed sum.
fn topology(windows: Windows) -> Topology {
    let b = StreamsBuilder::new("app");
    let stream = b.stream("in", (Utf8, I64)).filter(|_, n| n % 5 != 0).flat_map_values(|_, n| [n, -n]);
    let mut sign = stream.split("sign");
    let negative = sign.branch("negative", |_, n| *n < 0).map_values(|_, n| n * 2);
    let windowed = sign
        .rest("positive")
        .merge(negative)
        .group_by("by-first-letter", (Utf8, I64), |key, _| key.chars().take(1).collect::<String>())
        .windowed_by(TimeWindows::hopping(ms(windows.size), ms(windows.advance)).grace(ms(windows.grace)));
    let strategy = if windows.on_close { EmitStrategy::on_window_close() } else { EmitStrategy::on_window_update() };
    windowed
        .emit(strategy)
        .reduce("sums", |a, b| a * 3 + b)
        .to_stream()
        .to("out", (Utf8.windowed(ms(windows.size)), I64.nullable()));
    b.build().unwrap()
}

/// The same, one record at a time and by the definitions.
#[derive(Default)]
struct Reference {
    sums: BTreeMap<(i64, String), (i64, i64)>,
    stream_time: i64,
    emitted_until: i64,
    out: Vec<Output>,
    late: u64,
}

impl Reference {
    fn new() -> Self {
        Self { stream_time: -1, emitted_until: i64::MIN, ..Self::default() }
    }

    fn run(mut self, windows: Windows, inputs: &[Input]) -> Self {
        for (timestamp, key, n) in inputs {
            if n % 5 == 0 {
                continue;
            }
            for n in [*n, -*n] {
                let n = if n < 0 { n * 2 } else { n };
                self.aggregate(windows, *timestamp, &key_name(*key)[..1], n);
            }
        }
        self
    }

    fn aggregate(&mut self, windows: Windows, timestamp: i64, key: &str, n: i64) {
        self.stream_time = self.stream_time.max(timestamp);
        let close = self.stream_time - windows.grace;
        for start in (0..=timestamp).filter(|s| s % windows.advance == 0 && timestamp < s + windows.size) {
            if start + windows.size <= close {
                self.late += 1;
                continue;
            }
            let fresh = !self.sums.contains_key(&(start, key.to_owned()));
            let (sum, time) = self.sums.entry((start, key.to_owned())).or_insert((n, timestamp));
            if !fresh {
                (*sum, *time) = (*sum * 3 + n, (*time).max(timestamp));
            }
            if !windows.on_close {
                self.out.push((key.to_owned(), start, *sum, *time));
            }
        }
        if windows.on_close && close > self.emitted_until {
            for ((start, key), (sum, time)) in &self.sums {
                let end = start + windows.size;
                if end <= close && end > self.emitted_until {
                    self.out.push((key.clone(), *start, *sum, *time));
                }
            }
            self.emitted_until = close;
        }
    }
}

fn key_name(key: u8) -> String {
    format!("{}-{key}", char::from(b'a' + key % 3))
}

/// Runs the job on the inputs, each slice sent as one fetch, restarted between slices.
fn run(windows: Windows, batch: usize, slices: &[&[Input]]) -> (Vec<Output>, u64) {
    let mut t = TestDriver::new(&topology(windows)).unwrap().max_batch(batch);
    for (n, slice) in slices.iter().enumerate() {
        if n > 0 {
            t.restart().unwrap();
        }
        let records = slice.iter().map(|(timestamp, key, n)| (*timestamp, key_name(*key), *n));
        t.input("in", (Utf8, I64)).send_all(records).unwrap();
    }
    let out = t.output("out", (Utf8.windowed(ms(windows.size)), I64)).drain().unwrap();
    let out = out.into_iter().map(|r| (r.key.key, r.key.window.start, r.value, r.timestamp)).collect();
    (out, t.dropped("late-record"))
}

fn windows() -> impl Strategy<Value = Windows> {
    (1i64..20, 1i64..20, 0i64..15, any::<bool>()).prop_map(|(size, advance, grace, on_close)| Windows {
        size,
        advance: advance.min(size),
        grace,
        on_close,
    })
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    proptest::collection::vec((0i64..60, 0u8..6, -9i64..10), 0..40)
}

proptest! {
    #[test]
    fn batches_change_nothing(windows in windows(), inputs in inputs()) {
        let expected = Reference::new().run(windows, &inputs);
        for batch in [1, 7, 256] {
            let (out, late) = run(windows, batch, &[&inputs]);
            prop_assert_eq!(&out, &expected.out, "batches of {}", batch);
            prop_assert_eq!(late, expected.late, "batches of {}", batch);
        }
    }

    #[test]
    fn restarts_change_nothing(windows in windows(), inputs in inputs(), cut in 0usize..40, second in 0usize..40) {
        let cut = cut.min(inputs.len());
        let second = cut + second.min(inputs.len() - cut);
        let whole = run(windows, 7, &[&inputs]);
        let slices = [&inputs[..cut], &inputs[cut..second], &inputs[second..]];
        prop_assert_eq!(run(windows, 7, &slices), whole);
    }

    /// T3 against the definition: repeatedly the partition with the smallest head, the first of them when equal.
    #[test]
    fn partitions_are_taken_by_head_timestamp(
        left in proptest::collection::vec(0i64..10, 0..12),
        right in proptest::collection::vec(0i64..10, 0..12),
        batch in 1usize..8,
    ) {
        let b = StreamsBuilder::new("app");
        let stream = b.stream("left", (Utf8, I64));
        stream.merge(b.stream("right", (Utf8, I64))).to("out", (Utf8, I64));
        let t = TestDriver::new(&b.build().unwrap()).unwrap().max_batch(batch);
        let send = |topic: &str, times: &[i64]| {
            let records = times.iter().enumerate().map(|(n, t)| (*t, topic.to_owned(), n as i64));
            t.input(topic, (Utf8, I64)).batch(records.collect::<Vec<_>>()).unwrap()
        };
        t.send_together([send("left", &left), send("right", &right)]).unwrap();
        let out = t.output("out", (Utf8, I64)).drain().unwrap();
        let out: Vec<_> = out.into_iter().map(|r| (r.key, r.value)).collect();

        let (mut l, mut r, mut expected) = (0, 0, Vec::new());
        while l < left.len() || r < right.len() {
            if r == right.len() || l < left.len() && left[l] <= right[r] {
                expected.push(("left".to_owned(), l as i64));
                l += 1;
            } else {
                expected.push(("right".to_owned(), r as i64));
                r += 1;
            }
        }
        prop_assert_eq!(out, expected);
    }
}
