//! Waiting awake. Most of the time that a lone small request takes on an idle host is spent on two processors that have
//! gone to sleep and must be woken: the broker's, and then the client's. A client that asks one thing after the other,
//! each as soon as it has its answer, is therefore waited for without sleeping, for a moment and as long as that pays.
//!
//! It pays when the last requests were small and came quickly one after the other. When a wait was for nothing, the
//! client must show for longer that it is quick; when it was not, for less long: who is waited for in vain more often than
//! not is soon left alone. Other tasks have their turn between two looks, and so have other threads that want this
//! processor: the system tends to wake the client's where its answer was sent from, which is here. Who wants it for long
//! has work of its own, and then it is better to sleep, since the system gives a processor sooner to who wakes than to who
//! yielded: what was lost in such a turn has to be made good by as many quick requests. One
//! connection waits at a time, and nobody does on a host with one processor, where it would only be in the client's way.

use std::{
    io,
    pin::pin,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

/// A round trip is quick if it takes so many times what may be waited awake: as it is, it holds two wakes.
const QUICK_FACTOR: u32 = 3;
/// What came at once is small up to here. Those who move much are better served by fewer and larger reads.
const SMALL_BYTES: usize = 4096;
/// Quick round trips in a row before the first wait.
const PROOF: u32 = 8;
/// The most that are asked for after waits for nothing.
const PROOF_MAX: u32 = 4096;
/// What was lost in a turn of others for which one quick round trip makes good.
const LOSS: Duration = Duration::from_micros(4);

static PROCESSORS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));

/// What one connection's client is used to do.
#[derive(Debug)]
pub(super) struct BusyPoll {
    /// How long to wait; zero for never.
    budget: Duration,
    last: Option<Instant>,
    quick: u32,
    wanted: u32,
}

impl BusyPoll {
    /// Waits of up to `budget`, of a client that nothing is known of.
    pub(super) fn new(budget: Duration) -> Self {
        let budget = if *PROCESSORS > 1 { budget } else { Duration::ZERO };
        Self { budget, last: None, quick: 0, wanted: PROOF }
    }

    /// Takes note of `bytes` that were read `now`.
    pub(super) fn received(&mut self, now: Instant, bytes: usize) {
        let round_trip = self.last.replace(now).map(|last| now - last);
        let is_quick = round_trip.is_some_and(|taken| taken <= self.budget * QUICK_FACTOR) && bytes <= SMALL_BYTES;
        self.quick = if is_quick { self.quick.saturating_add(1) } else { 0 };
    }

    /// Whether the next request is likely to come while one waits for it awake.
    pub(super) fn is_worthwhile(&self) -> bool {
        !self.budget.is_zero() && self.quick >= self.wanted
    }

    /// Reads what comes within the budget; `None` if nothing does, or another connection holds `turn`.
    ///
    /// # Cancel safety
    /// Nothing is lost: what was read is in `space`.
    pub(super) async fn read(
        &mut self,
        turn: &AtomicBool,
        stream: &mut (impl AsyncRead + Unpin),
        space: &mut BytesMut,
    ) -> Option<io::Result<usize>> {
        let _turn = Turn::take(turn)?;
        let until = std::time::Instant::now() + self.budget;
        let mut yielded = None;
        loop {
            let polled = futures::poll!(pin!(stream.read_buf(space)));
            let now = std::time::Instant::now();
            let lost = yielded.map_or(Duration::ZERO, |at| now - at);
            if let Poll::Ready(read) = polled {
                self.was_worth_it(lost);
                return Some(read);
            }
            if now >= until {
                self.was_for_nothing(lost);
                return None;
            }
            yielded = Some(now);
            // Without this a client of several threads stands behind the one that waits for it.
            std::thread::yield_now();
            // The others, and what the sockets have: the runtime looks there without sleeping while somebody yields.
            tokio::task::yield_now().await;
        }
    }

    /// The client may be waited for sooner after a wait for nothing; unless others had the processor for longer than
    /// anybody is waited for.
    fn was_worth_it(&mut self, lost: Duration) {
        if lost > self.budget {
            self.was_for_nothing(lost);
        } else {
            self.wanted = (self.wanted / 2).max(PROOF);
        }
    }

    /// The client is to show anew that it is quick, and for longer.
    fn was_for_nothing(&mut self, lost: Duration) {
        let makes_good = u32::try_from(lost.as_micros() / LOSS.as_micros()).unwrap_or(PROOF_MAX);
        self.quick = 0;
        self.wanted = self.wanted.saturating_mul(2).max(makes_good).min(PROOF_MAX);
    }
}

/// That nobody else waits awake; given back when dropped.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(turn: &'a AtomicBool) -> Option<Self> {
        let is_taken = turn.swap(true, Ordering::Acquire);
        (!is_taken).then(|| Self(turn))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const BUDGET: Duration = Duration::from_micros(50);

    /// Of a host with several processors, whatever this one has.
    fn busy_poll(budget: Duration) -> BusyPoll {
        BusyPoll { budget, ..BusyPoll::new(budget) }
    }

    /// `count` requests of `bytes`, the first `apart` from what was before.
    fn receive(poll: &mut BusyPoll, count: u32, apart: Duration, bytes: usize) {
        for _ in 0..count {
            let now = poll.last.map_or_else(Instant::now, |last| last + apart);
            poll.received(now, bytes);
        }
    }

    #[test]
    fn only_a_quick_client_of_small_requests_is_waited_for_awake() {
        let quick = BUDGET * QUICK_FACTOR;
        for (count, apart, bytes, expected) in [
            (PROOF, quick, 100, false),
            (PROOF + 1, quick, 100, true),
            (PROOF + 1, quick, SMALL_BYTES + 1, false),
            (1000, quick + Duration::from_nanos(1), 100, false),
        ] {
            let mut poll = busy_poll(BUDGET);
            receive(&mut poll, count, apart, bytes);
            assert_eq!(poll.is_worthwhile(), expected, "{count} {apart:?} {bytes}");
        }
        let mut poll = busy_poll(BUDGET);
        receive(&mut poll, 1000, quick, 100);
        receive(&mut poll, 1, quick * 2, 100);
        assert!(!poll.is_worthwhile(), "one pause, and it begins anew");
        let mut off = busy_poll(Duration::ZERO);
        receive(&mut off, 1000, Duration::ZERO, 1);
        assert!(!off.is_worthwhile());
    }

    #[tokio::test]
    async fn what_comes_is_read_and_a_wait_for_nothing_makes_it_rarer() {
        let (mut client, mut stream) = tokio::io::duplex(64);
        let (turn, mut space) = (AtomicBool::new(false), BytesMut::with_capacity(64));
        let mut poll = busy_poll(Duration::from_secs(3600));
        receive(&mut poll, PROOF + 1, Duration::ZERO, 1);
        let asks = async {
            tokio::task::yield_now().await;
            client.write_all(b"ask").await.unwrap();
        };
        let (read, ()) = tokio::join!(poll.read(&turn, &mut stream, &mut space), asks);
        assert_eq!((read.unwrap().unwrap(), &*space), (3, &b"ask"[..]));
        assert!(poll.is_worthwhile());

        poll.budget = Duration::ZERO;
        assert!(poll.read(&turn, &mut stream, &mut space).await.is_none());
        poll.budget = BUDGET;
        receive(&mut poll, PROOF, Duration::ZERO, 1);
        assert!(!poll.is_worthwhile());
        receive(&mut poll, PROOF, Duration::ZERO, 1);
        assert!(poll.is_worthwhile(), "twice as many as before");
        assert!(!turn.load(Ordering::Relaxed), "given back each time");
    }

    /// Of two waits, one is for nothing: that must not go on for ever.
    #[tokio::test]
    async fn who_is_waited_for_in_vain_as_often_as_not_is_left_alone() {
        let (mut client, mut stream) = tokio::io::duplex(64);
        let (turn, mut space) = (AtomicBool::new(false), BytesMut::with_capacity(64));
        let mut poll = busy_poll(Duration::ZERO);
        poll.wanted = 64 * PROOF;
        for _ in 0..3 {
            assert!(poll.read(&turn, &mut stream, &mut space).await.is_none());
            client.write_all(b"ask").await.unwrap();
            assert!(poll.read(&turn, &mut stream, &mut space).await.is_some());
        }
        assert_eq!(poll.wanted, 64 * PROOF, "no reason to do it more often, nor less");
        assert!(poll.read(&turn, &mut stream, &mut space).await.is_none());
        assert_eq!(poll.wanted, 128 * PROOF);
    }

    /// Whoever else wants the processor gets it, and what that took is not lost again soon.
    #[test]
    fn where_others_have_work_nobody_waits_awake() {
        let mut poll = busy_poll(BUDGET);
        receive(&mut poll, PROOF + 1, Duration::ZERO, 1);
        poll.was_worth_it(BUDGET);
        assert!(poll.is_worthwhile(), "a turn of the client's own threads, for example");
        for (lost, wanted) in
            [(LOSS * 1000, 1000), (BUDGET + LOSS, 2000), (LOSS * 3000, 4000), (LOSS * 5000, PROOF_MAX)]
        {
            poll.was_worth_it(lost);
            assert_eq!((poll.wanted, poll.is_worthwhile()), (wanted, false), "{lost:?}");
        }
        receive(&mut poll, PROOF_MAX, Duration::ZERO, 1);
        assert!(poll.is_worthwhile(), "that was made good");
        poll.was_worth_it(Duration::ZERO);
        assert!(poll.is_worthwhile() && poll.wanted == PROOF_MAX / 2);
    }

    #[tokio::test]
    async fn one_connection_at_a_time_waits_awake() {
        let (_client, mut stream) = tokio::io::duplex(64);
        let (turn, mut space) = (AtomicBool::new(true), BytesMut::new());
        let mut poll = busy_poll(Duration::from_secs(3600));
        receive(&mut poll, PROOF + 1, Duration::ZERO, 1);
        assert!(poll.read(&turn, &mut stream, &mut space).await.is_none(), "another holds the turn");
        assert!(turn.load(Ordering::Relaxed) && poll.is_worthwhile(), "and keeps it; this one tries again");
    }
}
