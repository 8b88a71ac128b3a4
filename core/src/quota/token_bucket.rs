//! A budget that refills at a rate up to what all windows together allow. What is asked for at once may make it negative:
//! then nothing more is given until it has recovered, so that large requests are possible and paid for.
//!
//! Source: Kafka `TokenBucket`, `ControllerMutationQuotaManager`; KIP-599.

use super::{Windows, round_ms};

/// A budget; full at first.
#[derive(Debug, Clone, Default)]
pub struct TokenBucket {
    tokens: f64,
    /// None before its first use, when it is full.
    updated_ms: Option<i64>,
}

impl TokenBucket {
    /// Takes `count` out; a negative one gives back.
    pub fn take(&mut self, windows: &Windows, rate: f64, count: f64, now_ms: i64) {
        self.refill(windows, rate, now_ms);
        self.tokens = (self.tokens - count).min(burst(windows, rate));
    }

    /// How long to wait until it is not negative; 0 if it is not.
    pub fn throttle_ms(&mut self, windows: &Windows, rate: f64, now_ms: i64) -> i64 {
        self.refill(windows, rate, now_ms);
        if self.tokens >= 0.0 { 0 } else { round_ms(-self.tokens / rate * 1_000.0) }
    }

    /// Whether it is as it was before its first use; without a rate, after the time in which a full one fills.
    pub(super) fn is_idle(&self, windows: &Windows, now_ms: i64) -> bool {
        self.tokens >= 0.0 && self.updated_ms.is_none_or(|at| now_ms - at >= windows.span_ms())
    }

    fn refill(&mut self, windows: &Windows, rate: f64, now_ms: i64) {
        let burst = burst(windows, rate);
        self.tokens = match self.updated_ms {
            None => burst,
            #[expect(clippy::cast_precision_loss, reason = "no time is that long")]
            Some(at) => (self.tokens + rate * (now_ms - at).max(0) as f64 / 1_000.0).min(burst),
        };
        self.updated_ms = Some(now_ms);
    }
}

#[expect(clippy::cast_precision_loss, reason = "no time is that long")]
fn burst(windows: &Windows, rate: f64) -> f64 {
    windows.span_ms() as f64 / 1_000.0 * rate
}
