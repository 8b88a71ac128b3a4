//! Tests of the image: Kafka's own records, commands and their refusals, and a model.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    NodeId, ProducerId, Uuid,
    protocol::{ErrorCode, records},
};

/// Topic settings: `cleanup.policy` is a list, `retention.ms` a number; nothing else exists.
struct Rules;

impl ConfigRules for Rules {
    fn list_default(&self, _: &ConfigResource, name: &str) -> Option<String> {
        (name == "cleanup.policy").then(|| "delete".to_owned())
    }

    fn validate(&self, _: &ConfigResource, configs: &BTreeMap<String, String>) -> Result<(), InvalidConfig> {
        for (name, value) in configs {
            let is_valid = match name.as_str() {
                "cleanup.policy" => value.split(',').all(|word| matches!(word, "delete" | "compact")),
                "retention.ms" => value.parse::<i64>().is_ok(),
                _ => false,
            };
            if !is_valid {
                return Err(InvalidConfig { name: name.clone(), reason: "no".to_owned() });
            }
        }
        Ok(())
    }
}

fn id(number: u8) -> Uuid {
    Uuid([number; 16])
}

fn cluster(brokers: i32) -> ClusterView {
    ClusterView {
        brokers: (1..=brokers).map(|node| (NodeId(node), Uuid([0xd0; 16]))).collect(),
        partition_count_default: 3,
        replication_factor_default: 1,
        partitions_max: 50,
    }
}

fn topic(name: &str) -> CreateTopic {
    CreateTopic { name: name.to_owned(), topic_id: id(1), ..CreateTopic::default() }
}

fn apply(image: &mut Image, records: &[MetadataRecord]) {
    for record in records {
        let decoded = MetadataRecord::decode(&record.encode().unwrap()).unwrap().unwrap();
        assert_eq!(&decoded, record);
        image.replay(&decoded).unwrap();
        assert_eq!(image.weight(), image.weight_of_all(), "{record:?}");
    }
}

fn image_with(topics: &[&str]) -> Image {
    let mut image = Image::default();
    for (name, number) in topics.iter().zip(1..) {
        let request = CreateTopic { topic_id: id(number), ..topic(name) };
        let creation = image.create_topic(&request, &cluster(1), &Rules).unwrap();
        apply(&mut image, &creation.records);
    }
    image
}

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn kafkas_own_log_is_read_and_written() {
    // From the metadata log of Apache Kafka 4.3.0 after the creation of topic `t`.
    let log = [
        "01 0c 00 11 6d657461646174612e76657273696f6e 001e 00",
        "01 02 00 02 74 2e185bc2a88d4e41ba561e2faa21d1e5 00",
        "01 03 02 00000000 2e185bc2a88d4e41ba561e2faa21d1e5 02 00000001 02 00000001 01 01 00000001 00000000 00000000 \
         02 eb66c990a9f0de744f6a85756631e35c 00",
        "01 0f 00 00000001 000000000000000d 00000000000003e8 00",
        "01 04 00 04 01 14 6d696e2e696e73796e632e7265706c69636173 02 31 00",
    ];
    let mut image = Image::default();
    for bytes in log.map(hex) {
        let record = MetadataRecord::decode(&bytes).unwrap().unwrap();
        assert_eq!(record.encode().unwrap(), bytes);
        image.replay(&record).unwrap();
    }
    let topic = image.topic("t").unwrap();
    assert_eq!(topic.id.to_string(), "LhhbwqiNTkG6Vh4vqiHR5Q");
    let partition = &topic.partitions[&0];
    assert_eq!((partition.leader, &*partition.isr), (Some(NodeId(1)), &[NodeId(1)][..]));
    assert_eq!((image.next_producer_id(), image.features()["metadata.version"]), (1_000, 30));
    assert_eq!(image.configs(&ConfigResource::AllBrokers)["min.insync.replicas"], "1");
    // A record that says nothing is skipped; a malformed one is not.
    assert_eq!(MetadataRecord::decode(&hex("01 14 00 00")), Ok(None));
    assert!(MetadataRecord::decode(&hex("01 02 00 05 74")).is_err());
    assert!(MetadataRecord::decode(&hex("")).is_err());
}

#[test]
fn a_topic_gets_what_it_asks_for_or_the_defaults() {
    let image = Image::default();
    let creation = image.create_topic(&topic("t"), &cluster(1), &Rules).unwrap();
    assert_eq!((creation.partition_count, creation.replication_factor, creation.records.len()), (3, 1, 4));
    let configs = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
    let request = CreateTopic { partition_count: Some(2), replication_factor: Some(2), configs, ..topic("t") };
    let creation = image.create_topic(&request, &cluster(3), &Rules).unwrap();
    let mut image = image;
    apply(&mut image, &creation.records);
    assert_eq!(image.partition_count(), 2);
    assert_eq!(image.configs(&ConfigResource::Topic("t".into()))["retention.ms"], "5");
    let leaders: Vec<_> = image.topic("t").unwrap().partitions.values().map(|p| p.leader.unwrap()).collect();
    assert_eq!(leaders, [NodeId(2), NodeId(3)]);
    let checked = CreateTopic { validate_only: true, ..topic("u") };
    assert_eq!(image.create_topic(&checked, &cluster(1), &Rules).unwrap().records, []);
}

#[test]
fn a_caller_may_choose_the_brokers() {
    let mut image = Image::default();
    let nodes = |ids: &[i32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
    let assigned = |assignments: &[(i32, &[i32])]| CreateTopic {
        assignments: assignments.iter().map(|(partition, ids)| (*partition, nodes(ids))).collect(),
        ..topic("t")
    };
    let refused = |request: &CreateTopic| Image::default().create_topic(request, &cluster(3), &Rules).unwrap_err();
    let gap = refused(&assigned(&[(0, &[1]), (2, &[1])]));
    assert_eq!(gap, InvalidAssignment::Gap { expected: 1 }.into());
    for bad in [&[(0, &[][..])][..], &[(0, &[1, 1])], &[(0, &[4])], &[(0, &[1]), (1, &[1, 2])]] {
        assert_eq!(ErrorCode::from(&refused(&assigned(bad))), ErrorCode::InvalidReplicaAssignment, "{bad:?}");
    }
    let with_count = CreateTopic { partition_count: Some(1), ..assigned(&[(0, &[1])]) };
    assert_eq!(refused(&with_count), CreateTopicError::AssignmentWithCounts);

    let creation = image.create_topic(&assigned(&[(0, &[3, 1]), (1, &[2, 3])]), &cluster(3), &Rules).unwrap();
    assert_eq!((creation.partition_count, creation.replication_factor), (2, 2));
    apply(&mut image, &creation.records);
    let partition = image.partition("t", 0).unwrap();
    assert_eq!((partition.leader, &partition.replicas), (Some(NodeId(3)), &nodes(&[3, 1])));
    assert_eq!(partition.directories, [Uuid([0xd0; 16]); 2]);
}

#[test]
fn what_a_topic_may_not_be() {
    let image = image_with(&["a.b"]);
    let code = |request: CreateTopic| {
        image.create_topic(&request, &cluster(2), &Rules).map_err(|error| ErrorCode::from(&error)).unwrap_err()
    };
    assert_eq!(code(topic("no/topic")), ErrorCode::InvalidTopicException);
    assert_eq!(code(topic("a_b")), ErrorCode::InvalidTopicException);
    assert_eq!(code(topic("a.b")), ErrorCode::TopicAlreadyExists);
    assert_eq!(code(CreateTopic { partition_count: Some(0), ..topic("t") }), ErrorCode::InvalidPartitions);
    for factor in [0, -2, 3] {
        let request = CreateTopic { replication_factor: Some(factor), ..topic("t") };
        assert_eq!(code(request), ErrorCode::InvalidReplicationFactor);
    }
    let configs = BTreeMap::from([("retention.ms".to_owned(), "long".to_owned())]);
    assert_eq!(code(CreateTopic { configs, ..topic("t") }), ErrorCode::InvalidConfig);
    for count in [48, 10_001] {
        let request = CreateTopic { partition_count: Some(count), ..topic("t") };
        assert_eq!(code(request), ErrorCode::PolicyViolation);
    }
}

#[test]
fn a_deleted_topic_leaves_nothing_behind() {
    let mut image = image_with(&["a.b", "c"]);
    let resource = ConfigResource::Topic("a.b".into());
    let set = ConfigAlteration { name: "retention.ms".into(), operation: ConfigOperation::Set("1".into()) };
    let records = image.alter_configs(&resource, &[set], &Rules).unwrap();
    apply(&mut image, &records);
    let snapshot = image.clone();
    let records = image.delete_topic("a.b").unwrap();
    assert_eq!(image.delete_topic_by_id(id(1)).unwrap(), records);
    apply(&mut image, &records);
    assert!(image.topic("a.b").is_none() && image.topic_by_id(id(1)).is_none());
    assert_eq!((image.partition_count(), image.configs(&resource).len()), (3, 0));
    assert_eq!(image.delete_topic("a.b"), Err(DeleteTopicError::UnknownName { name: "a.b".into() }));
    assert_eq!(image.delete_topic_by_id(id(1)), Err(DeleteTopicError::UnknownId { topic_id: id(1) }));
    assert!(image.create_topic(&CreateTopic { topic_id: id(9), ..topic("a_b") }, &cluster(1), &Rules).is_ok());
    // Who holds a snapshot sees nothing of it.
    assert_eq!((snapshot.partition_count(), snapshot.configs(&resource).len()), (6, 1));
}

#[test]
fn partitions_are_added_and_never_removed() {
    let mut image = image_with(&["t"]);
    let more = |partition_count| CreatePartitions { topic: "t".into(), partition_count, ..Default::default() };
    let code = |request: CreatePartitions| {
        image.create_partitions(&request, &cluster(1)).map_err(|error| ErrorCode::from(&error)).unwrap_err()
    };
    for count in [3, 2, 0, -1] {
        assert_eq!(code(more(count)), ErrorCode::InvalidPartitions);
    }
    let words = |count| image.create_partitions(&more(count), &cluster(1)).unwrap_err().to_string();
    assert_eq!(words(3), "Topic already has 3 partition(s).");
    assert_eq!(words(2), "The topic t currently has 3 partition(s); 2 would not be an increase.");
    assert_eq!(code(CreatePartitions { topic: "u".into(), ..more(5) }), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code(more(51)), ErrorCode::PolicyViolation);
    let chosen = |given: &[&[i32]]| {
        let assignments = given.iter().map(|ids| ids.iter().copied().map(NodeId).collect()).collect();
        CreatePartitions { assignments: Some(assignments), ..more(5) }
    };
    for bad in [&[&[1][..]][..], &[&[1], &[9]], &[&[1], &[]]] {
        assert_eq!(code(chosen(bad)), ErrorCode::InvalidReplicaAssignment);
    }
    let no_broker = image.create_partitions(&more(4), &cluster(0));
    assert_eq!(no_broker, Err(CreatePartitionsError::TooFewBrokers { replication_factor: 1, available: 0 }));
    assert_eq!(image.create_partitions(&CreatePartitions { validate_only: true, ..more(5) }, &cluster(1)), Ok(vec![]));
    let records = image.create_partitions(&chosen(&[&[1], &[1]]), &cluster(1)).unwrap();
    apply(&mut image, &records);
    assert_eq!(image.topic("t").unwrap().partitions.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn settings_are_altered_step_by_step() {
    let mut image = image_with(&["t"]);
    let resource = ConfigResource::Topic("t".into());
    let step = |name: &str, operation| ConfigAlteration { name: name.into(), operation };
    let mut alter = |alterations: &[ConfigAlteration]| {
        let records = image.alter_configs(&resource, alterations, &Rules)?;
        apply(&mut image, &records);
        Ok::<_, AlterConfigsError>((records.len(), image.configs(&resource).get("cleanup.policy").cloned()))
    };
    use ConfigOperation::{Append, Delete, Set, Subtract};
    let compact = || Some("delete,compact".to_owned());
    assert_eq!(alter(&[step("cleanup.policy", Append("compact".into()))]), Ok((1, compact())));
    assert_eq!(alter(&[step("cleanup.policy", Append(" compact ,delete".into()))]), Ok((0, compact())));
    let both = [step("cleanup.policy", Subtract("delete".into())), step("retention.ms", Set("7".into()))];
    assert_eq!(alter(&both), Ok((2, Some("compact".to_owned()))));
    assert_eq!(alter(&[step("cleanup.policy", Delete)]), Ok((1, None)));

    let refused = |result: Result<_, AlterConfigsError>| ErrorCode::from(&result.unwrap_err());
    assert_eq!(refused(alter(&[step("retention.ms", Append("1".into()))])), ErrorCode::InvalidConfig);
    assert_eq!(refused(alter(&[step("retention.ms", Set("x".into()))])), ErrorCode::InvalidConfig);
    assert_eq!(refused(alter(&[step("unknown", Set("x".into()))])), ErrorCode::InvalidConfig);
    let twice = [step("retention.ms", Delete), step("retention.ms", Set("1".into()))];
    assert_eq!(refused(alter(&twice)), ErrorCode::InvalidRequest);
    let nowhere = ConfigResource::Topic("u".into());
    let unknown = image.alter_configs(&nowhere, &[], &Rules);
    assert_eq!(refused(unknown.map(|_| (0, None))), ErrorCode::UnknownTopicOrPartition);
    // Setting all at once removes what is not named.
    let records = image.set_configs(&resource, &BTreeMap::new(), &Rules).unwrap();
    apply(&mut image, &records);
    assert!(image.configs(&resource).is_empty() && image.configured_resources().next().is_none());
}

#[test]
fn resources_have_their_wire_forms() {
    let forms = [
        ((2, "t"), ConfigResource::Topic("t".into())),
        ((4, "7"), ConfigResource::Broker(NodeId(7))),
        ((4, ""), ConfigResource::AllBrokers),
        ((16, "m"), ConfigResource::ClientMetrics("m".into())),
        ((32, "g"), ConfigResource::Group("g".into())),
    ];
    for ((resource_type, name), resource) in forms {
        assert_eq!(ConfigResource::from_wire(resource_type, name), Ok(resource.clone()));
        assert_eq!(resource.to_wire(), (resource_type, name.to_owned()));
    }
    for (resource_type, name) in [(8, "1"), (4, "one"), (4, "-1"), (0, "")] {
        assert!(ConfigResource::from_wire(resource_type, name).is_err());
    }
}

#[test]
fn no_producer_id_is_given_out_twice() {
    let mut image = Image::default();
    let mut last = None;
    for _ in 0..2 {
        let (mut block, records) = image.next_producer_id_block(NodeId(1), 0).unwrap();
        apply(&mut image, &records);
        for _ in 0..PRODUCER_ID_BLOCK_LEN {
            let id = block.take();
            assert!(id > last);
            last = id;
        }
        assert_eq!(block.take(), None);
    }
    assert_eq!(last, Some(ProducerId(1_999)));
    let used_up = crate::protocol::records::ProducerIdsRecord { next_producer_id: i64::MAX - 5, ..Default::default() };
    image.replay(&MetadataRecord::ProducerIds(used_up)).unwrap();
    assert_eq!(image.next_producer_id_block(NodeId(1), 0), Err(ProducerIdsExhausted));
}

#[test]
fn a_change_of_a_partition_counts_epochs() {
    use crate::protocol::records::PartitionChangeRecord;
    let mut image = image_with(&["t"]);
    let change =
        |leader, isr| PartitionChangeRecord { partition_id: 1, topic_id: id(1), leader, isr, ..Default::default() };
    apply(&mut image, &[MetadataRecord::PartitionChange(change(-1, Some(vec![])))]);
    let partition = image.partition("t", 1).unwrap();
    assert_eq!((partition.leader, partition.leader_epoch.0, partition.partition_epoch), (None, 1, 1));
    apply(&mut image, &[MetadataRecord::PartitionChange(change(-2, Some(vec![1])))]);
    let partition = image.partition("t", 1).unwrap();
    assert_eq!((partition.isr.len(), partition.leader_epoch.0, partition.partition_epoch), (1, 1, 2));
}

#[test]
fn a_record_that_does_not_fit_changes_nothing() {
    use crate::protocol::records::{
        ConfigRecord, PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord,
    };
    let mut image = image_with(&["t"]);
    let before = image.clone();
    let misfits = [
        MetadataRecord::Topic(TopicRecord { name: "t".into(), topic_id: id(5) }),
        MetadataRecord::Topic(TopicRecord { name: "u".into(), topic_id: id(1) }),
        MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(5) }),
        MetadataRecord::Partition(PartitionRecord { topic_id: id(5), ..Default::default() }),
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            topic_id: id(1),
            partition_id: 9,
            ..Default::default()
        }),
        MetadataRecord::Config(ConfigRecord { resource_type: 1, ..Default::default() }),
    ];
    for record in misfits {
        assert!(image.replay(&record).is_err(), "{record:?}");
        assert_eq!(image, before);
    }
}

proptest! {
    /// Against a plain map: whatever is created and deleted in whatever order, names, ids and counts agree.
    #[test]
    fn an_image_is_what_was_made_and_not_deleted(steps in proptest::collection::vec((0usize..6, any::<bool>()), 0..60)) {
        let names = ["a", "b", "a.b", "a_b", "c", "d"];
        let mut image = Image::default();
        let mut model: BTreeMap<&str, Uuid> = BTreeMap::new();
        for (number, (choice, create)) in (0..).zip(steps) {
            let name = names[choice];
            if create {
                let request = CreateTopic { topic_id: id(number), ..topic(name) };
                let collides = model.keys().any(|other| names_collide(name, other));
                let result = image.create_topic(&request, &cluster(1), &Rules);
                prop_assert_eq!(result.is_ok(), !model.contains_key(name) && !collides && model.len() < 17);
                if let Ok(creation) = result {
                    apply(&mut image, &creation.records);
                    model.insert(name, id(number));
                }
            } else {
                let result = image.delete_topic(name);
                prop_assert_eq!(result.is_ok(), model.remove(name).is_some());
                apply(&mut image, &result.unwrap_or_default());
            }
            let seen: Vec<_> = image.topics().map(|t| (&*t.name, t.id)).collect();
            prop_assert_eq!(seen, model.iter().map(|(name, id)| (*name, *id)).collect::<Vec<_>>());
            prop_assert_eq!(image.partition_count(), 3 * model.len());
            prop_assert!(model.iter().all(|(name, id)| image.topic_by_id(*id).is_some_and(|t| *t.name == **name)));
        }
    }
}

/// A record about one of few things, so that they are set, set anew and removed.
fn weighed_record() -> impl Strategy<Value = MetadataRecord> {
    let name = "[ab]{1,2}";
    prop_oneof![
        (name, any::<bool>(), proptest::option::of("[a-z]{0,30}")).prop_map(|(resource, is_group, value)| {
            MetadataRecord::Config(records::ConfigRecord {
                resource_type: if is_group { 32 } else { 16 },
                resource_name: resource,
                name: "setting".to_owned(),
                value,
            })
        }),
        (name, 0u8..40).prop_map(|(user, length)| {
            MetadataRecord::UserScramCredential(records::UserScramCredentialRecord {
                name: user,
                mechanism: 1,
                salt: Bytes::from(vec![0; usize::from(length)]),
                stored_key: Bytes::from_static(b"stored"),
                server_key: Bytes::from_static(b"server"),
                iterations: 4096,
            })
        }),
        name.prop_map(|user| {
            let record = records::RemoveUserScramCredentialRecord { name: user, mechanism: 1 };
            MetadataRecord::RemoveUserScramCredential(record)
        }),
        (0u8..4, "[a-z]{1,20}").prop_map(|(number, name)| {
            MetadataRecord::AccessControlEntry(records::AccessControlEntryRecord {
                id: id(number),
                resource_type: 2,
                resource_name: name,
                pattern_type: 3,
                principal: "User:a".to_owned(),
                host: "*".to_owned(),
                operation: 3,
                permission_type: 3,
            })
        }),
        (0u8..4).prop_map(|number| {
            MetadataRecord::RemoveAccessControlEntry(records::RemoveAccessControlEntryRecord { id: id(number) })
        }),
        (name, any::<bool>()).prop_map(|(user, remove)| {
            let entity = records::client_quota::EntityData { entity_type: "user".to_owned(), entity_name: Some(user) };
            let (key, value) = ("producer_byte_rate".to_owned(), 1.0);
            MetadataRecord::ClientQuota(records::ClientQuotaRecord { entity: vec![entity], key, value, remove })
        }),
    ]
}

proptest! {
    #[test]
    fn an_image_weighs_what_is_in_it(steps in proptest::collection::vec(weighed_record(), 0..100)) {
        let mut image = Image::default();
        for record in steps {
            // What is not there cannot be removed.
            let _ = image.replay(&record);
            prop_assert_eq!(image.weight(), image.weight_of_all());
        }
    }
}
