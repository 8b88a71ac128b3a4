//! The protocol codec, held against every message at every version.

mod golden;
mod hostile;
mod roundtrip;
mod sample;

use proptest::test_runner::{Config, TestRunner};
use riverrun_core::protocol::RootMessage;

/// The versions of `M` that the codec handles.
fn versions<M: RootMessage>() -> std::ops::RangeInclusive<i16> {
    M::VALID_VERSIONS.first..=M::VALID_VERSIONS.last
}

/// A runner of `cases` cases. One for each property: a runner counts its successes, so a used one runs nothing more.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}
