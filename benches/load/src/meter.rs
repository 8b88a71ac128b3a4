//! The measured window: what comes before it warms the broker up, what comes after it is not counted. The broker's CPU
//! time is read at both ends, so setting up and ending do not count.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::{Latency, Report, histogram::Histogram, process};

/// How long a phase lasts: until the first of both is used up.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Payload bytes.
    pub bytes: u64,
    /// Time.
    pub duration: Duration,
}

impl Budget {
    fn is_spent(&self, bytes: u64, elapsed: Duration) -> bool {
        bytes >= self.bytes || elapsed >= self.duration
    }
}

/// Counts one run.
#[derive(Debug)]
pub struct Meter {
    warm_up: Budget,
    measured: Budget,
    broker_pid: Option<u32>,
    phase: Phase,
    began: Instant,
    ended: Option<Instant>,
    requests: u64,
    records: u64,
    bytes: u64,
    latencies: Histogram,
    broker_cpu: Option<Duration>,
    seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measured,
    Done,
}

impl Meter {
    /// Begins with the warm-up.
    pub fn new(warm_up: Budget, measured: Budget, broker_pid: Option<u32>) -> Self {
        Self {
            warm_up,
            measured,
            broker_pid,
            phase: Phase::WarmUp,
            began: Instant::now(),
            ended: None,
            requests: 0,
            records: 0,
            bytes: 0,
            latencies: Histogram::default(),
            broker_cpu: None,
            seconds: 0.0,
        }
    }

    /// One request that began (or, in an open loop, was to begin) at `began` has been answered at `now`.
    ///
    /// # Errors
    /// If the broker's process is gone.
    pub fn answered(&mut self, began: Instant, now: Instant, records: u64, bytes: u64) -> Result<()> {
        // It is when a request began that decides: one of the window counts even if its answer comes after it.
        if self.phase != Phase::WarmUp && began >= self.began && self.ended.is_none_or(|end| began < end) {
            self.latencies.record(u64::try_from((now - began).as_nanos()).unwrap_or(u64::MAX));
        }
        self.requests += u64::from(self.phase != Phase::Done);
        self.count(now, records, bytes)
    }

    /// By `now` so many more records have been acknowledged or read; for clients that do not tell requests apart.
    ///
    /// # Errors
    /// If the broker's process is gone.
    pub fn count(&mut self, now: Instant, records: u64, bytes: u64) -> Result<()> {
        if self.phase == Phase::Done {
            return Ok(());
        }
        self.records += records;
        self.bytes += bytes;
        self.tick(now)
    }

    /// Moves on to the next phase if it is time to.
    ///
    /// # Errors
    /// If the broker's process is gone.
    pub fn tick(&mut self, now: Instant) -> Result<()> {
        let elapsed = now.saturating_duration_since(self.began);
        match self.phase {
            Phase::WarmUp if self.warm_up.is_spent(self.bytes, elapsed) => {
                (self.requests, self.records, self.bytes) = (0, 0, 0);
                self.broker_cpu = self.broker_pid.map(process::cpu_time).transpose()?;
                self.began = Instant::now();
                self.phase = Phase::Measured;
            }
            Phase::Measured if self.measured.is_spent(self.bytes, elapsed) => {
                self.seconds = elapsed.as_secs_f64();
                self.ended = Some(now);
                if let (Some(pid), Some(before)) = (self.broker_pid, self.broker_cpu) {
                    self.broker_cpu = Some(process::cpu_time(pid)?.saturating_sub(before));
                }
                self.phase = Phase::Done;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the window is over.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// What was counted.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn report(&self) -> Result<Report> {
        Ok(Report {
            requests: self.requests,
            records: self.records,
            bytes: self.bytes,
            seconds: self.seconds,
            broker_cpu_s: self.broker_cpu.map(|time| time.as_secs_f64()),
            generator_cpu_s: process::own_cpu_time()?.as_secs_f64(),
            latency: Latency::of(&self.latencies),
        })
    }
}
