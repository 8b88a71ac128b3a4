//! The rounds of admin calls, against brokers that follow a script. Time is paused: a back-off takes none.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::{BoxFuture, ready};
use riverrun_core::{
    TopicPartition,
    protocol::{
        ApiKey, ErrorCode, RequestBody, ResponseBody,
        messages::{
            ConsumerGroupDescribeResponse, CreateTopicsResponse, DeleteGroupsResponse, DeleteRecordsResponse,
            DescribeGroupsResponse, FindCoordinatorResponse, MetadataResponse, consumer_group_describe,
            create_topics::CreatableTopicResult,
            delete_groups::DeletableGroupResult,
            delete_records::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
            describe_groups, find_coordinator,
            metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
        },
        supported_versions,
    },
};

use super::{Admin, NewTopic};
use crate::{
    CallError, Client, ClientError, ConnectError,
    transport::{BrokerAddress, Connection, Transport},
};

/// Answers a request that came to the broker with this port; `None` closes the connection.
type Script = dyn FnMut(u16, RequestBody) -> Option<ResponseBody> + Send;

/// Brokers 1 and 2, listening on ports of the same number. The script answers for both.
struct Brokers {
    script: Mutex<Box<Script>>,
    /// The newest version of CreateTopics.
    create_topics_version: i16,
}

impl std::fmt::Debug for Brokers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Brokers")
    }
}

#[derive(Debug, Clone)]
struct ScriptedTransport(Arc<Brokers>);

#[derive(Debug)]
struct ScriptedConnection(Arc<Brokers>, u16);

impl Transport for ScriptedTransport {
    fn bootstrap(&self) -> Vec<BrokerAddress> {
        vec![BrokerAddress::new("broker", 1)]
    }

    fn connect(&self, to: &BrokerAddress) -> BoxFuture<'static, Result<Arc<dyn Connection>, ConnectError>> {
        let connection: Arc<dyn Connection> = Arc::new(ScriptedConnection(Arc::clone(&self.0), to.port));
        Box::pin(ready(Ok(connection)))
    }
}

impl Connection for ScriptedConnection {
    fn versions(&self, key: ApiKey) -> Option<RangeInclusive<i16>> {
        let versions = supported_versions(key);
        let newest = if key == ApiKey::CreateTopics { self.0.create_topics_version } else { *versions.end() };
        Some(*versions.start()..=newest)
    }

    fn call(&self, _version: i16, request: RequestBody) -> BoxFuture<'static, Result<Option<ResponseBody>, CallError>> {
        let answer = self.0.script.lock().expect("no story panics in its script")(self.1, request);
        Box::pin(ready(answer.map(Some).ok_or(CallError::Closed { source: None })))
    }
}

fn admin_of(script: impl FnMut(u16, RequestBody) -> Option<ResponseBody> + Send + 'static) -> Admin {
    admin_with(7, script)
}

fn admin_with(
    create_topics_version: i16,
    script: impl FnMut(u16, RequestBody) -> Option<ResponseBody> + Send + 'static,
) -> Admin {
    let brokers = Brokers { script: Mutex::new(Box::new(script)), create_topics_version };
    Client::new(Arc::new(ScriptedTransport(Arc::new(brokers)))).admin()
}

fn metadata(controller_id: i32, leader_id: i32) -> Option<ResponseBody> {
    let broker =
        |node_id| MetadataResponseBroker { node_id, host: "broker".to_owned(), port: node_id, ..Default::default() };
    let topic = MetadataResponseTopic {
        name: Some("t".to_owned()),
        partitions: vec![MetadataResponsePartition { leader_id, ..Default::default() }],
        ..Default::default()
    };
    let brokers = vec![broker(1), broker(2)];
    Some(MetadataResponse { brokers, controller_id, topics: vec![topic], ..Default::default() }.into())
}

fn coordinator(request: find_coordinator::FindCoordinatorRequest, node_id: i32) -> Option<ResponseBody> {
    let coordinators = request.coordinator_keys.into_iter().map(|key| find_coordinator::Coordinator {
        key,
        node_id,
        host: "broker".to_owned(),
        port: node_id,
        ..Default::default()
    });
    Some(FindCoordinatorResponse { coordinators: coordinators.collect(), ..Default::default() }.into())
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_moved_is_followed_and_settled_topics_are_not_sent_again() {
    let mut controller = 1;
    let admin = admin_of(move |port, request| match request {
        RequestBody::Metadata(_) => metadata(controller, 1),
        RequestBody::CreateTopics(request) => {
            let names: Vec<_> = request.topics.iter().map(|topic| topic.name.clone()).collect();
            // The first broker refuses one of the two as it loses its office; the second must be asked for that alone.
            let is_refused = |name: &str| port == 1 && name == "b";
            assert!(port == 1 || names == ["b"], "asked {port} for {names:?}");
            controller = 2;
            let topics = names.into_iter().map(|name| {
                let code = if is_refused(&name) { ErrorCode::NotController } else { ErrorCode::None };
                CreatableTopicResult {
                    error_code: code.code(),
                    name,
                    num_partitions: port.into(),
                    ..Default::default()
                }
            });
            Some(CreateTopicsResponse { topics: topics.collect(), ..Default::default() }.into())
        }
        other => panic!("unexpected {other:?}"),
    });
    let created = admin.create_topics(&[NewTopic::new("a", 1), NewTopic::new("b", 1)]).await.unwrap();
    let by = |name: &str| created[name].as_ref().unwrap().partitions;
    assert_eq!((by("a"), by("b")), (Some(1), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_final_and_omissions_are_told() {
    let admin = admin_of(|_, request| match request {
        RequestBody::Metadata(_) => metadata(2, 1),
        RequestBody::CreateTopics(_) => {
            let topic = CreatableTopicResult {
                name: "a".to_owned(),
                error_code: ErrorCode::TopicAlreadyExists.code(),
                error_message: Some("it is there".to_owned()),
                ..Default::default()
            };
            Some(CreateTopicsResponse { topics: vec![topic], ..Default::default() }.into())
        }
        other => panic!("unexpected {other:?}"),
    });
    let created = admin.create_topics(&[NewTopic::new("a", 1), NewTopic::new("b", 1)]).await.unwrap();
    assert_eq!(created["a"].as_ref().unwrap_err().to_string(), "TOPIC_ALREADY_EXISTS (it is there)");
    assert_eq!(created["b"].as_ref().unwrap_err().code, ErrorCode::UnknownServerError);
}

#[tokio::test(start_paused = true)]
async fn old_brokers_have_no_defaults() {
    let admin = admin_with(3, |_, request| match request {
        RequestBody::Metadata(_) => metadata(1, 1),
        other => panic!("unexpected {other:?}"),
    });
    let created = admin.create_topics(&[NewTopic::new("a", 1)]).await.unwrap();
    assert_eq!(created["a"].as_ref().unwrap_err().code, ErrorCode::UnsupportedVersion);
}

#[tokio::test(start_paused = true)]
async fn a_loading_coordinator_is_waited_for() {
    let mut rounds = 0;
    let admin = admin_of(move |_, request| match request {
        RequestBody::Metadata(_) => metadata(1, 1),
        RequestBody::FindCoordinator(request) => coordinator(request, 2),
        RequestBody::DeleteGroups(request) => {
            rounds += 1;
            let code = [ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotCoordinator, ErrorCode::None];
            let error_code = code[rounds - 1].code();
            let result = |group_id| DeletableGroupResult { group_id, error_code };
            let results = request.groups_names.into_iter().map(result).collect();
            Some(DeleteGroupsResponse { results, ..Default::default() }.into())
        }
        other => panic!("unexpected {other:?}"),
    });
    assert_eq!(admin.delete_groups(&["g"]).await.unwrap()["g"], Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_never_loads_ends_with_its_last_word() {
    let admin = admin_of(|_, request| match request {
        RequestBody::Metadata(_) => metadata(1, 1),
        RequestBody::FindCoordinator(request) => coordinator(request, 2),
        RequestBody::DeleteGroups(request) => {
            let error_code = ErrorCode::CoordinatorLoadInProgress.code();
            let result = |group_id| DeletableGroupResult { group_id, error_code };
            let results = request.groups_names.into_iter().map(result).collect();
            Some(DeleteGroupsResponse { results, ..Default::default() }.into())
        }
        other => panic!("unexpected {other:?}"),
    });
    let deleted = admin.timeout(Duration::from_secs(5)).delete_groups(&["g"]).await.unwrap();
    assert_eq!(deleted["g"].as_ref().unwrap_err().code, ErrorCode::CoordinatorLoadInProgress);
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_reach_does_not_take_the_rest_along() {
    let admin = |reachable: &'static str| {
        let admin = admin_of(move |port, request| match request {
            RequestBody::Metadata(_) => metadata(1, 1),
            RequestBody::FindCoordinator(request) => {
                let node = if request.coordinator_keys == [reachable] { 1 } else { 2 };
                coordinator(request, node)
            }
            RequestBody::DeleteGroups(request) if port == 1 => {
                let result = |group_id| DeletableGroupResult { group_id, error_code: 0 };
                let results = request.groups_names.into_iter().map(result).collect();
                Some(DeleteGroupsResponse { results, ..Default::default() }.into())
            }
            RequestBody::DeleteGroups(_) => None,
            other => panic!("unexpected {other:?}"),
        });
        admin.timeout(Duration::from_secs(5))
    };
    let deleted = admin("near").delete_groups(&["near", "far"]).await.unwrap();
    assert_eq!(deleted["near"], Ok(()));
    let refused = deleted["far"].as_ref().unwrap_err();
    assert!(refused.code == ErrorCode::NetworkException && refused.is_retriable(), "{refused}");
    let error = admin("near").delete_groups(&["far"]).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { source: Some(_), .. }), "{error:?}");
    assert!(error.may_have_side_effects());
}

#[tokio::test(start_paused = true)]
async fn groups_of_the_newer_protocol_are_described_too() {
    let admin = admin_of(|_, request| match request {
        RequestBody::Metadata(_) => metadata(1, 1),
        RequestBody::FindCoordinator(request) => coordinator(request, 2),
        RequestBody::DescribeGroups(request) => {
            let groups = request.groups.into_iter().map(|group_id| {
                let known = group_id == "classic";
                let code = if known { ErrorCode::None } else { ErrorCode::GroupIdNotFound };
                let group_state = if known { "Stable" } else { "Dead" }.to_owned();
                describe_groups::DescribedGroup { error_code: code.code(), group_id, group_state, ..Default::default() }
            });
            Some(DescribeGroupsResponse { groups: groups.collect(), ..Default::default() }.into())
        }
        RequestBody::ConsumerGroupDescribe(request) => {
            assert_eq!(request.group_ids, ["gone", "newer"]);
            let assignment = consumer_group_describe::Assignment {
                topic_partitions: vec![consumer_group_describe::TopicPartitions {
                    topic_name: "t".to_owned(),
                    partitions: vec![0, 1],
                    ..Default::default()
                }],
            };
            let member = consumer_group_describe::Member { assignment, ..Default::default() };
            let groups = request.group_ids.into_iter().map(|group_id| consumer_group_describe::DescribedGroup {
                error_code: if group_id == "newer" { 0 } else { ErrorCode::GroupIdNotFound.code() },
                group_id,
                group_state: "Stable".to_owned(),
                members: vec![member.clone()],
                ..Default::default()
            });
            Some(ConsumerGroupDescribeResponse { groups: groups.collect(), ..Default::default() }.into())
        }
        other => panic!("unexpected {other:?}"),
    });
    let described = admin.describe_groups(&["newer", "classic", "gone"]).await.unwrap();
    assert_eq!(described["classic"].as_ref().unwrap().coordinator, 2);
    let owned = &described["newer"].as_ref().unwrap().members[0].assignment;
    assert_eq!(owned, &[TopicPartition::new("t", 0), TopicPartition::new("t", 1)]);
    assert_eq!(described["gone"].as_ref().unwrap_err().code, ErrorCode::GroupIdNotFound);
}

#[tokio::test(start_paused = true)]
async fn records_are_deleted_at_the_leader_even_if_it_moves() {
    let mut leader = 1;
    let admin = admin_of(move |port, request| match request {
        RequestBody::Metadata(_) => metadata(1, leader),
        RequestBody::DeleteRecords(request) => {
            leader = 2;
            let code = if port == 2 { ErrorCode::None } else { ErrorCode::NotLeaderOrFollower };
            let topics = request.topics.into_iter().map(|topic| {
                let low_watermark = topic.partitions[0].offset;
                let result =
                    DeleteRecordsPartitionResult { partition_index: 0, low_watermark, error_code: code.code() };
                DeleteRecordsTopicResult { name: topic.name, partitions: vec![result] }
            });
            Some(DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }.into())
        }
        other => panic!("unexpected {other:?}"),
    });
    let (known, unknown) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
    let deleted = admin.delete_records(&[(known.clone(), Some(5)), (unknown.clone(), None)].into()).await.unwrap();
    assert_eq!(deleted[&known], Ok(5));
    assert_eq!(deleted[&unknown].as_ref().unwrap_err().code, ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn nothing_asked_nothing_sent() {
    let admin = admin_of(|_, request| panic!("unexpected {request:?}"));
    assert!(admin.create_topics(&[]).await.unwrap().is_empty());
    assert!(admin.describe_topics::<&str>(&[]).await.unwrap().is_empty());
    assert!(admin.describe_groups::<&str>(&[]).await.unwrap().is_empty());
}
