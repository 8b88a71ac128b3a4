//! `Option<T>` over a serde of `T`: null on the wire is `None`. What a table's stream carries: a deleted key is a
//! record whose value is null.

use bytes::{Bytes, BytesMut};

use super::{Serde, SerdeError};

/// Encodes `Some` as the inner serde does and `None` as null. Built-in serdes make it by `.nullable()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nullable<S>(
    /// The serde of the value inside.
    pub S,
);

impl<T, S: Serde<T>> Serde<Option<T>> for Nullable<S> {
    const NULLABLE: bool = true;

    fn encode(&self, value: &Option<T>, out: &mut BytesMut) -> Result<(), SerdeError> {
        self.0.encode(value.as_ref().ok_or(SerdeError::Null)?, out)
    }

    fn decode(&self, bytes: &Bytes) -> Result<Option<T>, SerdeError> {
        self.0.decode(bytes).map(Some)
    }

    fn is_null(&self, value: &Option<T>) -> bool {
        match value {
            None => true,
            Some(value) => S::NULLABLE && self.0.is_null(value),
        }
    }

    fn null(&self) -> Option<Option<T>> {
        Some(None)
    }

    fn partition_prefix(&self, encoded: &[u8]) -> usize {
        self.0.partition_prefix(encoded)
    }
}
