//! `file-tail`: follows log files, one record per complete line.
//!
//! - **Which files**: paths and glob patterns, looked up again on every pass, so new files are found. A file is known by
//!   its inode, not its name: renamed, it is the same file.
//! - **Growth**: only complete lines are sent; an unfinished last line is held back.
//! - **Rotation** by renaming: the old file is read to its end, also if it no longer matches a pattern or has been
//!   deleted, and left alone once it has not grown for `rotate.wait.ms`; then an unfinished last line is sent too. This also
//!   works if the file was renamed, in its folder, while nobody was looking.
//! - **Truncation**: a file that is shorter than what was read of it, or begins with other bytes, is read from its
//!   beginning. With rotation by copying and truncating, what was written between the last pass and the truncation
//!   is lost, as with any reader; a copy that matches a pattern is another file and is read again, so do not match it.
//! - **Restart**: the source offset is the position behind a line, with a checksum of the file's first bytes; the source
//!   partition is the file: `{"filename": as first seen, "inode": n}` → `{"position": n, "fingerprint": "bytes-crc"}`.
//!   Reading goes on exactly behind the last line stored, or at the beginning if the checksum says that the inode
//!   belongs to another file by now.
//! - **Long lines** are cut at `max.line.bytes`, and say so.
//!
//! Why it looks again every 250 ms instead of being told: there is one mechanism for all file systems (network
//! mounts tell nobody), a burst of writes is one pass, and the interval is a bound on delay that costs one `fstat` per
//! file. Nothing sleeps in it: the pass is due at a deadline of the runtime's timer.

mod fingerprint;
mod follow;
mod level;
mod source;
mod tailer;
#[cfg(test)]
pub(crate) mod tests;

pub use level::LogLevel;
pub use source::FileTail;

use std::time::Duration;

use crate::config::{ConfigType, ConfigValue, Expected, Validator};

crate::config! {
    /// Keys of `file-tail`.
    pub struct FileTailConfig {
        /// The files: paths and patterns with `*`, `?`, `[...]` and `**`, comma-separated.
        pub files: Vec<String> = "file", High, valid Validator::NonEmpty;
        /// Topic the lines go to.
        pub topic: String = "topic", High, valid Validator::NonEmpty;
        /// Patterns of files to leave out.
        pub exclude: Vec<String> = "exclude", Medium, default "*.gz,*.bz2,*.xz,*.zst,*.zip";
        /// `json`: `{file, line, level, at}`; `raw`: the line as it is.
        pub format: TailFormat = "format", Medium, default "json";
        /// Where to begin in files that are there at the first start and have no stored offset: `beginning` or `end`.
        /// Files that appear later are read from their beginning.
        pub start: String = "start.position", Medium, default "beginning",
            valid Validator::OneOf(&["beginning", "end"]);
        /// Time between two looks at the files.
        pub interval: Duration = "poll.interval.ms", Low, default "250", valid Validator::AtLeast(1);
        /// The longest line; the rest of a longer one is dropped.
        pub max_line_bytes: usize = "max.line.bytes", Low, default "1048576",
            valid Validator::Between(1024, 512 * 1024 * 1024);
        /// What becomes of lines that are not UTF-8 in `json`: `base64` adds the line's bytes as `line_base64`, `replace`
        /// shows U+FFFD for what is wrong, `skip` drops the line. `raw` sends the bytes as they are.
        pub invalid_utf8: InvalidUtf8 = "invalid.utf8", Low, default "base64";
        /// How long a file that was renamed or deleted must not have grown before it is left alone.
        pub rotate_wait: Duration = "rotate.wait.ms", Low, default "5000";
        /// Most lines returned at once.
        pub batch_lines_max: usize = "batch.lines.max", Low, default "2000", valid Validator::Between(1, 1_000_000);
        /// Most files held open; others wait until one is left alone.
        pub files_max: usize = "files.max", Low, default "1000", valid Validator::AtLeast(1);
    }
}

/// What a record is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailFormat {
    /// An object of file, line, level and time.
    Json,
    /// The line.
    Raw,
}

impl ConfigValue for TailFormat {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, Expected> {
        match text {
            "json" => Ok(Self::Json),
            "raw" => Ok(Self::Raw),
            _ => Err("`json` or `raw`".into()),
        }
    }
}

/// What becomes of lines that are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUtf8 {
    /// The line's bytes are added in base64.
    Base64,
    /// What is wrong is replaced.
    Replace,
    /// The line is dropped.
    Skip,
}

impl ConfigValue for InvalidUtf8 {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, Expected> {
        match text {
            "base64" => Ok(Self::Base64),
            "replace" => Ok(Self::Replace),
            "skip" => Ok(Self::Skip),
            _ => Err("`base64`, `replace` or `skip`".into()),
        }
    }
}
