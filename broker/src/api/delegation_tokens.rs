//! CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken and DescribeDelegationToken (API keys 38 to 41, KIP-48):
//! there are none, and each is answered as by a broker of Kafka that has no `delegation.token.secret.key`.
//!
//! DELEGATION_TOKEN_REQUEST_NOT_ALLOWED (64) for those who did not say who they are, DELEGATION_TOKEN_AUTH_DISABLED (61) for
//! all others.
//!
//! Source: Kafka `KafkaApis#allowTokenRequests`, `DelegationTokenControlManager`.

use riverrun_core::protocol::{
    ErrorCode,
    messages::{
        CreateDelegationTokenRequest, CreateDelegationTokenResponse, DescribeDelegationTokenResponse,
        ExpireDelegationTokenResponse, RenewDelegationTokenResponse,
    },
};

use crate::{Principal, RequestContext};

/// In place of a time.
const NONE: i64 = -1;

fn refusal(context: &RequestContext) -> i16 {
    if context.principal == Principal::anonymous() {
        ErrorCode::DelegationTokenRequestNotAllowed.code()
    } else {
        ErrorCode::DelegationTokenAuthDisabled.code()
    }
}

pub(super) fn create(context: &RequestContext, request: CreateDelegationTokenRequest) -> CreateDelegationTokenResponse {
    let requester = &context.principal;
    let owner = request.owner_principal_name.filter(|name| !name.is_empty());
    let (principal_type, principal_name) = match owner {
        Some(name) => (request.owner_principal_type.unwrap_or_default(), name),
        None => (requester.kind().to_owned(), requester.name().to_owned()),
    };
    // Who asks is told from version 3 on.
    let told = |text: &str| if context.api_version >= 3 { text.to_owned() } else { String::new() };
    CreateDelegationTokenResponse {
        error_code: refusal(context),
        principal_type,
        principal_name,
        token_requester_principal_type: told(requester.kind()),
        token_requester_principal_name: told(requester.name()),
        issue_timestamp_ms: NONE,
        expiry_timestamp_ms: NONE,
        max_timestamp_ms: NONE,
        ..Default::default()
    }
}

pub(super) fn renew(context: &RequestContext) -> RenewDelegationTokenResponse {
    RenewDelegationTokenResponse { error_code: refusal(context), expiry_timestamp_ms: NONE, ..Default::default() }
}

pub(super) fn expire(context: &RequestContext) -> ExpireDelegationTokenResponse {
    ExpireDelegationTokenResponse { error_code: refusal(context), expiry_timestamp_ms: NONE, ..Default::default() }
}

pub(super) fn describe(context: &RequestContext) -> DescribeDelegationTokenResponse {
    DescribeDelegationTokenResponse { error_code: refusal(context), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_may_not_ask_and_others_learn_that_there_are_none() {
        let mut context = RequestContext::in_process(1, 3, None);
        let owner = CreateDelegationTokenRequest {
            owner_principal_type: Some("User".to_owned()),
            owner_principal_name: Some("carol".to_owned()),
            ..Default::default()
        };
        for (asking, name, code) in [
            (Principal::anonymous(), "ANONYMOUS", ErrorCode::DelegationTokenRequestNotAllowed),
            (Principal::user("alice"), "alice", ErrorCode::DelegationTokenAuthDisabled),
        ] {
            context.principal = asking;
            let own = create(&context, CreateDelegationTokenRequest::default());
            assert_eq!((own.error_code, own.principal_name.as_str()), (code.code(), name));
            assert_eq!(own.token_requester_principal_name, name);
            let others = create(&context, owner.clone());
            assert_eq!((others.principal_name.as_str(), others.max_timestamp_ms), ("carol", -1));
            let codes = [renew(&context).error_code, expire(&context).error_code, describe(&context).error_code];
            assert_eq!(codes, [code.code(); 3]);
        }
    }
}
