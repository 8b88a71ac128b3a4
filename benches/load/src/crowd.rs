//! Many connections driven by one thread.
//!
//! Closed loop: each connection keeps a number of requests in flight. Open loop: requests are due at fixed times, spread
//! evenly over the connections, and are sent then whether or not earlier ones have been answered; a latency counts from
//! when the request was *due*, so a broker that stalls is charged for all who would have come meanwhile (no coordinated
//! omission).

use std::{
    collections::VecDeque,
    io,
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    connection::{Frames, connect},
    meter::Meter,
    process,
    request::{Outbox, Requests},
};

/// Requests of an open loop that may be unanswered; a broker that falls further behind does not keep up at all.
const BACKLOG_MAX: usize = 1_000_000;
/// How long answers may take to come once the window is over.
const DRAIN: Duration = Duration::from_secs(30);

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As many per connection as this are always under way.
    InFlight(usize),
    /// This many per second over all connections.
    PerSecond(f64),
}

struct Member {
    outbox: Outbox,
    frames: Frames,
    /// When each request under way began, or was due.
    begun: VecDeque<Instant>,
}

/// Opens `connections` and runs until the meter has enough.
///
/// # Errors
/// If a connection breaks, the broker refuses a request, or an open loop's backlog grows without end.
pub fn run(address: &str, connections: usize, requests: &Requests, pace: Pace, meter: &mut Meter) -> Result<()> {
    process::exact_timers();
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = connect(address)?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    let member = |index| Member {
        // Connections begin at different partitions.
        outbox: Outbox::starting_at(index),
        frames: Frames::default(),
        begun: VecDeque::new(),
    };
    Crowd { streams: &streams, members: (0..connections).map(member).collect(), requests, meter }.run(pace)
}

struct Crowd<'a> {
    streams: &'a [TcpStream],
    members: Vec<Member>,
    requests: &'a Requests,
    meter: &'a mut Meter,
}

impl Crowd<'_> {
    fn run(&mut self, pace: Pace) -> Result<()> {
        let start = Instant::now();
        let mut due_count = 0u64;
        if let Pace::InFlight(window) = pace {
            for index in 0..self.members.len() {
                self.send(index, start, window)?;
            }
        }
        while !self.meter.is_done() {
            let timeout = match pace {
                Pace::InFlight(_) => None,
                Pace::PerSecond(rate) => Some(self.send_due(start, rate, &mut due_count)?),
            };
            self.turn(timeout, matches!(pace, Pace::InFlight(_)))?;
            self.meter.tick(Instant::now())?;
        }
        let end = Instant::now() + DRAIN;
        while self.unanswered() > 0 {
            let left = end.checked_duration_since(Instant::now()).context("requests stay unanswered")?;
            self.turn(Some(left), false)?;
        }
        Ok(())
    }

    /// Sends what is due by now; returns how long it is until the next.
    fn send_due(&mut self, start: Instant, rate: f64, due_count: &mut u64) -> Result<Duration> {
        loop {
            let due = start + Duration::from_secs_f64(*due_count as f64 / rate);
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Ok(left);
            }
            let index = usize::try_from(*due_count)? % self.members.len();
            self.send(index, due, 1)?;
            *due_count += 1;
            if due_count.is_multiple_of(1024) && self.unanswered() > BACKLOG_MAX {
                bail!("the broker does not keep up with {rate:.0} requests per second");
            }
        }
    }

    fn send(&mut self, index: usize, begun: Instant, count: usize) -> Result<()> {
        let member = &mut self.members[index];
        member.begun.extend(std::iter::repeat_n(begun, count));
        member.outbox.queue(count);
        Ok(member.outbox.write_to(&self.streams[index], self.requests)?)
    }

    fn unanswered(&self) -> usize {
        self.members.iter().map(|member| member.begun.len()).sum()
    }

    /// Waits until something can be done, and does it.
    fn turn(&mut self, timeout: Option<Duration>, refill: bool) -> Result<()> {
        let interest = |member: &Member| {
            if member.outbox.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
        };
        let mut fds: Vec<_> = self
            .streams
            .iter()
            .zip(&self.members)
            .map(|(stream, member)| PollFd::new(stream, interest(member)))
            .collect();
        let timeout = timeout.map(Timespec::try_from).transpose().context("a timeout out of range")?;
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(error) if error == rustix::io::Errno::INTR => return Ok(()),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        for (index, fd) in fds.iter().enumerate() {
            let ready = fd.revents();
            if ready.contains(PollFlags::OUT) {
                self.members[index].outbox.write_to(&self.streams[index], self.requests)?;
            }
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.receive(index, refill)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, index: usize, refill: bool) -> Result<()> {
        let member = &mut self.members[index];
        member.frames.read_from(&self.streams[index])?;
        let now = Instant::now();
        let mut answered = 0;
        while let Some(frame) = member.frames.next_frame()? {
            self.requests.check(frame)?;
            let begun = member.begun.pop_front().context("an answer nobody asked for")?;
            self.meter.answered(begun, now, self.requests.records, self.requests.bytes)?;
            answered += 1;
        }
        if refill && answered > 0 && !self.meter.is_done() {
            self.send(index, now, answered)?;
        }
        Ok(())
    }
}
