//! Results as people read them: a line per run while the bench works, a table per group, Markdown for the docs.

use std::fmt::Write as _;

use super::{
    machine::Noise,
    metric::{Against, Metric},
    results::{Judged, Results, Summary},
    rows::{Group, Row},
};

/// One run.
pub(crate) fn line(values: &[(Metric, f64)], noise: Noise) -> String {
    let values: Vec<_> = values.iter().map(|(metric, value)| format!("{} {}", number(*value), metric.name())).collect();
    format!("{}  [{}]", values.join(", "), disturbance(noise))
}

/// A group, for a terminal.
pub(crate) fn text(results: &Results, group: &Group, brokers: &[String]) -> String {
    let rows = cells(results, group, brokers);
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let padded: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", padded.join("  ").trim_end());
    }
    text
}

/// Everything, for `docs/performance.md`.
pub(crate) fn markdown(results: &Results, groups: &[Group], brokers: impl Fn(&Group) -> Vec<String>) -> String {
    let mut text = String::new();
    for line in results.heading() {
        let _ = writeln!(text, "- {line}");
    }
    for group in groups {
        let mut rows = cells(results, group, &brokers(group)).into_iter();
        let Some(head) = rows.next() else { continue };
        let _ = writeln!(text, "\n### {}\n\n| {} |\n|{}", group.name, head.join(" | "), "---|".repeat(head.len()));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
    }
    text
}

/// The table of a group, its head first.
fn cells(results: &Results, group: &Group, brokers: &[String]) -> Vec<Vec<String>> {
    let mut head = vec!["row".to_owned(), "measure".to_owned()];
    head.extend_from_slice(brokers);
    head.extend(["ratio", "target", "", "noise"].map(str::to_owned));
    let mut rows = vec![head];
    for row in &group.rows {
        let mut first = true;
        for metric in row.metrics {
            let found: Vec<_> = brokers.iter().map(|broker| results.summary(row.id, broker, *metric)).collect();
            if found.iter().all(Option::is_none) {
                continue;
            }
            let mut cells = vec![if first { row.id.to_owned() } else { String::new() }, metric.name().to_owned()];
            cells.extend(found.iter().map(|summary| summary.map_or_else(|| "-".to_owned(), spread)));
            cells.extend(verdict(results, row, *metric, brokers, &found));
            cells.push(if first { disturbance(results.noise(row.id)) } else { String::new() });
            rows.push(cells);
            first = false;
        }
    }
    rows
}

/// Ratio to the peer, targets, marks.
fn verdict(results: &Results, row: &Row, metric: Metric, brokers: &[String], found: &[Option<Summary>]) -> [String; 3] {
    let ratio = match found {
        [Some(ours), Some(theirs), ..] if theirs.median > 0.0 => format!("{}x", number(ours.median / theirs.median)),
        _ => String::new(),
    };
    let Some((ours, others)) = brokers.split_first() else { return Default::default() };
    let judged = results.judge(row, metric, ours, others.first().map(String::as_str));
    let targets: Vec<_> = judged.iter().map(|judged| target(judged, metric)).collect();
    let marks: Vec<_> = judged.iter().map(|judged| judged.mark.to_string()).collect();
    [ratio, targets.join("; "), marks.join("; ")]
}

fn target(judged: &Judged, metric: Metric) -> String {
    let sign = if metric.more_is_better() { ">=" } else { "<=" };
    let unit = if judged.target.against == Against::Itself { "" } else { "x" };
    let bound = |name: &str, bound: Option<f64>| bound.map(|bound| format!("{name}{sign} {}{unit}", number(bound)));
    let bounds = [bound("", judged.target.at_least), bound("aim ", judged.target.aim)];
    let bounds: Vec<_> = bounds.into_iter().flatten().collect();
    match judged.target.against {
        Against::Row(other) => format!("{}x of {other}: {}", number(judged.value), bounds.join(", ")),
        Against::Peer | Against::Itself => bounds.join(", "),
    }
}

fn spread(summary: Summary) -> String {
    let Summary { median, min, max } = summary;
    if min == max {
        return number(median);
    }
    format!("{} ({} to {})", number(median), number(min), number(max))
}

fn disturbance(noise: Noise) -> String {
    format!("other {:.0} %, stolen {:.0} %", noise.other_percent, noise.stolen_percent)
}

/// Three significant digits or so; thousands and millions by their letter.
fn number(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 || size == 0.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits() {
        let numbers = [0.0, 0.012, 0.5, 7.25, 85.3, 1234.0, 45_600.0, 17_900_000.0].map(number);
        assert_eq!(numbers, ["0.00", "0.012", "0.50", "7.25", "85.3", "1234", "45.6k", "17.9M"]);
    }
}
