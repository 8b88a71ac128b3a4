//! Opening a log: from the files in a folder to a [`Log`]. What is trusted and what is walked stands in
//! [`super::recovery`], which does the walking.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use super::{
    CheckpointError, LeaderEpochs, Log, LogConfig, OpenError, Recovery, checkpoint,
    producers::Producers,
    recovery::{self, Learned, io_error},
    segment::{Segment, SegmentError, file_name},
    txn_index::TransactionIndex,
    vfs::Vfs,
};
use crate::{TopicPartition, Uuid};

/// What a log is opened with.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Whose log it is.
    pub topic_partition: TopicPartition,
    /// Written into `partition.metadata`, and compared with what stands there.
    pub topic_id: Uuid,
    /// The topic's settings.
    pub config: LogConfig,
    /// The offset before which everything is known to be synced, from the checkpoint; 0 if nothing is known.
    pub recovery_point: i64,
    /// Whether the data directory was closed cleanly: nothing has to be checked then.
    pub clean_shutdown: bool,
    /// Where DeleteRecords had moved the start, from the checkpoint.
    pub log_start_offset: i64,
}

impl Log {
    /// Opens the log in `folder`, or makes it there.
    ///
    /// # Errors
    /// [`OpenError`]: the disk failed, or a batch is damaged that is no torn tail. Nothing was cut off then.
    pub fn open(vfs: Arc<dyn Vfs>, folder: &Path, options: LogOptions) -> Result<Self, OpenError> {
        let io = |action| io_error(action, folder);
        let is_new = !vfs.exists(folder);
        if is_new {
            vfs.create_dir_all(folder).map_err(io("create"))?;
            folder.parent().map_or(Ok(()), |parent| vfs.sync_dir(parent)).map_err(io("sync"))?;
        }
        let metadata = folder.join("partition.metadata");
        match checkpoint::read_topic_id(&*vfs, &metadata)? {
            None => checkpoint::write_topic_id(&*vfs, &metadata, options.topic_id)?,
            Some(found) if found == options.topic_id => {}
            Some(found) => {
                let (folder, expected) = (folder.display().to_string(), options.topic_id);
                return Err(OpenError::OtherTopic { folder, found, expected });
            }
        }
        let epochs = match checkpoint::read_epochs(&*vfs, &folder.join("leader-epoch-checkpoint")) {
            Ok(epochs) => epochs,
            // It is derived: the headers of the batches say the same.
            Err(CheckpointError::Malformed { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let gaps_allowed = options.config.cleanup_policy.compact;
        let mut log = Self {
            folder: folder.to_owned(),
            topic_partition: options.topic_partition,
            config: options.config,
            segments: BTreeMap::new(),
            log_start_offset: options.log_start_offset.max(0),
            high_watermark: 0,
            recovery_point: options.recovery_point,
            epochs: LeaderEpochs::new(epochs.clone().unwrap_or_default()),
            epochs_dirty: false,
            producers: Producers::default(),
            closed_files: Vec::new(),
            recovery: Recovery::default(),
            gaps_allowed,
            offline: None,
            vfs,
        };
        log.load(options.clean_shutdown, is_new)?;
        if epochs.is_none() {
            log.rebuild_epochs()?;
        }
        Ok(log)
    }

    fn load(&mut self, clean_shutdown: bool, is_new: bool) -> Result<(), OpenError> {
        let folder = self.folder.clone();
        let io = |action| io_error(action, &folder);
        let bases = recovery::segments_in(&*self.vfs, &self.folder)?;
        if is_new {
            // Whoever takes a partition's folder away wants it to start empty.
            self.recovery_point = 0;
        } else if bases.is_empty() && self.recovery_point > self.log_start_offset {
            let file = self.folder.join(file_name(self.log_start_offset, "log")).display().to_string();
            let reason = format!("there is no segment, but the log was synced up to {}", self.recovery_point);
            return Err(OpenError::Corrupt { file, position: 0, reason });
        }
        let trusted_to = if clean_shutdown { i64::MAX } else { self.recovery_point };
        if !clean_shutdown {
            recovery::drop_snapshots_after(&*self.vfs, &self.folder, self.recovery_point)?;
        }
        let (snapshot_at, producers) = recovery::newest_snapshot(&*self.vfs, &self.folder, trusted_to)?;
        self.producers = producers;
        let index_interval = u64::from(self.config.index_interval_bytes.unsigned_abs());
        for (position, base) in bases.iter().enumerate() {
            let next_base = bases.get(position + 1).copied();
            let segment = self.load_segment(*base, next_base, trusted_to, snapshot_at, index_interval)?;
            let ends = segment.next_offset;
            let path = segment.path("log");
            self.segments.insert(*base, segment);
            let Some(next_base) = next_base.filter(|next_base| *next_base != ends) else { continue };
            if ends > next_base || next_base <= trusted_to {
                let file = path.display().to_string();
                return Err(OpenError::Discontinuous { file, ends, next_base });
            }
            // This segment lost its end before it was synced, so nothing behind it was synced either.
            self.drop_segments(bases.get(position + 1..).unwrap_or_default())?;
            break;
        }
        if self.segments.is_empty() {
            let base = self.log_start_offset;
            let path = self.folder.join(file_name(base, "log"));
            let segment = Segment::create(&*self.vfs, &self.folder, base).map_err(io_error("create", &path))?;
            self.segments.insert(base, segment);
            // Were the first name lost, a later segment that survived would be taken for the first.
            self.vfs.sync_dir(&self.folder).map_err(io("sync"))?;
        }
        if self.log_start_offset > self.log_end_offset() {
            // What was deleted got lost as well; its offsets must not be given out a second time.
            let bases: Vec<i64> = std::mem::take(&mut self.segments).into_keys().collect();
            let base = self.log_start_offset;
            let path = self.folder.join(file_name(base, "log"));
            let segment = Segment::create(&*self.vfs, &self.folder, base).map_err(io_error("create", &path))?;
            self.segments.insert(base, segment);
            self.vfs.sync_dir(&self.folder).map_err(io("sync"))?;
            self.drop_segments(&bases)?;
        }
        let first = self.segments.keys().next().copied().unwrap_or_default();
        self.log_start_offset = self.log_start_offset.clamp(first, self.log_end_offset().max(first));
        self.high_watermark = self.log_end_offset();
        self.recovery_point = if clean_shutdown {
            self.log_end_offset()
        } else {
            first.max(self.recovery_point.min(self.log_end_offset()))
        };
        self.epochs.truncate_to(self.log_end_offset().max(1));
        Ok(())
    }

    fn load_segment(
        &mut self,
        base: i64,
        next_base: Option<i64>,
        trusted_to: i64,
        snapshot_at: i64,
        index_interval: u64,
    ) -> Result<Segment, OpenError> {
        let mut segment = Segment::closed(&self.folder, base, next_base.unwrap_or(base), 0);
        let path = segment.path("log");
        let io = |action| io_error(action, &path);
        let file = segment.file(&*self.vfs).map_err(io("open"))?;
        let size = file.len().map_err(io("measure"))?;
        segment.size = size;
        let damaged = |error| segment_open_error(&path, error);
        if next_base.is_none() && trusted_to == i64::MAX {
            let trusted =
                recovery::trust_segment(&*self.vfs, &mut segment, index_interval, snapshot_at, &mut self.producers);
            match trusted {
                Ok(true) => return Ok(segment),
                // Its indexes are missing or wrong: it is walked like one that was not closed.
                Ok(false) | Err(SegmentError::IndexIsWrong) => {}
                Err(error) => return Err(damaged(error)),
            }
            segment = Segment::closed(&self.folder, base, base, size);
        }
        let trusted = next_base.is_some_and(|next| next <= trusted_to)
            && segment.load_index(&*self.vfs).map_err(io("read the index of"))?;
        if trusted {
            if segment.next_offset > snapshot_at {
                let producers = &mut self.producers;
                recovery::each_batch(&*self.vfs, &mut segment, |header, marker| {
                    if header.base_offset >= snapshot_at {
                        producers.apply(header, marker);
                    }
                })
                .map_err(damaged)?;
            }
            return Ok(segment);
        }
        let synced = next_base.map_or(self.recovery_point, |next| next.min(trusted_to));
        let mut learned = Learned {
            producers: &mut self.producers,
            snapshot_at,
            epochs: &mut self.epochs,
            report: &mut self.recovery,
            epoch: -1,
            gaps_allowed: self.gaps_allowed,
        };
        recovery::recover_segment(&*self.vfs, &mut segment, index_interval, synced, &mut learned)?;
        if segment.aborted == TransactionIndex::Unknown && next_base.unwrap_or(i64::MAX) <= trusted_to {
            segment.aborted = TransactionIndex::OnDisk;
        } else if segment.aborted == TransactionIndex::Unknown {
            // Its file may be one of an earlier time, which lacks what came after it.
            match self.vfs.remove(&segment.path("txnindex")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("remove the index of")(error)),
                _ => {}
            }
        }
        if next_base.is_some() {
            self.closed_files.extend(segment.write_index(&*self.vfs).map_err(io("write the index of"))?);
        }
        Ok(segment)
    }

    /// Reads the epochs off the headers of all batches.
    fn rebuild_epochs(&mut self) -> Result<(), OpenError> {
        let mut epochs = LeaderEpochs::default();
        for segment in self.segments.values_mut().filter(|segment| segment.size > 0) {
            let path = segment.path("log");
            recovery::each_batch(&*self.vfs, segment, |header, _| {
                epochs.assign(header.partition_leader_epoch, header.base_offset);
            })
            .map_err(|error| segment_open_error(&path, error))?;
        }
        epochs.start_at(self.log_start_offset);
        self.epochs_dirty = epochs.latest().is_some();
        self.epochs = epochs;
        Ok(())
    }

    fn drop_segments(&mut self, bases: &[i64]) -> Result<(), OpenError> {
        for base in bases {
            for suffix in ["log", "index", "timeindex", "txnindex", "snapshot"] {
                let path = self.folder.join(file_name(*base, suffix));
                match self.vfs.open(&path) {
                    Ok(file) => {
                        if suffix == "log" {
                            self.recovery.bytes_cut += file.len().map_err(io_error("measure", &path))?;
                        }
                        self.vfs.remove(&path).map_err(io_error("remove", &path))?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(io_error("open", &path)(error)),
                }
            }
        }
        self.vfs.sync_dir(&self.folder).map_err(io_error("sync", &self.folder))
    }
}

fn segment_open_error(path: &Path, error: SegmentError) -> OpenError {
    let file = path.display().to_string();
    match error {
        SegmentError::Io(source) => OpenError::Io { action: "read", file, source },
        SegmentError::Damaged { position, source } => OpenError::Corrupt { file, position, reason: source.to_string() },
        SegmentError::IndexIsWrong => OpenError::Io { action: "read", file, source: io::ErrorKind::InvalidData.into() },
    }
}
