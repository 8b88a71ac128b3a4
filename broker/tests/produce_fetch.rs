//! Records go in and come out: offsets, waiting, refusals, idempotence; in process and over TCP.

mod common;

use std::time::{Duration, Instant};

use common::{BOTH, PATIENCE, Peer, batch, batch_of, builder, fetch_request, values};
use riverrun_core::{
    protocol::{
        ErrorCode,
        messages::{
            DeleteRecordsRequest, DeleteTopicsRequest, FetchRequest, InitProducerIdRequest, ListOffsetsRequest,
            delete_records::{DeleteRecordsPartition, DeleteRecordsTopic},
            delete_topics::DeleteTopicState,
            list_offsets::{ListOffsetsPartition, ListOffsetsTopic},
        },
    },
    record::{BatchOptions, Compression},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_come_back_as_they_went_in() {
    for way in BOTH {
        for on_disk in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let builder = if on_disk { builder().data_dir(folder.path()) } else { builder().in_memory() };
            let broker = builder.start().await.unwrap();
            let peer = Peer::connect(&broker, way).await;
            peer.create_topic("t", 1).await;
            for (number, compression) in (0..).zip([
                Compression::None,
                Compression::Gzip,
                Compression::Snappy,
                Compression::Lz4,
                Compression::Zstd,
            ]) {
                let options = BatchOptions { compression, ..Default::default() };
                let produced = peer.produce("t", batch_of(options, &["a", "b"])).await;
                assert_eq!((produced.error_code, produced.base_offset), (0, 2 * number), "{way:?} {compression}");
            }
            let fetched = peer.fetch("t", 3, 0).await;
            assert_eq!((fetched.error_code, fetched.high_watermark, fetched.log_start_offset), (0, 10, 0));
            // The batch that holds offset 3 comes whole.
            assert_eq!(values(fetched.records).len(), 8);
            assert_eq!(values(peer.fetch("t", 10, 0).await.records), [""; 0]);
            assert_eq!(peer.fetch("t", 11, 0).await.error_code, ErrorCode::OffsetOutOfRange.code());
            broker.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_waits_for_records_and_no_longer() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let reader = Peer::connect(&broker, way).await;
        let writer = Peer::connect(&broker, way).await;
        reader.create_topic("t", 1).await;
        let began = Instant::now();
        assert_eq!(values(reader.fetch("t", 0, 200).await.records), [""; 0]);
        assert!(began.elapsed() >= Duration::from_millis(200), "{way:?} answered early");
        let (fetched, produced) = tokio::join!(reader.fetch("t", 0, 60_000), writer.produce("t", batch(&["x"])));
        assert_eq!((values(fetched.records), produced.error_code), (vec!["x".to_owned()], 0));
        // A stopping broker answers those who wait.
        let waiting = tokio::spawn(async move { reader.fetch("t", 1, 60_000).await });
        writer.produce("t", batch(&["y"])).await;
        let _ = tokio::time::timeout(PATIENCE, waiting).await.expect("the fetch ends");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_written_is_refused_with_its_code() {
    for way in BOTH {
        let broker = builder().in_memory().set("message.max.bytes", "1000").unwrap().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let large = "x".repeat(2_000);
        assert_eq!(peer.produce("t", batch(&[&large])).await.error_code, ErrorCode::MessageTooLarge.code());
        let mut damaged = batch(&["x"]).to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(peer.produce("t", damaged.into()).await.error_code, ErrorCode::CorruptMessage.code());
        let two = [batch(&["x"]), batch(&["y"])].concat();
        assert_eq!(peer.produce("t", two.into()).await.error_code, ErrorCode::InvalidRecord.code());
        let unknown = peer.produce("nowhere", batch(&["x"])).await;
        assert_eq!(unknown.error_code, ErrorCode::UnknownTopicOrPartition.code());
        let acks = common::single(peer.call_in(9, common::produce_request("t", batch(&["x"]), 2)).await);
        assert_eq!(acks.error_code, ErrorCode::InvalidRequiredAcks.code());
        let session = FetchRequest { session_id: 7, session_epoch: 3, ..fetch_request("t", 0, 0) };
        assert_eq!(peer.call_in(12, session).await.error_code, ErrorCode::FetchSessionIdNotFound.code());
        assert_eq!(peer.fetch("t", 0, 0).await.high_watermark, 0, "nothing was written");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_answered_with_the_first_offset() {
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        let id = peer.call(InitProducerIdRequest { transactional_id: None, ..Default::default() }).await;
        assert_eq!((id.error_code, id.producer_epoch), (0, 0));
        let numbered = |base_sequence| {
            let options =
                BatchOptions { producer_id: id.producer_id, producer_epoch: 0, base_sequence, ..Default::default() };
            batch_of(options, &["x"])
        };
        let first = numbered(0);
        for batch in [first.clone(), first] {
            let produced = peer.produce("t", batch).await;
            assert_eq!((produced.error_code, produced.base_offset), (0, 0));
        }
        assert_eq!(peer.produce("t", numbered(5)).await.error_code, ErrorCode::OutOfOrderSequenceNumber.code());
        let other = peer.call(InitProducerIdRequest { transactional_id: None, ..Default::default() }).await;
        assert_ne!(other.producer_id, id.producer_id);
        let nameless = InitProducerIdRequest { transactional_id: Some("".into()), ..Default::default() };
        let refused = [ErrorCode::InvalidRequest.code(), ErrorCode::NotCoordinator.code()];
        assert!(refused.contains(&peer.call(nameless).await.error_code));
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_found_and_moved() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        for value in ["a", "b", "c"] {
            peer.produce("t", batch(&[value])).await;
        }
        let list = async |timestamp| {
            let partition = ListOffsetsPartition { timestamp, ..Default::default() };
            let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition] };
            let listed =
                peer.call(ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }).await;
            let found = &listed.topics[0].partitions[0];
            (found.error_code, found.offset)
        };
        assert_eq!((list(-1).await, list(-2).await, list(0).await), ((0, 3), (0, 0), (0, 0)));
        assert_eq!((list(i64::MAX).await, list(-5).await), ((0, -1), (0, -1)));
        assert_eq!(list(-9).await.0, ErrorCode::UnsupportedVersion.code());
        let partition = DeleteRecordsPartition { partition_index: 0, offset: 2 };
        let topic = DeleteRecordsTopic { name: "t".into(), partitions: vec![partition] };
        let deleted = peer.call(DeleteRecordsRequest { topics: vec![topic], ..Default::default() }).await;
        assert_eq!(deleted.topics[0].partitions[0].low_watermark, 2);
        assert_eq!(
            (list(-2).await, peer.fetch("t", 1, 0).await.error_code),
            ((0, 2), ErrorCode::OffsetOutOfRange.code())
        );
        broker.shutdown().await.unwrap();
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(peer.fetch("t", 2, 0).await.log_start_offset, 2, "the start survives");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_is_gone_for_those_who_wait_too() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let reader = Peer::connect(&broker, way).await;
        peer.create_topic("t", 1).await;
        peer.produce("t", batch(&["old"])).await;
        let delete = async || {
            let state = DeleteTopicState { name: Some("t".into()), ..Default::default() };
            peer.call(DeleteTopicsRequest { topics: vec![state], ..Default::default() }).await.responses[0].error_code
        };
        let (fetched, deleted) = tokio::join!(reader.fetch("t", 1, 60_000), delete());
        assert_eq!((fetched.error_code, deleted), (ErrorCode::UnknownTopicOrPartition.code(), 0));
        assert_eq!(delete().await, ErrorCode::UnknownTopicOrPartition.code());
        peer.create_topic("t", 1).await;
        assert_eq!(peer.produce("t", batch(&["new"])).await.base_offset, 0, "made anew, it is empty");
        broker.shutdown().await.unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("t-"))
            .collect();
        assert_eq!(left, ["t-0"]);
    }
}
