//! Client quotas at work: what a request uses is counted, its answer says how long the client is to wait, and nothing is
//! read from its connection for as long (KIP-13, KIP-124, KIP-219, KIP-599, KIP-612).
//!
//! | quota | counted | beyond it |
//! |---|---|---|
//! | `producer_byte_rate` | the bytes of a Produce request, when it is handled | waits |
//! | `consumer_byte_rate` | the bytes of a fetch's answer, when it is there | the answer is empty, and waits; see `api::fetch` |
//! | `request_percentage` | the time a thread handles a request | waits, at most one window |
//! | `controller_mutation_rate` | partitions made and deleted, when it is decided | refused, or, to old versions, waits |
//! | `connection_creation_rate` | connections, when they are accepted | closed after a while; see `listener` |
//!
//! In process there is nothing to leave unread: the answer is held back instead. As long as no quota is set, a request
//! costs one look at a flag. A share fetch that is beyond the quota gets its records, since they are its own by then, and
//! waits.
//!
//! Source: Kafka `KafkaApis`, `ClientQuotaManager`, `ThrottledChannel`, `RequestHandlerHelper`.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use riverrun_core::{
    metadata::Image,
    protocol::{ApiKey, RequestBody, ResponseBody},
    quota::{
        ClientQuotas, ConnectionLimits, ConnectionRates, ConnectionVerdict, MutationRefused, QuotaKind, QuotaWindows,
        Subject, Windows,
    },
};
use tokio::time::Instant;

use crate::{
    Reply, RequestContext,
    clock::Clock,
    config::{BrokerConfig, Settings},
    security::ListenerSecurity,
};

/// What a request in process counts for besides its records.
const REQUEST_OVERHEAD_BYTES: usize = 100;

/// Until when a connection is left alone.
#[derive(Debug, Default)]
pub(crate) struct Mute(AtomicI64);

impl Mute {
    /// Leaves it alone for so long from now, or for as long as it is already.
    fn extend(&self, clock: &Clock, throttle_ms: i64) {
        if throttle_ms > 0 {
            // The clock has left out what is less than a millisecond.
            let until_ms = clock.monotonic_ms().saturating_add(1).saturating_add(throttle_ms);
            self.0.fetch_max(until_ms, Ordering::Relaxed);
        }
    }

    /// Until when it is left alone, if it is.
    pub(crate) fn until(&self, clock: &Clock) -> Option<Instant> {
        let until_ms = self.0.load(Ordering::Relaxed);
        if until_ms == 0 {
            return None;
        }
        if until_ms <= clock.monotonic_ms() {
            self.0.store(0, Ordering::Relaxed);
            return None;
        }
        Some(clock.instant_of(until_ms))
    }

    /// Resolves when it is not left alone any more.
    pub(crate) async fn passed(&self, clock: &Clock) {
        while let Some(until) = self.until(clock) {
            tokio::time::sleep_until(until).await;
        }
    }
}

/// The quotas of a broker.
#[derive(Debug)]
pub(crate) struct Quotas {
    clock: Clock,
    /// Whether any user or client id has a quota.
    is_active: AtomicBool,
    /// Whether connections may not come as they like.
    bounds_connections: AtomicBool,
    /// Nothing else is locked while one of these two is.
    clients: Mutex<ClientQuotas>,
    rates: Mutex<ConnectionRates>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Quotas {
    /// None is set yet.
    pub(crate) fn new(config: &BrokerConfig, clock: Clock) -> Self {
        let windows = |count: i32, seconds: i32| Windows {
            count: u32::try_from(count).unwrap_or(1),
            window_ms: i64::from(seconds.max(1)) * 1_000,
        };
        let client = windows(config.quota_window_num, config.quota_window_size_seconds);
        let controller = windows(config.controller_quota_window_num, config.controller_quota_window_size_seconds);
        let rates = ConnectionRates::new(client, ConnectionLimits::default());
        Self {
            clock,
            is_active: AtomicBool::new(false),
            bounds_connections: AtomicBool::new(false),
            clients: Mutex::new(ClientQuotas::new(QuotaWindows { client, controller })),
            rates: Mutex::new(rates),
        }
    }

    /// Puts the quotas of the metadata in force.
    pub(crate) fn apply(&self, image: &Image) {
        let mut clients = lock(&self.clients);
        clients.set_limits(image.quotas());
        self.is_active.store(!clients.is_empty(), Ordering::Relaxed);
        drop(clients);
        let mut rates = lock(&self.rates);
        rates.set_quotas(image.quotas());
        self.bounds_connections.store(!rates.is_empty(), Ordering::Relaxed);
    }

    /// Puts the broker's own bounds on new connections in force.
    pub(crate) fn set_connection_limits(&self, settings: &Settings, listeners: &[Arc<ListenerSecurity>]) {
        const SETTING: &str = "max.connection.creation.rate";
        let bound = |rate: i32| (rate != i32::MAX).then(|| f64::from(rate));
        let own = |listener: &Arc<ListenerSecurity>| {
            let rate = || settings.of_listener(&listener.name, None).max_connection_creation_rate;
            settings.is_listeners_own(&listener.name, SETTING).then(rate).and_then(bound)
        };
        let limits = ConnectionLimits {
            all: bound(settings.config().max_connection_creation_rate),
            listeners: listeners.iter().map(own).collect(),
        };
        let mut rates = lock(&self.rates);
        rates.set_limits(limits);
        self.bounds_connections.store(!rates.is_empty(), Ordering::Relaxed);
    }

    /// Whether requests are to be counted at all.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active.load(Ordering::Relaxed)
    }

    /// What becomes of a connection that has come.
    pub(crate) fn admit(&self, ip: IpAddr, listener: usize) -> ConnectionVerdict {
        if !self.bounds_connections.load(Ordering::Relaxed) {
            return ConnectionVerdict::Accept { wait_ms: 0 };
        }
        lock(&self.rates).admit(ip, listener, self.clock.monotonic_ms())
    }

    fn record(&self, kind: QuotaKind, subject: Subject<'_>, value: f64) -> i64 {
        lock(&self.clients).record(kind, subject, value, self.clock.monotonic_ms())
    }
}

/// Who is charged for a request.
#[derive(Debug, Clone)]
struct Payer {
    user: String,
    client_id: String,
    mute: Option<Arc<Mute>>,
}

impl Payer {
    fn of(context: &RequestContext) -> Self {
        Self {
            user: context.principal.name().to_owned(),
            client_id: context.client_id.clone().unwrap_or_default(),
            mute: context.mute.clone(),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { user: &self.user, client_id: &self.client_id }
    }

    fn mute(&self, clock: &Clock, throttle_ms: i64) {
        if let Some(mute) = &self.mute {
            mute.extend(clock, throttle_ms);
        }
    }
}

/// Handles a request and charges its client for it.
pub(crate) fn charge(
    quotas: &Arc<Quotas>,
    context: &RequestContext,
    body: RequestBody,
    handle: impl FnOnce(RequestBody) -> Reply,
) -> Reply {
    let (api, payer) = (body.api_key(), Payer::of(context));
    if is_exempt(api) {
        return handle(body);
    }
    let of_bytes = match &body {
        RequestBody::Produce(_) => {
            let bytes = context.request_bytes.unwrap_or_else(|| record_bytes(&body));
            quotas.record(QuotaKind::Produce, payer.subject(), as_float(bytes))
        }
        _ => 0,
    };
    let began = std::time::Instant::now();
    let reply = handle(body);
    let percent = began.elapsed().as_secs_f64() * 100.0;
    let throttle_ms = of_bytes.max(quotas.record(QuotaKind::Request, payer.subject(), percent));
    // At once, whenever the answer comes: what the client sends meanwhile waits.
    payer.mute(&quotas.clock, throttle_ms);
    settled(quotas, payer, throttle_ms, reply)
}

/// What other brokers would ask, and what cannot be told to wait.
fn is_exempt(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::SaslHandshake
            | ApiKey::SaslAuthenticate
            | ApiKey::WriteTxnMarkers
            | ApiKey::InitializeShareGroupState
            | ApiKey::ReadShareGroupState
            | ApiKey::WriteShareGroupState
            | ApiKey::DeleteShareGroupState
            | ApiKey::ReadShareGroupStateSummary
    )
}

#[expect(clippy::cast_precision_loss, reason = "no request is that large")]
fn as_float(bytes: usize) -> f64 {
    bytes as f64
}

/// What a Produce request has in records, where nobody counted its bytes.
fn record_bytes(body: &RequestBody) -> usize {
    let RequestBody::Produce(request) = body else { return 0 };
    let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    let records = partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len);
    REQUEST_OVERHEAD_BYTES + records.sum::<usize>()
}

/// The reply whose answer says what its client is to wait for it.
fn settled(quotas: &Arc<Quotas>, payer: Payer, throttle_ms: i64, reply: Reply) -> Reply {
    let quotas = Arc::clone(quotas);
    let settle = move |mut body: ResponseBody| {
        let of_share = match &body {
            ResponseBody::ShareFetch(fetch) => {
                let partitions = fetch.responses.iter().flat_map(|topic| &topic.partitions);
                let bytes = partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len).sum();
                quotas.record(QuotaKind::Fetch, payer.subject(), as_float(bytes))
            }
            _ => 0,
        };
        tell(&mut body, throttle_ms.max(of_share));
        payer.mute(&quotas.clock, throttle_ms.max(of_share));
        body
    };
    match reply {
        Reply::Now(body) => Reply::Now(settle(body)),
        Reply::Later(body) => Reply::Later(Box::pin(async move { settle(body.await) })),
        Reply::Stored(mut stored) => {
            stored.body = settle(stored.body);
            Reply::Stored(stored)
        }
        Reply::StoredLater(stored) => Reply::StoredLater(Box::pin(async move {
            let mut stored = stored.await;
            stored.body = settle(stored.body);
            stored
        })),
        reply @ (Reply::Never | Reply::Close) => reply,
    }
}

/// Makes an answer say that its client is to wait, if it does not say longer already.
fn tell(body: &mut ResponseBody, throttle_ms: i64) {
    if let Some(told) = body.throttle_time_ms_mut() {
        *told = (*told).max(i32::try_from(throttle_ms).unwrap_or(i32::MAX));
    }
}

/// What a fetch may still read, and is charged.
#[derive(Debug)]
pub(crate) struct FetchQuota {
    quotas: Arc<Quotas>,
    payer: Payer,
    /// The most the client may have at once.
    pub(crate) burst_max: usize,
}

/// What is said of a fetch that was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FetchCharge {
    /// Milliseconds the client is to wait.
    pub(crate) throttle_time_ms: i32,
    /// Whether it gets nothing now.
    pub(crate) withheld: bool,
}

impl FetchQuota {
    /// That of a client; none if it has none.
    pub(crate) fn of(quotas: &Arc<Quotas>, context: &RequestContext) -> Option<Self> {
        if !quotas.is_active() {
            return None;
        }
        let payer = Payer::of(context);
        let burst_max = lock(&quotas.clients).burst_max(QuotaKind::Fetch, payer.subject())?;
        #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest whole number there is")]
        let burst_max = burst_max.max(0.0).min(f64::from(i32::MAX)) as i32;
        Some(Self { quotas: Arc::clone(quotas), payer, burst_max: usize::try_from(burst_max).unwrap_or(0) })
    }

    /// Charges an answer. What is beyond the quota is not sent and not charged, unless it is a single answer that no
    /// wait would ever bring within the quota, and the client had nothing for a while: it would starve.
    pub(crate) fn charge(&self, bytes: usize) -> FetchCharge {
        let (kind, subject, now_ms) = (QuotaKind::Fetch, self.payer.subject(), self.quotas.clock.monotonic_ms());
        let mut clients = lock(&self.quotas.clients);
        let may_exceed = bytes > self.burst_max && clients.record(kind, subject, 0.0, now_ms) == 0;
        let throttle_ms = clients.record(kind, subject, as_float(bytes), now_ms);
        let withheld = throttle_ms > 0 && !may_exceed;
        if withheld {
            clients.unrecord(kind, subject, as_float(bytes), now_ms);
        }
        drop(clients);
        self.payer.mute(&self.quotas.clock, throttle_ms);
        FetchCharge { throttle_time_ms: i32::try_from(throttle_ms).unwrap_or(i32::MAX), withheld }
    }
}

/// What a request to make or delete partitions is charged, and has been told to wait.
#[derive(Debug)]
pub(crate) struct MutationQuota {
    payer: Option<(Arc<Quotas>, Payer)>,
    /// Whether the client knows to be refused.
    is_strict: bool,
    throttle_ms: AtomicI64,
}

impl MutationQuota {
    /// Nobody is charged: the broker does it for itself.
    pub(crate) fn free() -> Self {
        Self { payer: None, is_strict: false, throttle_ms: AtomicI64::new(0) }
    }

    /// A client is charged; from this version of the request on it may be refused.
    pub(crate) fn of(quotas: &Arc<Quotas>, context: &RequestContext, strict_since: i16) -> Self {
        let payer = quotas.is_active().then(|| (Arc::clone(quotas), Payer::of(context)));
        Self { payer, is_strict: context.api_version >= strict_since, ..Self::free() }
    }

    /// Charges for so many partitions.
    pub(crate) fn take(&self, partitions: usize) -> Result<(), MutationRefused> {
        let Some((quotas, payer)) = &self.payer else { return Ok(()) };
        let now_ms = quotas.clock.monotonic_ms();
        let taken = lock(&quotas.clients).mutate(payer.subject(), as_float(partitions), self.is_strict, now_ms);
        let throttle_ms = taken.unwrap_or_else(|refused| refused.throttle_ms);
        self.throttle_ms.fetch_max(throttle_ms, Ordering::Relaxed);
        taken.map(drop)
    }

    /// How long the client is to wait for all that was taken; begins now.
    pub(crate) fn settle(&self) -> i32 {
        let throttle_ms = self.throttle_ms.load(Ordering::Relaxed);
        if let Some((quotas, payer)) = &self.payer {
            payer.mute(&quotas.clock, throttle_ms);
        }
        i32::try_from(throttle_ms).unwrap_or(i32::MAX)
    }
}

/// Milliseconds that are none if negative.
pub(crate) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
