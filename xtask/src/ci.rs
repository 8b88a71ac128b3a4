//! `cargo xtask ci`: every check that needs nothing but cargo, fast ones first. `.ci/run` adds the foreign parts.

use std::process::Command;

use anyhow::{Result, bail};

/// One step: what it is called and the cargo arguments that do it.
const STEPS: &[(&str, &[&str])] = &[
    ("formatting", &["fmt", "--all", "--", "--check"]),
    ("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("tests", &["test", "--workspace"]),
    ("features", &["check", "--package", "riverrun-core", "--no-default-features"]),
];

pub(crate) fn run() -> Result<()> {
    crate::tidy::run()?;
    for (name, arguments) in STEPS {
        step(name, crate::cargo().args(*arguments))?;
    }
    println!("== examples");
    crate::examples::run(&crate::examples::Args::default())?;
    step("documentation", crate::cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn step(name: &str, command: &mut Command) -> Result<()> {
    println!("== {name}");
    let status = command.current_dir(crate::root()).status()?;
    if !status.success() {
        bail!("{name} failed: {command:?}");
    }
    Ok(())
}
