//! The authentication of one connection, as a state machine: what it may ask, and who it is.
//!
//! ```text
//!          ApiVersions            SaslHandshake              SaslAuthenticate ...
//! Begin ---------------> Asked ------------------> Exchange ----------------------> Open
//!   \________________________________________________^                               |
//!                                                     \______________________________/
//!                                                       SaslHandshake again (KIP-368)
//! ```
//! | state | what is taken | else |
//! |---|---|---|
//! | Begin | ApiVersions, SaslHandshake | the connection is closed |
//! | Asked | SaslHandshake | closed |
//! | Exchange | SaslAuthenticate; after a handshake of version 0 bare tokens | ILLEGAL_SASL_STATE, closed |
//! | Open | everything; at the end of the session only SaslHandshake | closed |
//!
//! A listener without SASL begins in Open. A refusal is told after a while (see `ListenerSecurity::failed_delay`) and
//! closes the connection.
//!
//! Source: Kafka `SaslServerAuthenticator`, `KafkaChannel`; KIP-43, KIP-152, KIP-368.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use riverrun_core::{
    metadata::Image,
    protocol::{
        ApiKey, ErrorCode, RequestBody, ResponseBody,
        messages::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse},
    },
};
use tokio::time::Instant;

use super::{
    ListenerSecurity, Principal,
    sasl::{Authenticated, Exchange, Mechanism, SaslFailure},
};

/// How often a client may authenticate again.
const REAUTHENTICATE_EVERY: Duration = Duration::from_secs(1);

/// The authentication of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    listener: Arc<ListenerSecurity>,
    state: State,
    /// Who the client is; anonymous before it has said so.
    principal: Principal,
    /// With which mechanism it said so.
    mechanism: Option<Mechanism>,
    /// When it must have said so again.
    expires_at: Option<Instant>,
    reauthenticated_at: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Begin,
    Asked,
    Exchange {
        mechanism: Mechanism,
        exchange: Exchange,
        framed: bool,
    },
    /// Authenticated again with another mechanism, which the next token is told.
    OtherMechanism {
        before: Mechanism,
        now: Mechanism,
    },
    Open,
    Closed,
}

/// The times of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionTime {
    pub(crate) now: Instant,
    pub(crate) wall_ms: i64,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Step {
    /// The broker handles it.
    Handle(RequestBody),
    /// It is answered with this.
    Answer(ResponseBody),
    /// It is answered with this, after a while, and the connection is closed.
    Refuse { answer: ResponseBody, reason: String },
    /// The connection is closed.
    Close { reason: String },
}

/// What becomes of a bare token.
#[derive(Debug)]
pub(crate) enum BareStep {
    Answer(Bytes),
    Close { reason: String },
}

impl Session {
    /// The session of a new connection; `certified` is who its certificate says it is.
    pub(crate) fn new(listener: Arc<ListenerSecurity>, certified: Principal) -> Self {
        let state = if listener.sasl.is_some() { State::Begin } else { State::Open };
        Self { listener, state, principal: certified, mechanism: None, expires_at: None, reauthenticated_at: None }
    }

    /// Who the client is.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the client has authenticated, if it must at all, and is not doing so again.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether nothing more is to be asked of the client, ever.
    pub(crate) fn is_endless(&self) -> bool {
        self.is_open() && self.expires_at.is_none()
    }

    /// Bytes a request may have before the client has authenticated; `None` for as many as any.
    pub(crate) fn receive_max(&self) -> Option<usize> {
        let sasl = self.listener.sasl.as_ref()?;
        (!self.is_open()).then_some(sasl.receive_max)
    }

    /// Whether the next frame is a bare token and no request (SaslHandshake version 0).
    pub(crate) fn expects_bare_token(&self) -> bool {
        matches!(self.state, State::Exchange { framed: false, .. })
    }

    /// Whether a request of this API is looked at at all.
    pub(crate) fn admits(&self, api_key: i16) -> bool {
        use ApiKey::{ApiVersions, SaslAuthenticate, SaslHandshake};
        self.is_open() || [ApiVersions, SaslHandshake, SaslAuthenticate].iter().any(|key| key.code() == api_key)
    }

    /// Takes a request.
    pub(crate) fn take(&mut self, version: i16, body: RequestBody, image: &Image, time: SessionTime) -> Step {
        match (&self.state, body) {
            (State::Open, RequestBody::SaslHandshake(request)) if self.may_reauthenticate(time.now) => {
                self.reauthenticated_at = Some(time.now);
                self.handshake(version, &request)
            }
            (State::Open, body) if self.is_expired(time.now) => {
                self.close(format!("the session has expired, and {} came", body.api_key()))
            }
            (State::Open, body) => Step::Handle(body),
            (State::Begin, RequestBody::ApiVersions(request)) => {
                self.state = State::Asked;
                Step::Handle(request.into())
            }
            (State::Begin | State::Asked, RequestBody::SaslHandshake(request)) => self.handshake(version, &request),
            (State::Exchange { .. } | State::OtherMechanism { .. }, RequestBody::SaslAuthenticate(request)) => {
                self.authenticate(&request, image, time)
            }
            (State::Exchange { .. } | State::OtherMechanism { .. }, RequestBody::SaslHandshake(_)) => {
                let reason = "SaslHandshake came during SASL authentication".to_owned();
                self.state = State::Closed;
                let answer =
                    SaslHandshakeResponse { error_code: ErrorCode::IllegalSaslState.code(), ..Default::default() };
                Step::Refuse { answer: answer.into(), reason }
            }
            (_, body) => self.close(format!("{} came before SASL authentication", body.api_key())),
        }
    }

    /// Takes a token that came without a header.
    pub(crate) fn take_bare(&mut self, token: &[u8], image: &Image, time: SessionTime) -> BareStep {
        match self.exchange(token, image, time) {
            Ok((token, _)) => BareStep::Answer(token),
            Err(failure) => {
                self.state = State::Closed;
                BareStep::Close { reason: failure.reason }
            }
        }
    }

    fn close(&mut self, reason: String) -> Step {
        self.state = State::Closed;
        Step::Close { reason }
    }

    fn may_reauthenticate(&self, now: Instant) -> bool {
        let long_ago = |at: Instant| now.duration_since(at) >= REAUTHENTICATE_EVERY;
        self.expires_at.is_some() && self.reauthenticated_at.is_none_or(long_ago)
    }

    fn is_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }

    fn handshake(&mut self, version: i16, request: &SaslHandshakeRequest) -> Step {
        let Some(sasl) = &self.listener.sasl else { return self.close("no SASL here".to_owned()) };
        let mechanisms = sasl.names();
        let Some((mechanism, exchange)) = sasl.begin(&request.mechanism) else {
            self.state = State::Closed;
            let answer = SaslHandshakeResponse { error_code: ErrorCode::UnsupportedSaslMechanism.code(), mechanisms };
            return Step::Refuse { answer: answer.into(), reason: "unsupported SASL mechanism".to_owned() };
        };
        self.state = match self.mechanism {
            Some(before) if before != mechanism => State::OtherMechanism { before, now: mechanism },
            _ => State::Exchange { mechanism, exchange, framed: version >= 1 },
        };
        Step::Answer(SaslHandshakeResponse { error_code: 0, mechanisms }.into())
    }

    fn authenticate(&mut self, request: &SaslAuthenticateRequest, image: &Image, time: SessionTime) -> Step {
        let step = self.exchange(&request.auth_bytes, image, time);
        match step {
            Ok((token, session_lifetime_ms)) => {
                let answer = SaslAuthenticateResponse { auth_bytes: token, session_lifetime_ms, ..Default::default() };
                Step::Answer(answer.into())
            }
            Err(SaslFailure { reason, told }) => {
                let general = || {
                    let again = if self.mechanism.is_some() { "re-authentication" } else { "authentication" };
                    let name = match &self.state {
                        State::Exchange { mechanism, .. } => mechanism.name(),
                        _ => "",
                    };
                    format!(
                        "Authentication failed during {again} due to invalid credentials with SASL mechanism {name}"
                    )
                };
                let error_message = Some(told.unwrap_or_else(general));
                self.state = State::Closed;
                let error_code = ErrorCode::SaslAuthenticationFailed.code();
                let answer = SaslAuthenticateResponse { error_code, error_message, ..Default::default() };
                Step::Refuse { answer: answer.into(), reason }
            }
        }
    }

    /// A step of the exchange: the token for the client, and the session's milliseconds once it is done.
    fn exchange(&mut self, token: &[u8], image: &Image, time: SessionTime) -> Result<(Bytes, i64), SaslFailure> {
        let (mechanism, exchange) = match &mut self.state {
            State::Exchange { mechanism, exchange, .. } => (*mechanism, exchange),
            State::OtherMechanism { before, now } => {
                return Err(SaslFailure::told(format!(
                    "Cannot change mechanisms during re-authentication from {}: {}",
                    before.name(),
                    now.name()
                )));
            }
            _ => return Err(SaslFailure::silent("no exchange is under way")),
        };
        let sasl = self.listener.sasl.as_ref().ok_or_else(|| SaslFailure::silent("no SASL here"))?;
        let step = sasl.step(mechanism, exchange, token, image, time.wall_ms)?;
        let Some(Authenticated { user, expires_at_ms }) = step.done else { return Ok((step.token, 0)) };
        let principal = Principal::user(&user);
        if self.mechanism.is_some() && principal != self.principal {
            return Err(SaslFailure::told(format!(
                "Cannot change principals during re-authentication from {}: {}",
                self.principal.name(),
                principal.name()
            )));
        }
        let credential = expires_at_ms.map(|at| at.saturating_sub(time.wall_ms).max(0));
        let lifetime = [credential, sasl.max_reauth_ms(mechanism)].into_iter().flatten().min();
        self.expires_at = lifetime.and_then(|ms| time.now.checked_add(Duration::from_millis(ms.unsigned_abs())));
        self.principal = principal;
        self.mechanism = Some(mechanism);
        self.state = State::Open;
        Ok((step.token, lifetime.unwrap_or(0)))
    }
}
