//! SCRAM: a client proves that it knows a password, and the server that it knows the client's keys, without either
//! sending them (RFC 5802, RFC 7677, KIP-84).
//!
//! ```text
//! client                                      server
//! n,,n=user,r=C                           ->
//!                                         <-  r=CS,s=salt,i=iterations
//! c=biws,r=CS,p=proof                     ->
//!                                         <-  v=signature
//! ```
//! The server answers an unknown user as it does a known one: with a salt that stays the same for that name, and a
//! refusal only after the proof. Proofs and signatures are compared in constant time.
//!
//! Not here: channel binding, authorization ids other than the user, delegation tokens.
//!
//! Source: Kafka `ScramSaslServer`, `ScramSaslClient`, `ScramFormatter`, `ScramMessages`.

use std::{fmt, num::NonZeroU32};

use bytes::Bytes;
use ring::{digest, hmac, pbkdf2};

use super::{base64, same_secret};
use crate::metadata::{SCRAM_ITERATIONS_MIN, ScramCredential, ScramMechanism};

/// The longest message that is read.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// The most iterations a client lets a server ask for: each costs it time.
const CLIENT_ITERATIONS_MAX: u32 = 1_000_000;
/// `n,,` in base64: no channel binding, no authorization id.
const NO_BINDING: &str = "biws";

/// Why an exchange failed. What the other side is told is for the caller to say, and should not be more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// A message is not of the expected form.
    #[error("malformed SCRAM message")]
    Malformed,
    /// A client wants to act for somebody else.
    #[error("the authorization id differs from the user")]
    AuthorizationId,
    /// The nonce is not the one of this exchange.
    #[error("the nonce belongs to another exchange")]
    Nonce,
    /// The client does not know the password, or there is no such user.
    #[error("invalid credentials")]
    InvalidProof,
    /// The server does not know the keys.
    #[error("the server's signature is wrong")]
    InvalidSignature,
    /// The server refused.
    #[error("the server refused the proof")]
    Refused,
    /// The iterations are too few to be safe or too many to be done.
    #[error("{0} iterations are asked for")]
    Iterations(u32),
    /// The exchange is over.
    #[error("a message after the end of the exchange")]
    AfterEnd,
}

fn hmac_algorithm(mechanism: ScramMechanism) -> hmac::Algorithm {
    match mechanism {
        ScramMechanism::Sha256 => hmac::HMAC_SHA256,
        ScramMechanism::Sha512 => hmac::HMAC_SHA512,
    }
}

fn hash(mechanism: ScramMechanism, bytes: &[u8]) -> Vec<u8> {
    let algorithm = match mechanism {
        ScramMechanism::Sha256 => &digest::SHA256,
        ScramMechanism::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, bytes).as_ref().to_vec()
}

fn mac(mechanism: ScramMechanism, key: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac_algorithm(mechanism), key), bytes).as_ref().to_vec()
}

/// The length of the keys of a mechanism.
pub fn key_length(mechanism: ScramMechanism) -> usize {
    hmac_algorithm(mechanism).digest_algorithm().output_len()
}

/// The password, hashed with the salt so often.
pub fn salted_password(mechanism: ScramMechanism, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
    let algorithm = match mechanism {
        ScramMechanism::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        ScramMechanism::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
    };
    let mut salted = vec![0; key_length(mechanism)];
    pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
    salted
}

/// What is to be kept of a salted password.
pub fn credential(mechanism: ScramMechanism, salted: &[u8], salt: &[u8], iterations: i32) -> ScramCredential {
    let client_key = mac(mechanism, salted, b"Client Key");
    ScramCredential {
        salt: Bytes::copy_from_slice(salt),
        stored_key: hash(mechanism, &client_key).into(),
        server_key: mac(mechanism, salted, b"Server Key").into(),
        iterations,
    }
}

/// What is to be kept of a password.
pub fn credential_of_password(
    mechanism: ScramMechanism,
    password: &str,
    salt: &[u8],
    iterations: NonZeroU32,
) -> ScramCredential {
    let salted = salted_password(mechanism, password, salt, iterations);
    credential(mechanism, &salted, salt, i32::try_from(iterations.get()).unwrap_or(i32::MAX))
}

/// The secret from which a server makes what it shows of users that do not exist.
#[derive(Clone)]
pub struct UnknownUsers {
    secret: [u8; 32],
}

impl fmt::Debug for UnknownUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnknownUsers")
    }
}

impl UnknownUsers {
    /// Takes random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// A credential that no password fits, the same for each name.
    fn credential(&self, mechanism: ScramMechanism, user: &str, iterations: i32) -> ScramCredential {
        let of = |what: &str| mac(mechanism, &self.secret, format!("{what}\0{user}").as_bytes());
        // Kafka's salts are 130 random bits written in base 36.
        let salt = of("salt").into_iter().cycle().take(26).map(|byte| match byte % 36 {
            digit @ 0..=9 => b'0' + digit,
            letter => b'a' + letter - 10,
        });
        ScramCredential {
            salt: salt.collect(),
            stored_key: of("stored").into(),
            server_key: of("server").into(),
            iterations,
        }
    }
}

/// The server's side of one exchange.
#[derive(Debug)]
pub struct ScramServer {
    mechanism: ScramMechanism,
    state: ServerState,
}

#[derive(Debug)]
enum ServerState {
    Begin,
    Challenged { user: String, exists: bool, credential: ScramCredential, nonce: String, auth_message: String },
    Over,
}

/// What the server says, and who the client is once it has proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStep {
    /// The token for the client.
    pub token: Bytes,
    /// The user, at the end.
    pub user: Option<String>,
}

impl ScramServer {
    /// Begins an exchange.
    pub fn new(mechanism: ScramMechanism) -> Self {
        Self { mechanism, state: ServerState::Begin }
    }

    /// Takes the client's next token. `server_nonce` is random text without commas; `find` knows the users.
    ///
    /// # Errors
    /// If the client is not let in. The exchange is over then.
    pub fn step(
        &mut self,
        token: &[u8],
        server_nonce: &str,
        unknown: &UnknownUsers,
        iterations_usual: i32,
        find: impl FnOnce(&str) -> Option<ScramCredential>,
    ) -> Result<ServerStep, ScramError> {
        let message = text(token)?;
        match std::mem::replace(&mut self.state, ServerState::Over) {
            ServerState::Begin => {
                let first = ClientFirst::parse(message)?;
                let found = find(&first.user);
                let exists = found.is_some();
                let credential =
                    found.unwrap_or_else(|| unknown.credential(self.mechanism, &first.user, iterations_usual));
                let nonce = format!("{}{server_nonce}", first.nonce);
                let challenge = format!("r={nonce},s={},i={}", base64::encode(&credential.salt), credential.iterations);
                let auth_message = format!("{},{challenge}", first.bare);
                self.state = ServerState::Challenged { user: first.user, exists, credential, nonce, auth_message };
                Ok(ServerStep { token: challenge.into(), user: None })
            }
            ServerState::Challenged { user, exists, credential, nonce, auth_message } => {
                let last = ClientFinal::parse(message)?;
                if last.nonce != nonce {
                    return Err(ScramError::Nonce);
                }
                let auth_message = format!("{auth_message},{}", last.without_proof);
                let signature = mac(self.mechanism, &credential.stored_key, auth_message.as_bytes());
                let client_key = xor(&signature, &last.proof).ok_or(ScramError::InvalidProof)?;
                let stored = hash(self.mechanism, &client_key);
                let fits = same_secret(&stored, &credential.stored_key);
                if !fits || !exists {
                    return Err(ScramError::InvalidProof);
                }
                let signature = mac(self.mechanism, &credential.server_key, auth_message.as_bytes());
                Ok(ServerStep { token: format!("v={}", base64::encode(&signature)).into(), user: Some(user) })
            }
            ServerState::Over => Err(ScramError::AfterEnd),
        }
    }
}

/// The client's side of one exchange.
pub struct ScramClient {
    mechanism: ScramMechanism,
    password: String,
    state: ClientState,
}

enum ClientState {
    Sent { bare: String, nonce: String },
    Proved { signature: Vec<u8> },
    Over,
}

impl fmt::Debug for ScramClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramClient").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl ScramClient {
    /// Begins an exchange; `nonce` is random text without commas. Gives the first token too.
    pub fn start(mechanism: ScramMechanism, user: &str, password: &str, nonce: &str) -> (Self, Bytes) {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        let token = format!("n,,{bare}").into();
        let state = ClientState::Sent { bare, nonce: nonce.to_owned() };
        (Self { mechanism, password: password.to_owned(), state }, token)
    }

    /// Takes the server's next token and gives the next one; `None` when the server has proved itself.
    ///
    /// # Errors
    /// If the server refuses or is not what it claims to be.
    pub fn step(&mut self, token: &[u8]) -> Result<Option<Bytes>, ScramError> {
        let message = text(token)?;
        match std::mem::replace(&mut self.state, ClientState::Over) {
            ClientState::Sent { bare, nonce } => {
                let challenge = ServerFirst::parse(message)?;
                if !challenge.nonce.starts_with(&nonce) || challenge.nonce.len() == nonce.len() {
                    return Err(ScramError::Nonce);
                }
                let iterations = challenge.iterations;
                let few = u32::try_from(SCRAM_ITERATIONS_MIN).unwrap_or(u32::MAX);
                if iterations.get() < few || iterations.get() > CLIENT_ITERATIONS_MAX {
                    return Err(ScramError::Iterations(iterations.get()));
                }
                let salted = salted_password(self.mechanism, &self.password, &challenge.salt, iterations);
                let without_proof = format!("c={NO_BINDING},r={}", challenge.nonce);
                let auth_message = format!("{bare},{message},{without_proof}");
                let client_key = mac(self.mechanism, &salted, b"Client Key");
                let stored_key = hash(self.mechanism, &client_key);
                let signature = mac(self.mechanism, &stored_key, auth_message.as_bytes());
                let proof = xor(&client_key, &signature).ok_or(ScramError::Malformed)?;
                let server_key = mac(self.mechanism, &salted, b"Server Key");
                let signature = mac(self.mechanism, &server_key, auth_message.as_bytes());
                self.state = ClientState::Proved { signature };
                Ok(Some(format!("{without_proof},p={}", base64::encode(&proof)).into()))
            }
            ClientState::Proved { signature } => {
                if message.starts_with("e=") {
                    return Err(ScramError::Refused);
                }
                let sent = message.strip_prefix("v=").and_then(base64::decode).ok_or(ScramError::Malformed)?;
                if same_secret(&sent, &signature) { Ok(None) } else { Err(ScramError::InvalidSignature) }
            }
            ClientState::Over => Err(ScramError::AfterEnd),
        }
    }
}

fn text(token: &[u8]) -> Result<&str, ScramError> {
    if token.len() > MESSAGE_BYTES_MAX {
        return Err(ScramError::Malformed);
    }
    std::str::from_utf8(token).map_err(|_| ScramError::Malformed)
}

fn xor(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    (a.len() == b.len()).then(|| a.iter().zip(b).map(|(a, b)| a ^ b).collect())
}

/// The value of the attribute `name` at the front, and what follows the comma behind it.
fn attribute<'a>(message: &'a str, name: &str) -> Result<(&'a str, &'a str), ScramError> {
    let value = message.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).ok_or(ScramError::Malformed)?;
    Ok(value.split_once(',').unwrap_or((value, "")))
}

/// A nonce is printable text without commas.
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// A name as it was before `,` and `=` were written `=2C` and `=3D`.
fn user_name(written: &str) -> Result<String, ScramError> {
    let mut name = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        rest = match (after.strip_prefix("2C"), after.strip_prefix("3D")) {
            (Some(after), _) => {
                name.push(',');
                after
            }
            (_, Some(after)) => {
                name.push('=');
                after
            }
            _ => return Err(ScramError::Malformed),
        };
    }
    name.push_str(rest);
    if name.is_empty() { Err(ScramError::Malformed) } else { Ok(name) }
}

struct ClientFirst<'a> {
    user: String,
    nonce: &'a str,
    /// The message without its header.
    bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    fn parse(message: &'a str) -> Result<Self, ScramError> {
        let rest = message.strip_prefix("n,").ok_or(ScramError::Malformed)?;
        let (authorization_id, bare) = rest.split_once(',').ok_or(ScramError::Malformed)?;
        let (user, rest) = attribute(bare, "n")?;
        let user = user_name(user)?;
        let (nonce, extensions) = attribute(rest, "r")?;
        if !is_nonce(nonce) || extensions.split(',').any(|extension| extension.starts_with("tokenauth=true")) {
            return Err(ScramError::Malformed);
        }
        if !authorization_id.is_empty() {
            let id = authorization_id.strip_prefix("a=").ok_or(ScramError::Malformed)?;
            if user_name(id)? != user {
                return Err(ScramError::AuthorizationId);
            }
        }
        Ok(Self { user, nonce, bare })
    }
}

struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl<'a> ServerFirst<'a> {
    fn parse(message: &'a str) -> Result<Self, ScramError> {
        let (nonce, rest) = attribute(message, "r")?;
        let (salt, rest) = attribute(rest, "s")?;
        let (iterations, _extensions) = attribute(rest, "i")?;
        if !is_nonce(nonce) {
            return Err(ScramError::Malformed);
        }
        Ok(Self {
            nonce,
            salt: base64::decode(salt).ok_or(ScramError::Malformed)?,
            iterations: iterations.parse().map_err(|_| ScramError::Malformed)?,
        })
    }
}

struct ClientFinal<'a> {
    nonce: &'a str,
    proof: Vec<u8>,
    without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    fn parse(message: &'a str) -> Result<Self, ScramError> {
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let (binding, rest) = attribute(without_proof, "c")?;
        let (nonce, _extensions) = attribute(rest, "r")?;
        // The header the client began with, which has an authorization id as long as it is the user's.
        let header = base64::decode(binding).ok_or(ScramError::Malformed)?;
        if !header.starts_with(b"n,") {
            return Err(ScramError::Malformed);
        }
        Ok(Self { nonce, proof: base64::decode(proof).ok_or(ScramError::Malformed)?, without_proof })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unknown() -> UnknownUsers {
        UnknownUsers::new([7; 32])
    }

    fn iterations(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).unwrap()
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_exchange_of_the_rfc() {
        let salt = base64::decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let kept = credential_of_password(ScramMechanism::Sha256, "pencil", &salt, iterations(4096));
        let mut server = ScramServer::new(ScramMechanism::Sha256);
        let (mut client, first) = ScramClient::start(ScramMechanism::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let step = server.step(&first, server_nonce, &unknown(), 4096, |user| (user == "user").then(|| kept.clone()));
        let challenge = step.unwrap().token;
        assert_eq!(challenge, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let proof = client.step(&challenge).unwrap().unwrap();
        assert_eq!(
            proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let end = server.step(&proof, "unused", &unknown(), 4096, |_| None).unwrap();
        assert_eq!(end.token, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(end.user.as_deref(), Some("user"));
        assert_eq!(client.step(&end.token), Ok(None));
        assert_eq!(server.step(&proof, "", &unknown(), 4096, |_| None), Err(ScramError::AfterEnd));
    }

    fn exchange(
        mechanism: ScramMechanism,
        user: &str,
        kept: Option<ScramCredential>,
        password: &str,
    ) -> Result<String, ScramError> {
        let (mut client, first) = ScramClient::start(mechanism, user, password, "abc");
        let mut server = ScramServer::new(mechanism);
        let challenge = server.step(&first, "def", &unknown(), 4096, |_| kept)?;
        let proof = client.step(&challenge.token)?.unwrap();
        let end = server.step(&proof, "", &unknown(), 4096, |_| None)?;
        assert_eq!(client.step(&end.token)?, None);
        Ok(end.user.unwrap())
    }

    #[test]
    fn wrong_passwords_and_unknown_users_fail_at_the_same_step() {
        let mechanism = ScramMechanism::Sha512;
        let kept = credential_of_password(mechanism, "secret", b"salt", iterations(4096));
        assert_eq!(exchange(mechanism, "a,b=c", Some(kept.clone()), "secret").as_deref(), Ok("a,b=c"));
        assert_eq!(exchange(mechanism, "a", Some(kept), "wrong"), Err(ScramError::InvalidProof));
        assert_eq!(exchange(mechanism, "nobody", None, "secret"), Err(ScramError::InvalidProof));
        let salt = |user: &str| unknown().credential(mechanism, user, 4096).salt;
        assert_eq!(salt("nobody"), salt("nobody"));
        assert_ne!(salt("nobody"), salt("somebody"));
        assert_eq!(salt("nobody").len(), 26);
    }

    #[test]
    fn a_client_is_not_kept_busy_and_takes_no_other_server() {
        let start = || ScramClient::start(ScramMechanism::Sha256, "u", "p", "abc").0;
        assert_eq!(start().step(b"r=abcd,s=c2FsdA==,i=4095"), Err(ScramError::Iterations(4095)));
        assert_eq!(start().step(b"r=abcd,s=c2FsdA==,i=999999999"), Err(ScramError::Iterations(999_999_999)));
        assert_eq!(start().step(b"r=xbcd,s=c2FsdA==,i=4096"), Err(ScramError::Nonce));
        assert_eq!(start().step(b"r=abc,s=c2FsdA==,i=4096"), Err(ScramError::Nonce));
        let mut client = start();
        client.step(b"r=abcd,s=c2FsdA==,i=4096").unwrap();
        assert_eq!(client.step(b"v=AAAA"), Err(ScramError::InvalidSignature));
    }

    #[test]
    fn who_acts_for_another_is_refused() {
        let mut server = ScramServer::new(ScramMechanism::Sha256);
        let step = server.step(b"n,a=admin,n=user,r=abc", "d", &unknown(), 4096, |_| None);
        assert_eq!(step, Err(ScramError::AuthorizationId));
    }

    proptest! {
        #[test]
        fn any_tokens_are_refused_without_harm(first: Vec<u8>, second: Vec<u8>) {
            let mut server = ScramServer::new(ScramMechanism::Sha256);
            for token in [&first[..], &second[..]] {
                let step = server.step(token, "d", &unknown(), 4096, |_| None);
                prop_assert!(step.is_err() || step.unwrap().user.is_none());
            }
            let (mut client, _) = ScramClient::start(ScramMechanism::Sha256, "u", "p", "abc");
            prop_assert!(client.step(&first).is_err());
        }
    }
}
