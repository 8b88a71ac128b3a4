//! Which versions of each API both sides know, asked once per connection (KIP-35, KIP-511). A broker that does not
//! know our version of the question answers in version 0 and is asked again in one that it knows.

use std::{collections::HashMap, ops::RangeInclusive};

use riverrun_core::protocol::{
    ApiKey, ErrorCode, RequestBody, ResponseBody,
    messages::{ApiVersionsRequest, ApiVersionsResponse},
    supported_versions,
};

use crate::error::CallError;

/// The versions in common, by API.
pub(super) type Versions = HashMap<ApiKey, RangeInclusive<i16>>;

/// What to do with an answer.
#[derive(Debug)]
pub(super) enum Answer {
    Agreed(Versions),
    /// Ask again in this version.
    AskAgain(i16),
}

/// The newest version of the question.
pub(super) fn newest() -> i16 {
    *supported_versions(ApiKey::ApiVersions).end()
}

/// The question.
pub(super) fn question(version: i16) -> RequestBody {
    let mut request = ApiVersionsRequest::default();
    if version >= 3 {
        request.client_software_name = "riverrun".to_owned();
        request.client_software_version = env!("CARGO_PKG_VERSION").to_owned();
    }
    request.into()
}

/// Reads the answer to a question of `version`.
pub(super) fn answer(version: i16, response: Option<ResponseBody>) -> Result<Answer, CallError> {
    let response = response.ok_or(CallError::OutOfStep)?;
    let response = ApiVersionsResponse::try_from(response).map_err(|_| CallError::OutOfStep)?;
    match ErrorCode::from_code(response.error_code) {
        ErrorCode::None => Ok(Answer::Agreed(in_common(&response))),
        ErrorCode::UnsupportedVersion if version > 0 => {
            let known = response.api_keys.iter().find(|api| api.api_key == ApiKey::ApiVersions.code());
            Ok(Answer::AskAgain(known.map_or(0, |api| api.max_version.clamp(0, version - 1))))
        }
        code => Err(CallError::Broker { api: ApiKey::ApiVersions, code }),
    }
}

fn in_common(response: &ApiVersionsResponse) -> Versions {
    let common = response.api_keys.iter().filter_map(|api| {
        let key = ApiKey::try_from(api.api_key).ok()?;
        let ours = supported_versions(key);
        let (first, last) = (api.min_version.max(*ours.start()), api.max_version.min(*ours.end()));
        (first <= last).then_some((key, first..=last))
    });
    common.collect()
}

#[cfg(test)]
mod tests {
    use riverrun_core::protocol::messages::api_versions::ApiVersion;

    use super::*;

    fn response(error_code: i16, apis: &[(i16, i16, i16)]) -> Option<ResponseBody> {
        let api =
            |&(api_key, min_version, max_version): &(i16, i16, i16)| ApiVersion { api_key, min_version, max_version };
        let api_keys = apis.iter().map(api).collect();
        Some(ApiVersionsResponse { error_code, api_keys, ..Default::default() }.into())
    }

    #[test]
    fn the_intersection_counts() {
        let apis = [(0, 0, 2), (1, 0, 99), (18, 0, 3), (9999, 0, 1)];
        let Ok(Answer::Agreed(versions)) = answer(4, response(0, &apis)) else { panic!("not agreed") };
        assert!(!versions.contains_key(&ApiKey::Produce), "a broker that knows Produce 0-2 only shares none with us");
        assert_eq!(versions[&ApiKey::Fetch], supported_versions(ApiKey::Fetch));
        assert_eq!(versions[&ApiKey::ApiVersions], 0..=3);
    }

    #[test]
    fn an_older_broker_is_asked_again() {
        assert!(matches!(answer(4, response(35, &[(18, 0, 2)])), Ok(Answer::AskAgain(2))));
        assert!(matches!(answer(4, response(35, &[])), Ok(Answer::AskAgain(0))));
        assert!(answer(0, response(35, &[])).is_err());
        assert!(answer(4, None).is_err());
    }
}
