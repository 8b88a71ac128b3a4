//! Ctrl-C and SIGTERM stop every process the bench has started, and remove its data.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context, Result};

static STARTED: Mutex<Started> = Mutex::new(Started { pids: Vec::new(), folder: None });

struct Started {
    pids: Vec<u32>,
    folder: Option<PathBuf>,
}

fn started() -> MutexGuard<'static, Started> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens for the end; `folder` is removed then.
pub(crate) fn on_signal(folder: &Path) -> Result<()> {
    started().folder = Some(folder.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let signal = runtime.block_on(async {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted,
                _ = terminate.recv() => Ok(()),
            }
        });
        if signal.is_ok() {
            eprintln!("\nbench: stopping what was started");
            let started = started();
            started.pids.iter().for_each(|pid| kill(*pid));
            if let Some(folder) = &started.folder {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(130);
        }
    })?;
    Ok(())
}

/// A process that must not outlive the bench.
#[derive(Debug)]
pub(crate) struct Guard {
    pid: u32,
}

impl Guard {
    pub(crate) fn new(pid: u32) -> Self {
        started().pids.push(pid);
        Self { pid }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        kill(self.pid);
        started().pids.retain(|pid| *pid != self.pid);
    }
}

/// SIGKILL: nothing that is stopped here is to be kept. A process that has ended already is no fault.
fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(std::process::Stdio::null()).status();
}

/// SIGTERM.
pub(crate) fn terminate(pid: u32) -> Result<()> {
    let status = Command::new("kill").args(["-TERM", &pid.to_string()]).status().context("cannot run kill")?;
    anyhow::ensure!(status.success(), "cannot end process {pid}");
    Ok(())
}
