//! Which names a topic may have. They become folder names and, in metrics, words between dots.
//!
//! Source: Kafka `Topic.validate`, `Topic.hasCollision`.

/// The longest name: with a partition number behind it, it still fits a file name.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Why a text is no topic name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    /// It is empty.
    #[error("a topic name must not be empty")]
    Empty,
    /// It would be a folder of its own meaning.
    #[error("a topic name must not be '.' or '..'")]
    Dots,
    /// It is too long.
    #[error("a topic name has at most {TOPIC_NAME_BYTES_MAX} characters, this one has {length}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// It holds a character it must not.
    #[error("topic name '{name}' holds {found:?}; letters, digits, '.', '_' and '-' are allowed")]
    Character {
        /// The name.
        name: String,
        /// The first character that is not allowed.
        found: char,
    },
}

/// Checks a topic name.
///
/// # Errors
/// The first rule it breaks.
pub fn validate_topic_name(name: &str) -> Result<(), InvalidTopicName> {
    if name.is_empty() {
        return Err(InvalidTopicName::Empty);
    }
    if name == "." || name == ".." {
        return Err(InvalidTopicName::Dots);
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return Err(InvalidTopicName::TooLong { length: name.chars().count() });
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(found) => Err(InvalidTopicName::Character { name: name.to_owned(), found }),
        None => Ok(()),
    }
}

/// Whether two different names are one in metrics, where a dot becomes an underscore.
pub fn names_collide(a: &str, b: &str) -> bool {
    a != b && collision_key(a) == collision_key(b)
}

/// What colliding names have in common.
pub(super) fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_dot_underscore_and_hyphen() {
        let longest = "x".repeat(TOPIC_NAME_BYTES_MAX);
        for name in ["a", "A.b_c-9", "...", longest.as_str(), "__consumer_offsets"] {
            assert_eq!(validate_topic_name(name), Ok(()), "{name}");
        }
        assert_eq!(validate_topic_name(""), Err(InvalidTopicName::Empty));
        assert_eq!(validate_topic_name(".."), Err(InvalidTopicName::Dots));
        assert_eq!(validate_topic_name(&format!("{longest}x")), Err(InvalidTopicName::TooLong { length: 250 }));
        for (name, found) in [("a b", ' '), ("a/b", '/'), ("ä", 'ä'), ("a\0", '\0')] {
            assert_eq!(validate_topic_name(name), Err(InvalidTopicName::Character { name: name.into(), found }));
        }
    }

    #[test]
    fn dots_and_underscores_collide() {
        assert!(names_collide("a.b", "a_b"));
        assert!(!names_collide("a.b", "a.b") && !names_collide("a.b", "a-b"));
    }
}
