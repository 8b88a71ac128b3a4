//! Serdes: values that turn a type into bytes and back at a topology's boundaries.
//!
//! A serde is given where records cross a topic or a store, and nowhere else. `null` on the wire is the absence of
//! bytes; whether a type can stand for it is the serde's matter ([`Serde::NULLABLE`]): [`Nullable`] makes it
//! `None`, [`Raw`] is nullable by nature, every other serde has no value for it, so a source drops and counts such
//! records. Formats are those of Kafka's own serializers (`org.apache.kafka.common.serialization`), so that a topic
//! written by a Java program reads the same here.

mod erased;
mod json;
mod nullable;
mod primitive;
mod windowed;

use bytes::{Bytes, BytesMut};

pub(crate) use erased::BoxSerde;
pub use json::Json;
pub use nullable::Nullable;
pub use primitive::{Binary, F64, I32, I64, Raw, Utf8};
pub use windowed::TimeWindowed;

/// Why a value could not be encoded or bytes could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SerdeError {
    /// The bytes are no UTF-8 text.
    #[error("not UTF-8: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// A fixed-size number had another size.
    #[error("expected {expected} bytes, got {actual}")]
    Length {
        /// The size of the type.
        expected: usize,
        /// The size found.
        actual: usize,
    },
    /// A windowed key is too short to hold its window's start.
    #[error("a windowed key ends in 8 bytes of window start, got {actual} bytes in all")]
    WindowedKey {
        /// The size found.
        actual: usize,
    },
    /// JSON that does not parse, or does not fit the type.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A nullable serde around another nullable serde, or a null where the type has no value for it.
    #[error("no value of this type stands for null")]
    Null,
    /// What a serde of the user's reported.
    #[error(transparent)]
    User(Box<dyn std::error::Error + Send + Sync>),
}

/// Encodes and decodes `T`.
///
/// Implement it for a format of your own; a serde is cloned for each task, so keep it small.
///
/// ```
/// use bytes::{BufMut, Bytes, BytesMut};
/// use riverrun_streams::serde::{Serde, SerdeError};
///
/// #[derive(Clone)]
/// struct Flag;
/// impl Serde<bool> for Flag {
///     fn encode(&self, value: &bool, out: &mut BytesMut) -> Result<(), SerdeError> {
///         out.put_u8(u8::from(*value));
///         Ok(())
///     }
///     fn decode(&self, bytes: &Bytes) -> Result<bool, SerdeError> {
///         match bytes[..] {
///             [byte] => Ok(byte != 0),
///             _ => Err(SerdeError::Length { expected: 1, actual: bytes.len() }),
///         }
///     }
/// }
/// assert!(Flag.decode(&Bytes::from_static(&[1]))?);
/// # Ok::<(), SerdeError>(())
/// ```
pub trait Serde<T>: Clone + Send + 'static {
    /// Whether some value of `T` stands for null; if not, [`Serde::is_null`] and [`Serde::null`] are not asked.
    const NULLABLE: bool = false;

    /// Appends the encoded `value` to `out`. Not called for a value that [is null](Serde::is_null).
    ///
    /// # Errors
    /// If the value has no encoding.
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), SerdeError>;

    /// Decodes all of `bytes`; may keep slices of it, which share its memory.
    ///
    /// # Errors
    /// If the bytes are not an encoding of a `T`.
    fn decode(&self, bytes: &Bytes) -> Result<T, SerdeError>;

    /// Whether `value` is written as null.
    fn is_null(&self, _value: &T) -> bool {
        false
    }

    /// The value null is read as, if there is one.
    fn null(&self) -> Option<T> {
        None
    }

    /// How many leading bytes of the encoded key choose its partition: all, but for windowed keys, which go where
    /// the inner key goes.
    fn partition_prefix(&self, encoded: &[u8]) -> usize {
        encoded.len()
    }
}

/// Encodes into `buffer` and splits the bytes off; `None` for a value that stands for null.
pub(crate) fn to_bytes<T, S: Serde<T>>(
    serde: &S,
    value: &T,
    buffer: &mut BytesMut,
) -> Result<Option<Bytes>, SerdeError> {
    if S::NULLABLE && serde.is_null(value) {
        return Ok(None);
    }
    match serde.encode(value, buffer) {
        Ok(()) => Ok(Some(buffer.split().freeze())),
        Err(error) => {
            buffer.clear();
            Err(error)
        }
    }
}

/// Decodes what a topic holds; `Ok(None)` if it is null and no value stands for that.
pub(crate) fn from_bytes<T, S: Serde<T>>(serde: &S, bytes: Option<&Bytes>) -> Result<Option<T>, SerdeError> {
    match bytes {
        Some(bytes) => serde.decode(bytes).map(Some),
        None if S::NULLABLE => Ok(serde.null()),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
