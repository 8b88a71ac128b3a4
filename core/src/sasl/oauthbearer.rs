//! The first message of OAUTHBEARER: a client's token, and whom it wants to act for (RFC 7628, RFC 5801).
//!
//! ```text
//! n,[a=authorization id],^A key=value ^A ... auth=Bearer token ^A ^A
//! ```
//! Keys other than `auth` are passed over, as RFC 7628 asks. What the token says is not looked at here.
//!
//! Source: Kafka `OAuthBearerClientInitialResponse`.

use std::fmt;

/// What parts the pairs of a message.
const SEPARATOR: char = '\u{1}';

/// A client's message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OAuthBearerMessage<'a> {
    /// Whom the client wants to act for; `None` for itself.
    pub authorization_id: Option<&'a str>,
    /// Its token, without white space around it.
    pub token: &'a str,
}

impl fmt::Debug for OAuthBearerMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBearerMessage").field("authorization_id", &self.authorization_id).finish_non_exhaustive()
    }
}

impl<'a> OAuthBearerMessage<'a> {
    /// Reads a message; `None` if it is of another form.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let (header, pairs) = std::str::from_utf8(message).ok()?.split_once(SEPARATOR)?;
        let authorization_id = header.strip_prefix("n,")?.strip_suffix(',')?;
        let authorization_id = match authorization_id {
            "" => None,
            id => Some(id.strip_prefix("a=")?),
        };
        let pairs = pairs.strip_suffix("\u{1}\u{1}")?;
        let auth = pairs.split(SEPARATOR).find_map(|pair| pair.strip_prefix("auth="))?;
        let (scheme, token) = auth.split_once(' ')?;
        let token = token.trim();
        scheme.eq_ignore_ascii_case("bearer").then_some(Self { authorization_id, token })
    }

    /// Writes the message, without other pairs.
    pub fn encode(&self) -> Vec<u8> {
        let authorization_id = self.authorization_id.map(|id| format!("a={id}")).unwrap_or_default();
        format!("n,{authorization_id},\u{1}auth=Bearer {}\u{1}\u{1}", self.token).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_the_pairs() {
        let text = b"n,a=alice,\x01host=h\x01port=1\x01auth=bearer  a.b.c \x01\x01";
        let message = OAuthBearerMessage::parse(text).unwrap();
        assert_eq!(message, OAuthBearerMessage { authorization_id: Some("alice"), token: "a.b.c" });
        assert!(!format!("{message:?}").contains("a.b.c"));
        assert_eq!(message.encode(), b"n,a=alice,\x01auth=Bearer a.b.c\x01\x01");
        let bare = OAuthBearerMessage { authorization_id: None, token: "t" };
        assert_eq!(bare.encode(), b"n,,\x01auth=Bearer t\x01\x01");
        for wrong in [
            &b"n,,"[..],
            b"y,,\x01auth=Bearer t\x01\x01",
            b"n,b=x,\x01auth=Bearer t\x01\x01",
            b"n,,\x01auth=Bearer t\x01",
            b"n,,\x01auth=Basic t\x01\x01",
            b"n,,\x01auth=Bearer\x01\x01",
            b"n,,\x01\xff\x01\x01",
        ] {
            assert_eq!(OAuthBearerMessage::parse(wrong), None, "{wrong:?}");
        }
    }
}
