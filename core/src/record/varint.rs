//! Variable-length integers as records use them: zigzag first, so that small negative numbers stay short, then seven
//! bits a byte, lowest first, the top bit meaning "more". At most 5 bytes for 32 bits and 10 for 64: a longer one, or
//! one whose last byte holds bits beyond the type, is refused. Source: Kafka's `ByteUtils`.

use super::error::FieldProblem;

/// Longest encoding of an `i32`.
pub(crate) const MAX_VARINT_LEN: usize = 5;
/// Longest encoding of an `i64`.
pub(crate) const MAX_VARLONG_LEN: usize = 10;

/// Takes an `i32` off the front of `input`.
#[inline]
pub(crate) fn take_varint(input: &mut &[u8]) -> Result<i32, FieldProblem> {
    let mut value = 0u32;
    let mut rest = *input;
    for shift in [0, 7, 14, 21, 28] {
        let Some((&byte, after)) = rest.split_first() else { return Err(FieldProblem::Truncated) };
        rest = after;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if shift == 28 && byte > 0x0f {
                break;
            }
            *input = rest;
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(FieldProblem::NumberTooLong)
}

/// Takes an `i64` off the front of `input`.
#[inline]
pub(crate) fn take_varlong(input: &mut &[u8]) -> Result<i64, FieldProblem> {
    let mut value = 0u64;
    let mut rest = *input;
    for shift in [0, 7, 14, 21, 28, 35, 42, 49, 56, 63] {
        let Some((&byte, after)) = rest.split_first() else { return Err(FieldProblem::Truncated) };
        rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if shift == 63 && byte > 0x01 {
                break;
            }
            *input = rest;
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(FieldProblem::NumberTooLong)
}

/// Appends `value`; a number that fits 32 bits takes the same bytes whether read back as `i32` or as `i64`.
#[inline]
pub(crate) fn put_varlong(output: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while let Some(low) = more(rest) {
        output.push(low | 0x80);
        rest >>= 7;
    }
    output.push(low_bits(rest));
}

/// Bytes that [`put_varlong`] appends for `value`.
#[inline]
pub(crate) fn varlong_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The low seven bits if there are further ones.
#[inline]
fn more(value: u64) -> Option<u8> {
    (value > 0x7f).then(|| low_bits(value))
}

#[inline]
fn low_bits(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low & 0x7f
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(value: i64) -> Vec<u8> {
        let mut output = Vec::new();
        put_varlong(&mut output, value);
        output
    }

    #[test]
    fn known_encodings() {
        // Values out of the protocol-buffers documentation of zigzag.
        assert_eq!(encoded(0), [0]);
        assert_eq!(encoded(-1), [1]);
        assert_eq!(encoded(1), [2]);
        assert_eq!(encoded(i64::from(i32::MAX)), [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(encoded(i64::from(i32::MIN)), [0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(encoded(i64::MIN), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }

    #[test]
    fn too_long_is_refused() {
        assert_eq!(take_varint(&mut [0x80; 5].as_slice()), Err(FieldProblem::NumberTooLong));
        assert_eq!(take_varint(&mut [0xff, 0xff, 0xff, 0xff, 0x10].as_slice()), Err(FieldProblem::NumberTooLong));
        assert_eq!(take_varint(&mut [0x80; 4].as_slice()), Err(FieldProblem::Truncated));
        assert_eq!(take_varlong(&mut [0x80; 11].as_slice()), Err(FieldProblem::NumberTooLong));
        let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(take_varlong(&mut over.as_slice()), Err(FieldProblem::NumberTooLong));
    }

    proptest! {
        #[test]
        fn round_trip_64(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let bytes = encoded(value);
            prop_assert_eq!(bytes.len(), varlong_len(value));
            prop_assert!(bytes.len() <= MAX_VARLONG_LEN);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_varlong(&mut rest), Ok(value));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn round_trip_32(value: i32, shift in 0u32..32) {
            let value = value >> shift;
            let bytes = encoded(value.into());
            prop_assert!(bytes.len() <= MAX_VARINT_LEN);
            prop_assert_eq!(take_varint(&mut bytes.as_slice()), Ok(value));
        }
    }
}
