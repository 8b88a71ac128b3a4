//! OAUTHBEARER: a client shows a token (JWT) that an issuer has signed (KIP-255, KIP-768).
//!
//! It fails closed: without the issuer's keys, its name and an audience no listener with OAUTHBEARER starts, and a token
//! without signature, expiry, issuer or audience is refused. Signatures are RS256, RS384, RS512, PS256, PS384, PS512,
//! ES256 and ES384; `none` and shared secrets are not among them. See `jwks` for where keys come from.
//!
//! Source: RFC 7628, RFC 7519, RFC 7517; Kafka `OAuthBearerSaslServer`, `BrokerJwtValidator`.

use bytes::Bytes;
use riverrun_core::sasl::{OAuthBearerMessage, base64_decode_url};
use serde_json::Value;

use super::{
    jwks::{Jwks, URL},
    sasl::{Authenticated, SaslFailure, SaslStep},
};
use crate::config::BrokerConfig;

/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// A setting that OAUTHBEARER cannot do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidOAuth {
    pub(crate) setting: &'static str,
    pub(crate) problem: String,
}

/// What tokens are checked against.
#[derive(Debug)]
pub(crate) struct OAuth {
    keys: Jwks,
    issuer: String,
    audiences: Vec<String>,
    skew_ms: i64,
    sub_claim: String,
}

impl OAuth {
    /// Reads the settings, and the keys.
    pub(crate) fn new(config: &BrokerConfig) -> Result<Self, InvalidOAuth> {
        let required = |setting, problem: &str| InvalidOAuth { setting, problem: problem.to_owned() };
        let url = config.sasl_oauthbearer_jwks_endpoint_url.as_deref();
        let url = url.ok_or_else(|| required(URL, "not set: without the issuer's keys no token could be checked"))?;
        let issuer = config.sasl_oauthbearer_expected_issuer.clone().filter(|issuer| !issuer.is_empty());
        let issuer = issuer.ok_or_else(|| {
            required("sasl.oauthbearer.expected.issuer", "not set: tokens of any issuer would be taken")
        })?;
        let audiences = config.sasl_oauthbearer_expected_audience.clone();
        if audiences.is_empty() {
            let problem = "not set: tokens that are meant for others would be taken";
            return Err(required("sasl.oauthbearer.expected.audience", problem));
        }
        Ok(Self {
            keys: Jwks::new(url, config)?,
            issuer,
            audiences,
            skew_ms: i64::from(config.sasl_oauthbearer_clock_skew_seconds) * 1000,
            sub_claim: config.sasl_oauthbearer_sub_claim_name.clone(),
        })
    }

    /// Checks a token and says whose it is.
    pub(crate) fn check(&self, token: &str, wall_ms: i64) -> Result<Authenticated, String> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("the token is too long".to_owned());
        }
        let parts: Vec<_> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err("the token is no signed JWT".to_owned());
        };
        let json = |part: &str, what: &str| -> Result<Value, String> {
            let bytes = base64_decode_url(part).ok_or_else(|| format!("the {what} is no base64"))?;
            serde_json::from_slice(&bytes).map_err(|_| format!("the {what} is no JSON"))
        };
        let parsed = json(header, "header")?;
        let algorithm = parsed.get("alg").and_then(Value::as_str).ok_or("no algorithm")?;
        if parsed.get("crit").is_some() {
            return Err("the header has critical extensions".to_owned());
        }
        let id = parsed.get("kid").and_then(Value::as_str);
        let signature = base64_decode_url(signature).ok_or("the signature is no base64")?;
        let signed = token.rsplit_once('.').map_or("", |(signed, _)| signed);
        let keys = self.keys.get(id);
        let mut fitting = keys.iter().filter(|key| id.is_none() || key.id.as_deref() == id);
        let verified = fitting.any(|key| key.verify(algorithm, signed.as_bytes(), &signature));
        if !verified {
            return Err("no key of the issuer made the signature".to_owned());
        }
        self.check_claims(&json(claims, "claims")?, wall_ms)
    }

    fn check_claims(&self, claims: &Value, wall_ms: i64) -> Result<Authenticated, String> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let time = |name: &str| -> Option<i64> {
            let seconds = claims.get(name)?.as_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "a float's cast saturates")]
            Some((seconds * 1000.0) as i64)
        };
        if text("iss") != Some(self.issuer.as_str()) {
            return Err("it is of another issuer".to_owned());
        }
        let is_ours = |audience: &Value| {
            audience.as_str().is_some_and(|audience| self.audiences.iter().any(|ours| ours == audience))
        };
        let for_us = match claims.get("aud") {
            Some(Value::Array(several)) => several.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        };
        if !for_us {
            return Err("it is meant for others".to_owned());
        }
        let expires = time("exp").ok_or("it has no expiry")?;
        if wall_ms >= expires.saturating_add(self.skew_ms) {
            return Err("it has expired".to_owned());
        }
        for name in ["nbf", "iat"] {
            if claims.get(name).is_some() && time(name).is_none_or(|begin| begin > wall_ms.saturating_add(self.skew_ms))
            {
                return Err("it is not valid yet".to_owned());
            }
        }
        let user = text(&self.sub_claim).filter(|user| !user.is_empty()).ok_or("it names nobody")?;
        Ok(Authenticated { user: user.to_owned(), expires_at_ms: Some(expires) })
    }
}

/// One exchange: the token, or its refusal and the client's acknowledgement of it.
#[derive(Debug, Default)]
pub(crate) struct OAuthExchange {
    refused: Option<String>,
}

impl OAuthExchange {
    pub(crate) fn step(&mut self, oauth: &OAuth, token: &[u8], wall_ms: i64) -> Result<SaslStep, SaslFailure> {
        if let Some(reason) = self.refused.take() {
            return Err(SaslFailure { reason, told: Some("{\"status\":\"invalid_token\"}".to_owned()) });
        }
        let malformed = || SaslFailure::silent("Invalid OAUTHBEARER client first message");
        let message = OAuthBearerMessage::parse(token).ok_or_else(malformed)?;
        match oauth.check(message.token, wall_ms) {
            Ok(done) => {
                if message.authorization_id.is_some_and(|id| id != done.user) {
                    return Err(SaslFailure::silent("the authorization id is not the token's"));
                }
                Ok(SaslStep { token: Bytes::new(), done: Some(done) })
            }
            Err(reason) => {
                // RFC 7628: told in a challenge, and the exchange fails once the client has acknowledged it.
                self.refused = Some(reason);
                Ok(SaslStep { token: Bytes::from_static(b"{\"status\":\"invalid_token\"}"), done: None })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use riverrun_core::sasl::base64_encode;

    use super::*;
    use crate::config::Settings;

    fn url(bytes: &[u8]) -> String {
        base64_encode(bytes).replace('+', "-").replace('/', "_").replace('=', "")
    }

    struct Issuer {
        pair: EcdsaKeyPair,
        oauth: OAuth,
    }

    fn issuer() -> Issuer {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let jwks = serde_json::json!({"keys": [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
            {"kty": "EC", "crv": "P-256", "kid": "one", "x": url(&point[1..33]), "y": url(&point[33..])},
        ]});
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), jwks.to_string()).unwrap();
        let mut settings = Settings::default();
        let location = format!("file://{}", file.path().display());
        settings.set("sasl.oauthbearer.jwks.endpoint.url", &location).unwrap();
        assert!(OAuth::new(settings.config()).is_err(), "an issuer is required");
        settings.set("sasl.oauthbearer.expected.issuer", "https://issuer").unwrap();
        assert!(OAuth::new(settings.config()).is_err(), "an audience is required");
        settings.set("sasl.oauthbearer.expected.audience", "kafka").unwrap();
        Issuer { pair, oauth: OAuth::new(settings.config()).unwrap() }
    }

    impl Issuer {
        fn token(&self, header: &str, claims: &str) -> String {
            let signed = format!("{}.{}", url(header.as_bytes()), url(claims.as_bytes()));
            let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", url(signature.as_ref()))
        }

        fn check(&self, header: &str, claims: &str) -> Result<Authenticated, String> {
            self.oauth.check(&self.token(header, claims), 1_000_000)
        }
    }

    const HEADER: &str = r#"{"alg":"ES256","kid":"one"}"#;

    #[test]
    fn a_token_must_be_signed_current_and_meant_for_us() {
        let issuer = issuer();
        let good = r#"{"iss":"https://issuer","aud":["x","kafka"],"exp":2000,"sub":"alice"}"#;
        let done = issuer.check(HEADER, good).unwrap();
        assert_eq!((done.user.as_str(), done.expires_at_ms), ("alice", Some(2_000_000)));
        for wrong in [
            r#"{"iss":"other","aud":"kafka","exp":2000,"sub":"a"}"#,
            r#"{"aud":"kafka","exp":2000,"sub":"a"}"#,
            r#"{"iss":"https://issuer","aud":"x","exp":2000,"sub":"a"}"#,
            r#"{"iss":"https://issuer","exp":2000,"sub":"a"}"#,
            r#"{"iss":"https://issuer","aud":"kafka","sub":"a"}"#,
            r#"{"iss":"https://issuer","aud":"kafka","exp":900,"sub":"a"}"#,
            r#"{"iss":"https://issuer","aud":"kafka","exp":2000,"nbf":1500,"sub":"a"}"#,
            r#"{"iss":"https://issuer","aud":"kafka","exp":2000}"#,
        ] {
            assert!(issuer.check(HEADER, wrong).is_err(), "{wrong}");
        }
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256","kid":"shared"}"#, r#"{"alg":"RS256","kid":"one"}"#] {
            assert!(issuer.check(header, good).is_err(), "{header}");
        }
        let token = issuer.token(HEADER, good);
        let unsigned = token.rsplit_once('.').unwrap().0;
        assert!(issuer.oauth.check(unsigned, 1_000_000).is_err());
        assert!(issuer.oauth.check(&format!("{unsigned}."), 1_000_000).is_err());
        let other = self::issuer();
        assert!(other.oauth.check(&token, 1_000_000).is_err(), "another issuer's key");
    }

    #[test]
    fn a_refusal_is_told_in_a_challenge_first() {
        let issuer = issuer();
        let mut exchange = OAuthExchange::default();
        let message = "n,,\u{1}auth=Bearer nonsense\u{1}\u{1}";
        let step = exchange.step(&issuer.oauth, message.as_bytes(), 0).unwrap();
        assert!(step.done.is_none());
        assert!(exchange.step(&issuer.oauth, b"\x01", 0).is_err());
        let mut exchange = OAuthExchange::default();
        assert!(exchange.step(&issuer.oauth, b"nonsense", 0).is_err());
    }

    /// A value that a claim may have.
    fn claim() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,9}".prop_map(Value::from),
            prop_oneof![Just("https://issuer"), Just("kafka"), Just("alice")].prop_map(Value::from),
            proptest::collection::vec(prop_oneof![Just("kafka"), Just("x")], 0..3).prop_map(Value::from),
        ]
    }

    proptest! {
        /// Whatever a signed token claims, it is taken only if it names issuer, audience, expiry and user.
        #[test]
        fn any_claims_are_taken_or_refused(
            claims in proptest::collection::hash_map(
                prop_oneof![Just("iss"), Just("aud"), Just("exp"), Just("nbf"), Just("iat"), Just("sub")], claim(), 0..7),
            wall_ms in 0i64..,
        ) {
            let issuer = issuer();
            let token = issuer.token(HEADER, &serde_json::json!(claims).to_string());
            if let Ok(done) = issuer.oauth.check(&token, wall_ms) {
                prop_assert_eq!(claims.get("iss").and_then(Value::as_str), Some("https://issuer"));
                prop_assert_eq!(claims.get("sub").and_then(Value::as_str), Some(done.user.as_str()));
                prop_assert!(claims.contains_key("aud") && done.expires_at_ms.is_some());
            }
        }

        #[test]
        fn any_token_that_nobody_signed_is_refused(
            parts in proptest::collection::vec("[A-Za-z0-9_=.-]{0,40}", 0..5), header in any::<bool>(),
        ) {
            let issuer = issuer();
            let header = if header { format!("{}.", url(HEADER.as_bytes())) } else { String::new() };
            prop_assert!(issuer.oauth.check(&(header + &parts.join(".")), 0).is_err());
        }
    }
}
