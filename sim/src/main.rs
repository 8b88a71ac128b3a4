//! Tells the stories of many seeds, on as many threads as asked for. Prints each seed that breaks a promise, and exits with
//! 1 if there is one.
//!
//! Usage: `riverrun-sim COUNT [FIRST [THREADS]]`. With `RIVERRUN_SIM_TRACE` in the environment every step is printed.

use std::{
    panic::catch_unwind,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Instant,
};

/// Seeds that a thread takes at a time.
const SHARE: u64 = 500;
/// Seeds between two lines of progress.
const PROGRESS: u64 = 50_000;
/// Failures after which it is pointless to go on.
const ENOUGH: u64 = 20;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (count, first, threads) = match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(count)), first, threads) => match (first.unwrap_or(Ok(0)), threads.unwrap_or(Ok(2))) {
            (Ok(first), Ok(threads)) => (count, first, threads.clamp(1, 64)),
            _ => return usage(),
        },
        _ => return usage(),
    };
    let (next, failures, told, began) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), Instant::now());
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    let from = next.fetch_add(SHARE, Ordering::Relaxed);
                    if from >= count {
                        return;
                    }
                    let to = (from + SHARE).min(count);
                    for seed in first + from..first + to {
                        if let Err(what) = told_soundly(seed) {
                            println!("seed {seed}: {what}");
                            enough.store(failures.fetch_add(1, Ordering::Relaxed) + 1 >= ENOUGH, Ordering::Relaxed);
                        }
                    }
                    let before = told.fetch_add(to - from, Ordering::Relaxed);
                    if before / PROGRESS != (before + to - from) / PROGRESS {
                        println!("{} seeds in {:.1} s", before + to - from, began.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let (told, failures) = (told.into_inner(), failures.into_inner());
    let seconds = began.elapsed().as_secs_f64();
    println!("{told} seeds from {first} in {seconds:.1} s: {failures} broke a promise");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told_soundly(seed: u64) -> Result<(), String> {
    match catch_unwind(|| riverrun_sim::tell(seed, None)) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(violation)) => Err(violation.to_string()),
        Err(_) => Err("it panicked".to_owned()),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: riverrun-sim COUNT [FIRST [THREADS]]");
    ExitCode::from(2)
}
