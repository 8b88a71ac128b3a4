//! Runs groups of rows: brokers in turns, before each run an idle machine and warm memory.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use riverrun_load::{Report, process};

use super::{
    BrokerArgs, build,
    machine::{self, Noise, Ticks},
    metric::Metric,
    peer::{Broker, Peer},
    results::Results,
    rows::{Group, Peers, Row, Run, Volume},
    stop::{self, Guard},
    table,
};

/// Where generators run when both ends share one CPU.
const FIRST_CPU: usize = 0;

/// One bench.
pub(super) struct Runner {
    pub(super) args: BrokerArgs,
    raw: PathBuf,
    librdkafka: Option<PathBuf>,
    folder: PathBuf,
    riverrun: Peer,
    riverrun_fsync: Peer,
    peer: Option<Peer>,
    results: Results,
    /// Requests per second of the open loop, once known.
    open_rate: Option<f64>,
}

/// What one run of one row found.
pub(super) struct Found {
    pub(super) values: Vec<(Metric, f64)>,
    pub(super) noise: Noise,
}

impl Runner {
    /// Builds what is needed and prepares the folder.
    pub(super) fn new(mut args: BrokerArgs, groups: &[Group]) -> Result<Self> {
        if args.quick {
            (args.pairs, args.touch_gib, args.settle) = (1, 0, 0.0);
            args.open_seconds = args.open_seconds.min(2.0);
        }
        ensure!(args.rate.is_none_or(|rate| rate > 0.0), "--rate must be positive");
        let peer = args.peer()?;
        let riverrun = args.riverrun("os")?;
        let riverrun_fsync = match &riverrun {
            Peer::Riverrun { binary, .. } => Peer::Riverrun { binary: binary.clone(), durability: "fsync" },
            other => other.clone(),
        };
        let raw = build::raw_generator()?;
        let librdkafka = super::needs_librdkafka(groups).then(build::librdkafka_generator).transpose()?;
        let folder = args.folder.clone().unwrap_or_else(|| crate::root().join("target/bench"));
        let folder = folder.join(std::process::id().to_string());
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        stop::on_signal(&folder)?;
        let versions: Vec<_> = std::iter::once(&riverrun).chain(&peer).map(Peer::version).collect();
        let results = Results::new(machine::describe(&folder, &versions));
        let open_rate = args.rate;
        Ok(Self { args, raw, librdkafka, folder, riverrun, riverrun_fsync, peer, results, open_rate })
    }

    /// Runs everything, shows each group when it is done, and writes the results.
    pub(super) fn run(mut self, groups: &[Group]) -> Result<()> {
        self.results.about.iter().for_each(|line| println!("{line}"));
        let ran = groups.iter().try_for_each(|group| {
            self.group(group).with_context(|| format!("group {}", group.name))?;
            println!("\n{}", table::text(&self.results, group, &self.names(group)));
            Ok(())
        });
        let removed = std::fs::remove_dir_all(&self.folder);
        if let Some(path) = &self.args.out {
            let columns = |group: &Group| self.names(group);
            let text = if path.extension().is_some_and(|extension| extension == "json") {
                serde_json::to_string_pretty(&self.results)?
            } else {
                table::markdown(&self.results, groups, columns)
            };
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        ran.and(removed.map_err(Into::into))
    }

    /// Who takes part in a group; the first one's numbers are judged.
    fn peers(&self, group: &Group) -> Vec<Peer> {
        let (os, fsync) = (self.riverrun.clone(), self.riverrun_fsync.clone());
        let peer = self.peer.clone();
        match group.peers {
            Peers::OsAndPeer => std::iter::once(os).chain(peer).collect(),
            Peers::OsAndPeerAndFsync => std::iter::once(os).chain(peer).chain([fsync]).collect(),
            Peers::FsyncAndPeer => std::iter::once(fsync).chain(peer).collect(),
        }
    }

    fn names(&self, group: &Group) -> Vec<String> {
        self.peers(group).iter().map(Peer::name).collect()
    }

    fn group(&mut self, group: &Group) -> Result<()> {
        let peers = self.peers(group);
        for pair in 1..=self.args.pairs {
            for peer in &peers {
                println!("\n{}: {}, {pair} of {}", group.name, peer.name(), self.args.pairs);
                let folder =
                    self.folder.join(format!("{}-{pair}-{}", group.name, peer.name().replace([' ', ':'], "-")));
                let (own, shared): (Vec<_>, Vec<_>) = group.rows.iter().partition(|row| row.run.starts_brokers());
                for row in own {
                    if peer.is_ours_to_start() {
                        let found = self.with_own_brokers(row, peer, &folder)?;
                        self.note(row, peer, found);
                    }
                    remove(&folder)?;
                }
                if !shared.is_empty() {
                    self.on_one_broker(&shared, peer, &folder)?;
                    remove(&folder)?;
                }
            }
        }
        Ok(())
    }

    fn on_one_broker(&mut self, rows: &[&Row], peer: &Peer, folder: &Path) -> Result<()> {
        if rows.iter().any(|row| matches!(row.run, Run::HalfOfPeak(_))) && self.open_rate.is_none() {
            self.find_open_rate(rows, folder)?;
        }
        let broker = peer.start(folder)?;
        if !self.args.quick {
            // So that a virtual machine has compiled its code before anything counts.
            if let Some(row) = rows.iter().find(|row| matches!(row.run, Run::Raw(_) | Run::Librdkafka(_))) {
                self.generate(row, &broker, None)?;
            }
        }
        for row in rows {
            if matches!(row.run, Run::Bare(_)) && !peer.is_riverrun() {
                continue;
            }
            let found = self.measure(row, &broker).with_context(|| format!("row {} on {}", row.id, peer.name()))?;
            self.note(row, peer, found);
        }
        Ok(())
    }

    /// Half of what the peer answers in a closed loop over as many connections.
    fn find_open_rate(&mut self, rows: &[&Row], folder: &Path) -> Result<()> {
        let peer = self.peer.clone().context("the open loop needs a peer to take half of its peak, or --rate")?;
        let probe = folder.with_extension("peak");
        let broker = peer.start(&probe)?;
        for row in rows {
            let Run::HalfOfPeak(words) = row.run else { continue };
            let peak = self.raw(&broker, &format!("{words} --in-flight 1"), &self.budget(Volume::Small), None)?;
            let rate = peak.requests as f64 / peak.seconds / 2.0;
            println!("open loop: {} answers {:.0} requests/s, half of it is {rate:.0}", peer.name(), rate * 2.0);
            self.results.about.push(format!("open loop: {rate:.0} requests/s, half of the peak of {}", peer.name()));
            self.open_rate = Some(rate);
        }
        drop(broker);
        if peer.is_ours_to_start() { remove(&probe) } else { Ok(()) }
    }

    fn measure(&self, row: &Row, broker: &Broker) -> Result<Found> {
        let before_run = machine::settle(Duration::try_from_secs_f64(self.args.settle)?)?;
        if row.volume == Volume::Large && self.args.touch_gib > 0 {
            self.generator(Command::new(&self.raw).args(["touch", "--gib", &self.args.touch_gib.to_string()]))?;
        }
        if let Some(pid) = broker.pid {
            process::reset_peak(pid)?;
        }
        let cpu = || broker.pid.map_or(Ok(Duration::ZERO), process::cpu_time);
        let (ticks, cpu_before) = (Ticks::now()?, cpu()?);
        let mut values = Vec::new();
        let mut generator_cpu = 0.0;
        if row.run == Run::Idle {
            values.extend(self.idle(broker)?);
        } else {
            let report = self.generate(row, broker, broker.pid)?;
            generator_cpu = report.generator_cpu_s;
            values.extend(row.metrics.iter().filter_map(|metric| Some((*metric, metric.of(&report)?))));
        }
        let noise = Ticks::now()?.since(ticks, (cpu()? - cpu_before).as_secs_f64() + generator_cpu);
        if let (true, Some(pid)) = (row.metrics.contains(&Metric::PeakMib), broker.pid) {
            values.push((Metric::PeakMib, mib(process::resident(pid)?.peak)));
        }
        if before_run.other_percent > 5.0 && !self.args.quick {
            println!("  the machine is not idle: {:.0} % of its CPUs busy", before_run.other_percent);
        }
        Ok(Found { values, noise })
    }

    fn generate(&self, row: &Row, broker: &Broker, pid: Option<u32>) -> Result<Report> {
        let budget = self.budget(row.volume);
        match row.run {
            Run::Raw(words) => self.raw(broker, words, &budget, pid),
            Run::RawOnOneCpu(words) => {
                broker.pin(Some(FIRST_CPU))?;
                let mut command = Command::new("taskset");
                command.args(["-c", &FIRST_CPU.to_string()]).arg(&self.raw);
                let report = self.generator(against(&mut command, broker, words, &budget, pid));
                broker.pin(None)?;
                report
            }
            Run::HalfOfPeak(words) => {
                let rate = self.open_rate.context("the open loop's rate is not known")?;
                let budget = format!("--warm-up-seconds 3 --mb 1000000 --seconds {}", self.args.open_seconds);
                self.raw(broker, &format!("{words} --rate {rate}"), &budget, pid)
            }
            Run::Librdkafka(words) => {
                let program = self.librdkafka.as_ref().context("the librdkafka generator has not been built")?;
                self.generator(against(&mut Command::new(program), broker, words, &budget, pid))
            }
            Run::Bare(word) => self.generator(Command::new(&self.raw).arg(word).arg(&self.folder)),
            Run::Idle | Run::Start { .. } | Run::Recovery { .. } => bail!("row {} has no load", row.id),
        }
    }

    pub(super) fn raw(&self, broker: &Broker, words: &str, budget: &str, pid: Option<u32>) -> Result<Report> {
        self.generator(against(&mut Command::new(&self.raw), broker, words, budget, pid))
    }

    /// Runs a generator and reads its report.
    fn generator(&self, command: &mut Command) -> Result<Report> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let _guard = Guard::new(child.id());
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        serde_json::from_slice(&output.stdout).with_context(|| format!("{command:?} printed no report"))
    }

    fn budget(&self, volume: Volume) -> String {
        let words = match (volume, self.args.quick) {
            (Volume::Large, false) => "--warm-up-mb 200 --warm-up-seconds 10 --mb 700 --seconds 20",
            (Volume::Large, true) => "--warm-up-mb 20 --warm-up-seconds 1 --mb 80 --seconds 2",
            (Volume::Small, false) => "--warm-up-mb 1000 --warm-up-seconds 2 --mb 1000 --seconds 5",
            (Volume::Small, true) => "--warm-up-mb 100 --warm-up-seconds 0.3 --mb 100 --seconds 1",
        };
        words.to_owned()
    }

    fn idle(&self, broker: &Broker) -> Result<Vec<(Metric, f64)>> {
        let pid = broker.pid.context("the idle row needs the broker's process id")?;
        let wait = Duration::from_secs(if self.args.quick { 1 } else { 10 });
        thread::sleep(wait);
        let before = process::cpu_time(pid)?;
        thread::sleep(wait);
        let used = process::cpu_time(pid)?.saturating_sub(before);
        let percent = used.as_secs_f64() / wait.as_secs_f64() * 100.0;
        Ok(vec![(Metric::IdleMib, mib(process::resident(pid)?.now)), (Metric::IdleCpuPercent, percent)])
    }

    fn note(&mut self, row: &Row, peer: &Peer, found: Found) {
        println!("  {:<20} {}", row.id, table::line(&found.values, found.noise));
        self.results.add(row, &peer.name(), &found.values, found.noise);
    }
}

fn against<'a>(
    command: &'a mut Command,
    broker: &Broker,
    words: &str,
    budget: &str,
    pid: Option<u32>,
) -> &'a mut Command {
    command.args(words.split_whitespace()).args(["--broker", &broker.address]).args(budget.split_whitespace());
    if let Some(pid) = pid {
        command.args(["--broker-pid", &pid.to_string()]);
    }
    command
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
