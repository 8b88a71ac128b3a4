//! Touching memory before a run. On a virtual machine the host takes free pages away, and giving one back costs far more
//! than using it; a broker whose page cache grows into such pages pays for that, and it would decide the comparison.

use std::hint::black_box;

const CHUNK: usize = 64 << 20;

/// Writes to `bytes` of fresh memory and frees them again.
pub fn touch(bytes: usize) {
    let mut chunks = Vec::new();
    for _ in 0..bytes.div_ceil(CHUNK) {
        chunks.push(black_box(vec![1u8; CHUNK]));
    }
    black_box(&chunks);
}
