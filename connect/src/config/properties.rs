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
    line: Option<usize>,
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
        self.entries.insert(key.into(), Entry { value: value.to_string(), line: None });
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

    /// Where `key` was written; for an unset key the file as a whole. `None` for keys that a program set.
    pub fn origin(&self, key: &str) -> Option<Origin> {
        let line = self.entries.get(key).and_then(|entry| entry.line);
        self.file.as_ref().map(|file| Origin { file: file.clone(), line })
    }

    pub(super) fn of_file(file: &Path) -> Self {
        Self { entries: BTreeMap::new(), file: Some(file.into()) }
    }

    /// Sets `key` as written at `line`; answers the line of an earlier setting.
    pub(super) fn insert_at(&mut self, key: String, value: String, line: usize) -> Option<usize> {
        self.entries.insert(key, Entry { value, line: Some(line) }).map(|old| old.line.unwrap_or_default())
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
