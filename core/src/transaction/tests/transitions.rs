//! Each row of the transition table, the rows of the protocol's two versions, and a crash after each.

use super::harness::{Broker, ID, Outcome, TIMEOUT_MS, partition, producer};
use crate::{
    ProducerId,
    protocol::{
        ErrorCode, encode_key, encode_versioned,
        records::{TransactionLogKey, TransactionLogValue, transaction_log::PartitionsSchema},
    },
    transaction::{
        InitRequest, ListFilter, ProducerIdAndEpoch, TransactionState, TransactionVersion, decode_record,
        encode_record, partition_for_transactional_id,
    },
};

const V0: TransactionVersion = TransactionVersion::V0;
const V2: TransactionVersion = TransactionVersion::V2;

/// A broker whose producer has come as far as `state`.
fn broker_in(state: TransactionState, version: TransactionVersion) -> (Broker, ProducerIdAndEpoch) {
    let mut broker = Broker::new();
    let mut me = broker.init().unwrap();
    let (commit, complete) = match state {
        TransactionState::Empty => return (broker, me),
        TransactionState::Ongoing => (None, false),
        TransactionState::PrepareCommit => (Some(true), false),
        TransactionState::PrepareAbort => (Some(false), false),
        TransactionState::CompleteCommit => (Some(true), true),
        TransactionState::CompleteAbort => (Some(false), true),
        other => panic!("no producer comes to {other:?}"),
    };
    broker.add(me, version, 0).unwrap();
    if let Some(commit) = commit {
        me = broker.end(me, version, commit).unwrap();
    }
    if complete {
        broker.write_markers();
    }
    assert_eq!(broker.state(), state);
    (broker, me)
}

const STATES: [TransactionState; 6] = [
    TransactionState::Empty,
    TransactionState::Ongoing,
    TransactionState::PrepareCommit,
    TransactionState::PrepareAbort,
    TransactionState::CompleteCommit,
    TransactionState::CompleteAbort,
];

/// Runs `step` in every state, with and without a crash before it; gives the codes and the states after it.
fn in_every_state<T>(
    version: TransactionVersion,
    step: impl Fn(&mut Broker, ProducerIdAndEpoch) -> Outcome<T>,
) -> Vec<(Option<ErrorCode>, TransactionState)> {
    let run = |state, crash| {
        let (mut broker, me) = broker_in(state, version);
        if crash {
            broker.restart();
        }
        let outcome = step(&mut broker, me);
        (outcome.err(), broker.state())
    };
    let all = STATES.map(|state| run(state, false));
    assert_eq!(all, STATES.map(|state| run(state, true)), "a crash changes nothing");
    all.to_vec()
}

#[test]
fn add_partitions() {
    use TransactionState::{Ongoing, PrepareAbort, PrepareCommit};
    let busy = Some(ErrorCode::ConcurrentTransactions);
    for version in [V0, V2] {
        let expected = [
            (None, Ongoing),
            (None, Ongoing),
            (busy, PrepareCommit),
            (busy, PrepareAbort),
            (None, Ongoing),
            (None, Ongoing),
        ];
        assert_eq!(in_every_state(version, |broker, me| broker.add(me, version, 1)), expected);
    }
}

#[test]
fn end_of_the_first_protocol() {
    use TransactionState::{CompleteAbort, CompleteCommit, Empty, PrepareAbort, PrepareCommit};
    let (busy, invalid) = (Some(ErrorCode::ConcurrentTransactions), Some(ErrorCode::InvalidTxnState));
    let (commits, aborts): (Vec<_>, Vec<_>) =
        (in_every_state(V0, |b, me| b.end(me, V0, true)), in_every_state(V0, |b, me| b.end(me, V0, false)));
    let unchanged = [(busy, PrepareCommit), (busy, PrepareAbort)];
    assert_eq!(commits[..2], [(invalid, Empty), (None, PrepareCommit)]);
    assert_eq!((&commits[2..4], &aborts[2..4]), (&unchanged[..], &unchanged[..]));
    assert_eq!(commits[4..], [(None, CompleteCommit), (invalid, CompleteAbort)]);
    assert_eq!(aborts[..2], [(invalid, Empty), (None, PrepareAbort)]);
    assert_eq!(aborts[4..], [(invalid, CompleteCommit), (None, CompleteAbort)]);
}

#[test]
fn end_of_the_second_protocol_with_the_current_epoch() {
    use TransactionState::{CompleteAbort, CompleteCommit, Empty, PrepareAbort, PrepareCommit};
    let (busy, invalid) = (Some(ErrorCode::ConcurrentTransactions), Some(ErrorCode::InvalidTxnState));
    let commits = in_every_state(V2, |b, me| b.end(me, V2, true));
    let expected = [
        (invalid, Empty),
        (None, PrepareCommit),
        (busy, PrepareCommit),
        (busy, PrepareAbort),
        (invalid, CompleteCommit),
        (invalid, CompleteAbort),
    ];
    assert_eq!(commits, expected);
    let aborts = in_every_state(V2, |b, me| b.end(me, V2, false));
    let prepared = (None, PrepareAbort);
    assert_eq!(aborts, [prepared, prepared, (busy, PrepareCommit), (busy, PrepareAbort), prepared, prepared]);
}

#[test]
fn a_retried_end_of_the_second_protocol_succeeds_with_the_epoch_before() {
    for commit in [true, false] {
        let state = if commit { TransactionState::CompleteCommit } else { TransactionState::CompleteAbort };
        let (mut broker, me) = broker_in(state, V2);
        let before = ProducerIdAndEpoch { epoch: crate::ProducerEpoch(me.epoch.0 - 1), ..me };
        broker.restart();
        assert_eq!(broker.end(before, V2, commit), Ok(me));
        assert_eq!(broker.end(before, V2, !commit), Err(ErrorCode::InvalidTxnState));
        let long_before = ProducerIdAndEpoch { epoch: crate::ProducerEpoch(me.epoch.0 - 2), ..me };
        assert_eq!(broker.end(long_before, V2, commit), Err(ErrorCode::ProducerFenced));
        let other = producer(7, me.epoch.0);
        assert_eq!(broker.end(other, V2, commit), Err(ErrorCode::InvalidProducerIdMapping));
        assert_eq!(broker.state(), state);
    }
}

#[test]
fn init_fences_and_aborts() {
    use TransactionState::{Empty, PrepareAbort, PrepareCommit};
    let busy = Some(ErrorCode::ConcurrentTransactions);
    let expected = [
        (None, Empty),
        (busy, PrepareAbort),
        (busy, PrepareCommit),
        (busy, PrepareAbort),
        (None, Empty),
        (None, Empty),
    ];
    for version in [V0, V2] {
        assert_eq!(in_every_state(version, |broker, _| broker.init()), expected);
    }
    let (mut broker, old) = broker_in(TransactionState::Ongoing, V2);
    assert_eq!(broker.init(), Err(ErrorCode::ConcurrentTransactions));
    broker.write_markers();
    let new = broker.init().unwrap();
    assert_eq!(new, producer(old.id.0, old.epoch.0 + 2), "one for the abort, one for the producer");
    assert_eq!(broker.add(old, V2, 0), Err(ErrorCode::ProducerFenced));
    assert_eq!(broker.end(old, V2, true), Err(ErrorCode::ProducerFenced));
    assert_eq!(broker.end(old, V0, true), Err(ErrorCode::ProducerFenced));
    assert!(!broker.write(ID, old, 0, 0));
}

#[test]
fn a_producer_may_go_on_with_the_next_epoch() {
    let mut broker = Broker::new();
    let first = broker.init().unwrap();
    let second = broker.init_with(ID, Some(first)).unwrap();
    assert_eq!(second, producer(first.id.0, 1));
    // The answer was lost: the same again.
    assert_eq!(broker.init_with(ID, Some(first)), Ok(second));
    let third = broker.init_with(ID, None).unwrap();
    assert_eq!(third, producer(first.id.0, 2));
    for fenced in [first, second] {
        assert_eq!(broker.init_with(ID, Some(fenced)), Err(ErrorCode::ProducerFenced), "{fenced}");
    }
    assert_eq!(broker.init_with(ID, Some(producer(7, 2))), Err(ErrorCode::ProducerFenced));
    // One that nobody knows is a new one, whatever it believes.
    assert_eq!(broker.init_with("new", Some(producer(7, 3))).map(|new| new.epoch.0), Ok(0));
}

#[test]
fn used_up_epochs_bring_a_new_producer_id() {
    let mut broker = Broker::new();
    broker.init().unwrap();
    let last = broker.set_epoch(i16::MAX - 1);
    let rotated = broker.init_with(ID, Some(last)).unwrap();
    assert_eq!((rotated.epoch.0, rotated.id == last.id), (0, false));
    assert_eq!(broker.add(last, V2, 0), Err(ErrorCode::InvalidProducerIdMapping));
    // The answer was lost: the producer asks with the id before.
    let again = broker.init_with(ID, Some(last)).unwrap();
    assert_eq!(again, rotated);
}

#[test]
fn used_up_epochs_rotate_at_the_end_of_a_transaction() {
    for crash in [false, true] {
        let mut broker = Broker::new();
        broker.init().unwrap();
        let last = broker.set_epoch(i16::MAX - 1);
        broker.add(last, V2, 0).unwrap();
        let next = broker.end(last, V2, true).unwrap();
        assert_eq!((next.epoch.0, next.id == last.id), (0, false));
        let markers = broker.shard.markers(ID).unwrap();
        assert_eq!(markers.producer, producer(last.id.0, i16::MAX));
        assert_eq!(broker.add(next, V2, 0), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(broker.end(last, V2, true), Err(ErrorCode::ConcurrentTransactions));
        if crash {
            broker.restart();
        }
        broker.write_markers();
        assert_eq!(broker.end(last, V2, true), Ok(next), "a retry over the rotation");
        assert_eq!(broker.add(last, V2, 0), Err(ErrorCode::InvalidProducerIdMapping));
        broker.add(next, V2, 0).unwrap();
    }
}

#[test]
fn fencing_with_used_up_epochs_rotates() {
    let mut broker = Broker::new();
    broker.init().unwrap();
    let last = broker.set_epoch(i16::MAX - 1);
    broker.add(last, V0, 0).unwrap();
    broker.pass(i64::from(TIMEOUT_MS));
    assert_eq!(broker.state(), TransactionState::PrepareAbort);
    broker.write_markers();
    let value = broker.shard.get(ID).unwrap();
    assert_eq!((value.state, value.producer.epoch.0), (TransactionState::CompleteAbort, 0));
    assert_ne!(value.producer.id, last.id);
}

#[test]
fn an_open_transaction_is_aborted_when_its_time_is_up() {
    for (version, crash) in [(V0, false), (V0, true), (V2, false), (V2, true)] {
        let (mut broker, me) = broker_in(TransactionState::Ongoing, version);
        broker.pass(i64::from(TIMEOUT_MS) - 1);
        // More partitions give it no more time.
        broker.add(me, version, 1).unwrap();
        assert_eq!(broker.state(), TransactionState::Ongoing);
        if crash {
            broker.restart();
        }
        broker.pass(1);
        assert_eq!(broker.state(), TransactionState::PrepareAbort);
        let markers = broker.shard.markers(ID).unwrap();
        assert_eq!((markers.producer, markers.commit), (producer(me.id.0, me.epoch.0 + 1), false));
        assert_eq!(markers.partitions, [partition(0), partition(1)]);
        broker.write_markers();
        assert_eq!(broker.add(me, version, 0), Err(ErrorCode::ProducerFenced));
        let told = broker.end(me, V2, false).unwrap();
        assert_eq!(told, markers.producer, "an abort of what is aborted tells the epoch to go on with");
        assert_eq!(broker.end(me, V0, false), Err(ErrorCode::ProducerFenced));
    }
}

#[test]
fn unused_ids_are_forgotten() {
    let week_ms = 7 * 24 * 60 * 60 * 1_000;
    for state in [TransactionState::Empty, TransactionState::CompleteCommit, TransactionState::CompleteAbort] {
        let (mut broker, me) = broker_in(state, V2);
        broker.pass(week_ms - 1);
        assert_eq!(broker.state(), state);
        broker.pass(1);
        assert_eq!(broker.state(), TransactionState::Dead);
        assert_eq!(broker.add(me, V2, 0), Err(ErrorCode::InvalidProducerIdMapping));
        assert_eq!(broker.shard.next_deadline(), None);
        assert_ne!(broker.init().unwrap().id, me.id);
    }
    let (mut broker, _) = broker_in(TransactionState::PrepareCommit, V2);
    broker.pass(10 * week_ms);
    assert_eq!(broker.state(), TransactionState::PrepareCommit, "markers are owed for ever");
}

#[test]
fn a_transaction_of_nothing_can_be_aborted() {
    let (mut broker, me) = broker_in(TransactionState::Empty, V2);
    let next = broker.end(me, V2, false).unwrap();
    assert_eq!(broker.shard.markers(ID).unwrap().partitions, []);
    broker.write_markers();
    assert_eq!(broker.state(), TransactionState::CompleteAbort);
    broker.add(next, V2, 0).unwrap();
}

#[test]
fn late_completions_do_not_touch_the_next_transaction() {
    let (mut broker, me) = broker_in(TransactionState::PrepareCommit, V2);
    let late = broker.shard.markers(ID).unwrap();
    broker.write_markers();
    broker.add(me, V2, 1).unwrap();
    broker.end(me, V2, false).unwrap();
    let decision = broker.shard.complete(&late.transactional_id, late.producer, broker.now_ms);
    assert!(decision.records.is_empty());
    assert_eq!(broker.state(), TransactionState::PrepareAbort);
}

#[test]
fn refusals_before_anything_is_looked_up() {
    let mut broker = Broker::new();
    let good = InitRequest {
        transactional_id: ID.into(),
        timeout_ms: TIMEOUT_MS,
        expected: None,
        two_phase_commit: false,
        keep_prepared: false,
    };
    let refused = [
        (InitRequest { transactional_id: "".into(), ..good.clone() }, ErrorCode::InvalidRequest),
        (InitRequest { timeout_ms: 0, ..good.clone() }, ErrorCode::InvalidTransactionTimeout),
        (InitRequest { timeout_ms: 900_001, ..good.clone() }, ErrorCode::InvalidTransactionTimeout),
        (InitRequest { two_phase_commit: true, ..good.clone() }, ErrorCode::TransactionalIdAuthorizationFailed),
        (InitRequest { keep_prepared: true, ..good }, ErrorCode::UnsupportedVersion),
    ];
    for (request, code) in refused {
        assert_eq!(broker.init_as(&request), Err(code));
    }
    assert_eq!(broker.add(producer(1, 0), V0, 0), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(broker.end(producer(1, 0), V0, true), Err(ErrorCode::InvalidProducerIdMapping));
    assert!(broker.log.is_empty());
}

#[test]
fn verification_knows_only_the_open_transaction() {
    let (mut broker, me) = broker_in(TransactionState::Ongoing, V0);
    let verify = |broker: &Broker, me, index| {
        broker.shard.verify(&ID.into(), me, &partition(index)).map_err(|error| ErrorCode::from(&error))
    };
    assert_eq!(verify(&broker, me, 0), Ok(()));
    assert_eq!(verify(&broker, me, 1), Err(ErrorCode::TransactionAbortable));
    assert_eq!(verify(&broker, producer(me.id.0, 9), 0), Err(ErrorCode::ProducerFenced));
    assert_eq!(verify(&broker, producer(9, 0), 0), Err(ErrorCode::InvalidProducerIdMapping));
    broker.end(me, V0, true).unwrap();
    assert_eq!(verify(&broker, me, 0), Err(ErrorCode::ConcurrentTransactions));
    broker.write_markers();
    assert_eq!(verify(&broker, me, 0), Err(ErrorCode::TransactionAbortable));
}

#[test]
fn listing_and_describing() {
    let (mut broker, me) = broker_in(TransactionState::Ongoing, V2);
    broker.init_with("other", None).unwrap();
    broker.now_ms += 500;
    let list = |filter: &ListFilter| {
        let listed = broker.shard.list(filter, |id| id != "none", broker.now_ms);
        listed.into_iter().map(|listed| listed.transactional_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(&ListFilter::default()), ["other", ID]);
    let states = Some([TransactionState::Ongoing].into());
    assert_eq!(list(&ListFilter { states, ..Default::default() }), [ID]);
    assert_eq!(list(&ListFilter { producer_ids: [me.id].into(), ..Default::default() }), [ID]);
    assert_eq!(list(&ListFilter { producer_ids: [ProducerId(7)].into(), ..Default::default() }), [""; 0]);
    // One that has never begun a transaction is older than any.
    assert_eq!(list(&ListFilter { longer_than_ms: Some(500), ..Default::default() }), ["other"]);
    assert_eq!(list(&ListFilter { longer_than_ms: Some(499), ..Default::default() }), ["other", ID]);
    let described = broker.shard.describe(&ID.into()).unwrap();
    assert_eq!((described.state, described.partitions), (TransactionState::Ongoing, vec![partition(0)]));
    let code = |id: &str| broker.shard.describe(&id.into()).map_err(|error| ErrorCode::from(&error)).unwrap_err();
    assert_eq!((code(""), code("?")), (ErrorCode::InvalidRequest, ErrorCode::TransactionalIdNotFound));
}

#[test]
fn ids_land_where_kafka_puts_them() {
    // `Utils.abs(id.hashCode()) % 50` on a JVM.
    assert_eq!(partition_for_transactional_id("a", 50), 47);
}

#[test]
fn no_bytes_panic_and_foreign_records_are_skipped() {
    assert_eq!(decode_record(&bytes::Bytes::from_static(&[0, 1, 0, 0]), None), Ok(None));
    assert!(decode_record(&bytes::Bytes::from_static(&[0]), None).is_err());
    assert!(decode_record(&bytes::Bytes::from_static(&[0, 0, 0, 1, b't']), Some(&bytes::Bytes::new())).is_err());
}

#[test]
fn partitions_of_no_transaction_are_not_read() {
    let wire = TransactionLogValue {
        producer_id: 1,
        previous_producer_id: -1,
        next_producer_id: -1,
        producer_epoch: 0,
        next_producer_epoch: -1,
        transaction_timeout_ms: 1,
        transaction_status: TransactionState::Empty.id(),
        transaction_partitions: Some(vec![PartitionsSchema { topic: "t".to_owned(), partition_ids: vec![0] }]),
        transaction_last_update_timestamp_ms: 0,
        transaction_start_timestamp_ms: -1,
        client_transaction_version: 0,
    };
    let key = encode_key(&TransactionLogKey { transactional_id: ID.to_owned() }).unwrap();
    let record = decode_record(&key, Some(&encode_versioned(&wire, 1).unwrap())).unwrap().unwrap();
    assert!(record.value.as_ref().unwrap().partitions.is_empty());
    let again = encode_record(&record).unwrap();
    assert_eq!(decode_record(&again.key, again.value.as_ref()), Ok(Some(record)), "what is read can be written");
}
