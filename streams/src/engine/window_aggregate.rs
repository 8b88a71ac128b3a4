//! Count, reduce and aggregate by key and time window.
//!
//! The operator's own stream time is the largest timestamp that reached it (T2). A window takes a record while its
//! end is above the close time, stream time less grace, which the record itself may have moved (W2); a window that
//! takes it no longer counts it as late and, if asked for, hands it to the late output. Null keys are dropped; null
//! values are aggregated (W3).
//!
//! Emission is either on every update, or once per window when it closes (KIP-825). Final results come as soon as the
//! close time passes the window's end; Kafka checks for that at most once a second of wall clock, which saves it range
//! scans that cost nothing here.
//!
//! Stream time and the last close time emitted for travel in the task's offset-commit metadata, so a restart neither
//! emits a final result twice nor lets in what was late before. (Kafka restores only the latter of the two.)
//! Source: Kafka's `KStreamWindowAggregate`, `AbstractKStreamTimeWindowAggregateProcessor`.

use std::hash::Hash;

use super::{Aggregator, Context, MetadataSlot, Next, Push};
use crate::{
    error::ProcessError,
    metrics::DropReason,
    record::{Batch, Headers, Record},
    serde::BoxSerde,
    store::{Shared, WindowStore, lock},
    window::{Late, TimeWindows, Window, Windowed},
};

/// When results leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emit {
    OnUpdate,
    OnClose,
}

/// Where late records go, other than into the count.
pub(crate) struct LateOutput<K, V> {
    pub(crate) out: Batch<K, Late<V>>,
    pub(crate) next: Next<K, Late<V>>,
}

/// The running operator.
pub(crate) struct WindowAggregate<K, V, A, G> {
    pub(crate) aggregator: G,
    pub(crate) windows: TimeWindows,
    pub(crate) emit: Emit,
    pub(crate) key_serde: BoxSerde<K>,
    pub(crate) store: Shared<WindowStore<K, A>>,
    pub(crate) stream_time: MetadataSlot,
    /// Windows that end at or before this time have been emitted.
    pub(crate) emitted_until: MetadataSlot,
    pub(crate) out: Batch<Windowed<K>, Option<A>>,
    pub(crate) next: Next<Windowed<K>, Option<A>>,
    pub(crate) late: Option<LateOutput<K, V>>,
    /// Whether results and late records meet again further down, so that their order matters.
    pub(crate) by_record: bool,
}

impl<K, V, A, G> WindowAggregate<K, V, A, G>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Send + 'static,
    A: Clone + Send + 'static,
    G: Aggregator<K, V, A>,
{
    /// Puts one record into its windows; those that are closed already go into `closed`.
    fn update(
        &mut self,
        store: &mut WindowStore<K, A>,
        record: &Record<K, V>,
        close_time: i64,
        closed: &mut Vec<Window>,
    ) {
        let Record { key, value, timestamp, offset, headers } = record;
        for window in self.windows.windows_for(*timestamp) {
            if window.end <= close_time {
                closed.push(window);
                continue;
            }
            let (aggregate, timestamp) = match store.get_mut(window.start, key) {
                Some(slot) => {
                    self.aggregator.add(key, value, &mut slot.value);
                    slot.timestamp = slot.timestamp.max(*timestamp);
                    (self.emits_updates().then(|| slot.value.clone()), slot.timestamp)
                }
                None => {
                    let aggregate = self.aggregator.first(key, value);
                    let emitted = self.emits_updates().then(|| aggregate.clone());
                    store.insert(window.start, key.clone(), aggregate, *timestamp);
                    (emitted, *timestamp)
                }
            };
            if aggregate.is_some() {
                let (key, headers) = (Windowed { key: key.clone(), window }, headers.clone());
                self.out.push(Record { key, value: aggregate, timestamp, offset: *offset, headers });
            }
        }
    }

    fn emits_updates(&self) -> bool {
        self.emit == Emit::OnUpdate
    }

    /// Emits the windows that `close_time` closes and none before did.
    fn emit_closed(
        &mut self,
        store: &WindowStore<K, A>,
        close_time: i64,
        offset: i64,
        headers: &Headers,
    ) -> Result<(), ProcessError> {
        let emitted_until = self.emitted_until.get();
        if emitted_until.is_some_and(|until| until >= close_time) {
            return Ok(());
        }
        // Window ends in (emitted_until, close_time] are window starts one size earlier.
        let size = self.windows.window(0).end;
        let first = emitted_until.map_or(0, |until| until.saturating_sub(size).saturating_add(1).max(0));
        let (windows, out) = (self.windows, &mut self.out);
        store.for_each_in(first..=close_time.saturating_sub(size), |start, key, slot| {
            let key = Windowed { key: key.clone(), window: windows.window(start) };
            let (value, timestamp) = (Some(slot.value.clone()), slot.timestamp);
            out.push(Record { key, value, timestamp, offset, headers: headers.clone() });
        })?;
        self.emitted_until.set(close_time);
        Ok(())
    }

    /// Takes records in, leaving what they make in the output batches.
    fn process(
        &mut self,
        records: impl IntoIterator<Item = Record<K, V>>,
        cx: &mut Context,
    ) -> Result<(), ProcessError> {
        let shared = self.store.clone();
        let mut store = lock(&shared);
        let mut closed = Vec::new();
        for record in records {
            if self.key_serde.is_null(&record.key) {
                cx.dropped(DropReason::NullKey);
                continue;
            }
            let stream_time = self.stream_time.get().map_or(record.timestamp, |time| time.max(record.timestamp));
            self.stream_time.set(stream_time);
            let close_time = self.windows.close_time(stream_time);
            if self.emit == Emit::OnClose {
                // Before the update, which may make the store forget windows this record closes.
                self.emit_closed(&store, close_time, record.offset, &record.headers)?;
            }
            self.update(&mut store, &record, close_time, &mut closed);
            if !closed.is_empty() {
                cx.metrics.count_dropped(DropReason::LateRecord, closed.len() as u64);
                self.push_late(record, std::mem::take(&mut closed), close_time);
            }
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context) -> Result<(), ProcessError> {
        if !self.out.is_empty() {
            let pushed = self.next.push(&mut self.out, cx);
            self.out.clear();
            pushed?;
        }
        if let Some(late) = &mut self.late
            && !late.out.is_empty()
        {
            let pushed = late.next.push(&mut late.out, cx);
            late.out.clear();
            pushed?;
        }
        Ok(())
    }

    fn push_late(&mut self, record: Record<K, V>, windows: Vec<Window>, close_time: i64) {
        if let Some(late) = &mut self.late {
            late.out.push(record.with(|key, value| (key, Late { value, windows, close_time })));
        }
    }
}

impl<K, V, A, G> Push<K, V> for WindowAggregate<K, V, A, G>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Send + 'static,
    A: Clone + Send + 'static,
    G: Aggregator<K, V, A>,
{
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        if !self.by_record {
            self.process(batch.drain(..), cx)?;
            return self.flush(cx);
        }
        for record in batch.drain(..) {
            self.process([record], cx)?;
            self.flush(cx)?;
        }
        Ok(())
    }
}
