//! What a run is measured by, and what it is held against.

use riverrun_load::Report;
use serde::Serialize;

/// One number of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    RecordsPerSecond,
    MbPerSecond,
    RequestsPerSecond,
    RecordsPerCpuSecond,
    CpuSecondsPerGb,
    CpuMicrosPerRequest,
    P50,
    P99,
    P999,
    Max,
    PeakMib,
    IdleMib,
    IdleCpuPercent,
    StartMs,
    RecoverySeconds,
}

impl Metric {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RecordsPerSecond => "records/s",
            Self::MbPerSecond => "MB/s",
            Self::RequestsPerSecond => "requests/s",
            Self::RecordsPerCpuSecond => "records per CPU-s",
            Self::CpuSecondsPerGb => "CPU-s/GB",
            Self::CpuMicrosPerRequest => "CPU us/request",
            Self::P50 => "p50 us",
            Self::P99 => "p99 us",
            Self::P999 => "p99.9 us",
            Self::Max => "max us",
            Self::PeakMib => "peak MiB",
            Self::IdleMib => "idle MiB",
            Self::IdleCpuPercent => "idle CPU %",
            Self::StartMs => "ms",
            Self::RecoverySeconds => "s",
        }
    }

    /// Whether more of it is better.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Self::RecordsPerSecond | Self::MbPerSecond | Self::RequestsPerSecond | Self::RecordsPerCpuSecond)
    }

    /// The number, if a generator's report has it.
    pub(crate) fn of(self, report: &Report) -> Option<f64> {
        let cpu = report.broker_cpu_s.filter(|cpu| *cpu > 0.0);
        let latency = report.latency;
        let rate = |count: u64| (report.seconds > 0.0).then(|| count as f64 / report.seconds);
        let per = |cpu: f64, count: u64| (count > 0).then(|| cpu / count as f64);
        match self {
            Self::RecordsPerSecond => rate(report.records),
            Self::MbPerSecond => rate(report.bytes).map(|bytes| bytes / 1e6),
            Self::RequestsPerSecond => rate(report.requests),
            Self::RecordsPerCpuSecond => cpu.map(|cpu| report.records as f64 / cpu),
            Self::CpuSecondsPerGb => cpu.and_then(|cpu| per(cpu, report.bytes)).map(|cpu| cpu * 1e9),
            Self::CpuMicrosPerRequest => cpu.and_then(|cpu| per(cpu, report.requests)).map(|cpu| cpu * 1e6),
            Self::P50 => latency.map(|latency| latency.p50_us),
            Self::P99 => latency.map(|latency| latency.p99_us),
            Self::P999 => latency.map(|latency| latency.p999_us),
            Self::Max => latency.map(|latency| latency.max_us),
            Self::PeakMib | Self::IdleMib | Self::IdleCpuPercent | Self::StartMs | Self::RecoverySeconds => None,
        }
    }
}

/// What a metric is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    pub(crate) metric: Metric,
    pub(crate) against: Against,
    /// Short of this, the row is not done.
    pub(crate) at_least: Option<f64>,
    /// What would be excellent.
    pub(crate) aim: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Against {
    /// Ours divided by the peer's, in the same row.
    Peer,
    /// Ours as it is.
    Itself,
    /// Ours divided by ours of another row.
    Row(&'static str),
}

/// How a target was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mark {
    Miss,
    Pass,
    /// There is an aim only, and it was not reached.
    BelowAim,
    Aim,
}

impl Target {
    pub(crate) fn mark(&self, value: f64) -> Mark {
        let reached = |bound: f64| if self.metric.more_is_better() { value >= bound } else { value <= bound };
        match self.at_least {
            _ if self.aim.is_some_and(reached) => Mark::Aim,
            Some(bound) if reached(bound) => Mark::Pass,
            Some(_) => Mark::Miss,
            None => Mark::BelowAim,
        }
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Miss => "MISS",
            Self::Pass => "pass",
            Self::BelowAim => "below aim",
            Self::Aim => "aim",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_knows_which_way_is_better() {
        let target =
            |metric, at_least, aim| Target { metric, against: Against::Peer, at_least: Some(at_least), aim: Some(aim) };
        let rate = target(Metric::RecordsPerCpuSecond, 2.5, 4.0);
        assert_eq!([2.0, 3.0, 5.0].map(|ratio| rate.mark(ratio)), [Mark::Miss, Mark::Pass, Mark::Aim]);
        let latency = target(Metric::P99, 0.6, 0.35);
        assert_eq!([0.7, 0.5, 0.3].map(|ratio| latency.mark(ratio)), [Mark::Miss, Mark::Pass, Mark::Aim]);
        assert_eq!(Target { at_least: None, ..latency }.mark(0.7), Mark::BelowAim);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert_eq!(Metric::RecordsPerSecond.of(&Report::default()), None);
        assert_eq!(Metric::CpuMicrosPerRequest.of(&Report::default()), None);
    }
}
