//! Rows that start and stop brokers themselves: time to the first answer, and recovery after kill -9.

use std::{path::Path, time::Instant};

use anyhow::{Result, bail, ensure};
use riverrun_load::admin;

use super::{
    machine::Ticks,
    metric::Metric,
    peer::{Broker, Peer},
    rows::{Row, Run},
    runner::{Found, Runner},
};

/// The topic that these rows leave behind on purpose.
const TOPIC: &str = "load";
/// Partitions over which the log that is recovered is spread.
const RECOVERY_PARTITIONS: i32 = 5;

impl Runner {
    pub(super) fn with_own_brokers(&self, row: &Row, peer: &Peer, folder: &Path) -> Result<Found> {
        let (metric, value, ticks) = match row.run {
            Run::Start { partitions } => {
                self.prepare_start(peer, folder, partitions)?;
                let ticks = Ticks::now()?;
                let (broker, took) = peer.launch(folder)?;
                broker.shut_down()?;
                (Metric::StartMs, took.as_secs_f64() * 1e3, ticks)
            }
            Run::Recovery { gb } => {
                let broker = peer.start(folder)?;
                let gb = if self.args.quick { 1 } else { gb };
                self.fill(&broker, RECOVERY_PARTITIONS, 1024, gb * 1000)?;
                let ends = admin::end_offsets(&broker.address, TOPIC, RECOVERY_PARTITIONS)?;
                drop(broker);
                let ticks = Ticks::now()?;
                let began = Instant::now();
                let (broker, _) = peer.launch(folder)?;
                admin::await_partitions(&broker.address, TOPIC, RECOVERY_PARTITIONS)?;
                let took = began.elapsed();
                let recovered = admin::end_offsets(&broker.address, TOPIC, RECOVERY_PARTITIONS)?;
                ensure!(recovered == ends, "after kill -9 the log ends at {recovered:?}, before at {ends:?}");
                (Metric::RecoverySeconds, took.as_secs_f64(), ticks)
            }
            _ => bail!("row {} does not start brokers", row.id),
        };
        // The broker's own start is in the noise here: nothing else tells them apart.
        let noise = Ticks::now()?.since(ticks, 0.0);
        Ok(Found { values: vec![(metric, value)], noise })
    }

    /// Leaves a clean directory with a topic of `partitions`, each of which holds a batch.
    fn prepare_start(&self, peer: &Peer, folder: &Path, partitions: i32) -> Result<()> {
        if partitions == 0 && peer.is_riverrun() {
            return Ok(());
        }
        let broker = peer.start(folder)?;
        if partitions > 0 {
            // Every partition gets at least one batch of ten records.
            let mb = u64::try_from(partitions)?.div_ceil(1000);
            self.fill(&broker, partitions, 10, mb)?;
        }
        broker.shut_down()
    }

    fn fill(&self, broker: &Broker, partitions: i32, batch_records: u32, mb: u64) -> Result<()> {
        let words = format!("produce --keep --topic {TOPIC} --partitions {partitions} --batch-records {batch_records}");
        self.raw(broker, &words, &format!("--warm-up-mb 0 --mb {mb} --seconds 600"), None)?;
        Ok(())
    }
}
