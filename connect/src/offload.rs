//! Blocking work from async code, cancel-safely.
//!
//! The state moves to a blocking thread and back. Where the future is dropped in between, the work goes on and its
//! result waits here for the next call: nothing that was read gets lost. Deliberately not a thread of its own: a task
//! that waits holds no thread.

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// A state `S` with blocking work on it that yields `R`.
#[derive(Debug)]
pub(crate) struct Offload<S, R> {
    state: State<S, R>,
}

#[derive(Debug)]
enum State<S, R> {
    Idle(S),
    Busy(JoinHandle<(S, R)>),
    /// While one of the others is being replaced; for good once the work has panicked.
    Gone,
}

/// The state is gone with work that did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OffloadError {
    /// This very work.
    #[error("blocking work panicked or was cut off by the runtime's end")]
    Unfinished(#[from] JoinError),
    /// Work of an earlier call.
    #[error("blocking work of an earlier call panicked")]
    Earlier,
}

impl From<OffloadError> for crate::TaskError {
    fn from(error: OffloadError) -> Self {
        Self::fatal(error)
    }
}

impl<S: Send + 'static, R: Send + 'static> Offload<S, R> {
    /// Holds `state`.
    pub(crate) fn new(state: S) -> Self {
        Self { state: State::Idle(state) }
    }

    /// Runs `work`, or, if an earlier call was dropped, waits for what that one began: its result comes instead.
    /// Cancel-safe.
    pub(crate) async fn run(&mut self, work: impl FnOnce(&mut S) -> R + Send + 'static) -> Result<R, OffloadError> {
        if let State::Idle(_) = self.state
            && let State::Idle(mut state) = std::mem::replace(&mut self.state, State::Gone)
        {
            self.state = State::Busy(spawn_blocking(move || {
                let result = work(&mut state);
                (state, result)
            }));
        }
        let State::Busy(handle) = &mut self.state else { return Err(OffloadError::Earlier) };
        let joined = handle.await;
        self.state = State::Gone;
        let (state, result) = joined?;
        self.state = State::Idle(state);
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_dropped_call_loses_nothing() {
        let (release, wait) = mpsc::channel::<()>();
        let mut offload = Offload::new(vec![1]);
        let call = offload.run(move |state| {
            wait.recv().unwrap();
            state.push(2);
            "first"
        });
        assert!(futures::poll!(Box::pin(call)).is_pending());
        release.send(()).unwrap();
        assert_eq!(offload.run(|_| "second").await.unwrap(), "first");
        assert_eq!(offload.run(|state| if *state == [1, 2] { "third" } else { "lost" }).await.unwrap(), "third");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let mut offload = Offload::new(());
        assert!(matches!(offload.run(|()| panic!("on purpose")).await, Err(OffloadError::Unfinished(_))));
        assert!(matches!(offload.run(|()| ()).await, Err(OffloadError::Earlier)));
    }
}
