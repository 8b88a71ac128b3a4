//! What must hold for every batch: what goes in comes out, by every codec; what was changed on the way is noticed; and
//! no bytes, however made, lead to anything but records or an error.

mod record_common;
#[path = "record_common/strategies.rs"]
mod strategies;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use record_common::{OwnedRecord, build, owned};
use riverrun_core::record::{
    ATTRIBUTES_OFFSET, BatchOptions, CRC_OFFSET, Compression, DecompressLimits, HEADER_LEN, RecordBatch, batches,
    crc32c, patch_base_offset_and_epoch, validate_header, validate_records,
};
use strategies::{any_codec, any_record, codecs};

const LIMITS: DecompressLimits = DecompressLimits { max_bytes: 4 << 20 };

fn any_records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    vec(any_record(prop_oneof![1_700_000_000_000..1_700_000_100_000i64, any::<i64>()]), 1..40)
}

/// Reads all that can be read, for its panics alone.
fn read_all(bytes: Bytes) {
    for batch in batches(bytes) {
        let Ok(batch) = batch else { return };
        let _ = batch.verify_crc();
        let _ = validate_header(batch.header());
        let Ok(records) = batch.decode(&LIMITS) else { continue };
        let _ = validate_records(&records);
        for record in records.iter().flatten() {
            record.headers.iter().for_each(|header| drop(header.key()));
        }
    }
}

fn fix_crc(batch: &mut [u8]) {
    let crc = crc32c(&batch[ATTRIBUTES_OFFSET..]);
    batch[CRC_OFFSET..ATTRIBUTES_OFFSET].copy_from_slice(&crc.to_be_bytes());
}

proptest! {
    #[test]
    fn round_trip(compression in any_codec(), base_offset in 0..1i64 << 60, records in any_records()) {
        let bytes = build(BatchOptions { compression, base_offset, ..BatchOptions::default() }, &records);
        let batch = RecordBatch::parse(bytes).unwrap();
        batch.verify_crc().unwrap();
        validate_header(batch.header()).unwrap();
        let decoded = batch.decode(&LIMITS).unwrap();
        prop_assert_eq!(&owned(&decoded).unwrap(), &records);
        for (index, record) in (0..).zip(&decoded) {
            prop_assert_eq!(record.unwrap().offset, base_offset + index);
        }
        let summary = validate_records(&decoded).unwrap();
        let max_timestamp = records.iter().map(|record| record.timestamp).max().unwrap();
        prop_assert_eq!(summary.max_timestamp, max_timestamp);
        prop_assert_eq!(batch.header().max_timestamp, max_timestamp);
        prop_assert_eq!(usize::try_from(summary.record_count).unwrap(), records.len());
    }

    #[test]
    fn a_moved_batch_is_the_same_batch(compression in any_codec(), base_offset in 0..1i64 << 60,
                                       epoch in 0..i32::MAX, records in any_records()) {
        let mut bytes = build(BatchOptions { compression, ..BatchOptions::default() }, &records).to_vec();
        patch_base_offset_and_epoch(&mut bytes, base_offset, epoch).unwrap();
        let batch = RecordBatch::parse(bytes.into()).unwrap();
        batch.verify_crc().unwrap();
        prop_assert_eq!(batch.header().partition_leader_epoch, epoch);
        prop_assert_eq!(owned(&batch.decode(&LIMITS).unwrap()).unwrap(), records);
    }

    #[test]
    fn a_flipped_bit_is_noticed(compression in any_codec(), records in any_records(),
                                at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = build(BatchOptions { compression, ..BatchOptions::default() }, &records).to_vec();
        let at = CRC_OFFSET + at.index(bytes.len() - CRC_OFFSET);
        bytes[at] ^= 1 << bit;
        let noticed = match RecordBatch::parse(bytes.into()) {
            Ok(batch) => batch.verify_crc().is_err(),
            Err(_) => true,
        };
        prop_assert!(noticed, "byte {}", at);
    }

    #[test]
    fn a_lie_with_the_right_checksum_is_an_error_at_worst(compression in any_codec(), records in any_records(),
            at in any::<prop::sample::Index>(), junk in vec(any::<u8>(), 1..8)) {
        let mut bytes = build(BatchOptions { compression, ..BatchOptions::default() }, &records).to_vec();
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + junk.len());
        bytes[at..end].copy_from_slice(&junk[..end - at]);
        fix_crc(&mut bytes);
        read_all(bytes.into());
    }

    #[test]
    fn a_cut_off_block_is_an_error_at_worst(compression in any_codec(), records in any_records(),
                                            keep in any::<prop::sample::Index>()) {
        let mut bytes = build(BatchOptions { compression, ..BatchOptions::default() }, &records).to_vec();
        bytes.truncate(HEADER_LEN + keep.index(bytes.len() - HEADER_LEN));
        let length = i32::try_from(bytes.len() - 12).unwrap();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        fix_crc(&mut bytes);
        let batch = RecordBatch::parse(bytes.clone().into()).unwrap();
        batch.verify_crc().unwrap();
        let read = batch.decode(&LIMITS).and_then(|records| owned(&records));
        if compression == Compression::None {
            prop_assert!(read.is_err());
        }
        if let Ok(read) = read {
            // A trailer may be missing; a record may not.
            prop_assert_eq!(read, records);
        }
    }

    #[test]
    fn any_bytes_are_an_error_at_worst(codec in 0..8u8, count in any::<i32>(),
                                       block in vec(any::<u8>(), 0..200)) {
        let mut bytes = build(BatchOptions::default(), &[OwnedRecord {
            timestamp: 0, key: None, value: None, headers: Vec::new(),
        }]).to_vec();
        bytes.truncate(HEADER_LEN);
        bytes.extend_from_slice(&block);
        let length = i32::try_from(bytes.len() - 12).unwrap();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[ATTRIBUTES_OFFSET + 1] = codec;
        bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&count.to_be_bytes());
        fix_crc(&mut bytes);
        read_all(bytes.into());
    }
}

#[test]
fn every_truncation_of_every_codec() {
    let records: Vec<_> = (0..20)
        .map(|i| OwnedRecord {
            timestamp: i,
            key: Some(vec![b'k'; 5]),
            value: Some(vec![b'v'; 50]),
            headers: vec![("h".into(), None), ("h".into(), Some(vec![1]))],
        })
        .collect();
    for compression in codecs() {
        let bytes = build(BatchOptions { compression, ..BatchOptions::default() }, &records);
        for cut in 0..bytes.len() {
            let cut = bytes.slice(..cut);
            assert!(RecordBatch::parse(cut.clone()).is_err());
            assert_eq!(batches(cut).count(), 0);
        }
    }
}
