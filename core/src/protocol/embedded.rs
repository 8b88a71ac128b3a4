//! Messages outside of requests: each stands behind a number that says how to read it.
//!
//! | where | before the message |
//! |---|---|
//! | value of a coordinator record, consumer protocol | version, 16 bits |
//! | key of a coordinator record | type of the record, 16 bits; keys have version 0 only |
//! | metadata-log record | frame version (1), type, version: unsigned varints (Kafka's `AbstractApiMessageSerde`) |

use bytes::Bytes;

use super::{
    error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind},
    message::RootMessage,
    reader::{DecodeLimits, Reader},
    writer::Writer,
};

/// The version of the frame around metadata-log records.
const METADATA_FRAME_VERSION: u32 = 1;

/// Writes `version` and then the message in that version.
///
/// # Errors
/// If the version cannot carry the message.
pub fn encode_versioned<M: RootMessage>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(version);
    message.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}

/// Reads a message that its version precedes; returns both. A version above the newest we know is read as the newest, and
/// what it appends is ignored: that is the rule of the consumer protocol.
///
/// # Errors
/// If the bytes are malformed or the version is below the oldest we know.
pub fn decode_versioned<M: RootMessage>(bytes: &Bytes, limits: &DecodeLimits) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(bytes, limits);
    let version = reader.i16().map_err(|error| error.of(M::NAME))?;
    let newest = M::VALID_VERSIONS.last;
    let message = M::decode(&mut reader, version.min(newest))?;
    if version <= newest {
        reader.finish().map_err(|error| error.of(M::NAME))?;
    }
    Ok((version, message))
}

/// Writes the key of a coordinator record: its type, then the message.
///
/// # Errors
/// If a field is too long.
pub fn encode_key<M: RootMessage>(message: &M) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(message_key::<M>()?);
    message.encode(&mut writer, M::VALID_VERSIONS.last)?;
    Ok(writer.into_bytes())
}

/// The type in the key of a coordinator record, to choose what to read it as.
///
/// # Errors
/// If the key is shorter than that.
pub fn record_type(key: &Bytes) -> Result<i16, DecodeError> {
    Reader::new(key, &DecodeLimits::default()).i16()
}

/// Reads the key of a coordinator record, its type included; see [`record_type`].
///
/// # Errors
/// If the type is another one or the bytes are malformed.
pub fn decode_key<M: RootMessage>(key: &Bytes, limits: &DecodeLimits) -> Result<M, DecodeError> {
    let mut reader = Reader::new(key, limits);
    let found = reader.i16().map_err(|error| error.of(M::NAME))?;
    let expected = M::MESSAGE_KEY.unwrap_or(-1);
    if found != expected {
        return Err(reader.error(DecodeErrorKind::UnexpectedKey { found: found.into(), expected }).of(M::NAME));
    }
    let message = M::decode(&mut reader, M::VALID_VERSIONS.last)?;
    reader.finish().map_err(|error| error.of(M::NAME))?;
    Ok(message)
}

/// What stands before a metadata-log record's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataRecordHeader {
    /// The type of the record: [`RootMessage::MESSAGE_KEY`] of its struct.
    pub record_type: u32,
    /// The version of its fields.
    pub version: i16,
}

/// Writes a metadata-log record with its header.
///
/// # Errors
/// If the version cannot carry the message.
pub fn encode_metadata_record<M: RootMessage>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let unknown = EncodeError::new(EncodeErrorKind::UnknownVersion(version)).at(M::NAME, "version");
    let mut writer = Writer::new();
    writer.uvarint(METADATA_FRAME_VERSION);
    writer.uvarint(u32::try_from(message_key::<M>()?).map_err(|_| unknown.clone())?);
    writer.uvarint(u32::try_from(version).map_err(|_| unknown)?);
    message.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}

/// Reads the header of a metadata-log record, to choose what to read it as.
///
/// # Errors
/// If the bytes are malformed or the frame's version is unknown.
pub fn metadata_record_header(record: &Bytes) -> Result<MetadataRecordHeader, DecodeError> {
    read_metadata_header(&mut Reader::new(record, &DecodeLimits::default()))
}

/// Reads a metadata-log record, its header included; see [`metadata_record_header`].
///
/// # Errors
/// If the type is another one, the version is unknown or the bytes are malformed.
pub fn decode_metadata_record<M: RootMessage>(record: &Bytes, limits: &DecodeLimits) -> Result<M, DecodeError> {
    let mut reader = Reader::new(record, limits);
    let header = read_metadata_header(&mut reader).map_err(|error| error.of(M::NAME))?;
    let expected = M::MESSAGE_KEY.unwrap_or(-1);
    if u32::try_from(expected) != Ok(header.record_type) {
        let found = header.record_type.into();
        return Err(reader.error(DecodeErrorKind::UnexpectedKey { found, expected }).of(M::NAME));
    }
    let message = M::decode(&mut reader, header.version)?;
    reader.finish().map_err(|error| error.of(M::NAME))?;
    Ok(message)
}

fn read_metadata_header(reader: &mut Reader<'_>) -> Result<MetadataRecordHeader, DecodeError> {
    let frame_version = reader.uvarint()?;
    if frame_version != METADATA_FRAME_VERSION {
        let version = i16::try_from(frame_version).unwrap_or(i16::MAX);
        return Err(reader.error(DecodeErrorKind::UnknownVersion(version)).at("MetadataRecord", "frame_version"));
    }
    let record_type = reader.uvarint()?;
    let version = reader.uvarint()?;
    let version = i16::try_from(version).map_err(|_| reader.error(DecodeErrorKind::UnknownVersion(i16::MAX)))?;
    Ok(MetadataRecordHeader { record_type, version })
}

fn message_key<M: RootMessage>() -> Result<i16, EncodeError> {
    let keyless = EncodeError::new(EncodeErrorKind::NoMessageKey).at(M::NAME, "key");
    M::MESSAGE_KEY.ok_or(keyless)
}
