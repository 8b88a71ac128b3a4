//! The metadata: its log, and the image of it that everybody reads.
//!
//! A change is decided on the image, appended, replayed and published in one step; its answer waits until the records are
//! durable. Publishing first is safe, since the flusher syncs the metadata log before any other: no record in a topic
//! is durable, or acknowledged, before the topic is.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use riverrun_core::{
    budget::{Charge, StateBudget},
    group::Topics,
    metadata::{Image, MetadataRecord},
    record::{BatchBuilder, BatchOptions},
};

use crate::storage::{Committed, Partition, each_record};

/// The metadata log cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the metadata log cannot be {action}: {reason}")]
pub(crate) struct MetadataLogError {
    action: &'static str,
    reason: String,
}

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError<E> {
    /// It is not allowed.
    #[error("{0}")]
    Refused(E),
    /// The memory for what clients make the broker remember is used up.
    #[error("the memory for the state of clients is used up (riverrun.state.max.bytes)")]
    NoRoom,
    /// It could not be written.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
}

/// The state of the metadata log as a quorum of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuorumState {
    pub(crate) leader_epoch: i32,
    pub(crate) high_watermark: i64,
    pub(crate) log_end_offset: i64,
}

/// The metadata of this broker.
#[derive(Debug)]
pub(crate) struct MetadataStore {
    log: Arc<Partition>,
    image: RwLock<Arc<Image>>,
    /// One change at a time, from the decision to the publication; and what all of it weighs.
    changing: Mutex<Charge>,
}

impl MetadataStore {
    /// Reads the log. Blocks on the disk.
    pub(crate) fn load(log: Arc<Partition>, budget: Arc<StateBudget>) -> Result<Self, MetadataLogError> {
        let failed = |reason: String| MetadataLogError { action: "read", reason };
        let mut image = Image::default();
        log.replay(|batch| {
            if batch.header().attributes.is_control() {
                return Ok(());
            }
            each_record(batch, |record| {
                let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
                match MetadataRecord::decode(&value).map_err(|error| error.to_string())? {
                    Some(decoded) => image.replay(&decoded).map_err(|error| error.to_string()),
                    None => Ok(()),
                }
            })
        })
        .map_err(failed)?;
        let mut charge = Charge::new(budget);
        charge.set(image.weight());
        Ok(Self { log, image: RwLock::new(Arc::new(image)), changing: Mutex::new(charge) })
    }

    /// The metadata now.
    pub(crate) fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The metadata now, as the group coordinator sees it.
    pub(crate) fn topics(&self) -> Topics {
        // In this order, so that the image is never older than the version.
        let version = self.epoch();
        Topics::new(self.image(), version)
    }

    /// Resolves when all that was changed until now is durable.
    pub(crate) fn committed_now(&self) -> Committed {
        self.log.committed(self.log.offsets().log_end)
    }

    /// Where the metadata log ends: rises with every change.
    pub(crate) fn epoch(&self) -> i64 {
        self.log.offsets().log_end
    }

    /// How far the metadata log is written and durable.
    pub(crate) fn quorum(&self) -> QuorumState {
        let offsets = self.log.offsets();
        QuorumState {
            leader_epoch: self.log.leader_epoch().0,
            high_watermark: offsets.high_watermark,
            log_end_offset: offsets.log_end,
        }
    }

    /// Decides a change on the metadata, writes its records and publishes what follows. `prepare` runs in between, on
    /// the image to be published: what it cannot do is not to be.
    pub(crate) fn change<T, E>(
        &self,
        decide: impl FnOnce(&Image) -> Result<(Vec<MetadataRecord>, T), E>,
        prepare: impl FnOnce(&Image, &T) -> Result<(), E>,
    ) -> Result<(T, Committed), ChangeError<E>> {
        let mut charge = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.image();
        let (records, outcome) = decide(&current).map_err(ChangeError::Refused)?;
        if records.is_empty() {
            return Ok((outcome, Box::pin(std::future::ready(Ok(())))));
        }
        let failed = |reason: String| MetadataLogError { action: "written", reason };
        let mut image = (*current).clone();
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for record in &records {
            image.replay(record).map_err(|error| failed(error.to_string()))?;
            let value = record.encode().map_err(|error| failed(error.to_string()))?;
            let added = builder.append(self.log.wall_ms(), None, Some(&value), []);
            added.map_err(|error| failed(error.to_string()))?;
        }
        if !charge.fits(image.weight().saturating_sub(current.weight())) {
            return Err(ChangeError::NoRoom);
        }
        let batch = builder.build().map_err(|error| failed(error.to_string()))?;
        prepare(&image, &outcome).map_err(ChangeError::Refused)?;
        let appended = self.log.append_internal(batch).map_err(|error| failed(error.to_string()))?;
        charge.set(image.weight());
        *self.image.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(image);
        Ok((outcome, self.log.committed(appended.last_offset + 1)))
    }
}
