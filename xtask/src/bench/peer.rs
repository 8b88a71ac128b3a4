//! The brokers that are compared: Riverrun from a binary, Apache Kafka from its script, or one that runs already.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use riverrun_load::admin;

use super::stop::{Guard, terminate};

/// How long a broker may take to answer; recovery after a crash is the longest.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two tries to reach a broker that starts.
const RETRY: Duration = Duration::from_micros(200);
/// Deleted topics go soon, so that runs do not fill the disk.
const DELETE_DELAY: &str = "log.segment.delete.delay.ms=1000";

/// A kind of broker, and how to come by one.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    Riverrun { binary: PathBuf, durability: &'static str },
    ApacheKafka { script: PathBuf },
    Running { address: String, pid: Option<u32> },
}

/// A broker that answers. It ends when this is dropped, unless it ran before.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) address: String,
    pub(crate) pid: Option<u32>,
    child: Option<Child>,
    _guard: Option<Guard>,
}

impl Peer {
    /// The name in tables.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Riverrun { durability: "os", .. } => "Riverrun".to_owned(),
            Self::Riverrun { durability, .. } => format!("Riverrun {durability}"),
            Self::ApacheKafka { .. } => "Apache Kafka".to_owned(),
            Self::Running { address, .. } => address.clone(),
        }
    }

    pub(crate) fn is_riverrun(&self) -> bool {
        matches!(self, Self::Riverrun { .. })
    }

    /// Whether the bench can start and stop it.
    pub(crate) fn is_ours_to_start(&self) -> bool {
        !matches!(self, Self::Running { .. })
    }

    /// Starts a broker on `folder`, with what lies in it.
    pub(crate) fn start(&self, folder: &Path) -> Result<Broker> {
        match self {
            Self::Riverrun { .. } => Ok(self.launch(folder)?.0),
            Self::ApacheKafka { script } => start_kafka(script, folder),
            Self::Running { address, pid } => {
                ensure!(admin::answers(address), "no Kafka broker answers at {address}");
                Ok(Broker { address: address.clone(), pid: *pid, child: None, _guard: None })
            }
        }
    }

    /// Executes a broker on a folder that [`Peer::start`] has used (Riverrun: or none has); returns how long it took to
    /// answer. Apache Kafka's virtual machine is started directly, without its script.
    pub(crate) fn launch(&self, folder: &Path) -> Result<(Broker, Duration)> {
        let log = folder.with_extension("log");
        let (mut command, address) = match self {
            Self::Riverrun { binary, durability } => {
                let address = format!("127.0.0.1:{}", free_port()?);
                let mut command = Command::new(binary);
                command.args(["broker", "--listen", &address, "--data-dir"]).arg(folder);
                command.args(["--set", DELETE_DELAY, "--set", &format!("riverrun.durability={durability}")]);
                (command, address)
            }
            Self::ApacheKafka { script } => kafka_command(script, folder)?,
            Self::Running { .. } => bail!("a broker that runs already is not started"),
        };
        command
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log)?)
            .stderr(fs::File::options().append(true).open(&log)?);
        let began = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = child.id();
        let guard = Guard::new(pid);
        while !admin::answers(&address) {
            if let Some(status) = child.try_wait()? {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("{} has ended ({status}) instead of starting:\n{said}", self.name());
            }
            ensure!(began.elapsed() < PATIENCE, "{} does not answer after {PATIENCE:?}", self.name());
            thread::sleep(RETRY);
        }
        let took = began.elapsed();
        Ok((Broker { address, pid: Some(pid), child: Some(child), _guard: Some(guard) }, took))
    }

    /// What it is, for the head of the table.
    pub(crate) fn version(&self) -> String {
        let first_line = |program: &Path, flag| super::machine::first_line(Command::new(program).arg(flag));
        match self {
            Self::Riverrun { binary, .. } => first_line(binary, "--version").unwrap_or_default(),
            Self::ApacheKafka { script } => {
                let java = first_line(Path::new("java"), "-version").unwrap_or_default();
                let heap = std::env::var("KAFKA_HEAP_OPTS").unwrap_or_else(|_| DEFAULT_HEAP.to_owned());
                format!("Apache Kafka {} ({java}, {heap}, G1)", first_line(script, "version").unwrap_or_default())
            }
            Self::Running { address, .. } => format!("the broker at {address}"),
        }
    }
}

impl Broker {
    /// Lets it shut down in order, so that the next start finds a clean directory.
    pub(crate) fn shut_down(mut self) -> Result<()> {
        let Some(pid) = self.pid.filter(|_| self._guard.is_some()) else { return Ok(()) };
        terminate(pid)?;
        match &mut self.child {
            Some(child) => {
                child.wait()?;
            }
            // Not a child of ours: it is gone when its entry is.
            None => {
                let began = Instant::now();
                while Path::new(&format!("/proc/{pid}")).exists() {
                    ensure!(began.elapsed() < PATIENCE, "process {pid} does not end");
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        Ok(())
    }

    /// Keeps all its threads on one CPU, or (`None`) lets them go again.
    pub(crate) fn pin(&self, cpu: Option<usize>) -> Result<()> {
        let pid = self.pid.context("to pin a broker to a CPU, its process id must be known")?;
        let all = thread::available_parallelism()?.get() - 1;
        let cpus = cpu.map_or_else(|| format!("0-{all}"), |cpu| cpu.to_string());
        let output = Command::new("taskset").args(["-a", "-c", "-p", &cpus, &pid.to_string()]).output();
        let output = output.context("cannot run taskset")?;
        ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self._guard.take());
        if let Some(child) = &mut self.child {
            // It has been killed; this only takes the entry away.
            let _ = child.wait();
        }
    }
}

/// What the script gives a broker if nothing is said.
const DEFAULT_HEAP: &str = "-Xms512m -Xmx1g";

fn start_kafka(script: &Path, folder: &Path) -> Result<Broker> {
    let port = free_port()?;
    let mut command = Command::new(script);
    command.arg("start").arg("-d").arg(folder).args(["-p", &port.to_string(), "-c", DELETE_DELAY]);
    let output = command.output().with_context(|| format!("cannot run {}", script.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
    let address = field("bootstrap=").context("the script names no address")?.to_owned();
    let pid = field("pid=").context("the script names no process")?.trim().parse()?;
    Ok(Broker { address, pid: Some(pid), child: None, _guard: Some(Guard::new(pid)) })
}

/// Apache Kafka's own command line, for a folder that the script has formatted.
fn kafka_command(script: &Path, folder: &Path) -> Result<(Command, String)> {
    let properties = folder.join("node-1/server.properties");
    let text = fs::read_to_string(&properties).with_context(|| format!("cannot read {}", properties.display()))?;
    let address = text.lines().find_map(|line| line.strip_prefix("advertised.listeners=PLAINTEXT://"));
    let address = address.context("server.properties names no listener")?.to_owned();
    let classpath = super::machine::first_line(Command::new(script).arg("classpath")).context("no class path")?;
    let logging =
        Path::new(&classpath).parent().and_then(Path::parent).map(|root| root.join("log4j2-server.properties"));
    let heap = std::env::var("KAFKA_HEAP_OPTS").unwrap_or_else(|_| DEFAULT_HEAP.to_owned());
    let mut command = Command::new("java");
    command.args(heap.split_whitespace()).arg("-XX:+UseG1GC");
    if let Some(path) = logging.filter(|path| path.exists()) {
        command.arg(format!("-Dlog4j2.configurationFile={}", path.display()));
    }
    command.args(["-cp", &classpath, "kafka.Kafka"]).arg(properties);
    Ok((command, address))
}

/// A port that is free, as is the one 100 above it, where Apache Kafka's controller listens.
fn free_port() -> Result<u16> {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if port.checked_add(100).is_some_and(|controller| TcpListener::bind(("127.0.0.1", controller)).is_ok()) {
            return Ok(port);
        }
    }
}
