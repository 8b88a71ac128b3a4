//! Coordinator records to and from the keys and values of `__consumer_offsets`.
//!
//! | key type | key | value | value versions read | written |
//! |---|---|---|---|---|
//! | 0, 1 | group, topic, partition | a position | 0-4 | 4; 1 if the commit had a retention of its own |
//! | 2 | group | a generation | 0-4 | 3 |
//! | 10-15 | group, and member | a share group's: see [`crate::share::group`] | 0 | 0 |
//!
//! The versions written are those of Apache Kafka 4.3. The types of consumer groups are in
//! [`consumer::codec`](super::consumer); [`decode_record`] skips those of protocols that are not served.
//!
//! Source: Kafka `GroupCoordinatorRecordHelpers`, `GroupCoordinatorRecordSerde`.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    CommittedOffset, GenerationId, GroupId, GroupMetadata, GroupRecord, InstanceId, MemberId, MemberMetadata, consumer,
    streams,
};
use crate::{
    TopicPartition,
    protocol::{
        DecodeError, DecodeLimits, EncodeError, decode_key, decode_versioned, encode_key, encode_versioned,
        record_type,
        records::{self, GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue},
    },
    share,
};

const LEGACY_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const GROUP: i16 = 2;

const GROUP_VERSION: i16 = 3;
/// The first version that carries the topic id.
const OFFSET_VERSION: i16 = 4;
/// The only version of a position that tells when it expires.
const OFFSET_VERSION_WITH_EXPIRY: i16 = 1;

/// A record as it is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    /// The record's key.
    pub key: Bytes,
    /// The record's value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Why a record of `__consumer_offsets` cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeRecordError {
    /// The key is malformed.
    #[error("malformed key of a coordinator record")]
    Key(#[source] DecodeError),
    /// The value is malformed.
    #[error("malformed value of a coordinator record of group {group}")]
    Value {
        /// The group the key names.
        group: String,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
}

/// Writes a record.
///
/// # Errors
/// If a text in it is longer than the format carries.
pub fn encode_record(record: &GroupRecord) -> Result<EncodedRecord, EncodeError> {
    match record {
        GroupRecord::Offset { group_id, topic_partition, value } => {
            let key = OffsetCommitKey {
                group: group_id.to_string(),
                topic: topic_partition.topic.to_string(),
                partition: topic_partition.partition,
            };
            Ok(EncodedRecord { key: encode_key(&key)?, value: value.as_ref().map(encode_offset).transpose()? })
        }
        GroupRecord::Share(record) => {
            let (key, value) = share::group::encode(record)?;
            Ok(EncodedRecord { key, value })
        }
        GroupRecord::Group { group_id, value } => {
            let key = GroupMetadataKey { group: group_id.to_string() };
            Ok(EncodedRecord { key: encode_key(&key)?, value: value.as_ref().map(encode_group).transpose()? })
        }
        GroupRecord::Consumer { group_id, record } => consumer::codec::encode(group_id, record),
        GroupRecord::Streams { group_id, record } => streams::codec::encode(group_id, record),
    }
}

/// Reads a record; `None` if it is of a type that is not served here.
///
/// # Errors
/// If key or value is malformed.
pub fn decode_record(key: &Bytes, value: Option<&Bytes>) -> Result<Option<GroupRecord>, DecodeRecordError> {
    let limits = DecodeLimits::default();
    let record = match record_type(key).map_err(DecodeRecordError::Key)? {
        LEGACY_OFFSET | OFFSET => {
            let key: OffsetCommitKey = decode_key(&as_type(OFFSET, key), &limits).map_err(DecodeRecordError::Key)?;
            let value = value.map(|v| decode_versioned::<OffsetCommitValue>(v, &limits)).transpose();
            let value = value.map_err(|source| DecodeRecordError::Value { group: key.group.clone(), source })?;
            GroupRecord::Offset {
                group_id: key.group.into(),
                topic_partition: TopicPartition::new(key.topic, key.partition),
                value: value.map(|(_, value)| offset_from_wire(value)),
            }
        }
        GROUP => {
            let key: GroupMetadataKey = decode_key(key, &limits).map_err(DecodeRecordError::Key)?;
            let value = value.map(|v| decode_versioned::<GroupMetadataValue>(v, &limits)).transpose();
            let value = value.map_err(|source| DecodeRecordError::Value { group: key.group.clone(), source })?;
            GroupRecord::Group {
                group_id: GroupId::from(key.group),
                value: value.map(|(_, value)| group_from_wire(value)),
            }
        }
        other if consumer::codec::is_consumer_record(other) => consumer::codec::decode(other, key, value)?,
        other if streams::codec::is_streams_record(other) => streams::codec::decode(other, key, value)?,
        other => {
            return Ok(share::group::decode(other, key, value)?.map(GroupRecord::Share));
        }
    };
    Ok(Some(record))
}

/// The same key under another type; the two types of positions have the same fields.
fn as_type(record_type: i16, key: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(key.len());
    bytes.put_i16(record_type);
    bytes.extend_from_slice(key.get(2..).unwrap_or_default());
    bytes.freeze()
}

fn encode_offset(offset: &CommittedOffset) -> Result<Bytes, EncodeError> {
    let value = OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch.unwrap_or(-1),
        metadata: offset.metadata.clone(),
        commit_timestamp: offset.commit_timestamp_ms,
        expire_timestamp: offset.expire_timestamp_ms.unwrap_or(-1),
        topic_id: offset.topic_id.unwrap_or_default(),
    };
    let version = if offset.expire_timestamp_ms.is_some() { OFFSET_VERSION_WITH_EXPIRY } else { OFFSET_VERSION };
    encode_versioned(&value, version)
}

fn offset_from_wire(value: OffsetCommitValue) -> CommittedOffset {
    CommittedOffset {
        offset: value.offset,
        leader_epoch: (value.leader_epoch >= 0).then_some(value.leader_epoch),
        metadata: value.metadata,
        commit_timestamp_ms: value.commit_timestamp,
        expire_timestamp_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
        topic_id: (!value.topic_id.is_zero()).then_some(value.topic_id),
    }
}

fn encode_group(group: &GroupMetadata) -> Result<Bytes, EncodeError> {
    let member = |m: &MemberMetadata| records::MemberMetadata {
        member_id: m.member_id.to_string(),
        group_instance_id: m.group_instance_id.as_ref().map(ToString::to_string),
        client_id: m.client_id.clone(),
        client_host: m.client_host.clone(),
        rebalance_timeout: m.rebalance_timeout_ms,
        session_timeout: m.session_timeout_ms,
        subscription: m.subscription.clone(),
        assignment: m.assignment.clone(),
    };
    let value = GroupMetadataValue {
        protocol_type: group.protocol_type.clone(),
        generation: group.generation.0,
        protocol: group.protocol_name.clone(),
        leader: group.leader.as_ref().map(ToString::to_string),
        current_state_timestamp: group.state_timestamp_ms.unwrap_or(-1),
        members: group.members.iter().map(member).collect(),
    };
    encode_versioned(&value, GROUP_VERSION)
}

fn group_from_wire(value: GroupMetadataValue) -> GroupMetadata {
    let member = |m: records::MemberMetadata| MemberMetadata {
        member_id: MemberId::from(m.member_id),
        group_instance_id: m.group_instance_id.map(InstanceId::from),
        client_id: m.client_id,
        client_host: m.client_host,
        // The oldest records tell no rebalance timeout; then it is the session timeout.
        rebalance_timeout_ms: if m.rebalance_timeout < 0 { m.session_timeout } else { m.rebalance_timeout },
        session_timeout_ms: m.session_timeout,
        subscription: m.subscription,
        assignment: m.assignment,
    };
    GroupMetadata {
        protocol_type: value.protocol_type,
        generation: GenerationId(value.generation),
        protocol_name: value.protocol,
        leader: value.leader.map(MemberId::from),
        state_timestamp_ms: (value.current_state_timestamp >= 0).then_some(value.current_state_timestamp),
        members: value.members.into_iter().map(member).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Bytes {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    /// Three records of one run of `kafka-console-consumer --group golden` against Apache Kafka 4.3.0.
    fn golden() -> [(Bytes, Bytes); 3] {
        let group_key = hex("0002 0006 676f6c64656e");
        let member = "0035 636f6e736f6c652d636f6e73756d65722d35643463653737652d623532332d343266312d623537662d3361336230646\
                      33462343631";
        let joined = format!(
            "0003 0008 636f6e73756d6572 00000001 0005 72616e6765 {member} 000001a1fc02803b 00000001 {member} ffff \
             0010 636f6e736f6c652d636f6e73756d6572 000a 2f3132372e302e302e31 000493e0 0000afc8 \
             00000017 000300000001000174ffffffff00000000ffffffffffff 00000015 0003000000010001740000000100000000ffffffff"
        );
        [
            (group_key.clone(), hex(&joined)),
            (
                hex("0001 0006 676f6c64656e 0001 74 00000000"),
                hex("0004 0000000000000002 00000000 01 000001a1fc02812c 01 00 10 2e185bc2a88d4e41ba561e2faa21d1e5"),
            ),
            (group_key, hex("0003 0008 636f6e73756d6572 00000002 ffff ffff 000001a1fc028141 00000000")),
        ]
    }

    #[test]
    fn kafkas_bytes_are_read_and_written() {
        for (key, value) in golden() {
            let record = decode_record(&key, Some(&value)).unwrap().unwrap();
            assert_eq!(encode_record(&record).unwrap(), EncodedRecord { key, value: Some(value) });
        }
        let [(key, value), (offset_key, offset), _] = golden();
        let Ok(Some(GroupRecord::Group { value: Some(group), .. })) = decode_record(&key, Some(&value)) else {
            panic!("no group record")
        };
        assert_eq!((group.generation, group.protocol_name.as_deref()), (GenerationId(1), Some("range")));
        assert_eq!(group.members[0].client_host, "/127.0.0.1");
        let Ok(Some(GroupRecord::Offset { value: Some(offset), topic_partition, .. })) =
            decode_record(&offset_key, Some(&offset))
        else {
            panic!("no offset record")
        };
        assert_eq!((offset.offset, offset.leader_epoch), (2, Some(0)));
        assert_eq!(topic_partition, TopicPartition::new("t", 0));
    }

    #[test]
    fn old_and_foreign_records_are_told_apart() {
        let [_, (key, value), _] = golden();
        let legacy = as_type(LEGACY_OFFSET, &key);
        assert_eq!(decode_record(&legacy, Some(&value)), decode_record(&key, Some(&value)));
        // No record type of Kafka 4.3 has this number.
        assert_eq!(decode_record(&hex("0063 0001 67"), None), Ok(None));
        assert!(matches!(decode_record(&hex("00"), None), Err(DecodeRecordError::Key(_))));
        let (share_key, cut) = (hex("000b 0001 67"), hex("0000 00"));
        for (key, cut) in [(key, hex("0004 00")), (share_key, cut)] {
            assert!(matches!(decode_record(&key, Some(&cut)), Err(DecodeRecordError::Value { .. })), "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn positions_survive_the_round_trip(
            offset in 0i64..,
            leader_epoch in proptest::option::of(0i32..),
            metadata in ".{0,40}",
            expire in proptest::option::of(0i64..),
            topic_id in proptest::option::of(any::<[u8; 16]>().prop_filter("zero is none", |id| *id != [0; 16])),
        ) {
            let has_expiry = expire.is_some();
            let value = CommittedOffset {
                offset,
                // The version that tells the expiry has no room for these.
                leader_epoch: leader_epoch.filter(|_| !has_expiry),
                metadata,
                commit_timestamp_ms: 7,
                expire_timestamp_ms: expire,
                topic_id: topic_id.map(crate::Uuid).filter(|_| !has_expiry),
            };
            let record = GroupRecord::Offset {
                group_id: "g".into(),
                topic_partition: TopicPartition::new("t", 3),
                value: Some(value),
            };
            let encoded = encode_record(&record).unwrap();
            prop_assert_eq!(decode_record(&encoded.key, encoded.value.as_ref()), Ok(Some(record)));
        }

        #[test]
        fn no_bytes_panic(key in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
            let _ = decode_record(&key.into(), Some(&value.into()));
        }
    }
}
