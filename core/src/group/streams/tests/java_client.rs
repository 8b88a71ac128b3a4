//! The topologies that the Java client sends, as Apache Kafka 4.3.0 stored them, and what Kafka made of them: the topics
//! it created and the hashes of metadata it stored.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{ConfiguredTopology, CopartitionGroup, Subtopology, TopicInfo, Topology, TopologyEpoch};
use crate::{
    group::Topics,
    metadata::{Image, MetadataRecord},
    protocol::records::{PartitionRecord, TopicRecord},
};

const REPARTITION: &str = "app-w-KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition";
const COUNTS: &str = "app-w-KSTREAM-AGGREGATE-STATE-STORE-0000000003-changelog";
const THIS: &str = "app-j-KSTREAM-JOINTHIS-0000000004-store-changelog";
const OTHER: &str = "app-j-KSTREAM-JOINOTHER-0000000005-store-changelog";

/// An internal topic: the client leaves its replication to the cluster (-1) and its partitions to the coordinator.
fn internal(name: &str, configs: &[(&str, &str)]) -> TopicInfo {
    let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    TopicInfo { name: name.into(), partitions: None, replication_factor: Some(-1), configs }
}

fn topology(parts: Vec<Subtopology>) -> Topology {
    let parts = parts.into_iter().enumerate().map(|(index, part)| (index.to_string().into(), part));
    Topology::from_parts(TopologyEpoch(0), parts).unwrap()
}

/// `stream.flatMapValues(..).groupBy(..).count()`.
fn words() -> Topology {
    let split = Subtopology {
        source_topics: vec!["lines".into()],
        repartition_sink_topics: vec![REPARTITION.into()],
        ..Subtopology::default()
    };
    let repartition = [
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "CreateTime"),
        ("retention.ms", "-1"),
        ("segment.bytes", "52428800"),
    ];
    let counts = [("cleanup.policy", "compact"), ("message.timestamp.type", "CreateTime")];
    let count = Subtopology {
        state_changelog_topics: vec![internal(COUNTS, &counts)],
        repartition_source_topics: vec![internal(REPARTITION, &repartition)],
        ..Subtopology::default()
    };
    topology(vec![split, count])
}

/// `left.join(right, .., JoinWindows..)`.
fn join() -> Topology {
    let window = [("cleanup.policy", "delete"), ("message.timestamp.type", "CreateTime"), ("retention.ms", "86420000")];
    topology(vec![Subtopology {
        source_topics: vec!["left".into(), "right".into()],
        state_changelog_topics: vec![internal(OTHER, &window), internal(THIS, &window)],
        copartition_groups: vec![CopartitionGroup { source_topics: vec![0, 1], ..CopartitionGroup::default() }],
        ..Subtopology::default()
    }])
}

/// Topics by name, id and number of partitions.
fn topics(topics: &[(&str, &str, i32)]) -> Topics {
    let mut image = Image::default();
    for (name, id, partitions) in topics {
        let topic_id = id.parse().unwrap();
        image.replay(&MetadataRecord::Topic(TopicRecord { name: (*name).to_owned(), topic_id })).unwrap();
        for partition_id in 0..*partitions {
            let record = PartitionRecord {
                partition_id,
                topic_id,
                replicas: vec![1],
                isr: vec![1],
                ..PartitionRecord::default()
            };
            image.replay(&MetadataRecord::Partition(record)).unwrap();
        }
    }
    Topics::new(Arc::new(image), 1)
}

fn to_create(configured: &ConfiguredTopology) -> BTreeMap<&str, i32> {
    configured.topics_to_create.values().map(|topic| (&*topic.name, topic.partitions)).collect()
}

#[test]
fn counting_words_becomes_what_it_becomes_in_kafka() {
    let topology = words();
    let lines = ("lines", "fCuld0tvT8S7pGRkOZC-rw", 3);
    let before = topics(&[lines]);
    assert_eq!(topology.metadata_hash(&before), -2_607_469_557_270_789_762);
    let configured = ConfiguredTopology::on_topics(&topology, &before).unwrap();
    assert_eq!(to_create(&configured), BTreeMap::from([(REPARTITION, 3), (COUNTS, 3)]));
    assert_eq!(configured.topics_to_create[REPARTITION].configs["segment.bytes"], "52428800");

    let repartition = (REPARTITION, "2JP7s-63RxSBSLXya1Jd3w", 3);
    let counts = (COUNTS, "1xa6e8xNT6229GE2CoGWrA", 3);
    let after = topics(&[lines, repartition, counts, ("other", "imzoTWQKRJ2zuAn1LQaa2A", 1)]);
    assert_eq!(topology.metadata_hash(&after), 485_804_363_927_508_496);
    let configured = ConfiguredTopology::on_topics(&topology, &after).unwrap();
    let tasks: Vec<_> =
        configured.assignable().map(|(id, part)| (&**id, part.task_count, part.is_stateful())).collect();
    assert_eq!(tasks, [("0", 3, false), ("1", 3, true)]);
}

#[test]
fn a_join_becomes_what_it_becomes_in_kafka() {
    let topology = join();
    let (left, right) = (("left", "5x9qxSv5TfCmzVaTE9aXxw", 2), ("right", "gzXz88TER1aQQ2LKvBN56Q", 2));
    let before = topics(&[left, right]);
    assert_eq!(topology.metadata_hash(&before), 3_523_967_701_779_253_799);
    let configured = ConfiguredTopology::on_topics(&topology, &before).unwrap();
    assert_eq!(to_create(&configured), BTreeMap::from([(OTHER, 2), (THIS, 2)]));

    let this = (THIS, "umALYw5HTwqFnijk3joAWg", 2);
    let other = (OTHER, "udBlyp7GRtqJI_l6v_JP3Q", 2);
    let after = topics(&[left, right, this, other]);
    assert_eq!(topology.metadata_hash(&after), -5_088_312_770_055_888_624);
    assert!(ConfiguredTopology::on_topics(&topology, &after).unwrap().is_ready());
}
