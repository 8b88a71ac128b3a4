//! The typed ends of the test driver: inputs, outputs and stores.

use std::{cell::RefCell, marker::PhantomData, rc::Rc, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::state::State;
use crate::{
    error::{DriverError, Part},
    record::{Headers, Output},
    serde::{Serde, from_bytes, to_bytes},
};

/// A topic or store of the driver, and how a test reads or writes it.
struct End<K, V, KS, VS> {
    state: Rc<RefCell<State>>,
    name: Arc<str>,
    serdes: (KS, VS),
    types: PhantomData<fn(K, V)>,
}

impl<K, V, KS: Serde<K>, VS: Serde<V>> End<K, V, KS, VS> {
    fn new(state: Rc<RefCell<State>>, name: &str, serdes: (KS, VS)) -> Self {
        Self { state, name: name.into(), serdes, types: PhantomData }
    }

    fn encode<T, S: Serde<T>>(&self, serde: &S, value: &T) -> Result<Option<Bytes>, DriverError> {
        let error = |source| DriverError::Serde { name: self.name.to_string(), source };
        to_bytes(serde, value, &mut BytesMut::new()).map_err(error)
    }

    fn decode<T, S: Serde<T>>(&self, serde: &S, part: Part, bytes: Option<&Bytes>) -> Result<T, DriverError> {
        let error = |source| DriverError::Serde { name: self.name.to_string(), source };
        let null = || DriverError::Null { name: self.name.to_string(), part };
        from_bytes(serde, bytes).map_err(error)?.ok_or_else(null)
    }

    fn key(&self, bytes: Option<&Bytes>) -> Result<K, DriverError> {
        self.decode(&self.serdes.0, Part::Key, bytes)
    }

    fn value(&self, bytes: Option<&Bytes>) -> Result<V, DriverError> {
        self.decode(&self.serdes.1, Part::Value, bytes)
    }
}

macro_rules! opaque_debug {
    ($($name:ident),*) => {$(
        impl<K, V, KS, VS> std::fmt::Debug for $name<K, V, KS, VS> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field("name", &self.0.name).finish_non_exhaustive()
            }
        }
    )*};
}

opaque_debug!(TestInput, TestOutput, TestStore);

/// Sends records to a topic the topology reads; made by [`TestDriver::input`](super::TestDriver::input).
pub struct TestInput<K, V, KS, VS>(End<K, V, KS, VS>);

impl<K, V, KS: Serde<K>, VS: Serde<V>> TestInput<K, V, KS, VS> {
    pub(super) fn new(state: Rc<RefCell<State>>, topic: &str, serdes: (KS, VS)) -> Self {
        Self(End::new(state, topic, serdes))
    }

    /// The time, in ms since the epoch, of what is sent next.
    pub fn at(&self, timestamp: i64) -> TestInputAt<'_, K, V, KS, VS> {
        TestInputAt { input: self, timestamp, headers: Headers::new() }
    }

    /// Sends a record at the driver's clock.
    ///
    /// # Errors
    /// If the topology reads no such topic, or fails on the record.
    pub fn send(&self, key: K, value: V) -> Result<(), DriverError> {
        let now = self.0.state.borrow().now_ms();
        self.at(now).send(key, value)
    }

    /// Sends several records, with their times, as one fetch: they are processed in batches.
    ///
    /// # Errors
    /// As for [`send`](Self::send); records before the one at fault may have been processed.
    pub fn send_all(&self, records: impl IntoIterator<Item = (i64, K, V)>) -> Result<(), DriverError> {
        let TestBatch(records) = self.batch(records)?;
        self.0.state.borrow_mut().send(records)
    }

    /// Encodes records without sending them, for [`TestDriver::send_together`](super::TestDriver::send_together).
    ///
    /// # Errors
    /// If the test's serde fails.
    pub fn batch(&self, records: impl IntoIterator<Item = (i64, K, V)>) -> Result<TestBatch, DriverError> {
        let records = records.into_iter();
        let records = records.map(|(timestamp, key, value)| self.record(timestamp, &key, &value, Headers::new()));
        Ok(TestBatch(records.collect::<Result<_, _>>()?))
    }

    fn record(&self, timestamp: i64, key: &K, value: &V, headers: Headers) -> Result<Output, DriverError> {
        let (key_serde, value_serde) = &self.0.serdes;
        Ok(Output {
            topic: self.0.name.clone(),
            key: self.0.encode(key_serde, key)?,
            value: self.0.encode(value_serde, value)?,
            timestamp,
            headers,
            partition_key: None,
        })
    }
}

/// Records for one input that wait to be sent together with others'; made by [`TestInput::batch`].
#[derive(Clone, Debug)]
pub struct TestBatch(pub(super) Vec<Output>);

/// An input at a time; made by [`TestInput::at`].
#[must_use = "nothing is sent yet"]
pub struct TestInputAt<'a, K, V, KS, VS> {
    input: &'a TestInput<K, V, KS, VS>,
    timestamp: i64,
    headers: Headers,
}

impl<K, V, KS, VS> std::fmt::Debug for TestInputAt<'_, K, V, KS, VS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestInputAt").field("timestamp", &self.timestamp).finish_non_exhaustive()
    }
}

impl<K, V, KS: Serde<K>, VS: Serde<V>> TestInputAt<'_, K, V, KS, VS> {
    /// Headers of the record.
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Sends a record; it is processed and committed before this returns.
    ///
    /// # Errors
    /// If the topology reads no such topic, or fails on the record.
    pub fn send(self, key: K, value: V) -> Result<(), DriverError> {
        let record = self.input.record(self.timestamp, &key, &value, self.headers)?;
        self.input.0.state.borrow_mut().send(vec![record])
    }
}

/// A record a test reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRecord<K, V> {
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
    /// Its time, in ms since the epoch.
    pub timestamp: i64,
    /// Its headers.
    pub headers: Headers,
}

/// Reads what the topology wrote to a topic; made by [`TestDriver::output`](super::TestDriver::output).
pub struct TestOutput<K, V, KS, VS>(End<K, V, KS, VS>);

impl<K, V, KS: Serde<K>, VS: Serde<V>> TestOutput<K, V, KS, VS> {
    pub(super) fn new(state: Rc<RefCell<State>>, topic: &str, serdes: (KS, VS)) -> Self {
        Self(End::new(state, topic, serdes))
    }

    /// Everything written since the last call.
    ///
    /// # Errors
    /// If a record does not decode, or is null where the serde has no value for it.
    pub fn drain(&mut self) -> Result<Vec<TestRecord<K, V>>, DriverError> {
        let outputs = self.0.state.borrow_mut().drain(&self.0.name);
        let typed = |output: Output| {
            Ok(TestRecord {
                key: self.0.key(output.key.as_ref())?,
                value: self.0.value(output.value.as_ref())?,
                timestamp: output.timestamp,
                headers: output.headers,
            })
        };
        outputs.into_iter().map(typed).collect()
    }
}

/// Reads a store; made by [`TestDriver::store`](super::TestDriver::store).
pub struct TestStore<K, V, KS, VS>(End<K, V, KS, VS>);

impl<K, V, KS: Serde<K>, VS: Serde<V>> TestStore<K, V, KS, VS> {
    pub(super) fn new(state: Rc<RefCell<State>>, name: &str, serdes: (KS, VS)) -> Self {
        Self(End::new(state, name, serdes))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// If there is no such store, or its value does not decode.
    pub fn get(&self, key: &K) -> Result<Option<V>, DriverError> {
        let key = self.0.encode(&self.0.serdes.0, key)?;
        let entries = self.0.state.borrow().entries(&self.0.name)?;
        let found = entries.into_iter().find(|(known, ..)| Some(known) == key.as_ref());
        found.map(|(_, value, _)| self.0.value(Some(&value))).transpose()
    }

    /// All entries, ordered by encoded key; a window store's by window first. A record's timestamp is the entry's.
    ///
    /// # Errors
    /// If there is no such store, or an entry does not decode.
    pub fn all(&self) -> Result<Vec<TestRecord<K, V>>, DriverError> {
        let entries = self.0.state.borrow().entries(&self.0.name)?;
        let typed = |(key, value, timestamp): (Bytes, Bytes, i64)| {
            let (key, value) = (self.0.key(Some(&key))?, self.0.value(Some(&value))?);
            Ok(TestRecord { key, value, timestamp, headers: Headers::new() })
        };
        entries.into_iter().map(typed).collect()
    }
}
