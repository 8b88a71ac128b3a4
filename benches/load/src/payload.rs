//! Record values: text that looks like events as JSON, so that codecs have something to do. The same for every generator.

/// The value of one record, `len` bytes; `seed` tells records of one batch apart.
pub fn value(len: usize, seed: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(len + 128);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while text.len() < len {
        // xorshift64: anything cheap will do that does not repeat itself.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let event = format!(
            r#"{{"user":{},"item":{},"action":"{}","price":{}.{:02},"at":17{:011}}},"#,
            state % 100_000,
            (state >> 17) % 10_000_000,
            ["view", "cart", "purchase", "return"][(state >> 41) as usize % 4],
            (state >> 23) % 1000,
            (state >> 33) % 100,
            state >> 29,
        );
        text.extend_from_slice(event.as_bytes());
    }
    text.truncate(len);
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_have_their_length_and_differ() {
        assert_eq!(super::value(100, 1).len(), 100);
        assert_ne!(super::value(100, 1), super::value(100, 2));
    }
}
