//! One story: a log on a simulated disk lives several lives, in each of which one thing may fail at a random step, and
//! which end in a restart, a kill or a power cut. After each, what the log holds is held against the [`Ledger`]. The last
//! life has no faults and must show every acknowledged record. All of it follows from the seed.

mod steps;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use riverrun_core::{
    TopicPartition, Uuid,
    log::{
        CleanupPolicy, Fault, Log, LogConfig, LogOptions, OpenError, OpenHints, SimulatedVfs, Vfs, read_bookmarks,
        read_offsets,
    },
    record::{BatchBuilder, BatchOptions},
};

use crate::{
    bugs::{Bug, BuggyVfs},
    check,
    ledger::{DELETE_RETENTION_MS, Entry, Kind, Ledger},
};

pub(crate) const FOLDER: &str = "/data/t-0";
const POINTS: &str = "/data/recovery-point-offset-checkpoint";
const STARTS: &str = "/data/log-start-offset-checkpoint";
pub(crate) const CLEANED: &str = "/data/cleaner-offset-checkpoint";
const BOOKMARKS: &str = "/data/riverrun-bookmarks";
const PRODUCERS: i64 = 4;
/// Whether every step is printed.
static PRINTED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("RIVERRUN_SIM_TRACE").is_some());

/// A promise of the log that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one: the number of `docs/reliability.md`.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} is broken: {}", self.invariant, self.what)
    }
}

pub(crate) fn broken<T>(invariant: &'static str, what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { invariant, what: what.into() })
}

/// All that happened, as a number: two runs of one seed have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// A digest of every step and what came of it.
    pub digest: u64,
    /// How many steps there were.
    pub steps: u64,
}

impl Trace {
    pub(crate) fn note(&mut self, what: &str, number: i64) {
        if *PRINTED {
            eprintln!("{:>4} {what} {number}", self.steps);
        }
        for byte in what.bytes().chain(number.to_le_bytes()) {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.steps += 1;
    }
}

/// A generator (splitmix64): a seed is all there is to repeat.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    pub(crate) fn offset(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below((to - from).max(0).unsigned_abs() + 1)).unwrap_or_default()
    }
}

/// Where a story stands.
pub(crate) struct Story {
    disk: SimulatedVfs,
    pub(crate) vfs: Arc<dyn Vfs>,
    bug: Option<Bug>,
    pub(crate) random: Random,
    /// Decides about room behind the batches, in the stories that have it.
    room: Option<Random>,
    /// Decides, in the stories in which that may happen, whether the file of bookmarks is lost between two lives.
    forgets: Option<Random>,
    pub(crate) trace: Trace,
    pub(crate) ledger: Ledger,
    pub(crate) clock: i64,
    life: i32,
    /// Epoch and next sequence number of each producer.
    producers: BTreeMap<i64, (i16, i32)>,
    /// What may fail in this life.
    pub(crate) fault: Option<Fault>,
    /// What becomes of old records.
    policy: CleanupPolicy,
    /// Whether records count as acknowledged before they are synced (`riverrun.durability=os`).
    os: bool,
    /// Up to where the log is compacted, as far as this life knows.
    pub(crate) cleaned_to: Option<i64>,
    /// The end of the log when its process was killed: what is in the page cache stays.
    kept: i64,
    /// Whether a sync has failed in this life: what the disk holds is known only after the power was gone.
    pub(crate) sync_failed: bool,
}

/// Tells the story of a seed.
///
/// # Errors
/// [`Violation`]: a promise was broken.
pub fn tell(seed: u64, bug: Option<Bug>) -> Result<Trace, Violation> {
    let disk = SimulatedVfs::new();
    let sound: Arc<dyn Vfs> = Arc::new(disk.clone());
    let vfs = match bug {
        Some(bug) => Arc::new(BuggyVfs { inner: sound, bug }) as Arc<dyn Vfs>,
        None => sound,
    };
    let mut random = Random(seed);
    let lives = 2 + i32::try_from(random.below(3)).unwrap_or_default();
    let (compact, delete) = [(false, true), (false, true), (true, false), (true, true)]
        [usize::try_from(random.below(4)).unwrap_or_default()];
    let policy = CleanupPolicy { compact, delete };
    let os = random.below(3) == 0;
    // Those in which a promise was once broken, and which tests keep, stay as they were.
    let room = matches!(seed % 8, 3 | 5).then(|| Random(!seed));
    let forgets = (seed % 8 == 3).then(|| Random(seed.rotate_left(32)));
    let mut story = Story {
        disk,
        vfs,
        bug,
        random,
        room,
        forgets,
        trace: Trace { digest: 0xcbf2_9ce4_8422_2325, steps: 0 },
        ledger: Ledger::default(),
        clock: 1_000_000,
        life: 0,
        producers: (0..PRODUCERS).map(|id| (id, (0, 0))).collect(),
        fault: None,
        policy,
        os,
        cleaned_to: None,
        kept: 0,
        sync_failed: false,
    };
    let mut clean = false;
    for life in 0..lives {
        story.life = life;
        clean = story.live(clean, life + 1 < lives)?;
    }
    story.heal(clean)?;
    Ok(story.trace)
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

impl Story {
    /// Below what a user may set, so that a story rolls often.
    fn config(&self) -> LogConfig {
        LogConfig {
            segment_bytes: 2000,
            segment_ms: 700,
            index_interval_bytes: 200,
            retention_ms: -1,
            cleanup_policy: self.policy,
            delete_retention_ms: DELETE_RETENTION_MS,
            min_cleanable_dirty_ratio: 0.0,
            ..LogConfig::default()
        }
    }

    /// Opens, checks, does this and that, and ends. Returns whether it ended cleanly.
    fn live(&mut self, clean: bool, may_fail: bool) -> Result<bool, Violation> {
        let early = self.random.below(4) == 0;
        if may_fail && early {
            self.arm();
        }
        let mut log = match self.open(clean)? {
            Some(log) => log,
            None => {
                // The fault struck while the log was recovered: once more, after another power cut.
                self.power_cut();
                match self.open(false)? {
                    Some(log) => log,
                    None => return broken("L7", "the log does not open, though no fault is armed"),
                }
            }
        };
        self.examine(&mut log)?;
        if may_fail && !early && self.random.below(4) > 0 {
            self.arm();
        }
        for _ in 0..6 + self.random.below(20) {
            self.change_room(&mut log);
            self.act(&mut log)?;
        }
        self.end(log)
    }

    /// Chooses what is going to fail.
    fn arm(&mut self) {
        let nth = self.random.below(40);
        let fault = match self.random.below(6) {
            0 => Fault::Read(nth),
            1 => Fault::Write(nth),
            2 => Fault::Sync(nth / 2),
            3 => Fault::Capacity(500 + nth * 150),
            _ => Fault::Stop(nth * 2),
        };
        self.trace.note("armed", i64::try_from(nth).unwrap_or_default());
        self.fault = Some(fault);
        self.disk.inject(fault);
    }

    fn power_cut(&mut self) {
        let seed = self.random.below(u64::MAX);
        self.disk.crash(seed);
        self.disk.heal();
        (self.fault, self.sync_failed, self.kept) = (None, false, 0);
        self.trace.note("power cut", 0);
    }

    /// `None` if an armed fault kept it from opening.
    fn open(&mut self, clean: bool) -> Result<Option<Log>, Violation> {
        // As a broker does: what a killed process left in the page cache is about to be believed.
        if !clean && self.vfs.sync_dir(Path::new("/data")).is_err() {
            return if self.fault.is_none() { broken("L7", "the data directory does not sync") } else { Ok(None) };
        }
        let offset = |path: &str| read_offsets(&*self.vfs, Path::new(path)).map(|all| all.get(&partition()).copied());
        let (point, start, cleaned) = match (offset(POINTS), offset(STARTS), offset(CLEANED)) {
            (Ok(point), Ok(start), Ok(cleaned)) => (point.unwrap_or(0), start.unwrap_or(0), cleaned),
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) if self.fault.is_none() => {
                return broken("L7", format!("a checkpoint cannot be read: {error}"));
            }
            _ => return Ok(None),
        };
        if self.forgets.as_mut().is_some_and(|random| random.below(4) == 0) {
            let lost = self.disk.remove(Path::new(BOOKMARKS)).and_then(|()| self.disk.sync_dir(Path::new("/data")));
            self.trace.note("bookmarks lost", i64::from(lost.is_ok()));
        }
        let bookmark = match read_bookmarks(&*self.vfs, Path::new(BOOKMARKS)) {
            Ok(mut all) => all.remove(&partition()),
            Err(error) if self.fault.is_none() => {
                return broken("L7", format!("the bookmarks cannot be read: {error}"));
            }
            Err(_) => return Ok(None),
        };
        self.cleaned_to = cleaned;
        let options = LogOptions {
            topic_partition: partition(),
            topic_id: Uuid([1; 16]),
            config: self.config(),
            recovery_point: point,
            clean_shutdown: clean,
            log_start_offset: start,
            was_compacted: cleaned.is_some(),
            producers_max: riverrun_core::log::PRODUCERS_MAX,
            state: riverrun_core::budget::StateBudget::unlimited(),
        };
        self.trace.note(if clean { "open after a clean stop" } else { "open" }, point);
        let hints = OpenHints { bookmark: bookmark.as_ref(), progress: None };
        match Log::open_with(Arc::clone(&self.vfs), Path::new(FOLDER), options, hints) {
            Ok(mut log) => {
                if log.is_resting() && self.fault.is_some() {
                    // A fault may strike when it wakes, and does then what it does to one that is opened.
                    let _ = log.read(log.log_start_offset(), 1, i64::MAX, true);
                    if log.unreadable_reason().is_some() {
                        return Ok(None);
                    }
                }
                self.trace.note(if log.is_resting() { "opened at rest" } else { "opened" }, log.log_end_offset());
                Ok(Some(log))
            }
            Err(OpenError::Corrupt { .. } | OpenError::Discontinuous { .. } | OpenError::OtherTopic { .. })
                if matches!(self.fault, Some(Fault::Read(_))) =>
            {
                broken("L9", "a read that failed was taken for damage")
            }
            Err(error) if self.fault.is_none() => broken("L7", format!("the log does not open: {error}")),
            Err(_) => Ok(None),
        }
    }

    /// Holds the log that was just opened against the ledger.
    fn examine(&mut self, log: &mut Log) -> Result<(), Violation> {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let ledger = &self.ledger;
        if end < self.kept {
            return broken("L1", format!("a kill alone took records: the log ends at {end}, it was {}", self.kept));
        }
        if end < ledger.durable {
            return broken("L1", format!("the log ends at {end}, {} was acknowledged", ledger.durable));
        }
        let tried = ledger.unknown.keys().next_back().map_or(ledger.end, |last| ledger.end.max(last + 1));
        if end > tried {
            return broken("L4", format!("the log ends at {end}, appends got to {tried}"));
        }
        if start < ledger.start || start > ledger.start_tried.max(ledger.start) {
            return broken("L6", format!("the log starts at {start}, it was {}", ledger.start));
        }
        let found = match check::read_all(log, &mut self.random) {
            Ok(found) => found,
            // A read was armed to fail, and has.
            Err(_) if self.fault.is_some() => check::read_all(log, &mut self.random)?,
            Err(violation) => return Err(violation),
        };
        check::records(&found, ledger, log, self.clock)?;
        self.ledger.settle(found.clone(), start, end);
        // What a consumer could read must stay.
        self.ledger.durable = self.ledger.durable.max(start);
        check::sequences(&self.ledger)?;
        check::transactions(log, &self.ledger, &found, self.fault.is_some())?;
        check::times(log, &found, &mut self.random, self.fault.is_some())?;
        self.resume_producers();
        check::retries_are_known(log, &self.ledger, &self.producers, self.fault.is_some())?;
        self.trace.note("examined", end - start);
        Ok(())
    }

    /// Each producer goes on where the log says it stopped.
    fn resume_producers(&mut self) {
        for (id, (epoch, next)) in &mut self.producers {
            *next = self.ledger.last_sequence((*id, *epoch)).map_or(0, |(_, last)| last + 1);
        }
    }

    /// Restart, kill or power cut. Returns whether the next life may trust what it finds.
    fn end(&mut self, mut log: Log) -> Result<bool, Violation> {
        let was_full = matches!(self.fault, Some(Fault::Capacity(_)));
        if was_full && self.random.below(2) == 0 {
            // Room again: it goes on by itself, without a restart.
            self.disk.heal();
            self.fault = None;
            if let Some(reason) = log.offline_reason() {
                return broken("full disk", format!("the log does not resume: {reason}"));
            }
            self.append(&mut log)?;
            self.flush(&mut log)?;
        }
        match self.random.below(4) {
            0 if self.fault.is_none() => {
                if let Err(error) = log.close() {
                    return broken("L7", format!("the log does not close: {error}"));
                }
                self.ledger.durable = self.ledger.end;
                self.trace.note("closed", self.ledger.end);
                self.write_checkpoints(&log);
                // A cut of the power right after is one the log was prepared for.
                if self.random.below(2) == 0 {
                    self.power_cut();
                }
                Ok(true)
            }
            1 if !self.sync_failed => {
                drop(log);
                self.disk.heal();
                self.fault = None;
                self.kept = self.ledger.end;
                self.trace.note("killed", self.kept);
                Ok(false)
            }
            _ => {
                drop(log);
                self.power_cut();
                Ok(false)
            }
        }
    }

    /// No more faults: it opens, shows what it must, takes a record, and all is there after one more power cut; also
    /// without the files that are derived (L8).
    fn heal(&mut self, clean: bool) -> Result<(), Violation> {
        self.disk.heal();
        self.fault = None;
        let Some(mut log) = self.open(clean)? else { return broken("L7", "the healed log does not open") };
        self.examine(&mut log)?;
        self.append(&mut log)?;
        self.flush(&mut log)?;
        drop(log);
        self.power_cut();
        let derived = [".index", ".timeindex", ".txnindex", ".snapshot"];
        for name in self.disk.list(Path::new(FOLDER)).unwrap_or_default() {
            if derived.iter().any(|suffix| name.ends_with(suffix)) {
                let _ = self.disk.remove(&Path::new(FOLDER).join(name));
            }
        }
        let Some(mut log) = self.open(false)? else { return broken("L8", "it does not open without its indexes") };
        self.examine(&mut log)?;
        let end = log.log_end_offset();
        drop(log);
        let Some(mut log) = self.open(false)? else { return broken("L7", "it does not open again") };
        if log.log_end_offset() != end {
            return broken("L7", format!("it ended at {end}, and now at {}", log.log_end_offset()));
        }
        self.flip_a_bit(&mut log)
    }

    /// A bit changes on the disk: what is read is what was written, or an error (L9).
    fn flip_a_bit(&mut self, log: &mut Log) -> Result<(), Violation> {
        let path = Path::new(FOLDER).join(self.last_segment());
        let length = self.disk.open(&path).and_then(|file| file.len()).unwrap_or_default();
        if length == 0 {
            return Ok(());
        }
        let (position, bit) = (self.random.below(length), u8::try_from(self.random.below(8)).unwrap_or_default());
        self.disk.flip_bit(&path, position, bit);
        let found = check::read_until_error(log, &mut self.random);
        for (offset, entry) in &found {
            // Where offsets may be missing, nothing tells that a base offset has changed to a later one: it is not under the
            // checksum, and Kafka cannot tell either.
            let has_moved = self.policy.compact && self.ledger.has_somewhere(entry);
            if !has_moved && !self.ledger.allows(*offset, entry) {
                return broken("L9", format!("bit {bit} of byte {position} was changed, and offset {offset} with it"));
            }
        }
        self.trace.note("bit flipped", i64::try_from(found.len()).unwrap_or_default());
        Ok(())
    }

    fn last_segment(&self) -> String {
        let names = self.disk.list(Path::new(FOLDER)).unwrap_or_default();
        names.into_iter().rfind(|name| name.ends_with(".log")).unwrap_or_default()
    }
}

/// A batch that repeats what a producer has sent.
pub(crate) fn repeat(entries: &[&Entry]) -> Option<Bytes> {
    let first = entries.first()?;
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: first.producer.0,
        producer_epoch: first.producer.1,
        base_sequence: first.sequence,
        transactional: matches!(first.kind, Kind::Transactional(_)),
        ..BatchOptions::default()
    });
    for entry in entries {
        let (Kind::Plain(value) | Kind::Transactional(value)) = &entry.kind else { return None };
        let value = Some(value.as_bytes()).filter(|value| !value.is_empty());
        builder.append(entry.timestamp, Some(entry.key.as_bytes()), value, []).ok()?;
    }
    builder.build().ok()
}
