//! What every message type can do, and how each type of field lies on the wire.
//!
//! `#[derive(Message)]` (crate `riverrun-core-derive`) writes the [`Message`] and [`Default`] of a struct from the
//! `#[kafka(...)]` attributes of its fields, and [`RootMessage`] too if the struct itself carries `#[kafka(versions = ...)]`.
//! The struct stays the only description: the codec, the defaults and the field table that is compared with Kafka's own
//! definitions all come from it.

use bytes::Bytes;

use super::{
    error::{DecodeError, DecodeErrorKind, EncodeError},
    reader::Reader,
    writer::Writer,
};
use crate::Uuid;

/// A range of message versions, both ends included; "4+" ends at `i16::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The first version.
    pub first: i16,
    /// The last version; below `first` if the range is empty.
    pub last: i16,
}

impl Versions {
    /// No version at all.
    pub const NONE: Self = Self { first: 0, last: -1 };

    /// Whether `version` lies in the range.
    pub const fn contains(&self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// Whether the range holds no version.
    pub const fn is_empty(&self) -> bool {
        self.last < self.first
    }
}

/// One field of a message, as its definition gives it.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// The field's name, in snake case.
    pub name: &'static str,
    /// The type in Kafka's notation: `int32`, `string`, `records`, or the name of a struct.
    pub type_name: &'static str,
    /// Whether the field is an array of that type.
    pub array: bool,
    /// The versions that carry the field.
    pub versions: Versions,
    /// The versions in which it may be null.
    pub nullable: Versions,
    /// The versions in which it is a tagged field.
    pub tagged: Versions,
    /// Its tag, if it is tagged in any version.
    pub tag: Option<u32>,
    /// The default as written in the definition; absent where it is the type's own (0, false, empty).
    pub default: Option<&'static str>,
    /// Whether a version that lacks the field may drop it silently.
    pub ignorable: bool,
    /// The fields of the struct type, or of the array's elements.
    pub fields: Option<fn() -> &'static [FieldInfo]>,
}

/// A struct whose wire form depends on the message's version.
pub trait Message: Sized + Default {
    /// The struct's name in Kafka's definitions.
    const NAME: &'static str;

    /// Appends the wire form of `version`.
    ///
    /// # Errors
    /// If a field is set that the version cannot carry, or is too long.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Reads the wire form of `version`. Fields that the version lacks get their defaults.
    ///
    /// # Errors
    /// If the bytes are malformed, end too early, or take more memory than the reader's budget.
    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError>;

    /// A lower bound of the wire form's size.
    fn wire_size_min(version: i16, flexible: bool) -> usize;

    /// The field table.
    fn fields() -> &'static [FieldInfo];

    /// Where a response says how long its client is to wait for the sake of a quota; none in what cannot say so.
    fn throttle_time_ms_mut(&mut self) -> Option<&mut i32> {
        None
    }
}

/// A message that stands on its own: a request, a response, or a record of an internal topic.
pub trait RootMessage: Message {
    /// The API key, or the type number of a record; none for data embedded in other messages.
    const MESSAGE_KEY: Option<i16>;
    /// The versions this codec reads and writes.
    const VALID_VERSIONS: Versions;
    /// The versions in flexible form (KIP-482).
    const FLEXIBLE_VERSIONS: Versions;
}

/// How a type of field lies on the wire.
pub(crate) trait Wire: Sized {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError>;
    fn write(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
    fn size_min(version: i16, flexible: bool) -> usize;
}

/// A type of field that has a null on the wire.
pub(crate) trait Nullable: Wire {
    fn read_nullable(reader: &mut Reader<'_>, version: i16) -> Result<Option<Self>, DecodeError>;
    fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// The same in a tagged field.
    fn read_tagged(reader: &mut Reader<'_>, version: i16) -> Result<Option<Self>, DecodeError> {
        Self::read_nullable(reader, version)
    }

    /// The same in a tagged field.
    fn write_tagged(value: Option<&Self>, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        Self::write_nullable(value, writer, version)
    }

    /// A lower bound of the wire size of a value that may be null.
    fn nullable_size_min(version: i16, flexible: bool) -> usize {
        Self::size_min(version, flexible)
    }
}

fn not_null<T>(value: Option<T>, reader: &Reader<'_>, version: i16) -> Result<T, DecodeError> {
    value.ok_or_else(|| reader.error(DecodeErrorKind::UnexpectedNull { version }))
}

macro_rules! fixed_size {
    ($($type:ident: $method:ident),+ $(,)?) => {$(
        impl Wire for $type {
            fn read(reader: &mut Reader<'_>, _: i16) -> Result<Self, DecodeError> {
                reader.$method()
            }

            fn write(&self, writer: &mut Writer, _: i16) -> Result<(), EncodeError> {
                writer.$method(*self);
                Ok(())
            }

            fn size_min(_: i16, _: bool) -> usize {
                size_of::<Self>()
            }
        }
    )+};
}

fixed_size!(bool: bool, i8: i8, i16: i16, u16: u16, i32: i32, u32: u32, i64: i64, f64: f64, Uuid: uuid);

impl Wire for String {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let value = reader.string()?;
        not_null(value, reader, version)
    }

    fn write(&self, writer: &mut Writer, _: i16) -> Result<(), EncodeError> {
        writer.string(Some(self))
    }

    fn size_min(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 2 }
    }
}

impl Nullable for String {
    fn read_nullable(reader: &mut Reader<'_>, _: i16) -> Result<Option<Self>, DecodeError> {
        reader.string()
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer, _: i16) -> Result<(), EncodeError> {
        writer.string(value.map(String::as_str))
    }
}

impl Wire for Bytes {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let value = reader.bytes()?;
        not_null(value, reader, version)
    }

    fn write(&self, writer: &mut Writer, _: i16) -> Result<(), EncodeError> {
        writer.bytes(Some(self))
    }

    fn size_min(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }
}

impl Nullable for Bytes {
    fn read_nullable(reader: &mut Reader<'_>, _: i16) -> Result<Option<Self>, DecodeError> {
        reader.bytes()
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer, _: i16) -> Result<(), EncodeError> {
        writer.bytes(value)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let value = Self::read_nullable(reader, version)?;
        not_null(value, reader, version)
    }

    fn write(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        Self::write_nullable(Some(self), writer, version)
    }

    fn size_min(_: i16, flexible: bool) -> usize {
        if flexible { 1 } else { 4 }
    }
}

impl<T: Wire> Nullable for Vec<T> {
    fn read_nullable(reader: &mut Reader<'_>, version: i16) -> Result<Option<Self>, DecodeError> {
        let element_size = T::size_min(version, reader.is_flexible());
        let Some(count) = reader.count(element_size, size_of::<T>())? else { return Ok(None) };
        let mut elements = Self::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(reader, version)?);
        }
        Ok(Some(elements))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        writer.count(value.map(Self::len))?;
        value.into_iter().flatten().try_for_each(|element| element.write(writer, version))
    }
}

impl<M: Message> Wire for M {
    fn read(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        M::decode(reader, version)
    }

    fn write(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        self.encode(writer, version)
    }

    fn size_min(version: i16, flexible: bool) -> usize {
        M::wire_size_min(version, flexible)
    }
}

/// A struct that may be null is preceded by one byte: -1 for null, 1 for present. In a tagged field that byte is 0 for
/// null.
impl<M: Message> Nullable for M {
    fn read_nullable(reader: &mut Reader<'_>, version: i16) -> Result<Option<Self>, DecodeError> {
        if reader.i8()? < 0 { Ok(None) } else { M::decode(reader, version).map(Some) }
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        match value {
            None => {
                writer.i8(-1);
                Ok(())
            }
            Some(value) => {
                writer.i8(1);
                value.encode(writer, version)
            }
        }
    }

    fn read_tagged(reader: &mut Reader<'_>, version: i16) -> Result<Option<Self>, DecodeError> {
        if reader.uvarint()? == 0 { Ok(None) } else { M::decode(reader, version).map(Some) }
    }

    fn write_tagged(value: Option<&Self>, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        writer.uvarint(u32::from(value.is_some()));
        value.map_or(Ok(()), |value| value.encode(writer, version))
    }

    fn nullable_size_min(_: i16, _: bool) -> usize {
        1
    }
}
