//! Records that own their bytes, as a model for the borrowed ones.

use bytes::Bytes;
use riverrun_core::record::{BatchBuilder, BatchError, BatchOptions, RecordRef, Records};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedRecord {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl OwnedRecord {
    pub(crate) fn append_to(&self, builder: &mut BatchBuilder) {
        let headers = self.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref()));
        builder.append(self.timestamp, self.key.as_deref(), self.value.as_deref(), headers).expect("the record fits");
    }
}

impl From<RecordRef<'_>> for OwnedRecord {
    fn from(record: RecordRef<'_>) -> Self {
        Self {
            timestamp: record.timestamp,
            key: record.key.map(Into::into),
            value: record.value.map(Into::into),
            headers: record.headers.iter().map(|h| (h.key().into_owned(), h.value.map(Into::into))).collect(),
        }
    }
}

pub(crate) fn build(options: BatchOptions, records: &[OwnedRecord]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        record.append_to(&mut builder);
    }
    builder.build().expect("a batch of records can be built")
}

pub(crate) fn owned(records: &Records) -> Result<Vec<OwnedRecord>, BatchError> {
    records.iter().map(|record| record.map(OwnedRecord::from)).collect()
}
