//! `cargo xtask interop`: foreign clients against the standalone broker, and against Apache Kafka to prove the cases.
//! The cases themselves are Python (`tests/interop`), since the clients are.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The script that starts Apache Kafka; with it every case also runs there
    #[arg(long)]
    apache_kafka: Option<PathBuf>,
    /// Run only the cases whose name contains this
    #[arg(long)]
    only: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = crate::root();
    run_step(Command::new("cargo").args(["build", "--release"]).current_dir(&root))?;
    let python = virtualenv(&root)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    suite(&python, &root, "riverrun", &target.join("release/riverrun"), args)?;
    if let Some(script) = &args.apache_kafka {
        suite(&python, &root, "kafka", script, args)?;
    }
    Ok(())
}

fn suite(python: &Path, root: &Path, kind: &str, program: &Path, args: &Args) -> Result<()> {
    let mut command = Command::new(python);
    command.arg(root.join("tests/interop/run.py")).arg(kind).arg(program);
    if let Some(only) = &args.only {
        command.args(["--only", only]);
    }
    run_step(&mut command)
}

/// A virtualenv below `target/` with the clients of `tests/interop/requirements.txt`.
fn virtualenv(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/interop-venv");
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
