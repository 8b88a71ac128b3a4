//! `host-metrics`: measures the host at a fixed rate and sends one record per measurement, keyed by the metric's name.
//!
//! ```json
//! {"host":"a1","metric":"disk.read.rate","labels":{"device":"sda1","mount":"/"},"value":8192.0,"unit":"bytes/s","at":1763689260000}
//! ```
//!
//! | group | metrics | labels | unit |
//! |---|---|---|---|
//! | `cpu` | `cpu.usage`, `cpu.core.usage` | `core` | percent |
//! | `memory` | `memory.total`, `memory.used`, `memory.available`; `memory.usage` | | bytes; percent |
//! | `swap` | `swap.total`, `swap.used` | | bytes |
//! | `disk` | `disk.total`, `disk.used`; `disk.usage`; `disk.read.rate`, `disk.write.rate` | `device`, `mount` | bytes; percent; bytes/s |
//! | `network` | `network.receive.rate`, `network.transmit.rate` | `interface` | bytes/s |
//! | `load` | `load.1m`, `load.5m`, `load.15m` | | 1 |
//!
//! A device that is mounted in several places is measured once, at the shortest mount point. What the operating system
//! does not tell is left out. There are no source offsets: the past cannot be measured again. A measurement that comes
//! late (a full cluster holds `poll` back) is skipped, not made up for.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use sysinfo::{Disks, MINIMUM_CPU_UPDATE_INTERVAL, Networks, System};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{
    Source, SourceContext, SourceRecord, TaskError,
    config::{ConfigType, ConfigValue, Expected, Validator},
    offload::Offload,
};

crate::config! {
    /// Keys of `host-metrics`.
    pub struct HostMetricsConfig {
        /// Topic the measurements go to.
        pub topic: String = "topic", High, valid Validator::NonEmpty;
        /// Time between two measurements. CPU usage is measured every 200 ms at most: less means nothing.
        pub interval: Duration = "interval.ms", Medium, default "250", valid Validator::AtLeast(1);
        /// What is measured: any of `cpu`, `memory`, `swap`, `disk`, `network`, `load`.
        pub metrics: MetricGroups = "metrics", Medium, default "cpu,memory,swap,disk,network,load",
            valid Validator::NonEmpty;
        /// The `host` of every record. Default: the host's name.
        pub host: Option<String> = "host", Low, valid Validator::NonEmpty;
    }
}

/// A group of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MetricGroup {
    Cpu,
    Memory,
    Swap,
    Disk,
    Network,
    Load,
}

/// A list of metric groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricGroups(pub Vec<MetricGroup>);

impl ConfigValue for MetricGroups {
    const TYPE: ConfigType = ConfigType::List;

    fn parse(text: &str) -> Result<Self, Expected> {
        let group = |name: String| match name.as_str() {
            "cpu" => Ok(MetricGroup::Cpu),
            "memory" => Ok(MetricGroup::Memory),
            "swap" => Ok(MetricGroup::Swap),
            "disk" => Ok(MetricGroup::Disk),
            "network" => Ok(MetricGroup::Network),
            "load" => Ok(MetricGroup::Load),
            _ => Err(Expected::from("any of `cpu`, `memory`, `swap`, `disk`, `network`, `load`, comma-separated")),
        };
        Vec::parse(text)?.into_iter().map(group).collect::<Result<_, _>>().map(Self)
    }
}

/// The source; see the table of its metrics in the documentation of [`HostMetricsConfig`]'s module.
#[derive(Debug)]
pub struct HostMetrics {
    topic: String,
    host: String,
    interval: Interval,
    /// A tick has come whose measurement is still to be returned.
    due: bool,
    sampler: Offload<Sampler, Vec<Sample>>,
}

impl Source for HostMetrics {
    type Config = HostMetricsConfig;

    async fn start(config: HostMetricsConfig, _: SourceContext) -> Result<Self, TaskError> {
        let mut interval = interval(config.interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let host = config.host.or_else(System::host_name).unwrap_or_else(|| "localhost".to_owned());
        let groups = config.metrics.0;
        let sampler = tokio::task::spawn_blocking(move || Sampler::new(groups)).await.map_err(TaskError::fatal)?;
        // The first tick comes at once, and rates need a time to be rates of.
        interval.reset();
        Ok(Self { topic: config.topic, host, interval, due: false, sampler: Offload::new(sampler) })
    }

    async fn poll(&mut self) -> Result<Vec<SourceRecord>, TaskError> {
        if !self.due {
            self.interval.tick().await;
            self.due = true;
        }
        let samples = self.sampler.run(Sampler::sample).await?;
        self.due = false;
        let at = now_ms();
        Ok(samples.into_iter().map(|sample| sample.into_record(&self.topic, &self.host, at)).collect())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// One measurement.
#[derive(Debug)]
struct Sample {
    metric: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
    unit: &'static str,
}

impl Sample {
    fn into_record(self, topic: &str, host: &str, at: i64) -> SourceRecord {
        let mut value =
            json!({ "host": host, "metric": self.metric, "value": self.value, "unit": self.unit, "at": at });
        if !self.labels.is_empty() {
            let labels = self.labels.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value)));
            value["labels"] = Value::Object(labels.collect());
        }
        SourceRecord::new(topic, value).key(self.metric).timestamp(at)
    }
}

/// What `sysinfo` keeps between two measurements. All of it blocks.
#[derive(Debug)]
struct Sampler {
    groups: Vec<MetricGroup>,
    system: System,
    disks: Disks,
    networks: Networks,
    last: Instant,
    /// When CPU times were last read.
    cpu_at: Instant,
}

impl Sampler {
    fn new(groups: Vec<MetricGroup>) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self {
            groups,
            system,
            disks: Disks::new_with_refreshed_list(),
            networks: Networks::new_with_refreshed_list(),
            last: Instant::now(),
            cpu_at: Instant::now(),
        }
    }

    fn sample(&mut self) -> Vec<Sample> {
        let mut samples = Vec::new();
        let seconds = self.last.elapsed().as_secs_f64().max(0.001);
        self.last = Instant::now();
        for group in self.groups.clone() {
            match group {
                MetricGroup::Cpu => self.cpu(&mut samples),
                MetricGroup::Memory => self.memory(&mut samples),
                MetricGroup::Swap => self.swap(&mut samples),
                MetricGroup::Disk => self.disk(&mut samples, seconds),
                MetricGroup::Network => self.network(&mut samples, seconds),
                MetricGroup::Load => load(&mut samples),
            }
        }
        samples
    }

    fn cpu(&mut self, samples: &mut Vec<Sample>) {
        if self.cpu_at.elapsed() < MINIMUM_CPU_UPDATE_INTERVAL {
            return;
        }
        self.cpu_at = Instant::now();
        self.system.refresh_cpu_usage();
        samples.push(sample("cpu.usage", self.system.global_cpu_usage().into(), "percent"));
        for (core, cpu) in self.system.cpus().iter().enumerate() {
            let labels = vec![("core", core.to_string())];
            samples.push(Sample { metric: "cpu.core.usage", labels, value: cpu.cpu_usage().into(), unit: "percent" });
        }
    }

    fn memory(&mut self, samples: &mut Vec<Sample>) {
        self.system.refresh_memory();
        let (total, used) = (self.system.total_memory() as f64, self.system.used_memory() as f64);
        samples.push(sample("memory.total", total, "bytes"));
        samples.push(sample("memory.used", used, "bytes"));
        samples.push(sample("memory.available", self.system.available_memory() as f64, "bytes"));
        if total > 0.0 {
            samples.push(sample("memory.usage", used / total * 100.0, "percent"));
        }
    }

    fn swap(&mut self, samples: &mut Vec<Sample>) {
        self.system.refresh_memory();
        samples.push(sample("swap.total", self.system.total_swap() as f64, "bytes"));
        samples.push(sample("swap.used", self.system.used_swap() as f64, "bytes"));
    }

    fn disk(&mut self, samples: &mut Vec<Sample>, seconds: f64) {
        self.disks.refresh(true);
        let mut devices = BTreeMap::new();
        for disk in self.disks.list().iter().filter(|disk| disk.total_space() > 0) {
            let known = devices.entry(disk.name()).or_insert(disk);
            if disk.mount_point().as_os_str().len() < known.mount_point().as_os_str().len() {
                *known = disk;
            }
        }
        for (device, disk) in devices {
            let device = device.to_string_lossy();
            let device = device.rsplit('/').next().unwrap_or_default().to_owned();
            let labels = vec![("device", device), ("mount", disk.mount_point().display().to_string())];
            let (total, free) = (disk.total_space() as f64, disk.available_space() as f64);
            let io = disk.usage();
            for (metric, value, unit) in [
                ("disk.total", total, "bytes"),
                ("disk.used", total - free, "bytes"),
                ("disk.usage", (total - free) / total * 100.0, "percent"),
                ("disk.read.rate", io.read_bytes as f64 / seconds, "bytes/s"),
                ("disk.write.rate", io.written_bytes as f64 / seconds, "bytes/s"),
            ] {
                samples.push(Sample { metric, labels: labels.clone(), value, unit });
            }
        }
    }

    fn network(&mut self, samples: &mut Vec<Sample>, seconds: f64) {
        self.networks.refresh(true);
        let interfaces: BTreeMap<_, _> = self.networks.list().iter().collect();
        for (name, data) in interfaces {
            for (metric, bytes) in
                [("network.receive.rate", data.received()), ("network.transmit.rate", data.transmitted())]
            {
                let labels = vec![("interface", name.clone())];
                samples.push(Sample { metric, labels, value: bytes as f64 / seconds, unit: "bytes/s" });
            }
        }
    }
}

fn load(samples: &mut Vec<Sample>) {
    let load = System::load_average();
    for (metric, value) in [("load.1m", load.one), ("load.5m", load.five), ("load.15m", load.fifteen)] {
        samples.push(sample(metric, value, "1"));
    }
}

fn sample(metric: &'static str, value: f64, unit: &'static str) -> Sample {
    Sample { metric, labels: Vec::new(), value, unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Data, config::Configuration, config::Properties, connectors::file_tail::tests::context};

    async fn start(properties: Properties) -> HostMetrics {
        HostMetrics::start(HostMetricsConfig::from_properties(&properties).unwrap(), context()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_record_per_metric_at_each_interval() {
        let mut source = start(Properties::new().set("topic", "m").set("host", "h")).await;
        let began = tokio::time::Instant::now();
        for _ in 0..3 {
            let records = source.poll().await.unwrap();
            let keys: Vec<_> = records.iter().map(|record| record.key.clone()).collect();
            for metric in ["memory.used", "swap.total", "load.1m"] {
                assert!(keys.contains(&metric.into()), "{metric} in {keys:?}");
            }
            for record in records {
                let Data::Json(value) = &record.value else { panic!("JSON") };
                assert_eq!((value["host"].as_str(), record.timestamp), (Some("h"), value["at"].as_i64()));
                assert!(value["value"].as_f64().is_some_and(|value| value >= 0.0), "{value}");
                assert!(value["unit"].is_string() && record.source.is_none());
            }
        }
        assert_eq!(began.elapsed(), Duration::from_millis(750));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_groups_asked_for() {
        let mut source = start(Properties::new().set("topic", "m").set("metrics", "load, memory")).await;
        let records = source.poll().await.unwrap();
        assert_eq!(records.len(), 7);
    }

    #[test]
    fn usage_needs_time_to_be_measured() {
        let mut sampler = Sampler::new(vec![MetricGroup::Cpu]);
        sampler.cpu_at = Instant::now();
        assert!(sampler.sample().is_empty(), "nothing rather than what means nothing");
        sampler.cpu_at = Instant::now().checked_sub(MINIMUM_CPU_UPDATE_INTERVAL).unwrap();
        let metrics: Vec<_> = sampler.sample().iter().map(|sample| sample.metric).collect();
        assert!(metrics.contains(&"cpu.usage") && metrics.contains(&"cpu.core.usage"), "{metrics:?}");
    }

    #[test]
    fn unknown_groups_are_refused() {
        let properties = Properties::new().set("topic", "m").set("metrics", "cpu,gpu");
        let error = HostMetricsConfig::from_properties(&properties).unwrap_err().to_string();
        assert!(error.contains("`metrics` is `cpu,gpu`: expected any of"), "{error}");
    }
}
