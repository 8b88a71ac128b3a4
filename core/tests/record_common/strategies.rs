//! Strategies that make up records.

use proptest::{collection::vec, option, prelude::*};
use riverrun_core::record::Compression;

use crate::record_common::OwnedRecord;

pub(crate) fn codecs() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|codec| codec.is_available())
}

pub(crate) fn any_codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(codecs().collect::<Vec<_>>())
}

/// Header keys come from few, so that duplicates are common.
fn any_headers() -> impl Strategy<Value = Vec<(String, Option<Vec<u8>>)>> {
    vec(("[a-cä]{0,2}", option::of(vec(any::<u8>(), 0..20))), 0..6)
}

pub(crate) fn any_record(timestamps: impl Strategy<Value = i64>) -> impl Strategy<Value = OwnedRecord> {
    let bytes = || option::of(prop_oneof![9 => vec(any::<u8>(), 0..40), 1 => vec(0u8..4, 200..3000)]);
    (timestamps, bytes(), bytes(), any_headers()).prop_map(|(timestamp, key, value, headers)| OwnedRecord {
        timestamp,
        key,
        value,
        headers,
    })
}
