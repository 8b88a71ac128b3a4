//! Tests of the pure parts of streams groups.

mod assignor;
mod topology;
