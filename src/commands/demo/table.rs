//! Shows results to a person: a table that is redrawn in place on a terminal, or one plain line per result elsewhere.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
};

use chrono::DateTime;
use crossterm::{cursor, queue, terminal};

use super::results::{LogWindow, MetricWindow};
use crate::commands::columns;

/// Where results are shown. Holds the last closed window of every metric, and of every level of every file.
#[derive(Debug)]
pub(super) struct Table {
    live: bool,
    metrics: BTreeMap<String, MetricWindow>,
    logs: BTreeMap<(String, String), LogWindow>,
    /// Windows shown so far.
    windows: u64,
}

impl Table {
    /// A table that redraws itself if standard output is a terminal.
    pub(super) fn new() -> Self {
        Self { live: io::stdout().is_terminal(), metrics: BTreeMap::new(), logs: BTreeMap::new(), windows: 0 }
    }

    /// How many closed windows have come in.
    pub(super) fn windows(&self) -> u64 {
        self.windows
    }

    /// Takes a metric's closed window in.
    pub(super) fn metric(&mut self, window: MetricWindow) {
        self.windows += 1;
        if !self.live {
            println!("{}", metric_line(&window));
        }
        self.metrics.insert(window.metric.clone(), window);
    }

    /// Takes a closed window of log lines in.
    pub(super) fn log(&mut self, window: LogWindow) {
        self.windows += 1;
        if !self.live {
            println!("{}", log_line(&window));
        }
        self.logs.insert((window.file.clone(), window.level.clone()), window);
    }

    /// Draws the table anew on a terminal; does nothing elsewhere.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub(super) fn draw(&self) -> io::Result<()> {
        if !self.live {
            return Ok(());
        }
        let (width, height) = terminal::size().unwrap_or((120, 40));
        let text = self.render(usize::from(width), usize::from(height).saturating_sub(2));
        let mut out = io::stdout().lock();
        queue!(out, cursor::MoveTo(0, 0), terminal::Clear(terminal::ClearType::All))?;
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// The table's text, at most `height` lines of at most `width` characters. Where there is not room for all, log files get
    /// what they need up to a third of it, and metrics the rest.
    fn render(&self, width: usize, height: usize) -> String {
        let end = self.metrics.values().map(|window| window.window_end).max().unwrap_or_default();
        let title = format!("Riverrun demo: windows of 5 s, last closed at {}\n", clock(end));
        let metrics: Vec<_> = self.metrics.values().map(metric_row).collect();
        let logs: Vec<_> = self.logs.values().map(log_row).collect();
        let room = height.saturating_sub(2);
        // A table has a heading, and an empty line before it.
        let logs_room = if logs.is_empty() { 0 } else { (logs.len() + 2).min((room / 3).max(3)) };
        let mut text = title + "\n" + &section(METRICS, &metrics, room.saturating_sub(logs_room));
        if !logs.is_empty() {
            text += &format!("\n{}", section(LOGS, &logs, logs_room.saturating_sub(1)));
        }
        text.lines().take(height).map(|line| line.chars().take(width).collect::<String>() + "\n").collect()
    }
}

const METRICS: &[&str] = &["METRIC", "COUNT", "AVERAGE", "MAXIMUM", "P95", "UNIT"];
const LOGS: &[&str] = &["LOG FILE", "LEVEL", "LINES", "WINDOW"];

/// A heading and rows in at most `room` lines; the last of them says how many rows were left out.
fn section(heading: &[&str], rows: &[Vec<String>], room: usize) -> String {
    let text = columns(heading, rows);
    let lines: Vec<_> = text.lines().collect();
    if lines.len() <= room {
        return text;
    }
    let shown = room.saturating_sub(1);
    let mut out: String = lines.iter().take(shown).map(|line| format!("{line}\n")).collect();
    out += &format!("... and {} more\n", lines.len() - shown);
    out
}

fn metric_row(window: &MetricWindow) -> Vec<String> {
    let mut row = vec![window.metric.clone(), window.count.to_string()];
    row.extend([window.average, window.maximum, window.p95].map(|value| number(value, &window.unit)));
    row.push(unit(window).to_owned());
    row
}

/// The unit as people want it: a load has none.
fn unit(window: &MetricWindow) -> &str {
    if window.unit == "1" { "" } else { &window.unit }
}

fn log_row(window: &LogWindow) -> Vec<String> {
    vec![window.file.clone(), window.level.clone(), window.lines.to_string(), clock(window.window_start)]
}

fn metric_line(window: &MetricWindow) -> String {
    let [average, maximum, p95] = [window.average, window.maximum, window.p95].map(|value| number(value, &window.unit));
    format!(
        "{} {} count={} avg={average} max={maximum} p95={p95} {}",
        clock(window.window_start),
        window.metric,
        window.count,
        unit(window)
    )
    .trim_end()
    .to_owned()
}

fn log_line(window: &LogWindow) -> String {
    format!("{} {} level={} lines={}", clock(window.window_start), window.file, window.level, window.lines)
}

/// Bytes with a binary prefix, all else with two decimals.
fn number(value: f64, unit: &str) -> String {
    if !unit.starts_with("bytes") {
        return format!("{value:.2}");
    }
    let mut scaled = value;
    let mut names = ["", "Ki", "Mi", "Gi", "Ti"].iter();
    let mut name = names.next().copied().unwrap_or_default();
    while scaled.abs() >= 1024.0 {
        let Some(next) = names.next() else { break };
        scaled /= 1024.0;
        name = next;
    }
    format!("{scaled:.1}{name}")
}

/// The time of day of a timestamp in milliseconds, in UTC.
fn clock(timestamp: i64) -> String {
    DateTime::from_timestamp_millis(timestamp)
        .map_or_else(|| timestamp.to_string(), |at| at.format("%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table { live: true, metrics: BTreeMap::new(), logs: BTreeMap::new(), windows: 0 };
        for (metric, unit, average) in [("cpu.usage", "%", 12.5), ("memory.used", "bytes", 3.5 * 1024.0 * 1024.0)] {
            table.metric(MetricWindow {
                window_start: 0,
                window_end: 5000,
                metric: metric.into(),
                count: 20,
                average,
                maximum: average,
                p95: average,
                unit: unit.into(),
            });
        }
        table
    }

    #[test]
    fn a_table_fits_its_terminal_and_leaves_room_for_logs() {
        let mut table = table();
        for number in 0..30 {
            let metric = MetricWindow { metric: format!("metric.{number}"), ..table.metrics["cpu.usage"].clone() };
            table.metric(metric);
        }
        for level in ["INFO", "WARN"] {
            let file = "/var/log/app.log".to_owned();
            table.log(LogWindow { window_start: 0, window_end: 5000, file, level: level.to_owned(), lines: 3 });
        }
        let text = table.render(50, 22);
        assert_eq!(text.lines().count(), 22, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 50), "{text}");
        assert!(text.contains("... and 18 more") && text.contains("WARN"), "{text}");
        assert!(!table.render(200, 60).contains("more"));
    }

    #[test]
    fn numbers_are_for_people() {
        let text = table().render(200, 50);
        assert!(text.contains("12.50"), "{text}");
        assert!(text.contains("3.5Mi"), "{text}");
        assert_eq!(number(512.0, "bytes/s"), "512.0");
    }
}
