//! Addresses as the settings `listeners` and `advertised.listeners` write them: `NAME://host:port`, or bare `host:port`.

use std::{fmt, str::FromStr};

/// The name of a listener that is written without one.
pub(crate) const PLAINTEXT: &str = "PLAINTEXT";

/// Where a listener listens, or where clients are told to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The listener's name, in capitals.
    pub(crate) name: String,
    /// Host name or address without brackets; empty for all addresses.
    pub(crate) host: String,
    /// The port; 0 lets the system choose.
    pub(crate) port: u16,
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseEndpointError {
    #[error("expected host:port or NAME://host:port")]
    Form,
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, ParseEndpointError> {
        let (name, address) = text.split_once("://").unwrap_or((PLAINTEXT, text));
        let (host, port) = address.rsplit_once(':').ok_or(ParseEndpointError::Form)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| ParseEndpointError::Form)?;
        Ok(Self { name: name.to_ascii_uppercase(), host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_read() {
        let parse = |text: &str| text.parse::<Endpoint>().map(|e| (e.name, e.host, e.port));
        assert_eq!(parse("127.0.0.1:0"), Ok((PLAINTEXT.to_owned(), "127.0.0.1".to_owned(), 0)));
        assert_eq!(parse("PLAINTEXT://:9092"), Ok((PLAINTEXT.to_owned(), String::new(), 9092)));
        assert_eq!(parse("INTERNAL://[::1]:9"), Ok(("INTERNAL".to_owned(), "::1".to_owned(), 9)));
        assert_eq!(parse("sasl_ssl://h:1"), Ok(("SASL_SSL".to_owned(), "h".to_owned(), 1)));
        assert_eq!(parse("nonsense"), Err(ParseEndpointError::Form));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9:/.\\[\\]_é-]{0,30}") {
            let Ok(endpoint) = text.parse::<Endpoint>() else { return Ok(()) };
            if !endpoint.host.contains(['[', ']', '/']) {
                let again: Endpoint = format!("{}://{endpoint}", endpoint.name).parse().unwrap();
                prop_assert_eq!(again, endpoint);
            }
        }
    }
}
