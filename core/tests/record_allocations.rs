//! Counts allocations: reading the records of an uncompressed batch makes none, however many records there are.
//!
//! This file holds one test only, because the count is of the whole process.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
};

use riverrun_core::record::{BatchBuilder, BatchOptions, DecompressLimits, RecordBatch, validate_records};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn iterating_a_thousand_records_allocates_nothing() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for i in 0..1000 {
        builder.append(i, Some(b"key"), Some(&[0; 100]), [("a", Some(b"1".as_slice())), ("a", None)]).unwrap();
    }
    let batch = RecordBatch::parse(builder.build().unwrap()).unwrap();

    // The first round may: sharing a buffer for the first time takes one allocation, and the test harness's own threads
    // may be at work. Ten rounds in a row they are not.
    let fewest = (0..10)
        .map(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            batch.verify_crc().unwrap();
            let records = batch.decode(&DecompressLimits::default()).unwrap();
            validate_records(&records).unwrap();
            let mut seen = 0;
            for record in &records {
                let record = record.unwrap();
                for header in record.headers {
                    seen += black_box(header.key()).len();
                }
                let value = records.share(record.value.unwrap());
                seen += black_box(value).len();
            }
            assert_eq!(seen, 1000 * 102);
            ALLOCATIONS.load(Ordering::Relaxed) - before
        })
        .min();
    assert_eq!(fewest, Some(0));
}
