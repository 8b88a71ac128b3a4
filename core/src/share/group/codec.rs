//! The records of share groups in `__consumer_offsets`: key types 10 to 15, in the terms of the wire, which are those of
//! the domain here.
//!
//! Source: Kafka `GroupCoordinatorRecordHelpers`.

use bytes::Bytes;

use crate::{
    group::DecodeRecordError,
    protocol::{
        DecodeLimits, EncodeError, decode_key, decode_versioned, encode_key, encode_versioned,
        records::{
            ShareGroupCurrentMemberAssignmentKey as CurrentKey, ShareGroupCurrentMemberAssignmentValue as CurrentValue,
            ShareGroupMemberMetadataKey as MemberKey, ShareGroupMemberMetadataValue as MemberValue,
            ShareGroupMetadataKey as GroupKey, ShareGroupMetadataValue as GroupValue,
            ShareGroupStatePartitionMetadataKey as PartitionsKey,
            ShareGroupStatePartitionMetadataValue as PartitionsValue,
            ShareGroupTargetAssignmentMemberKey as TargetMemberKey,
            ShareGroupTargetAssignmentMemberValue as TargetMemberValue,
            ShareGroupTargetAssignmentMetadataKey as TargetKey, ShareGroupTargetAssignmentMetadataValue as TargetValue,
        },
    },
};

const VERSION: i16 = 0;

/// One change of a share group. Without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareGroupRecord {
    /// A member and what it subscribes to.
    Member(MemberKey, Option<MemberValue>),
    /// The group's epoch.
    Group(GroupKey, Option<GroupValue>),
    /// The epoch the assignment was made for.
    Target(TargetKey, Option<TargetValue>),
    /// What a member is to fetch from.
    TargetMember(TargetMemberKey, Option<TargetMemberValue>),
    /// What a member has been told.
    Current(CurrentKey, Option<CurrentValue>),
    /// Which partitions have a state.
    Partitions(PartitionsKey, Option<PartitionsValue>),
}

// No field of these records is a floating-point number.
impl Eq for ShareGroupRecord {}

/// Writes a record as key and value.
pub(crate) fn encode(record: &ShareGroupRecord) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    macro_rules! both {
        ($key:ident, $value:ident) => {
            (encode_key($key)?, $value.as_ref().map(|value| encode_versioned(value, VERSION)).transpose()?)
        };
    }
    Ok(match record {
        ShareGroupRecord::Member(key, value) => both!(key, value),
        ShareGroupRecord::Group(key, value) => both!(key, value),
        ShareGroupRecord::Target(key, value) => both!(key, value),
        ShareGroupRecord::TargetMember(key, value) => both!(key, value),
        ShareGroupRecord::Current(key, value) => both!(key, value),
        ShareGroupRecord::Partitions(key, value) => both!(key, value),
    })
}

/// Reads a record of a type from 10 to 15; `None` for any other.
pub(crate) fn decode(
    record_type: i16,
    key: &Bytes,
    value: Option<&Bytes>,
) -> Result<Option<ShareGroupRecord>, DecodeRecordError> {
    let limits = DecodeLimits::default();
    macro_rules! both {
        ($variant:ident, $key:ty, $value:ty) => {{
            let key: $key = decode_key(key, &limits).map_err(DecodeRecordError::Key)?;
            let value = value.map(|value| decode_versioned::<$value>(value, &limits)).transpose();
            let failed = |source| DecodeRecordError::Value { group: key.group_id.clone(), source };
            let value = value.map_err(failed)?.map(|(_, value)| value);
            ShareGroupRecord::$variant(key, value)
        }};
    }
    Ok(Some(match record_type {
        10 => both!(Member, MemberKey, MemberValue),
        11 => both!(Group, GroupKey, GroupValue),
        12 => both!(Target, TargetKey, TargetValue),
        13 => both!(TargetMember, TargetMemberKey, TargetMemberValue),
        14 => both!(Current, CurrentKey, CurrentValue),
        15 => both!(Partitions, PartitionsKey, PartitionsValue),
        _ => return Ok(None),
    }))
}
