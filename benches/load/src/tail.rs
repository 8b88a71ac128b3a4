//! From a record's produce request to the consumer that waits for it in a long poll: both ends in one thread, so that no
//! wake-up but the broker's is measured. One record at a time, at a fixed rate, so that the long poll is always parked
//! before the next record comes.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    admin,
    connection::{Frames, connect},
    fetch::FetchFrame,
    meter::Meter,
    process,
    request::{Outbox, Requests},
};

/// Time between two records.
const INTERVAL: Duration = Duration::from_millis(1);
/// The long poll's own limit; never reached.
const MAX_WAIT_MS: i32 = 10_000;

/// Runs until the meter has enough. `requests` hold one record each, for partition 0 of `topic`.
///
/// # Errors
/// If a connection breaks, the broker refuses, or a record does not come.
pub fn run(address: &str, topic: &str, requests: &Requests, meter: &mut Meter) -> Result<()> {
    process::exact_timers();
    let (mut producer, mut consumer) = (connect(address)?, connect(address)?);
    let (mut acks, mut arrivals) = (Frames::default(), Frames::default());
    let mut outbox = Outbox::starting_at(0);
    let mut fetch = FetchFrame::new(topic, 1 << 20, MAX_WAIT_MS)?;
    let mut offset = admin::end_offsets(address, topic, 1)?.first().copied().unwrap_or_default();
    while !meter.is_done() {
        consumer.write_all(fetch.at(offset))?;
        thread::sleep(INTERVAL);
        let began = Instant::now();
        outbox.queue(1);
        outbox.write_to(&producer, requests)?;
        let fetched = fetch.read(arrivals.read_one(&mut consumer)?)?;
        let now = Instant::now();
        let Some(next) = fetched.next_offset else { bail!("the long poll at offset {offset} brought nothing") };
        offset = next;
        requests.check(acks.read_one(&mut producer)?)?;
        meter.answered(began, now, fetched.records, requests.bytes)?;
    }
    Ok(())
}
