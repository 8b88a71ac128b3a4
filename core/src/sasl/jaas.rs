//! The JAAS form in which a Kafka user configures the users of PLAIN:
//! `org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="secret";`.
//!
//! Source: Kafka `JaasConfig`, `PlainServerCallbackHandler`; Java's `StreamTokenizer` for the quoting.

use std::{collections::BTreeMap, fmt};

/// Why a text is no JAAS configuration. It does not quote the text, which holds passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not of the form `LoginModule required name=\"value\" ...;`: {problem}")]
pub struct InvalidJaas {
    problem: &'static str,
}

/// A login module with its options.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginModule {
    /// Its class.
    pub class: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for LoginModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values are secrets as a rule.
        f.debug_struct("LoginModule").field("class", &self.class).finish_non_exhaustive()
    }
}

impl LoginModule {
    /// The users of PLAIN with their passwords: the options that begin with `user_`.
    pub fn users(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().filter_map(|(name, password)| Some((name.strip_prefix("user_")?, password.as_str())))
    }
}

enum Token {
    Word(String),
    Equals,
    End,
}

/// Reads the first login module of a text.
///
/// # Errors
/// If it is of another form.
pub fn parse(text: &str) -> Result<LoginModule, InvalidJaas> {
    let invalid = |problem| InvalidJaas { problem };
    let mut tokens = tokens(text)?.into_iter().peekable();
    let Some(Token::Word(class)) = tokens.next() else { return Err(invalid("no login module")) };
    match tokens.next() {
        Some(Token::Word(flag))
            if ["required", "requisite", "sufficient", "optional"].iter().any(|f| flag.eq_ignore_ascii_case(f)) => {}
        _ => return Err(invalid("no control flag, as `required`, behind the login module")),
    }
    let mut options = BTreeMap::new();
    loop {
        match (tokens.next(), tokens.next_if(|token| matches!(token, Token::Equals)), tokens.peek()) {
            (Some(Token::End), None, _) => return Ok(LoginModule { class, options }),
            (Some(Token::Word(name)), Some(Token::Equals), Some(Token::Word(value))) => {
                options.insert(name, value.clone());
                tokens.next();
            }
            (None, ..) => return Err(invalid("no semicolon at the end")),
            _ => return Err(invalid("an option is not of the form name=\"value\"")),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, InvalidJaas> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '=' => tokens.push(Token::Equals),
            ';' => tokens.push(Token::End),
            '"' | '\'' => tokens.push(Token::Word(quoted(&mut chars, c)?)),
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !matches!(c, '=' | ';' | '"' | '\'')) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn quoted(chars: &mut impl Iterator<Item = char>, quote: char) -> Result<String, InvalidJaas> {
    let mut word = String::new();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(word),
            '\\' => word.push(match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other) => other,
                None => break,
            }),
            c => word.push(c),
        }
    }
    Err(InvalidJaas { problem: "a quote is not closed" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_of_kafkas_documentation() {
        let text = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                    username=\"admin\" password=\"admin-secret\" user_admin=\"a;=\\\"b\" user_alice='x y' ;";
        let module = parse(text).unwrap();
        assert!(module.class.ends_with("PlainLoginModule"));
        let users: Vec<_> = module.users().collect();
        assert_eq!(users, [("admin", "a;=\"b"), ("alice", "x y")]);
        assert!(!format!("{module:?}").contains("admin-secret"));
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in ["", "A", "A maybe;", "A required", "A required x;", "A required x=;", "A required x=\"y;"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text: String) {
            let _ = parse(&text);
        }
    }
}
