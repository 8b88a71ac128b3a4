//! Transactions in a log: what a reader of committed records sees, who is fenced, and that derived files matter not.

use super::*;

fn send(log: &mut Log, id: i64, epoch: i16, sequence: i32, transactional: bool) -> Result<AppendInfo, AppendError> {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: id,
        producer_epoch: epoch,
        base_sequence: sequence,
        transactional,
        ..BatchOptions::default()
    });
    builder.append(10, Some(b"k"), Some(&id.to_be_bytes()), []).expect("fits");
    let info = log.append(builder.build().expect("builds"), AppendOrigin::Client, LeaderEpoch(0), 10);
    log.advance_high_watermark(i64::MAX);
    info
}

fn order(producer_id: i64, producer_epoch: i16, commit: bool) -> TransactionMarker {
    TransactionMarker { producer_id, producer_epoch, commit, coordinator_epoch: 0, transaction_version: 0 }
}

fn end(log: &mut Log, marker: TransactionMarker) -> Result<AppendInfo, AppendError> {
    let info = log.append_marker(&marker, LeaderEpoch(0), 11);
    log.advance_high_watermark(i64::MAX);
    info
}

fn aborted(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTransaction {
    AbortedTransaction { producer_id, first_offset, last_offset }
}

fn log_in(vfs: &SimulatedVfs) -> Log {
    open(vfs, small(), 0).expect("opens")
}

#[test]
fn the_last_stable_offset_waits_for_the_earliest_open_transaction() {
    let mut log = log_in(&SimulatedVfs::new());
    send(&mut log, 1, 0, 0, false).expect("appends");
    send(&mut log, 2, 0, 0, true).expect("appends");
    send(&mut log, 3, 0, 0, true).expect("appends");
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (1, 3));
    assert!(log.has_open_transaction(2, 0) && !log.has_open_transaction(2, 1) && !log.has_open_transaction(1, 0));
    end(&mut log, order(3, 0, false)).expect("appends");
    assert_eq!(log.last_stable_offset(), 1);
    end(&mut log, order(2, 0, true)).expect("appends");
    assert_eq!(log.last_stable_offset(), 5);
    assert_eq!(log.aborted_transactions(0, 5).expect("readable"), [aborted(3, 2, 3)]);
    assert_eq!(log.aborted_transactions(4, 5).expect("readable"), []);
    assert_eq!(log.aborted_transactions(0, 2).expect("readable"), []);
}

#[test]
fn a_marker_that_is_not_committed_yet_holds_the_last_stable_offset() {
    let mut log = log_in(&SimulatedVfs::new());
    send(&mut log, 2, 0, 0, true).expect("appends");
    log.append_marker(&order(2, 0, true), LeaderEpoch(0), 11).expect("appends");
    assert_eq!((log.last_stable_offset(), log.high_watermark(), log.log_end_offset()), (0, 1, 2));
    log.advance_high_watermark(2);
    assert_eq!(log.last_stable_offset(), 2);
}

#[test]
fn zombies_are_fenced() {
    let mut log = log_in(&SimulatedVfs::new());
    send(&mut log, 2, 3, 0, true).expect("appends");
    let outside = send(&mut log, 2, 3, 1, false);
    assert!(matches!(outside, Err(AppendError::Producer(ProducerError::NotInTransaction { producer_id: 2 }))));
    let old = end(&mut log, order(2, 2, true));
    assert!(matches!(old, Err(AppendError::Producer(ProducerError::Fenced { got: 2, current: 3, .. }))));
    // The coordinator fences the producer with a marker of a higher epoch.
    end(&mut log, TransactionMarker { coordinator_epoch: 5, ..order(2, 4, false) }).expect("appends");
    let old = send(&mut log, 2, 3, 1, true);
    assert!(matches!(old, Err(AppendError::Producer(ProducerError::Fenced { got: 3, current: 4, .. }))));
    let gap = send(&mut log, 2, 4, 1, true);
    assert!(matches!(gap, Err(AppendError::Producer(ProducerError::OutOfOrderSequence { expected_after: -1, .. }))));
    send(&mut log, 2, 4, 0, true).expect("a new session begins at 0");
    let old = end(&mut log, TransactionMarker { coordinator_epoch: 4, ..order(2, 4, true) });
    assert!(matches!(old, Err(AppendError::Producer(ProducerError::CoordinatorFenced { got: 4, current: 5, .. }))));
    assert_eq!(log.log_end_offset(), 3, "nothing of what was refused is in the log");
    let [producer] = log.active_producers().try_into().expect("one");
    let expected = ActiveProducer {
        producer_id: 2,
        producer_epoch: 4,
        last_sequence: Some(0),
        last_timestamp: Some(10),
        coordinator_epoch: Some(5),
        transaction_first_offset: Some(2),
    };
    assert_eq!(producer, expected);
}

#[test]
fn with_an_epoch_for_each_transaction_a_late_marker_ends_nothing() {
    let mut log = log_in(&SimulatedVfs::new());
    let v2 = |epoch, commit| TransactionMarker { transaction_version: 2, ..order(2, epoch, commit) };
    send(&mut log, 2, 0, 0, true).expect("appends");
    let same = end(&mut log, v2(0, true));
    assert!(matches!(same, Err(AppendError::Producer(ProducerError::Fenced { got: 0, current: 0, .. }))));
    end(&mut log, v2(1, true)).expect("appends");
    end(&mut log, v2(1, true)).expect("a retry, with nothing open");
    send(&mut log, 2, 1, 0, true).expect("the next transaction");
    assert!(end(&mut log, v2(1, false)).is_err(), "T5: the marker of the transaction before does not end this one");
    assert_eq!(log.last_stable_offset(), 3);
    end(&mut log, v2(2, false)).expect("appends");
    assert_eq!(log.aborted_transactions(0, 99).expect("readable"), [aborted(2, 3, 4)]);
}

#[test]
fn a_marker_without_records_moves_nothing() {
    let mut log = log_in(&SimulatedVfs::new());
    end(&mut log, order(9, 0, false)).expect("appends");
    assert_eq!((log.last_stable_offset(), log.log_end_offset()), (1, 1));
    assert_eq!(log.aborted_transactions(0, 9).expect("readable"), []);
    assert!(send(&mut log, 9, 0, 3, true).is_err(), "the producer is known and has written nothing");
    send(&mut log, 9, 0, 0, true).expect("appends");
}

#[test]
fn an_open_transaction_outlives_retention_and_its_producer_expiry() {
    let mut log = log_in(&SimulatedVfs::new());
    send(&mut log, 1, 0, 0, false).expect("appends");
    log.roll().expect("rolls");
    send(&mut log, 2, 0, 0, true).expect("appends");
    log.roll().expect("rolls");
    send(&mut log, 1, 0, 1, false).expect("appends");
    log.set_config(LogConfig { retention_ms: 0, ..small() });
    assert_eq!(log.delete_segments(1_000_000).expect("deletes"), 1);
    assert_eq!((log.log_start_offset(), log.last_stable_offset()), (1, 1));
    log.expire_producers(1_000_000);
    assert_eq!(log.active_producers().len(), 1);
    // DeleteRecords goes to the high watermark, as in Kafka, and takes the last stable offset along.
    log.delete_records(3).expect("in range");
    assert_eq!((log.log_start_offset(), log.last_stable_offset()), (3, 3));
    end(&mut log, order(2, 0, false)).expect("appends");
    assert_eq!(log.last_stable_offset(), 4);
}

#[test]
fn records_that_begin_a_transaction_are_verified() {
    let mut log = log_in(&SimulatedVfs::new());
    let start =
        |sequence| TransactionStart { producer_id: 2, producer_epoch: 0, base_sequence: sequence, raises_epoch: true };
    let send = |log: &mut Log, sequence, guard| {
        let options = BatchOptions {
            producer_id: 2,
            producer_epoch: 0,
            base_sequence: sequence,
            transactional: true,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        builder.append(10, Some(b"k"), None, []).expect("fits");
        let info =
            log.append_verified(builder.build().expect("builds"), AppendOrigin::Client, guard, LeaderEpoch(0), 10);
        log.advance_high_watermark(i64::MAX);
        info
    };
    let refused = send(&mut log, 0, None);
    assert!(matches!(refused, Err(AppendError::Producer(ProducerError::NotVerified { producer_id: 2 }))));
    // Two requests wait for the coordinator; the second overtakes the first.
    let guard = log.begin_verification(&start(0), 1).expect("nothing is open");
    assert_eq!(log.begin_verification(&start(1), 1), Some(guard));
    let early = send(&mut log, 1, Some(guard));
    assert!(matches!(early, Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. }))));
    send(&mut log, 0, Some(guard)).expect("verified");
    assert_eq!(log.begin_verification(&start(1), 1), None, "it is open");
    send(&mut log, 1, None).expect("goes on");
    assert!(send(&mut log, 1, None).expect("a retry").duplicate);
    end(&mut log, order(2, 0, true)).expect("appends");
    assert!(send(&mut log, 2, Some(guard)).is_err(), "a guard serves once");

    // The transaction is aborted while its first records are still on their way.
    let guard = log.begin_verification(&start(2), 1).expect("nothing is open");
    end(&mut log, order(2, 0, false)).expect("appends");
    let late = send(&mut log, 2, Some(guard));
    assert!(matches!(late, Err(AppendError::Producer(ProducerError::NotVerified { producer_id: 2 }))));
    assert_eq!(log.last_stable_offset(), log.log_end_offset(), "T6: nothing hangs");
}

/// The list of aborted transactions names none whose marker a power cut took back, and which was committed since: its
/// readers would pass over committed records.
#[test]
fn an_abort_that_was_lost_is_not_remembered() {
    let mut told = 0;
    for seed in 0..200 {
        let vfs = SimulatedVfs::new();
        let mut log = log_in(&vfs);
        send(&mut log, 1, 0, 0, true).expect("appends");
        log.flush().expect("flushes");
        end(&mut log, order(1, 0, false)).expect("appends");
        log.roll().expect("rolls, and writes the list");
        drop(log);
        vfs.crash(seed);
        let mut log = open(&vfs, small(), 1).expect("opens");
        if log.log_end_offset() > 1 {
            continue;
        }
        end(&mut log, order(1, 0, true)).expect("appends");
        log.roll().expect("rolls");
        assert_eq!(log.flush().expect("flushes"), 2);
        drop(log);
        vfs.crash(seed);
        let mut log = open(&vfs, small(), 2).expect("opens");
        assert_eq!(log.aborted_transactions(0, 2).expect("readable"), [], "seed {seed}");
        told += 1;
    }
    assert!(told > 20, "the marker was lost in {told} cases only");
}

/// Where the start of a log has survived a power cut and its records have not, no transaction among them stays open.
#[test]
fn nothing_is_open_in_a_log_that_begins_anew() {
    let vfs = SimulatedVfs::new();
    let mut log = log_in(&vfs);
    send(&mut log, 1, 0, 0, true).expect("appends");
    log.flush().expect("flushes");
    drop(log);
    let options = LogOptions { log_start_offset: 5, ..options(small(), 0, false) };
    let log = Log::open(Arc::new(vfs), Path::new(FOLDER), options).expect("opens");
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.high_watermark()), (5, 5, 5));
    assert!(!log.has_open_transaction(1, 0));
    let mut log = log;
    send(&mut log, 2, 0, 0, false).expect("appends");
    assert_eq!(log.last_stable_offset(), 6);
}
