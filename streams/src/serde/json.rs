//! Any serde type as JSON text, by `serde_json`.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};

use super::{Nullable, Serde, SerdeError, TimeWindowed, primitive::adapters};

/// `T: Serialize + DeserializeOwned` as JSON. The type is chosen by what the stream's closures take:
///
/// ```
/// # use riverrun_streams::prelude::*;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Reading { celsius: f64 }
///
/// let b = StreamsBuilder::new("app");
/// b.stream("readings", (Utf8, Json)).map_values(|_, r: Reading| r.celsius).to("celsius", (Utf8, F64));
/// # b.build().unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

adapters!(Json);

impl<T: Serialize + DeserializeOwned> Serde<T> for Json {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), SerdeError> {
        Ok(serde_json::to_writer(out.writer(), value)?)
    }

    fn decode(&self, bytes: &Bytes) -> Result<T, SerdeError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
