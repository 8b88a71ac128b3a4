//! Logs at rest: what a bookmark says is what the files say, and a wrong one is found out.

use super::*;
use crate::log::rest::{Bookmark, encode_bookmarks, read_bookmarks};

fn open_at(vfs: &SimulatedVfs, mark: &Bookmark, clean: bool) -> Result<Log, OpenError> {
    let hints = OpenHints { bookmark: Some(mark), progress: None };
    Log::open_with(Arc::new(vfs.clone()), Path::new(FOLDER), options(small(), mark.offset, clean), hints)
}

fn filled(vfs: &SimulatedVfs, batches: i64) -> Log {
    let mut log = open(vfs, small(), 0).expect("opens");
    for number in 0..batches {
        append(&mut log, &values(3, &format!("{number}{}", "w".repeat(50))), 1000 + number * 7).expect("appends");
    }
    log
}

#[test]
fn a_closed_log_rests_until_it_is_used() {
    let vfs = SimulatedVfs::new();
    let mut log = filled(&vfs, 30);
    log.append(producer_batch(&["p".to_owned()], 5000, 9, 0, 0), AppendOrigin::Client, LeaderEpoch(0), 5000)
        .expect("fits");
    let records = read_all(&mut log, 0, 1500);
    log.close().expect("closes");
    log.advance_high_watermark(i64::MAX);
    let mark = log.bookmark().expect("all is synced");
    let facts = |log: &Log| {
        let offsets = (log.log_start_offset(), log.log_end_offset(), log.high_watermark(), log.recovery_point());
        (offsets, log.size_in_bytes(), log.segment_count(), log.epochs().clone())
    };
    let before = facts(&log);

    let changes = vfs.changes();
    let mut log = open_at(&vfs, &mark, true).expect("opens");
    assert!(log.is_resting());
    assert_eq!(facts(&log), before);
    assert_eq!(log.bookmark().as_ref(), Some(&mark));
    log.close().expect("closes");
    assert_eq!(vfs.changes(), changes, "an idle log costs nothing");

    let mut log = open_at(&vfs, &mark, true).expect("opens");
    assert_eq!(read_all(&mut log, 0, 1500), records);
    assert!(!log.is_resting());
    assert_eq!(facts(&log), before);
    let again = producer_batch(&["p".to_owned()], 5000, 9, 0, 0);
    let known = log.append(again, AppendOrigin::Client, LeaderEpoch(0), 5000).expect("known");
    assert!(known.duplicate, "its producers come back too");
}

#[test]
fn a_log_at_rest_forgets_producers_when_it_wakes() {
    for (expired_to, is_known) in [(4_999, true), (5_000, false)] {
        let vfs = SimulatedVfs::new();
        let mut log = filled(&vfs, 3);
        let batch = producer_batch(&["p".to_owned()], 5_000, 9, 0, 0);
        log.append(batch.clone(), AppendOrigin::Client, LeaderEpoch(0), 5_000).expect("fits");
        log.close().expect("closes");
        let mark = log.bookmark().expect("all is synced");

        let mut log = open_at(&vfs, &mark, true).expect("opens");
        log.expire_producers(expired_to);
        assert!(log.is_resting(), "there is no need to wake it");
        let again = log.append(batch, AppendOrigin::Client, LeaderEpoch(0), 6_000).expect("fits");
        assert_eq!(again.duplicate, is_known);
    }
}

#[test]
fn a_log_that_nothing_was_written_to_rests_after_a_crash() {
    let vfs = SimulatedVfs::new();
    let mut log = filled(&vfs, 30);
    let records = read_all(&mut log, 0, 1500);
    log.flush().expect("syncs");
    let mark = log.bookmark().expect("all is synced");
    drop(log);
    vfs.crash(7);
    let mut log = open_at(&vfs, &mark, false).expect("opens");
    assert!(log.is_resting());
    assert_eq!(read_all(&mut log, 0, 1500), records);
}

#[test]
fn only_what_is_behind_a_bookmark_is_checked() {
    for seed in 0..60 {
        let vfs = SimulatedVfs::new();
        let mut log = filled(&vfs, 3 + seed as i64 % 40);
        log.flush().expect("syncs");
        log.settle().expect("writes");
        let mark = log.bookmark().expect("all is synced");
        append(&mut log, &values(2, "more"), 9000).expect("appends");
        append(&mut log, &values(2, "and more"), 9001).expect("appends");
        drop(log);
        // Every other time the machine dies, else the process only: the files are as it wrote them then.
        if seed % 2 == 0 {
            vfs.crash(seed);
        }
        let mut log = open_at(&vfs, &mark, false).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let checked = log.recovery().bytes_checked;
        assert!(seed % 2 == 0 || checked < 400, "seed {seed}: {checked} of {} checked", log.size_in_bytes());
        let records = read_all(&mut log, 0, 1500);
        assert!(records.len() as i64 >= mark.offset, "seed {seed}: all that was synced is there");
        let times: Vec<_> = (0..60).map(|step| log.offset_for_time(1000 + step * 5).expect("reads")).collect();
        drop(log);
        let mut log = open(&vfs, small(), mark.offset).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(read_all(&mut log, 0, 1500), records, "seed {seed}: as a walk of the whole finds it");
        let again: Vec<_> = (0..60).map(|step| log.offset_for_time(1000 + step * 5).expect("reads")).collect();
        assert_eq!(again, times, "seed {seed}");
    }
}

/// A bookmark that is older than the epochs: what is behind it begins with the epoch of the bookmark.
#[test]
fn epochs_that_began_behind_a_bookmark_are_no_damage() {
    let vfs = SimulatedVfs::new();
    let mut log = filled(&vfs, 4);
    log.flush().expect("syncs");
    log.settle().expect("writes");
    let mark = log.bookmark().expect("all is synced");
    for epoch in [0, 1] {
        log.append(batch(&values(1, "more"), 9000), AppendOrigin::Client, LeaderEpoch(epoch), 9000).expect("appends");
    }
    log.flush().expect("syncs, and writes the epochs");
    let epochs = log.epochs().clone();
    drop(log);
    let log = open_at(&vfs, &mark, false).expect("opens");
    assert_eq!((log.log_end_offset(), log.epochs()), (14, &epochs));
}

/// A snapshot of batches that a crash took is not believed when a log that rested is woken: new batches of the producer
/// would be taken for retries.
#[test]
fn a_log_that_rests_forgets_what_was_lost() {
    let vfs = SimulatedVfs::new();
    let mut log = filled(&vfs, 2);
    log.flush().expect("syncs");
    let mark = log.bookmark().expect("all is synced");
    let send = |log: &mut Log, sequence| {
        log.append(producer_batch(&values(1, "p"), 10, 7, 0, sequence), AppendOrigin::Client, LeaderEpoch(0), 10)
    };
    assert_eq!(send(&mut log, 0).expect("appends").base_offset, 6);
    log.roll().expect("rolls");
    drop(log);
    // What a power cut may leave: the snapshot, but not what it stands for.
    vfs.remove(&Path::new(FOLDER).join(format!("{:020}.log", 7))).expect("removes");
    let file = Path::new(FOLDER).join(format!("{:020}.log", 0));
    vfs.open(&file).and_then(|file| file.truncate(mark.position)).expect("cuts");
    for clean in [false, true] {
        let mut log = open_at(&vfs, &mark, clean).expect("opens");
        assert!(log.is_resting());
        if clean {
            assert!(!log.read(0, 1, 6, true).expect("reads").records.is_empty());
            let info = send(&mut log, 0).expect("appends");
            assert!(!info.duplicate && info.base_offset == 6, "{info:?}");
        }
    }
}

/// Where DeleteRecords had moved the start beyond what is left, it stays there.
#[test]
fn a_log_does_not_rest_before_its_start() {
    let vfs = SimulatedVfs::new();
    let mut log = filled(&vfs, 2);
    log.flush().expect("syncs");
    let mark = log.bookmark().expect("all is synced");
    drop(log);
    let hints = OpenHints { bookmark: Some(&mark), progress: None };
    let options = LogOptions { log_start_offset: 8, ..options(small(), mark.offset, false) };
    let log = Log::open_with(Arc::new(vfs), Path::new(FOLDER), options, hints).expect("opens");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (8, 8));
}

#[test]
fn a_log_that_was_changed_while_it_rested_goes_offline() {
    let vfs = SimulatedVfs::new();
    let mut log = filled(&vfs, 2);
    log.close().expect("closes");
    let mark = log.bookmark().expect("all is synced");
    let file = Path::new(FOLDER).join(format!("{:020}.log", mark.segment));
    vfs.open(&file).and_then(|file| file.truncate(mark.position - 1)).expect("cuts");
    let mut log = open_at(&vfs, &mark, true).expect("rests");
    let refused = append(&mut log, &values(1, "x"), 1).expect_err("offline");
    assert!(matches!(refused, AppendError::Offline { .. }), "{refused}");
    let refused = log.read(0, 100, 6, true).expect_err("offline");
    assert!(matches!(refused, ReadError::Offline { .. }), "{refused}");
    assert_eq!(log.bookmark(), None, "the next start looks at all of it");
}

#[test]
fn bookmarks_read_back_and_a_spoilt_file_counts_as_none() {
    let vfs = SimulatedVfs::in_memory();
    let path = Path::new("/data/riverrun-bookmarks");
    vfs.create_dir_all(Path::new("/data")).expect("a folder");
    assert!(read_bookmarks(&vfs, path).expect("none is fine").is_empty());
    let mark = |offset: i64, epochs: &[(i32, i64)]| Bookmark {
        topic_id: Uuid([3; 16]),
        log_start_offset: 2,
        offset,
        segment: 5,
        position: 700,
        bytes_before: 1 << 40,
        segment_count: 3,
        at_end: offset > 10,
        open_transactions: offset <= 10,
        oldest_timestamp: (offset > 10).then_some(-1),
        epochs: LeaderEpochs::new(epochs.iter().copied()),
    };
    let marks = BTreeMap::from([
        (TopicPartition::new("a", 0), mark(10, &[])),
        (TopicPartition::new("a", 1), mark(11, &[(0, 0), (3, 7)])),
    ]);
    let text = encode_bookmarks(marks.iter());
    let write = |text: &str| crate::log::checkpoint::write_text(&vfs, path, text).expect("writes");
    write(&text);
    assert_eq!(read_bookmarks(&vfs, path).expect("reads"), marks);
    for spoilt in [&text[..text.len() - 9], "0\n1\na 0 x", "7\n0\n", ""] {
        write(spoilt);
        assert!(read_bookmarks(&vfs, path).expect("reads").is_empty(), "{spoilt:?}");
    }
}

#[test]
fn the_indexes_of_a_long_log_take_bounded_memory() {
    let vfs = SimulatedVfs::new();
    let mut log = filled(&vfs, 600);
    let held = |log: &Log| log.segments.values().map(crate::log::segment::Segment::index_memory).sum::<usize>();
    let largest = log.segments.values().map(crate::log::segment::Segment::index_memory).max().expect("one");
    assert!(log.segment_count() > 40);
    let records = read_all(&mut log, 0, 700);
    log.close().expect("closes");
    let mut log = reopened(&vfs, records.len() as i64);
    for from in [0, 900, 300, 1200, 5] {
        let expected: BTreeMap<_, _> =
            records.range(from..).map(|(offset, record)| (*offset, record.clone())).collect();
        assert_eq!(read_all(&mut log, from, 700), expected);
        assert!(held(&log) <= 1024 + 4 * largest.max(512), "{} bytes", held(&log));
    }
    assert_eq!(log.offset_of_max_timestamp().expect("reads").map(|found| found.offset), Some(1799));
    assert!(held(&log) <= 1024 + 4 * largest.max(512), "{} bytes", held(&log));
}

fn reopened(vfs: &SimulatedVfs, recovery_point: i64) -> Log {
    Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), options(small(), recovery_point, true)).expect("opens")
}

/// A bookmark at the very end of a segment that was closed later: nothing has synced that segment's indexes, and an
/// opening that takes the bookmark's word for the segment must not take theirs for good.
#[test]
fn the_indexes_of_a_segment_that_ends_at_a_bookmark_are_written_anew() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, LogConfig { index_interval_bytes: 0, ..small() }, 0).expect("opens");
    let send = |log: &mut Log, time| append(log, &values(1, "w"), time).expect("appends").base_offset;
    assert!((0..8).all(|number| send(&mut log, 2000 + number * 10) == number));
    log.settle().expect("writes");
    log.flush().expect("syncs");
    let mark = log.bookmark().expect("all is synced");
    log.roll().expect("rolls");
    send(&mut log, 3000);
    drop(log);
    // What a power cut may leave of files that were not synced.
    for (suffix, entries) in [("index", 3 * 8), ("timeindex", 3 * 12)] {
        let file = vfs.open(&Path::new(FOLDER).join(format!("{:020}.{suffix}", 0))).expect("is there");
        assert!(file.len().expect("has a length") > entries);
        file.truncate(entries).expect("cuts");
    }
    let mut log = open_at(&vfs, &mark, false).expect("opens");
    send(&mut log, 4000);
    let synced = log.flush().expect("syncs");
    drop(log);
    let mut log = open(&vfs, small(), synced).expect("opens");
    for number in 0..8 {
        let time = 2000 + number * 10;
        let found = log.offset_for_time(time).expect("reads").map(|found| (found.offset, found.timestamp));
        assert_eq!(found, Some((number, time)));
    }
}

#[test]
fn an_opening_that_is_stopped_costs_nothing_but_the_next_one() {
    let vfs = SimulatedVfs::new();
    let mut log = filled(&vfs, 30);
    let records = read_all(&mut log, 0, 1500);
    log.flush().expect("syncs");
    drop(log);
    vfs.crash(5);
    let progress = OpenProgress::default();
    progress.stop();
    let hints = OpenHints { bookmark: None, progress: Some(&progress) };
    let stopped = Log::open_with(Arc::new(vfs.clone()), Path::new(FOLDER), options(small(), 0, false), hints);
    assert!(matches!(stopped, Err(OpenError::Stopped)), "{stopped:?}");
    vfs.crash(6);
    let mut log = open(&vfs, small(), 0).expect("opens");
    assert_eq!(read_all(&mut log, 0, 1500), records);
}
