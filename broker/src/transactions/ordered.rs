//! Batches of a producer for a partition that is not in its transaction yet wait until it is, and are then appended in the
//! order in which they came, though the requests that brought them are under way together.
//!
//! Bounded by what connections may have under way. Jobs run without the lock.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    fmt,
    sync::{Mutex, PoisonError},
};

use riverrun_core::{ProducerId, TopicPartition};

/// Who writes where.
pub(super) type Key = (ProducerId, TopicPartition);

/// What is to be done when it is its turn.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The queues of those who wait. A queue is there, even if empty, from the first [`enter`](Ordered::enter) on until
/// [`drain`](Ordered::drain) has found it empty.
#[derive(Default)]
pub(super) struct Ordered(Mutex<HashMap<Key, VecDeque<Job>>>);

impl fmt::Debug for Ordered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ordered").field(&self.lock().len()).finish()
    }
}

impl Ordered {
    /// Whether somebody waits, so that whoever comes now has to wait behind.
    pub(super) fn is_waiting(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// Adds a job. True for the first one, who has to see to it that [`drain`](Self::drain) is called.
    pub(super) fn enter(&self, key: Key, job: Job) -> bool {
        match self.lock().entry(key) {
            Entry::Occupied(mut queue) => {
                queue.get_mut().push_back(job);
                false
            }
            Entry::Vacant(vacant) => {
                vacant.insert(VecDeque::from([job]));
                true
            }
        }
    }

    /// Runs all jobs, those that arrive meanwhile too, in their order.
    pub(super) fn drain(&self, key: &Key) {
        loop {
            let job = {
                let mut queues = self.lock();
                let job = queues.get_mut(key).and_then(VecDeque::pop_front);
                if job.is_none() {
                    queues.remove(key);
                }
                job
            };
            match job {
                Some(job) => job(),
                None => return,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, VecDeque<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn jobs_run_in_their_order_and_later_ones_behind() {
        let ordered = Arc::new(Ordered::default());
        let ran = Arc::new(Mutex::new(Vec::new()));
        let key = (ProducerId(1), TopicPartition::new("t", 0));
        let job = |number: i32| -> Job {
            let ran = Arc::clone(&ran);
            Box::new(move || ran.lock().unwrap().push(number))
        };
        let (inner, inner_key, last) = (Arc::clone(&ordered), key.clone(), job(3));
        assert!(ordered.enter(key.clone(), job(1)));
        assert!(!ordered.enter(key.clone(), Box::new(move || assert!(!inner.enter(inner_key, last)))));
        assert!(!ordered.enter(key.clone(), job(2)));
        assert!(ordered.is_waiting(&key));
        ordered.drain(&key);
        assert_eq!(*ran.lock().unwrap(), [1, 2, 3]);
        assert!(!ordered.is_waiting(&key));
    }
}
