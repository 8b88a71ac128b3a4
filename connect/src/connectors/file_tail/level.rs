//! Which level a log line has, told from the forms that logs commonly have. A guess, never an error: a line that looks
//! like none of them has no level.
//!
//! In this order: a syslog priority `<13>`; a field `level`, `severity` or `lvl` of a JSON or logfmt line (names, or the
//! numbers of pino and bunyan); glog's `E0102 `; a level's name among the first words, in capitals or set off by brackets,
//! quotes or a colon.

use serde::Serialize;

/// A log level; finer ones are folded into these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// Trace, fine, verbose.
    Trace,
    /// Debug.
    Debug,
    /// Info, notice.
    Info,
    /// Warning.
    Warn,
    /// Error and everything worse.
    Error,
}

impl LogLevel {
    /// The level of a line.
    pub fn detect(line: &[u8]) -> Option<Self> {
        let start = line.get(..line.len().min(LOOK_AT)).unwrap_or_default();
        syslog(start).or_else(|| field(start)).or_else(|| glog(start)).or_else(|| word(start))
    }

    /// The name in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        const NAMES: &[(LogLevel, &[&str])] = &[
            (
                LogLevel::Error,
                &["error", "err", "fatal", "critical", "crit", "severe", "alert", "emerg", "emergency", "panic"],
            ),
            (LogLevel::Warn, &["warn", "warning"]),
            (LogLevel::Info, &["info", "information", "notice"]),
            (LogLevel::Debug, &["debug", "dbg"]),
            (LogLevel::Trace, &["trace", "verbose", "fine", "finer", "finest"]),
        ];
        let is_it = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        NAMES.iter().find(|(_, names)| names.iter().any(is_it)).map(|(level, _)| *level)
    }

    /// The numbers of pino and bunyan: 10 trace to 60 fatal.
    fn from_number(number: u32) -> Option<Self> {
        match number {
            10..20 => Some(Self::Trace),
            20..30 => Some(Self::Debug),
            30..40 => Some(Self::Info),
            40..50 => Some(Self::Warn),
            50..=60 => Some(Self::Error),
            _ => None,
        }
    }
}

/// How many bytes of a line are looked at: levels stand at the front.
const LOOK_AT: usize = 512;

/// How many words are looked at for a bare level name.
const WORDS: usize = 24;

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn syslog(line: &[u8]) -> Option<LogLevel> {
    let rest = line.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
    let priority = number(rest.get(..end)?).filter(|priority| *priority <= 191)?;
    Some(match priority & 7 {
        0..=3 => LogLevel::Error,
        4 => LogLevel::Warn,
        5 | 6 => LogLevel::Info,
        _ => LogLevel::Debug,
    })
}

fn glog(line: &[u8]) -> Option<LogLevel> {
    let [letter, month_and_day @ ..] = line.get(..5)? else { return None };
    if !month_and_day.iter().all(u8::is_ascii_digit) || line.get(5) != Some(&b' ') {
        return None;
    }
    match letter {
        b'I' => Some(LogLevel::Info),
        b'W' => Some(LogLevel::Warn),
        b'E' | b'F' => Some(LogLevel::Error),
        _ => None,
    }
}

/// The value behind `level=`, `"level":` and their like.
fn field(line: &[u8]) -> Option<LogLevel> {
    const FIELDS: &[&str] = &["level", "severity", "lvl", "loglevel"];
    words(line).find_map(|(word, before, after)| {
        if !FIELDS.iter().any(|field| word.eq_ignore_ascii_case(field.as_bytes())) {
            return None;
        }
        if before.is_some_and(|byte| !b"\"' ,{\t._".contains(&byte)) {
            return None;
        }
        let value = after.strip_prefix(b"\"").unwrap_or(after).trim_ascii_start();
        let value = value.strip_prefix(b"=").or(value.strip_prefix(b":"))?.trim_ascii_start();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let (word, _, _) = words(value).next().filter(|(_, before, _)| before.is_none())?;
        LogLevel::from_name(word).or_else(|| LogLevel::from_number(number(word)?))
    })
}

fn word(line: &[u8]) -> Option<LogLevel> {
    words(line).take(WORDS).find_map(|(word, before, after)| {
        let level = LogLevel::from_name(word)?;
        let capitals = word.iter().all(u8::is_ascii_uppercase);
        let set_off = before.is_some_and(|byte| b"[(<|".contains(&byte))
            || after.first().is_some_and(|byte| b"]:)>|".contains(byte));
        (capitals || set_off).then_some(level)
    })
}

/// Runs of letters and digits, each with the byte before it and all that comes after.
fn words(line: &[u8]) -> impl Iterator<Item = (&[u8], Option<u8>, &[u8])> {
    let mut rest = line;
    let mut before = None;
    std::iter::from_fn(move || {
        let start = rest.iter().position(u8::is_ascii_alphanumeric)?;
        if let Some(index) = start.checked_sub(1) {
            before = rest.get(index).copied();
        }
        let (_, from) = rest.split_at_checked(start)?;
        let end = from.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(from.len());
        let (word, after) = from.split_at_checked(end)?;
        rest = after;
        let found = (word, before, after);
        before = None;
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_that_logs_have() {
        for (line, level) in [
            ("<11>1 2026-11-21T02:00:00Z host app - - - x", Some(LogLevel::Error)),
            ("<15>Nov 21 02:00:00 host app: x", Some(LogLevel::Debug)),
            ("2026-11-21T02:00:00Z  WARN tower: slow", Some(LogLevel::Warn)),
            ("2026-11-21 02:00:00,123 - root - CRITICAL - down", Some(LogLevel::Error)),
            ("[2026-11-21 02:00:00] [error] [client ::1] no such file", Some(LogLevel::Error)),
            ("[Sat Nov 21 02:00:00 2026] [core:notice] [pid 1] AH00094", Some(LogLevel::Info)),
            ("ts=2026 level=debug msg=x", Some(LogLevel::Debug)),
            ("ts=2026 lvl=\"eror\" msg=x", None),
            ("{\"time\":1,\"level\":\"Warning\",\"msg\":\"ERROR\"}", Some(LogLevel::Warn)),
            ("{\"level\": 50, \"msg\": \"x\"}", Some(LogLevel::Error)),
            ("{\"log.level\":\"trace\"}", Some(LogLevel::Trace)),
            ("E1121 02:00:00.000000 1 main.go:1] x", Some(LogLevel::Error)),
            ("I1121 02:00:00.000000 1 main.go:1] ERROR", Some(LogLevel::Info)),
            ("2026-11-21 02:00:00 UTC [12] LOG:  checkpoint", None),
            ("2026-11-21 02:00:00 UTC [12] ERROR:  relation", Some(LogLevel::Error)),
            ("warning: unused variable", Some(LogLevel::Warn)),
            ("there was no error in the previous run", None),
            ("0 errors, level 3 reached", None),
            ("", None),
            ("<999>x", None),
        ] {
            assert_eq!(LogLevel::detect(line.as_bytes()), level, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_will_do(line in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = LogLevel::detect(&line);
        }
    }
}
