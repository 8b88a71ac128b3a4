//! Reading a log whole, to rebuild what it tells: the metadata, and the coordinators' partitions.

use riverrun_core::record::{DecompressLimits, RecordBatch, RecordRef, batches};

use super::{Partition, ReadIsolation};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

impl Partition {
    /// Shows all batches up to the end of the log, in their order; gives where the log starts and ends. Blocks on the disk.
    pub(crate) fn replay(
        &self,
        mut each: impl FnMut(&RecordBatch) -> Result<(), String>,
    ) -> Result<(i64, i64), String> {
        let (start, end) = (self.offsets().log_start, self.offsets().log_end);
        let mut offset = start;
        while offset < end {
            let read = self.read(offset, READ_BYTES, true, ReadIsolation::LogEnd);
            let read = read.map_err(|error| format!("offset {offset}: {error}"))?;
            let from = offset;
            for batch in batches(read.records) {
                let batch = batch.map_err(|error| format!("after offset {offset}: {error}"))?;
                let last = batch.header().last_offset();
                each(&batch).map_err(|error| format!("batch that ends at offset {last}: {error}"))?;
                offset = last + 1;
            }
            if offset == from {
                return Err(format!("no batch at offset {offset} though the log ends at {end}"));
            }
        }
        Ok((start, end))
    }
}

/// Shows the records of a batch.
pub(crate) fn each_record(
    batch: &RecordBatch,
    mut each: impl FnMut(&RecordRef<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let records = batch.decode(&DecompressLimits::default()).map_err(|error| error.to_string())?;
    for record in &records {
        each(&record.map_err(|error| error.to_string())?)?;
    }
    Ok(())
}
