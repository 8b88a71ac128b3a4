//! Kernel and end-to-end benchmarks.
