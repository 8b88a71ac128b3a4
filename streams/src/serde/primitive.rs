//! Text, numbers and plain bytes, as Kafka's `StringSerializer`, `LongSerializer`, `IntegerSerializer`,
//! `DoubleSerializer` and `ByteArraySerializer` write them: UTF-8, and big-endian numbers.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Nullable, Serde, SerdeError, TimeWindowed};
use std::time::Duration;

/// `String` as UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

/// `i64` as 8 bytes, big-endian: Java's `Long`.
#[derive(Clone, Copy, Debug, Default)]
pub struct I64;

/// `i32` as 4 bytes, big-endian: Java's `Integer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct I32;

/// `f64` as 8 bytes, big-endian: Java's `Double`.
#[derive(Clone, Copy, Debug, Default)]
pub struct F64;

/// The bytes as they are, null included: `Option<Bytes>`. The serde for what the program does not look into, such as
/// keys that may be missing. Where null must not occur, take [`Binary`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

/// The bytes as they are, never null: `Bytes`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binary;

/// Methods every non-nullable serde of this module has.
macro_rules! adapters {
    ($($name:ident),*) => {$(
        impl $name {
            /// The same format for `Option`: `None` is null.
            pub fn nullable(self) -> Nullable<Self> {
                Nullable(self)
            }

            /// The same format for the key of a [`Windowed`](crate::Windowed) of windows of this size.
            pub fn windowed(self, size: Duration) -> TimeWindowed<Self> {
                TimeWindowed::new(self, size)
            }
        }
    )*};
}
pub(super) use adapters;

adapters!(Utf8, I64, I32, F64, Binary);

impl Serde<String> for Utf8 {
    fn encode(&self, value: &String, out: &mut BytesMut) -> Result<(), SerdeError> {
        out.put_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<String, SerdeError> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }
}

macro_rules! number {
    ($serde:ident, $type:ty) => {
        impl Serde<$type> for $serde {
            fn encode(&self, value: &$type, out: &mut BytesMut) -> Result<(), SerdeError> {
                out.put_slice(&value.to_be_bytes());
                Ok(())
            }

            fn decode(&self, bytes: &Bytes) -> Result<$type, SerdeError> {
                let array = bytes
                    .as_ref()
                    .try_into()
                    .map_err(|_| SerdeError::Length { expected: size_of::<$type>(), actual: bytes.len() })?;
                Ok(<$type>::from_be_bytes(array))
            }
        }
    };
}

number!(I64, i64);
number!(I32, i32);
number!(F64, f64);

impl Serde<Option<Bytes>> for Raw {
    const NULLABLE: bool = true;

    fn encode(&self, value: &Option<Bytes>, out: &mut BytesMut) -> Result<(), SerdeError> {
        out.put_slice(value.as_deref().ok_or(SerdeError::Null)?);
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Option<Bytes>, SerdeError> {
        Ok(Some(bytes.clone()))
    }

    fn is_null(&self, value: &Option<Bytes>) -> bool {
        value.is_none()
    }

    fn null(&self) -> Option<Option<Bytes>> {
        Some(None)
    }
}

impl Serde<Bytes> for Binary {
    fn encode(&self, value: &Bytes, out: &mut BytesMut) -> Result<(), SerdeError> {
        out.put_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Bytes, SerdeError> {
        Ok(bytes.clone())
    }
}
