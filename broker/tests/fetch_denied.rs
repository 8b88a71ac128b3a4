//! Records are sent from their files to plaintext sockets, past everything that looks at answers. A client that may not
//! read a topic gets none of them: not by name, not by id, not in a session from a time when it might. One that may gets
//! them from their files, access rules or not.

mod common;

use common::{Peer, Way, batch, builder, fetch_request, values};
use riverrun_core::{
    Uuid,
    protocol::{
        ErrorCode,
        messages::{
            CreateAclsRequest, DeleteAclsRequest, FetchRequest, FetchResponse, create_acls::AclCreation,
            delete_acls::DeleteAclsFilter,
        },
    },
};

const TOPIC: i8 = 2;
const CLUSTER: i8 = 4;
const LITERAL: i8 = 3;
const READ: i8 = 3;
const ALTER: i8 = 7;
const ALLOW: i8 = 3;
/// Spans that one fetch of one partition sends from a file: none where the operating system has no such call.
const FROM_FILES: u64 = if cfg!(target_os = "linux") { 1 } else { 0 };
/// Long enough to be sent from its file.
const SECRET: &str = "not for everybody; ";

fn allow(resource_type: i8, resource_name: &str, operation: i8) -> AclCreation {
    AclCreation {
        resource_type,
        resource_name: resource_name.to_owned(),
        resource_pattern_type: LITERAL,
        principal: "User:ANONYMOUS".to_owned(),
        host: "*".to_owned(),
        operation,
        permission_type: ALLOW,
    }
}

/// A fetch of partition 0 in the form of a version.
fn fetch(version: i16, topic_id: Uuid, min_bytes: i32) -> FetchRequest {
    let mut request = FetchRequest { min_bytes, ..fetch_request("t", 0, 0) };
    for topic in request.topics.iter_mut().filter(|_| version >= 13) {
        topic.topic.clear();
        topic.topic_id = topic_id;
    }
    request
}

fn assert_denied(fetched: &FetchResponse, what: &str) {
    let partitions: Vec<_> = fetched.responses.iter().flat_map(|topic| &topic.partitions).collect();
    assert_eq!(partitions.len(), 1, "{what}");
    for partition in partitions {
        assert_eq!(partition.error_code, ErrorCode::TopicAuthorizationFailed.code(), "{what}");
        assert!(partition.records.as_ref().is_none_or(bytes::Bytes::is_empty), "{what}");
        assert_eq!((partition.high_watermark, partition.last_stable_offset), (-1, -1), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_files_are_not_sent_to_who_may_not_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let secret = SECRET.repeat(4_000);
    let secured = || {
        builder()
            .data_dir(folder.path())
            .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            .unwrap()
    };

    // Without rules the topic is filled, and is sent from its file.
    let broker = builder().data_dir(folder.path()).start().await.unwrap();
    let peer = Peer::connect(&broker, Way::Tcp).await;
    for topic in ["t", "open"] {
        peer.create_topic(topic, 1).await;
        assert_eq!(peer.produce(topic, batch(&[&secret])).await.error_code, 0);
        assert_eq!(values(peer.fetch(topic, 0, 0).await.records), [secret.as_str()]);
    }
    let topic_id = peer.describe_topic("t").await.topic_id;
    drop(peer);
    broker.shutdown().await.unwrap();

    // Who is everybody may read, and take that away again.
    let broker = secured().set("super.users", "User:ANONYMOUS").unwrap().start().await.unwrap();
    let peer = Peer::connect(&broker, Way::Tcp).await;
    let creations = vec![allow(CLUSTER, "kafka-cluster", ALTER), allow(TOPIC, "t", READ), allow(TOPIC, "open", READ)];
    let created = peer.call(CreateAclsRequest { creations }).await;
    assert!(created.results.iter().all(|result| result.error_code == 0), "{created:?}");
    drop(peer);
    broker.shutdown().await.unwrap();

    let broker = secured().start().await.unwrap();
    let peer = Peer::connect(&broker, Way::Tcp).await;
    // The first read of a log wakes it, and takes no file out yet.
    for topic in ["t", "open"] {
        assert_eq!(values(peer.fetch(topic, 0, 0).await.records), [secret.as_str()]);
    }
    let before = broker.files_sent();
    let in_session = FetchRequest { session_epoch: 0, ..fetch(12, topic_id, 1) };
    let first = peer.call_in::<FetchRequest>(12, in_session).await;
    assert_eq!(values(first.responses[0].partitions[0].records.clone()), [secret.as_str()]);
    assert_ne!(first.session_id, 0);
    assert_eq!(broker.files_sent() - before, FROM_FILES, "an amended answer is sent from its file as well");
    // Also after it has waited for more, which does not come.
    let waited = peer.call_in(12, FetchRequest { max_wait_ms: 50, ..fetch(12, topic_id, i32::MAX) }).await;
    assert_eq!(values(waited.responses[0].partitions[0].records.clone()), [secret.as_str()]);
    assert_eq!(broker.files_sent() - before, 2 * FROM_FILES);
    let filter = DeleteAclsFilter {
        resource_type_filter: TOPIC,
        resource_name_filter: Some("t".to_owned()),
        pattern_type_filter: LITERAL,
        principal_filter: None,
        host_filter: None,
        operation: READ,
        permission_type: ALLOW,
    };
    let deleted = peer.call(DeleteAclsRequest { filters: vec![filter] }).await;
    assert_eq!(deleted.filter_results[0].matching_acls.len(), 1, "{deleted:?}");

    // The session goes on, the reading does not: neither with what the session knows nor with what is named anew.
    for (session_epoch, names_it) in [(1, false), (2, true)] {
        let mut request = fetch(12, topic_id, 1);
        (request.session_id, request.session_epoch) = (first.session_id, session_epoch);
        if !names_it {
            request.topics.clear();
        }
        assert_denied(&peer.call_in(12, request).await, &format!("session, epoch {session_epoch}"));
    }
    // Clients in the broker's own process are not checked: they belong to the program that owns it.
    let peer = Peer::connect(&broker, Way::Tcp).await;
    // From version 10 on answers are sent from files; from 13 on topics go by id.
    for version in [4, 9, 10, 11, 12, 13, 16, 18] {
        for min_bytes in [0, 1, i32::MAX] {
            let fetched = peer.call_in(version, fetch(version, topic_id, min_bytes)).await;
            assert_denied(&fetched, &format!("version {version}, min_bytes {min_bytes}"));
        }
    }
    assert_eq!(broker.files_sent() - before, 2 * FROM_FILES, "nothing left a file for who may not read it");

    // What may be read of a request comes from its file, beside what may not.
    for denied_first in [true, false] {
        let (mut both, mut open) = (fetch_request("t", 0, 0), fetch_request("open", 0, 0));
        both.topics.append(&mut open.topics);
        if !denied_first {
            both.topics.reverse();
        }
        let before = broker.files_sent();
        let fetched = peer.call_in(12, both).await;
        for topic in fetched.responses {
            let partition = &topic.partitions[0];
            let expected = if topic.topic == "open" { vec![secret.clone()] } else { Vec::new() };
            assert_eq!(values(partition.records.clone()), expected, "{}", topic.topic);
            let code = if topic.topic == "open" { ErrorCode::None } else { ErrorCode::TopicAuthorizationFailed };
            assert_eq!(partition.error_code, code.code(), "{}", topic.topic);
        }
        assert_eq!(broker.files_sent() - before, FROM_FILES);
    }
    broker.shutdown().await.unwrap();
}
