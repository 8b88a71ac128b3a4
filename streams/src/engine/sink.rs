//! Encodes records for a topic, and the guard in front of a repartition topic.

use std::sync::Arc;

use super::{Context, Push};
use crate::{
    error::{Part, ProcessError},
    metrics::DropReason,
    record::{Batch, Output, Record},
    serde::{Serde, SerdeError, to_bytes},
};

/// The running sink. What it makes waits in the context until the task's driver sends it.
pub(crate) struct Sink<KS, VS> {
    pub(crate) operator: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) key_serde: KS,
    pub(crate) value_serde: VS,
    /// A repartition topic takes no null keys: an aggregation would drop them (R2).
    pub(crate) drop_null_keys: bool,
}

impl<KS, VS> Sink<KS, VS> {
    fn error(&self, cx: &Context, offset: i64, part: Part, source: SerdeError) -> ProcessError {
        ProcessError::Serialize {
            operator: self.operator.clone(),
            to: self.topic.clone(),
            topic: cx.topic.clone(),
            partition: cx.partition,
            offset,
            part,
            source,
        }
    }
}

impl<K, V, KS, VS> Push<K, V> for Sink<KS, VS>
where
    KS: Serde<K>,
    VS: Serde<V>,
{
    fn push(&mut self, batch: &mut Batch<K, V>, cx: &mut Context) -> Result<(), ProcessError> {
        cx.outputs.reserve(batch.len());
        for Record { key, value, timestamp, offset, headers } in batch.drain(..) {
            let key = to_bytes(&self.key_serde, &key, &mut cx.buffer);
            let key = key.map_err(|error| self.error(cx, offset, Part::Key, error))?;
            if self.drop_null_keys && key.is_none() {
                cx.dropped(DropReason::NullKey);
                continue;
            }
            let value = to_bytes(&self.value_serde, &value, &mut cx.buffer);
            let value = value.map_err(|error| self.error(cx, offset, Part::Value, error))?;
            let partition_key = key.as_ref().and_then(|key| {
                let prefix = self.key_serde.partition_prefix(key);
                (prefix < key.len()).then(|| key.slice(..prefix))
            });
            cx.outputs.push(Output { topic: self.topic.clone(), key, value, timestamp, headers, partition_key });
        }
        Ok(())
    }
}
