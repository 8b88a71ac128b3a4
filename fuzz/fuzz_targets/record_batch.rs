//! Reads arbitrary bytes as record batches: as they come, and once more with length and checksum set right, so that
//! what lies behind them is reached too. Whatever can be read must be readable again after being written anew.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use riverrun_core::record::{
    ATTRIBUTES_OFFSET, BASE_OFFSET_OFFSET, BATCH_LENGTH_OFFSET, BatchBuilder, BatchOptions, CRC_OFFSET,
    DecompressLimits, HEADER_LEN, LENGTH_OVERHEAD, MAGIC, MAGIC_OFFSET, RecordBatch, Records, batches, crc32c,
    validate_header, validate_records,
};

const LIMITS: DecompressLimits = DecompressLimits { max_bytes: 1 << 20 };

fuzz_target!(|data: &[u8]| {
    read(Bytes::copy_from_slice(data));
    if let Some(bytes) = made_plausible(data) {
        read(bytes);
    }
});

fn read(bytes: Bytes) {
    for batch in batches(bytes).flatten() {
        let _ = batch.verify_crc();
        let _ = validate_header(batch.header());
        let Ok(records) = batch.decode(&LIMITS) else { continue };
        assert!(batch.header().attributes.compression().id() == 0 || records.size_in_bytes() <= LIMITS.max_bytes);
        let _ = validate_records(&records);
        if let Some(again) = written_again(&records) {
            let again = again.decode(&LIMITS).expect("no codec");
            assert!(records.iter().flatten().eq(again.iter().map(|record| record.expect("our own record"))));
        }
    }
}

/// The same records in a batch of ours; none if they are broken or their offsets do not rise.
fn written_again(records: &Records) -> Option<RecordBatch> {
    let mut builder = BatchBuilder::new(BatchOptions { base_offset: records.base_offset(), ..BatchOptions::default() });
    for record in records {
        let record = record.ok()?;
        let headers: Option<Vec<_>> =
            record.headers.iter().map(|h| Some((str::from_utf8(h.key_bytes).ok()?, h.value))).collect();
        builder.append_at(record.offset, record.timestamp, record.key, record.value, headers?).ok()?;
    }
    Some(RecordBatch::parse(builder.build().ok()?).expect("our own batch"))
}

fn made_plausible(data: &[u8]) -> Option<Bytes> {
    if data.len() < HEADER_LEN {
        return None;
    }
    let mut bytes = data.to_vec();
    let length = i32::try_from(bytes.len() - LENGTH_OVERHEAD).ok()?;
    bytes[BASE_OFFSET_OFFSET] = 0;
    bytes[BATCH_LENGTH_OFFSET..LENGTH_OVERHEAD].copy_from_slice(&length.to_be_bytes());
    bytes[MAGIC_OFFSET] = MAGIC.to_be_bytes()[0];
    let crc = crc32c(&bytes[ATTRIBUTES_OFFSET..]);
    bytes[CRC_OFFSET..ATTRIBUTES_OFFSET].copy_from_slice(&crc.to_be_bytes());
    Some(bytes.into())
}
