//! SCRAM users: setting and removing credentials, listing who has which.
//!
//! Source: AlterUserScramCredentials, DescribeUserScramCredentials (KIP-554).

use std::collections::BTreeMap;

use bytes::Bytes;
use riverrun_core::{
    metadata::ScramMechanism,
    protocol::{
        ApiKey,
        messages::{
            AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest,
            alter_user_scram_credentials::{ScramCredentialDeletion, ScramCredentialUpsertion},
        },
    },
};

use super::{
    Admin, Refused, Results, item,
    route::{Round, controller_moved, settle},
};
use crate::{ClientError, cluster::retrying, consumer::check};

/// One change of a user's credentials. The password itself never leaves the caller.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScramChange {
    /// Sets the credential of a mechanism.
    Set {
        /// The mechanism.
        mechanism: ScramMechanism,
        /// Random bytes.
        salt: Bytes,
        /// The password, hashed with the salt so often.
        salted_password: Bytes,
        /// How often.
        iterations: i32,
    },
    /// Removes it.
    Remove {
        /// The mechanism.
        mechanism: ScramMechanism,
    },
}

impl std::fmt::Debug for ScramChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, mechanism) = match self {
            Self::Set { mechanism, .. } => ("Set", mechanism),
            Self::Remove { mechanism } => ("Remove", mechanism),
        };
        f.debug_struct(name).field("mechanism", mechanism).finish_non_exhaustive()
    }
}

/// The mechanisms a user has credentials for, with their iterations.
pub type ScramCredentials = BTreeMap<ScramMechanism, i32>;

impl Admin {
    /// Changes SCRAM credentials, one change of each user.
    ///
    /// # Errors
    /// If no broker answers; refusals are in the results.
    pub async fn alter_scram_users(
        &self,
        changes: &BTreeMap<String, ScramChange>,
    ) -> Result<Results<String, ()>, ClientError> {
        settle(self.timeout, changes.keys().cloned(), controller_moved, |open, rounds| async move {
            let address = self.controller(rounds).await?;
            let mut request = AlterUserScramCredentialsRequest::default();
            for name in open {
                match changes.get(&name) {
                    Some(ScramChange::Set { mechanism, salt, salted_password, iterations }) => {
                        request.upsertions.push(ScramCredentialUpsertion {
                            name,
                            mechanism: mechanism.wire(),
                            iterations: *iterations,
                            salt: salt.clone(),
                            salted_password: salted_password.clone(),
                        });
                    }
                    Some(ScramChange::Remove { mechanism }) => {
                        request.deletions.push(ScramCredentialDeletion { name, mechanism: mechanism.wire() });
                    }
                    None => {}
                }
            }
            let response = self.pool.call(&address, |_| request).await?;
            let answers = response.results.into_iter();
            Ok(Round::of(answers.map(|user| (user.user, item(user.error_code, user.error_message, ())))))
        })
        .await
    }

    /// All users with SCRAM credentials.
    ///
    /// # Errors
    /// If no broker answers, or it refuses.
    pub async fn describe_scram_users(&self) -> Result<Results<String, ScramCredentials>, ClientError> {
        retrying(self.timeout, || async {
            let request = |_| DescribeUserScramCredentialsRequest { users: None };
            let response = self.cluster().call_any(request).await?;
            check(ApiKey::DescribeUserScramCredentials, response.error_code)?;
            let users = response.results.into_iter().map(|user| {
                let credentials: Result<(), Refused> = item(user.error_code, user.error_message, ());
                let infos = user.credential_infos.into_iter();
                let infos = infos.filter_map(|i| Some((ScramMechanism::from_wire(i.mechanism)?, i.iterations)));
                (user.user, credentials.map(|()| infos.collect()))
            });
            Ok(users.collect())
        })
        .await
    }
}
