//! Kernels of record batches: what one core does per second. Throughput is that of the records before compression.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use riverrun_core::record::{
    BatchBuilder, BatchOptions, Compression, DecompressLimits, RecordBatch, crc32c, patch_base_offset_and_epoch,
    validate_records,
};

/// Values that resemble events: fixed words, changing numbers.
fn values(count: usize, len: usize) -> Vec<Vec<u8>> {
    let event = |i: usize| {
        let user = i.wrapping_mul(2_654_435_761) % 100_000;
        format!(
            r#"{{"event":"page_view","user":{user},"session":"{:08x}","n":{i},"path":"/item/{}"}}"#,
            user * 31,
            i % 97
        )
    };
    let stretch = |text: String| text.bytes().cycle().take(len).collect();
    (0..count).map(|i| stretch(event(i))).collect()
}

fn build(compression: Compression, values: &[Vec<u8>]) -> Bytes {
    let size = values.iter().map(|value| value.len() + 16).sum();
    let mut builder = BatchBuilder::with_capacity(BatchOptions { compression, ..BatchOptions::default() }, size);
    for (timestamp, value) in (1_700_000_000_000..).zip(values) {
        builder.append(timestamp, None, Some(value), []).expect("it fits");
    }
    builder.build().expect("it can be built")
}

fn parse(bytes: Bytes) -> RecordBatch {
    RecordBatch::parse(bytes).expect("our own batch")
}

fn records(c: &mut Criterion) {
    for (count, len) in [(1000, 100), (100, 1024)] {
        let values = values(count, len);
        let name = format!("{count} x {len} B");
        let mut group = c.benchmark_group("record");
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("encode", &name), |b| {
            b.iter(|| build(Compression::None, black_box(&values)));
        });
        let batch = parse(build(Compression::None, &values));
        group.bench_function(BenchmarkId::new("iterate", &name), |b| {
            b.iter(|| {
                let records = black_box(&batch).decode(&DecompressLimits::default()).expect("no codec");
                records.iter().map(|record| record.expect("our own record").value.map_or(0, <[u8]>::len)).sum::<usize>()
            });
        });
        group.bench_function(BenchmarkId::new("validate", &name), |b| {
            let records = batch.decode(&DecompressLimits::default()).expect("no codec");
            b.iter(|| validate_records(black_box(&records)).expect("our own records"));
        });
        group.finish();
    }
}

/// What the broker does to a produced batch, and nothing more.
fn broker_path(c: &mut Criterion) {
    let mut bytes = build(Compression::None, &values(1000, 100)).to_vec();
    let batch = parse(Bytes::copy_from_slice(&bytes));
    let mut group = c.benchmark_group("broker");
    group.bench_function("parse header", |b| b.iter(|| parse(black_box(batch.bytes()).clone())));
    group.bench_function("patch offset and epoch", |b| {
        b.iter(|| patch_base_offset_and_epoch(black_box(&mut bytes), 7, 1).expect("long enough"));
    });
    group.throughput(Throughput::Bytes(batch.bytes().len() as u64));
    group.bench_function("verify crc", |b| b.iter(|| black_box(&batch).verify_crc().expect("our own batch")));
    group.finish();
}

fn crc(c: &mut Criterion) {
    let mut group = c.benchmark_group("crc32c");
    for len in [100, 16 << 10, 1 << 20] {
        let bytes = vec![7; len];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |b| b.iter(|| crc32c(black_box(&bytes))));
    }
    group.finish();
}

fn codecs(c: &mut Criterion) {
    for count in [160, 10_000] {
        let values = values(count, 100);
        let plain = build(Compression::None, &values).len();
        for codec in Compression::ALL.into_iter().filter(|codec| *codec != Compression::None && codec.is_available()) {
            let batch = parse(build(codec, &values));
            let mut group =
                c.benchmark_group(format!("{codec}, ratio {:.2}", plain as f64 / batch.bytes().len() as f64));
            group.throughput(Throughput::Bytes(plain as u64));
            group.bench_function(BenchmarkId::new("build", plain), |b| b.iter(|| build(codec, black_box(&values))));
            group.bench_function(BenchmarkId::new("decode", plain), |b| {
                b.iter(|| black_box(&batch).decode(&DecompressLimits::default()).expect("our own batch"));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, records, broker_path, crc, codecs);
criterion_main!(benches);
