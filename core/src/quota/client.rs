//! What users and client ids have used, and how long they are to wait for it.
//!
//! | kind | counted with | beyond the bound |
//! |---|---|---|
//! | Produce, Fetch | a rate | waits until the rate is the bound |
//! | Request | a rate of percent | the same, but no longer than one window |
//! | ControllerMutation | a token bucket | a strict caller is refused, any other waits |

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    QuotaKind, SampledRate, Subject, TokenBucket, Windows,
    limits::{Limits, Scope},
};
use crate::metadata::{QuotaEntity, Quotas};

/// Counters that are kept; the clients beyond share one per kind.
pub const COUNTERS_MAX: usize = 50_000;
/// Counters before which none is looked for that can be forgotten.
const PRUNE_FROM: usize = 1_000;

/// How the kinds are sampled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaWindows {
    /// `quota.window.*`: bytes and request time.
    pub client: Windows,
    /// `controller.quota.window.*`: changes of topics.
    pub controller: Windows,
}

/// A change of topics that the quota does not allow now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the quota of controller mutations is exceeded; the client may try again in {throttle_ms} ms")]
pub struct MutationRefused {
    /// How long the client is to wait.
    pub throttle_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CounterKey {
    kind: QuotaKind,
    user: Option<Arc<str>>,
    client_id: Option<Arc<str>>,
}

#[derive(Debug)]
enum Counter {
    Rate(SampledRate),
    Bucket(TokenBucket),
}

/// The state of all quotas of users and client ids.
#[derive(Debug, Default)]
pub struct ClientQuotas {
    windows: QuotaWindows,
    limits: Limits,
    counters: HashMap<CounterKey, Counter>,
    prune_at: usize,
}

impl ClientQuotas {
    /// No quota is set yet.
    pub fn new(windows: QuotaWindows) -> Self {
        Self { windows, prune_at: PRUNE_FROM, ..Self::default() }
    }

    /// Takes the quotas that are set. What has been used stays used.
    pub fn set_limits(&mut self, quotas: &BTreeMap<QuotaEntity, Quotas>) {
        self.limits = Limits::new(quotas);
        if self.limits.is_empty() {
            self.counters.clear();
        }
    }

    /// Whether no client is bounded by anything.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Whether a quota of this kind holds for the client.
    pub fn bounds(&self, kind: QuotaKind, subject: Subject<'_>) -> bool {
        self.limits.find(kind, subject).is_some()
    }

    /// How many counters there are.
    pub fn counter_count(&self) -> usize {
        self.counters.len()
    }

    /// Counts what a client uses of Produce, Fetch or Request. Returns for how many milliseconds it is to be left alone:
    /// 0 as long as it is within its quota.
    pub fn record(&mut self, kind: QuotaKind, subject: Subject<'_>, value: f64, now_ms: i64) -> i64 {
        let windows = self.windows.client;
        let Some((bound, scope)) = self.limits.find(kind, subject) else { return 0 };
        let Counter::Rate(rate) = self.counter(kind, subject, scope, now_ms) else { return 0 };
        rate.record(&windows, value, now_ms);
        let throttle_ms = rate.throttle_ms(&windows, bound, now_ms);
        if kind == QuotaKind::Request { throttle_ms.min(windows.window_ms) } else { throttle_ms }
    }

    /// Takes back what was counted and not used after all.
    pub fn unrecord(&mut self, kind: QuotaKind, subject: Subject<'_>, value: f64, now_ms: i64) {
        let windows = self.windows.client;
        let Some((_, scope)) = self.limits.find(kind, subject) else { return };
        if let Counter::Rate(rate) = self.counter(kind, subject, scope, now_ms) {
            rate.record(&windows, -value, now_ms);
        }
    }

    /// The most a client may use at once of what is counted with a rate: that of all windows but one.
    pub fn burst_max(&self, kind: QuotaKind, subject: Subject<'_>) -> Option<f64> {
        let (bound, _) = self.limits.find(kind, subject)?;
        let Windows { count, window_ms } = self.windows.client;
        #[expect(clippy::cast_precision_loss, reason = "no time is that long")]
        Some(bound * f64::from(count.max(1) - 1) * (window_ms as f64 / 1_000.0))
    }

    /// Counts changed partitions of a client that knows to be refused (`strict`), or does not. Returns how long the
    /// latter is to be left alone.
    ///
    /// # Errors
    /// If a strict client has used up its quota before; then nothing is counted.
    pub fn mutate(
        &mut self,
        subject: Subject<'_>,
        partitions: f64,
        strict: bool,
        now_ms: i64,
    ) -> Result<i64, MutationRefused> {
        let kind = QuotaKind::ControllerMutation;
        let windows = self.windows.controller;
        let Some((rate, scope)) = self.limits.find(kind, subject) else { return Ok(0) };
        let Counter::Bucket(bucket) = self.counter(kind, subject, scope, now_ms) else { return Ok(0) };
        let throttle_ms = bucket.throttle_ms(&windows, rate, now_ms);
        if strict && throttle_ms > 0 {
            return Err(MutationRefused { throttle_ms });
        }
        bucket.take(&windows, rate, partitions, now_ms);
        Ok(if strict { 0 } else { bucket.throttle_ms(&windows, rate, now_ms) })
    }

    fn counter(&mut self, kind: QuotaKind, subject: Subject<'_>, scope: Scope, now_ms: i64) -> &mut Counter {
        let (user, client_id) = match scope {
            Scope::UserAndClient => (Some(subject.user), Some(subject.client_id)),
            Scope::User => (Some(subject.user), None),
            Scope::Client => (None, Some(subject.client_id)),
        };
        let mut key = CounterKey { kind, user: user.map(Arc::from), client_id: client_id.map(Arc::from) };
        if self.counters.len() >= self.prune_at && !self.counters.contains_key(&key) {
            self.prune(now_ms);
            if self.counters.len() >= COUNTERS_MAX {
                key = CounterKey { kind, user: None, client_id: None };
            }
        }
        self.counters.entry(key).or_insert_with(|| match kind {
            QuotaKind::ControllerMutation => Counter::Bucket(TokenBucket::default()),
            QuotaKind::Produce | QuotaKind::Fetch | QuotaKind::Request => Counter::Rate(SampledRate::default()),
        })
    }

    /// Forgets counters that a new one could take the place of. Seldom enough not to count.
    fn prune(&mut self, now_ms: i64) {
        let QuotaWindows { client, controller } = self.windows;
        self.counters.retain(|_, counter| match counter {
            Counter::Rate(rate) => !rate.is_idle(&client, now_ms),
            Counter::Bucket(bucket) => !bucket.is_idle(&controller, now_ms),
        });
        self.prune_at = (self.counters.len() * 2).clamp(PRUNE_FROM, COUNTERS_MAX);
    }
}
