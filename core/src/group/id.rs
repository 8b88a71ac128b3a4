//! The ids of the group protocol as newtypes, so that a member id is never taken for a group id, and the two hash and
//! naming rules that go with them.
//!
//! The wire's "empty string" and "-1" are `Option::None` here; they exist only in messages.
//!
//! Source: Kafka `GroupMetadataManager.partitionFor`, `ClassicGroup.generateMemberId`, `java.lang.String.hashCode`.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

use crate::Uuid;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads the wire form, where an empty text means "none".
            pub fn from_wire(text: &str) -> Option<Self> {
                (!text.is_empty()).then(|| Self(text.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

text_id! {
    /// The name of a consumer group (`group.id`).
    GroupId
}
text_id! {
    /// The coordinator's name for one run of one member; a restart of the client gets another one.
    MemberId
}
text_id! {
    /// The name a static member keeps across restarts (`group.instance.id`, KIP-345).
    InstanceId
}

const PREFIX_BYTES_MAX: usize = 255;

impl MemberId {
    /// Names a new member: `<prefix>-<uuid>`, where the prefix is the instance id of a static member and the client id
    /// of any other, and the random `uuid` is written as Java does. A prefix is cut after 255 bytes, as the whole must
    /// fit the wire's strings.
    pub fn new(prefix: &str, uuid: Uuid) -> Self {
        let fits = |(start, c): &(usize, char)| start + c.len_utf8() <= PREFIX_BYTES_MAX;
        let prefix: String = prefix.char_indices().take_while(fits).map(|(_, c)| c).collect();
        let value = u128::from_be_bytes(uuid.0);
        Self(
            format!(
                "{prefix}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                value >> 96,
                (value >> 80) & 0xffff,
                (value >> 64) & 0xffff,
                (value >> 48) & 0xffff,
                value & 0xffff_ffff_ffff,
            )
            .into(),
        )
    }
}

/// How many times a group has gone through a rebalance. 0 is a group that never had one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GenerationId(pub i32);

impl GenerationId {
    /// Reads the wire form, where a negative number means "none".
    pub fn from_wire(value: i32) -> Option<Self> {
        (value >= 0).then_some(Self(value))
    }

    /// The generation after this one; after the largest comes 0, which no member of the largest still holds.
    pub(super) fn next(self) -> Self {
        Self(if self.0 == i32::MAX { 0 } else { self.0 + 1 })
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The partition of `__consumer_offsets` that holds a group, out of `partition_count` (at least 1): Java's
/// `String.hashCode` without its sign bit, modulo the count. Clients and tools compute it too, so it is fixed for ever.
pub fn partition_for_group(group: &str, partition_count: u32) -> u32 {
    let hash = group.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash & 0x7fff_ffff) % partition_count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_land_where_kafka_puts_them() {
        // Values of `Utils.abs(id.hashCode()) % 50` on a JVM.
        for (group, partition) in [("", 0), ("a", 47), ("group", 47), ("console-consumer-1", 24), ("grüße", 23)] {
            assert_eq!(partition_for_group(group, 50), partition, "{group}");
        }
        assert_eq!(partition_for_group("anything", 1), 0);
        // Its Java hash is Integer.MIN_VALUE: without the sign bit that is 0.
        assert_eq!(partition_for_group("polygenelubricants", 50), 0);
    }

    #[test]
    fn member_ids_end_in_a_java_uuid() {
        let uuid = Uuid(0x0123_4567_89ab_4def_8123_4567_89ab_cdefu128.to_be_bytes());
        assert_eq!(MemberId::new("rdkafka", uuid).as_str(), "rdkafka-01234567-89ab-4def-8123-456789abcdef");
    }

    #[test]
    fn generations_only_rise_until_they_wrap() {
        assert_eq!(GenerationId(4).next(), GenerationId(5));
        assert_eq!(GenerationId(i32::MAX).next(), GenerationId(0));
    }
}
