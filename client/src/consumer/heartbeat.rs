//! The task that keeps a member alive while the application is busy, and makes it leave when the application has not
//! polled for too long. Owned by the consumer, which aborts it when dropped.

use std::{sync::Arc, time::Duration};

use riverrun_core::protocol::ErrorCode;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    group::{Group, Lane},
    membership::{Beat, Duty},
};
use crate::backoff::Backoff;

/// Runs until aborted.
pub(super) async fn run(group: Arc<Group>) {
    let mut failures = 0;
    loop {
        let duty = group.membership().duty(Instant::now());
        let beat = match duty {
            Duty::Rest => {
                group.duty_changed.notified().await;
                continue;
            }
            Duty::Until(then) => {
                tokio::select! {
                    () = sleep_until(then) => {}
                    () = group.duty_changed.notified() => {}
                }
                continue;
            }
            Duty::Leave => {
                tracing::warn!(group = %group.id, "no poll for longer than max_poll_interval: leaving the group");
                group.leave("no poll within max.poll.interval.ms", true).await;
                group.changed.notify_one();
                continue;
            }
            Duty::Beat(request) => {
                let generation_id = request.generation_id;
                let limit = group.settings.session_timeout.max(Duration::from_secs(1));
                let response = timeout(
                    limit,
                    group.call(Lane::Control, limit, i16::MAX, |version| {
                        let mut request = request;
                        if version < 3 {
                            request.group_instance_id = None;
                        }
                        request
                    }),
                );
                let code = response.await.ok().and_then(Result::ok).map(|r| ErrorCode::from_code(r.error_code));
                group.membership().beaten(generation_id, code, Instant::now())
            }
        };
        match beat {
            Beat::Alive => failures = 0,
            Beat::Notify => {
                failures = 0;
                group.changed.notify_one();
            }
            Beat::NewCoordinator => {
                failures += 1;
                group.forget_coordinator();
                sleep(Backoff::default().after(failures, rand::random())).await;
            }
        }
    }
}
