//! What a broker checks before it takes a producer's batch: that the records count up from the base offset without a
//! gap, and so that the header tells the truth about offsets. The header's part costs nothing; the records' part needs
//! them decompressed, and is for those who want it. Source: Kafka's `LogValidator`.

use super::{BatchError, BatchHeader, Records};

/// What [`validate_records`] saw on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsSummary {
    /// How many records.
    pub record_count: i32,
    /// Largest timestamp, -1 if there is no record.
    pub max_timestamp: i64,
    /// Offset of the first record with that timestamp.
    pub offset_of_max_timestamp: i64,
    /// Index of the first record without a key, which a compacted topic refuses.
    pub first_null_key: Option<i32>,
}

/// Checks by the header alone that there are records, and as many as offsets.
///
/// # Errors
/// [`BatchError::CountMismatch`].
pub fn validate_header(header: &BatchHeader) -> Result<(), BatchError> {
    let BatchHeader { record_count, last_offset_delta, .. } = *header;
    if record_count > 0 && last_offset_delta == record_count - 1 {
        Ok(())
    } else {
        Err(BatchError::CountMismatch { record_count, last_offset_delta })
    }
}

/// Reads all records, without allocating, and checks that their offsets follow each other from the base offset on.
///
/// # Errors
/// [`BatchError::OffsetGap`], or what makes a record unreadable.
pub fn validate_records(records: &Records) -> Result<RecordsSummary, BatchError> {
    let base_offset = records.base_offset();
    let mut summary = RecordsSummary {
        record_count: 0,
        max_timestamp: -1,
        offset_of_max_timestamp: base_offset,
        first_null_key: None,
    };
    for record in records {
        let record = record?;
        let record_index = summary.record_count;
        let offset_delta = record.offset - base_offset;
        if offset_delta != i64::from(record_index) {
            return Err(BatchError::OffsetGap { record_index, offset_delta });
        }
        if record_index == 0 || record.timestamp > summary.max_timestamp {
            summary.max_timestamp = record.timestamp;
            summary.offset_of_max_timestamp = record.offset;
        }
        if record.key.is_none() {
            summary.first_null_key.get_or_insert(record_index);
        }
        summary.record_count += 1;
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchOptions, DecompressLimits, RecordBatch};

    fn batch(fill: impl FnOnce(&mut BatchBuilder)) -> RecordBatch {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset: 5, ..BatchOptions::default() });
        fill(&mut builder);
        RecordBatch::parse(builder.build().unwrap()).unwrap()
    }

    fn records(batch: &RecordBatch) -> Records {
        batch.decode(&DecompressLimits::default()).unwrap()
    }

    #[test]
    fn a_producers_batch_passes() {
        let batch = batch(|builder| {
            for (timestamp, key) in [(3, Some(b"k".as_slice())), (9, None), (9, None)] {
                builder.append(timestamp, key, None, []).unwrap();
            }
        });
        validate_header(batch.header()).unwrap();
        let expected =
            RecordsSummary { record_count: 3, max_timestamp: 9, offset_of_max_timestamp: 6, first_null_key: Some(1) };
        assert_eq!(validate_records(&records(&batch)).unwrap(), expected);
    }

    #[test]
    fn a_gap_is_found() {
        let batch = batch(|builder| {
            builder.append(0, None, None, []).unwrap();
            builder.append_at(7, 0, None, None, []).unwrap();
        });
        let header = validate_header(batch.header());
        assert!(matches!(header, Err(BatchError::CountMismatch { record_count: 2, last_offset_delta: 2 })));
        let gap = validate_records(&records(&batch));
        assert!(matches!(gap, Err(BatchError::OffsetGap { record_index: 1, offset_delta: 2 })));
    }
}
