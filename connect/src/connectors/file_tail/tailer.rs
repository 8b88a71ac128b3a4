//! All files being followed: finds them, notices when they go, and reads them in turn. Blocking, and driven from outside:
//! the time is an argument.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use glob::{MatchOptions, Pattern};

use super::{
    FileTailConfig,
    fingerprint::FileId,
    follow::{Follow, Line, Progress, read_partition},
};
use crate::{
    SourceContext, SourcePartition,
    config::{ConfigError, ConfigErrors},
    connector::StoredOffsets,
};

/// Bytes read from one file before it is the next one's turn.
const TURN_BYTES: usize = 64 * 1024;

/// What one pass brought.
#[derive(Debug, Default)]
pub(super) struct Pass {
    pub(super) lines: Vec<Line>,
    /// Files that will not be read again.
    pub(super) finished: Vec<SourcePartition>,
    /// There is more to read at once.
    pub(super) more: bool,
}

/// The files.
#[derive(Debug)]
pub(super) struct Tailer {
    texts: Vec<String>,
    exclude: Vec<Pattern>,
    from_end: bool,
    max_line_bytes: usize,
    batch_lines_max: usize,
    files_max: usize,
    rotate_wait: Duration,
    task: u64,
    tasks: u64,
    offsets: StoredOffsets,
    files: Vec<Open>,
    /// Whose turn is next.
    turn: usize,
    started: bool,
    /// What has been complained about already.
    warned: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Open {
    follow: Follow,
    /// No path that matches leads to it any more.
    detached: bool,
    /// When it last grew, or came to be followed.
    grew_at: Duration,
}

impl Tailer {
    /// Follows nothing yet.
    pub(super) fn new(config: &FileTailConfig, context: &SourceContext) -> Result<Self, ConfigErrors> {
        Ok(Self {
            texts: {
                patterns("file", &config.files)?;
                config.files.clone()
            },
            exclude: patterns("exclude", &config.exclude)?,
            from_end: config.start == "end",
            max_line_bytes: config.max_line_bytes,
            batch_lines_max: config.batch_lines_max,
            files_max: config.files_max,
            rotate_wait: config.rotate_wait,
            task: context.task as u64,
            tasks: context.tasks.max(1) as u64,
            offsets: context.offsets.clone(),
            files: Vec::new(),
            turn: 0,
            started: false,
            warned: HashSet::new(),
        })
    }

    /// Looks for files, then reads them in turn until the batch is full or all are at their end. `now` counts from any
    /// fixed moment and does not go back.
    pub(super) fn pass(&mut self, now: Duration) -> Pass {
        let mut pass = Pass::default();
        self.look_for_files(now, &mut pass);
        self.started = true;
        self.read(now, &mut pass);
        self.let_go(now, &mut pass);
        pass
    }

    fn look_for_files(&mut self, now: Duration, pass: &mut Pass) {
        let mut found = self.matching();
        let mut known: HashMap<FileId, usize> = HashMap::new();
        for (index, open) in self.files.iter_mut().enumerate() {
            let detached = !found.contains_key(&open.follow.id);
            if detached && !open.detached {
                tracing::info!(file = %open.follow.name, "moved or deleted; reading what is left of it");
                open.grew_at = now;
            }
            open.detached = detached;
            known.insert(open.follow.id, index);
        }
        found.retain(|id, _| !known.contains_key(id) && id.inode % self.tasks == self.task);
        if !self.started {
            self.find_moved(&mut found, pass);
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by(|(_, one), (_, other)| one.cmp(other));
        for (_, path) in found {
            if self.files.len() >= self.files_max {
                self.warn_once(&path, "not followed: `files.max` files are open");
                continue;
            }
            match self.open(&path) {
                Ok(follow) if self.files.iter().any(|open| open.follow.id == follow.id) => {}
                Ok(follow) => self.files.push(Open { follow, detached: false, grew_at: now }),
                Err(error) => self.warn_once(&path, &format!("not readable: {error}")),
            }
        }
    }

    /// Files that the patterns match, by number.
    fn matching(&mut self) -> HashMap<FileId, PathBuf> {
        let mut found = HashMap::new();
        for text in self.texts.clone() {
            // The patterns were checked at the start.
            for path in glob::glob(&text).into_iter().flatten() {
                let path = match path {
                    Ok(path) => path,
                    Err(error) => {
                        self.warn_once(error.path(), &format!("cannot look into it: {}", error.error()));
                        continue;
                    }
                };
                if self.excluded(&path) {
                    continue;
                }
                if let Ok(metadata) = fs::metadata(&path)
                    && metadata.is_file()
                {
                    found.entry(FileId::of(&path, &metadata)).or_insert(path);
                }
            }
        }
        found
    }

    fn excluded(&self, path: &Path) -> bool {
        let name = path.file_name().map(Path::new);
        let options = MatchOptions::default();
        self.exclude.iter().any(|pattern| {
            pattern.matches_path_with(path, options)
                || name.is_some_and(|name| pattern.matches_path_with(name, options))
        })
    }

    /// At the start: files with a stored offset that no pattern matches any more are looked for in the folder where they
    /// were; those not there are forgotten.
    fn find_moved(&self, found: &mut HashMap<FileId, PathBuf>, pass: &mut Pass) {
        let mut folders: HashMap<PathBuf, HashMap<u64, (FileId, PathBuf)>> = HashMap::new();
        for (partition, _) in self.offsets.iter() {
            let Some((inode, folder)) = read_partition(partition) else { continue };
            if inode % self.tasks != self.task || found.keys().any(|id| id.inode == inode) {
                continue;
            }
            let in_folder = folders.entry(folder).or_insert_with_key(|folder| files_in(folder));
            match in_folder.get(&inode) {
                Some((id, path)) if self.stored_for(path, *id) => drop(found.insert(*id, path.clone())),
                _ => {
                    tracing::info!(file = %partition, "gone since the last run");
                    pass.finished.push(partition.clone());
                }
            }
        }
    }

    /// Whether a stored offset really is this file's.
    fn stored_for(&self, path: &Path, id: FileId) -> bool {
        let Ok(mut follow) = Follow::open(path, self.max_line_bytes) else { return false };
        follow.id == id && self.resume(&mut follow)
    }

    fn resume(&self, follow: &mut Follow) -> bool {
        let inode = follow.id.inode;
        let of_inode =
            |partition: &SourcePartition| read_partition(partition).is_some_and(|(number, _)| number == inode);
        let mut stored = self.offsets.iter().filter(|(partition, _)| of_inode(partition));
        stored.any(|(partition, offset)| follow.resume(partition, offset).unwrap_or(false))
    }

    fn open(&self, path: &Path) -> std::io::Result<Follow> {
        let mut follow = Follow::open(path, self.max_line_bytes)?;
        if !self.started {
            // Later on, an inode that was stored once belongs to a new file.
            let resumed = self.resume(&mut follow);
            if !resumed && self.from_end {
                follow.skip_to_end()?;
            }
        }
        Ok(follow)
    }

    fn read(&mut self, now: Duration, pass: &mut Pass) {
        let count = self.files.len();
        let mut at_end = 0;
        while at_end < count && pass.lines.len() < self.batch_lines_max {
            let index = self.turn % count;
            self.turn = index + 1;
            let Some(open) = self.files.get_mut(index) else { return };
            at_end += 1;
            match open.follow.read(TURN_BYTES, &mut pass.lines) {
                Ok(Progress::AtEnd) => {}
                Ok(Progress::Read | Progress::Restarted) => {
                    open.grew_at = now;
                    at_end = 0;
                }
                Err(error) => {
                    let name = PathBuf::from(&*open.follow.name);
                    self.warn_once(&name, &format!("cannot read: {error}"));
                }
            }
        }
        pass.more = at_end < count;
    }

    /// Leaves files alone that are gone and have not grown for a while.
    fn let_go(&mut self, now: Duration, pass: &mut Pass) {
        let wait = self.rotate_wait;
        let done = |open: &Open| open.detached && now.saturating_sub(open.grew_at) >= wait;
        if pass.more {
            return;
        }
        for mut open in self.files.extract_if(.., |open| done(open)) {
            open.follow.finish(&mut pass.lines);
            pass.finished.push(open.follow.partition);
        }
    }

    fn warn_once(&mut self, path: &Path, message: &str) {
        if self.warned.len() < 10_000 && self.warned.insert(path.to_owned()) {
            tracing::warn!(path = %path.display(), "{message}");
        }
    }
}

fn files_in(folder: &Path) -> HashMap<u64, (FileId, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return HashMap::new() };
    let files = entries.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(|metadata| metadata.is_file())?;
        let id = FileId::of(&entry.path(), &metadata);
        Some((id.inode, (id, entry.path())))
    });
    files.collect()
}

fn patterns(key: &str, texts: &[String]) -> Result<Vec<Pattern>, ConfigErrors> {
    let pattern = |text: &String| {
        Pattern::new(text).map_err(|error| ConfigError::invalid(key, text, format!("a glob pattern: {error}")).into())
    };
    texts.iter().map(pattern).collect()
}
