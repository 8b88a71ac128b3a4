//! Room behind the batches: who sees it, who gives it back, and what a death leaves of it.

use super::*;

const ROOM: u64 = 700;

fn length(vfs: &SimulatedVfs, base: i64) -> u64 {
    vfs.open(&Path::new(FOLDER).join(format!("{base:020}.log"))).and_then(|file| file.len()).expect("is there")
}

/// A log with three batches, synced, and room behind them.
fn with_room(vfs: &SimulatedVfs) -> Log {
    let mut log = open(vfs, small(), 0).expect("opens");
    log.set_room_bytes(ROOM);
    for number in 0..3 {
        append(&mut log, &values(1, &format!("{number}")), number).expect("appends");
        let durable = log.flush().expect("flushes");
        log.advance_high_watermark(durable);
    }
    assert!(log.room_in_bytes() > 0);
    assert_eq!(length(vfs, 0), log.size_in_bytes() + log.room_in_bytes());
    log
}

#[test]
fn batches_take_the_place_of_zeros_until_there_are_none_left() {
    let vfs = SimulatedVfs::new();
    let mut log = with_room(&vfs);
    let (before, room) = (length(&vfs, 0), log.room_in_bytes());
    append(&mut log, &values(1, "a"), 4).expect("appends");
    assert_eq!(length(&vfs, 0), before, "the file is no longer");
    assert!(log.room_in_bytes() < room);
    while length(&vfs, 0) == before {
        append(&mut log, &values(1, "a"), 5).expect("appends");
    }
    assert_eq!(log.room_in_bytes(), ROOM, "the batch that did not fit made more");
    log.set_room_bytes(0);
    append(&mut log, &["z".repeat(usize::try_from(ROOM).expect("small"))], 6).expect("appends");
    assert_eq!(length(&vfs, 0), log.size_in_bytes(), "nobody wants any");
}

#[test]
fn whoever_closes_a_segment_gives_its_room_back() {
    let vfs = SimulatedVfs::new();
    let mut log = with_room(&vfs);
    let size = log.size_in_bytes();
    log.roll().expect("rolls");
    assert_eq!(length(&vfs, 0), size);
    append(&mut log, &values(1, "b"), 7).expect("appends");
    assert!(length(&vfs, 3) > log.size_in_bytes() - size);
    let found = read_all(&mut log, 0, 99_999);
    log.close().expect("closes");
    assert_eq!(length(&vfs, 3), log.size_in_bytes() - size);
    drop(log);
    // What is cut is durable when a clean stop is told.
    vfs.crash(3);
    let mut log = Log::open(Arc::new(vfs), Path::new(FOLDER), options(small(), 4, true)).expect("opens");
    assert_eq!((log.log_end_offset(), read_all(&mut log, 0, 99_999)), (4, found));
}

#[test]
fn room_that_was_cut_off_stays_away() {
    for seed in 0..50 {
        let vfs = SimulatedVfs::new();
        let mut log = with_room(&vfs);
        let size = log.size_in_bytes();
        log.settle().expect("settles");
        log.cut_room().expect("cuts");
        log.close().expect("closes");
        drop(log);
        vfs.crash(seed);
        assert_eq!(length(&vfs, 0), size, "seed {seed}");
    }
}

#[test]
fn a_kill_leaves_room_that_the_next_opening_cuts_off_and_nobody_calls_torn() {
    let vfs = SimulatedVfs::new();
    let mut log = with_room(&vfs);
    let (size, found) = (log.size_in_bytes(), read_all(&mut log, 0, 99_999));
    drop(log);
    for point in [0, 3] {
        let mut log = open(&vfs, small(), point).expect("opens");
        assert_eq!((log.size_in_bytes(), length(&vfs, 0), log.recovery().bytes_cut), (size, size, 0));
        assert_eq!(read_all(&mut log, 0, 99_999), found);
    }
}

/// The cut of a killed process may be in the page cache only. If the log then rests, the broker stops, the power goes and the
/// bookmarks are lost, there is a log that was closed cleanly and does not end with a batch.
#[test]
fn room_that_a_power_cut_brings_back_after_a_clean_stop_is_cut_off_again() {
    let vfs = SimulatedVfs::new();
    let mut log = with_room(&vfs);
    let (size, found) = (log.size_in_bytes(), read_all(&mut log, 0, 99_999));
    log.settle().expect("settles");
    drop(log);
    let mut log = Log::open(Arc::new(vfs.clone()), Path::new(FOLDER), options(small(), 3, true)).expect("opens");
    assert_eq!((log.size_in_bytes(), length(&vfs, 0), log.recovery().bytes_cut), (size, size, 0));
    assert_eq!(read_all(&mut log, 0, 99_999), found);
    append(&mut log, &values(1, "more"), 9).expect("appends");
    assert_eq!(log.log_end_offset(), 4);
}

#[test]
fn a_power_cut_may_take_what_was_written_into_the_room_and_nothing_else() {
    for seed in 0..200 {
        let vfs = SimulatedVfs::new();
        let mut log = with_room(&vfs);
        for number in 0..4 {
            append(&mut log, &values(1, &format!("lost{number}")), 8).expect("appends");
        }
        drop(log);
        vfs.crash(seed);
        let mut log = open(&vfs, small(), 3).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = read_all(&mut log, 0, 99_999);
        assert!((3..=7).contains(&found.len()), "seed {seed}: {found:?}");
        assert_eq!(length(&vfs, 0), log.size_in_bytes(), "seed {seed}");
    }
}

#[test]
fn a_full_disk_has_no_room_and_takes_the_batch() {
    let vfs = SimulatedVfs::new();
    let mut log = open(&vfs, small(), 0).expect("opens");
    log.set_room_bytes(100_000);
    vfs.inject(Fault::Capacity(50_000));
    append(&mut log, &values(1, "a"), 1).expect("there is space for that");
    assert_eq!((log.room_in_bytes(), length(&vfs, 0)), (0, log.size_in_bytes()));
    vfs.heal();
    append(&mut log, &values(1, "b"), 2).expect("appends");
    assert_eq!(log.room_in_bytes(), 100_000);
}
