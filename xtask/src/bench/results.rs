//! All values of all runs, and what they amount to.

use serde::Serialize;

use super::{
    machine::Noise,
    metric::{Against, Mark, Metric, Target},
    rows::Row,
};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// When.
    date: String,
    /// The command line.
    command: String,
    /// Machine and versions.
    pub(crate) about: Vec<String>,
    series: Vec<Series>,
    noise: Vec<RowNoise>,
}

/// One metric of one row on one broker, over the pairs.
#[derive(Debug, Serialize)]
struct Series {
    row: &'static str,
    broker: String,
    metric: Metric,
    values: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct RowNoise {
    row: &'static str,
    other_percent: f64,
    stolen_percent: f64,
}

/// Median, least and greatest of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// A target, and how it was met.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) target: Target,
    /// The number that is held against the bounds.
    pub(crate) value: f64,
    pub(crate) mark: Mark,
}

impl Results {
    pub(crate) fn new(about: Vec<String>) -> Self {
        let words: Vec<_> = std::env::args().skip(1).collect();
        let command = format!("cargo xtask {}", words.join(" "));
        Self { date: super::machine::date(), command, about, series: Vec::new(), noise: Vec::new() }
    }

    pub(crate) fn heading(&self) -> Vec<String> {
        let mut lines = vec![format!("{}, `{}`", self.date, self.command)];
        lines.extend_from_slice(&self.about);
        lines
    }

    pub(crate) fn add(&mut self, row: &Row, broker: &str, values: &[(Metric, f64)], noise: Noise) {
        for (metric, value) in values {
            let known = self
                .series
                .iter_mut()
                .find(|series| series.row == row.id && series.broker == broker && series.metric == *metric);
            match known {
                Some(series) => series.values.push(*value),
                None => self.series.push(Series {
                    row: row.id,
                    broker: broker.to_owned(),
                    metric: *metric,
                    values: vec![*value],
                }),
            }
        }
        let Noise { other_percent, stolen_percent } = noise;
        self.noise.push(RowNoise { row: row.id, other_percent, stolen_percent });
    }

    pub(crate) fn summary(&self, row: &str, broker: &str, metric: Metric) -> Option<Summary> {
        let series = self
            .series
            .iter()
            .find(|series| series.row == row && series.broker == broker && series.metric == metric)?;
        Summary::of(&series.values)
    }

    /// The worst noise over a row's runs.
    pub(crate) fn noise(&self, row: &str) -> Noise {
        self.noise.iter().filter(|noise| noise.row == row).fold(Noise::default(), |worst, noise| Noise {
            other_percent: worst.other_percent.max(noise.other_percent),
            stolen_percent: worst.stolen_percent.max(noise.stolen_percent),
        })
    }

    /// How `ours` stands to the targets of `row` on `metric`; `peer` is whom ratios are against.
    pub(crate) fn judge(&self, row: &Row, metric: Metric, ours: &str, peer: Option<&str>) -> Vec<Judged> {
        let targets = row.targets.iter().filter(|target| target.metric == metric);
        let judged = targets.filter_map(|target| {
            let mine = self.summary(row.id, ours, metric)?.median;
            let value = match target.against {
                Against::Itself => mine,
                Against::Peer => mine / self.summary(row.id, peer?, metric)?.median,
                Against::Row(other) => mine / self.summary(other, ours, metric)?.median,
            };
            value.is_finite().then(|| Judged { target: *target, value, mark: target.mark(value) })
        });
        judged.collect()
    }
}

impl Summary {
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = *sorted.get(middle)?;
        let median = if sorted.len().is_multiple_of(2) { (sorted.get(middle - 1)? + upper) / 2.0 } else { upper };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let summary = |values: &[f64]| Summary::of(values).map(|summary| (summary.median, summary.min, summary.max));
        assert_eq!(summary(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(summary(&[4.0, 1.0]), Some((2.5, 1.0, 4.0)));
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_row_is_judged_by_the_ratio_of_medians() {
        let groups = super::super::rows::groups();
        let row = groups.iter().flat_map(|group| &group.rows).find(|row| row.id == "small-1c").expect("the row");
        let mut results = Results::new(Vec::new());
        for (broker, value) in [("ours", 8.0), ("theirs", 100.0), ("ours", 12.0), ("theirs", 120.0)] {
            results.add(row, broker, &[(Metric::CpuMicrosPerRequest, value)], Noise::default());
        }
        let judged = results.judge(row, Metric::CpuMicrosPerRequest, "ours", Some("theirs"));
        assert_eq!(judged.iter().map(|judged| judged.mark).collect::<Vec<_>>(), [Mark::Aim, Mark::BelowAim]);
        assert!((judged[0].value - 10.0 / 110.0).abs() < 1e-9);
    }
}
