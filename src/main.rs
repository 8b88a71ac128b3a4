//! The `riverrun` command: one file per subcommand below `commands/`, this one only reads the line and dispatches.
//!
//! Every failure ends as one message on standard error that names the thing and the remedy, and a non-zero exit code:
//! 2 for a command line that cannot be understood, 1 for all else. `riverrun log` has codes of its own.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;

#[derive(Parser)]
#[command(name = "riverrun", version, about = "Stream processing in Rust, with its Kafka-compatible broker inside")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole of it: host metrics and log files in, windows out, on the embedded broker or a cluster
    Demo(commands::demo::Args),
    /// Run the broker alone
    Broker(commands::broker::Args),
    /// List, create, describe and delete topics
    Topic(commands::topic::Args),
    /// Produce lines of standard input
    Produce(commands::produce::Args),
    /// Print the records of topics
    Consume(commands::consume::Args),
    /// List, describe and delete consumer groups
    Group(commands::group::Args),
    /// Add, remove and list SCRAM users
    User(commands::user::Args),
    /// Look into the files of a data directory: print them, or search them for damage
    Log(commands::log::Args),
    /// Run connectors from TOML or properties files
    Connect(commands::connect::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    init_tracing(&args.command);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Command::Broker(args) = &args.command {
        runtime.worker_threads(args.workers().get());
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start the async runtime")),
    };
    let result = runtime.block_on(async {
        match args.command {
            Command::Demo(args) => commands::demo::run(args).await,
            Command::Broker(args) => commands::broker::run(args).await,
            Command::Topic(args) => commands::topic::run(args).await,
            Command::Produce(args) => commands::produce::run(args).await,
            Command::Consume(args) => commands::consume::run(args).await,
            Command::Group(args) => commands::group::run(args).await,
            Command::User(args) => commands::user::run(args).await,
            Command::Connect(args) => commands::connect::run(args).await,
            Command::Log(args) => return commands::log::run(args),
        }
        .map(|()| ExitCode::SUCCESS)
    });
    // A blocked read of standard input must not hold the exit up.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("riverrun: {error:#}");
    ExitCode::FAILURE
}

/// Logs go to standard error; `RUST_LOG` chooses what is logged. By default that is warnings, and of the broker alone also
/// what an operator wants to know.
fn init_tracing(command: &Command) {
    use tracing_subscriber::EnvFilter;
    let default = if matches!(command, Command::Broker(_)) { "warn,riverrun_broker=info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
