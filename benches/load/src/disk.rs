//! What the disk alone can do: append 4 KiB, fdatasync, one at a time. The bound every durable broker is measured by.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{Latency, Report, histogram::Histogram};

/// Appends and syncs for `duration` in a file below `folder`, which is removed again.
///
/// # Errors
/// If the file cannot be written.
pub fn sync_latency(folder: &Path, duration: Duration) -> Result<Report> {
    let path = folder.join("fdatasync-probe");
    let mut file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let block = [7u8; 4096];
    let mut latencies = Histogram::default();
    let began = Instant::now();
    while began.elapsed() < duration {
        let start = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        latencies.record(u64::try_from(start.elapsed().as_nanos())?);
    }
    fs::remove_file(&path)?;
    Ok(Report {
        requests: latencies.count(),
        bytes: latencies.count() * block.len() as u64,
        seconds: began.elapsed().as_secs_f64(),
        latency: Latency::of(&latencies),
        ..Report::default()
    })
}
