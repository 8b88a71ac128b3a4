//! The machine: what it is, for the head of the table, and what else it does while a run lasts.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// CPU time of the whole machine, in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    busy: u64,
    stolen: u64,
    all: u64,
}

impl Ticks {
    pub(crate) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("the bench needs Linux: cannot read /proc/stat")?;
        let line =
            text.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat has no cpu line")?;
        let ticks: Vec<u64> = line.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [user, nice, system, idle, waiting, interrupts, soft, stolen, ..] = ticks[..] else {
            anyhow::bail!("/proc/stat is too short");
        };
        let busy = user + nice + system + interrupts + soft;
        Ok(Self { busy, stolen, all: busy + stolen + idle + waiting })
    }

    /// What happened since: `ours` is the CPU time of broker and generator, in seconds.
    pub(crate) fn since(self, before: Self, ours: f64) -> Noise {
        let all = (self.all - before.all).max(1) as f64;
        let busy = (self.busy - before.busy) as f64 - ours * 100.0;
        let percent = |ticks: f64| (ticks / all * 100.0).max(0.0);
        Noise { other_percent: percent(busy), stolen_percent: percent((self.stolen - before.stolen) as f64) }
    }
}

/// What disturbed a run, in percent of all CPUs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Noise {
    /// CPU time of processes that do not belong to the run, and of the kernel on nobody's account.
    pub(crate) other_percent: f64,
    /// CPU time the host gave to others.
    pub(crate) stolen_percent: f64,
}

/// Waits until the machine does little else, but not longer than `patience`; returns what it still did.
pub(crate) fn settle(patience: Duration) -> Result<Noise> {
    let began = Instant::now();
    loop {
        let before = Ticks::now()?;
        thread::sleep(Duration::from_millis(300));
        let noise = Ticks::now()?.since(before, 0.0);
        if noise.other_percent < 5.0 || began.elapsed() > patience {
            return Ok(noise);
        }
    }
}

/// CPU, kernel, memory, versions: one line each.
pub(crate) fn describe(folder: &Path, versions: &[String]) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let models: Vec<_> = info.lines().filter(|line| line.starts_with("model name")).collect();
    let model = models.first().and_then(|line| line.split_once(": ")).map_or("unknown CPU", |(_, name)| name);
    let memory = read("/proc/meminfo");
    let kib = memory.lines().next().and_then(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    let virtual_machine = if info.contains(" hypervisor") { ", virtual machine" } else { "" };
    let mut lines = vec![
        format!("{} x {model}, {} GiB{virtual_machine}", models.len(), kib.unwrap_or_default() >> 20),
        format!("Linux {}, {}", read("/proc/sys/kernel/osrelease").trim(), filesystem(folder)),
    ];
    lines.extend_from_slice(versions);
    lines
}

fn filesystem(folder: &Path) -> String {
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(folder).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first line that `command` prints.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&text).lines().next()?.trim().to_owned())
}

/// Date and minute in UTC.
pub(crate) fn date() -> String {
    first_line(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])).unwrap_or_default()
}
