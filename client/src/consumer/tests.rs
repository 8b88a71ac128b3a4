//! The membership machine, step by step, and the consumer in virtual time against scripted brokers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use riverrun_core::{
    TopicPartition,
    protocol::{
        ErrorCode, RequestBody,
        messages::{
            FetchRequest, FetchResponse, FindCoordinatorResponse, HeartbeatResponse, JoinGroupResponse,
            LeaveGroupResponse, ListOffsetsResponse, OffsetCommitResponse, OffsetFetchResponse, SyncGroupResponse,
            fetch::{FetchableTopicResponse, PartitionData},
            find_coordinator,
            list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
            offset_fetch::OffsetFetchResponseGroup,
        },
    },
    record::{BatchBuilder, BatchOptions},
};
use tokio::time::{Instant, sleep};

use super::{
    membership::{Beat, Duty, Failed, Joined, Membership},
    *,
};
use crate::transport::fake::{Fake, Reply};

fn membership(now: Instant) -> Membership {
    let client = Client::new(Fake::new(|_| Reply::Never));
    let consumer = client.consumer().group("g").build().unwrap();
    Membership::new(Arc::clone(&consumer.settings), "g".into(), now)
}

fn joined_as(member: &str, leader: &str, generation_id: i32) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id,
        protocol_name: Some("range".to_owned()),
        leader: leader.to_owned(),
        member_id: member.to_owned(),
        ..Default::default()
    }
}

fn stable(now: Instant) -> Membership {
    let mut membership = membership(now);
    membership.set_polling(true, now);
    membership.join(&["t".into()], &[], 9).unwrap();
    assert!(matches!(membership.joined(joined_as("m", "other", 3)), Joined::Follow));
    membership.synced(SyncGroupResponse::default(), now).unwrap();
    membership
}

#[tokio::test(start_paused = true)]
async fn joins_with_the_id_it_is_given() {
    let mut membership = membership(Instant::now());
    assert!(membership.wants_to_join());
    assert_eq!(membership.join(&["t".into()], &[], 9).unwrap().member_id, "");
    let required = JoinGroupResponse {
        error_code: ErrorCode::MemberIdRequired.code(),
        member_id: "m".to_owned(),
        ..Default::default()
    };
    assert!(matches!(membership.joined(required), Joined::Failed(Failed::Again)));
    let again = membership.join(&["t".into()], &[], 9).unwrap();
    assert_eq!((again.member_id.as_str(), again.protocols.len()), ("m", 2));
    assert!(matches!(membership.joined(joined_as("m", "m", 1)), Joined::Lead(_)));
    let sync = membership.sync(vec![("m".to_owned(), Bytes::new())], 5);
    assert_eq!((sync.generation_id, sync.protocol_name.as_deref()), (1, Some("range")));
    membership.synced(SyncGroupResponse::default(), Instant::now()).unwrap();
    assert!(!membership.wants_to_join());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_say_what_follows() {
    let now = Instant::now();
    let mut membership = stable(now);
    assert!(matches!(membership.duty(now), Duty::Until(then) if then == now + Duration::from_secs(3)));
    let due = now + Duration::from_secs(3);
    assert!(matches!(membership.duty(due), Duty::Beat(request) if request.generation_id == 3));
    assert_eq!(membership.beaten(3, Some(ErrorCode::None), due), Beat::Alive);
    assert_eq!(membership.beaten(2, Some(ErrorCode::UnknownMemberId), due), Beat::Alive, "about an older generation");
    assert_eq!(membership.beaten(3, None, due), Beat::NewCoordinator);
    assert!(!membership.wants_to_join());
    assert_eq!(membership.beaten(3, Some(ErrorCode::RebalanceInProgress), due), Beat::Notify);
    assert!(membership.wants_to_join() && !membership.is_lost(), "what it has is revoked in order");
    assert_eq!(membership.beaten(3, Some(ErrorCode::UnknownMemberId), due), Beat::Notify);
    assert!(membership.is_lost());
    assert_eq!(membership.identity(), (-1, String::new()));
    assert!(matches!(membership.duty(due), Duty::Rest));
}

#[tokio::test(start_paused = true)]
async fn leaves_when_nobody_polls() {
    let now = Instant::now();
    let mut membership = stable(now);
    let later = now + Duration::from_secs(400);
    assert!(matches!(membership.duty(later), Duty::Beat(_)), "a poll may take as long as it likes");
    membership.set_polling(false, now);
    assert!(matches!(membership.duty(later), Duty::Leave));
    assert_eq!(membership.leave("slow", 5).unwrap().members[0].member_id, "m");
    membership.left(true);
    assert!(membership.is_lost() && membership.leave("slow", 5).is_none());
}

#[tokio::test(start_paused = true)]
async fn failures_tell_whether_what_is_owned_is_lost() {
    let now = Instant::now();
    let failed = |code: ErrorCode| {
        let mut membership = stable(now);
        let response = JoinGroupResponse { error_code: code.code(), ..Default::default() };
        let Joined::Failed(failed) = membership.joined(response) else { panic!("joined with {code:?}") };
        (failed, membership.is_lost())
    };
    assert_eq!(failed(ErrorCode::UnknownMemberId), (Failed::Lost, true));
    assert_eq!(failed(ErrorCode::NotCoordinator), (Failed::NewCoordinator, false));
    assert_eq!(failed(ErrorCode::CoordinatorLoadInProgress), (Failed::Later, false));
    assert_eq!(failed(ErrorCode::FencedInstanceId), (Failed::Fatal(ErrorCode::FencedInstanceId), true));
    let mut membership = stable(now);
    let response = SyncGroupResponse { error_code: ErrorCode::RebalanceInProgress.code(), ..Default::default() };
    assert_eq!(membership.synced(response, now), Err(Failed::Again));
    assert!(!membership.is_lost());
}

fn batch(base_offset: i64, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions { base_offset, ..Default::default() });
    for value in values {
        builder.append(1, None, Some(value.as_bytes()), []).unwrap();
    }
    builder.build().unwrap()
}

/// A fetch's answer for its first partition; empty ones come as late as the request allows.
fn fetched(request: &FetchRequest, answer: impl Fn(i64) -> (ErrorCode, Bytes)) -> Reply {
    let topic = &request.topics[0];
    let partition = &topic.partitions[0];
    let (code, records) = answer(partition.fetch_offset);
    let wait = if code == ErrorCode::None && records.is_empty() { request.max_wait_ms } else { 0 };
    let data = PartitionData {
        partition_index: partition.partition,
        error_code: code.code(),
        records: Some(records),
        ..Default::default()
    };
    let response =
        FetchableTopicResponse { topic: topic.topic.clone(), topic_id: topic.topic_id, partitions: vec![data] };
    let response = FetchResponse { responses: vec![response], ..Default::default() };
    Reply::Late(Duration::from_millis(u64::try_from(wait).unwrap()), response.into())
}

/// A fetch that fails is repeated, by itself; so is one that a broker answers as no leader any more.
#[tokio::test(start_paused = true)]
async fn fetches_are_repeated() {
    let mut failures = 3;
    let broker = Fake::new(move |request| match request {
        RequestBody::Fetch(request) => {
            failures -= 1;
            match failures {
                2 => Reply::Break(Duration::from_millis(5)),
                1 => fetched(&request, |_| (ErrorCode::NotLeaderOrFollower, Bytes::new())),
                _ => fetched(&request, |offset| {
                    (ErrorCode::None, if offset == 0 { batch(0, &["a", "b"]) } else { Bytes::new() })
                }),
            }
        }
        other => panic!("unexpected {other:?}"),
    });
    let mut consumer = Client::new(broker).consumer().build().unwrap();
    let partition = TopicPartition::new("t", 0);
    consumer.assign(std::slice::from_ref(&partition));
    consumer.seek(&partition, 0).unwrap();
    let begun = Instant::now();
    let records = consumer.poll(Duration::from_secs(10)).await.unwrap();
    assert_eq!((records.len(), consumer.position(&partition)), (2, Some(2)));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let begun = Instant::now();
    assert!(consumer.poll(Duration::from_secs(3)).await.unwrap().is_empty());
    assert_eq!(begun.elapsed(), Duration::from_secs(3), "a poll waits as long as it may, and no longer");
}

/// A poll that is dropped at any moment loses nothing.
#[tokio::test(start_paused = true)]
async fn dropped_polls_lose_nothing() {
    let broker = Fake::new(move |request| match request {
        RequestBody::Fetch(request) => {
            let Reply::Late(_, response) = fetched(&request, |offset| {
                let next = offset.to_string();
                (ErrorCode::None, if offset < 50 { batch(offset, &[&next]) } else { Bytes::new() })
            }) else {
                unreachable!("fetches are answered")
            };
            Reply::Late(Duration::from_millis(7), response)
        }
        RequestBody::ListOffsets(request) => {
            let topic = &request.topics[0];
            let found = ListOffsetsPartitionResponse { offset: 0, timestamp: -1, ..Default::default() };
            let topic = ListOffsetsTopicResponse { name: topic.name.clone(), partitions: vec![found] };
            Reply::Late(
                Duration::from_millis(5),
                ListOffsetsResponse { topics: vec![topic], ..Default::default() }.into(),
            )
        }
        other => panic!("unexpected {other:?}"),
    });
    let builder = Client::new(broker).consumer().auto_offset_reset(AutoOffsetReset::Earliest);
    let mut consumer = builder.build().unwrap();
    consumer.assign(&[TopicPartition::new("t", 0)]);
    let mut offsets = Vec::new();
    for round in 0..2000 {
        let patience = Duration::from_millis(round % 5);
        if let Ok(records) = tokio::time::timeout(patience, consumer.poll(Duration::from_secs(1))).await {
            offsets.extend(records.unwrap().iter().map(|record| record.offset));
        }
        if offsets.len() == 50 {
            break;
        }
    }
    assert_eq!(offsets, (0..50).collect::<Vec<_>>());
}

/// A coordinator with one member, which keeps what it is asked.
fn coordinator(asked: Arc<Mutex<Vec<String>>>, mut beat: impl FnMut() -> ErrorCode + Send + 'static) -> Arc<Fake> {
    let mut generation_id = 0;
    Fake::new(move |request| {
        let name = format!("{:?}", request.api_key());
        match request {
            RequestBody::Fetch(request) => return fetched(&request, |_| (ErrorCode::None, Bytes::new())),
            RequestBody::Heartbeat(_) => {
                return HeartbeatResponse { error_code: beat().code(), ..Default::default() }.into();
            }
            _ => asked.lock().unwrap().push(name),
        }
        match request {
            RequestBody::FindCoordinator(request) => {
                let found = find_coordinator::Coordinator {
                    key: request.coordinator_keys[0].clone(),
                    node_id: 1,
                    host: "fake".to_owned(),
                    port: 1,
                    ..Default::default()
                };
                FindCoordinatorResponse { coordinators: vec![found], ..Default::default() }.into()
            }
            RequestBody::JoinGroup(_) => {
                generation_id += 1;
                joined_as("m", "other", generation_id).into()
            }
            RequestBody::SyncGroup(_) => {
                let assignment = embedded::assignment(&[TopicPartition::new("t", 0)]).unwrap();
                SyncGroupResponse { assignment, ..Default::default() }.into()
            }
            RequestBody::OffsetFetch(_) => {
                OffsetFetchResponse { groups: vec![OffsetFetchResponseGroup::default()], ..Default::default() }.into()
            }
            RequestBody::ListOffsets(request) => {
                let found = ListOffsetsPartitionResponse { offset: 7, ..Default::default() };
                let name = request.topics[0].name.clone();
                let topic = ListOffsetsTopicResponse { name, partitions: vec![found] };
                ListOffsetsResponse { topics: vec![topic], ..Default::default() }.into()
            }
            RequestBody::OffsetCommit(_) => OffsetCommitResponse::default().into(),
            RequestBody::LeaveGroup(_) => LeaveGroupResponse::default().into(),
            other => panic!("unexpected {other:?}"),
        }
    })
}

async fn next_event(consumer: &mut Consumer) -> ConsumerEvent {
    consumer.poll_event(Duration::from_secs(20)).await.unwrap()
}

/// A rebalance stands still between its events, which come in their order; offsets are committed before partitions go.
#[tokio::test(start_paused = true)]
async fn a_rebalance_goes_on_with_the_next_poll() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut beats = 0;
    let broker = coordinator(Arc::clone(&asked), move || {
        beats += 1;
        if beats == 2 { ErrorCode::RebalanceInProgress } else { ErrorCode::None }
    });
    let mut consumer =
        Client::new(broker).consumer().group("g").auto_commit(Duration::from_secs(3600)).build().unwrap();
    consumer.subscribe(&["t"]);
    let partition = TopicPartition::new("t", 0);
    assert_eq!(next_event(&mut consumer).await, ConsumerEvent::Assigned(vec![partition.clone()]));
    assert_eq!(consumer.group_metadata().unwrap().generation_id, Some(1));
    assert_eq!(next_event(&mut consumer).await, ConsumerEvent::Revoked(vec![partition.clone()]));
    assert_eq!(consumer.assignment(), std::slice::from_ref(&partition));
    let joins = |asked: &Vec<String>| asked.iter().filter(|name| *name == "JoinGroup").count();
    assert_eq!(asked.lock().unwrap().last().map(String::as_str), Some("OffsetCommit"));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(joins(&asked.lock().unwrap()), 1, "nothing goes on until the next poll");
    assert_eq!(next_event(&mut consumer).await, ConsumerEvent::Assigned(vec![partition]));
    assert_eq!(joins(&asked.lock().unwrap()), 2);
    consumer.close().await.unwrap();
    assert_eq!(asked.lock().unwrap().last().map(String::as_str), Some("LeaveGroup"));
}

/// Whoever the group has given up hears of the loss, commits nothing and joins anew.
#[tokio::test(start_paused = true)]
async fn a_forgotten_member_has_lost_its_partitions() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut beats = 0;
    let broker = coordinator(Arc::clone(&asked), move || {
        beats += 1;
        if beats == 2 { ErrorCode::UnknownMemberId } else { ErrorCode::None }
    });
    let mut consumer = Client::new(broker).consumer().group("g").build().unwrap();
    consumer.subscribe(&["t"]);
    assert!(matches!(next_event(&mut consumer).await, ConsumerEvent::Assigned(_)));
    assert!(matches!(next_event(&mut consumer).await, ConsumerEvent::Lost(_)));
    assert!(matches!(next_event(&mut consumer).await, ConsumerEvent::Assigned(_)));
}

/// An application that does not poll for too long loses its place while it is away.
#[tokio::test(start_paused = true)]
async fn an_application_that_does_not_poll_leaves() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let broker = coordinator(Arc::clone(&asked), || ErrorCode::None);
    let builder = Client::new(broker).consumer().group("g").auto_commit(false);
    let mut consumer = builder.max_poll_interval(Duration::from_secs(60)).build().unwrap();
    consumer.subscribe(&["t"]);
    assert!(matches!(next_event(&mut consumer).await, ConsumerEvent::Assigned(_)));
    assert_eq!(next_event(&mut consumer).await, ConsumerEvent::Idle);
    sleep(Duration::from_secs(59)).await;
    assert!(!asked.lock().unwrap().contains(&"LeaveGroup".to_owned()));
    sleep(Duration::from_secs(5)).await;
    assert!(asked.lock().unwrap().contains(&"LeaveGroup".to_owned()));
    assert!(matches!(next_event(&mut consumer).await, ConsumerEvent::Lost(_)));
    assert!(matches!(next_event(&mut consumer).await, ConsumerEvent::Assigned(_)));
}
