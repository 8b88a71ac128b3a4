//! A request frame from a stranger: it is refused, or read; what was read can be written, and then it stays the same.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use riverrun_core::protocol::{DecodeLimits, decode_request, encode_request};

fuzz_target!(|data: &[u8]| {
    let limits = DecodeLimits::default();
    let Ok((header, body)) = decode_request(&Bytes::copy_from_slice(data), &limits) else { return };
    let encode = |body| {
        let client_id = header.client_id.as_deref();
        let frame = encode_request(body, header.api_version, header.correlation_id, client_id);
        frame.expect("what was read in a version can be written in it").content()
    };
    // Bytes are compared, not messages: a float may be NaN. They may differ from `data` by unknown tagged fields.
    let written = encode(&body);
    let (again, body) = decode_request(&written, &limits).expect("our own frame");
    assert_eq!(again, header);
    assert_eq!(encode(&body), written);
});
