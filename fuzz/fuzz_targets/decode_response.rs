//! A response frame from a stranger: the first two bytes choose API and version, the rest is the frame. It is refused,
//! or read; what was read can be written, and then it stays the same.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use riverrun_core::protocol::{ApiKey, DecodeLimits, decode_response, encode_response, supported_versions};

fuzz_target!(|data: &[u8]| {
    let [api, version, frame @ ..] = data else { return };
    let api = ApiKey::ALL[usize::from(*api) % ApiKey::ALL.len()];
    let versions = supported_versions(api);
    let version = versions.start() + i16::from(*version) % (versions.end() - versions.start() + 1);

    let limits = DecodeLimits::default();
    let Ok((id, body)) = decode_response(api, version, &Bytes::copy_from_slice(frame), &limits) else { return };
    let encode = |body| {
        let written = encode_response(body, version, id).expect("what was read in a version can be written in it");
        written.content()
    };
    // A refused ApiVersions request is answered in version 0, whatever the version of the request.
    if api == ApiKey::ApiVersions && frame.get(4..6) == Some(&[0, 35]) {
        return;
    }
    // Bytes are compared, not messages: a float may be NaN. They may differ from `frame` by unknown tagged fields.
    let written = encode(&body);
    let (again, body) = decode_response(api, version, &written, &limits).expect("our own frame");
    assert_eq!(again, id);
    assert_eq!(encode(&body), written);
});
