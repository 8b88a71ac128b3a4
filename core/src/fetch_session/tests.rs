//! Sessions: what is read, what is left out, who has a slot.

use super::*;

fn key(topic: &str, partition: i32) -> PartitionKey {
    PartitionKey { topic: TopicKey::Name(topic.into()), partition }
}

fn told(high_watermark: i64) -> Told {
    Told { high_watermark, log_start_offset: 0, failed: false }
}

fn session(partitions: i32) -> FetchSession<i64, u64> {
    let mut session = FetchSession::new(false);
    for partition in 0..partitions {
        session.want(key("t", partition), 0, |_| true, |token| token);
    }
    session
}

/// Reads a partition and answers at once; whether it is in the answer.
fn tell(session: &mut FetchSession<i64, u64>, token: u64, bytes: usize, told: Told) -> bool {
    let has_news = session.has_news(token, bytes, told);
    if has_news {
        session.tell(token, bytes, told);
    }
    has_news
}

#[test]
fn an_unchanged_partition_is_neither_read_nor_told() {
    let mut session = session(3);
    assert_eq!(session.hot(), [0, 1, 2]);
    for token in session.hot() {
        assert!(tell(&mut session, token, 0, told(5)), "the first time, all");
    }
    assert!(session.hot().is_empty());
    session.heat(1);
    assert!(!tell(&mut session, 1, 0, told(5)), "nothing has changed");
    session.heat(1);
    assert!(tell(&mut session, 1, 0, told(6)), "the high watermark has");
    session.want(key("t", 2), 7, |_| true, |_| unreachable!("it is there"));
    assert_eq!(session.hot(), [2], "the client has moved on");
    assert_eq!(session.entry(2).map(|(_, wanted, _)| *wanted), Some(7));
}

#[test]
fn an_error_is_told_until_it_is_gone() {
    let mut session = session(1);
    let failed = Told { failed: true, ..told(-1) };
    assert!(tell(&mut session, 0, 0, failed) && tell(&mut session, 0, 0, failed));
    assert_eq!(session.hot(), [0]);
    assert!(tell(&mut session, 0, 0, told(5)), "so is its end");
    assert!(session.hot().is_empty());
}

#[test]
fn who_gave_records_goes_to_the_end() {
    let mut session = session(3);
    assert!(tell(&mut session, 0, 100, told(5)));
    session.rotate(0, |place, token| *place = token);
    assert_eq!(session.hot(), [1, 2, 3]);
    assert_eq!(session.entry(3).map(|(key, _, place)| (key.partition, *place)), Some((0, 3)));
    session.forget(&key("t", 0));
    session.forget(&key("other", 0));
    assert_eq!((session.len(), session.hot()), (2, vec![1, 2]));
}

#[test]
fn requests_come_one_after_the_other() {
    let mut session = session(1);
    assert_eq!(session.check(2, false), Err(SessionError::InvalidEpoch { got: 2, expected: 1 }));
    assert_eq!(session.check(1, true), Err(SessionError::TopicIdMismatch));
    session.check(1, false).unwrap();
    session.advance();
    session.check(2, false).unwrap();
    assert_eq!(next_epoch(i32::MAX), 1);
}

#[test]
fn a_slot_goes_to_the_larger_session_once_the_other_had_its_time() {
    let mut cache = SessionCache::new(2, 100);
    assert_eq!(cache.insert(1, "small", 2, 0), Ok(None));
    assert_eq!(cache.insert(2, "large", 9, 0), Ok(None));
    assert_eq!(cache.insert(2, "twice", 9, 0), Err("twice"));
    assert_eq!(cache.insert(3, "early", 5, 100), Err("early"), "nobody has had its time");
    cache.touch(1, 2, 90);
    cache.touch(2, 9, 90);
    assert_eq!(cache.insert(3, "tiny", 1, 101), Err("tiny"), "no smaller one is there");
    assert_eq!(cache.insert(3, "same", 2, 101), Err("same"), "nor one of the same size");
    assert_eq!(cache.insert(3, "middle", 5, 101), Ok(Some("small")));
    cache.touch(3, 5, 150);
    assert_eq!(cache.insert(4, "any", 1, 191), Ok(Some("large")), "unused for long enough, whatever its size");
    assert_eq!((cache.get(3), cache.get(2), cache.len()), (Some(&"middle"), None, 2));
    assert_eq!(cache.remove(3), Some("middle"));
    assert!(SessionCache::new(0, 0).insert(1, (), 1, 1).is_err());
}
