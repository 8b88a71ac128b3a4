//! A serde whose own type is forgotten while the type it encodes is kept: what handles and stores hold, so that serde
//! types do not leak into their signatures. Called at commit and restore only, never per record on the hot path.

use bytes::{Bytes, BytesMut};

use super::{Serde, SerdeError};

trait Erased<T>: Send {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), SerdeError>;
    fn decode(&self, bytes: &Bytes) -> Result<T, SerdeError>;
    fn is_null(&self, value: &T) -> bool;
    fn clone_box(&self) -> Box<dyn Erased<T>>;
}

struct Typed<S>(S);

impl<T, S: Serde<T>> Erased<T> for Typed<S> {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), SerdeError> {
        self.0.encode(value, out)
    }

    fn decode(&self, bytes: &Bytes) -> Result<T, SerdeError> {
        self.0.decode(bytes)
    }

    fn is_null(&self, value: &T) -> bool {
        S::NULLABLE && self.0.is_null(value)
    }

    fn clone_box(&self) -> Box<dyn Erased<T>> {
        Box::new(Typed(self.0.clone()))
    }
}

/// A boxed serde of `T`.
pub(crate) struct BoxSerde<T> {
    inner: Box<dyn Erased<T>>,
    nullable: bool,
}

impl<T: 'static> BoxSerde<T> {
    pub(crate) fn new<S: Serde<T>>(serde: S) -> Self {
        Self { inner: Box::new(Typed(serde)), nullable: S::NULLABLE }
    }

    /// Whether `value` is written as null. Costs a virtual call only if some value is.
    pub(crate) fn is_null(&self, value: &T) -> bool {
        self.nullable && self.inner.is_null(value)
    }

    pub(crate) fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), SerdeError> {
        self.inner.encode(value, out)
    }

    pub(crate) fn decode(&self, bytes: &Bytes) -> Result<T, SerdeError> {
        self.inner.decode(bytes)
    }

    /// Encodes into `buffer` and splits the bytes off; null becomes `None`.
    pub(crate) fn to_bytes(&self, value: &T, buffer: &mut BytesMut) -> Result<Option<Bytes>, SerdeError> {
        if self.is_null(value) {
            return Ok(None);
        }
        match self.encode(value, buffer) {
            Ok(()) => Ok(Some(buffer.split().freeze())),
            Err(error) => {
                buffer.clear();
                Err(error)
            }
        }
    }
}

impl<T> Clone for BoxSerde<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone_box(), nullable: self.nullable }
    }
}
