//! Why a message cannot be read or written. Each error says which message and field it met, and what was wrong there;
//! whether to answer with an error code or to close the connection is the caller's choice.

use std::fmt;

/// A malformed or oversized message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The message that was being read (`FetchRequest`); empty when the bytes belong to no message yet.
    pub message: &'static str,
    /// The struct inside the message that holds the field; the same as `message` for its own fields.
    pub structure: &'static str,
    /// The field that could not be read.
    pub field: &'static str,
    /// Where in the frame reading stopped.
    pub position: usize,
    /// What was wrong.
    pub kind: DecodeErrorKind,
}

/// What was wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The frame, or the tagged field, ends too early.
    #[error("{needed} bytes needed, {left} left")]
    Truncated { needed: usize, left: usize },
    /// A length or count is below the one negative number that stands for null.
    #[error("negative length {0}")]
    NegativeLength(i64),
    /// Null where this version allows none.
    #[error("null is not allowed in version {version}")]
    UnexpectedNull { version: i16 },
    /// An element count that the rest of the frame cannot hold.
    #[error("{count} elements of at least {element_size} bytes in {left} bytes")]
    CountTooLarge { count: usize, element_size: usize, left: usize },
    /// A string longer than Kafka's 32,767 bytes.
    #[error("string of {0} bytes; at most 32767 are allowed")]
    StringTooLong(usize),
    /// A string that is not UTF-8.
    #[error("string is not UTF-8")]
    NotUtf8,
    /// A variable-length integer of more bytes than its type can hold.
    #[error("variable-length integer is too long")]
    VarintTooLong,
    /// The decoded form would take more memory than [`DecodeLimits`](super::DecodeLimits) allows.
    #[error("decoded form needs {needed} bytes more, {left} left of its budget")]
    BudgetExceeded { needed: usize, left: usize },
    /// A tag that is not greater than the one before it, so duplicate or out of order.
    #[error("tag {tag} after tag {previous}")]
    TagOrder { previous: u32, tag: u32 },
    /// A tagged field whose value is shorter than its announced size.
    #[error("{0} bytes left over in tagged field")]
    TaggedFieldTooLong(usize),
    /// Bytes after the end of the message.
    #[error("{0} bytes left over after the message")]
    TrailingBytes(usize),
    /// A version of this message that the codec does not know.
    #[error("version {0} is unknown")]
    UnknownVersion(i16),
    /// An embedded record is of another type than the one asked for.
    #[error("record type {found}, expected {expected}")]
    UnexpectedKey { found: i64, expected: i16 },
}

impl DecodeError {
    /// An error that does not know yet in which field it happened.
    pub(crate) fn new(position: usize, kind: DecodeErrorKind) -> Self {
        Self { message: "", structure: "", field: "", position, kind }
    }

    /// Adds the innermost struct and field, unless one is known already.
    #[must_use]
    pub(crate) fn at(mut self, structure: &'static str, field: &'static str) -> Self {
        if self.structure.is_empty() {
            self.structure = structure;
            self.field = field;
        }
        self
    }

    /// Adds the message, unless one is known already.
    #[must_use]
    pub(crate) fn of(mut self, message: &'static str) -> Self {
        if self.message.is_empty() {
            self.message = message;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, structure, field, position, kind } = self;
        match (message.is_empty(), structure.is_empty()) {
            (true, true) => f.write_str("frame")?,
            (false, true) => f.write_str(message)?,
            (false, false) if structure != message => write!(f, "{message}, {structure}.{field}")?,
            (_, false) => write!(f, "{structure}.{field}")?,
        }
        write!(f, " at byte {position}: {kind}")
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kind)
    }
}

/// A value that the wire form of the chosen version cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{structure}.{field}: {kind}")]
pub struct EncodeError {
    /// The struct that holds the field.
    pub structure: &'static str,
    /// The field that cannot be written.
    pub field: &'static str,
    /// What is wrong with it.
    #[source]
    pub kind: EncodeErrorKind,
}

/// What is wrong with a value that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The field is set, but the version lacks it and dropping it would change the meaning.
    #[error("is set, but version {version} does not carry it")]
    NotInVersion { version: i16 },
    /// The field is null, but the version requires a value.
    #[error("is null, but version {version} requires a value")]
    NullNotAllowed { version: i16 },
    /// The value is longer than its length prefix can say.
    #[error("is {0} bytes or elements long, more than Kafka allows")]
    TooLong(usize),
    /// A version of this message that the codec does not know.
    #[error("version {0} is unknown")]
    UnknownVersion(i16),
    /// A message that has no type number was to be written as a record of an internal topic.
    #[error("the message has no type number")]
    NoMessageKey,
}

impl EncodeError {
    /// An error that does not know yet in which field it happened.
    pub(crate) fn new(kind: EncodeErrorKind) -> Self {
        Self { structure: "", field: "", kind }
    }

    /// Adds the innermost struct and field, unless one is known already.
    #[must_use]
    pub(crate) fn at(mut self, structure: &'static str, field: &'static str) -> Self {
        if self.structure.is_empty() {
            self.structure = structure;
            self.field = field;
        }
        self
    }
}
