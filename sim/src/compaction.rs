//! Compaction in a story: the steps of a broker's cleaner, with other work between them, and a fault at any.

use std::path::Path;

use riverrun_core::log::{CompactionError, CompactionLimits, Log, Replacement, write_offsets};

use crate::story::{CLEANED, Story, Violation, broken, partition};

impl Story {
    /// Compacts what can be.
    pub(crate) fn compact(&mut self, log: &mut Log) -> Result<(), Violation> {
        let cleanable = match log.cleanable(self.cleaned_to, self.clock) {
            Ok(Some(cleanable)) => cleanable,
            Ok(None) => return Ok(()),
            Err(_) if self.fault.is_some() => return Ok(()),
            Err(error) => return broken("L10", format!("what can be compacted is not known: {error}")),
        };
        let end = cleanable.first_uncleanable_offset;
        if end > log.last_stable_offset() {
            return broken("L10", format!("compaction up to {end}, last stable offset {}", log.last_stable_offset()));
        }
        self.trace.note("compact", end);
        self.ledger.compacted.push((end, self.clock));
        let secret = [self.random.below(u64::MAX), self.random.below(u64::MAX)];
        // A small map holds the keys of one batch and a few more.
        let map_bytes = if self.random.below(3) == 0 { 24 * 8 } else { 1 << 16 };
        let limits = CompactionLimits { map_bytes, map_load_percent: 90, buffer_bytes: 300, secret };
        let mut compaction = match log.begin_compaction(&cleanable, limits, self.clock) {
            Ok(compaction) => compaction,
            Err(_) if self.fault.is_some() => return Ok(()),
            Err(error) => return broken("L10", format!("compaction does not begin: {error}")),
        };
        // Before anything is removed: what opens the log next must expect gaps.
        if !self.note_cleaned(cleanable.first_dirty_offset) {
            return Ok(());
        }
        loop {
            let replacement = match compaction.next_replacement(&mut |_| Ok(())) {
                Ok(Some(replacement)) => replacement,
                Ok(None) => break,
                Err(error) => return self.compaction_failed(log, &error),
            };
            self.meanwhile(log)?;
            if let Err(error) = self.replace(log, replacement)? {
                return self.compaction_failed(log, &error);
            }
            self.meanwhile(log)?;
        }
        self.note_cleaned(compaction.end_offset());
        self.trace.note("compacted", compaction.end_offset());
        self.read(log)
    }

    fn replace(
        &mut self,
        log: &mut Log,
        mut replacement: Replacement,
    ) -> Result<Result<(), CompactionError>, Violation> {
        if !log.prepare_swap(&replacement) {
            replacement.discard();
            return Ok(Err(CompactionError::Stopped));
        }
        if let Err(error) = replacement.stage() {
            if error.is_failed_sync() {
                log.fail_swap(&error)
            } else {
                log.give_up_swap()
            }
            return Ok(Err(error));
        }
        self.meanwhile(log)?;
        let files = log.swap_in(replacement);
        self.meanwhile(log)?;
        if let Err(error) = files.remove() {
            log.fail_swap(&error);
            return Ok(Err(error));
        }
        self.meanwhile(log)?;
        if let Err(error) = log.finish_swap(&files) {
            return Ok(Err(error));
        }
        self.meanwhile(log)?;
        if let Err(error) = files.sync() {
            log.fail_swap(&error);
            return Ok(Err(error));
        }
        Ok(Ok(()))
    }

    /// The log is not held between the steps.
    fn meanwhile(&mut self, log: &mut Log) -> Result<(), Violation> {
        match self.random.below(16) {
            0 => self.append(log),
            1 => self.flush(log),
            2 => self.delete_records(log),
            3 => self.retain(log),
            4 => self.mark(log),
            5 => self.read(log),
            _ => Ok(()),
        }
    }

    fn compaction_failed(&mut self, log: &mut Log, error: &CompactionError) -> Result<(), Violation> {
        self.trace.note("compaction failed", 0);
        if error.is_failed_sync() {
            // As for a broker, the directory is offline then.
            self.sync_failed = true;
            log.fail_swap(error);
        }
        match error {
            _ if self.fault.is_some() => Ok(()),
            // Retention was quicker, or the keys of one batch do not fit.
            CompactionError::Stopped | CompactionError::MapTooSmall { .. } => Ok(()),
            error => broken("L10", format!("compaction failed: {error}")),
        }
    }

    /// False if it cannot be written down.
    fn note_cleaned(&mut self, cleaned_to: i64) -> bool {
        self.cleaned_to = Some(cleaned_to);
        write_offsets(&*self.vfs, Path::new(CLEANED), &[(partition(), cleaned_to)].into()).is_ok()
    }
}
