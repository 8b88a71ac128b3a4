//! Server-side TLS of one listener, and the reloading of its certificates.
//!
//! Certificates change without a restart in two ways: their settings are altered (IncrementalAlterConfigs, also with the
//! value they have), or a file changes. Files are looked at when a connection comes, at most once in [`LOOK_EVERY`]: no
//! timer runs for them. What cannot be read or does not fit together leaves what was there in force.
//!
//! Source: Kafka `SslFactory`, `DefaultSslEngineFactory`; KIP-226, KIP-651.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

use super::pem::{self, StoreError};
use crate::config::{BrokerConfig, Secret};

/// How often files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What became of new certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    /// They are the same.
    Unchanged,
    /// New connections get the new ones.
    Changed,
}

/// TLS of one listener.
#[derive(Debug)]
pub(crate) struct TlsListener {
    settings: Mutex<StoreSettings>,
    server: RwLock<Arc<ServerConfig>>,
    look: Mutex<Look>,
}

/// When the files were last looked at, and how they were.
#[derive(Debug)]
struct Look {
    at: Instant,
    stamps: [Option<(SystemTime, u64)>; 2],
}

/// The settings that TLS is made from.
#[derive(Debug, Clone, PartialEq)]
struct StoreSettings {
    config: Box<BrokerConfig>,
}

impl TlsListener {
    /// Reads keys and certificates.
    pub(crate) fn new(config: &BrokerConfig) -> Result<Self, StoreError> {
        let settings = StoreSettings { config: Box::new(config.clone()) };
        let look = Look { at: Instant::now(), stamps: settings.stamps() };
        let server = Arc::new(settings.build()?);
        Ok(Self { settings: Mutex::new(settings), server: RwLock::new(server), look: Mutex::new(look) })
    }

    /// What the next connection is to be greeted with.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        if self.files_changed() {
            let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match settings.build() {
                Ok(server) => {
                    tracing::info!("certificate files changed, new ones are in force");
                    self.put(server);
                }
                Err(error) => tracing::error!(%error, "certificate files changed; those before stay in force"),
            }
        }
        Arc::clone(&self.server.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes altered settings.
    pub(crate) fn reconfigure(&self, config: &BrokerConfig) -> Result<Reload, StoreError> {
        let settings = StoreSettings { config: Box::new(config.clone()) };
        {
            let current = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            if current.same_stores(&settings) && !self.files_changed() {
                return Ok(Reload::Unchanged);
            }
        }
        let server = settings.build()?;
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        self.put(server);
        Ok(Reload::Changed)
    }

    fn put(&self, server: ServerConfig) {
        *self.server.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(server);
    }

    /// Whether a file is another than when last looked at; `false` if that was just now.
    fn files_changed(&self) -> bool {
        let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(look.at) < LOOK_EVERY {
            return false;
        }
        look.at = now;
        let stamps = match self.settings.try_lock() {
            Ok(settings) => settings.stamps(),
            Err(_) => return false,
        };
        let changed = stamps != look.stamps;
        look.stamps = stamps;
        changed
    }
}

impl StoreSettings {
    fn stamps(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.config.ssl_keystore_location, &self.config.ssl_truststore_location].map(|location| {
            let metadata = fs::metadata(location.as_ref()?).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    fn same_stores(&self, other: &Self) -> bool {
        self.config == other.config
    }

    fn build(&self) -> Result<ServerConfig, StoreError> {
        let config = &self.config;
        let provider = Arc::new(provider(config)?);
        let rejected = |error: rustls::Error| StoreError::Rejected { problem: error.to_string() };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&versions(config)).map_err(rejected)?;
        let builder = match self.client_verifier(&provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = match (&config.ssl_keystore_certificate_chain, &config.ssl_keystore_key) {
            (None, None) => {
                pem::check_type("ssl.keystore.type", &config.ssl_keystore_type)?;
                let setting = "ssl.keystore.location";
                let location = config.ssl_keystore_location.as_ref();
                let location = location
                    .ok_or(StoreError::Missing { location: setting, inline: "ssl.keystore.certificate.chain" })?;
                let text = pem::read(setting, location)?;
                let key = pem::private_key(setting, &text, config.ssl_key_password.as_ref())?;
                (pem::certificates(setting, &text)?, key)
            }
            (chain, key) => {
                pem::check_type("ssl.keystore.type", &config.ssl_keystore_type)?;
                let reveal = |text: &Option<Secret>| text.as_ref().map(|s| s.reveal().to_owned()).unwrap_or_default();
                let key = pem::private_key("ssl.keystore.key", &reveal(key), config.ssl_key_password.as_ref())?;
                (pem::certificates("ssl.keystore.certificate.chain", &reveal(chain))?, key)
            }
        };
        let mut server = builder.with_single_cert(chain, key).map_err(rejected)?;
        // A resumed session would keep the identity of a certificate that has been withdrawn since.
        if self.wants_certificates() {
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(server)
    }

    fn wants_certificates(&self) -> bool {
        !self.config.ssl_client_auth.eq_ignore_ascii_case("none")
    }

    fn client_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, StoreError> {
        if !self.wants_certificates() {
            return Ok(None);
        }
        let config = &self.config;
        let roots = match (&config.ssl_truststore_certificates, &config.ssl_truststore_location) {
            (Some(text), _) => {
                pem::check_type("ssl.truststore.type", &config.ssl_truststore_type)?;
                pem::roots("ssl.truststore.certificates", text.reveal())?
            }
            (None, Some(location)) => {
                pem::check_type("ssl.truststore.type", &config.ssl_truststore_type)?;
                let setting = "ssl.truststore.location";
                pem::roots(setting, &pem::read(setting, location)?)?
            }
            (None, None) => {
                let (location, inline) = ("ssl.truststore.location", "ssl.truststore.certificates");
                return Err(StoreError::Missing { location, inline });
            }
        };
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        if config.ssl_client_auth.eq_ignore_ascii_case("requested") {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| StoreError::Rejected { problem: error.to_string() })?;
        Ok(Some(verifier))
    }
}

/// The versions of TLS that `ssl.enabled.protocols` names.
fn versions(config: &BrokerConfig) -> Vec<&'static SupportedProtocolVersion> {
    let enabled = |name: &str| config.ssl_enabled_protocols.iter().any(|enabled| enabled == name);
    [("TLSv1.3", &TLS13), ("TLSv1.2", &TLS12)].into_iter().filter(|(name, _)| enabled(name)).map(|(_, v)| v).collect()
}

/// The cryptography, with the cipher suites that `ssl.cipher.suites` names.
fn provider(config: &BrokerConfig) -> Result<CryptoProvider, StoreError> {
    let mut provider = ring::default_provider();
    if config.ssl_cipher_suites.is_empty() {
        return Ok(provider);
    }
    let name = |suite: &rustls::SupportedCipherSuite| {
        // Java and the RFCs do not write TLS13_ where the library does.
        format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
    };
    let wanted = &config.ssl_cipher_suites;
    provider.cipher_suites.retain(|suite| wanted.contains(&name(suite)));
    if provider.cipher_suites.is_empty() {
        let known: Vec<_> = ring::default_provider().cipher_suites.iter().map(name).collect();
        return Err(StoreError::Rejected {
            problem: format!("ssl.cipher.suites names no suite that is served: {}", known.join(", ")),
        });
    }
    Ok(provider)
}
