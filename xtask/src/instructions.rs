//! `cargo xtask instructions`: how many instructions the data path takes, counted by valgrind, held against
//! `benches/instructions.toml`.
//!
//! Unlike times, these counts are the same on every machine to a percent or so. A kernel is run twice with different numbers of rounds;
//! the difference, divided by the rounds, is what one costs, without start and end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write what was counted to the file
    #[arg(long)]
    bless: bool,
    /// Only kernels whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// By how much a count may be higher than the one that is written down, in percent.
const TOLERANCE: f64 = 2.0;

pub(crate) fn run(args: &Args) -> Result<()> {
    let binary = build()?;
    let file = crate::root().join("benches/instructions.toml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut known: BTreeMap<String, u64> = toml::from_str(&text)?;
    let listed = Command::new(&binary).output()?;
    ensure!(listed.status.success(), "{} does not list its kernels", binary.display());
    let listed = String::from_utf8(listed.stdout)?;
    let mut worse = Vec::new();
    println!("{:24} {:>12} {:>12} {:>8}", "kernel", "instructions", "before", "%");
    for kernel in listed.lines().filter(|kernel| kernel.contains(&args.only)) {
        let count = count(&binary, kernel)?;
        let before = known.insert(kernel.to_owned(), count);
        let change = before.map(|before| (count as f64 / before as f64 - 1.0) * 100.0);
        let shown = change.map_or("new".to_owned(), |change| format!("{change:+.1}"));
        println!("{kernel:24} {count:>12} {:>12} {shown:>8}", before.unwrap_or_default());
        if change.is_none_or(|change| change > TOLERANCE) {
            worse.push(kernel.to_owned());
        }
    }
    if args.bless {
        let heading: String =
            text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, heading + &toml::to_string(&known)?)?;
        return Ok(());
    }
    if !worse.is_empty() {
        bail!(
            "more instructions than {} has, or not in it: {}; if there is a reason, --bless",
            file.display(),
            worse.join(", ")
        );
    }
    Ok(())
}

fn build() -> Result<PathBuf> {
    let mut command = crate::cargo();
    command.args(["build", "--quiet", "--release", "--package", "riverrun-benches", "--bin", "riverrun-benches"]);
    ensure!(command.current_dir(crate::root()).status()?.success(), "cannot build: {command:?}");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    Ok(target.join("release/riverrun-benches"))
}

/// Instructions of one round.
fn count(binary: &Path, kernel: &str) -> Result<u64> {
    let (few, many) = if kernel.ends_with("1000") { (20, 70) } else { (500, 2500) };
    let (less, more) = (total(binary, kernel, few)?, total(binary, kernel, many)?);
    more.checked_sub(less)
        .map(|between| between / (many - few))
        .with_context(|| format!("{kernel}: {less}, then {more}"))
}

/// Instructions of a whole run, which valgrind writes to standard error as `Collected : N`.
fn total(binary: &Path, kernel: &str, rounds: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(binary)
        .args([kernel, &rounds.to_string()]);
    let output = command.output().context("cannot run valgrind; Debian has it in the package of that name")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed:\n{told}");
    let collected = told.lines().find_map(|line| line.split_once("Collected :")).map(|(_, number)| number.trim());
    collected.and_then(|number| number.parse().ok()).with_context(|| format!("{command:?} tells no count:\n{told}"))
}
