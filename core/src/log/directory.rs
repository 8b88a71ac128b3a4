//! A data directory as a whole: whose it is, whether another process has it, and whether it was closed cleanly.
//!
//! A directory is ours if it holds Kafka's `meta.properties` in version 1, which names cluster and node. An empty one, or
//! none, is made ours. Any other is refused before a byte of it is changed.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::vfs::{self, OsVfs, Vfs};
use crate::{NodeId, Uuid};

const META: &str = "meta.properties";
const META_TEMPORARY: &str = "meta.properties.tmp";
const LOCK: &str = ".lock";
const CLEAN: &str = ".kafka_cleanshutdown";

/// Who a data directory belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryIdentity {
    /// The cluster's id.
    pub cluster_id: String,
    /// The node's id.
    pub node_id: NodeId,
    /// The directory's own id.
    pub directory_id: Uuid,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The file system refused.
    #[error("cannot {action} {path}; check that it exists, is a folder, and may be read and written by this user")]
    Io {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// There are files in it, but none that says it is a broker's.
    #[error("{path} holds other files ({found}, for example) and no meta.properties; name an empty or new folder")]
    Foreign {
        /// The folder.
        path: String,
        /// One of its files.
        found: String,
    },
    /// Its `meta.properties` cannot be understood.
    #[error("{path} is no data directory this version can read: {problem}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It belongs to another node.
    #[error("{path} belongs to node {found}, this is node {expected}; set node.id={found} or name another folder")]
    OtherNode {
        /// The folder.
        path: String,
        /// The node it belongs to.
        found: NodeId,
        /// This node.
        expected: NodeId,
    },
    /// Another process uses it.
    #[error("{path} is in use by another process; stop that one or name another folder")]
    Locked {
        /// The folder.
        path: String,
    },
}

/// An opened data directory. The lock is held until [`close`](Self::close), or until this is dropped.
#[derive(Debug)]
pub struct LogDirectory {
    path: PathBuf,
    identity: DirectoryIdentity,
    was_clean: bool,
    is_new: bool,
    lock: fs::File,
}

impl LogDirectory {
    /// Opens the data directory at `path`, making it if it is missing or empty. `fresh` is the identity it gets then; of an
    /// existing one only the node id is compared. The mark of a clean shutdown is taken away, to be set again by
    /// [`Self::close`].
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing has been changed then, but for a folder that may have been made.
    pub fn open(path: &Path, fresh: DirectoryIdentity) -> Result<Self, DirectoryError> {
        let name = || path.display().to_string();
        let failed = |action: &'static str, path: &Path| {
            let path = path.display().to_string();
            move |source| DirectoryError::Io { action, path, source }
        };
        fs::create_dir_all(path).map_err(failed("create", path))?;
        let meta = path.join(META);
        if !meta.exists()
            && let Some(found) = first_foreign(path).map_err(failed("list", path))?
        {
            return Err(DirectoryError::Foreign { path: name(), found });
        }
        let lock_path = path.join(LOCK);
        let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(DirectoryError::Locked { path: name() }),
            Err(fs::TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        }
        let is_new = !meta.exists();
        let identity = if is_new {
            write_meta(&meta, &fresh).map_err(failed("write", &meta))?;
            fresh
        } else {
            let text = fs::read_to_string(&meta).map_err(failed("read", &meta))?;
            let found = parse_meta(&text)
                .map_err(|problem| DirectoryError::Malformed { path: meta.display().to_string(), problem })?;
            if found.node_id != fresh.node_id {
                return Err(DirectoryError::OtherNode { path: name(), found: found.node_id, expected: fresh.node_id });
            }
            found
        };
        let mark = path.join(CLEAN);
        let was_clean = mark.exists();
        if was_clean {
            // Durably, before anything is written: after a power cut an old mark would vouch for torn logs.
            fs::remove_file(&mark).and_then(|()| OsVfs.sync_dir(path)).map_err(failed("remove", &mark))?;
        } else if !is_new {
            // A killed process may have replaced a checkpoint without syncing its name. What is read out of it now and
            // shown to clients, a log's start above all, must not be the old one again after a power cut.
            OsVfs.sync_dir(path).map_err(failed("sync", path))?;
        }
        Ok(Self { path: path.to_owned(), identity, was_clean, is_new, lock })
    }

    /// Who the data directory at `path` belongs to; `None` if it has no `meta.properties`.
    ///
    /// # Errors
    /// [`DirectoryError::Io`], [`DirectoryError::Malformed`].
    pub fn identity_at(vfs: &dyn Vfs, path: &Path) -> Result<Option<DirectoryIdentity>, DirectoryError> {
        let meta = path.join(META);
        let name = || meta.display().to_string();
        let bytes = match vfs::read(vfs, &meta) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DirectoryError::Io { action: "read", path: name(), source }),
        };
        let text = String::from_utf8(bytes).map_err(|_| "it is no text".to_owned());
        let parsed = text.and_then(|text| parse_meta(&text));
        parsed.map(Some).map_err(|problem| DirectoryError::Malformed { path: name(), problem })
    }

    /// Whether the data directory at `path` bears the mark of a clean shutdown.
    pub fn is_marked_clean(vfs: &dyn Vfs, path: &Path) -> bool {
        vfs.exists(&path.join(CLEAN))
    }

    /// Whether a process has the data directory at `path` locked now: this broker or, where it can be told (on Linux),
    /// Apache Kafka. Nothing is kept locked.
    ///
    /// # Errors
    /// Those of the file system, but for a lock file that is not there.
    pub fn is_in_use(path: &Path) -> io::Result<bool> {
        let file = match fs::File::open(path.join(LOCK)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => file.unlock()?,
            Err(fs::TryLockError::WouldBlock) => return Ok(true),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        locked_by_record(&file)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who it belongs to.
    pub fn identity(&self) -> &DirectoryIdentity {
        &self.identity
    }

    /// Whether it was closed cleanly the last time, or is new.
    pub fn was_clean(&self) -> bool {
        self.was_clean || self.is_new
    }

    /// Marks it as closed cleanly and lets another process have it. Every log has been closed by then.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]; the lock is kept then.
    pub fn close(&self) -> Result<(), DirectoryError> {
        let mark = self.path.join(CLEAN);
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&mark)?;
            file.write_all(b"{\"version\":0}")?;
            file.sync_all()?;
            OsVfs.sync_dir(&self.path)?;
            self.lock.unlock()
        };
        write().map_err(|source| DirectoryError::Io { action: "write", path: mark.display().to_string(), source })
    }
}

/// Java locks a file by a lock of its bytes, of which the other kind of lock knows nothing.
#[cfg(target_os = "linux")]
fn locked_by_record(file: &fs::File) -> io::Result<bool> {
    use rustix::{
        fs::{FlockOperation, fcntl_lock},
        io::Errno,
    };
    match fcntl_lock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            fcntl_lock(file, FlockOperation::NonBlockingUnlock)?;
            Ok(false)
        }
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn locked_by_record(_: &fs::File) -> io::Result<bool> {
    Ok(false)
}

/// Something in the folder that no broker puts there.
fn first_foreign(path: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A file system's own folder, and what is left of a start that failed.
        if name != "lost+found" && name != LOCK && name != META_TEMPORARY {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn write_meta(path: &Path, identity: &DirectoryIdentity) -> io::Result<()> {
    let DirectoryIdentity { cluster_id, node_id, directory_id } = identity;
    let text = format!("version=1\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={directory_id}\n");
    let temporary = path.with_file_name(META_TEMPORARY);
    let mut file = fs::File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| OsVfs.sync_dir(folder))
}

fn parse_meta(text: &str) -> Result<DirectoryIdentity, String> {
    let value = |name: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .find_map(|(key, value)| (key.trim() == name).then(|| value.trim().to_owned()))
            .ok_or_else(|| format!("{name} is missing"))
    };
    let version = value("version")?;
    if version != "1" {
        return Err(format!("its version is {version}, expected 1"));
    }
    let node_id = value("node.id")?;
    Ok(DirectoryIdentity {
        cluster_id: value("cluster.id")?,
        node_id: node_id.parse().map(NodeId).map_err(|_| format!("node.id={node_id} is no number"))?,
        directory_id: value("directory.id")?.parse().map_err(|error| format!("directory.id: {error}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(node_id: i32) -> DirectoryIdentity {
        DirectoryIdentity { cluster_id: "c".into(), node_id: NodeId(node_id), directory_id: Uuid([3; 16]) }
    }

    #[test]
    fn a_directory_is_made_locked_and_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let directory = LogDirectory::open(&path, identity(1)).expect("new");
        assert!(directory.was_clean());
        assert!(matches!(LogDirectory::open(&path, identity(1)), Err(DirectoryError::Locked { .. })));
        drop(directory);
        let directory = LogDirectory::open(&path, identity(1)).expect("ours");
        assert!(!directory.was_clean(), "it was not closed");
        directory.close().expect("closes");
        assert!(LogDirectory::open(&path, identity(1)).expect("ours").was_clean());
        let other = LogDirectory::open(&path, identity(2)).expect_err("another node's");
        assert!(other.to_string().contains("set node.id=1"), "{other}");
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("thesis.txt"), "all of it").expect("writes");
        let error = LogDirectory::open(folder.path(), identity(1)).expect_err("foreign");
        assert!(error.to_string().contains("thesis.txt"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1, "nothing was added");
        fs::write(folder.path().join(META), "version=7\n").expect("writes");
        assert!(matches!(LogDirectory::open(folder.path(), identity(1)), Err(DirectoryError::Malformed { .. })));
    }
}
