//! The field's own nouns, shared by every layer: ids and epochs as newtypes, so that two integers of different meaning
//! never stand side by side. Offsets and timestamps stay `i64` (timestamps are milliseconds since the Unix epoch);
//! where one may be absent it is an `Option`, never `-1`: the sentinel exists only in wire messages.

use std::{fmt, str::FromStr, sync::Arc};

/// A topic's name and the index of one of its partitions. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

/// As in Kafka's logs and folder names: `<topic>-<partition>`.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $int);

        impl $name {
            /// Reads the wire form, where a negative number means "none".
            pub fn from_wire(value: $int) -> Option<Self> {
                (value >= 0).then_some(Self(value))
            }

            /// The wire form of an optional value: `-1` for none.
            pub fn to_wire(value: Option<Self>) -> $int {
                value.map_or(-1, |v| v.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

newtype! {
    /// The id of a broker in its cluster (`node.id`).
    NodeId(i32)
}
newtype! {
    /// Counts the leaders a partition has had; written into every batch (KIP-101).
    LeaderEpoch(i32)
}
newtype! {
    /// Identifies an idempotent or transactional producer session (KIP-98).
    ProducerId(i64)
}
newtype! {
    /// Fences older sessions of the same producer id (KIP-98).
    ProducerEpoch(i16)
}

/// A 128-bit id of a topic, cluster or log directory, shown as 22 characters of URL-safe base64 as Kafka's `Uuid` does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

/// Why a text is no [`Uuid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Kafka id: expected 22 characters of URL-safe base64")]
pub struct ParseUuidError;

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// The id that stands for "none".
    pub const ZERO: Self = Self([0; 16]);

    /// Makes a version-4 id of 16 random bytes.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        // 128 bits are 21 digits of 6 bits and one of the last 2 bits, padded with zero bits on the right.
        for digit in 0..21u32 {
            let index = (value >> (122 - 6 * digit)) & 0x3f;
            write!(f, "{}", char::from(BASE64_URL[index as usize]))?;
        }
        write!(f, "{}", char::from(BASE64_URL[((value & 0x3) << 4) as usize]))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let text = text.strip_suffix("==").unwrap_or(text).as_bytes();
        if text.len() != 22 {
            return Err(ParseUuidError);
        }
        let mut value = 0u128;
        for (index, byte) in text.iter().enumerate() {
            let digit = BASE64_URL.iter().position(|c| c == byte).ok_or(ParseUuidError)? as u128;
            value = if index < 21 { (value << 6) | digit } else { (value << 2) | (digit >> 4) };
        }
        Ok(Self(value.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_text_is_kafkas() {
        // Uuid.METADATA_TOPIC_ID of Apache Kafka is (0, 1).
        let id = Uuid(1u128.to_be_bytes());
        assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse(), Ok(id));
        assert_eq!("short".parse::<Uuid>(), Err(ParseUuidError));
    }

    #[test]
    fn wire_sentinels_become_options() {
        assert_eq!(LeaderEpoch::from_wire(-1), None);
        assert_eq!(LeaderEpoch::to_wire(Some(LeaderEpoch(3))), 3);
    }
}
