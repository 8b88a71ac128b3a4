//! Why a broker does not start or stop: each names the thing and the remedy.

use std::{error::Error as _, io};

use riverrun_core::metadata::GroupSettingError;

use crate::{config::ConfigError, storage::StorageOpenError};

/// Why a broker does not start. Nothing is lost, and nothing keeps running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the broker sets for all groups contradicts itself.
    #[error(transparent)]
    GroupSettings(#[from] GroupSettingError),
    /// Neither a data directory nor memory was chosen.
    #[error("no place for the data: set log.dirs (or a data directory), or choose to keep everything in memory")]
    NoDataDirectory,
    /// More than one data directory.
    #[error("log.dirs names {count} folders; exactly one is supported")]
    SeveralDataDirectories {
        /// How many there are.
        count: usize,
    },
    /// A listener's address cannot be understood.
    #[error("invalid listener address `{address}`: {reason}")]
    InvalidAddress {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An advertised address belongs to no listener.
    #[error("advertised.listeners names {name}, which listeners does not")]
    AdvertisedListener {
        /// The name of the listener that is missing.
        name: String,
    },
    /// Two listeners have one name.
    #[error("listeners names {name} twice; give each listener a name of its own")]
    DuplicateListener {
        /// The name.
        name: String,
    },
    /// A setting of the security of listeners is wrong.
    #[error("{setting}: {reason}")]
    Security {
        /// The setting.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The keys or certificates of a listener cannot be used.
    #[error("TLS of listener {listener}: {problem}")]
    Tls {
        /// The listener's name.
        listener: String,
        /// What is wrong.
        problem: String,
    },
    /// Another process listens on the address.
    #[error(
        "address {address} is in use by another process; stop that one or listen elsewhere (port 0 takes any free port)"
    )]
    AddressInUse {
        /// The address.
        address: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// It was told to stop before it served. The next start begins where this one did.
    #[error("told to stop before the start was over")]
    Stopped,
    /// The data directory cannot be used.
    #[error("{problem}")]
    DataDirectory {
        /// What is wrong with it, with all causes and the remedy.
        problem: String,
    },
    /// The metadata cannot be read or written.
    #[error("{problem}; restore {METADATA_FOLDER} from a copy, or move the data directory away to start empty")]
    Metadata {
        /// What is wrong with it.
        problem: String,
    },
}

const METADATA_FOLDER: &str = "__cluster_metadata-0";

impl From<StorageOpenError> for StartError {
    fn from(error: StorageOpenError) -> Self {
        if matches!(error, StorageOpenError::Stopped) {
            return Self::Stopped;
        }
        let mut problem = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            problem = format!("{problem}: {cause}");
            source = cause.source();
        }
        Self::DataDirectory { problem }
    }
}

/// A broker stopped, but not cleanly: nothing that was acknowledged is lost, and the next start checks the logs.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ShutdownError {
    /// What went wrong.
    pub(crate) problem: String,
}
