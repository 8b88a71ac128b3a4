//! The one message of PLAIN: who the client is, whom it wants to act for, and its password (RFC 4616).
//!
//! ```text
//! [authorization id] NUL user NUL password
//! ```
//! Source: Kafka `PlainSaslServer`.

use std::fmt;

/// Why a message is none of PLAIN. The words are Kafka's, where a client may hear them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlain {
    /// It is no text.
    #[error("Invalid SASL/PLAIN response: not UTF-8")]
    NotText,
    /// It is not of three parts.
    #[error("expected 3 parts of a PLAIN token, got {parts}")]
    Parts {
        /// How many there are.
        parts: usize,
    },
    /// It names nobody.
    #[error("username not specified")]
    NoUser,
    /// It has no password.
    #[error("password not specified")]
    NoPassword,
}

/// A client's message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PlainMessage<'a> {
    /// Whom the client wants to act for; `None` for itself.
    pub authorization_id: Option<&'a str>,
    /// Who it is.
    pub user: &'a str,
    /// What it proves that with.
    pub password: &'a str,
}

impl fmt::Debug for PlainMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PlainMessage");
        shown.field("authorization_id", &self.authorization_id).field("user", &self.user).finish_non_exhaustive()
    }
}

impl<'a> PlainMessage<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// If it is of another form, or a part that must be there is empty.
    pub fn parse(token: &'a [u8]) -> Result<Self, InvalidPlain> {
        let text = std::str::from_utf8(token).map_err(|_| InvalidPlain::NotText)?;
        let mut parts = text.split('\0');
        let (Some(authorization_id), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidPlain::Parts { parts: text.split('\0').count() });
        };
        if user.is_empty() {
            return Err(InvalidPlain::NoUser);
        }
        if password.is_empty() {
            return Err(InvalidPlain::NoPassword);
        }
        Ok(Self { authorization_id: (!authorization_id.is_empty()).then_some(authorization_id), user, password })
    }

    /// Writes the message.
    pub fn encode(&self) -> Vec<u8> {
        [self.authorization_id.unwrap_or_default(), self.user, self.password].join("\0").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_make_a_message() {
        let message = PlainMessage::parse(b"\0alice\0secret").unwrap();
        assert_eq!(message, PlainMessage { authorization_id: None, user: "alice", password: "secret" });
        assert!(!format!("{message:?}").contains("secret"));
        assert_eq!(PlainMessage::parse(b"bob\0alice\0s").unwrap().encode(), b"bob\0alice\0s");
        for (wrong, error) in [
            (&b"alice"[..], InvalidPlain::Parts { parts: 1 }),
            (b"\0a\0b\0c", InvalidPlain::Parts { parts: 4 }),
            (b"\xff\0a\0b", InvalidPlain::NotText),
            (b"a\0\0b", InvalidPlain::NoUser),
            (b"\0a\0", InvalidPlain::NoPassword),
        ] {
            assert_eq!(PlainMessage::parse(wrong), Err(error));
        }
    }
}
