//! Keys and texts as configured, each with the place it was written, before anything knows their types.
//!
//! Debug output shows keys only: a value may be a secret.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use super::Origin;

/// A connector's, task's or worker's configuration as text.
///
/// ```
/// use riverrun_connect::config::Properties;
///
/// let metrics = Properties::connector("metrics", "host-metrics").set("topic", "host-metrics").set("interval.ms", 250);
/// assert_eq!(metrics.get("interval.ms"), Some("250"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<String, Entry>,
    file: Option<Arc<Path>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    value: String,
    origin: Option<Origin>,
}

impl Properties {
    /// No keys at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a connector's configuration with its `name` and `connector.class`.
    pub fn connector(name: &str, class: &str) -> Self {
        Self::new().set("name", name).set("connector.class", class)
    }

    /// Sets `key`, replacing what it was.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.insert(key, value);
        self
    }

    /// Sets `key`, replacing what it was.
    pub fn insert(&mut self, key: impl Into<String>, value: impl fmt::Display) {
        self.entries.insert(key.into(), Entry { value: value.to_string(), origin: None });
    }

    /// Takes `key` out; true if it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.entries.remove(key).is_some()
    }

    /// The text of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.value.as_str())
    }

    /// True if `key` is set.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Keys and texts, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry.value.as_str()))
    }

    /// Takes over all keys of `other`, in place of those of the same names.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.file = other.file.or(self.file.take());
    }

    /// Where `key` was written; for an unset key the file as a whole. `None` for keys that a program set.
    pub fn origin(&self, key: &str) -> Option<Origin> {
        match self.entries.get(key) {
            Some(entry) => entry.origin.clone(),
            None => self.file.as_ref().map(|file| Origin { file: file.clone(), line: None }),
        }
    }

    pub(super) fn of_file(file: &Path) -> Self {
        Self { entries: BTreeMap::new(), file: Some(file.into()) }
    }

    /// Sets `key` as written at `line`; answers the line of an earlier setting.
    pub(super) fn insert_at(&mut self, key: String, value: String, line: usize) -> Option<usize> {
        let origin = self.file.as_ref().map(|file| Origin { file: file.clone(), line: Some(line) });
        let earlier = self.entries.insert(key, Entry { value, origin })?;
        Some(earlier.origin.and_then(|origin| origin.line).unwrap_or_default())
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Properties")
            .field("keys", &self.entries.keys().collect::<Vec<_>>())
            .field("file", &self.file)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_remembers_where_it_was_written() {
        let mut all = Properties::of_file(Path::new("a.properties"));
        all.insert_at("x".to_owned(), "1".to_owned(), 3);
        all.insert_at("y".to_owned(), "2".to_owned(), 4);
        let mut other = Properties::of_file(Path::new("b.properties"));
        other.insert_at("y".to_owned(), "3".to_owned(), 1);
        all.merge(other);
        all.merge(Properties::new().set("z", 4));
        let origin = |key: &str| all.origin(key).map(|origin| origin.to_string());
        assert_eq!(origin("x").as_deref(), Some("a.properties:3"));
        assert_eq!((all.get("y"), origin("y").as_deref()), (Some("3"), Some("b.properties:1")));
        assert_eq!((origin("z"), origin("unset").as_deref()), (None, Some("b.properties")));
    }
}
