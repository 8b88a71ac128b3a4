//! The form of keys and values in the log: Kafka Connect's `key.converter` and `value.converter`.
//!
//! | short name | Kafka's class | in the log |
//! |---|---|---|
//! | `string` | `org.apache.kafka.connect.storage.StringConverter` | UTF-8 text; structured data as compact JSON |
//! | `json` | `org.apache.kafka.connect.json.JsonConverter` | compact JSON; bytes as base64; optionally in a schema envelope |
//! | `bytes` | `org.apache.kafka.connect.converters.ByteArrayConverter` | bytes as they are, nothing else |
//!
//! Null is no bytes at all, in all three. Conversion is a pure function: no topic, no state.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    base64,
    config::{ConfigType, ConfigValue, Expected},
    record::Data,
};

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConverterKind {
    /// UTF-8 text.
    String,
    /// JSON.
    Json,
    /// Bytes as they are.
    Bytes,
}

impl ConfigValue for ConverterKind {
    const TYPE: ConfigType = ConfigType::Class;

    fn parse(text: &str) -> Result<Self, Expected> {
        let class = text.rsplit('.').next().unwrap_or(text).to_ascii_lowercase();
        match class.strip_suffix("converter").unwrap_or(&class) {
            "string" => Ok(Self::String),
            "json" => Ok(Self::Json),
            "bytes" | "bytearray" => Ok(Self::Bytes),
            _ => Err("`string`, `json`, `bytes`, or the class name of Kafka's StringConverter, JsonConverter or \
                      ByteArrayConverter"
                .into()),
        }
    }
}

/// Turns [`Data`] into bytes and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converter {
    kind: ConverterKind,
    schemas_enable: bool,
}

/// Why something cannot be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The bytes in the log are not text.
    #[error("these bytes are not UTF-8 (byte {valid_up_to} is wrong); read them with the `bytes` converter")]
    NotText {
        /// How many bytes are.
        valid_up_to: usize,
    },
    /// The bytes in the log are not JSON.
    #[error("these bytes are not JSON; read them with the `string` or `bytes` converter")]
    NotJson(#[source] serde_json::Error),
    /// A schema envelope was expected.
    #[error("not a JSON object of exactly `schema` and `payload`; set the converter's schemas.enable to false")]
    NoEnvelope,
    /// The connector handed over something else than bytes.
    #[error("the `bytes` converter takes bytes only, and this is {found}; use the `string` or `json` converter")]
    NotBytes {
        /// What it was.
        found: &'static str,
    },
}

impl Converter {
    /// A converter; `schemas_enable` matters to JSON only.
    pub fn new(kind: ConverterKind, schemas_enable: bool) -> Self {
        Self { kind, schemas_enable }
    }

    /// The bytes for the log.
    ///
    /// # Errors
    /// The `bytes` converter was given something else.
    pub fn encode(&self, data: Data) -> Result<Option<Bytes>, ConvertError> {
        let bytes = match (self.kind, data) {
            (_, Data::Null) => return Ok(None),
            (ConverterKind::Bytes | ConverterKind::String, Data::Bytes(bytes)) => bytes,
            (ConverterKind::Bytes, Data::Text(_)) => return Err(ConvertError::NotBytes { found: "text" }),
            (ConverterKind::Bytes, Data::Json(_)) => return Err(ConvertError::NotBytes { found: "JSON" }),
            (ConverterKind::String, Data::Text(text) | Data::Json(Value::String(text))) => text.into(),
            (ConverterKind::String, Data::Json(value)) => value.to_string().into(),
            (ConverterKind::Json, Data::Json(value)) => self.envelope(value),
            (ConverterKind::Json, Data::Text(text)) => self.envelope(Value::String(text)),
            (ConverterKind::Json, Data::Bytes(bytes)) => self.envelope(Value::String(base64::encode(&bytes))),
        };
        Ok(Some(bytes))
    }

    /// The data in bytes of the log.
    ///
    /// # Errors
    /// The bytes are not of this form.
    pub fn decode(&self, bytes: Option<Bytes>) -> Result<Data, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Data::Null) };
        match self.kind {
            ConverterKind::Bytes => Ok(Data::Bytes(bytes)),
            ConverterKind::String => match std::str::from_utf8(&bytes) {
                Ok(text) => Ok(Data::Text(text.to_owned())),
                Err(error) => Err(ConvertError::NotText { valid_up_to: error.valid_up_to() }),
            },
            ConverterKind::Json => {
                let value = serde_json::from_slice(&bytes).map_err(ConvertError::NotJson)?;
                if !self.schemas_enable {
                    return Ok(Data::from(value));
                }
                match value {
                    Value::Object(mut fields) if fields.len() == 2 && fields.contains_key("schema") => {
                        fields.remove("payload").map(Data::from).ok_or(ConvertError::NoEnvelope)
                    }
                    _ => Err(ConvertError::NoEnvelope),
                }
            }
        }
    }

    fn envelope(&self, payload: Value) -> Bytes {
        let value = if self.schemas_enable { json!({ "schema": null, "payload": payload }) } else { payload };
        value.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn converter(name: &str, schemas: bool) -> Converter {
        Converter::new(ConverterKind::parse(name).unwrap(), schemas)
    }

    fn encoded(converter: Converter, data: impl Into<Data>) -> String {
        String::from_utf8(converter.encode(data.into()).unwrap().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn names() {
        for (name, kind) in [
            ("org.apache.kafka.connect.storage.StringConverter", ConverterKind::String),
            ("JsonConverter", ConverterKind::Json),
            ("json", ConverterKind::Json),
            ("org.apache.kafka.connect.converters.ByteArrayConverter", ConverterKind::Bytes),
            ("bytes", ConverterKind::Bytes),
        ] {
            assert_eq!(ConverterKind::parse(name), Ok(kind));
        }
        assert!(ConverterKind::parse("avro").is_err());
    }

    #[test]
    fn forms() {
        let object = json!({ "a": 1 });
        assert_eq!(encoded(converter("string", false), object.clone()), "{\"a\":1}");
        assert_eq!(encoded(converter("string", false), "x"), "x");
        assert_eq!(encoded(converter("json", false), "x"), "\"x\"");
        assert_eq!(encoded(converter("json", false), Bytes::from_static(b"foo")), "\"Zm9v\"");
        assert_eq!(encoded(converter("json", true), object), "{\"payload\":{\"a\":1},\"schema\":null}");
        assert!(matches!(converter("bytes", false).encode("x".into()), Err(ConvertError::NotBytes { found: "text" })));
        assert_eq!(converter("json", true).encode(Data::Null).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_read() {
        let read =
            |name, schemas, bytes: &'static [u8]| converter(name, schemas).decode(Some(Bytes::from_static(bytes)));
        assert!(matches!(read("string", false, b"ab\xff"), Err(ConvertError::NotText { valid_up_to: 2 })));
        assert!(matches!(read("json", false, b"{"), Err(ConvertError::NotJson(_))));
        assert!(matches!(read("json", true, b"{}"), Err(ConvertError::NoEnvelope)));
        assert_eq!(read("json", true, b"{\"schema\":null,\"payload\":1}").unwrap(), Data::Json(json!(1)));
        assert_eq!(read("json", false, b"null").unwrap(), Data::Null);
    }

    proptest! {
        #[test]
        fn text_and_bytes_come_back(text in "(?s).{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let string = converter("string", false);
            prop_assert_eq!(string.decode(string.encode(text.clone().into()).unwrap()).unwrap(), Data::Text(text.clone()));
            let raw = converter("bytes", false);
            let data = Data::Bytes(bytes.into());
            prop_assert_eq!(raw.decode(raw.encode(data.clone()).unwrap()).unwrap(), data);
            for schemas in [false, true] {
                let json = converter("json", schemas);
                let back = json.decode(json.encode(text.clone().into()).unwrap()).unwrap();
                prop_assert_eq!(back, Data::Json(Value::String(text.clone())));
            }
        }
    }
}
