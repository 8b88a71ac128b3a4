//! One idea per file, every one run in CI.
