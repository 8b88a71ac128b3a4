//! Fetch sessions (KIP-227) on both ways: what is left out of answers, how requests follow each other, and how a session ends.

mod common;

use common::{BOTH, Peer, Way, batch, builder, fetch_request, values};
use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        DeleteRecordsRequest, FetchRequest, FetchResponse,
        delete_records::{DeleteRecordsPartition, DeleteRecordsTopic},
        fetch::{FetchPartition, FetchTopic, ForgottenTopic},
    },
};

fn request(session_id: i32, session_epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let wanted = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let partitions: Vec<_> = partitions.iter().map(wanted).collect();
    let topic = FetchTopic { topic: "t".to_owned(), partitions, ..Default::default() };
    let topics = if topic.partitions.is_empty() { Vec::new() } else { vec![topic] };
    FetchRequest { session_id, session_epoch, topics, ..fetch_request("t", 0, 0) }
}

/// The partitions of an answer, with how many records each has.
fn partitions(response: &FetchResponse) -> Vec<(i32, usize)> {
    let all = response.responses.iter().flat_map(|topic| &topic.partitions);
    all.map(|data| (data.partition_index, values(data.records.clone()).len())).collect()
}

async fn fetch(peer: &Peer, request: FetchRequest) -> FetchResponse {
    peer.call_in(12, request).await
}

async fn session_of_three(peer: &Peer) -> i32 {
    peer.create_topic("t", 3).await;
    peer.produce("t", batch(&["a", "b"])).await;
    let first = fetch(peer, request(0, 0, &[(0, 0), (1, 0), (2, 0)])).await;
    assert_eq!((first.error_code, partitions(&first)), (0, vec![(0, 2), (1, 0), (2, 0)]), "at first all");
    assert!(first.session_id > 0);
    first.session_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_what_changed() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let id = session_of_three(&peer).await;
        let quiet = fetch(&peer, request(id, 1, &[(0, 2)])).await;
        assert_eq!((quiet.session_id, partitions(&quiet)), (id, vec![]), "{way:?}");
        peer.produce("t", batch(&["c"])).await;
        let news = fetch(&peer, request(id, 2, &[])).await;
        assert_eq!(partitions(&news), [(0, 1)], "the client named nothing");
        let again = fetch(&peer, request(id, 3, &[])).await;
        assert_eq!(partitions(&again), [(0, 1)], "its position is where it was");
        let on = fetch(&peer, request(id, 4, &[(0, 3)])).await;
        assert_eq!(partitions(&on), []);
        let partition = DeleteRecordsPartition { partition_index: 0, offset: 1 };
        let topics = vec![DeleteRecordsTopic { name: "t".to_owned(), partitions: vec![partition] }];
        peer.call(DeleteRecordsRequest { topics, ..Default::default() }).await;
        let moved = fetch(&peer, request(id, 5, &[])).await;
        assert_eq!((partitions(&moved), moved.responses[0].partitions[0].log_start_offset), (vec![(0, 0)], 1));
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_wakes_for_its_partitions() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let (peer, writer) = (Peer::connect(&broker, way).await, Peer::connect(&broker, way).await);
        let id = session_of_three(&peer).await;
        let waiting = fetch(&peer, FetchRequest { max_wait_ms: 20_000, ..request(id, 1, &[(0, 2)]) });
        let (woken, _) = tokio::join!(waiting, writer.produce("t", batch(&["c"])));
        assert_eq!(partitions(&woken), [(0, 1)], "{way:?}");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_out_of_turn_are_refused() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let id = session_of_three(&peer).await;
        let code = |response: FetchResponse| (response.error_code, response.session_id);
        let wrong = fetch(&peer, request(id, 2, &[])).await;
        assert_eq!(code(wrong), (ErrorCode::InvalidFetchSessionEpoch.code(), 0), "{way:?}");
        let unknown = fetch(&peer, request(id ^ 1, 1, &[])).await;
        assert_eq!(code(unknown), (ErrorCode::FetchSessionIdNotFound.code(), 0));
        let by_id: FetchResponse = peer.call_in(13, request(id, 1, &[])).await;
        assert_eq!(code(by_id), (ErrorCode::FetchSessionTopicIdError.code(), 0));
        let forgotten = ForgottenTopic { topic: "t".to_owned(), partitions: vec![0, 1, 2], ..Default::default() };
        let last = FetchRequest { forgotten_topics_data: vec![forgotten], ..request(id, 1, &[]) };
        assert_eq!(code(fetch(&peer, last).await), (0, 0), "nothing is left of it");
        assert_eq!(code(fetch(&peer, request(id, 2, &[])).await).0, ErrorCode::FetchSessionIdNotFound.code());
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_slot_there_is_no_session() {
    let builder = builder().in_memory().set("max.incremental.fetch.session.cache.slots", "0").unwrap();
    let broker = builder.start().await.unwrap();
    let peer = Peer::connect(&broker, Way::Tcp).await;
    peer.create_topic("t", 1).await;
    let first = fetch(&peer, request(0, 0, &[(0, 0)])).await;
    assert_eq!((first.session_id, partitions(&first)), (0, vec![(0, 0)]));
    broker.shutdown().await.unwrap();
}

/// Lets the broker's clock go on by more than the two minutes for which a session is safe from others.
async fn two_minutes_pass() {
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(121)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn slots_go_to_those_that_use_them() {
    const GONE: i16 = ErrorCode::FetchSessionIdNotFound.code();
    let all = [(0, 0), (1, 0), (2, 0)];
    for way in BOTH {
        let builder = builder().in_memory().set("max.incremental.fetch.session.cache.slots", "2").unwrap();
        let broker = builder.start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 3).await;
        let open = async |count: usize| {
            let opened = fetch(&peer, request(0, 0, &all[..count])).await;
            assert_eq!((opened.error_code, partitions(&opened).len()), (0, count), "served in any case, {way:?}");
            opened.session_id
        };
        let go_on = async |id: i32, epoch: i32| fetch(&peer, request(id, epoch, &[])).await.error_code;
        let (small, large) = (open(1).await, open(2).await);
        assert!(small > 0 && large > 0 && small != large);
        assert_eq!(open(3).await, 0, "who has a slot keeps it, {way:?}");
        assert_eq!([go_on(small, 1).await, go_on(large, 1).await], [0, 0]);
        // One that is closed leaves its slot.
        assert_eq!(go_on(small, -1).await, 0);
        let small = open(1).await;
        assert!(small > 0, "{way:?}");

        two_minutes_pass().await;
        assert_eq!(go_on(large, 2).await, 0);
        let newcomer = open(1).await;
        assert!(newcomer > 0, "the slot of the one that was not used, {way:?}");
        assert_eq!([go_on(small, 1).await, go_on(large, 3).await], [GONE, 0]);
        assert_eq!(open(2).await, 0, "nobody is smaller and has had its time, {way:?}");
        let larger = open(3).await;
        assert!(larger > 0, "the slot of a smaller one that had its time, {way:?}");
        assert_eq!([go_on(large, 4).await, go_on(newcomer, 1).await, go_on(larger, 1).await], [GONE, 0, 0]);
        broker.shutdown().await.unwrap();
    }
}
