//! Lookups by time against a plain list of timestamps, whatever becomes of the indexes in between: rolls, logs that settle
//! and rest, kills and power cuts that take what was not synced of them, compaction.

use super::{compaction, *};
use crate::log::rest::Bookmark;

#[derive(Debug, Clone)]
enum Step {
    Append { keys: Vec<u8>, padding: usize, time_step: i64 },
    Find { at: u16 },
    Roll,
    Flush,
    Settle,
    DeleteRecords { at: u16 },
    Compact,
    Reopen(End),
}

/// How a life of the log ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Stop,
    Kill,
    PowerCut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop::collection::vec(0u8..6, 1..5), 0usize..120, -50i64..200)
            .prop_map(|(keys, padding, time_step)| Step::Append { keys, padding, time_step }),
        4 => any::<u16>().prop_map(|at| Step::Find { at }),
        1 => Just(Step::Roll),
        2 => Just(Step::Flush),
        2 => Just(Step::Settle),
        1 => any::<u16>().prop_map(|at| Step::DeleteRecords { at }),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen(End::Stop)),
        1 => Just(Step::Reopen(End::Kill)),
        2 => any::<u64>().prop_map(|seed| Step::Reopen(End::PowerCut(seed))),
    ]
}

/// A log, and the timestamps of its records.
struct World {
    vfs: SimulatedVfs,
    log: Log,
    config: LogConfig,
    times: BTreeMap<i64, i64>,
    clock: i64,
    cleaned_to: Option<i64>,
    /// What a broker has written down of the log.
    mark: Option<Bookmark>,
}

impl World {
    fn new(compacts: bool) -> Self {
        let config = if compacts { compaction::compacted() } else { LogConfig { segment_bytes: 700, ..small() } };
        let vfs = SimulatedVfs::new();
        let log = open(&vfs, config.clone(), 0).expect("opens");
        Self { vfs, log, config, times: BTreeMap::new(), clock: 1_000_000, cleaned_to: None, mark: None }
    }

    fn append(&mut self, keys: &[u8], padding: usize) {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let value = "x".repeat(padding);
        for (offset, key) in (self.log.log_end_offset()..).zip(keys) {
            // Within a batch later records may be earlier.
            let time = self.clock + i64::from(*key) * 7;
            builder.append(time, Some(&[*key]), Some(value.as_bytes()), []).expect("fits");
            self.times.insert(offset, time);
        }
        let batch = builder.build().expect("builds");
        self.log.append(batch, AppendOrigin::Client, LeaderEpoch(0), self.clock).expect("appends");
        self.log.advance_high_watermark(i64::MAX);
    }

    fn flush(&mut self) {
        self.log.flush().expect("flushes");
        self.mark = self.log.bookmark();
    }

    fn compact(&mut self) {
        let cleaned = compaction::compact(&mut self.log, self.cleaned_to, self.clock, 4096).expect("compacts");
        self.cleaned_to = Some(cleaned);
        self.forget_what_is_gone();
    }

    /// Compaction and power cuts decide for themselves what stays: other tests hold that against their models.
    fn forget_what_is_gone(&mut self) {
        let (start, end) = (self.log.log_start_offset(), self.log.log_end_offset());
        let mut there = std::collections::BTreeSet::new();
        let mut next = start;
        while next < end {
            let found = self.log.read(next, 500, end, true).expect("readable").records;
            for batch in batches(found) {
                let batch = batch.expect("whole");
                next = batch.header().next_offset();
                let records = batch.decode(&Default::default()).expect("decodes");
                there.extend((&records).into_iter().map(|record| record.expect("sound").offset));
            }
        }
        self.times.retain(|offset, _| there.contains(offset));
    }

    fn reopen(&mut self, how: End) {
        let start = self.log.log_start_offset();
        let clean = matches!(how, End::Stop);
        if clean {
            self.log.close().expect("closes");
            self.mark = self.log.bookmark();
        }
        if let End::PowerCut(seed) = how {
            self.vfs.crash(seed);
        }
        let recovery_point = self.mark.as_ref().map_or(0, |mark| mark.offset);
        let options = LogOptions {
            log_start_offset: start,
            was_compacted: self.cleaned_to.is_some(),
            ..options(self.config.clone(), recovery_point, clean)
        };
        let hints = OpenHints { bookmark: self.mark.as_ref(), progress: None };
        self.log = Log::open_with(Arc::new(self.vfs.clone()), Path::new(FOLDER), options, hints).expect("opens");
        assert!(self.log.log_end_offset() >= recovery_point, "what was synced is there");
        if matches!(how, End::PowerCut(_)) {
            self.forget_what_is_gone();
        }
    }

    fn check(&mut self, time: i64) {
        let start = self.log.log_start_offset();
        let expected =
            self.times.range(start..).find(|(_, each)| **each >= time).map(|(offset, each)| (*offset, *each));
        let found = self.log.offset_for_time(time).expect("readable").map(|found| (found.offset, found.timestamp));
        assert_eq!(found, expected, "time {time}");
    }

    fn check_largest(&mut self) {
        let start = self.log.log_start_offset();
        let largest = self.times.range(start..).map(|(_, time)| *time).max();
        let found = self.log.offset_of_max_timestamp().expect("readable").map(|found| found.timestamp);
        // Segments know the largest of all their batches, of which the first records may be deleted.
        assert!(found == largest || (start > 0 && found.is_none()), "{found:?}, not {largest:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// L8: a lookup by time gives the first record that is as late.
    #[test]
    fn a_lookup_by_time_gives_the_first_record_that_is_as_late(
        compacts in any::<bool>(),
        steps in prop::collection::vec(step(), 1..70),
    ) {
        let mut world = World::new(compacts);
        for step in steps {
            match step {
                Step::Append { keys, padding, time_step } => {
                    world.clock += time_step;
                    world.append(&keys, padding);
                }
                Step::Find { at } => world.check(world.clock - 2000 + i64::from(at) % 2500),
                Step::Roll => world.log.roll().expect("rolls"),
                Step::Flush => world.flush(),
                Step::Settle => drop(world.log.settle().expect("writes")),
                Step::DeleteRecords { at } => {
                    let (start, end) = (world.log.log_start_offset(), world.log.log_end_offset());
                    let at = start + i64::from(at) % (end - start + 1);
                    world.log.delete_records(at).expect("in range");
                }
                Step::Compact if compacts => world.compact(),
                Step::Compact => {}
                Step::Reopen(how) => world.reopen(how),
            }
        }
        for time in world.times.values().flat_map(|time| [*time, *time + 1]).collect::<Vec<_>>() {
            world.check(time);
        }
        world.check_largest();
    }
}
