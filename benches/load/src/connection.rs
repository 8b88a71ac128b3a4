//! A connection to a broker: frames out, frames in. Blocking or not is the socket's affair.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use riverrun_core::protocol::{DecodeLimits, Request, decode_response, encode_request};

/// How the generator calls itself.
pub const CLIENT_ID: &str = "riverrun-load";
/// A response larger than this is a mistake, not a response.
const RESPONSE_BYTES_MAX: usize = 256 << 20;
/// What a read asks for at least.
const READ_BYTES: usize = 64 << 10;
const LENGTH_PREFIX: usize = 4;

/// Connects, without delay of small writes.
///
/// # Errors
/// If nobody listens.
pub fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request and reads its response: for setting up, not for measuring.
///
/// # Errors
/// If the connection breaks or the response cannot be read.
pub fn call<R: Request>(stream: &mut TcpStream, request: R, version: i16) -> Result<R::Response> {
    stream.write_all(&encode_request(&request.into(), version, 1, Some(CLIENT_ID))?.to_bytes())?;
    let mut frames = Frames::default();
    let frame = Bytes::copy_from_slice(frames.read_one(stream)?);
    let limits = DecodeLimits::default().with_decoded_bytes_max(RESPONSE_BYTES_MAX);
    Ok(decode_response(R::KEY, version, &frame, &limits)?.1.try_into()?)
}

/// Cuts what arrives into frames. One buffer, as large as the largest response.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Frames {
    /// The next frame that has arrived whole, without its length.
    ///
    /// # Errors
    /// If the length cannot be one.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>> {
        let Some(len) = self.next_len()? else { return Ok(None) };
        let (from, to) = (self.start + LENGTH_PREFIX, self.start + LENGTH_PREFIX + len);
        if to > self.end {
            return Ok(None);
        }
        self.start = to;
        Ok(Some(&self.buffer[from..to]))
    }

    /// Reads what is there, at most as much as makes the next frame whole or fills the buffer.
    ///
    /// # Errors
    /// What the socket says; the end of the stream is an error too.
    pub fn read_from(&mut self, mut stream: impl Read) -> Result<()> {
        self.make_room()?;
        let count = stream.read(&mut self.buffer[self.end..])?;
        if count == 0 {
            bail!("the broker has closed the connection");
        }
        self.end += count;
        Ok(())
    }

    /// Waits for one whole frame.
    ///
    /// # Errors
    /// See [`Frames::read_from`].
    pub fn read_one(&mut self, stream: &mut TcpStream) -> Result<&[u8]> {
        while !self.has_frame()? {
            self.read_from(&mut *stream)?;
        }
        self.next_frame()?.context("a frame that was there is gone")
    }

    fn has_frame(&self) -> Result<bool> {
        Ok(self.next_len()?.is_some_and(|len| self.end - self.start >= LENGTH_PREFIX + len))
    }

    fn next_len(&self) -> Result<Option<usize>> {
        let Some(prefix) = self.buffer[self.start..self.end].first_chunk::<LENGTH_PREFIX>() else { return Ok(None) };
        let len = i32::from_be_bytes(*prefix);
        match usize::try_from(len) {
            Ok(len) if len <= RESPONSE_BYTES_MAX => Ok(Some(len)),
            _ => bail!("a response of {len} bytes: is this a Kafka broker?"),
        }
    }

    fn make_room(&mut self) -> Result<()> {
        let wanted = self.next_len()?.map_or(0, |len| LENGTH_PREFIX + len).max(READ_BYTES);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start + wanted > self.buffer.len() || self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        Ok(())
    }
}
