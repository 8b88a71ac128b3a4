//! Changing a finished batch in place: what a broker may set in a producer's bytes without rewriting the records.

use super::{
    ATTRIBUTES_OFFSET, BatchError, BatchHeader, Compression, HEADER_LEN, LENGTH_OVERHEAD, MAGIC_OFFSET, TimestampType,
    crc::crc32c_of_two,
};

/// Bytes before the magic: all that [`patch_base_offset_and_epoch`] touches.
pub const PATCHED_PREFIX_LEN: usize = MAGIC_OFFSET;

/// Sets the two fields that the leader owns. Both lie outside the checksum, which stays valid.
///
/// # Errors
/// [`BatchError::TooShort`] if `batch` does not even hold those fields.
pub fn patch_base_offset_and_epoch(batch: &mut [u8], base_offset: i64, leader_epoch: i32) -> Result<(), BatchError> {
    let available = batch.len();
    let Some(prefix) = batch.first_chunk_mut::<PATCHED_PREFIX_LEN>() else {
        return Err(BatchError::TooShort { needed: PATCHED_PREFIX_LEN, available });
    };
    let [_, _, _, _, _, _, _, _, l0, l1, l2, l3, ..] = *prefix;
    *prefix = prefix_bytes(base_offset, [l0, l1, l2, l3], leader_epoch);
    Ok(())
}

/// The first [`PATCHED_PREFIX_LEN`] bytes of a batch as [`patch_base_offset_and_epoch`] would leave them, for writing
/// in front of the rest of a shared buffer that cannot be changed.
pub fn patched_prefix(header: &BatchHeader, base_offset: i64, leader_epoch: i32) -> [u8; PATCHED_PREFIX_LEN] {
    prefix_bytes(base_offset, header.batch_length.to_be_bytes(), leader_epoch)
}

fn prefix_bytes(base_offset: i64, length: [u8; 4], leader_epoch: i32) -> [u8; PATCHED_PREFIX_LEN] {
    let [o0, o1, o2, o3, o4, o5, o6, o7] = base_offset.to_be_bytes();
    let [l0, l1, l2, l3] = length;
    let [e0, e1, e2, e3] = leader_epoch.to_be_bytes();
    [o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3, e0, e1, e2, e3]
}

/// Marks a batch as stamped by the broker (`message.timestamp.type=LogAppendTime`): all its records then have the time
/// `append_time_ms`. The records are left alone; the checksum is computed anew.
///
/// # Errors
/// If `batch` has no readable header.
pub fn patch_log_append_time(batch: &mut [u8], append_time_ms: i64) -> Result<(), BatchError> {
    rewrite_header(batch, |header| {
        header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        header.max_timestamp = append_time_ms;
    })
}

/// Gives a batch to another producer session, as a producer must when its epoch was bumped while the batch waited.
/// The checksum is computed anew.
///
/// # Errors
/// If `batch` has no readable header.
pub fn patch_producer(
    batch: &mut [u8],
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
) -> Result<(), BatchError> {
    rewrite_header(batch, |header| {
        header.producer_id = producer_id;
        header.producer_epoch = producer_epoch;
        header.base_sequence = base_sequence;
    })
}

/// A batch of no records in place of the one with this header, as compaction leaves it behind: it keeps the offsets, and
/// what the log has to know of the producer.
pub fn emptied(header: &BatchHeader) -> [u8; HEADER_LEN] {
    const LENGTH: i32 = {
        assert!(HEADER_LEN > LENGTH_OVERHEAD && HEADER_LEN < 100);
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "asserted to be small")]
        let length = (HEADER_LEN - LENGTH_OVERHEAD) as i32;
        length
    };
    let attributes = header.attributes.with_compression(Compression::None).with_delete_horizon(false);
    let emptied = BatchHeader { attributes, batch_length: LENGTH, base_timestamp: -1, record_count: 0, ..*header };
    let mut bytes = [0; HEADER_LEN];
    seal(&mut bytes, &[], emptied);
    bytes
}

fn rewrite_header(batch: &mut [u8], change: impl FnOnce(&mut BatchHeader)) -> Result<(), BatchError> {
    let mut header = BatchHeader::parse(batch)?;
    change(&mut header);
    let available = batch.len();
    let Some((front, records)) = batch.split_first_chunk_mut() else {
        return Err(BatchError::TooShort { needed: HEADER_LEN, available });
    };
    seal(front, records, header);
    Ok(())
}

/// Writes `header` to `front`, with the checksum that holds for it and the `records` behind it.
pub(super) fn seal(front: &mut [u8; HEADER_LEN], records: &[u8], mut header: BatchHeader) {
    *front = header.to_bytes();
    let (_, covered) = front.split_at(ATTRIBUTES_OFFSET);
    header.crc = crc32c_of_two(covered, records);
    *front = header.to_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchOptions, DecompressLimits, RecordBatch};

    fn batch() -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for timestamp in [100, 300, 200] {
            builder.append(timestamp, None, Some(b"v"), []).unwrap();
        }
        builder.build().unwrap().to_vec()
    }

    fn parsed(bytes: Vec<u8>) -> RecordBatch {
        let batch = RecordBatch::parse(bytes.into()).unwrap();
        batch.verify_crc().unwrap();
        batch
    }

    #[test]
    fn offset_and_epoch_leave_the_checksum_valid() {
        let mut bytes = batch();
        let before = bytes.clone();
        patch_base_offset_and_epoch(&mut bytes, 1 << 40, 9).unwrap();
        assert_eq!(bytes[PATCHED_PREFIX_LEN..], before[PATCHED_PREFIX_LEN..]);
        let header = *parsed(bytes.clone()).header();
        assert_eq!((header.base_offset, header.partition_leader_epoch), (1 << 40, 9));
        assert_eq!(header.last_offset(), (1 << 40) + 2);
        let original = BatchHeader::parse(&before).unwrap();
        assert_eq!(bytes[..PATCHED_PREFIX_LEN], patched_prefix(&original, 1 << 40, 9));
        assert!(patch_base_offset_and_epoch(&mut [0; 15], 0, 0).is_err());
    }

    #[test]
    fn append_time_is_the_time_of_all_records() {
        let mut bytes = batch();
        patch_log_append_time(&mut bytes, 5_000).unwrap();
        let batch = parsed(bytes);
        assert_eq!(batch.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
        let records = batch.decode(&DecompressLimits::default()).unwrap();
        assert!(records.iter().all(|record| record.unwrap().timestamp == 5_000));
    }

    #[test]
    fn producer_is_replaced() {
        let mut bytes = batch();
        patch_producer(&mut bytes, 4, 1, 77).unwrap();
        let header = *parsed(bytes).header();
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4, 1, 77));
        assert_eq!(header.last_sequence(), 79);
    }
}
