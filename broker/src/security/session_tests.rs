//! Tests of the session: every order of requests, with virtual time.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use riverrun_core::{
    metadata::{Image, ScramAlteration, ScramMechanism},
    protocol::{
        RequestBody, ResponseBody,
        messages::{ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest},
    },
    sasl::scram::{ScramClient, credential_of_password},
};
use tokio::time::Instant;

use super::{ListenerSecurity, Principal, Session, SessionTime, Step, session::BareStep};
use crate::config::Settings;

fn listener(max_reauth_ms: &str) -> Arc<ListenerSecurity> {
    let mut settings = Settings::default();
    for (name, value) in [
        ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256"),
        ("riverrun.sasl.plain.allow.plaintext", "true"),
        ("connections.max.reauth.ms", max_reauth_ms),
        ("listener.name.sasl_plaintext.plain.sasl.jaas.config", "Plain required user_alice=\"secret\" user_bob=\"b\";"),
    ] {
        settings.set(name, value).unwrap();
    }
    ListenerSecurity::new(&settings, "SASL_PLAINTEXT").unwrap()
}

fn session(max_reauth_ms: &str) -> Session {
    Session::new(listener(max_reauth_ms), Principal::anonymous())
}

fn at(now: Instant) -> SessionTime {
    SessionTime { now, wall_ms: 0 }
}

fn handshake(mechanism: &str) -> RequestBody {
    SaslHandshakeRequest { mechanism: mechanism.to_owned() }.into()
}

fn token(bytes: &[u8]) -> RequestBody {
    SaslAuthenticateRequest { auth_bytes: bytes.to_vec().into() }.into()
}

fn take(session: &mut Session, body: RequestBody, now: Instant) -> Step {
    session.take(1, body, &Image::default(), at(now))
}

fn code(step: &Step) -> Option<i16> {
    match step {
        Step::Answer(ResponseBody::SaslHandshake(answer)) => Some(answer.error_code),
        Step::Refuse { answer: ResponseBody::SaslHandshake(answer), .. } => Some(answer.error_code),
        Step::Answer(ResponseBody::SaslAuthenticate(answer)) => Some(answer.error_code),
        Step::Refuse { answer: ResponseBody::SaslAuthenticate(answer), .. } => Some(answer.error_code),
        _ => None,
    }
}

#[test]
fn nothing_else_is_taken_before_authentication() {
    let now = Instant::now();
    let mut early = session("0");
    assert!(!early.admits(3) && early.admits(17) && early.admits(18) && early.admits(36));
    assert_eq!(early.receive_max(), Some(524_288));
    assert!(matches!(take(&mut early, MetadataRequest::default().into(), now), Step::Close { .. }));
    assert!(matches!(take(&mut early, handshake("PLAIN"), now), Step::Close { .. }), "closed is closed");
    let mut twice = session("0");
    assert!(matches!(take(&mut twice, ApiVersionsRequest::default().into(), now), Step::Handle(_)));
    assert!(matches!(take(&mut twice, ApiVersionsRequest::default().into(), now), Step::Close { .. }));
    assert!(matches!(take(&mut session("0"), token(b"\0alice\0secret"), now), Step::Close { .. }));
}

#[test]
fn plain_lets_in_who_knows_the_password() {
    let now = Instant::now();
    for (bytes, expected) in [
        (&b"\0alice\0secret"[..], 0),
        (b"alice\0alice\0secret", 0),
        (b"bob\0alice\0secret", 58),
        (b"\0alice\0wrong", 58),
        (b"\0nobody\0secret", 58),
        (b"\0alice\0", 58),
        (b"alice", 58),
        (b"\xff\0\0", 58),
    ] {
        let mut session = session("0");
        assert_eq!(code(&take(&mut session, handshake("PLAIN"), now)), Some(0));
        assert_eq!(code(&take(&mut session, token(bytes), now)), Some(expected), "{bytes:?}");
        assert_eq!(session.is_open(), expected == 0);
        assert_eq!(session.principal().name(), if expected == 0 { "alice" } else { "ANONYMOUS" });
    }
    assert_eq!(code(&take(&mut session("0"), handshake("GSSAPI"), now)), Some(33));
    let mut session = session("0");
    take(&mut session, handshake("PLAIN"), now);
    assert_eq!(code(&take(&mut session, handshake("PLAIN"), now)), Some(34));
}

#[test]
fn bare_tokens_follow_a_handshake_of_version_0() {
    let now = Instant::now();
    let mut session = session("0");
    let step = session.take(0, handshake("PLAIN"), &Image::default(), at(now));
    assert_eq!(code(&step), Some(0));
    assert!(session.expects_bare_token());
    let answer = session.take_bare(b"\0alice\0secret", &Image::default(), at(now));
    assert!(matches!(answer, BareStep::Answer(answer) if answer.is_empty()));
    assert!(session.is_open());
}

#[test]
fn scram_users_are_those_of_the_metadata() {
    let now = Instant::now();
    let mechanism = ScramMechanism::Sha256;
    let credential = credential_of_password(mechanism, "secret", b"salt", 4096.try_into().unwrap());
    let user = ScramAlteration { user: "carol".to_owned(), mechanism: 1, credential: Some(credential) };
    let mut image = Image::default();
    for record in image.alter_scram(&[user]).0 {
        image.replay(&record).unwrap();
    }
    for (user, password, expected) in [("carol", "secret", 0), ("carol", "wrong", 58), ("dave", "secret", 58)] {
        let mut session = session("0");
        take(&mut session, handshake("SCRAM-SHA-256"), now);
        let (mut client, first) = ScramClient::start(mechanism, user, password, "nonce");
        let Step::Answer(ResponseBody::SaslAuthenticate(challenge)) = session.take(1, token(&first), &image, at(now))
        else {
            panic!("{user} is refused too early");
        };
        let proof = client.step(&challenge.auth_bytes).unwrap().unwrap();
        let end = session.take(1, token(&proof), &image, at(now));
        assert_eq!(code(&end), Some(expected), "{user} {password}");
        assert_eq!(session.is_open(), expected == 0);
        if let Step::Refuse { answer: ResponseBody::SaslAuthenticate(answer), .. } = end {
            assert_eq!(
                answer.error_message.as_deref(),
                Some(
                    "Authentication failed during authentication due to invalid credentials with SASL mechanism \
                     SCRAM-SHA-256"
                )
            );
        }
    }
}

#[test]
fn sessions_end_and_are_prolonged() {
    let start = Instant::now();
    let later = |ms| start + Duration::from_millis(ms);
    let mut session = session("10000");
    let enter = |session: &mut Session, user: &str, password: &str, now| {
        take(session, handshake("PLAIN"), now);
        take(session, token(format!("\0{user}\0{password}").as_bytes()), now)
    };
    let Step::Answer(ResponseBody::SaslAuthenticate(answer)) = enter(&mut session, "alice", "secret", start) else {
        panic!("refused");
    };
    assert_eq!(answer.session_lifetime_ms, 10_000);
    assert!(matches!(take(&mut session, MetadataRequest::default().into(), later(9_999)), Step::Handle(_)));
    assert_eq!(code(&enter(&mut session, "alice", "secret", later(9_999))), Some(0));
    // Not twice within a second: then it is a request like others, which the handler refuses.
    assert!(matches!(take(&mut session, handshake("PLAIN"), later(10_500)), Step::Handle(_)));
    assert!(matches!(take(&mut session, MetadataRequest::default().into(), later(19_998)), Step::Handle(_)));
    let refused = enter(&mut session, "bob", "b", later(19_998));
    assert_eq!(code(&refused), Some(58), "another principal");
    let mut session = self::session("10000");
    enter(&mut session, "alice", "secret", start);
    take(&mut session, handshake("SCRAM-SHA-256"), later(5_000));
    assert_eq!(code(&take(&mut session, token(b"n,,n=alice,r=x"), later(5_000))), Some(58), "another mechanism");
    let mut session = self::session("10000");
    enter(&mut session, "alice", "secret", start);
    assert!(matches!(take(&mut session, MetadataRequest::default().into(), later(10_000)), Step::Close { .. }));
}

proptest! {
    /// Whatever comes in whatever order, nobody gets in without the password.
    #[test]
    fn no_order_of_requests_opens_a_session(
        steps in proptest::collection::vec((0u8..5, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        let now = Instant::now();
        let mut session = session("0");
        for (kind, bytes) in steps {
            if session.expects_bare_token() {
                session.take_bare(&bytes, &Image::default(), at(now));
                continue;
            }
            let body: RequestBody = match kind {
                0 => ApiVersionsRequest::default().into(),
                1 => handshake("PLAIN"),
                2 => handshake("SCRAM-SHA-256"),
                3 => token(&bytes),
                _ => MetadataRequest::default().into(),
            };
            let is_metadata = matches!(body, RequestBody::Metadata(_));
            let step = session.take(i16::from(kind % 2), body, &Image::default(), at(now));
            prop_assert!(!(is_metadata && matches!(step, Step::Handle(_))));
            prop_assert!(!session.is_open());
        }
    }
}
