//! The text committed with every offset: a partition's time and the numbers its task's operators keep.
//!
//! It is the base64 (RFC 4648, padded) of
//!
//! | bytes | field |
//! |---|---|
//! | 1 | format, 2; format 1 ends after the partition time |
//! | 8 | partition time, ms, i64 big-endian; -1 unknown |
//! | 0 or 4 | number of entries, i32 |
//! | 4, n, 8 per entry | length of the name i32, name, value i64 |
//!
//! Text that is none of this means "nothing known", never an error. Source: Kafka's `TopicPartitionMetadata`,
//! `ProcessorMetadata`.

use bytes::{Buf, BufMut};

const FORMAT: u8 = 2;
const FORMAT_WITHOUT_ENTRIES: u8 = 1;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What travels with an offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommitMetadata {
    pub(crate) partition_time: Option<i64>,
    pub(crate) entries: Vec<(String, i64)>,
}

impl CommitMetadata {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = vec![FORMAT];
        bytes.put_i64(self.partition_time.unwrap_or(-1));
        if !self.entries.is_empty() {
            bytes.put_i32(length(self.entries.len()));
        }
        for (name, value) in &self.entries {
            bytes.put_i32(length(name.len()));
            bytes.put_slice(name.as_bytes());
            bytes.put_i64(*value);
        }
        encode_base64(&bytes)
    }

    /// Reads what [`CommitMetadata::encode`] or Kafka Streams wrote; nothing known if it is something else.
    pub(crate) fn decode(text: &str) -> Self {
        decode_base64(text).and_then(|bytes| Self::parse(&bytes)).unwrap_or_default()
    }

    fn parse(mut bytes: &[u8]) -> Option<Self> {
        let format = bytes.try_get_u8().ok()?;
        let time = bytes.try_get_i64().ok()?;
        let partition_time = (time >= 0).then_some(time);
        let mut entries = Vec::new();
        match format {
            FORMAT_WITHOUT_ENTRIES => {}
            FORMAT if bytes.is_empty() => {}
            FORMAT => {
                for _ in 0..bytes.try_get_i32().ok()? {
                    let length = usize::try_from(bytes.try_get_i32().ok()?).ok()?;
                    let (name, rest) = bytes.split_at_checked(length)?;
                    bytes = rest;
                    entries.push((String::from_utf8(name.to_vec()).ok()?, bytes.try_get_i64().ok()?));
                }
            }
            _ => return None,
        }
        Some(Self { partition_time, entries })
    }
}

fn length(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 0x3f;
            text.push(if digit <= group.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    text
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut word = 0u32;
        for digit in group {
            let value = ALPHABET.iter().position(|c| c == digit)?;
            word = (word << 6) | u32::try_from(value).ok()?;
        }
        word <<= 6 * (4 - group.len());
        let whole = group.len().checked_sub(1).filter(|n| *n > 0)?;
        bytes.extend_from_slice(word.to_be_bytes().get(1..=whole)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// T5: as Java's `TopicPartitionMetadata` of partition time 7 encodes itself, without and with a number that a
    /// processor keeps.
    #[test]
    fn text_is_kafkas() {
        let mut metadata = CommitMetadata { partition_time: Some(7), entries: Vec::new() };
        assert_eq!(metadata.encode(), "AgAAAAAAAAAH");
        metadata.entries.push(("store".to_owned(), 42));
        assert_eq!(metadata.encode(), "AgAAAAAAAAAHAAAAAQAAAAVzdG9yZQAAAAAAAAAq");
    }

    #[test]
    fn anything_else_is_nothing_known() {
        for text in ["", "!", "AgAA", "AwAAAAAAAAAH", "metadata"] {
            assert_eq!(CommitMetadata::decode(text), CommitMetadata::default(), "{text}");
        }
        let first_format = CommitMetadata { partition_time: Some(7), entries: Vec::new() };
        assert_eq!(CommitMetadata::decode("AQAAAAAAAAAH"), first_format);
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(time in proptest::option::of(0i64..), entries: Vec<(String, i64)>) {
            let metadata = CommitMetadata { partition_time: time, entries };
            prop_assert_eq!(CommitMetadata::decode(&metadata.encode()), metadata);
        }

        #[test]
        fn survives_any_text(text: String) {
            CommitMetadata::decode(&text);
        }
    }
}
