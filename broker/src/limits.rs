//! What the operating system lets this process have.

/// Open files the process keeps for connections and all else, of those it may have.
const KEPT_FOR_OTHERS: u64 = 256;
/// More open segment files than this gain nothing.
const SEGMENT_FILES_MAX: u64 = 16_384;
/// Where the limit cannot be known.
const SEGMENT_FILES_DEFAULT: usize = 1_024;

/// How many segment files may be open: half of what the process may have. Raises that to what the process may raise it
/// to.
#[cfg(unix)]
pub(crate) fn segment_files_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok() {
        limit = getrlimit(Resource::Nofile);
    }
    let Some(files) = limit.current else { return usize::try_from(SEGMENT_FILES_MAX).unwrap_or(SEGMENT_FILES_DEFAULT) };
    let share = files.saturating_sub(KEPT_FOR_OTHERS).min(files / 2).clamp(16, SEGMENT_FILES_MAX);
    tracing::debug!(open_files = files, segment_files = share, "limits");
    usize::try_from(share).unwrap_or(SEGMENT_FILES_DEFAULT)
}

/// The same where there is no such limit.
#[cfg(not(unix))]
pub(crate) fn segment_files_max() -> usize {
    SEGMENT_FILES_DEFAULT
}
