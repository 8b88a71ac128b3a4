//! The public keys of a token's issuer (JWKS), from a file or over HTTP, read again as time goes.
//!
//! They are looked at again when a token comes and they are older than `sasl.oauthbearer.jwks.endpoint.refresh.ms`, or
//! for a key id that is not among them, but then not more often than every second. A file is read on the spot. An
//! `http(s)://` URL is asked on a thread of its own while tokens are checked against the keys there are, so a token
//! signed by a key that is new is refused until the answer is there; its client tries again. If keys cannot be had, the
//! old ones stay and the reason is logged. An https server is checked against `ssl.truststore.*` if these are set for
//! the listener, else against the roots the operating system trusts.
//!
//! Source: RFC 7517; Kafka `RefreshingHttpsJwks`, `JwksFileVerificationKeyResolver`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use riverrun_core::sasl::base64_decode_url;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{oauth::InvalidOAuth, pem};
use crate::config::BrokerConfig;

/// The setting that says where they are.
pub(super) const URL: &str = "sasl.oauthbearer.jwks.endpoint.url";

/// The most keys a JWKS may have.
const KEYS_MAX: usize = 256;
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How often an unknown key id may lead to another look.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long an issuer may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where keys come from, and those that came.
#[derive(Debug)]
pub(super) struct Jwks {
    source: Arc<Source>,
    refresh: Duration,
    look_again: Duration,
    keys: Arc<Mutex<Keys>>,
}

#[derive(Debug)]
struct Keys {
    known: Arc<Vec<Key>>,
    looked_at: Instant,
    /// Whether a thread is asking for them.
    is_asking: bool,
}

#[derive(Debug)]
enum Source {
    File(String),
    Http { url: String, agent: ureq::Agent },
}

impl Jwks {
    /// Reads the keys for the first time. Blocks on the disk or, for at most ten seconds, the network.
    pub(super) fn new(url: &str, config: &BrokerConfig) -> Result<Self, InvalidOAuth> {
        let failed = |problem: String| InvalidOAuth { setting: URL, problem };
        let source = match url.strip_prefix("file://") {
            Some(path) => Source::File(path.to_owned()),
            None if url.starts_with("https://") => Source::http(url, &roots(config).map_err(failed)?),
            None if url.starts_with("http://") => {
                tracing::warn!(url, "the issuer's keys come unprotected, anybody on the way can replace them");
                Source::http(url, &[])
            }
            None => return Err(failed(format!("{url} is none of file://, https:// and http://"))),
        };
        let known = source.read().map_err(failed)?;
        let keys = Keys { known: Arc::new(known), looked_at: Instant::now(), is_asking: false };
        Ok(Self {
            source: Arc::new(source),
            refresh: Duration::from_millis(
                u64::try_from(config.sasl_oauthbearer_jwks_endpoint_refresh_ms).unwrap_or(u64::MAX),
            ),
            look_again: LOOK_AGAIN,
            keys: Arc::new(Mutex::new(keys)),
        })
    }

    /// The keys, looked at again if it is time to, or if `id` is not among them.
    pub(super) fn get(&self, id: Option<&str>) -> Arc<Vec<Key>> {
        let mut keys = lock(&self.keys);
        let unknown = id.is_some() && !keys.known.iter().any(|key| key.id.as_deref() == id);
        let age = keys.looked_at.elapsed();
        if !keys.is_asking && (age >= self.refresh || (unknown && age >= self.look_again)) {
            keys.looked_at = Instant::now();
            match *self.source {
                Source::File(_) => keys.take(&self.source, self.source.read()),
                Source::Http { .. } => keys.is_asking = self.ask(),
            }
        }
        Arc::clone(&keys.known)
    }

    /// Asks for keys on a thread of its own. Gives whether it does.
    fn ask(&self) -> bool {
        let (source, keys) = (Arc::clone(&self.source), Arc::clone(&self.keys));
        let ask = move || {
            let answer = source.read();
            let mut keys = lock(&keys);
            keys.take(&source, answer);
            keys.is_asking = false;
        };
        let started = std::thread::Builder::new().name("riverrun-jwks".to_owned()).spawn(ask);
        if let Err(error) = &started {
            tracing::error!(%error, "no thread to ask for the issuer's keys");
        }
        started.is_ok()
    }
}

fn lock(keys: &Mutex<Keys>) -> MutexGuard<'_, Keys> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keys {
    fn take(&mut self, source: &Source, answer: Result<Vec<Key>, String>) {
        match answer {
            Ok(known) => self.known = Arc::new(known),
            Err(error) => tracing::error!(source = source.name(), error, "the issuer's keys stay as they were"),
        }
    }
}

impl Source {
    fn http(url: &str, roots: &[CertificateDer<'static>]) -> Self {
        let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = ureq::Agent::config_builder().tls_config(tls).timeout_global(Some(ANSWER_WITHIN)).build();
        Self::Http { url: url.to_owned(), agent: config.into() }
    }

    fn name(&self) -> &str {
        match self {
            Self::File(name) | Self::Http { url: name, .. } => name,
        }
    }

    fn read(&self) -> Result<Vec<Key>, String> {
        match self {
            Self::File(path) => parse_keys(&pem::read(URL, path).map_err(|error| error.to_string())?),
            Self::Http { url, agent } => {
                let failed = |error: ureq::Error| format!("{url}: {error}");
                let mut answer = agent.get(url).call().map_err(failed)?;
                let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
                parse_keys(&body.read_to_string().map_err(failed)?).map_err(|error| format!("{url}: {error}"))
            }
        }
    }
}

/// Whom an https server's certificate must be from.
fn roots(config: &BrokerConfig) -> Result<Vec<CertificateDer<'static>>, String> {
    const INLINE: &str = "ssl.truststore.certificates";
    const LOCATION: &str = "ssl.truststore.location";
    if let Some(inline) = &config.ssl_truststore_certificates {
        return pem::certificates(INLINE, inline.reveal()).map_err(|error| error.to_string());
    }
    if let Some(path) = &config.ssl_truststore_location {
        let checked = pem::check_type("ssl.truststore.type", &config.ssl_truststore_type);
        let found = checked.and_then(|()| pem::certificates(LOCATION, &pem::read(LOCATION, path)?));
        return found.map_err(|error| error.to_string());
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!("the system trusts no certificate authority{why}; set {LOCATION}"));
    }
    Ok(found.certs)
}

/// One key of an issuer.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) id: Option<String>,
    /// The algorithm it is restricted to, if it is.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
}

impl Key {
    /// Whether `mark` is its signature of `signed`.
    pub(super) fn verify(&self, algorithm: &str, signed: &[u8], mark: &[u8]) -> bool {
        if self.algorithm.as_deref().is_some_and(|only| only != algorithm) {
            return false;
        }
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, _) => {
                let parameters = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, mark).is_ok()
            }
            (Material::P256(point), "ES256") => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(signed, mark).is_ok()
            }
            (Material::P384(point), "ES384") => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(signed, mark).is_ok()
            }
            _ => false,
        }
    }
}

fn parse_keys(text: &str) -> Result<Vec<Key>, String> {
    let set: Value = serde_json::from_str(text).map_err(|error| format!("no JWKS: {error}"))?;
    let listed = set.get("keys").and_then(Value::as_array).ok_or("no JWKS: it has no `keys`")?;
    // Keys of other kinds are other listeners' business.
    let keys: Vec<_> = listed.iter().take(KEYS_MAX).filter_map(parse_key).collect();
    if keys.is_empty() { Err("the JWKS holds no RSA or EC signature key".to_owned()) } else { Ok(keys) }
}

fn parse_key(key: &Value) -> Option<Key> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| base64_decode_url(text(name)?);
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let point = |length: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        (x.len() == length && y.len() == length).then(|| [vec![4], x, y].concat())
    };
    let material = match (text("kty")?, text("crv")) {
        ("RSA", _) => Material::Rsa { n: bytes("n")?, e: bytes("e")? },
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        _ => return None,
    };
    Some(Key { id: text("kid").map(str::to_owned), algorithm: text("alg").map(str::to_owned), material })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::mpsc,
    };

    use proptest::prelude::*;
    use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};

    use super::*;
    use crate::config::Settings;

    fn key_set(id: &str) -> String {
        let point = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        serde_json::json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": id, "x": point, "y": point}]}).to_string()
    }

    /// Answers the first request with the first text, and so on. Gives where it listens.
    fn serve(answers: Vec<String>, tls: Option<Arc<ServerConfig>>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                match &tls {
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        answer_one(&mut StreamOwned::new(connection, stream), &answer);
                    }
                    None => answer_one(&mut stream, &answer),
                }
            }
        });
        port
    }

    /// A client that does not trust the server ends the connection, which is no failure here.
    fn answer_one(stream: &mut (impl Read + Write), answer: &str) {
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"\r\n\r\n") {
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return;
            }
            request.push(byte[0]);
        }
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.flush();
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    fn ids(keys: &[Key]) -> Vec<&str> {
        keys.iter().filter_map(|key| key.id.as_deref()).collect()
    }

    /// Waits for the thread that asks.
    fn settled(jwks: &Jwks) -> Arc<Vec<Key>> {
        let keys = Arc::clone(&jwks.keys);
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            while lock(&keys).is_asking {
                std::thread::yield_now();
            }
            done.send(Arc::clone(&lock(&keys).known)).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("the issuer answered")
    }

    #[test]
    fn keys_come_over_http_and_change() {
        let unavailable = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
        let port = serve(vec![ok(&key_set("one")), unavailable, ok("no JSON"), ok(&key_set("two"))], None);
        let url = format!("http://127.0.0.1:{port}/keys");
        let mut jwks = Jwks::new(&url, Settings::default().config()).unwrap();
        assert_eq!(ids(&jwks.get(Some("two"))), ["one"], "asked a moment ago");
        jwks.look_again = Duration::ZERO;
        assert_eq!(ids(&jwks.get(Some("one"))), ["one"], "a key that is known needs no question");
        for expected in ["one", "one", "two"] {
            assert_eq!(ids(&jwks.get(Some("two"))), ["one"], "a token does not wait for the answer");
            assert_eq!(ids(&settled(&jwks)), [expected], "an answer without keys changes nothing");
        }
        assert_eq!(ids(&jwks.get(Some("two"))), ["two"]);
    }

    #[test]
    fn an_https_issuer_must_be_trusted() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let config = Arc::new(config);

        let port = serve(vec![ok(&key_set("one")), ok(&key_set("one"))], Some(config));
        let url = format!("https://localhost:{port}/keys");
        let mut settings = Settings::default();
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        settings.set("ssl.truststore.type", "PEM").unwrap();
        settings.set("ssl.truststore.certificates", &other.cert.pem()).unwrap();
        let refused = Jwks::new(&url, settings.config()).unwrap_err();
        assert!(refused.problem.starts_with(&url), "{}", refused.problem);
        settings.set("ssl.truststore.certificates", &made.cert.pem()).unwrap();
        assert_eq!(ids(&Jwks::new(&url, settings.config()).unwrap().get(None)), ["one"]);
    }

    #[test]
    fn what_is_no_place_of_keys_is_refused() {
        for (url, expected) in [
            ("ftp://issuer/keys", "is none of file://, https:// and http://"),
            ("file:///nowhere/keys.json", "cannot read /nowhere/keys.json"),
            ("http://127.0.0.1:1/keys", "http://127.0.0.1:1/keys: "),
        ] {
            let refused = Jwks::new(url, Settings::default().config()).unwrap_err();
            assert!(refused.problem.contains(expected), "{url}: {}", refused.problem);
        }
    }

    /// A value that a key's field may have.
    fn field() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[A-Za-z0-9_=+-]{0,86}".prop_map(Value::from),
            prop_oneof![
                Just("RSA"),
                Just("EC"),
                Just("P-256"),
                Just("P-384"),
                Just("sig"),
                Just("ES256"),
                Just("AQAB")
            ]
            .prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_set_or_none(text: String) {
            prop_assert!(parse_keys(&text).is_err());
        }

        #[test]
        fn no_key_made_any_bytes(
            keys in proptest::collection::vec(proptest::collection::hash_map(
                prop_oneof![Just("kty"), Just("crv"), Just("n"), Just("e"), Just("x"), Just("y"), Just("alg"), Just("use")],
                field(), 0..9), 0..4),
            signed in any::<Vec<u8>>(),
            mark in any::<Vec<u8>>(),
        ) {
            let Ok(keys) = parse_keys(&serde_json::json!({ "keys": keys }).to_string()) else { return Ok(()) };
            for algorithm in ["RS256", "RS512", "PS256", "ES256", "ES384", "none", ""] {
                prop_assert!(!keys.iter().any(|key| key.verify(algorithm, &signed, &mark)));
            }
        }
    }
}
