//! Principals, and the rules of `ssl.principal.mapping.rules` that turn the name in a certificate into one.
//!
//! A rule is `RULE:pattern/replacement/` with `L` or `U` behind it for lower or upper case, or `DEFAULT`; the first whose
//! pattern matches the whole name counts. Patterns are regular expressions without look-around and back references,
//! which Java has and a matcher with a bound on its time has not.
//!
//! Source: Kafka `KafkaPrincipal`, `SslPrincipalMapper`; KIP-371.

use std::{fmt, str::FromStr, sync::Arc};

use regex::{Captures, Regex};

/// Who a client is: a type, `User` as a rule, and a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal {
    kind: Arc<str>,
    name: Arc<str>,
}

impl Principal {
    /// A user of this name.
    pub fn user(name: &str) -> Self {
        Self { kind: "User".into(), name: name.into() }
    }

    /// Whoever did not say who it is.
    pub fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }

    /// The type: `User` as a rule.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name without the type.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// A text that is no principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no principal: expected Type:name, as in User:alice")]
pub struct InvalidPrincipal {
    text: String,
}

impl FromStr for Principal {
    type Err = InvalidPrincipal;

    fn from_str(text: &str) -> Result<Self, InvalidPrincipal> {
        match text.split_once(':') {
            Some((kind, name)) if !kind.is_empty() => Ok(Self { kind: kind.into(), name: name.into() }),
            _ => Err(InvalidPrincipal { text: text.to_owned() }),
        }
    }
}

/// Why mapping rules cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {index}: {problem}")]
pub(crate) struct InvalidRules {
    index: usize,
    problem: String,
}

/// How the names in certificates become names of principals.
#[derive(Debug, Clone)]
pub(crate) struct PrincipalRules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
enum Rule {
    Default,
    Replace { pattern: Regex, replacement: String, case: Case },
}

#[derive(Debug, Clone, Copy)]
enum Case {
    Kept,
    Lower,
    Upper,
}

impl PrincipalRules {
    /// The name of the principal; `None` if no rule fits, and the client is then nobody.
    pub(crate) fn apply(&self, name: &str) -> Option<String> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::Default => Some(name.to_owned()),
            Rule::Replace { pattern, replacement, case } => {
                let captures = pattern.captures(name)?;
                let replaced = expand(replacement, &captures);
                Some(match case {
                    Case::Kept => replaced,
                    Case::Lower => replaced.to_lowercase(),
                    Case::Upper => replaced.to_uppercase(),
                })
            }
        })
    }
}

/// Puts the groups in the place of `$1`, `$2` and so on; a number without a group stays as it is.
fn expand(replacement: &str, captures: &Captures<'_>) -> String {
    let mut expanded = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        let digit = (c == '$').then(|| chars.peek().and_then(|c| c.to_digit(10))).flatten();
        match digit {
            Some(group) if usize::try_from(group).is_ok_and(|group| group < captures.len()) => {
                chars.next();
                let group = usize::try_from(group).unwrap_or_default();
                expanded.push_str(captures.get(group).map_or("", |group| group.as_str()));
            }
            _ if c == '\\' => expanded.extend(chars.next()),
            _ => expanded.push(c),
        }
    }
    expanded
}

impl FromStr for PrincipalRules {
    type Err = InvalidRules;

    fn from_str(text: &str) -> Result<Self, InvalidRules> {
        let mut rules = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let wrong = |problem: &str| InvalidRules { index: rules.len(), problem: problem.to_owned() };
            let (rule, after) = if let Some(after) = rest.strip_prefix("DEFAULT") {
                (Rule::Default, after)
            } else {
                let form = "expected RULE:pattern/replacement/ or DEFAULT";
                let after = rest.strip_prefix("RULE:").ok_or_else(|| wrong(form))?;
                let (pattern, after) = until_slash(after).ok_or_else(|| wrong(form))?;
                let (replacement, after) = until_slash(after).ok_or_else(|| wrong(form))?;
                let (case, after) = match after.chars().next() {
                    Some('L') => (Case::Lower, after.get(1..).unwrap_or_default()),
                    Some('U') => (Case::Upper, after.get(1..).unwrap_or_default()),
                    _ => (Case::Kept, after),
                };
                let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| wrong(&error.to_string()))?;
                (Rule::Replace { pattern, replacement: replacement.to_owned(), case }, after)
            };
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(wrong("something follows it that is no comma")),
            };
            rules.push(rule);
        }
        if rules.is_empty() {
            rules.push(Rule::Default);
        }
        Ok(Self { rules })
    }
}

/// What is before the first slash that no backslash protects, and what is behind it.
fn until_slash(text: &str) -> Option<(&str, &str)> {
    let mut protected = false;
    for (position, c) in text.char_indices() {
        if c == '/' && !protected {
            return Some((text.get(..position)?, text.get(position + 1..)?));
        }
        protected = c == '\\' && !protected;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(rules: &str, name: &str) -> Option<String> {
        rules.parse::<PrincipalRules>().unwrap().apply(name)
    }

    #[test]
    fn the_rules_of_kafkas_documentation() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, \
                     RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L, DEFAULT";
        let principal = |name: &str| map(rules, name);
        assert_eq!(principal("CN=Duke,OU=ServiceUsers,O=Org,C=US").as_deref(), Some("Duke"));
        assert_eq!(principal("CN=Duke,OU=JavaSoft,O=Sun,L=X,ST=C,C=US").as_deref(), Some("duke@javasoft"));
        assert_eq!(principal("OU=JavaSoft,cn=Duke").as_deref(), Some("duke"));
        assert_eq!(principal("O=none").as_deref(), Some("O=none"));
    }

    #[test]
    fn no_rule_no_principal_and_odd_replacements() {
        assert_eq!(map("RULE:^CN=(.*)$/$1/U", "OU=x"), None);
        assert_eq!(map("RULE:^CN=(.*)$/$1$2x\\/y/U", "CN=a").as_deref(), Some("A$2X/Y"));
        assert_eq!(map("", "CN=a").as_deref(), Some("CN=a"));
        for wrong in ["RULE:a", "RULE:a/b", "RULE:(/b/", "a", "DEFAULT x", "RULE:a/b/X"] {
            assert!(wrong.parse::<PrincipalRules>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn principals_have_a_type() {
        let principal: Principal = "User:CN=a:b".parse().unwrap();
        assert_eq!((principal.kind(), principal.name()), ("User", "CN=a:b"));
        assert_eq!(principal.to_string(), "User:CN=a:b");
        assert!("alice".parse::<Principal>().is_err());
    }

    proptest! {
        #[test]
        fn any_rules_are_read_or_refused(
            rules in "(DEFAULT|RULE:[a-z.*()$^\\[\\]\\\\]{0,8}/[$0-9a-zé\\\\]{0,8}/[LU]?|,| |[a-z/]){0,6}",
            name in ".{0,20}",
        ) {
            if let Ok(rules) = rules.parse::<PrincipalRules>() {
                let _ = rules.apply(&name);
            }
            if let Ok(principal) = name.parse::<Principal>() {
                prop_assert_eq!(principal.to_string(), name);
            }
        }
    }
}
