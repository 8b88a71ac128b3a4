//! The one look the coordinator takes into a member's blob: which topics a consumer subscribes to, so that offsets of
//! subscribed topics do not expire and are not deleted. All else in the blob is the assignor's.
//!
//! Source: Kafka `ConsumerProtocol`, `ClassicGroup.computeSubscribedTopics`.

use bytes::Bytes;

use crate::protocol::{DecodeLimits, consumer::ConsumerProtocolSubscription, decode_versioned};

/// The protocol type under which consumers join.
pub(super) const PROTOCOL_TYPE: &str = "consumer";

/// The topics of a subscription; `None` if the blob is none.
pub(super) fn topics(metadata: &Bytes) -> Option<Vec<String>> {
    let limits = DecodeLimits::default().with_decoded_bytes_max(4 << 20);
    decode_versioned::<ConsumerProtocolSubscription>(metadata, &limits).ok().map(|(_, s)| s.topics)
}

/// A subscription to `topics` as a client would write it.
#[cfg(test)]
pub(super) fn encode(topics: &[&str]) -> Bytes {
    let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
    let subscription = ConsumerProtocolSubscription { topics, ..Default::default() };
    crate::protocol::encode_versioned(&subscription, 1).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_or_lying_blob_is_no_subscription() {
        assert_eq!(topics(&encode(&["a", "clicks"])), Some(vec!["a".to_owned(), "clicks".to_owned()]));
        for blob in [&b""[..], b"\0", b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\x01\0\x09abc", b"\xff\xff\0\0\0\0"] {
            assert_eq!(topics(&Bytes::copy_from_slice(blob)), None, "{blob:?}");
        }
    }
}
