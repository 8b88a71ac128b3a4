//! The records of consumer groups to and from keys and values of `__consumer_offsets`.
//!
//! | key type | key | value |
//! |---|---|---|
//! | 3 | group | epoch of the group and hash of its topics |
//! | 4 | group | topics, in early 4.0 releases; read as if it were a tombstone |
//! | 5 | group, member | subscription |
//! | 6 | group | epoch of the targets |
//! | 7 | group, member | target |
//! | 8 | group, member | what the member has |
//! | 16 | group, regular expression | topics |
//!
//! Source: Kafka `GroupCoordinatorRecordHelpers`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    Assigned, ClassicSubscription, ConsumerRecord, CurrentAssignment, Epoch, GroupEpoch, MemberState,
    MemberSubscription, PartitionSet, ResolvedRegex, TargetEpoch,
};
use crate::{
    Uuid,
    group::{DecodeRecordError, EncodedRecord, GroupId, GroupRecord, InstanceId, MemberId, Protocol},
    protocol::{
        DecodeError, DecodeLimits, EncodeError, RootMessage, decode_key, decode_versioned, encode_key,
        encode_versioned,
        records::{
            ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
            ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
            ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey, ConsumerGroupRegularExpressionKey,
            ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
            ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
            ConsumerGroupTargetAssignmentMetadataValue, consumer_group,
        },
    },
};

const GROUP: i16 = 3;
const PARTITION_METADATA: i16 = 4;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const REGEX: i16 = 16;

/// Whether records of this type are read here.
pub(in crate::group) fn is_consumer_record(record_type: i16) -> bool {
    matches!(record_type, GROUP | PARTITION_METADATA | MEMBER | TARGET_EPOCH | TARGET | CURRENT | REGEX)
}

/// Writes a record.
pub(in crate::group) fn encode(group_id: &GroupId, record: &ConsumerRecord) -> Result<EncodedRecord, EncodeError> {
    let group_id = group_id.to_string();
    match record {
        ConsumerRecord::Group(value) => encoded(
            &ConsumerGroupMetadataKey { group_id },
            value.map(|v| ConsumerGroupMetadataValue { epoch: v.epoch.0, metadata_hash: v.metadata_hash }),
        ),
        ConsumerRecord::PartitionMetadata => {
            let key = encode_key(&ConsumerGroupPartitionMetadataKey { group_id })?;
            Ok(EncodedRecord { key, value: None })
        }
        ConsumerRecord::Member(member_id, value) => encoded(
            &ConsumerGroupMemberMetadataKey { group_id, member_id: member_id.to_string() },
            value.as_deref().map(subscription_to_wire),
        ),
        ConsumerRecord::TargetEpoch(value) => encoded(
            &ConsumerGroupTargetAssignmentMetadataKey { group_id },
            value.map(|v| ConsumerGroupTargetAssignmentMetadataValue {
                assignment_epoch: v.epoch.0,
                assignment_timestamp: v.timestamp_ms,
            }),
        ),
        ConsumerRecord::Target(member_id, value) => encoded(
            &ConsumerGroupTargetAssignmentMemberKey { group_id, member_id: member_id.to_string() },
            value.as_ref().map(|target| {
                let topic = |(id, partitions): (&Uuid, &BTreeSet<i32>)| consumer_group::TopicPartition {
                    topic_id: *id,
                    partitions: partitions.iter().copied().collect(),
                };
                ConsumerGroupTargetAssignmentMemberValue { topic_partitions: target.iter().map(topic).collect() }
            }),
        ),
        ConsumerRecord::Current(member_id, value) => encoded(
            &ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id: member_id.to_string() },
            value.as_ref().map(|current| ConsumerGroupCurrentMemberAssignmentValue {
                member_epoch: current.epoch.0,
                previous_member_epoch: current.previous_epoch.0,
                state: current.state.to_wire(),
                assigned_partitions: assigned_to_wire(&current.assigned),
                partitions_pending_revocation: assigned_to_wire(&current.revoking),
            }),
        ),
        ConsumerRecord::Regex(regex, value) => encoded(
            &ConsumerGroupRegularExpressionKey { group_id, regular_expression: regex.clone() },
            value.as_ref().map(|resolved| ConsumerGroupRegularExpressionValue {
                topics: resolved.topics.iter().cloned().collect(),
                version: resolved.version,
                timestamp: resolved.timestamp_ms,
            }),
        ),
    }
}

fn encoded<K: RootMessage, V: RootMessage>(key: &K, value: Option<V>) -> Result<EncodedRecord, EncodeError> {
    let value = value.map(|value| encode_versioned(&value, V::VALID_VERSIONS.last)).transpose()?;
    Ok(EncodedRecord { key: encode_key(key)?, value })
}

fn subscription_to_wire(member: &MemberSubscription) -> ConsumerGroupMemberMetadataValue {
    let protocol =
        |p: &Protocol| consumer_group::ClassicProtocol { name: p.name.clone(), metadata: p.metadata.clone() };
    let classic = |classic: &ClassicSubscription| consumer_group::ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: classic.protocols.iter().map(protocol).collect(),
    };
    ConsumerGroupMemberMetadataValue {
        instance_id: member.instance_id.as_ref().map(ToString::to_string),
        rack_id: member.rack_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topic_names.iter().cloned().collect(),
        // Kafka writes the empty pattern where there is none.
        subscribed_topic_regex: Some(member.topic_regex.clone().unwrap_or_default()),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: member.server_assignor.clone(),
        classic_member_metadata: member.classic.as_ref().map(classic),
    }
}

fn assigned_to_wire(assigned: &Assigned) -> Vec<consumer_group::TopicPartitions> {
    let topic = |(id, partitions): (&Uuid, &BTreeMap<i32, Epoch>)| consumer_group::TopicPartitions {
        topic_id: *id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().map(|epoch| epoch.0).collect()),
    };
    assigned.iter().map(topic).collect()
}

/// Reads a record of one of the types of [`is_consumer_record`].
pub(in crate::group) fn decode(
    record_type: i16,
    key: &Bytes,
    value: Option<&Bytes>,
) -> Result<GroupRecord, DecodeRecordError> {
    let (group_id, record) = match record_type {
        GROUP => {
            let ConsumerGroupMetadataKey { group_id } = read_key(key)?;
            let value = read_value::<ConsumerGroupMetadataValue>(&group_id, value)?;
            let value = value.map(|v| GroupEpoch { epoch: Epoch(v.epoch), metadata_hash: v.metadata_hash });
            (group_id, ConsumerRecord::Group(value))
        }
        MEMBER => {
            let ConsumerGroupMemberMetadataKey { group_id, member_id } = read_key(key)?;
            let value = read_value::<ConsumerGroupMemberMetadataValue>(&group_id, value)?;
            (group_id, ConsumerRecord::Member(member_id.into(), value.map(subscription_from_wire).map(Box::new)))
        }
        TARGET_EPOCH => {
            let ConsumerGroupTargetAssignmentMetadataKey { group_id } = read_key(key)?;
            let value = read_value::<ConsumerGroupTargetAssignmentMetadataValue>(&group_id, value)?;
            let value =
                value.map(|v| TargetEpoch { epoch: Epoch(v.assignment_epoch), timestamp_ms: v.assignment_timestamp });
            (group_id, ConsumerRecord::TargetEpoch(value))
        }
        TARGET => {
            let ConsumerGroupTargetAssignmentMemberKey { group_id, member_id } = read_key(key)?;
            let value = read_value::<ConsumerGroupTargetAssignmentMemberValue>(&group_id, value)?;
            let value = value.map(|value| {
                let topics = value.topic_partitions.into_iter();
                topics.map(|t| (t.topic_id, t.partitions.into_iter().collect())).collect::<PartitionSet>()
            });
            (group_id, ConsumerRecord::Target(MemberId::from(member_id), value))
        }
        CURRENT => {
            let ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id } = read_key(key)?;
            let value = read_value::<ConsumerGroupCurrentMemberAssignmentValue>(&group_id, value)?;
            (group_id, ConsumerRecord::Current(member_id.into(), value.map(current_from_wire)))
        }
        REGEX => {
            let ConsumerGroupRegularExpressionKey { group_id, regular_expression } = read_key(key)?;
            let value = read_value::<ConsumerGroupRegularExpressionValue>(&group_id, value)?;
            let value = value.map(|v| ResolvedRegex {
                topics: v.topics.into_iter().collect(),
                version: v.version,
                timestamp_ms: v.timestamp,
            });
            (group_id, ConsumerRecord::Regex(regular_expression, value))
        }
        // Type 4: whatever it says, the hash of the group's topics has taken its place.
        _ => {
            let ConsumerGroupPartitionMetadataKey { group_id } = read_key(key)?;
            (group_id, ConsumerRecord::PartitionMetadata)
        }
    };
    Ok(GroupRecord::Consumer { group_id: GroupId::from(group_id), record })
}

fn read_key<K: RootMessage>(key: &Bytes) -> Result<K, DecodeRecordError> {
    decode_key(key, &DecodeLimits::default()).map_err(DecodeRecordError::Key)
}

fn read_value<V: RootMessage>(group: &str, value: Option<&Bytes>) -> Result<Option<V>, DecodeRecordError> {
    let value = value.map(|v| decode_versioned::<V>(v, &DecodeLimits::default())).transpose();
    let failed = |source: DecodeError| DecodeRecordError::Value { group: group.to_owned(), source };
    Ok(value.map_err(failed)?.map(|(_, value)| value))
}

fn subscription_from_wire(value: ConsumerGroupMemberMetadataValue) -> MemberSubscription {
    let protocol = |p: consumer_group::ClassicProtocol| Protocol { name: p.name, metadata: p.metadata };
    let classic = |classic: consumer_group::ClassicMemberMetadata| ClassicSubscription {
        session_timeout_ms: classic.session_timeout_ms,
        protocols: classic.supported_protocols.into_iter().map(protocol).collect(),
    };
    MemberSubscription {
        instance_id: value.instance_id.map(InstanceId::from),
        rack_id: value.rack_id,
        client_id: value.client_id,
        client_host: value.client_host,
        topic_names: value.subscribed_topic_names.into_iter().collect(),
        topic_regex: value.subscribed_topic_regex.filter(|regex| !regex.is_empty()),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        server_assignor: value.server_assignor,
        classic: value.classic_member_metadata.map(classic),
    }
}

fn current_from_wire(value: ConsumerGroupCurrentMemberAssignmentValue) -> CurrentAssignment {
    let epoch = Epoch(value.member_epoch);
    CurrentAssignment {
        epoch,
        previous_epoch: Epoch(value.previous_member_epoch),
        state: MemberState::from_wire(value.state),
        assigned: assigned_from_wire(value.assigned_partitions, epoch),
        revoking: assigned_from_wire(value.partitions_pending_revocation, epoch),
    }
}

/// Where the epochs are not told, by releases before 4.2, the member's own is as good as any: it was the only one that
/// could commit.
fn assigned_from_wire(topics: Vec<consumer_group::TopicPartitions>, default: Epoch) -> Assigned {
    let topic = |topic: consumer_group::TopicPartitions| {
        let epochs = topic.assignment_epochs.unwrap_or_default().into_iter().map(Epoch);
        let epochs = epochs.chain(std::iter::repeat(default));
        (topic.topic_id, topic.partitions.into_iter().zip(epochs).collect())
    };
    topics.into_iter().map(topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{decode_record, encode_record};

    fn hex(text: &str) -> Bytes {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        text.as_bytes().chunks(2).map(byte).collect()
    }

    #[test]
    fn kafkas_own_records_are_read_and_written() {
        // From `__consumer_offsets` of Apache Kafka 4.3.0.
        let records = [
            ("00030003676131", "000000000002010008cb3132592d3db782"),
            ("0005000367613100026d31", "00000000047261770b2f3132372e302e302e31020474613101000013880001000100"),
            ("00060003676131", "000000000002010008000001a1fd6fa40d"),
            ("0007000367613100026d31", "000002145161f44c5142ceaab7afb4ed0343a105000000000000000100000002000000030000"),
            (
                "0008000367613100026d31",
                "000000000002000000020102145161f44c5142ceaab7afb4ed0343a103000000000000000101000903000000020000000202145161f44c5142ceaab7afb4ed0343a103000000020000000301000903000000020000000200",
            ),
            ("0010000367613100057461312e2a", "0000030474613105746131620000000000000e79000001a1fd6fa8ff00"),
        ];
        for (key, value) in records {
            let (key, value) = (hex(key), hex(value));
            let record = decode_record(&key, Some(&value)).unwrap().unwrap();
            assert_eq!(
                encode_record(&record),
                Ok(EncodedRecord { key: key.clone(), value: Some(value) }),
                "{record:?}"
            );
            if let GroupRecord::Consumer { record: ConsumerRecord::Member(_, Some(member)), .. } = &record {
                assert_eq!((member.classic.as_ref(), member.topic_regex.as_ref()), (None, None));
            }
            let tombstone = decode_record(&key, None).unwrap().unwrap();
            assert_eq!(encode_record(&tombstone), Ok(EncodedRecord { key, value: None }));
        }
    }
}
