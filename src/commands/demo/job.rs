//! The demo's stream job: five-second tumbling windows over what the host's metrics and the log files' lines say.
//!
//! Both inputs are merged before they are grouped. A window closes when a later record comes, and log files may be silent
//! for long; the metrics, which never are, close their windows too.

use std::time::Duration;

use riverrun::streams::prelude::*;
use serde::{Deserialize, Serialize};

use super::results::{LogWindow, MetricWindow, Statistics};

/// Topic of measurements, as the `host-metrics` source writes them.
pub(super) const METRICS: &str = "host-metrics";
/// Topic of log lines, as the `file-tail` source writes them.
pub(super) const LOG_LINES: &str = "log-lines";
/// Topic of closed windows of metrics.
pub(super) const METRIC_WINDOWS: &str = "host-metrics-5s";
/// Topic of closed windows of log lines.
pub(super) const LOG_WINDOWS: &str = "log-lines-5s";

/// The job's name: its consumer group and the prefix of its internal topics.
pub(super) const APP: &str = "riverrun-demo";

const SIZE: Duration = Duration::from_secs(5);
/// How late a record may come. The two inputs are read at their own pace, most of all at the start, when one producer is
/// ready before the other: what one source says must not be too late because the other was quicker.
const GRACE: Duration = Duration::from_secs(5);

/// What is taken of a measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Measurement {
    metric: String,
    /// What tells several measurements of one metric apart: a disk, an interface.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    labels: std::collections::BTreeMap<String, String>,
    value: f64,
    unit: String,
}

/// What is taken of a log line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LogLine {
    file: String,
    level: Option<String>,
}

/// What a window is kept for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Series {
    Metric(String),
    Log { file: String, level: String },
}

/// One value of a series.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sample {
    value: f64,
    unit: String,
}

impl Measurement {
    /// `disk.usage{mount=/}`, as dashboards write it.
    fn series(&self) -> Series {
        if self.labels.is_empty() {
            return Series::Metric(self.metric.clone());
        }
        let labels: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Series::Metric(format!("{}{{{}}}", self.metric, labels.join(",")))
    }
}

/// Builds the job.
///
/// # Errors
/// [`TopologyError`](riverrun::streams::TopologyError), were the topology malformed.
pub(super) fn topology() -> Result<Topology, riverrun::streams::TopologyError> {
    let b = StreamsBuilder::new(APP);
    let metrics =
        b.stream(METRICS, (Raw, Json)).map(|_, m: Measurement| (m.series(), Sample { value: m.value, unit: m.unit }));
    let lines = b.stream(LOG_LINES, (Raw, Json)).map(|_, line: LogLine| {
        let level = line.level.unwrap_or_else(|| "none".to_owned());
        (Series::Log { file: line.file, level }, Sample { value: 1.0, unit: "lines".to_owned() })
    });
    let windows = metrics
        .merge(lines)
        .group_by_key("by-series", (Json, Json))
        .windowed_by(TimeWindows::tumbling(SIZE).grace(GRACE))
        .emit(EmitStrategy::on_window_close())
        .aggregate("statistics", Json, Statistics::default, |_, sample: &Sample, statistics: &mut Statistics| {
            statistics.add(&sample.unit, sample.value);
        })
        .to_stream();
    windows.clone().flat_map(|at, statistics| metric_window(&at, statistics)).to(METRIC_WINDOWS, (Utf8, Json));
    windows.flat_map(|at, statistics| log_window(&at, statistics)).to(LOG_WINDOWS, (Utf8, Json));
    b.build()
}

fn metric_window(at: &Windowed<Series>, statistics: Option<Statistics>) -> Option<(String, MetricWindow)> {
    let (Series::Metric(metric), Some(statistics)) = (&at.key, statistics) else { return None };
    let window = MetricWindow {
        window_start: at.window.start,
        window_end: at.window.end,
        metric: metric.clone(),
        count: statistics.count(),
        average: statistics.average(),
        maximum: statistics.maximum(),
        p95: statistics.p95(),
        unit: statistics.unit,
    };
    Some((metric.clone(), window))
}

fn log_window(at: &Windowed<Series>, statistics: Option<Statistics>) -> Option<(String, LogWindow)> {
    let (Series::Log { file, level }, Some(statistics)) = (&at.key, statistics) else { return None };
    let window = LogWindow {
        window_start: at.window.start,
        window_end: at.window.end,
        file: file.clone(),
        level: level.clone(),
        lines: statistics.count(),
    };
    Some((file.clone(), window))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(value: f64) -> Measurement {
        let labels = [("mount".to_owned(), "/".to_owned())].into();
        Measurement { metric: "disk.usage".to_owned(), labels, value, unit: "percent".to_owned() }
    }

    fn line(level: Option<&str>) -> LogLine {
        LogLine { file: "/var/log/app.log".to_owned(), level: level.map(str::to_owned) }
    }

    #[test]
    fn windows_close_with_what_came_in_them() {
        let mut t = TestDriver::new(&topology().expect("sound")).expect("sound");
        let metrics = t.input(METRICS, (Raw, Json));
        let lines = t.input(LOG_LINES, (Raw, Json));
        for number in 0..20 {
            metrics.at(number * 250).send(None, measured(number as f64)).expect("takes it");
        }
        lines.at(100).send(None, line(Some("WARN"))).expect("takes it");
        lines.at(4999).send(None, line(None)).expect("takes it");
        lines.at(4999).send(None, line(Some("WARN"))).expect("takes it");
        // No later log line comes: the metrics close the log's windows.
        t.advance_wall_clock(Duration::from_secs(2));
        metrics.at(10_000).send(None, measured(7.0)).expect("takes it");

        let closed: Vec<TestRecord<String, MetricWindow>> =
            t.output(METRIC_WINDOWS, (Utf8, Json)).drain().expect("reads");
        let window = closed[0].value.clone();
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0].key, "disk.usage{mount=/}");
        assert_eq!((window.window_start, window.window_end, window.count), (0, 5000, 20));
        assert_eq!((window.average, window.maximum, window.p95), (9.5, 19.0, 18.0));

        let closed: Vec<TestRecord<String, LogWindow>> = t.output(LOG_WINDOWS, (Utf8, Json)).drain().expect("reads");
        let mut counts: Vec<_> =
            closed.iter().map(|record| (record.value.level.as_str(), record.value.lines)).collect();
        counts.sort_unstable();
        assert_eq!(counts, [("WARN", 2), ("none", 1)]);
    }

    #[test]
    fn an_open_window_survives_a_restart() {
        let mut t = TestDriver::new(&topology().expect("sound")).expect("sound");
        let metrics = t.input(METRICS, (Raw, Json));
        metrics.at(0).send(None, measured(1.0)).expect("takes it");
        t.restart().expect("restores");
        let metrics = t.input(METRICS, (Raw, Json));
        metrics.at(10).send(None, measured(3.0)).expect("takes it");
        t.advance_wall_clock(Duration::from_secs(2));
        metrics.at(10_000).send(None, measured(7.0)).expect("takes it");
        let closed: Vec<TestRecord<String, MetricWindow>> =
            t.output(METRIC_WINDOWS, (Utf8, Json)).drain().expect("reads");
        assert_eq!((closed[0].value.count, closed[0].value.average), (2, 2.0));
    }
}
