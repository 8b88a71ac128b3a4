//! Settings of groups and of client metrics, over both ways in: who may be given which, and that they last.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

mod common;

use common::{BOTH, Peer, builder};
use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
        describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult},
        incremental_alter_configs::{AlterConfigsResource, AlterableConfig},
    },
};

const CLIENT_METRICS: i8 = 16;
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
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: resource.to_owned(),
        configuration_keys: Some(vec![name.to_owned()]),
    };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: false };
    peer.call(request).await.results.remove(0).configs.remove(0)
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
async fn what_must_not_be_set_is_refused_in_kafkas_words() {
    let broker = builder().in_memory().start().await.unwrap();
    let invalid_config = ErrorCode::InvalidConfig.code();
    let invalid_request = ErrorCode::InvalidRequest.code();
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
