//! Settings of groups and of client metrics, and levels of features, over both ways in: what they may be, and that they
//! last.

mod common;

use common::{BOTH, Peer, builder};
use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        AlterShareGroupOffsetsRequest, ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
        DeleteShareGroupOffsetsRequest, DescribeAclsRequest, DescribeConfigsRequest, DescribeShareGroupOffsetsRequest,
        ElectLeadersRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
        ShareAcknowledgeRequest, ShareFetchRequest, ShareGroupDescribeRequest, ShareGroupHeartbeatRequest,
        UnregisterBrokerRequest, UpdateFeaturesRequest, UpdateFeaturesResponse,
        describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult},
        describe_share_group_offsets::DescribeShareGroupOffsetsRequestGroup,
        elect_leaders,
        incremental_alter_configs::{AlterConfigsResource, AlterableConfig},
        update_features::FeatureUpdateKey,
    },
};

const CLIENT_METRICS: i8 = 16;
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

async fn alter(peer: &Peer, kind: i8, resource: &str, name: &str, operation: i8, value: &str) -> (i16, String) {
    let value = (operation != DELETE).then(|| value.to_owned());
    let config = AlterableConfig { name: name.to_owned(), config_operation: operation, value };
    let resource =
        AlterConfigsResource { resource_type: kind, resource_name: resource.to_owned(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let altered = peer.call(request).await.responses.remove(0);
    (altered.error_code, altered.error_message.unwrap_or_default())
}

async fn describe(peer: &Peer, kind: i8, resource: &str, name: &str) -> DescribeConfigsResourceResult {
    rows(peer, kind, resource, name).await.remove(0)
}

async fn rows(peer: &Peer, kind: i8, resource: &str, name: &str) -> Vec<DescribeConfigsResourceResult> {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: resource.to_owned(),
        configuration_keys: Some(vec![name.to_owned()]),
    };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: false };
    peer.call(request).await.results.remove(0).configs
}

async fn list(peer: &Peer, kind: i8) -> Vec<String> {
    let request = ListConfigResourcesRequest { resource_types: vec![kind] };
    let listed = peer.call(request).await.config_resources;
    listed.into_iter().map(|resource| resource.resource_name).collect()
}

#[tokio::test]
async fn groups_and_client_metrics_have_settings_that_last() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let row = describe(&peer, GROUP, "g", "consumer.session.timeout.ms").await;
        assert_eq!((row.value.as_deref(), row.config_source), (Some("45000"), 5), "{row:?}");
        assert_eq!(row.synonyms[0].name, "group.consumer.session.timeout.ms");
        assert_eq!(alter(&peer, GROUP, "g", "consumer.session.timeout.ms", SET, "50000").await.0, 0);
        assert_eq!(alter(&peer, GROUP, "h", "share.auto.offset.reset", SET, "by_duration:PT1H").await.0, 0);
        assert_eq!(alter(&peer, CLIENT_METRICS, "m", "metrics", SET, "org.apache.kafka.producer.").await.0, 0);
        assert_eq!(alter(&peer, CLIENT_METRICS, "n", "interval.ms", SET, "1000").await.0, 0);
        assert_eq!(alter(&peer, CLIENT_METRICS, "n", "interval.ms", DELETE, "").await.0, 0);
        drop(peer);
        broker.shutdown().await.unwrap();

        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        let row = describe(&peer, GROUP, "g", "consumer.session.timeout.ms").await;
        assert_eq!((row.value.as_deref(), row.config_source), (Some("50000"), 8), "{row:?}");
        let row = describe(&peer, GROUP, "h", "share.auto.offset.reset").await;
        assert_eq!((row.value.as_deref(), row.config_type), (Some("by_duration:PT1H"), 2), "{row:?}");
        let row = describe(&peer, CLIENT_METRICS, "m", "metrics").await;
        assert_eq!((row.value.as_deref(), row.config_source), (Some("org.apache.kafka.producer."), 7), "{row:?}");
        assert_eq!(list(&peer, GROUP).await, ["g", "h"]);
        assert_eq!(list(&peer, CLIENT_METRICS).await, ["m"]);
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn settings_of_all_brokers_have_no_other_source_and_internal_ones_are_hidden() {
    const INTERNAL: &str = "producer.id.expiration.check.interval.ms";
    for way in BOTH {
        let broker = builder().in_memory().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(alter(&peer, BROKER, "", "message.max.bytes", SET, "2000000").await.0, 0);
        for (resource, expected) in [("", &[3][..]), ("1", &[3, 5])] {
            let row = describe(&peer, BROKER, resource, "message.max.bytes").await;
            assert_eq!((row.value.as_deref(), row.config_source), (Some("2000000"), 3), "{row:?}");
            let sources: Vec<_> = row.synonyms.iter().map(|synonym| synonym.source).collect();
            assert_eq!(sources, expected, "{way:?} {resource:?}");
        }
        assert!(rows(&peer, BROKER, "1", INTERNAL).await.is_empty(), "{way:?}");
        let row = describe(&peer, BROKER, "1", "log.retention.ms").await;
        assert_eq!((row.value, row.config_source, row.synonyms.len()), (None, 5, 0), "neither set nor a default");
        broker.shutdown().await.unwrap();
        let broker = builder().in_memory().set(INTERNAL, "1000").unwrap().start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(describe(&peer, BROKER, "1", INTERNAL).await.value.as_deref(), Some("1000"), "{way:?}");
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_in_kafkas_words() {
    let broker = builder().in_memory().start().await.unwrap();
    for way in BOTH {
        let peer = Peer::connect(&broker, way).await;
        let find = FindCoordinatorRequest { coordinator_keys: vec!["x".into()], ..Default::default() };
        while peer.call(find.clone()).await.coordinators[0].error_code != 0 {}
        let not_found = (ErrorCode::GroupIdNotFound.code(), Some("Group x not found.".to_owned()));
        let ids = || vec!["x".to_owned()];
        let described = loop {
            let request = ConsumerGroupDescribeRequest { group_ids: ids(), ..Default::default() };
            let described = peer.call(request).await.groups.remove(0);
            if !ErrorCode::from_code(described.error_code).is_retriable() {
                break described;
            }
        };
        assert_eq!((described.error_code, described.error_message), not_found, "{way:?}");
        assert_eq!(described.group_state, "", "{way:?}");
        let request = ShareGroupDescribeRequest { group_ids: ids(), ..Default::default() };
        let described = peer.call(request).await.groups.remove(0);
        assert_eq!((described.error_code, described.error_message), not_found, "{way:?}");
        let acls = peer.call(DescribeAclsRequest::default()).await;
        assert_eq!(acls.error_message.as_deref(), Some("No Authorizer is configured on the broker"), "{way:?}");
        let gone = peer.call(UnregisterBrokerRequest { broker_id: 9 }).await;
        assert_eq!(gone.error_message.as_deref(), Some("Broker ID 9 is not currently registered"), "{way:?}");
        let topic = elect_leaders::TopicPartitions { topic: "x".into(), partitions: vec![0] };
        let request = ElectLeadersRequest { topic_partitions: Some(vec![topic]), ..Default::default() };
        let elected = peer.call(request).await.replica_election_results.remove(0).partition_result.remove(0);
        assert_eq!(elected.error_message.as_deref(), Some("No such topic as x"), "{way:?}");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_must_not_be_set_is_refused_in_kafkas_words() {
    let broker = builder().in_memory().start().await.unwrap();
    let invalid_config = ErrorCode::InvalidConfig.code();
    let invalid_request = ErrorCode::InvalidRequest.code();
    let unknown_topic = ErrorCode::UnknownTopicOrPartition.code();
    for way in BOTH {
        let peer = Peer::connect(&broker, way).await;
        for (kind, resource, name, operation, value, code, words) in [
            (GROUP, "g", "no.such", SET, "1", invalid_config, "Unknown group config name: no.such"),
            (
                GROUP,
                "",
                "consumer.session.timeout.ms",
                SET,
                "1",
                invalid_request,
                "Default group resources are not allowed.",
            ),
            (
                GROUP,
                "g",
                "consumer.session.timeout.ms",
                APPEND,
                "1",
                invalid_config,
                "Can't APPEND to key consumer.session.timeout.ms because its type is not LIST.",
            ),
            (
                GROUP,
                "g",
                "share.heartbeat.interval.ms",
                SET,
                "5",
                invalid_config,
                "share.heartbeat.interval.ms must be greater than or equal to group.share.min.heartbeat.interval.ms",
            ),
            (
                BROKER,
                "1",
                "num.partitions",
                SET,
                "4",
                invalid_request,
                "Cannot update these configs dynamically: [num.partitions]",
            ),
            (TOPIC, "nope", "retention.ms", SET, "1", unknown_topic, "The topic 'nope' does not exist."),
            (CLIENT_METRICS, "m", "nope", SET, "1", invalid_request, "Unknown client metrics configuration: nope"),
            (CLIENT_METRICS, "", "interval.ms", SET, "1000", invalid_request, "Subscription name can't be empty"),
            (
                CLIENT_METRICS,
                "m",
                "match",
                SET,
                "client_id=(",
                invalid_config,
                "Illegal client matching pattern: client_id=(",
            ),
        ] {
            let refused = alter(&peer, kind, resource, name, operation, value).await;
            assert_eq!(refused, (code, words.to_owned()), "{way:?}");
        }
        assert!(list(&peer, GROUP).await.is_empty() && list(&peer, CLIENT_METRICS).await.is_empty());
    }
    broker.shutdown().await.unwrap();
}

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

async fn update_feature(peer: &Peer, name: &str, level: i16, upgrade_type: i8, checks: bool) -> UpdateFeaturesResponse {
    let update =
        FeatureUpdateKey { feature: name.to_owned(), max_version_level: level, upgrade_type, ..Default::default() };
    let request = UpdateFeaturesRequest { feature_updates: vec![update], validate_only: checks, ..Default::default() };
    peer.call(request).await
}

/// The level of `transaction.version` that is announced.
async fn announced(peer: &Peer) -> Option<i16> {
    let request = ApiVersionsRequest { client_software_name: "t".to_owned(), client_software_version: "1".to_owned() };
    let features = peer.call(request).await.finalized_features;
    features.iter().find(|feature| feature.name == "transaction.version").map(|feature| feature.max_version_level)
}

#[tokio::test]
async fn levels_of_features_are_checked_changed_and_kept() {
    for way in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(announced(&peer).await, Some(2));
        assert_eq!(update_feature(&peer, "transaction.version", 1, SAFE_DOWNGRADE, true).await.error_code, 0);
        assert_eq!(announced(&peer).await, Some(2), "it was only checked");
        assert_eq!(update_feature(&peer, "transaction.version", 1, SAFE_DOWNGRADE, false).await.error_code, 0);
        assert_eq!(announced(&peer).await, Some(1));
        let refused = update_feature(&peer, "transaction.version", 3, UPGRADE, false).await;
        assert_eq!(refused.error_code, ErrorCode::InvalidUpdateVersion.code());
        let words = "The update failed for all features since the following feature had an error: Invalid update version 3 \
                     for feature transaction.version. Local controller 1 only supports versions 0-2";
        assert_eq!(refused.error_message.as_deref(), Some(words));
        assert_eq!(update_feature(&peer, "transaction.version", 0, SAFE_DOWNGRADE, false).await.error_code, 0);
        drop(peer);
        broker.shutdown().await.unwrap();

        let broker = builder().data_dir(folder.path()).start().await.unwrap();
        let peer = Peer::connect(&broker, way).await;
        assert_eq!(announced(&peer).await, None, "it was turned off before the restart");
        assert_eq!(update_feature(&peer, "transaction.version", 2, UPGRADE, false).await.error_code, 0);
        assert_eq!(announced(&peer).await, Some(2));
        broker.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn what_belongs_to_a_feature_that_is_off_is_refused() {
    let broker = builder().in_memory().start().await.unwrap();
    for way in BOTH {
        let peer = Peer::connect(&broker, way).await;
        let consumer = async || {
            let request = ConsumerGroupHeartbeatRequest { group_id: "g".to_owned(), ..Default::default() };
            let beat = peer.call(request).await.error_code;
            let request = ConsumerGroupDescribeRequest { group_ids: vec!["g".to_owned()], ..Default::default() };
            vec![beat, peer.call(request).await.groups[0].error_code]
        };
        let share = async || {
            let group_id = || "g".to_owned();
            let beat = peer.call(ShareGroupHeartbeatRequest { group_id: group_id(), ..Default::default() }).await;
            let request = ShareGroupDescribeRequest { group_ids: vec![group_id()], ..Default::default() };
            let described = peer.call(request).await.groups[0].error_code;
            let request = ShareFetchRequest { group_id: Some(group_id()), ..Default::default() };
            let fetched = peer.call(request).await.error_code;
            let request = ShareAcknowledgeRequest { group_id: Some(group_id()), ..Default::default() };
            let acknowledged = peer.call(request).await.error_code;
            let group = DescribeShareGroupOffsetsRequestGroup { group_id: group_id(), topics: None };
            let offsets =
                peer.call(DescribeShareGroupOffsetsRequest { groups: vec![group] }).await.groups[0].error_code;
            let request = AlterShareGroupOffsetsRequest { group_id: group_id(), ..Default::default() };
            let altered = peer.call(request).await.error_code;
            let request = DeleteShareGroupOffsetsRequest { group_id: group_id(), ..Default::default() };
            vec![
                beat.error_code,
                described,
                fetched,
                acknowledged,
                offsets,
                altered,
                peer.call(request).await.error_code,
            ]
        };
        let off = ErrorCode::UnsupportedVersion.code();
        for (name, other) in [("group.version", "share.version"), ("share.version", "group.version")] {
            assert_eq!(update_feature(&peer, name, 0, SAFE_DOWNGRADE, false).await.error_code, 0);
            let (groups, shares) = (consumer().await, share().await);
            let (refused, served) = if name == "group.version" { (groups, shares) } else { (shares, groups) };
            assert!(refused.iter().all(|code| *code == off), "{way:?} {name} off: {refused:?}");
            assert!(served.iter().all(|code| *code != off), "{way:?} {other} on: {served:?}");
            assert_eq!(update_feature(&peer, name, 1, UPGRADE, false).await.error_code, 0);
        }
        assert!(consumer().await.iter().chain(&share().await).all(|code| *code != off), "{way:?}: both are on again");
    }
    broker.shutdown().await.unwrap();
}
