//! What all workloads against a broker share: where it is, what is written, how long it takes.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use riverrun_core::record::Compression;

use crate::{
    Report, admin,
    meter::{Budget, Meter},
    request::Shape,
};

/// What all workloads against a broker share.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The broker, host:port
    #[arg(long)]
    pub broker: String,
    /// Its process id, to read its CPU time
    #[arg(long)]
    pub broker_pid: Option<u32>,
    /// The topic, which is made first and removed afterwards
    #[arg(long, default_value = "load")]
    pub topic: String,
    /// Leave the topic there
    #[arg(long)]
    pub keep: bool,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 100)]
    pub record_bytes: usize,
    /// Compression of the batches: none, lz4, snappy, gzip, zstd
    #[arg(long, default_value = "none")]
    pub compression: Compression,
    /// MB that are warm-up
    #[arg(long, default_value_t = 200)]
    pub warm_up_mb: u64,
    /// Seconds that are warm-up, if they are over first
    #[arg(long, default_value_t = 2.0)]
    pub warm_up_seconds: f64,
    /// MB that are measured
    #[arg(long, default_value_t = 700)]
    pub mb: u64,
    /// Seconds that are measured, if they are over first
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
}

impl Common {
    /// The window that the flags describe.
    ///
    /// # Errors
    /// If a number of seconds cannot be one.
    pub fn meter(&self) -> Result<Meter> {
        let budget = |mb: u64, seconds: f64| -> Result<Budget> {
            let duration = Duration::try_from_secs_f64(seconds).with_context(|| format!("{seconds} seconds"))?;
            Ok(Budget { bytes: mb * 1_000_000, duration })
        };
        let measured = budget(self.mb, self.seconds)?;
        Ok(Meter::new(budget(self.warm_up_mb, self.warm_up_seconds)?, measured, self.broker_pid))
    }

    /// Requests as the flags describe them.
    ///
    /// # Errors
    /// If `acks` is neither 1 nor all.
    pub fn shape(&self, partitions: i32, batch_records: u64, acks: &str) -> Result<Shape> {
        let acks = match acks {
            "1" => 1,
            "all" | "-1" => -1,
            other => bail!("acks is 1 or all, not {other}"),
        };
        let (topic, record_bytes, compression) = (self.topic.clone(), self.record_bytes, self.compression);
        Ok(Shape { topic, partitions, record_bytes, batch_records, acks, compression })
    }

    /// Makes the topic, runs `workload`, removes the topic.
    ///
    /// # Errors
    /// If the broker refuses, or the workload fails.
    pub fn with_topic(&self, partitions: i32, workload: impl FnOnce() -> Result<Report>) -> Result<Report> {
        // A batch of one large record may pass the default limit of 1 MiB.
        let configs = [("max.message.bytes", "10485880")];
        admin::create_topic(&self.broker, &self.topic, partitions, &configs)?;
        let report = workload();
        if !self.keep {
            admin::delete_topic(&self.broker, &self.topic)?;
        }
        report
    }
}
