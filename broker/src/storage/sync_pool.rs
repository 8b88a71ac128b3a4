//! The threads that sync several logs at a time: a disk commits what comes together at once. They are started when a round
//! first has work for them, wait parked between rounds, and end with the pool.
//!
//! One thread owns the pool, hands it a round, and works with the others until the round is done.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

/// Threads beside the owner.
const HELPERS_MAX: usize = 7;

/// A pool whose threads do one thing with each item of a round.
pub(super) struct SyncPool<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    helpers: Vec<JoinHandle<()>>,
}

struct Shared<T> {
    work: Box<dyn Fn(T) + Send + Sync>,
    /// Held only to take an item, or to say that one is done.
    round: Mutex<Round<T>>,
    begun: Condvar,
    done: Condvar,
}

struct Round<T> {
    left: std::vec::IntoIter<T>,
    under_way: usize,
    /// No round follows.
    over: bool,
}

impl<T: Send + 'static> SyncPool<T> {
    /// A pool without threads.
    pub(super) fn new(work: impl Fn(T) + Send + Sync + 'static) -> Self {
        let round = Mutex::new(Round { left: Vec::new().into_iter(), under_way: 0, over: false });
        let shared = Shared { work: Box::new(work), round, begun: Condvar::new(), done: Condvar::new() };
        Self { shared: Arc::new(shared), helpers: Vec::new() }
    }

    /// Does the work of a round, and returns when all of it is done.
    pub(super) fn run(&mut self, items: Vec<T>) {
        let wanted = items.len().saturating_sub(1).min(HELPERS_MAX);
        self.start_helpers(wanted);
        self.shared.lock().left = items.into_iter();
        (0..wanted).for_each(|_| self.shared.begun.notify_one());
        self.shared.work_off();
        let mut round = self.shared.lock();
        while round.under_way > 0 {
            round = self.shared.done.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn start_helpers(&mut self, wanted: usize) {
        while self.helpers.len() < wanted {
            let shared = Arc::clone(&self.shared);
            let helper = std::thread::Builder::new().name("riverrun-sync".to_owned());
            match helper.spawn(move || shared.help()) {
                Ok(helper) => self.helpers.push(helper),
                Err(error) => {
                    // The others do its work.
                    tracing::debug!(%error, "cannot start a thread to sync with");
                    return;
                }
            }
        }
    }
}

impl<T: Send + 'static> Drop for SyncPool<T> {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.begun.notify_all();
        for helper in self.helpers.drain(..) {
            if helper.join().is_err() {
                tracing::error!("a thread that syncs logs panicked");
            }
        }
    }
}

impl<T> Shared<T> {
    fn help(&self) {
        loop {
            self.work_off();
            let mut round = self.lock();
            while round.left.as_slice().is_empty() {
                if round.over {
                    return;
                }
                round = self.begun.wait(round).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Takes items until there are none left.
    fn work_off(&self) {
        loop {
            let mut round = self.lock();
            let Some(item) = round.left.next() else { return };
            round.under_way += 1;
            drop(round);
            // Counted down also by a panic, which ends this thread: the owner must not wait for it.
            let _under_way = UnderWay(self);
            (self.work)(item);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Round<T>> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct UnderWay<'s, T>(&'s Shared<T>);

impl<T> Drop for UnderWay<'_, T> {
    fn drop(&mut self) {
        let mut round = self.0.lock();
        round.under_way -= 1;
        if round.under_way == 0 {
            self.0.done.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread::ThreadId,
    };

    use super::*;

    #[test]
    fn every_item_is_done_by_a_few_threads_that_stay() {
        let (done, threads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(HashSet::<ThreadId>::new())));
        let mut pool = SyncPool::new({
            let (done, threads) = (Arc::clone(&done), Arc::clone(&threads));
            move |item: usize| {
                threads.lock().unwrap().insert(std::thread::current().id());
                done.fetch_add(item, Ordering::SeqCst);
            }
        });
        for round in 0..200 {
            let before = done.load(Ordering::SeqCst);
            pool.run(vec![1; round % 40]);
            assert_eq!(done.load(Ordering::SeqCst) - before, round % 40, "all of a round, before it returns");
        }
        assert_eq!(pool.helpers.len(), HELPERS_MAX);
        assert!(threads.lock().unwrap().len() <= HELPERS_MAX + 1);
        drop(pool);
        assert_eq!(Arc::strong_count(&done), 1, "no thread is left");
    }

    #[test]
    fn items_are_worked_on_together() {
        let together = Arc::new(Barrier::new(HELPERS_MAX + 1));
        let mut pool = SyncPool::new({
            let together = Arc::clone(&together);
            move |()| {
                together.wait();
            }
        });
        // Each waits for all the others: a pool that did them one after the other would not end.
        pool.run(vec![(); HELPERS_MAX + 1]);
        pool.run(vec![(); HELPERS_MAX + 1]);
    }

    #[test]
    fn a_round_without_work_for_others_starts_no_thread() {
        let mut pool = SyncPool::new(|()| ());
        pool.run(vec![()]);
        pool.run(Vec::new());
        assert!(pool.helpers.is_empty());
    }

    #[test]
    fn a_panic_of_a_helper_does_not_hold_up_the_owner() {
        let owner = std::thread::current().id();
        let both = Arc::new(Barrier::new(2));
        let mut pool = SyncPool::new({
            let both = Arc::clone(&both);
            move |()| {
                both.wait();
                assert_eq!(std::thread::current().id(), owner, "the helper fails");
            }
        });
        pool.run(vec![(); 2]);
    }
}
