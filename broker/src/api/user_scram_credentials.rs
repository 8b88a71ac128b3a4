//! DescribeUserScramCredentials and AlterUserScramCredentials (API keys 50, 51): SCRAM users (KIP-554). The client
//! salts the password; the broker keeps keys derived from that.

use std::{collections::BTreeMap, sync::Arc};

use riverrun_core::{
    metadata::{AlterScramError, ScramAlteration, ScramMechanism},
    protocol::{
        ErrorCode,
        messages::{
            AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, DescribeUserScramCredentialsRequest,
            DescribeUserScramCredentialsResponse,
            alter_user_scram_credentials::AlterUserScramCredentialsResult,
            describe_user_scram_credentials::{CredentialInfo, DescribeUserScramCredentialsResult},
        },
    },
    sasl::scram,
};

use crate::{Reply, node::Node};

pub(super) fn describe(
    node: &Node,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let image = node.image();
    let mut users: BTreeMap<String, Vec<CredentialInfo>> = BTreeMap::new();
    for mechanism in ScramMechanism::ALL {
        for (user, credential) in image.scram_credentials(mechanism) {
            let info = CredentialInfo { mechanism: mechanism.wire(), iterations: credential.iterations };
            users.entry(user.to_owned()).or_default().push(info);
        }
    }
    let found = |user: String, credential_infos| DescribeUserScramCredentialsResult {
        user,
        credential_infos,
        ..Default::default()
    };
    let wanted = request.users.unwrap_or_default();
    if wanted.is_empty() {
        let results = users.into_iter().map(|(user, infos)| found(user, infos)).collect();
        return DescribeUserScramCredentialsResponse { results, ..Default::default() };
    }
    let mut results: Vec<DescribeUserScramCredentialsResult> = Vec::new();
    for name in wanted.iter().map(|user| &user.name) {
        let count = wanted.iter().filter(|other| other.name == *name).count();
        let refused = |code: ErrorCode, words: &str| DescribeUserScramCredentialsResult {
            user: name.clone(),
            error_code: code.code(),
            error_message: Some(format!("{words}: {name}")),
            ..Default::default()
        };
        if results.iter().any(|result| result.user == *name) {
            continue;
        }
        results.push(match users.remove(name) {
            _ if count > 1 => refused(
                ErrorCode::DuplicateResource,
                "Cannot describe SCRAM credentials for the same user twice in a single request",
            ),
            Some(infos) => found(name.clone(), infos),
            None => refused(ErrorCode::ResourceNotFound, "Attempt to describe a user credential that does not exist"),
        });
    }
    DescribeUserScramCredentialsResponse { results, ..Default::default() }
}

pub(super) fn alter(node: &Arc<Node>, request: AlterUserScramCredentialsRequest) -> Reply {
    let deletions = request.deletions.into_iter().map(|deletion| ScramAlteration {
        user: deletion.name,
        mechanism: deletion.mechanism,
        credential: None,
    });
    let upsertions = request.upsertions.into_iter().map(|upsertion| {
        // An unknown mechanism is refused below; which one stands in for it until then does not matter.
        let mechanism = ScramMechanism::from_wire(upsertion.mechanism).unwrap_or(ScramMechanism::Sha256);
        let (salted, salt) = (&upsertion.salted_password, &upsertion.salt);
        ScramAlteration {
            user: upsertion.name,
            mechanism: upsertion.mechanism,
            credential: Some(scram::credential(mechanism, salted, salt, upsertion.iterations)),
        }
    });
    let alterations: Vec<_> = deletions.chain(upsertions).collect();
    let changed =
        node.metadata.change(|image| Ok::<_, std::convert::Infallible>(image.alter_scram(&alterations)), |_, _| Ok(()));
    let (outcome, committed) = match changed {
        Ok(changed) => changed,
        Err(error) => {
            let error_message = Some(error.to_string());
            let refused = |alteration: ScramAlteration| AlterUserScramCredentialsResult {
                user: alteration.user,
                error_code: ErrorCode::KafkaStorageError.code(),
                error_message: error_message.clone(),
            };
            let results = alterations.into_iter().map(refused).collect();
            return Reply::now(AlterUserScramCredentialsResponse { results, ..Default::default() });
        }
    };
    Reply::later(async move {
        let lost = committed.await.is_err();
        let result = |(user, outcome): (String, Result<(), AlterScramError>)| {
            let (code, error_message) = match &outcome {
                Ok(()) if lost => (ErrorCode::KafkaStorageError, None),
                Ok(()) => (ErrorCode::None, None),
                Err(error) => (ErrorCode::from(error), Some(error.to_string())),
            };
            AlterUserScramCredentialsResult { user, error_code: code.code(), error_message }
        };
        AlterUserScramCredentialsResponse { results: outcome.into_iter().map(result).collect(), ..Default::default() }
    })
}
