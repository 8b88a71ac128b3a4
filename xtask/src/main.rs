//! Developer tasks: `cargo xtask ci | tidy | docs | examples | schema-check | interop | bench | instructions |
//! seeds`. Each stands in a file of its own; this one only dispatches.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod ci;
mod docs;
mod examples;
mod instructions;
mod interop;
mod schema_check;
mod seeds;
mod tidy;

#[derive(Parser)]
#[command(about = "Riverrun's developer tasks")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Formatting, tidy, clippy, tests, documentation, examples: all that needs nothing but cargo
    Ci,
    /// Checks what a reader cannot see at a glance: workspace edges, a header on every file, no commented-out code
    Tidy,
    /// Writes the generated pages, and checks that what README quotes still stands in the source
    Docs(docs::Args),
    /// Runs every example and fails if one of them fails or does not end
    Examples(examples::Args),
    /// Compares every message with Kafka's own definition of it
    SchemaCheck(schema_check::Args),
    /// Runs foreign clients against a broker: the standalone Riverrun, and Apache Kafka where its script is given
    Interop(interop::Args),
    /// Measures Riverrun beside a peer, with the same load generators
    Bench(bench::Args),
    /// Counts the instructions of the data path with valgrind, and fails if there are more than before
    Instructions(instructions::Args),
    /// Tells stories of a log on a failing disk, one per seed, and fails if one breaks a promise
    Seeds(seeds::Args),
}

fn main() -> Result<()> {
    match Args::parse().task {
        Task::Ci => ci::run(),
        Task::Tidy => tidy::run(),
        Task::Docs(args) => docs::run(&args),
        Task::Examples(args) => examples::run(&args),
        Task::SchemaCheck(args) => schema_check::run(&args),
        Task::Interop(args) => interop::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Instructions(args) => instructions::run(&args),
        Task::Seeds(args) => seeds::run(&args),
    }
}

/// `cargo`, without what the cargo that runs this tells of its package: build scripts such as ring's ask for that, take it
/// for a change, and all that depends on them is built anew.
fn cargo() -> std::process::Command {
    let mut command = std::process::Command::new("cargo");
    let is_told = |name: &String| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(is_told) {
        command.env_remove(name);
    }
    command
}

/// The root of the workspace.
fn root() -> std::path::PathBuf {
    let xtask = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}
