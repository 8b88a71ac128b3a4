//! The admin calls in detail, against the cluster that `RIVERRUN_TEST_BOOTSTRAP` names. Without it they are passed over,
//! and say so. What every broker must do is in `scenarios`; here is what those stories do not ask for.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use riverrun_client::{
    Admin, AlterConfig, Client, ConfigResource, NewTopic, OffsetAndMetadata, OffsetSpec, ProducerRecord,
    TopicPartition,
    admin::{ConfigSource, GroupFilter},
};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(30);

fn unique(name: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("admin-{name}-{}", since.as_nanos())
}

async fn client() -> Option<Client> {
    let Ok(bootstrap) = std::env::var("RIVERRUN_TEST_BOOTSTRAP") else {
        eprintln!("SKIPPED: set RIVERRUN_TEST_BOOTSTRAP=host:port to run this against a Kafka cluster");
        return None;
    };
    Some(Client::connect(&bootstrap).await.expect("the cluster answers"))
}

/// A cluster's brokers hear of a new topic a little after the controller has made it.
async fn create(admin: &Admin, new: NewTopic) {
    let name = new.name.clone();
    admin.create_topics(&[new]).await.expect("asked")[&name].as_ref().expect("created");
    let deadline = Instant::now() + LIMIT;
    while admin.describe_topics(&[&name]).await.expect("asked")[&name].is_err() {
        assert!(Instant::now() < deadline, "the topic does not appear");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn validation_changes_nothing() {
    let Some(client) = client().await else { return };
    let admin = client.admin();
    let name = unique("validate");
    let mut new = NewTopic::new(&name, 3).config("cleanup.policy", "compact");
    new.replication_factor = Some(1);
    let validated = admin.validate_topics(std::slice::from_ref(&new)).await.expect("asked");
    assert_eq!(validated[&name].as_ref().expect("fine").partitions, Some(3));
    let bad = NewTopic::new(&name, 3).config("retention.ms", "soon");
    let refused = admin.validate_topics(&[bad]).await.expect("asked")[&name].clone().expect_err("no number");
    assert_eq!(refused.code.name(), "INVALID_CONFIG");
    assert!(refused.message.is_some(), "the broker says what is wrong");
    assert!(admin.describe_topics(&[&name]).await.expect("asked")[&name].is_err());

    create(&admin, new).await;
    let resource = ConfigResource::Topic(name.clone());
    let change = |value: &str| {
        let change = BTreeMap::from([("retention.ms".to_owned(), AlterConfig::Set(value.to_owned()))]);
        BTreeMap::from([(resource.clone(), change)])
    };
    assert_eq!(admin.validate_configs(&change("77")).await.expect("asked")[&resource], Ok(()));
    assert!(admin.validate_configs(&change("soon")).await.expect("asked")[&resource].is_err());
    let configs = admin.describe_configs(std::slice::from_ref(&resource)).await.expect("asked");
    assert_ne!(configs[&resource].as_ref().expect("known")["retention.ms"].value.as_deref(), Some("77"));
    assert_eq!(admin.delete_topics(&[&name]).await.expect("asked")[&name], Ok(()));
}

#[tokio::test]
async fn topics_with_the_brokers_defaults() {
    let Some(client) = client().await else { return };
    let admin = client.admin();
    let name = unique("defaults");
    let mut new = NewTopic::new(&name, 1);
    new.partitions = None;
    let created = admin.create_topics(&[new]).await.expect("asked")[&name].clone().expect("created");
    assert!(created.partitions.is_some_and(|count| count > 0) && created.replication_factor.is_some());
    assert!(created.id.is_some());
    assert!(created.configs.get("cleanup.policy").is_some_and(|entry| entry.value.as_deref() == Some("delete")));
    let same_twice = [NewTopic::new("twice", 1), NewTopic::new("twice", 2)];
    let refused = admin.create_topics(&same_twice).await.expect("asked");
    assert_eq!(refused["twice"].as_ref().expect_err("ambiguous").code.name(), "INVALID_REQUEST");
    admin.delete_topics(&[&name]).await.expect("asked");
}

#[tokio::test]
async fn partitions_in_detail() {
    let Some(client) = client().await else { return };
    let admin = client.admin();
    let name = unique("detail");
    create(&admin, NewTopic::new(&name, 2).replication_factor(1)).await;
    let topic = admin.describe_topics(&[&name]).await.expect("asked")[&name].clone().expect("known");
    assert!(!topic.is_internal && topic.id.is_some());
    for (index, partition) in (0..).zip(&topic.partitions) {
        assert_eq!(partition.topic_partition, TopicPartition::new(name.as_str(), index));
        let leader = partition.leader.expect("led");
        assert_eq!(
            (partition.replicas.as_slice(), partition.in_sync_replicas.as_slice()),
            (&[leader][..], &[leader][..])
        );
        assert!(partition.leader_epoch.is_some() && partition.offline_replicas.is_empty());
    }
    let refused = admin.create_partitions(&[(&name, 2)]).await.expect("asked")[&name].clone();
    assert_eq!(refused.expect_err("not more").code.name(), "INVALID_PARTITIONS");
    admin.delete_topics(&[&name]).await.expect("asked");
}

#[tokio::test]
async fn configurations_in_detail() {
    let Some(client) = client().await else { return };
    let admin = client.admin();
    let name = unique("configs");
    create(&admin, NewTopic::new(&name, 1).config("cleanup.policy", "compact")).await;
    let resource = ConfigResource::Topic(name.clone());
    let alter = async |change| {
        let changes = BTreeMap::from([(resource.clone(), BTreeMap::from([("cleanup.policy".to_owned(), change)]))]);
        admin.alter_configs(&changes).await.expect("asked")[&resource].clone().expect("accepted");
    };
    let wait_for = async |value: &str| {
        let deadline = Instant::now() + LIMIT;
        loop {
            let configs = admin.describe_configs(std::slice::from_ref(&resource)).await.expect("asked");
            let entry = configs[&resource].as_ref().expect("known")["cleanup.policy"].clone();
            if entry.value.as_deref() == Some(value) {
                return entry;
            }
            assert!(Instant::now() < deadline, "still {entry:?}");
        }
    };
    let entry = wait_for("compact").await;
    assert_eq!(entry.source, ConfigSource::Topic);
    assert!(!entry.is_default() && !entry.is_read_only && !entry.is_sensitive && entry.kind.is_some());
    assert!(entry.documentation.is_some_and(|text| !text.is_empty()));
    assert_eq!(entry.synonyms.first().map(|first| first.source), Some(ConfigSource::Topic));
    assert!(entry.synonyms.iter().any(|synonym| synonym.source == ConfigSource::Default));
    alter(AlterConfig::Append("delete".to_owned())).await;
    wait_for("compact,delete").await;
    alter(AlterConfig::Subtract("compact".to_owned())).await;
    wait_for("delete").await;
    alter(AlterConfig::Delete).await;
    let deadline = Instant::now() + LIMIT;
    while !wait_for("delete").await.is_default() {
        assert!(Instant::now() < deadline, "the default does not return");
    }

    let broker = admin.describe_cluster().await.expect("asked").nodes.first().expect("a broker").id;
    let both = [ConfigResource::Broker(Some(broker)), ConfigResource::Topic("no-such-topic".to_owned())];
    let configs = admin.describe_configs(&both).await.expect("asked");
    let settings = configs[&both[0]].as_ref().expect("known");
    assert!(settings["node.id"].is_read_only && settings.len() > 20);
    assert!(configs[&both[1]].is_err());
    admin.delete_topics(&[&name]).await.expect("asked");
}

#[tokio::test]
async fn offsets_of_partitions() {
    let Some(client) = client().await else { return };
    let admin = client.admin();
    let name = unique("offsets");
    create(&admin, NewTopic::new(&name, 1)).await;
    let producer = client.producer().build().expect("settings");
    for timestamp in [100, 300, 200] {
        let record = ProducerRecord::to(name.as_str()).value("x").timestamp(timestamp);
        producer.send(record).await.expect("accepted").await.expect("written");
    }
    producer.close().await;
    let partition = TopicPartition::new(name.as_str(), 0);
    let offset = async |spec| {
        let found = admin.list_offsets(&HashMap::from([(partition.clone(), spec)])).await.expect("asked");
        found[&partition].map(|at| at.offset)
    };
    assert_eq!(offset(OffsetSpec::Earliest).await, Some(0));
    assert_eq!(offset(OffsetSpec::Latest).await, Some(3));
    assert_eq!(offset(OffsetSpec::MaxTimestamp).await, Some(1));
    assert_eq!(offset(OffsetSpec::Timestamp(101)).await, Some(1));
    assert_eq!(offset(OffsetSpec::Timestamp(301)).await, None);
    let unknown = TopicPartition::new(name.as_str(), 7);
    let before = HashMap::from([(partition.clone(), Some(2)), (unknown.clone(), Some(1))]);
    let deleted = admin.delete_records(&before).await.expect("asked");
    assert_eq!(deleted[&partition], Ok(2));
    assert_eq!(deleted[&unknown].as_ref().expect_err("no partition").code.name(), "UNKNOWN_TOPIC_OR_PARTITION");
    assert_eq!(offset(OffsetSpec::Earliest).await, Some(2));
    assert_eq!(
        admin.delete_records(&HashMap::from([(partition.clone(), None)])).await.expect("asked")[&partition],
        Ok(3)
    );
    let beyond = admin.delete_records(&HashMap::from([(partition.clone(), Some(9))])).await.expect("asked");
    assert_eq!(beyond[&partition].as_ref().expect_err("no offset").code.name(), "OFFSET_OUT_OF_RANGE");
    admin.delete_topics(&[&name]).await.expect("asked");
}

#[tokio::test]
async fn groups_in_detail() {
    let Some(client) = client().await else { return };
    let admin = client.admin();
    let (name, group) = (unique("groups"), unique("group"));
    create(&admin, NewTopic::new(&name, 2)).await;
    let partitions = [TopicPartition::new(name.as_str(), 0), TopicPartition::new(name.as_str(), 1)];
    let mut with_text = OffsetAndMetadata::new(4);
    with_text.metadata = "four".to_owned();
    let offsets =
        HashMap::from([(partitions[0].clone(), with_text.clone()), (partitions[1].clone(), OffsetAndMetadata::new(6))]);
    let altered = admin.alter_group_offsets(&group, &offsets).await.expect("asked");
    assert!(altered.len() == 2 && altered.values().all(Result::is_ok));
    let listed = admin.list_group_offsets(&group, None).await.expect("asked");
    assert_eq!(listed[&partitions[0]].as_ref().expect("known"), &with_text);

    let empty = GroupFilter::default().state("Empty").group_type("classic");
    assert!(admin.list_groups_matching(&empty).await.expect("asked").iter().any(|listing| listing.group_id == group));
    let stable = GroupFilter::default().state("Stable");
    assert!(!admin.list_groups_matching(&stable).await.expect("asked").iter().any(|listing| listing.group_id == group));

    let deleted = admin.delete_group_offsets(&group, &partitions[..1]).await.expect("asked");
    assert_eq!(deleted[&partitions[0]], Ok(()));
    let left = admin.list_group_offsets(&group, None).await.expect("asked");
    assert_eq!(left.keys().collect::<Vec<_>>(), [&partitions[1]]);

    let missing = unique("no-such-group");
    let described = admin.describe_groups(&[&group, &missing]).await.expect("asked");
    let description = described[&group].as_ref().expect("known");
    assert_eq!((description.state.as_str(), description.members.len()), ("Empty", 0));
    assert!(described[&missing].as_ref().map_or(true, |group| group.state == "Dead"));
    let deleted = admin.delete_groups(&[&group, &missing]).await.expect("asked");
    assert_eq!(deleted[&group], Ok(()));
    assert_eq!(deleted[&missing].as_ref().expect_err("no group").code.name(), "GROUP_ID_NOT_FOUND");
    let refused = admin.delete_group_offsets(&missing, &partitions).await.expect_err("no group");
    assert_eq!(refused.code().map(|code| code.name()), Some("GROUP_ID_NOT_FOUND"));
    admin.delete_topics(&[&name]).await.expect("asked");
}
