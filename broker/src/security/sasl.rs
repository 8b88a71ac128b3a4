//! SASL of one listener: which mechanisms it has, whom they know, and one exchange with a client.
//!
//! | mechanism | users |
//! |---|---|
//! | PLAIN | `listener.name.<l>.plain.sasl.jaas.config`; over TLS, unless `riverrun.sasl.plain.allow.plaintext` |
//! | SCRAM-SHA-256, -512 | the metadata log |
//! | OAUTHBEARER | whoever has a token that the issuer signed, see `oauth` |
//!
//! Source: Kafka `PlainSaslServer`, `ScramSaslServer`, `OAuthBearerSaslServer`.

use std::collections::BTreeMap;

use bytes::Bytes;
use riverrun_core::{
    metadata::{Image, SCRAM_ITERATIONS_MIN, ScramMechanism},
    sasl::{
        InvalidPlain, PlainMessage, base64_encode, jaas, same_secret,
        scram::{ScramServer, UnknownUsers},
    },
};

use super::{
    listener::SecurityProtocol,
    oauth::{OAuth, OAuthExchange},
};
use crate::{
    StartError,
    config::{BrokerConfig, Secret, Settings},
};

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mechanism {
    Plain,
    Scram(ScramMechanism),
    OAuthBearer,
}

impl Mechanism {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram(scram) => scram.name(),
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "PLAIN" => Some(Self::Plain),
            "OAUTHBEARER" => Some(Self::OAuthBearer),
            other => ScramMechanism::from_name(other).map(Self::Scram),
        }
    }
}

/// Why an authentication failed. `told` is what the client hears.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct SaslFailure {
    /// For the broker's log.
    pub(crate) reason: String,
    /// For the client; none for the general words, which do not say what is wrong.
    pub(crate) told: Option<String>,
}

impl SaslFailure {
    pub(crate) fn silent(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), told: None }
    }

    pub(crate) fn told(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { told: Some(reason.clone()), reason }
    }
}

/// A step of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SaslStep {
    pub(crate) token: Bytes,
    /// Who the client is, at the end.
    pub(crate) done: Option<Authenticated>,
}

/// Who has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authenticated {
    pub(crate) user: String,
    /// When the credential ends, in milliseconds since the Unix epoch.
    pub(crate) expires_at_ms: Option<i64>,
}

/// SASL of one listener.
#[derive(Debug)]
pub(crate) struct SaslListener {
    /// The mechanisms in their order, each with the time after which a client must authenticate again.
    mechanisms: Vec<(Mechanism, Option<i64>)>,
    plain_users: BTreeMap<String, Secret>,
    unknown_users: UnknownUsers,
    oauth: Option<OAuth>,
    /// Bytes of a request before authentication.
    pub(crate) receive_max: usize,
}

/// One exchange.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    Scram(ScramServer),
    OAuth(OAuthExchange),
}

impl SaslListener {
    /// Reads the settings of a listener.
    pub(crate) fn new(settings: &Settings, name: &str, protocol: SecurityProtocol) -> Result<Self, StartError> {
        let wrong = |setting: &str, reason: String| StartError::Security { setting: setting.to_owned(), reason };
        let config = settings.of_listener(name, None);
        let mut mechanisms = Vec::new();
        let mut plain_users = BTreeMap::new();
        let mut oauth = None;
        for mechanism in &config.sasl_enabled_mechanisms {
            let known = Mechanism::from_name(mechanism).ok_or_else(|| {
                let reason = format!(
                    "listener {name}: {mechanism} is not served; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER are"
                );
                wrong("sasl.enabled.mechanisms", reason)
            })?;
            let own = settings.of_listener(name, Some(mechanism));
            match known {
                Mechanism::Plain => plain_users = users_of_plain(&own, name, protocol)?,
                Mechanism::Scram(_) => {}
                Mechanism::OAuthBearer => {
                    oauth = Some(OAuth::new(&own).map_err(|error| wrong(error.setting, error.problem))?);
                }
            }
            mechanisms.push((known, Some(own.connections_max_reauth_ms).filter(|ms| *ms > 0)));
        }
        Ok(Self {
            mechanisms,
            plain_users,
            unknown_users: UnknownUsers::new(rand::random()),
            oauth,
            receive_max: usize::try_from(config.sasl_server_max_receive_size).unwrap_or(usize::MAX),
        })
    }

    /// The names of the mechanisms.
    pub(crate) fn names(&self) -> Vec<String> {
        self.mechanisms.iter().map(|(mechanism, _)| mechanism.name().to_owned()).collect()
    }

    /// Begins an exchange, if there is a mechanism of this name.
    pub(crate) fn begin(&self, name: &str) -> Option<(Mechanism, Exchange)> {
        let (mechanism, _) = self.mechanisms.iter().find(|(mechanism, _)| mechanism.name() == name)?;
        let exchange = match mechanism {
            Mechanism::Plain => Exchange::Plain,
            Mechanism::Scram(scram) => Exchange::Scram(ScramServer::new(*scram)),
            Mechanism::OAuthBearer => Exchange::OAuth(OAuthExchange::default()),
        };
        Some((*mechanism, exchange))
    }

    /// After how many milliseconds a client must authenticate again.
    pub(crate) fn max_reauth_ms(&self, mechanism: Mechanism) -> Option<i64> {
        self.mechanisms.iter().find(|(known, _)| *known == mechanism).and_then(|(_, ms)| *ms)
    }

    /// Takes a client's token.
    pub(crate) fn step(
        &self,
        mechanism: Mechanism,
        exchange: &mut Exchange,
        token: &[u8],
        image: &Image,
        wall_ms: i64,
    ) -> Result<SaslStep, SaslFailure> {
        match exchange {
            Exchange::Plain => self.plain(token),
            Exchange::Scram(server) => {
                let Mechanism::Scram(scram) = mechanism else { return Err(SaslFailure::silent("out of step")) };
                let nonce = base64_encode(&rand::random::<[u8; 24]>());
                let usual = image.scram_credentials(scram).next().map(|(_, credential)| credential.iterations);
                let find = |user: &str| image.scram_credential(user, scram).cloned();
                let usual = usual.unwrap_or(SCRAM_ITERATIONS_MIN);
                let step = server.step(token, &nonce, &self.unknown_users, usual, find);
                let step = step.map_err(|error| SaslFailure::silent(error.to_string()))?;
                let done = step.user.map(|user| Authenticated { user, expires_at_ms: None });
                Ok(SaslStep { token: step.token, done })
            }
            Exchange::OAuth(exchange) => {
                let oauth = self.oauth.as_ref().ok_or_else(|| SaslFailure::silent("no keys of the issuer"))?;
                exchange.step(oauth, token, wall_ms)
            }
        }
    }

    fn plain(&self, token: &[u8]) -> Result<SaslStep, SaslFailure> {
        let failed = |words: &str| SaslFailure::told(format!("Authentication failed: {words}"));
        let message = PlainMessage::parse(token).map_err(|invalid| match invalid {
            InvalidPlain::NotText | InvalidPlain::Parts { .. } => SaslFailure::silent(invalid.to_string()),
            InvalidPlain::NoUser | InvalidPlain::NoPassword => failed(&invalid.to_string()),
        })?;
        let PlainMessage { authorization_id, user, password } = message;
        let expected = self.plain_users.get(user);
        // A user that does not exist costs the same comparison.
        let fits = same_secret(password.as_bytes(), expected.map_or("", |password| password.reveal()).as_bytes());
        if !fits || expected.is_none() {
            return Err(failed("Invalid username or password"));
        }
        if authorization_id.is_some_and(|id| id != user) {
            return Err(failed("Client requested an authorization id that is different from username"));
        }
        let done = Authenticated { user: user.to_owned(), expires_at_ms: None };
        Ok(SaslStep { token: Bytes::new(), done: Some(done) })
    }
}

fn users_of_plain(
    config: &BrokerConfig,
    listener: &str,
    protocol: SecurityProtocol,
) -> Result<BTreeMap<String, Secret>, StartError> {
    let setting = format!("listener.name.{}.plain.sasl.jaas.config", listener.to_ascii_lowercase());
    if !protocol.has_tls() && !config.riverrun_sasl_plain_allow_plaintext {
        return Err(StartError::Security {
            setting: "sasl.enabled.mechanisms".to_owned(),
            reason: format!(
                "listener {listener} has no TLS, and PLAIN would send passwords as they are; use SASL_SSL or SCRAM, or \
                 set riverrun.sasl.plain.allow.plaintext=true"
            ),
        });
    }
    let Some(text) = &config.sasl_jaas_config else {
        return Err(StartError::Security { setting, reason: "not set, so PLAIN has no users".to_owned() });
    };
    let module = jaas::parse(text.reveal());
    let module = module.map_err(|error| StartError::Security { setting, reason: error.to_string() })?;
    Ok(module.users().map(|(user, password)| (user.to_owned(), Secret::new(password))).collect())
}
