//! Headers, and whole frames from and to messages.
//!
//! A frame is a 4-byte length, then a header, then the message. Decoders take the frame without its length, encoders
//! produce it with it.
//!
//! | header | form | fields |
//! |---|---|---|
//! | request v1 | not flexible | api_key i16, api_version i16, correlation_id i32, client_id nullable string (2-byte length) |
//! | request v2 | flexible | the same (client_id keeps its 2-byte length), then tagged fields |
//! | response v0 | not flexible | correlation_id i32 |
//! | response v1 | flexible | correlation_id i32, then tagged fields |
//!
//! The header is flexible exactly if that version of that API is, with one exception: the response of ApiVersions always
//! has header v0, because the client does not know yet what the broker speaks (KIP-511). For the same reason a broker
//! answers an ApiVersions request of a version it does not know with a v0 body and error 35, and
//! [`decode_response`] recognises that answer.

use bytes::Bytes;

use super::{
    api::{ApiKey, RequestBody, ResponseBody, is_flexible},
    error::{DecodeError, EncodeError},
    error_code::ErrorCode,
    reader::{DecodeLimits, Reader},
    writer::{Frame, FramePart, Writer},
};

/// The header of a request whose API and version are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API.
    pub api_key: ApiKey,
    /// The version of request and response.
    pub api_version: i16,
    /// Chosen by the client, repeated in the response.
    pub correlation_id: i32,
    /// How the client calls itself; for logs, metrics and quotas.
    pub client_id: Option<String>,
}

/// Why a request frame cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeRequestError {
    /// An API that the codec does not know.
    #[error("API key {api_key} (version {api_version}) is unknown")]
    UnknownApiKey {
        /// The API key of the header.
        api_key: i16,
        /// The version of the header.
        api_version: i16,
        /// The correlation id of the header.
        correlation_id: i32,
    },
    /// A version of a known API that the codec does not know. For ApiVersions this is to be answered in version 0 with
    /// [`ErrorCode::UnsupportedVersion`] and at least its own version range.
    #[error("version {api_version} of {api_key} is not supported")]
    UnsupportedVersion {
        /// The API.
        api_key: ApiKey,
        /// The version of the header.
        api_version: i16,
        /// The correlation id of the header.
        correlation_id: i32,
    },
    /// The header is malformed.
    #[error(transparent)]
    Header(DecodeError),
    /// The header is fine, the body is malformed.
    #[error("{} version {}: {source}", header.api_key, header.api_version)]
    Body {
        /// The request's header.
        header: RequestHeader,
        /// What is wrong.
        source: DecodeError,
    },
}

/// Reads a request frame (without its length). Bytes behind the message are ignored, as Kafka does: librdkafka 2.16
/// sends three too many with a Metadata request of version 13 for all topics.
///
/// # Errors
/// If API or version are unknown, or the bytes are malformed or beyond the limits.
pub fn decode_request(
    frame: &Bytes,
    limits: &DecodeLimits,
) -> Result<(RequestHeader, RequestBody), DecodeRequestError> {
    let mut reader = Reader::new(frame, limits);
    let header = read_request_header(&mut reader)?;
    let body = RequestBody::decode(header.api_key, &mut reader, header.api_version);
    match body {
        Ok(body) => Ok((header, body)),
        Err(source) => Err(DecodeRequestError::Body { header, source }),
    }
}

fn read_request_header(reader: &mut Reader<'_>) -> Result<RequestHeader, DecodeRequestError> {
    let malformed = |field: &'static str| {
        move |error: DecodeError| DecodeRequestError::Header(error.at("RequestHeader", field).of("RequestHeader"))
    };
    let key = reader.i16().map_err(malformed("request_api_key"))?;
    let api_version = reader.i16().map_err(malformed("request_api_version"))?;
    let correlation_id = reader.i32().map_err(malformed("correlation_id"))?;
    let Ok(api_key) = ApiKey::try_from(key) else {
        return Err(DecodeRequestError::UnknownApiKey { api_key: key, api_version, correlation_id });
    };
    if !api_key.valid_versions().contains(api_version) {
        return Err(DecodeRequestError::UnsupportedVersion { api_key, api_version, correlation_id });
    }
    let client_id = reader.string().map_err(malformed("client_id"))?;
    reader.set_flexible(is_flexible(api_key, api_version));
    reader.tagged_fields(|_, _| Ok(false)).map_err(malformed("tagged fields"))?;
    Ok(RequestHeader { api_key, api_version, correlation_id, client_id })
}

/// Writes a request frame; the API is that of the body.
///
/// # Errors
/// If the version cannot carry the message.
pub fn encode_request(
    body: &RequestBody,
    api_version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::new();
    writer.begin_frame();
    writer.i16(body.api_key().code());
    writer.i16(api_version);
    writer.i32(correlation_id);
    writer.string(client_id).map_err(|error| error.at("RequestHeader", "client_id"))?;
    if is_flexible(body.api_key(), api_version) {
        writer.uvarint(0);
    }
    body.encode(&mut writer, api_version)?;
    writer.finish_frame().map_err(|error| error.at("RequestHeader", "frame length"))
}

/// The correlation id of a response frame (without its length): tells which request it answers, and so how to read it.
///
/// # Errors
/// If the frame is shorter than that.
pub fn correlation_id(frame: &Bytes) -> Result<i32, DecodeError> {
    let id = Reader::new(frame, &DecodeLimits::default()).i32();
    id.map_err(|error| error.at("ResponseHeader", "correlation_id").of("ResponseHeader"))
}

/// Reads a response frame (without its length) to a request of this API and version; returns the correlation id too.
///
/// # Errors
/// If the version is unknown, or the bytes are malformed, too many, or beyond the limits.
pub fn decode_response(
    api_key: ApiKey,
    api_version: i16,
    frame: &Bytes,
    limits: &DecodeLimits,
) -> Result<(i32, ResponseBody), DecodeError> {
    let mut reader = Reader::new(frame, limits);
    let id = reader.i32().map_err(|error| error.at("ResponseHeader", "correlation_id").of("ResponseHeader"))?;
    let mut version = api_version;
    if api_key == ApiKey::ApiVersions {
        if refuses_version(frame, limits) {
            version = 0;
        }
    } else {
        reader.set_flexible(is_flexible(api_key, api_version));
        let skipped = reader.tagged_fields(|_, _| Ok(false));
        skipped.map_err(|error| error.at("ResponseHeader", "tagged fields").of("ResponseHeader"))?;
    }
    let body = ResponseBody::decode(api_key, &mut reader, version)?;
    reader.finish()?;
    Ok((id, body))
}

/// Whether an ApiVersions response says that the broker does not know the request's version; it is in version 0 then.
fn refuses_version(frame: &Bytes, limits: &DecodeLimits) -> bool {
    let mut reader = Reader::new(frame, limits);
    let error_code = reader.i32().and_then(|_| reader.i16());
    error_code == Ok(ErrorCode::UnsupportedVersion.code())
}

/// Writes a response frame; the API is that of the body.
///
/// # Errors
/// If the version cannot carry the message.
pub fn encode_response(body: &ResponseBody, api_version: i16, correlation_id: i32) -> Result<Frame, EncodeError> {
    let mut writer = Writer::new();
    write_response(&mut writer, body, api_version, correlation_id)?;
    writer.finish_frame().map_err(|error| error.at("ResponseHeader", "frame length"))
}

/// Writes a response frame without the content of some of its byte fields, which the sender has elsewhere: `apart` has
/// the length of each byte field of the body in its order, or 0 for one that is written as it stands in the body.
///
/// # Errors
/// If the version cannot carry the message.
pub fn encode_response_apart(
    body: &ResponseBody,
    api_version: i16,
    correlation_id: i32,
    apart: Vec<usize>,
) -> Result<Vec<FramePart>, EncodeError> {
    let mut writer = Writer::with_apart(apart);
    write_response(&mut writer, body, api_version, correlation_id)?;
    writer.finish_frame_apart().map_err(|error| error.at("ResponseHeader", "frame length"))
}

fn write_response(
    writer: &mut Writer,
    body: &ResponseBody,
    api_version: i16,
    correlation_id: i32,
) -> Result<(), EncodeError> {
    writer.begin_frame();
    writer.i32(correlation_id);
    if is_flexible(body.api_key(), api_version) && body.api_key() != ApiKey::ApiVersions {
        writer.uvarint(0);
    }
    body.encode(writer, api_version)
}
