//! What happens in a life: to the log, as a broker does it, and at once to the ledger.

use std::{collections::BTreeMap, path::Path};

use riverrun_core::{
    LeaderEpoch,
    log::{
        AppendError, AppendOrigin, Bookmark, Log, LogConfig, TransactionMarker, encode_bookmarks, write_bookmarks,
        write_offsets,
    },
    record::{BatchBuilder, BatchOptions},
};

use super::{BOOKMARKS, POINTS, PRODUCERS, STARTS, Story, Violation, broken, partition};
use crate::{
    bugs::Bug,
    check,
    ledger::{Entry, Kind},
};

impl Story {
    /// Does one thing.
    pub(super) fn act(&mut self, log: &mut Log) -> Result<(), Violation> {
        match self.random.below(24) {
            0..=8 => self.append(log),
            9..=12 => self.flush(log),
            13 => self.mark(log),
            14 => {
                let rolled = log.roll();
                self.sync_failed |= rolled.as_ref().is_err_and(|error| error.action == "sync");
                self.trace.note("roll", i64::from(rolled.is_ok()));
                Ok(())
            }
            15 => self.delete_records(log),
            16 => self.retain(log),
            17 => {
                let settled = log.settle();
                self.trace.note("settle", i64::from(settled.is_ok()));
                Ok(())
            }
            18 => {
                self.write_checkpoints(log);
                Ok(())
            }
            19 | 20 if self.policy.compact => self.compact(log),
            _ => self.read(log),
        }
    }

    pub(crate) fn read(&mut self, log: &mut Log) -> Result<(), Violation> {
        let found = match check::read_all(log, &mut self.random) {
            Ok(found) => found,
            Err(_) if self.fault.is_some() => return Ok(()),
            Err(violation) => return Err(violation),
        };
        check::records(&found, &self.ledger, log, self.clock)?;
        check::transactions(log, &self.ledger, &found, self.fault.is_some())?;
        check::times(log, &found, &mut self.random, self.fault.is_some())
    }

    /// As a broker does every minute, in its order. Whether it is written or not, it must not say too much.
    pub(super) fn write_checkpoints(&mut self, log: &Log) {
        let start = log.log_start_offset();
        let offsets =
            |path, offset| write_offsets(&*self.vfs, Path::new(path), &[(partition(), offset)].into()).is_ok();
        if offsets(POINTS, log.recovery_point()) && (start == 0 || offsets(STARTS, start)) {
            self.ledger.start = self.ledger.start.max(start);
            let bookmarks: BTreeMap<_, Bookmark> = log.bookmark().map(|mark| (partition(), mark)).into_iter().collect();
            let _ = write_bookmarks(&*self.vfs, Path::new(BOOKMARKS), &encode_bookmarks(bookmarks.iter()));
        }
        self.trace.note("checkpoints", log.recovery_point());
    }

    pub(crate) fn append(&mut self, log: &mut Log) -> Result<(), Violation> {
        let id = i64::try_from(self.random.below(6)).unwrap_or_default() - 2;
        let (epoch, sequence) = self.producers.get(&id).copied().unwrap_or((-1, -1));
        let count = 1 + i32::try_from(self.random.below(4)).unwrap_or_default();
        let padding = usize::try_from(self.random.below(300)).unwrap_or_default();
        // The last two write in transactions.
        let transactional = id >= PRODUCERS - 2;
        self.clock += i64::try_from(self.random.below(50)).unwrap_or_default();
        let options = BatchOptions {
            producer_id: id.max(-1),
            producer_epoch: epoch,
            base_sequence: sequence,
            transactional,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        let mut entries = Vec::new();
        for index in 0..count {
            let key = format!("k{}", self.random.below(6));
            let is_tombstone = self.policy.compact && self.random.below(5) == 0;
            let value = match is_tombstone {
                true => String::new(),
                false => format!("{}-{}-{index}-{}", self.life, self.trace.steps, "x".repeat(padding)),
            };
            let timestamp = self.clock + i64::from(index);
            let sent = (!is_tombstone).then_some(value.as_bytes());
            if builder.append(timestamp, Some(key.as_bytes()), sent, []).is_err() {
                return broken("test", "a record does not fit its batch");
            }
            let kind = if transactional { Kind::Transactional(value) } else { Kind::Plain(value) };
            let sequence = if id < 0 { -1 } else { sequence + index };
            entries.push(Entry { timestamp, producer: (id.max(-1), epoch), sequence, key, kind });
        }
        let Ok(batch) = builder.build() else { return broken("test", "a batch does not build") };
        let (base, offline) = (log.log_end_offset(), log.offline_reason().is_some());
        match log.append(batch, AppendOrigin::Client, LeaderEpoch(self.life), self.clock) {
            Ok(info) => {
                if offline {
                    return broken("L1", "a log that is offline has taken an append");
                }
                if info.base_offset != base || info.duplicate {
                    return broken("L1", format!("appended at {base}, answered {}", info.base_offset));
                }
                self.ledger.appended(base, entries);
                if self.os {
                    log.advance_high_watermark(log.log_end_offset());
                }
                if let Some((_, next)) = self.producers.get_mut(&id) {
                    *next += count;
                }
                self.acknowledge_early();
            }
            Err(AppendError::Io { .. } | AppendError::Offline { .. }) if self.fault.is_some() || offline => {
                self.ledger.failed(base, entries);
            }
            Err(AppendError::Producer(_)) if self.is_forgotten(id, epoch) => {
                // As Kafka does, the log may know only the marker of a producer whose records are deleted.
                self.producers.insert(id, (epoch + 1, 0));
            }
            Err(error) => return broken("L1", format!("an append was refused: {error}")),
        }
        self.trace.note("of", id);
        self.trace.note("append", log.log_end_offset());
        if log.log_end_offset() == base { Ok(()) } else { self.check_order(log) }
    }

    /// Whether all records of a producer's epoch are deleted.
    fn is_forgotten(&self, id: i64, epoch: i16) -> bool {
        self.ledger.last_sequence((id, epoch)).is_none_or(|(offset, _)| offset < self.ledger.start_tried)
    }

    fn acknowledge_early(&mut self) {
        if self.bug == Some(Bug::AckEarly) {
            self.ledger.durable = self.ledger.end;
        }
    }

    /// Ends a transaction.
    pub(crate) fn mark(&mut self, log: &mut Log) -> Result<(), Violation> {
        let id = PRODUCERS - 1 - i64::try_from(self.random.below(2)).unwrap_or_default();
        let drawn = self.random.below(2) == 0;
        let first = self.ledger.transactions().0.get(&id).copied().filter(|_| self.policy.compact);
        // A coordinator has written down what it decided before it sends a marker, and sends the same again. Where nothing
        // is compacted a log has to stand even one that does not.
        let commit = first.map_or(drawn, |first| *self.ledger.decided.entry((id, first)).or_insert(drawn));
        let (epoch, _) = self.producers.get(&id).copied().unwrap_or_default();
        let marker = TransactionMarker {
            producer_id: id,
            producer_epoch: epoch,
            commit,
            coordinator_epoch: 0,
            transaction_version: 0,
        };
        let kind = Kind::Marker { commit };
        let entry = Entry { timestamp: self.clock, producer: (id, epoch), sequence: -1, key: String::new(), kind };
        let base = log.log_end_offset();
        match log.append_marker(&marker, LeaderEpoch(self.life), self.clock) {
            Ok(info) if info.base_offset == base => {
                self.ledger.appended(base, vec![entry]);
                if self.os {
                    log.advance_high_watermark(log.log_end_offset());
                }
                self.acknowledge_early();
            }
            Ok(info) => return broken("L1", format!("a marker was appended at {base}, answered {}", info.base_offset)),
            Err(AppendError::Io { .. } | AppendError::Offline { .. })
                if self.fault.is_some() || log.offline_reason().is_some() =>
            {
                self.ledger.failed(base, vec![entry]);
            }
            Err(error) => return broken("L1", format!("a marker was refused: {error}")),
        }
        self.trace.note(if commit { "commit" } else { "abort" }, log.log_end_offset());
        self.trace.note("of", id);
        Ok(())
    }

    /// Syncs, now and then in two steps with an append in between.
    pub(crate) fn flush(&mut self, log: &mut Log) -> Result<(), Violation> {
        let mut up_to = log.log_end_offset();
        let flushed = if self.random.below(3) == 0 {
            match log.begin_flush() {
                Ok(None) => Ok(log.recovery_point()),
                Ok(Some(ticket)) => {
                    up_to = ticket.up_to();
                    self.append(log)?;
                    let result = ticket.run();
                    log.complete_flush(&ticket, result)
                }
                Err(error) => Err(error),
            }
        } else {
            log.flush()
        };
        match &flushed {
            Ok(offset) if self.sync_failed && *offset > self.ledger.durable => {
                return broken("L1", "a sync was tried again after one had failed");
            }
            Ok(offset) => {
                if *offset != up_to && log.offline_reason().is_none() {
                    return broken("L1", format!("flushed up to {offset} of {up_to}"));
                }
                self.ledger.durable = self.ledger.durable.max(*offset);
                log.advance_high_watermark(*offset);
                if self.random.below(2) == 0 {
                    self.write_checkpoints(log);
                }
            }
            Err(error) if self.fault.is_none() => return broken("L1", format!("a flush failed: {error}")),
            Err(error) => self.sync_failed |= error.action == "sync",
        }
        self.trace.note("flush", flushed.unwrap_or(-1));
        self.check_order(log)
    }

    pub(crate) fn delete_records(&mut self, log: &mut Log) -> Result<(), Violation> {
        let (from, to) = (log.log_start_offset(), log.last_stable_offset());
        let at = self.random.offset(from, to);
        self.ledger.start_tried = self.ledger.start_tried.max(at);
        match log.delete_records(at) {
            Ok(start) if start >= at => {
                if write_offsets(&*self.vfs, Path::new(STARTS), &[(partition(), start)].into()).is_ok() {
                    self.ledger.start = self.ledger.start.max(start);
                }
            }
            Ok(start) => return broken("L6", format!("records before {at} were deleted, the log starts at {start}")),
            Err(error) if self.fault.is_none() => return broken("L6", format!("nothing was deleted: {error}")),
            Err(_) => {}
        }
        self.trace.note("delete records", at);
        Ok(())
    }

    pub(crate) fn retain(&mut self, log: &mut Log) -> Result<(), Violation> {
        let bytes = i64::try_from(self.random.below(6000)).unwrap_or_default();
        log.set_config(LogConfig { retention_bytes: bytes, ..self.config() });
        let deleted = log.delete_segments(self.clock);
        log.set_config(self.config());
        let start = log.log_start_offset();
        self.trace.note("retention", start);
        if start > log.high_watermark() {
            return broken("L11", format!("retention removed up to {start}, high watermark {}", log.high_watermark()));
        }
        // A start that DeleteRecords moved without a checkpoint may be forgotten, whatever was removed below it.
        let start_is_kept = self.ledger.start_tried <= self.ledger.start;
        self.ledger.start_tried = self.ledger.start_tried.max(start);
        match deleted {
            Ok(0) => Ok(()),
            Ok(_) => {
                if start_is_kept {
                    self.ledger.start = self.ledger.start.max(start);
                }
                self.check_order(log)
            }
            Err(error) if self.fault.is_none() => broken("L11", format!("retention failed: {error}")),
            Err(error) => {
                self.sync_failed |= error.action == "sync";
                Ok(())
            }
        }
    }

    fn check_order(&self, log: &Log) -> Result<(), Violation> {
        let (start, stable) = (log.log_start_offset(), log.last_stable_offset());
        let (high, end) = (log.high_watermark(), log.log_end_offset());
        if start <= stable && stable <= high && high <= end {
            return Ok(());
        }
        broken("L6", format!("start {start}, last stable {stable}, high watermark {high}, end {end}"))
    }

    /// As a broker does that sees many small syncs, or none any more.
    pub(super) fn change_room(&mut self, log: &mut Log) {
        let Some(room) = &mut self.room else { return };
        match room.below(8) {
            0 => log.set_room_bytes(0),
            1 => log.set_room_bytes(1 + room.below(3000)),
            2 => {
                let cut = log.cut_room();
                self.trace.note("cut room", i64::from(cut.is_ok()));
            }
            _ => {}
        }
    }
}
