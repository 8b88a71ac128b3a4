//! Who a client is and whether it may speak: listeners' security protocols, TLS, SASL.
//!
//! | file | what |
//! |---|---|
//! | `listener` | what one listener asks of its connections, from the settings |
//! | `tls`, `pem` | server-side TLS, its certificates and their reloading |
//! | `certificate_name` | the name in a client's certificate, as Java writes it |
//! | `session` | the authentication of one connection, as a state machine |
//! | `sasl`, `oauth` | mechanisms, and whom they know |
//! | `authorizer` | what a principal may do, by the access rules |
//! | `guard` | what each API asks of the access rules, apart from its handler |
//! | `principal` | principals, and the rules that turn certificate names into them |
//!
//! Nothing here reads a socket: the listener does, and asks.

mod authorizer;
mod certificate_name;
pub(crate) mod guard;
mod jwks;
mod listener;
mod oauth;
mod pem;
mod principal;
mod sasl;
mod session;
#[cfg(test)]
mod session_tests;
mod tls;

pub(crate) use authorizer::{Authorizer, Permissions};
pub(crate) use listener::ListenerSecurity;
pub use principal::Principal;
pub(crate) use session::{BareStep, Session, SessionTime, Step};

/// Who the holder of a certificate is, by the listener's rules.
pub(crate) fn certificate_principal(listener: &ListenerSecurity, certificate: &[u8]) -> Option<Principal> {
    let name = certificate_name::subject(certificate).ok()?;
    Some(Principal::user(&listener.principal_rules.apply(&name)?))
}
