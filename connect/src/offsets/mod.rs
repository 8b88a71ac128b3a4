//! Source offsets: their bytes in the log, which of them may be stored, and where they are kept.
//!
//! - `codec`: Kafka Connect's format, so that offsets can move between a Kafka Connect cluster and here.
//! - `submitted`: which offsets are covered by acknowledged records; the rule C1 as a plain data structure.
//! - `store`: the compacted topic, and its content in memory.

mod codec;
mod store;
mod submitted;

pub(crate) use codec::canonical;
pub use codec::{OffsetCodecError, OffsetKey, decode_offset, encode_offset};
pub(crate) use store::OffsetStore;
pub(crate) use submitted::{Submitted, Token};
