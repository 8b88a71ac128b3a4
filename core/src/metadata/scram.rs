//! SCRAM credentials of users: salted keys, never passwords (KIP-554).
//!
//! Source: Kafka `ScramControlManager`, `ScramImage`.

use std::fmt;

use bytes::Bytes;

use super::{Image, MetadataRecord};
use crate::protocol::{
    ErrorCode,
    records::{RemoveUserScramCredentialRecord, UserScramCredentialRecord},
};

/// The fewest iterations of a credential, for both mechanisms.
pub const SCRAM_ITERATIONS_MIN: i32 = 4_096;
/// The most iterations of a credential: a client pays for each.
pub const SCRAM_ITERATIONS_MAX: i32 = 16_384;

/// A SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramMechanism {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The number on the wire.
    pub const fn wire(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    /// Reads the number on the wire.
    pub fn from_wire(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.wire() == number)
    }

    /// The name in SASL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// Reads the name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Random bytes.
    pub salt: Bytes,
    /// With it the client's proof is checked.
    pub stored_key: Bytes,
    /// With it the server proves itself.
    pub server_key: Bytes,
    /// How often the password was hashed.
    pub iterations: i32,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// One change of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramAlteration {
    /// The user.
    pub user: String,
    /// The mechanism, as on the wire.
    pub mechanism: i8,
    /// The new credential; none to remove the one there is.
    pub credential: Option<ScramCredential>,
}

/// Why a user's credentials do not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlterScramError {
    /// The user has no name.
    #[error("Username must not be empty")]
    EmptyUser,
    /// There is no such mechanism.
    #[error("Unknown SCRAM mechanism")]
    UnknownMechanism,
    /// There is nothing to remove.
    #[error("Attempt to delete a user credential that does not exist")]
    NotFound,
    /// A credential is altered twice.
    #[error("A user credential cannot be altered twice in the same request")]
    Duplicate,
    /// Too cheap to guess.
    #[error("Too few iterations")]
    TooFewIterations,
    /// Too dear for clients.
    #[error("Too many iterations")]
    TooManyIterations,
}

impl From<&AlterScramError> for ErrorCode {
    fn from(error: &AlterScramError) -> Self {
        match error {
            AlterScramError::EmptyUser | AlterScramError::TooFewIterations | AlterScramError::TooManyIterations => {
                Self::UnacceptableCredential
            }
            AlterScramError::UnknownMechanism => Self::UnsupportedSaslMechanism,
            AlterScramError::NotFound => Self::ResourceNotFound,
            AlterScramError::Duplicate => Self::DuplicateResource,
        }
    }
}

/// What becomes of each user named in a request, in the order of their first mention.
pub type ScramOutcome = Vec<(String, Result<(), AlterScramError>)>;

impl Image {
    /// The records that alter credentials, and what becomes of each user. What is wrong with one alteration of a user
    /// keeps all of that user from happening, and nothing of others.
    pub fn alter_scram(&self, alterations: &[ScramAlteration]) -> (Vec<MetadataRecord>, ScramOutcome) {
        let mut outcome: ScramOutcome = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for alteration in alterations {
            let mut checked = self.check_scram(alteration);
            if !seen.insert((&alteration.user, alteration.mechanism)) {
                checked = Err(AlterScramError::Duplicate);
            }
            match outcome.iter_mut().find(|(user, _)| *user == alteration.user) {
                Some((_, result)) if result.is_ok() => *result = checked,
                Some(_) => {}
                None => outcome.push((alteration.user.clone(), checked)),
            }
        }
        let is_fine = |user: &String| outcome.iter().any(|(name, result)| name == user && result.is_ok());
        let records = alterations.iter().filter(|alteration| is_fine(&alteration.user)).map(|alteration| {
            let ScramAlteration { user, mechanism, credential } = alteration.clone();
            match credential {
                Some(ScramCredential { salt, stored_key, server_key, iterations }) => {
                    MetadataRecord::UserScramCredential(UserScramCredentialRecord {
                        name: user,
                        mechanism,
                        salt,
                        stored_key,
                        server_key,
                        iterations,
                    })
                }
                None => {
                    MetadataRecord::RemoveUserScramCredential(RemoveUserScramCredentialRecord { name: user, mechanism })
                }
            }
        });
        (records.collect(), outcome)
    }

    fn check_scram(&self, alteration: &ScramAlteration) -> Result<(), AlterScramError> {
        if alteration.user.is_empty() {
            return Err(AlterScramError::EmptyUser);
        }
        let mechanism = ScramMechanism::from_wire(alteration.mechanism).ok_or(AlterScramError::UnknownMechanism)?;
        match &alteration.credential {
            None if self.scram_credential(&alteration.user, mechanism).is_none() => Err(AlterScramError::NotFound),
            Some(credential) if credential.iterations < SCRAM_ITERATIONS_MIN => Err(AlterScramError::TooFewIterations),
            Some(credential) if credential.iterations > SCRAM_ITERATIONS_MAX => Err(AlterScramError::TooManyIterations),
            _ => Ok(()),
        }
    }
}
