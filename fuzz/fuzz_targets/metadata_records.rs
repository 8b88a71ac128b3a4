//! The records of the metadata log as a damaged or foreign one may hold them: `([length, 2 bytes][record])*`. A record is
//! refused, or read; what was read can be written, and then it stays the same. An image of them holds together, and is
//! the same if it is made of what was written.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use riverrun_core::metadata::{ClientMetricsSubscription, ConfigResource, GroupSettings, Image, MetadataRecord};

fuzz_target!(|data: &[u8]| {
    let (mut image, mut again) = (Image::default(), Image::default());
    let mut rest = data;
    while let [high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, tail) = tail.split_at(length);
        rest = tail;
        let Ok(Some(record)) = MetadataRecord::decode(&Bytes::copy_from_slice(bytes)) else { continue };
        let written = record.encode().expect("what was read can be written");
        let reread = MetadataRecord::decode(&written).expect("our own record").expect("of the same type");
        // Bytes are compared, not records: a quota may be NaN.
        assert_eq!(reread.encode().expect("as before"), written);
        let before = image.clone();
        let replayed = image.replay(&record);
        assert_eq!(replayed, again.replay(&reread));
        if replayed.is_err() {
            assert_eq!(image, before, "a record that does not fit changes nothing");
        }
        holds_together(&image);
    }
    assert_eq!(image, again);
});

fn holds_together(image: &Image) {
    let mut partitions = 0;
    for topic in image.topics() {
        assert_eq!(image.topic_by_id(topic.id), Some(topic));
        assert_eq!(image.topic(&topic.name), Some(topic));
        partitions += topic.partitions.len();
    }
    assert_eq!(image.partition_count(), partitions);
    for resource in image.configured_resources() {
        let configs = image.configs(resource);
        assert!(!configs.is_empty());
        match resource {
            ConfigResource::Group(_) => {
                let settings = GroupSettings::default().with(&configs, |bound| bound.default);
                assert!(GroupSettings::SETTINGS.iter().all(|setting| settings.get(setting.name).is_some()));
            }
            _ => drop(ClientMetricsSubscription::parse(&configs, |regex| regex.len() < 8)),
        }
    }
}
