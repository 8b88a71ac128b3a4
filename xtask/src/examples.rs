//! `cargo xtask examples`: builds all examples, runs one after the other, and fails if one of them fails, takes too long
//! or has outgrown its page.
//!
//! An example checks its own result, so that it ended well is all there is to ask here. What it prints is shown only if
//! it does not.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// The package whose targets they are, and its folder.
const PACKAGE: &str = "riverrun-examples";
const FOLDER: &str = "examples";

/// How long one may run; those that end by themselves take a second or two.
const DEADLINE: Duration = Duration::from_secs(60);

/// Lines of a file, so that it is read in one go.
const LINES_MAX: usize = 100;

#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// Runs only these
    names: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut examples = build()?;
    check_files(&examples)?;
    for name in &args.names {
        ensure!(examples.iter().any(|(known, _)| known == name), "there is no example {name}");
    }
    examples.retain(|(name, _)| args.names.is_empty() || args.names.contains(name));
    let mut failed = Vec::new();
    for (name, executable) in &examples {
        let start = Instant::now();
        let outcome = run_one(executable)?;
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Outcome::Passed => println!("ok      {name} ({seconds:.1} s)"),
            Outcome::Failed(output) => {
                println!("FAILED  {name} ({seconds:.1} s)\n{}", output.trim_end());
                failed.push(name.as_str());
            }
        }
    }
    ensure!(failed.is_empty(), "{} of {} examples failed: {}", failed.len(), examples.len(), failed.join(", "));
    Ok(())
}

/// Builds all examples; their names and executables, in order of names.
fn build() -> Result<Vec<(String, PathBuf)>> {
    let arguments = ["build", "--package", PACKAGE, "--examples", "--message-format", "json-render-diagnostics"];
    let built = crate::cargo()
        .args(arguments)
        .current_dir(crate::root())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(built.status.success(), "the examples do not build");
    let mut examples = Vec::new();
    for line in String::from_utf8(built.stdout)?.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        let target = &message["target"];
        let is_example = target["kind"][0] == "example";
        if let (true, Some(name), Some(path)) = (is_example, target["name"].as_str(), message["executable"].as_str()) {
            examples.push((name.to_owned(), PathBuf::from(path)));
        }
    }
    examples.sort();
    Ok(examples)
}

/// Every file is a target, and none is too long.
fn check_files(examples: &[(String, PathBuf)]) -> Result<()> {
    let known: BTreeSet<&str> = examples.iter().map(|(name, _)| name.as_str()).collect();
    let folder = crate::root().join(FOLDER);
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        ensure!(known.contains(&*name), "{FOLDER}/{name}.rs is not named in {FOLDER}/Cargo.toml");
        let lines = fs::read_to_string(&path)?.lines().count();
        ensure!(lines <= LINES_MAX, "{FOLDER}/{name}.rs has {lines} lines; an example has at most {LINES_MAX}");
    }
    Ok(())
}

enum Outcome {
    Passed,
    /// With what it printed.
    Failed(String),
}

/// Runs one to its end or to the deadline.
fn run_one(executable: &Path) -> Result<Outcome> {
    let (mut reader, writer) = std::io::pipe()?;
    let mut child = Command::new(executable)
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot run {}", executable.display()))?;
    // The pipe ends when the process does: reading it to the end is waiting for that, with a deadline.
    let (ended, end) = mpsc::channel();
    let output = thread::spawn(move || {
        let mut output = Vec::new();
        let read = reader.read_to_end(&mut output);
        // Nobody listens any more after the deadline.
        let _ = ended.send(());
        read.map(|_| String::from_utf8_lossy(&output).into_owned())
    });
    let in_time = end.recv_timeout(DEADLINE).is_ok();
    if !in_time {
        child.kill()?;
    }
    let status = child.wait()?;
    let Ok(output) = output.join() else { bail!("reading what {} prints failed", executable.display()) };
    let mut output = output?;
    if !in_time {
        output.push_str(&format!("\nstopped: it had not ended after {} s", DEADLINE.as_secs()));
    } else if status.success() {
        return Ok(Outcome::Passed);
    } else {
        output.push_str(&format!("\n{status}"));
    }
    Ok(Outcome::Failed(output))
}
