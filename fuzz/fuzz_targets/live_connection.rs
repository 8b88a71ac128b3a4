//! A session of a stranger on a live connection, from the first byte to the last: see the module it is told in.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(dead_code, reason = "the seeds lie in files here")]
#[path = "../../broker/tests/common/session.rs"]
mod session;

fuzz_target!(|data: &[u8]| {
    session::run(data);
});
