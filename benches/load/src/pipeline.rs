//! One connection with a fixed number of requests in flight: whatever has been answered is sent anew, in one write. With
//! one in flight it measures the round trip. Blocking, so a turn is two system calls and no wake-up but the broker's.

use std::{collections::VecDeque, net::TcpStream, time::Instant};

use anyhow::Result;

use crate::{
    connection::Frames,
    meter::Meter,
    request::{Outbox, Requests},
};

/// Runs until the meter has enough, then waits for what is still in flight.
///
/// # Errors
/// If the connection breaks or the broker refuses a request.
pub fn run(stream: &TcpStream, requests: &Requests, in_flight: usize, meter: &mut Meter) -> Result<()> {
    let mut frames = Frames::default();
    let mut outbox = Outbox::starting_at(0);
    let mut sent = VecDeque::with_capacity(in_flight);
    let mut wanted = in_flight;
    while wanted > 0 || !sent.is_empty() {
        if wanted > 0 {
            let now = Instant::now();
            sent.extend(std::iter::repeat_n(now, wanted));
            outbox.queue(wanted);
            outbox.write_to(stream, requests)?;
        }
        frames.read_from(stream)?;
        let now = Instant::now();
        let mut answered = 0;
        while let Some(frame) = frames.next_frame()? {
            requests.check(frame)?;
            let began = sent.pop_front().unwrap_or(now);
            meter.answered(began, now, requests.records, requests.bytes)?;
            answered += 1;
        }
        wanted = if meter.is_done() { 0 } else { answered };
    }
    Ok(())
}
