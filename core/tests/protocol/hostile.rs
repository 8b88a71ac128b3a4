//! Malformed messages: cut short, with lying counts, with flipped bits, over their budget. Each is an error or a message,
//! never a panic, and what is read as a message can be written again.

use std::fmt::Debug;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use riverrun_core::protocol::{
    ApiKey, DecodeError, DecodeErrorKind, DecodeLimits, MessageVisitor, Reader, RootMessage, Writer, decode_request,
    decode_response, messages::MetadataRequest, supported_versions, visit_messages,
};

use crate::{
    runner,
    sample::{self, Entropy},
    versions,
};

fn decode<M: RootMessage>(bytes: &[u8], version: i16, limits: &DecodeLimits) -> Result<M, DecodeError> {
    let frame = Bytes::copy_from_slice(bytes);
    let mut reader = Reader::new(&frame, limits);
    let message = M::decode(&mut reader, version)?;
    reader.finish()?;
    Ok(message)
}

struct CutShort;

impl MessageVisitor for CutShort {
    fn visit<M: RootMessage + Clone + Debug + PartialEq>(&mut self) {
        for version in versions::<M>() {
            let result = runner(4).run(&vec(any::<u8>(), 0..200), |choices| {
                let whole = sample::message::<M>(version, &mut Entropy::new(&choices)).salted;
                for length in (0..whole.len()).filter(|length| *length < 300 || length % 97 == 0) {
                    let cut = decode::<M>(&whole[..length], version, &DecodeLimits::default());
                    prop_assert!(cut.is_err(), "{} of {} bytes suffice", length, whole.len());
                }
                let mut longer = whole;
                longer.push(0);
                let error = decode::<M>(&longer, version, &DecodeLimits::default()).err().map(|error| error.kind);
                prop_assert_eq!(error, Some(DecodeErrorKind::TrailingBytes(1)));
                Ok(())
            });
            if let Err(error) = result {
                panic!("{} version {version}: {error}", M::NAME);
            }
        }
    }
}

#[test]
fn a_message_cut_short_is_an_error_at_every_byte() {
    visit_messages(&mut CutShort);
}

struct Damaged;

impl MessageVisitor for Damaged {
    fn visit<M: RootMessage + Clone + Debug + PartialEq>(&mut self) {
        for version in versions::<M>() {
            let damage = (any::<prop::sample::Index>(), prop::sample::select(&LIES[..]));
            let result = runner(32).run(&(vec(any::<u8>(), 0..200), vec(damage, 1..4)), |(choices, damages)| {
                let mut bytes = sample::message::<M>(version, &mut Entropy::new(&choices)).plain;
                if bytes.is_empty() {
                    return Ok(());
                }
                for (place, lie) in damages {
                    let place = place.index(bytes.len());
                    for (byte, lie) in bytes[place..].iter_mut().zip(lie) {
                        *byte = *lie;
                    }
                }
                if let Ok(message) = decode::<M>(&bytes, version, &DecodeLimits::default()) {
                    let mut writer = Writer::new();
                    message.encode(&mut writer, version)?;
                }
                Ok(())
            });
            if let Err(error) = result {
                panic!("{} version {version}: {error}", M::NAME);
            }
        }
    }
}

/// What a length or count is overwritten with.
const LIES: [&[u8]; 8] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xfe],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x00, 0x00, 0x40, 0x00],
    &[0x80, 0x00],
    &[0xff],
    &[0x00],
];

#[test]
fn a_damaged_message_is_an_error_or_a_message() {
    visit_messages(&mut Damaged);
}

#[test]
fn random_frames_do_no_harm() {
    let frames = (0i16..100, 0i16..20, vec(any::<u8>(), 0..200));
    let result = runner(4000).run(&frames, |(key, version, rest)| {
        let mut frame = [key.to_be_bytes(), version.to_be_bytes()].concat();
        frame.extend(&rest);
        let _ = decode_request(&Bytes::from(frame), &DecodeLimits::default());
        if let Ok(key) = ApiKey::try_from(key) {
            let _ = decode_response(key, version, &Bytes::from(rest), &DecodeLimits::default());
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_count_beyond_the_frame_is_refused_before_anything_is_allocated() {
    // Metadata v1: 2^31-1 topics, and nothing behind the count.
    let error = decode::<MetadataRequest>(&[0x7f, 0xff, 0xff, 0xff], 1, &DecodeLimits::default()).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::CountTooLarge { count: 0x7fff_ffff, element_size: 2, left: 0 });
    assert_eq!((error.structure, error.field), ("MetadataRequest", "topics"));
}

#[test]
fn decoded_memory_has_a_budget() {
    // 1000 topics with empty names: 2 bytes each on the wire, far more in memory.
    let mut bytes = 1000i32.to_be_bytes().to_vec();
    bytes.extend([0; 2000]);
    let limits = |bytes| DecodeLimits::default().with_decoded_bytes_max(bytes);
    assert_eq!(decode::<MetadataRequest>(&bytes, 1, &limits(1 << 20)).unwrap().topics.unwrap().len(), 1000);
    let error = decode::<MetadataRequest>(&bytes, 1, &limits(10_000)).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::BudgetExceeded { left: 10_000, .. }), "{error}");
}

#[test]
fn tags_must_ascend() {
    // Metadata v12 with no topics and both flags off, then two tagged fields of tag 1, 0 bytes each.
    let bytes = [1, 0, 0, 2, 1, 0, 1, 0];
    let error = decode::<MetadataRequest>(&bytes, 12, &DecodeLimits::default()).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TagOrder { previous: 1, tag: 1 });
}

#[test]
fn produce_is_announced_from_0_but_read_from_3() {
    use riverrun_core::protocol::advertised_versions;
    assert_eq!(*advertised_versions(ApiKey::Produce).start(), 0);
    assert_eq!(*supported_versions(ApiKey::Produce).start(), 3);
}
