//! How a task fails.

use std::{error::Error, io};

use crate::config::ConfigErrors;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a call of a connector failed. The cause is whatever error the connector's own world has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// It may work if tried again: the call is repeated in place with a growing delay.
    #[error("{0}")]
    Retriable(#[source] BoxError),
    /// It needs a new start: the task fails and is started again with a growing delay.
    #[error("{0}")]
    Fatal(#[source] BoxError),
    /// The configuration is wrong: the task fails and stays down, since a new start cannot help.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
}

impl TaskError {
    /// An error, or a text, that is worth another try.
    pub fn retriable(cause: impl Into<BoxError>) -> Self {
        Self::Retriable(cause.into())
    }

    /// An error, or a text, that is not worth another try in place.
    pub fn fatal(cause: impl Into<BoxError>) -> Self {
        Self::Fatal(cause.into())
    }

    /// True if the same call may be tried again.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Retriable(_))
    }
}

/// I/O errors that come from outside and pass are retriable, others are not.
impl From<io::Error> for TaskError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{
            ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, NotConnected, ResourceBusy, TimedOut,
            WouldBlock,
        };
        match error.kind() {
            ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | NotConnected | ResourceBusy
            | TimedOut | WouldBlock => Self::retriable(error),
            _ => Self::fatal(error),
        }
    }
}

/// An error with all its causes on one line; a cause whose text its effect has quoted already is not repeated.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_chains() {
        assert!(TaskError::from(io::Error::from(io::ErrorKind::TimedOut)).is_retriable());
        assert!(!TaskError::from(io::Error::from(io::ErrorKind::PermissionDenied)).is_retriable());
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open {0}")]
        struct Open(&'static str, #[source] io::Error);
        let error = TaskError::fatal(Open("x", io::Error::from(io::ErrorKind::NotFound)));
        assert_eq!(error_chain(&error), "cannot open x: entity not found");
    }
}
