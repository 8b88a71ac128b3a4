//! What the kernel says of a process: CPU time and memory, from `/proc`. Linux only; elsewhere every call fails.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Clock ticks per second in `/proc/PID/stat`: `USER_HZ`, 100 on every architecture Linux has today.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of all threads of a process, those that have ended included. Resolution 10 ms.
///
/// # Errors
/// If there is no such process.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the broker ended?"))?;
    // The name stands in brackets and may hold anything; fields are counted behind it, from field 3 on.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest).with_context(|| format!("{path} has no name"))?;
    let field = |number: usize| -> Result<u64> {
        let value = fields.split_ascii_whitespace().nth(number - 3);
        Ok(value.with_context(|| format!("{path} has no field {number}"))?.parse()?)
    };
    let ticks = field(14)? + field(15)?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// CPU time of this process.
///
/// # Errors
/// Where there is no `/proc`.
pub fn own_cpu_time() -> Result<Duration> {
    cpu_time(std::process::id())
}

/// Resident memory in bytes: now, and the most there has been since the start or the last [`reset_peak`].
///
/// # Errors
/// If there is no such process.
pub fn resident(pid: u32) -> Result<Resident> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the broker ended?"))?;
    let field = |name: &str| -> Result<u64> {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name} in {path}"))?;
        let kib = line.split_ascii_whitespace().next().with_context(|| format!("{name} in {path} is empty"))?;
        Ok(kib.parse::<u64>()? * 1024)
    };
    Ok(Resident { now: field("VmRSS:")?, peak: field("VmHWM:")? })
}

/// See [`resident`].
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    /// Bytes now.
    pub now: u64,
    /// The most bytes there have been.
    pub peak: u64,
}

/// Lets the peak of [`resident`] begin anew.
///
/// # Errors
/// If there is no such process, or it belongs to another user.
pub fn reset_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
}

/// Wakes this process as exactly as the kernel can; by default timers may be 50 µs late.
pub fn exact_timers() {
    // Where this is not to be had, latencies are a little longer, for every peer alike.
    let _ = fs::write("/proc/self/timerslack_ns", "1");
}
