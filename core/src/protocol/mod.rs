//! The Kafka wire protocol: messages as plain structs, and their codec.
//!
//! - [`messages`]: one file per API, request and response side by side; the structs are the schema, see [`Message`].
//! - [`RequestBody`], [`ResponseBody`], [`ApiKey`]: over all of them.
//! - [`decode_request`], [`encode_request`], [`decode_response`], [`encode_response`]: whole frames.
//! - [`records`] and [`consumer`]: records of internal topics, and what group members tell each other.
//! - [`ErrorCode`]: the error table.
//!
//! Not here: sockets, record batches (their bytes pass through untouched), and what a message means.
//!
//! Invariants: decoding never panics; it allocates nothing before a length or count has been checked against what is left
//! of the frame, and no more than [`DecodeLimits`] in all. Encoding never drops a field that matters: it is an
//! [`EncodeError`] instead. Unknown tagged fields are skipped, not kept.
//!
//! Source: Kafka's protocol guide and message definitions of 4.3; KIP-482 (flexible versions), KIP-511 (ApiVersions).

#![deny(clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod api;
mod catalogue;
pub mod consumer;
mod embedded;
mod error;
mod error_code;
mod frame;
mod message;
pub mod messages;
mod reader;
pub mod records;
#[cfg(test)]
mod tests;
mod writer;

pub use api::{
    ApiKey, Request, RequestBody, ResponseBody, UnexpectedResponse, UnknownApiKey, advertised_versions, is_flexible,
    supported_versions,
};
pub use catalogue::{MessageVisitor, visit_messages};
pub use embedded::{
    MetadataRecordHeader, decode_key, decode_metadata_record, decode_versioned, encode_key, encode_metadata_record,
    encode_versioned, metadata_record_header, record_type,
};
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use error_code::ErrorCode;
pub use frame::{
    DecodeRequestError, RequestHeader, correlation_id, decode_request, decode_response, encode_request,
    encode_response, encode_response_apart,
};
pub use message::{FieldInfo, Message, RootMessage, Versions};
pub use reader::{DecodeLimits, Reader};
pub use writer::{Frame, FramePart, SHARED_BYTES_MIN, Writer};
