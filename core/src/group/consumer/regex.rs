//! Patterns that members subscribe to: whether one is valid, and which topics it stands for.
//!
//! The syntax is RE2's, matched in linear time against whole names. What a caller may not see it does not get. The
//! patterns of a group are matched anew when there is one nobody has matched, when topics have come or gone, but then
//! at most every 10 s, and when the last match is old.
//!
//! Source: Kafka `GroupMetadataManager.{maybeUpdateRegularExpressions, refreshRegularExpressions}`.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};

use super::{ConsumerGroup, ConsumerMember, ConsumerRecord, ResolvedRegex, Topics};
use crate::group::{GroupError, GroupRecord, Now};

/// How long a compiled pattern may be, in bytes of memory.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// How long a group waits, at least, before it matches its patterns against new metadata.
const REFRESH_MIN_MS: i64 = 10_000;

/// Compiles a pattern so that it matches whole names only.
pub(super) fn compile(pattern: &str) -> Result<Regex, GroupError> {
    let build = |pattern: &str| {
        let built = RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build();
        built.map_err(|error| GroupError::InvalidRegex { regex: pattern.to_owned(), reason: error.to_string() })
    };
    // By itself first: brackets that do not match could pair up with those put around it.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

/// What becomes of a group's patterns.
pub(super) struct Patterns {
    /// All patterns of the group, if they differ from what is stored.
    pub(super) resolved: Option<BTreeMap<String, ResolvedRegex>>,
    /// Whether the members' topics may be others than before.
    pub(super) bumps_epoch: bool,
    /// Whether they were matched now.
    pub(super) matched: bool,
}

/// Whose call it is, and what it may see.
pub(super) struct Caller<'a> {
    pub(super) before: &'a ConsumerMember,
    pub(super) updated: &'a ConsumerMember,
    pub(super) may_see: &'a dyn Fn(&str) -> bool,
}

impl ConsumerGroup {
    /// Brings the group's patterns up to date with the caller's subscription and with the topics there are.
    ///
    /// # Errors
    /// [`GroupError::InvalidRegex`] if the caller brings a pattern that is none.
    pub(super) fn update_patterns(
        &self,
        caller: &Caller<'_>,
        topics: &Topics,
        refresh_max_ms: i64,
        now: Now,
        records: &mut Vec<GroupRecord>,
    ) -> Result<Patterns, GroupError> {
        let (old, new) = (caller.before.subscription.regex(), caller.updated.subscription.regex());
        let mut patterns = Patterns { resolved: None, bumps_epoch: old != new, matched: false };
        let in_use: BTreeSet<&str> =
            self.members_with(caller.updated).filter_map(|member| member.subscription.regex()).collect();
        if in_use.is_empty() && self.regexes.is_empty() {
            return Ok(patterns);
        }
        if let Some(new) = new.filter(|new| old != Some(new) && !self.regexes.contains_key(*new)) {
            compile(new)?;
        }
        let mut resolved = self.regexes.clone();
        for unused in self.regexes.keys().filter(|regex| !in_use.contains(regex.as_str())) {
            resolved.remove(unused);
            records.push(self.record(ConsumerRecord::Regex(unused.clone(), None)));
        }
        if self.must_match(&in_use, topics, refresh_max_ms, now) {
            patterns.matched = true;
            for pattern in in_use {
                // One that was valid once is kept if it no longer is: another release compiled it.
                let Ok(regex) = compile(pattern) else { continue };
                let names = topics.names().filter(|name| regex.is_match(name) && (caller.may_see)(name));
                let names: BTreeSet<String> = names.map(ToString::to_string).collect();
                let known = self.regexes.get(pattern);
                patterns.bumps_epoch |= known.map_or(!names.is_empty(), |known| known.topics != names);
                let value = ResolvedRegex { topics: names, version: topics.version(), timestamp_ms: now.wall_ms };
                records.push(self.record(ConsumerRecord::Regex(pattern.to_owned(), Some(value.clone()))));
                resolved.insert(pattern.to_owned(), value);
            }
        }
        if resolved != self.regexes {
            patterns.resolved = Some(resolved);
        }
        Ok(patterns)
    }

    fn must_match(&self, in_use: &BTreeSet<&str>, topics: &Topics, refresh_max_ms: i64, now: Now) -> bool {
        if in_use.is_empty() {
            return false;
        }
        let since_ms = self.regexes_matched_ms.map_or(i64::MAX, |at| now.monotonic_ms.saturating_sub(at));
        let has_new = in_use.iter().any(|regex| !self.regexes.contains_key(*regex));
        let is_behind = self.regexes.values().any(|resolved| resolved.version < topics.version());
        has_new || (is_behind && since_ms >= REFRESH_MIN_MS) || since_ms >= refresh_max_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_in_linear_time() {
        let matches = |pattern: &str, name: &str| compile(pattern).unwrap().is_match(name);
        assert!(matches("foo|bar", "bar") && !matches("foo|bar", "foobar") && !matches("foo", "a-foo"));
        assert!(matches("foo.*", "foo-1") && matches(r"\p{L}+", "abc") && matches("(?i)FOO", "foo"));
        assert!(!matches("(a+)+b", &"a".repeat(249)));
        for bad in ["(", "a)(b", "[", "*", r"(?=look)", r"(a)\1", "a{100}{100}{100}"] {
            assert!(matches!(compile(bad), Err(GroupError::InvalidRegex { .. })), "{bad}");
        }
    }
}
