//! When the next sync begins. One that begins as soon as anything waits serves few where many write at once: those who were
//! just answered come back while it runs, and each sync costs as much as several requests. So where many wait as a rule and
//! few do now, the flusher waits for more, at most as long as a sync takes; where few write, never.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Below so many waiting at once nobody is waited for.
const CROWD_MIN: usize = 24;
/// The longest wait. A disk whose syncs take longer gathers enough while it works.
const HOLD_MAX: Duration = Duration::from_micros(200);

/// How many appends of a data directory wait for their commit.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    waiting: AtomicUsize,
    /// The most there were since this was last looked at.
    peak: AtomicUsize,
}

impl Crowd {
    pub(super) fn joined(&self) {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(waiting, Ordering::Relaxed);
    }

    pub(super) fn left(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// What the last syncs were like.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// How many wait at once as a rule: the latest peak, or what is left of higher ones before.
    usual: usize,
    taken: Duration,
}

impl Gathering {
    /// Takes note of a round of syncs that has ended.
    pub(super) fn ended(&mut self, crowd: &Crowd, taken: Duration) {
        let peak = crowd.peak.swap(crowd.waiting.load(Ordering::Relaxed), Ordering::Relaxed);
        self.usual = peak.max(self.usual - self.usual.div_ceil(8));
        self.taken = taken;
    }

    /// How long to wait for more before the next round.
    pub(super) fn hold(&self, crowd: &Crowd) -> Option<Duration> {
        let waiting = crowd.waiting.load(Ordering::Relaxed);
        (self.usual >= CROWD_MIN && waiting * 2 < self.usual).then(|| self.taken.min(HOLD_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(150);

    fn crowd_of(count: usize) -> Crowd {
        let crowd = Crowd::default();
        (0..count).for_each(|_| crowd.joined());
        crowd
    }

    #[test]
    fn few_wait_for_nobody() {
        let mut gathering = Gathering::default();
        assert_eq!(gathering.hold(&crowd_of(1)), None);
        gathering.ended(&crowd_of(CROWD_MIN - 1), SYNC);
        assert_eq!(gathering.hold(&crowd_of(1)), None);
    }

    #[test]
    fn where_many_write_half_of_them_are_waited_for() {
        let mut gathering = Gathering::default();
        let crowd = crowd_of(40);
        gathering.ended(&crowd, SYNC);
        crowd.left(30);
        assert_eq!(gathering.hold(&crowd), Some(SYNC));
        (0..10).for_each(|_| crowd.joined());
        assert_eq!(gathering.hold(&crowd), None, "that is half of them");
        gathering.ended(&crowd, Duration::from_millis(9));
        crowd.left(20);
        assert_eq!(gathering.hold(&crowd), Some(HOLD_MAX));
    }

    #[test]
    fn a_crowd_that_has_gone_is_forgotten() {
        let (mut gathering, crowd) = (Gathering::default(), crowd_of(1000));
        gathering.ended(&crowd, SYNC);
        crowd.left(999);
        // The first round still has the peak from before it.
        let rounds = (0..100).take_while(|_| {
            gathering.ended(&crowd, SYNC);
            gathering.hold(&crowd).is_some()
        });
        assert!((10..60).contains(&rounds.count()));
    }
}
