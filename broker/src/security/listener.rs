//! What one listener asks of its connections: its name, its security protocol and the settings that hold for it.
//!
//! Source: Kafka `ListenerName`, `SecurityProtocol`, `KafkaConfig.effectiveListenerSecurityProtocolMap`.

use std::{str::FromStr, sync::Arc, time::Duration};

use super::{
    principal::PrincipalRules,
    sasl::SaslListener,
    tls::{Reload, TlsListener},
};
use crate::{
    StartError,
    config::{BrokerConfig, Settings},
};

/// How a listener secures its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL authentication, not encrypted.
    SaslPlaintext,
    /// SASL authentication in TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Whether connections are encrypted.
    pub(crate) fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether clients authenticate by SASL.
    pub(crate) fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl FromStr for SecurityProtocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.trim().to_ascii_uppercase().as_str() {
            "PLAINTEXT" => Ok(Self::Plaintext),
            "SSL" => Ok(Self::Ssl),
            "SASL_PLAINTEXT" => Ok(Self::SaslPlaintext),
            "SASL_SSL" => Ok(Self::SaslSsl),
            _ => Err(()),
        }
    }
}

/// The security protocol of a listener by its name, from `listener.security.protocol.map`.
pub(crate) fn listener_protocol(config: &BrokerConfig, name: &str) -> Result<SecurityProtocol, StartError> {
    let wrong = |reason: String| StartError::Security { setting: "listener.security.protocol.map".to_owned(), reason };
    let mut found = None;
    for entry in &config.listener_security_protocol_map {
        let (listener, protocol) =
            entry.split_once(':').ok_or_else(|| wrong(format!("`{entry}` is not of the form NAME:PROTOCOL")))?;
        let protocol = protocol.parse().map_err(|()| {
            wrong(format!("`{protocol}` is no security protocol: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL are"))
        })?;
        if listener.trim().eq_ignore_ascii_case(name) {
            found = Some(protocol);
        }
    }
    found.ok_or_else(|| wrong(format!("listener {name} has no security protocol in it")))
}

/// The settings of one listener. On one with SASL, clients show certificates only if that listener itself asks for them
/// (KIP-684).
fn listener_config(settings: &Settings, name: &str) -> Result<BrokerConfig, StartError> {
    let mut config = settings.of_listener(name, None);
    if listener_protocol(&config, name)?.has_sasl() && !settings.is_listeners_own(name, "ssl.client.auth") {
        config.ssl_client_auth = "none".to_owned();
    }
    Ok(config)
}

/// What one listener asks of its connections.
#[derive(Debug)]
pub(crate) struct ListenerSecurity {
    /// Its name, in capitals.
    pub(crate) name: String,
    pub(crate) protocol: SecurityProtocol,
    /// TLS, if the protocol has it.
    pub(crate) tls: Option<TlsListener>,
    /// SASL, if the protocol has it.
    pub(crate) sasl: Option<SaslListener>,
    /// How long a failed authentication is kept waiting for the news.
    pub(crate) failed_delay: Duration,
    /// What a certificate's name becomes.
    pub(crate) principal_rules: PrincipalRules,
    /// Until when a connection must have done its TLS handshake and authenticated.
    pub(crate) authentication_timeout: Duration,
}

impl ListenerSecurity {
    /// Reads the settings of the listener `name`. Reads certificates from the disk.
    pub(crate) fn new(settings: &Settings, name: &str) -> Result<Arc<Self>, StartError> {
        let config = listener_config(settings, name)?;
        let protocol = listener_protocol(&config, name)?;
        let tls = protocol.has_tls().then(|| TlsListener::new(&config)).transpose();
        let tls = tls.map_err(|error| StartError::Tls { listener: name.to_owned(), problem: error.to_string() })?;
        let principal_rules = config.ssl_principal_mapping_rules.parse();
        let principal_rules = principal_rules.map_err(|error: super::principal::InvalidRules| {
            StartError::Security { setting: "ssl.principal.mapping.rules".to_owned(), reason: error.to_string() }
        })?;
        let millis = |value: i32| Duration::from_millis(u64::try_from(value).unwrap_or(0));
        Ok(Arc::new(Self {
            name: name.to_owned(),
            protocol,
            tls,
            sasl: protocol.has_sasl().then(|| SaslListener::new(settings, name, protocol)).transpose()?,
            failed_delay: millis(config.connection_failed_authentication_delay_ms),
            principal_rules,
            authentication_timeout: millis(config.riverrun_authentication_timeout_ms),
        }))
    }

    /// Takes altered settings: certificates and keys. What cannot be used changes nothing.
    pub(crate) fn reconfigure(&self, settings: &Settings) {
        let Some(tls) = &self.tls else { return };
        let Ok(config) = listener_config(settings, &self.name) else { return };
        match tls.reconfigure(&config) {
            Ok(Reload::Unchanged) => {}
            Ok(Reload::Changed) => tracing::info!(listener = self.name, "certificates exchanged"),
            Err(error) => tracing::error!(listener = self.name, %error, "the certificates stay as they are"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lead_to_protocols() {
        let mut settings = Settings::default();
        assert_eq!(listener_protocol(settings.config(), "SASL_SSL").unwrap(), SecurityProtocol::SaslSsl);
        assert!(listener_protocol(settings.config(), "OUTSIDE").is_err());
        settings.set("listener.security.protocol.map", "OUTSIDE:ssl,B:nonsense").unwrap();
        assert!(listener_protocol(settings.config(), "OUTSIDE").is_err(), "a wrong entry is not passed over");
        settings.set("listener.security.protocol.map", "outside:ssl").unwrap();
        assert_eq!(listener_protocol(settings.config(), "OUTSIDE").unwrap(), SecurityProtocol::Ssl);
    }

    proptest! {
        /// A map with an entry that is none is refused as a whole, whichever listener is asked for.
        #[test]
        fn any_map_is_read_or_refused(entries in proptest::collection::vec("[A-Za-z:_ é]{0,12}", 0..4), own in any::<bool>()) {
            let mut entries = entries;
            if own {
                entries.push("OWN:SASL_SSL".to_owned());
            }
            let mut settings = Settings::default();
            if settings.set("listener.security.protocol.map", &entries.join(",")).is_err() {
                return Ok(());
            }
            match listener_protocol(settings.config(), "own") {
                Ok(protocol) => prop_assert!(own && protocol == SecurityProtocol::SaslSsl),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
