//! The key of a windowed table on a topic: Kafka's `TimeWindowedSerializer`.
//!
//! | bytes | field |
//! |---|---|
//! | all but the last 8 | the inner key |
//! | last 8 | window start, ms, i64 big-endian |
//!
//! The end is not written: it is the start plus the size the serde was made with. Such keys are partitioned by the
//! inner key's bytes (`WindowedStreamPartitioner`).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Serde, SerdeError};
use crate::window::{Window, Windowed, millis};

/// Bytes of the window start behind the inner key.
const START_LEN: usize = size_of::<i64>();

/// Encodes [`Windowed`] keys of time windows of one size. Built-in serdes make it by `.windowed(size)`.
#[derive(Clone, Copy, Debug)]
pub struct TimeWindowed<S> {
    inner: S,
    size_ms: i64,
}

impl<S> TimeWindowed<S> {
    /// `inner` encodes the key inside, `size` is the windows' size.
    pub fn new(inner: S, size: Duration) -> Self {
        Self { inner, size_ms: millis(size) }
    }

    /// The same format for `Option`: `None` is null.
    pub fn nullable(self) -> super::Nullable<Self> {
        super::Nullable(self)
    }
}

impl<K, S: Serde<K>> Serde<Windowed<K>> for TimeWindowed<S> {
    fn encode(&self, value: &Windowed<K>, out: &mut BytesMut) -> Result<(), SerdeError> {
        self.inner.encode(&value.key, out)?;
        out.put_i64(value.window.start);
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<Windowed<K>, SerdeError> {
        let short = || SerdeError::WindowedKey { actual: bytes.len() };
        let (_, start) = bytes.split_last_chunk::<START_LEN>().ok_or_else(short)?;
        let key = self.inner.decode(&bytes.slice(..bytes.len() - START_LEN))?;
        let start = i64::from_be_bytes(*start);
        Ok(Windowed { key, window: Window { start, end: start.saturating_add(self.size_ms) } })
    }

    fn partition_prefix(&self, encoded: &[u8]) -> usize {
        encoded.len().saturating_sub(START_LEN)
    }
}
