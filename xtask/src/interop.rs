//! `cargo xtask interop`: foreign clients and Kafka's own tools against the standalone broker, and against Apache Kafka to
//! prove the cases. The cases themselves are Python (`tests/interop`); what they find is held against
//! `docs/conformance.md`: a case that passed there and fails now is an error, any other difference is shown.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The script that starts Apache Kafka, and has its tools and the classes of its client
    #[arg(long, default_value = "../shared/bin/apache-kafka")]
    apache_kafka: PathBuf,
    /// Run only the cases whose name contains this, on Riverrun only, and leave the page alone
    #[arg(long)]
    only: Option<String>,
    /// Write what was found to docs/conformance.md instead of comparing
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = crate::root();
    run_step(crate::cargo().args(["build", "--release"]).current_dir(&root))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("interop");
    fs::create_dir_all(&folder)?;
    let kafka = root.join(&args.apache_kafka);
    let kafka = kafka.canonicalize().with_context(|| format!("no such script: {}", kafka.display()))?;
    let suites = Suites { python: virtualenv(&root, &folder)?, root: &root, folder: &folder, kafka: &kafka };
    let riverrun = target.join("release/riverrun");
    if let Some(only) = &args.only {
        return run_step(suites.command("riverrun", &riverrun).args(["--only", only]));
    }
    let results = |kind| folder.join(format!("{kind}.json"));
    // Most of the time goes into waiting for members and sessions, so both brokers are asked at once.
    let log = folder.join("kafka.log");
    let output = fs::File::create(&log)?;
    let mut on_kafka = suites.command("kafka", &kafka);
    on_kafka.arg("--results").arg(results("kafka")).stdout(Stdio::from(output.try_clone()?)).stderr(output);
    let mut on_kafka = on_kafka.spawn().context("cannot start the cases against Apache Kafka")?;
    let on_riverrun = run_step(suites.command("riverrun", &riverrun).arg("--results").arg(results("riverrun")));
    let status = on_kafka.wait()?;
    println!("{}", fs::read_to_string(&log)?);
    on_riverrun?;
    if !status.success() {
        bail!("the cases against Apache Kafka did not end well: {status}");
    }
    let made = folder.join("conformance.md");
    let page = root.join("docs/conformance.md");
    let mut command = Command::new(&suites.python);
    command.arg(root.join("tests/interop/conformance.py"));
    command.args([&results("riverrun"), &results("kafka"), &made]);
    if args.bless {
        run_step(&mut command)?;
        fs::copy(&made, &page)?;
        return Ok(());
    }
    run_step(command.arg(&page))?;
    if fs::read_to_string(&made)? != fs::read_to_string(&page)? {
        // Shows what differs; its exit code says only that something does.
        let _ = Command::new("diff").arg("-u").arg(&page).arg(&made).status();
        println!("docs/conformance.md is not what was found; `cargo xtask interop --bless` writes it anew");
    }
    Ok(())
}

/// What every suite is run with.
struct Suites<'a> {
    python: PathBuf,
    root: &'a Path,
    folder: &'a Path,
    kafka: &'a Path,
}

impl Suites<'_> {
    fn command(&self, kind: &str, program: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.root.join("tests/interop/run.py")).arg(kind).arg(program);
        command.arg("--apache-kafka").arg(self.kafka).arg("--build").arg(self.folder.join(format!("agents-{kind}")));
        command
    }
}

/// A virtualenv with the clients of `tests/interop/requirements.txt`.
fn virtualenv(root: &Path, folder: &Path) -> Result<PathBuf> {
    let folder = folder.join("venv");
    let python = folder.join("bin/python");
    if !python.exists() {
        run_step(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .context("the interop suite needs python3 with its venv module")?;
    }
    run_step(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "-r"])
            .arg(root.join("tests/interop/requirements.txt")),
    )?;
    Ok(python)
}

fn run_step(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}
