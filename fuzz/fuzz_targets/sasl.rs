//! The messages of SASL from a stranger, and what users write for it. The first byte says what the rest is:
//!
//! | first byte, modulo 7 | the rest | what holds |
//! |---|---|---|
//! | 0 | tokens for a SCRAM server: `([length, 2 bytes][token])*` | nobody who does not know a key is let in |
//! | 1 | which token of a SCRAM exchange is altered, where, how; then the user's name | only what arrives as it was sent is taken |
//! | 2 | two tokens for a SCRAM client, as above | no server that does not know the keys is taken for the real one |
//! | 3, 4 | a message of PLAIN, of OAUTHBEARER | what was read is written and read as the same |
//! | 5 | a JAAS configuration | the same |
//! | 6 | base64, or bytes for it | every value has one form |

#![no_main]

use std::num::NonZeroU32;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use riverrun_core::{
    metadata::{ScramCredential, ScramMechanism},
    sasl::{
        OAuthBearerMessage, PlainMessage, base64_decode, base64_decode_url, base64_encode, jaas,
        scram::{ScramClient, ScramServer, UnknownUsers, credential_of_password, key_length},
    },
};

const PASSWORD: &str = "pencil";
const ITERATIONS: u32 = 4096;
const SERVER_NONCE: &str = "def";
/// Iterations a client is let do: each costs time.
const ITERATIONS_DIGITS_MAX: usize = 4;

fuzz_target!(|data: &[u8]| {
    let [kind, rest @ ..] = data else { return };
    match kind % 7 {
        0 => strangers_are_refused(mechanism(*kind), rest),
        1 => altered_exchanges_end(mechanism(*kind), rest),
        2 => strange_servers_are_refused(mechanism(*kind), rest),
        3 => {
            if let Ok(message) = PlainMessage::parse(rest) {
                assert_eq!(message.encode(), rest);
            }
        }
        4 => {
            if let Some(message) = OAuthBearerMessage::parse(rest) {
                assert_eq!(OAuthBearerMessage::parse(&message.encode()), Some(message));
            }
        }
        5 => std::str::from_utf8(rest).map_or((), read_jaas),
        _ => read_base64(rest),
    }
});

fn mechanism(kind: u8) -> ScramMechanism {
    ScramMechanism::ALL[usize::from(kind / 7 % 2)]
}

fn unknown() -> UnknownUsers {
    UnknownUsers::new([7; 32])
}

fn tokens(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut tokens = Vec::new();
    while let [high, low, tail @ ..] = rest {
        let (token, tail) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(tail.len()));
        tokens.push(token);
        rest = tail;
    }
    tokens
}

fn strangers_are_refused(mechanism: ScramMechanism, rest: &[u8]) {
    // No password leads to these keys that anybody could find.
    let length = key_length(mechanism);
    let kept = ScramCredential {
        salt: Bytes::from_static(b"salt"),
        stored_key: vec![1; length].into(),
        server_key: vec![2; length].into(),
        iterations: 4096,
    };
    let mut server = ScramServer::new(mechanism);
    let mut challenges = 0;
    for token in tokens(rest) {
        let step = server.step(token, SERVER_NONCE, &unknown(), 4096, |user| (user.len() < 4).then(|| kept.clone()));
        let Ok(step) = step else { continue };
        assert_eq!(step.user, None, "let in");
        assert!(step.token.starts_with(b"r="));
        challenges += 1;
    }
    assert!(challenges <= 1, "an exchange has one challenge");
}

fn altered_exchanges_end(mechanism: ScramMechanism, rest: &[u8]) {
    let [which, high, low, change, user @ ..] = rest else { return };
    let Ok(user) = std::str::from_utf8(user) else { return };
    if user.is_empty() || user.len() > 64 {
        return;
    }
    let (which, at) = (usize::from(which % 4), usize::from(u16::from_be_bytes([*high, *low])));
    let mut is_altered = [false; 4];
    // On its way the token may be altered.
    let mut send = |index: usize, token: &[u8]| {
        let mut token = token.to_vec();
        if index == which && *change != 0 {
            let length = token.len();
            if let Some(byte) = token.get_mut(at % length.max(1)) {
                *byte ^= change;
                is_altered[index] = true;
            }
        }
        token
    };
    let mut exchange = || {
        let kept = credential_of_password(mechanism, PASSWORD, b"salt", NonZeroU32::new(ITERATIONS).expect("not 0"));
        let mut server = ScramServer::new(mechanism);
        let (mut client, first) = ScramClient::start(mechanism, user, PASSWORD, "abc");
        let find = |_: &str| Some(kept);
        let challenge = server.step(&send(0, &first), SERVER_NONCE, &unknown(), 4096, find).ok()?.token;
        let challenge = send(1, &challenge);
        if is_dear(&challenge) {
            return None;
        }
        let proof = client.step(&challenge).ok()??;
        let end = server.step(&send(2, &proof), SERVER_NONCE, &unknown(), 4096, |_| None).ok()?;
        Some((end.user, client.step(&send(3, &end.token)).is_ok()))
    };
    let outcome = exchange();
    match is_altered {
        [false, false, false, server_is_altered] => {
            assert_eq!(outcome, Some((Some(user.to_owned()), !server_is_altered)));
        }
        _ => assert_eq!(outcome, None, "an altered token was taken"),
    }
}

fn strange_servers_are_refused(mechanism: ScramMechanism, rest: &[u8]) {
    let tokens = tokens(rest);
    let (Some(first), Some(second)) = (tokens.first(), tokens.get(1)) else { return };
    if is_dear(first) {
        return;
    }
    let (mut client, _) = ScramClient::start(mechanism, "user", PASSWORD, "abc");
    if let Ok(proof) = client.step(first) {
        assert!(proof.expect("the client proves itself first").starts_with(b"c=biws,r=abc"));
        assert!(client.step(second).is_err(), "taken for the real server");
    }
    assert!(client.step(second).is_err());
}

/// Whether a challenge asks for so many iterations that the client would be busy for long.
fn is_dear(challenge: &[u8]) -> bool {
    let text = String::from_utf8_lossy(challenge);
    text.match_indices("i=").any(|(at, name)| {
        let digits = text[at + name.len()..].trim_start_matches(['+', '0']);
        digits.chars().take_while(char::is_ascii_digit).count() > ITERATIONS_DIGITS_MAX
    })
}

fn read_jaas(text: &str) {
    let Ok(module) = jaas::parse(text) else { return };
    let quoted = |word: &str| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
    let mut written = format!("{} required", quoted(&module.class));
    for (name, value) in &module.options {
        written += &format!(" {}={}", quoted(name), quoted(value));
    }
    written += ";";
    assert!(jaas::parse(&written).as_ref() == Ok(&module), "{written}");
}

fn read_base64(bytes: &[u8]) {
    assert_eq!(base64_decode(&base64_encode(bytes)).as_deref(), Some(bytes));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(decoded) = base64_decode(text) {
        assert_eq!(base64_encode(&decoded), text);
    }
    if let Some(decoded) = base64_decode_url(text) {
        let again = base64_encode(&decoded).replace('+', "-").replace('/', "_");
        assert_eq!(again.trim_end_matches('='), text.trim_end_matches('='));
    }
}
