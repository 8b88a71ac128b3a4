//! The bytes of source offsets, as Kafka Connect writes them with its internal JSON converter without schemas:
//!
//! | part | form | example |
//! |---|---|---|
//! | key | JSON array of the connector's name and the source partition | `["tail",{"filename":"/var/log/app.log"}]` |
//! | value | JSON object, or nothing to forget the partition | `{"position":1234}` |
//!
//! Kafka Connect writes a partition's fields in no fixed order; we write them ordered by name and read them in any.
//! Whoever goes on with a topic that Kafka Connect has written keeps the bytes of a key as they are found
//! ([`OffsetKey::bytes`]), or compaction would keep both forms.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::record::{SourceOffset, SourcePartition};

/// The key of a stored offset.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetKey {
    /// The connector's name.
    pub connector: String,
    /// Which part of its source.
    pub partition: SourcePartition,
    /// The key as found or to be written.
    pub bytes: Bytes,
}

/// A record that is no stored offset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OffsetCodecError {
    /// The bytes are not JSON.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// The key has another shape.
    #[error("the key is not a JSON array of a connector's name and an object")]
    Key,
    /// The value has another shape.
    #[error("the value is not a JSON object")]
    Value,
}

impl OffsetKey {
    /// The key of a connector's source partition.
    pub fn new(connector: &str, partition: SourcePartition) -> Self {
        let name = Value::String(connector.to_owned());
        let bytes = format!("[{name},{partition}]").into();
        Self { connector: connector.to_owned(), partition, bytes }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// The bytes are no such key.
    pub fn decode(bytes: Bytes) -> Result<Self, OffsetCodecError> {
        let Value::Array(items) = serde_json::from_slice(&bytes)? else { return Err(OffsetCodecError::Key) };
        let Ok([Value::String(connector), Value::Object(fields)]) = <[Value; 2]>::try_from(items) else {
            return Err(OffsetCodecError::Key);
        };
        Ok(Self { connector, partition: fields.into(), bytes })
    }
}

/// The value for an offset.
pub fn encode_offset(offset: &SourceOffset) -> Bytes {
    canonical(&offset.0).into()
}

/// Reads a value.
///
/// # Errors
/// The bytes are no JSON object.
pub fn decode_offset(bytes: &[u8]) -> Result<SourceOffset, OffsetCodecError> {
    match serde_json::from_slice(bytes)? {
        Value::Object(fields) => Ok(SourceOffset(fields)),
        _ => Err(OffsetCodecError::Value),
    }
}

/// Compact JSON, fields ordered by name on every level, whatever order the map type of `serde_json` keeps.
pub(crate) fn canonical(fields: &Map<String, Value>) -> String {
    let mut out = String::new();
    write_object(fields, &mut out);
    out
}

fn write_object(fields: &Map<String, Value>, out: &mut String) {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    out.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&Value::String(name.clone()).to_string());
        out.push(':');
        write_value(value, out);
    }
    out.push('}');
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => write_object(fields, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a distributed worker of Apache Kafka 4.3.0 wrote for its file source, whose fields have one order only.
    #[test]
    fn golden_bytes_of_kafka_connect() {
        let key = OffsetKey::new("src", SourcePartition::of("filename", "/tmp/in.txt"));
        assert_eq!(&key.bytes[..], br#"["src",{"filename":"/tmp/in.txt"}]"#);
        assert_eq!(&encode_offset(&SourceOffset::of("position", 6))[..], br#"{"position":6}"#);
    }

    #[test]
    fn keys_and_values() {
        let partition = SourcePartition::of("filename", "/tmp/a\"b");
        let key = OffsetKey::new("local-file-source", partition.clone());
        assert_eq!(&key.bytes[..], br#"["local-file-source",{"filename":"/tmp/a\"b"}]"#);
        assert_eq!(&encode_offset(&SourceOffset::of("position", 42))[..], br#"{"position":42}"#);
        assert_eq!(OffsetKey::decode(key.bytes.clone()).unwrap(), key);
    }

    #[test]
    fn any_order_of_fields_is_the_same_partition() {
        let one = OffsetKey::decode(Bytes::from_static(br#"["c",{"b":1,"a":{"y":1,"x":2}}]"#)).unwrap();
        let two = OffsetKey::decode(Bytes::from_static(br#"["c", {"a":{"x":2,"y":1},"b":1}]"#)).unwrap();
        assert_eq!(one.partition, two.partition);
        assert_ne!(one.bytes, two.bytes, "each keeps its own bytes");
    }

    #[test]
    fn other_shapes_are_refused() {
        for bytes in [&b"[]"[..], b"{}", b"[1,{}]", b"[\"c\"]", b"[\"c\",{},1]", b"[\"c\",1]"] {
            assert!(matches!(OffsetKey::decode(Bytes::from_static(bytes)), Err(OffsetCodecError::Key)), "{bytes:?}");
        }
        assert!(matches!(OffsetKey::decode(Bytes::from_static(b"\xff")), Err(OffsetCodecError::Json(_))));
        assert!(matches!(decode_offset(b"1"), Err(OffsetCodecError::Value)));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "(?s).{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("(?s).{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn fields() -> impl Strategy<Value = Map<String, Value>> {
        proptest::collection::btree_map("(?s).{0,6}", json(), 0..4).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(name in "(?s).{0,12}", partition in fields(), offset in fields()) {
            let key = OffsetKey::new(&name, partition.into());
            prop_assert_eq!(OffsetKey::decode(key.bytes.clone()).unwrap(), key);
            let offset = SourceOffset(offset);
            prop_assert_eq!(decode_offset(&encode_offset(&offset)).unwrap(), offset);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            drop(OffsetKey::decode(bytes.clone().into()));
            drop(decode_offset(&bytes));
        }
    }
}
