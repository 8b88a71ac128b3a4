//! Each message at each version: what the field table makes is read, and written again byte by byte; tagged fields from
//! the future are skipped; and a message written at a version other than its own either arrives whole or is refused.

use std::fmt::Debug;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use riverrun_core::protocol::{
    DecodeError, DecodeLimits, EncodeError, EncodeErrorKind, MessageVisitor, Reader, RootMessage, Writer,
    visit_messages,
};

use crate::{
    runner,
    sample::{self, Entropy},
    versions,
};

fn decode<M: RootMessage>(bytes: &[u8], version: i16) -> Result<M, DecodeError> {
    let frame = Bytes::copy_from_slice(bytes);
    let mut reader = Reader::new(&frame, &DecodeLimits::default());
    let message = M::decode(&mut reader, version)?;
    reader.finish()?;
    Ok(message)
}

fn encode<M: RootMessage>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    message.encode(&mut writer, version)?;
    assert!(writer.size_in_bytes() >= M::wire_size_min(version, M::FLEXIBLE_VERSIONS.contains(version)));
    Ok(writer.into_bytes())
}

struct RoundTrip;

impl MessageVisitor for RoundTrip {
    fn visit<M: RootMessage + Clone + Debug + PartialEq>(&mut self) {
        for version in versions::<M>() {
            let result = runner(48).run(&vec(any::<u8>(), 0..400), |choices| {
                let sample = sample::message::<M>(version, &mut Entropy::new(&choices));
                let message: M = decode(&sample.plain, version)?;
                prop_assert_eq!(&encode(&message, version)?[..], &sample.plain[..]);
                prop_assert_eq!(&decode::<M>(&sample.salted, version)?, &message, "with unknown tags");
                other_versions(&message)
            });
            if let Err(error) = result {
                panic!("{} version {version}: {error}", M::NAME);
            }
        }
    }
}

/// Writes `message` at all versions: it arrives as that version can carry it, or is refused for a stated reason.
fn other_versions<M: RootMessage + Debug + PartialEq>(message: &M) -> Result<(), TestCaseError> {
    for version in versions::<M>() {
        match encode(message, version) {
            Ok(bytes) => {
                let arrived: M = decode(&bytes, version)?;
                prop_assert_eq!(encode(&arrived, version)?, bytes);
            }
            Err(EncodeError { kind, structure, field }) => {
                prop_assert!(!structure.is_empty() && !field.is_empty());
                let expected = [EncodeErrorKind::NotInVersion { version }, EncodeErrorKind::NullNotAllowed { version }];
                prop_assert!(expected.contains(&kind), "{}", kind);
            }
        }
    }
    Ok(())
}

#[test]
fn every_message_at_every_version() {
    visit_messages(&mut RoundTrip);
}

struct Defaults;

impl MessageVisitor for Defaults {
    fn visit<M: RootMessage + Clone + Debug + PartialEq>(&mut self) {
        // A default may be null, which old versions of some messages cannot say; the newest always can.
        let newest = M::VALID_VERSIONS.last;
        let bytes = encode(&M::default(), newest).unwrap_or_else(|error| panic!("{}: {error}", M::NAME));
        assert_eq!(decode::<M>(&bytes, newest), Ok(M::default()));
    }
}

#[test]
fn defaults_are_valid_messages() {
    visit_messages(&mut Defaults);
}
