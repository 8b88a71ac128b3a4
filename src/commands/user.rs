//! `riverrun user`: SCRAM users of a cluster, or of a data directory whose broker is not running. Passwords come from a
//! file, from standard input or from a prompt, never from the command line, which others on the host can read.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use riverrun::{
    broker::Broker,
    client::{Client, admin::ScramChange},
    core::{metadata::ScramMechanism, sasl::scram::salted_password},
};

use super::{Cluster, columns, report};

/// Flags of `riverrun user`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// Work on this data directory, while no broker runs on it, instead of on a cluster
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    /// The node.id of a data directory that is not in use yet
    #[arg(long, global = true, default_value_t = 1)]
    node_id: i32,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Add a user, or give one another password
    Add {
        /// The user's name
        name: String,
        /// SCRAM-SHA-256 or SCRAM-SHA-512
        #[arg(long, value_parser = mechanism, default_value = "SCRAM-SHA-256")]
        scram: ScramMechanism,
        /// How often the password is hashed
        #[arg(long, default_value = "4096")]
        iterations: NonZeroU32,
        /// File with the password in its first line; - for standard input [default: ask for it]
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Remove a user's credential
    Remove {
        /// The user's name
        name: String,
        /// SCRAM-SHA-256 or SCRAM-SHA-512
        #[arg(long, value_parser = mechanism, default_value = "SCRAM-SHA-256")]
        scram: ScramMechanism,
    },
    /// List users with the mechanisms they have credentials for
    List,
}

fn mechanism(text: &str) -> Result<ScramMechanism, String> {
    let known = ScramMechanism::from_name(&text.to_ascii_uppercase());
    known.ok_or_else(|| format!("'{text}' is neither SCRAM-SHA-256 nor SCRAM-SHA-512"))
}

/// Does what was asked for, and prints it.
pub(crate) async fn run(args: Args) -> Result<()> {
    let Some(folder) = &args.data_dir else {
        return act(&args.cluster.client().await?, args.action).await;
    };
    // A broker without listeners: it takes the directory's lock, so that no other can be running on it.
    let broker = Broker::builder().data_dir(folder).node_id(args.node_id).start().await?;
    let done = act(&broker.client(), args.action).await;
    broker.shutdown().await?;
    done
}

async fn act(client: &Client, action: Action) -> Result<()> {
    let admin = client.admin();
    match action {
        Action::Add { name, scram, iterations, password_file } => {
            let password = password(password_file)?;
            let salt: [u8; 26] = std::array::from_fn(|_| rand::random());
            let salted = salted_password(scram, &password, &salt, iterations);
            let change = ScramChange::Set {
                mechanism: scram,
                salt: salt.to_vec().into(),
                salted_password: salted.into(),
                iterations: i32::try_from(iterations.get()).context("so many iterations are not allowed")?,
            };
            report("add user", "added", admin.alter_scram_users(&BTreeMap::from([(name, change)])).await?)
        }
        Action::Remove { name, scram } => {
            let change = ScramChange::Remove { mechanism: scram };
            report("remove user", "removed", admin.alter_scram_users(&BTreeMap::from([(name, change)])).await?)
        }
        Action::List => {
            let mut rows = Vec::new();
            for (name, credentials) in admin.describe_scram_users().await? {
                for (mechanism, iterations) in credentials? {
                    rows.push(vec![name.clone(), mechanism.name().to_owned(), iterations.to_string()]);
                }
            }
            print!("{}", columns(&["USER", "MECHANISM", "ITERATIONS"], &rows));
            Ok(())
        }
    }
}

fn password(file: Option<PathBuf>) -> Result<String> {
    let text = match file {
        Some(path) if path.as_os_str() == "-" => std::io::read_to_string(std::io::stdin())?,
        Some(path) => std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?,
        None => ask()?,
    };
    let first = text.lines().next().unwrap_or_default().to_owned();
    ensure!(!first.is_empty(), "the password is empty");
    Ok(first)
}

/// Asks for the password on the terminal, without showing it.
fn ask() -> Result<String> {
    use crossterm::{
        event::{Event, KeyCode, KeyEventKind, KeyModifiers, read},
        terminal::{disable_raw_mode, enable_raw_mode},
    };
    if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        bail!("no terminal to ask for the password on; --password-file names a file, or - for standard input");
    }
    eprint!("password: ");
    enable_raw_mode().context("cannot hide what is typed; use --password-file")?;
    let mut typed = String::new();
    let outcome = loop {
        match read() {
            Ok(Event::Key(key)) if key.kind == KeyEventKind::Release => {}
            Ok(Event::Key(key)) => match key.code {
                KeyCode::Enter => break Ok(()),
                KeyCode::Backspace => drop(typed.pop()),
                KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    break Err(anyhow::anyhow!("given up"));
                }
                KeyCode::Char(c) => typed.push(c),
                _ => {}
            },
            Ok(_) => {}
            Err(error) => break Err(error.into()),
        }
    };
    disable_raw_mode().context("cannot restore the terminal")?;
    eprintln!();
    outcome.map(|()| typed)
}
