//! How fast connections come: to the broker, to each listener and from each address (KIP-612).
//!
//! Too many to the broker or a listener are accepted late: nobody in particular is to blame. Too many from an address are
//! refused, and the sooner the address tries again the longer nothing is heard.
//!
//! Source: Kafka `ConnectionQuotas`.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use super::{COUNTERS_MAX, SampledRate, Windows};
use crate::metadata::{IP_QUOTA, QuotaEntity, Quotas};

/// Addresses before which none is looked for that can be forgotten.
const PRUNE_FROM: usize = 1_000;

/// Connections a second that are accepted.
#[derive(Debug, Clone, Default)]
pub struct ConnectionLimits {
    /// By all listeners together; none for any number.
    pub all: Option<f64>,
    /// By each listener.
    pub listeners: Vec<Option<f64>>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionVerdict {
    /// It is served after so many milliseconds, in which its listener accepts no other.
    Accept {
        /// 0 for at once.
        wait_ms: i64,
    },
    /// It is closed after so many milliseconds, unread.
    Refuse {
        /// More than 0.
        throttle_ms: i64,
    },
}

/// Connections that came lately.
#[derive(Debug, Default)]
pub struct ConnectionRates {
    windows: Windows,
    limits: ConnectionLimits,
    ip_limits: HashMap<IpAddr, f64>,
    any_ip: Option<f64>,
    all: SampledRate,
    listeners: Vec<SampledRate>,
    ips: HashMap<IpAddr, SampledRate>,
    prune_at: usize,
}

impl ConnectionRates {
    /// Nothing came yet.
    pub fn new(windows: Windows, limits: ConnectionLimits) -> Self {
        let listeners = vec![SampledRate::default(); limits.listeners.len()];
        Self { windows, limits, listeners, prune_at: PRUNE_FROM, ..Self::default() }
    }

    /// Takes other limits; what came lately counts on.
    pub fn set_limits(&mut self, limits: ConnectionLimits) {
        self.listeners.resize_with(limits.listeners.len(), SampledRate::default);
        self.limits = limits;
    }

    /// Takes the quotas of addresses. A name that is no address bounds nobody.
    pub fn set_quotas(&mut self, quotas: &BTreeMap<QuotaEntity, Quotas>) {
        (self.ip_limits, self.any_ip) = (HashMap::new(), None);
        for (entity, of_entity) in quotas {
            let (Some(ip), Some(bound)) = (&entity.ip, of_entity.get(IP_QUOTA)) else { continue };
            match ip.as_ref().map(|ip| ip.parse()) {
                None => self.any_ip = Some(bound.0),
                Some(Ok(ip)) => drop(self.ip_limits.insert(ip, bound.0)),
                Some(Err(_)) => {}
            }
        }
        if self.ip_limits.is_empty() && self.any_ip.is_none() {
            self.ips.clear();
        }
    }

    /// Whether connections may come as they like.
    pub fn is_empty(&self) -> bool {
        let none_of_broker = self.limits.all.is_none() && self.limits.listeners.iter().all(Option::is_none);
        none_of_broker && self.ip_limits.is_empty() && self.any_ip.is_none()
    }

    /// Counts a connection, and says what becomes of it. One that is refused does not count for its address.
    pub fn admit(&mut self, ip: IpAddr, listener: usize, now_ms: i64) -> ConnectionVerdict {
        let windows = self.windows;
        let counted = |rate: &mut SampledRate, bound: Option<f64>| {
            let Some(bound) = bound else { return 0 };
            rate.record(&windows, 1.0, now_ms);
            rate.throttle_ms(&windows, bound, now_ms).min(windows.window_ms)
        };
        let of_all = counted(&mut self.all, self.limits.all);
        let bound = self.limits.listeners.get(listener).copied().flatten();
        let of_listener = self.listeners.get_mut(listener).map_or(0, |rate| counted(rate, bound));
        let Some(bound) = self.ip_limits.get(&ip).copied().or(self.any_ip) else {
            return ConnectionVerdict::Accept { wait_ms: of_all.max(of_listener) };
        };
        if self.ips.len() >= self.prune_at && !self.ips.contains_key(&ip) {
            self.ips.retain(|_, rate| !rate.is_idle(&windows, now_ms));
            self.prune_at = (self.ips.len() * 2).clamp(PRUNE_FROM, COUNTERS_MAX);
            if self.ips.len() >= COUNTERS_MAX {
                return ConnectionVerdict::Refuse { throttle_ms: windows.window_ms };
            }
        }
        let rate = self.ips.entry(ip).or_default();
        let throttle_ms = counted(rate, Some(bound));
        if throttle_ms > 0 {
            rate.record(&windows, -1.0, now_ms);
            return ConnectionVerdict::Refuse { throttle_ms };
        }
        ConnectionVerdict::Accept { wait_ms: of_all.max(of_listener) }
    }
}
