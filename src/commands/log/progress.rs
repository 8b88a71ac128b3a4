//! How far a long look has come, on standard error if that is a terminal: nothing in the first second.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

const FIRST: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);
const MIB: f64 = 1_048_576.0;

/// Shows bytes done of bytes to do.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    is_wanted: bool,
    began: Instant,
    next: Instant,
}

impl Progress {
    /// `beside_output`: whether lines on standard output may come between.
    pub(super) fn new(beside_output: bool) -> Self {
        let is_wanted = std::io::stderr().is_terminal() && (beside_output || !std::io::stdout().is_terminal());
        let began = Instant::now();
        Self { shown: false, is_wanted, began, next: began + FIRST }
    }

    /// Shows where the work is, if it is time to.
    pub(super) fn tick(&mut self, what: &str, done: u64, of: u64) {
        if !self.is_wanted || Instant::now() < self.next {
            return;
        }
        let now = Instant::now();
        self.next = now + EVERY;
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let (done, of) = (done as f64 / MIB, of as f64 / MIB);
        let speed = done / (now - self.began).as_secs_f64();
        self.shown = true;
        // Who does not see it misses nothing.
        let _ = write!(std::io::stderr(), "\r\x1b[K{what}: {done:.0} of {of:.0} MiB, {speed:.0} MiB/s");
    }

    /// Makes room for a line.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
