//! What the records of internal topics mean: positions and members of groups, states of transactions, changes of the
//! cluster's metadata. What a password can be guessed from is left out: dumps get pasted into tickets.

use std::fmt::Debug;

use bytes::Bytes;
use clap::ValueEnum;
use riverrun::core::{
    group::{self, CommittedOffset, GroupMetadata, GroupRecord},
    metadata::MetadataRecord,
    protocol::{
        DecodeLimits, RootMessage,
        consumer::{AssignedPartitions, ConsumerProtocolAssignment},
        decode_key, decode_metadata_record, decode_versioned, metadata_record_header, record_type,
        records::{self, TransactionLogKey, TransactionLogValue},
    },
    record::RecordRef,
};
use serde_json::{Value, json};

const HIDDEN: &str = "[hidden]";

/// As what the records of a topic are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Decoder {
    /// By the name of the topic in whose folder the file is
    Auto,
    /// As they are: bytes
    None,
    /// As those of __consumer_offsets
    Offsets,
    /// As those of __transaction_state
    Transactions,
    /// As those of __share_group_state
    ShareState,
    /// As those of __cluster_metadata
    Metadata,
}

impl Decoder {
    /// What `Auto` means for a topic.
    pub(super) fn for_topic(self, topic: Option<&str>) -> Self {
        match (self, topic) {
            (Self::Auto, Some("__consumer_offsets")) => Self::Offsets,
            (Self::Auto, Some("__transaction_state")) => Self::Transactions,
            (Self::Auto, Some("__share_group_state")) => Self::ShareState,
            (Self::Auto, Some("__cluster_metadata")) => Self::Metadata,
            (Self::Auto, _) => Self::None,
            (chosen, _) => chosen,
        }
    }

    /// What a record means; `None` if it is not to be decoded.
    pub(super) fn decode(self, record: &RecordRef<'_>) -> Option<Value> {
        let key = record.key.map(Bytes::copy_from_slice);
        let value = record.value.map(Bytes::copy_from_slice);
        let decoded = match (self, key, value) {
            (Self::Auto | Self::None, _, _) => return None,
            (Self::Metadata, _, Some(value)) => metadata(&value),
            (Self::Offsets, Some(key), value) => offsets(&key, value.as_ref()),
            (Self::Transactions, Some(key), value) => transaction(&key, value.as_ref()),
            (Self::ShareState, Some(key), value) => share_state(&key, value.as_ref()),
            _ => Err("its key or value is missing".into()),
        };
        Some(decoded.unwrap_or_else(|error| json!({ "type": "malformed", "error": error.to_string() })))
    }
}

type Decoded = Result<Value, Box<dyn std::error::Error>>;

/// A coordinator's record of any type: its names and numbers as they are.
fn any_pair<K: RootMessage + Debug, V: RootMessage + Debug>(key: &Bytes, value: Option<&Bytes>) -> Decoded {
    let limits = DecodeLimits::default();
    let read: K = decode_key(key, &limits)?;
    let value = value.map(|value| decode_versioned::<V>(value, &limits)).transpose()?;
    let value = value.map(|(version, value)| json!({ "version": version, "text": format!("{value:?}") }));
    Ok(json!({ "type": K::NAME.trim_end_matches("Key"), "key": format!("{read:?}"), "value": value }))
}

/// Reads a pair as the first of the types whose number it has.
macro_rules! by_type {
    ($key:expr, $value:expr, $($read_key:ident => $read_value:ident),+ $(,)?) => {{
        let number = record_type($key)?;
        $(if records::$read_key::MESSAGE_KEY == Some(number) {
            return any_pair::<records::$read_key, records::$read_value>($key, $value);
        })+
        Ok(json!({ "type": format!("unknown type {number}") }))
    }};
}

fn offsets(key: &Bytes, value: Option<&Bytes>) -> Decoded {
    let record = group::decode_record(key, value)?;
    if let Some(GroupRecord::Offset { group_id, topic_partition, value }) = record {
        return Ok(json!({
            "type": "OffsetCommit",
            "group": group_id.to_string(),
            "topic": &*topic_partition.topic,
            "partition": topic_partition.partition,
            "value": value.as_ref().map(position),
        }));
    }
    if let Some(GroupRecord::Group { group_id, value }) = record {
        let value = value.as_ref().map(generation);
        return Ok(json!({ "type": "GroupMetadata", "group": group_id.to_string(), "value": value }));
    }
    by_type!(key, value,
        ConsumerGroupMetadataKey => ConsumerGroupMetadataValue,
        ConsumerGroupPartitionMetadataKey => ConsumerGroupPartitionMetadataValue,
        ConsumerGroupMemberMetadataKey => ConsumerGroupMemberMetadataValue,
        ConsumerGroupTargetAssignmentMetadataKey => ConsumerGroupTargetAssignmentMetadataValue,
        ConsumerGroupTargetAssignmentMemberKey => ConsumerGroupTargetAssignmentMemberValue,
        ConsumerGroupCurrentMemberAssignmentKey => ConsumerGroupCurrentMemberAssignmentValue,
        ConsumerGroupRegularExpressionKey => ConsumerGroupRegularExpressionValue,
        ShareGroupMemberMetadataKey => ShareGroupMemberMetadataValue,
        ShareGroupMetadataKey => ShareGroupMetadataValue,
        ShareGroupTargetAssignmentMetadataKey => ShareGroupTargetAssignmentMetadataValue,
        ShareGroupTargetAssignmentMemberKey => ShareGroupTargetAssignmentMemberValue,
        ShareGroupCurrentMemberAssignmentKey => ShareGroupCurrentMemberAssignmentValue,
        ShareGroupStatePartitionMetadataKey => ShareGroupStatePartitionMetadataValue,
        StreamsGroupMetadataKey => StreamsGroupMetadataValue,
        StreamsGroupMemberMetadataKey => StreamsGroupMemberMetadataValue,
        StreamsGroupTargetAssignmentMetadataKey => StreamsGroupTargetAssignmentMetadataValue,
        StreamsGroupTargetAssignmentMemberKey => StreamsGroupTargetAssignmentMemberValue,
        StreamsGroupCurrentMemberAssignmentKey => StreamsGroupCurrentMemberAssignmentValue,
        StreamsGroupTopologyKey => StreamsGroupTopologyValue,
    )
}

fn share_state(key: &Bytes, value: Option<&Bytes>) -> Decoded {
    by_type!(key, value, ShareSnapshotKey => ShareSnapshotValue, ShareUpdateKey => ShareUpdateValue)
}

fn position(value: &CommittedOffset) -> Value {
    json!({
        "offset": value.offset,
        "leader_epoch": value.leader_epoch,
        "metadata": value.metadata,
        "commit_timestamp": value.commit_timestamp_ms,
        "expire_timestamp": value.expire_timestamp_ms,
        "topic_id": value.topic_id.map(|id| id.to_string()),
    })
}

fn generation(value: &GroupMetadata) -> Value {
    let members: Vec<Value> = value
        .members
        .iter()
        .map(|member| {
            json!({
                "member_id": member.member_id.to_string(),
                "group_instance_id": member.group_instance_id.as_ref().map(ToString::to_string),
                "client_id": member.client_id,
                "client_host": member.client_host,
                "rebalance_timeout_ms": member.rebalance_timeout_ms,
                "session_timeout_ms": member.session_timeout_ms,
                "assignment": (value.protocol_type == "consumer").then(|| assignment(&member.assignment)).flatten(),
            })
        })
        .collect();
    json!({
        "protocol_type": value.protocol_type,
        "generation": value.generation.0,
        "protocol": value.protocol_name,
        "leader": value.leader.as_ref().map(ToString::to_string),
        "state_timestamp": value.state_timestamp_ms,
        "members": members,
    })
}

/// The partitions a member was given, if that is how its client writes them.
fn assignment(bytes: &Bytes) -> Option<Value> {
    let (_, read) = decode_versioned::<ConsumerProtocolAssignment>(bytes, &DecodeLimits::default()).ok()?;
    let topic = |each: &AssignedPartitions| json!({ "topic": each.topic, "partitions": each.partitions });
    Some(read.assigned_partitions.iter().map(topic).collect())
}

fn transaction(key: &Bytes, value: Option<&Bytes>) -> Decoded {
    let limits = DecodeLimits::default();
    let number = record_type(key)?;
    if TransactionLogKey::MESSAGE_KEY != Some(number) {
        return Ok(json!({ "type": format!("unknown type {number}") }));
    }
    let TransactionLogKey { transactional_id } = decode_key(key, &limits)?;
    let value = value.map(|value| decode_versioned::<TransactionLogValue>(value, &limits)).transpose()?;
    let value = value.map(|(_, value)| {
        let partitions: Vec<Value> = value
            .transaction_partitions
            .iter()
            .flatten()
            .map(|each| json!({ "topic": each.topic, "partitions": each.partition_ids }))
            .collect();
        json!({
            "producer_id": value.producer_id,
            "producer_epoch": value.producer_epoch,
            "previous_producer_id": value.previous_producer_id,
            "next_producer_id": value.next_producer_id,
            "next_producer_epoch": value.next_producer_epoch,
            "timeout_ms": value.transaction_timeout_ms,
            "state": transaction_state(value.transaction_status),
            "partitions": partitions,
            "last_update_timestamp": value.transaction_last_update_timestamp_ms,
            "start_timestamp": value.transaction_start_timestamp_ms,
            "transaction_version": value.client_transaction_version,
        })
    });
    Ok(json!({ "type": "TransactionLog", "transactional_id": transactional_id, "value": value }))
}

fn transaction_state(status: i8) -> String {
    let names = [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    ];
    let name = usize::try_from(status).ok().and_then(|at| names.get(at));
    name.map_or_else(|| status.to_string(), |name| (*name).to_owned())
}

fn metadata(value: &Bytes) -> Decoded {
    let ids = |all: &[riverrun::core::Uuid]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let fields = match MetadataRecord::decode(value)? {
        Some(MetadataRecord::Topic(record)) => {
            json!({ "type": "TopicRecord", "name": record.name, "topic_id": record.topic_id.to_string() })
        }
        Some(MetadataRecord::RemoveTopic(record)) => {
            json!({ "type": "RemoveTopicRecord", "topic_id": record.topic_id.to_string() })
        }
        Some(MetadataRecord::Partition(record)) => json!({
            "type": "PartitionRecord",
            "topic_id": record.topic_id.to_string(),
            "partition": record.partition_id,
            "replicas": record.replicas,
            "isr": record.isr,
            "leader": record.leader,
            "leader_epoch": record.leader_epoch,
            "partition_epoch": record.partition_epoch,
            "directories": ids(&record.directories),
        }),
        Some(MetadataRecord::PartitionChange(record)) => json!({
            "type": "PartitionChangeRecord",
            "topic_id": record.topic_id.to_string(),
            "partition": record.partition_id,
            "replicas": record.replicas,
            "isr": record.isr,
            // -2 in the record: as before.
            "leader": Some(record.leader).filter(|leader| *leader != -2),
        }),
        Some(MetadataRecord::Config(record)) => {
            let secret = ["password", "jaas"].iter().any(|word| record.name.contains(word));
            json!({
                "type": "ConfigRecord",
                "resource_type": record.resource_type,
                "resource_name": record.resource_name,
                "name": record.name,
                "value": record.value.map(|value| if secret { HIDDEN.to_owned() } else { value }),
            })
        }
        Some(MetadataRecord::FeatureLevel(record)) => {
            json!({ "type": "FeatureLevelRecord", "name": record.name, "feature_level": record.feature_level })
        }
        Some(MetadataRecord::ProducerIds(record)) => json!({
            "type": "ProducerIdsRecord",
            "broker_id": record.broker_id,
            "broker_epoch": record.broker_epoch,
            "next_producer_id": record.next_producer_id,
        }),
        Some(MetadataRecord::UserScramCredential(record)) => json!({
            "type": "UserScramCredentialRecord",
            "name": record.name,
            "mechanism": record.mechanism,
            "iterations": record.iterations,
            "salt": HIDDEN,
            "stored_key": HIDDEN,
            "server_key": HIDDEN,
        }),
        Some(MetadataRecord::RemoveUserScramCredential(record)) => {
            json!({ "type": "RemoveUserScramCredentialRecord", "name": record.name, "mechanism": record.mechanism })
        }
        Some(other) => {
            let text = format!("{other:?}");
            let name = text.split('(').next().unwrap_or_default();
            json!({ "type": format!("{name}Record"), "text": text })
        }
        None => return other_metadata(value),
    };
    Ok(fields)
}

/// Records of a metadata log that only Apache Kafka writes.
fn other_metadata(value: &Bytes) -> Decoded {
    fn any<M: RootMessage + Debug>(value: &Bytes) -> Decoded {
        let read: M = decode_metadata_record(value, &DecodeLimits::default())?;
        Ok(json!({ "type": M::NAME, "text": format!("{read:?}") }))
    }
    let number = metadata_record_header(value)?.record_type;
    let is = |key: Option<i16>| key.and_then(|key| u32::try_from(key).ok()) == Some(number);
    if is(records::RegisterBrokerRecord::MESSAGE_KEY) {
        return any::<records::RegisterBrokerRecord>(value);
    }
    if is(records::UnregisterBrokerRecord::MESSAGE_KEY) {
        return any::<records::UnregisterBrokerRecord>(value);
    }
    if is(records::BrokerRegistrationChangeRecord::MESSAGE_KEY) {
        return any::<records::BrokerRegistrationChangeRecord>(value);
    }
    let name = match number {
        10 => "DelegationTokenRecord",
        20 => "NoOpRecord",
        21 => "ZkMigrationStateRecord",
        23 => "BeginTransactionRecord",
        24 => "EndTransactionRecord",
        25 => "AbortTransactionRecord",
        26 => "RemoveDelegationTokenRecord",
        27 => "RegisterControllerRecord",
        _ => return Ok(json!({ "type": format!("unknown type {number}") })),
    };
    Ok(json!({ "type": name }))
}

#[cfg(test)]
mod tests {
    use riverrun::core::{
        TopicPartition, Uuid,
        group::encode_record,
        protocol::records::{TopicRecord, UserScramCredentialRecord},
        record::HeadersRef,
    };

    use super::*;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> RecordRef<'a> {
        RecordRef { offset: 0, timestamp: 0, key, value, headers: HeadersRef::default() }
    }

    #[test]
    fn the_topic_chooses_the_decoder() {
        assert_eq!(Decoder::Auto.for_topic(Some("__consumer_offsets")), Decoder::Offsets);
        assert_eq!(Decoder::Auto.for_topic(Some("orders")), Decoder::None);
        assert_eq!(Decoder::None.for_topic(Some("__consumer_offsets")), Decoder::None);
        assert_eq!(Decoder::Metadata.for_topic(None), Decoder::Metadata);
    }

    #[test]
    fn positions_are_named() {
        let value = CommittedOffset {
            offset: 7,
            leader_epoch: Some(2),
            metadata: String::new(),
            commit_timestamp_ms: 1,
            expire_timestamp_ms: None,
            topic_id: None,
        };
        let topic_partition = TopicPartition::new("t", 3);
        let written = GroupRecord::Offset { group_id: "g".into(), topic_partition, value: Some(value) };
        let written = encode_record(&written).unwrap();
        let decoded = Decoder::Offsets.decode(&record(Some(&written.key), written.value.as_deref())).unwrap();
        assert_eq!(decoded["type"], "OffsetCommit");
        assert_eq!((&decoded["group"], &decoded["value"]["offset"]), (&json!("g"), &json!(7)));
        let tombstone = Decoder::Offsets.decode(&record(Some(&written.key), None)).unwrap();
        assert_eq!(tombstone["value"], Value::Null);
    }

    #[test]
    fn metadata_is_named_and_credentials_are_hidden() {
        let topic = TopicRecord { name: "t".into(), topic_id: Uuid([1; 16]) };
        let bytes = MetadataRecord::Topic(topic).encode().unwrap();
        assert_eq!(Decoder::Metadata.decode(&record(None, Some(&bytes))).unwrap()["name"], "t");
        let credential = UserScramCredentialRecord {
            name: "u".into(),
            mechanism: 1,
            salt: Bytes::from_static(b"pepper"),
            stored_key: Bytes::from_static(b"stored"),
            server_key: Bytes::from_static(b"server"),
            iterations: 4096,
        };
        let bytes = MetadataRecord::UserScramCredential(credential).encode().unwrap();
        let shown = Decoder::Metadata.decode(&record(None, Some(&bytes))).unwrap().to_string();
        assert!(shown.contains("4096") && shown.matches(HIDDEN).count() == 3, "{shown}");
        assert!(!shown.contains("pepper") && !shown.contains("115, 116, 111"), "{shown}");
    }

    #[test]
    fn nonsense_is_said_to_be_malformed() {
        for decoder in [Decoder::Offsets, Decoder::Transactions, Decoder::ShareState, Decoder::Metadata] {
            for bytes in [&b""[..], b"\0", b"\0\x01xyz", b"\x01\x02\x63"] {
                let decoded = decoder.decode(&record(Some(bytes), Some(bytes))).unwrap();
                assert!(decoded["type"].is_string(), "{decoder:?} {bytes:?}");
            }
        }
    }
}
