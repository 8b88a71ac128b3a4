//! What a request costs that is received, appended to a file and answered, and nothing else: no broker takes less. One
//! thread, epoll; the answer has the size of a broker's and says nothing.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{
    Report,
    crowd::{self, Pace},
    meter::{Budget, Meter},
    request::{Requests, Shape},
};

/// Of an answer to Produce v7 for one partition, all but its topic's name: correlation id, two counts, the name's length,
/// partition, error code, offset, append time, log start offset, throttle time.
const ANSWER_BYTES: usize = 4 + 2 * 4 + 2 + 4 + 2 + 3 * 8 + 4;

/// Serves until standard input ends, and says first on which address.
///
/// # Errors
/// If the file or a connection fails; where there is no epoll.
pub fn serve(folder: &Path, topic: &str) -> Result<()> {
    let answer_bytes = u32::try_from(ANSWER_BYTES + topic.len())?;
    let mut answer = answer_bytes.to_be_bytes().to_vec();
    answer.resize(4 + ANSWER_BYTES + topic.len(), 0);
    server::run(&folder.join("bare-probe"), &answer)
}

/// Has `connections` with a request of `shape` in flight each served by a process of its own, as long as `warm_up` and
/// `measured` say.
///
/// # Errors
/// If the process cannot be started, or fails.
pub fn run(folder: &Path, connections: usize, shape: &Shape, warm_up: Budget, measured: Budget) -> Result<Report> {
    let requests = Requests::encode(shape)?;
    let mut server = Server::start(folder, &shape.topic)?;
    let mut meter = Meter::new(warm_up, measured, Some(server.child.id()));
    crowd::run(&server.address()?, connections, &requests, Pace::InFlight(1), &mut meter)?;
    meter.report()
}

/// The process that serves; ends when dropped.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(folder: &Path, topic: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare-server").arg(folder).args(["--topic", topic]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the server")?;
        let output = child.stdout.take().map(BufReader::new).context("the server has no output")?;
        Ok(Self { child, output })
    }

    fn address(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[cfg(target_os = "linux")]
mod server {
    use std::{
        fs::{self, File},
        io::{self, Read, Write},
        net::{TcpListener, TcpStream},
        os::unix::fs::FileExt,
        path::Path,
    };

    use anyhow::{Context, Result};
    use rustix::{
        buffer::spare_capacity,
        event::epoll::{self, CreateFlags, EventData, EventFlags},
    };

    const LISTENER: u64 = u64::MAX;
    const STDIN: u64 = u64::MAX - 1;
    const REQUEST_BYTES_MAX: usize = 64 << 10;

    pub(super) fn run(path: &Path, answer: &[u8]) -> Result<()> {
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let served = serve(&file, answer);
        fs::remove_file(path)?;
        served
    }

    fn serve(file: &File, answer: &[u8]) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        super::announce(&listener.local_addr()?.to_string())?;
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(&poll, io::stdin(), EventData::new_u64(STDIN), EventFlags::IN)?;
        let (mut streams, mut end) = (Vec::<TcpStream>::new(), 0);
        let (mut events, mut request) = (Vec::with_capacity(128), vec![0; REQUEST_BYTES_MAX]);
        loop {
            events.clear();
            epoll::wait(&poll, spare_capacity(&mut events), None)?;
            for event in &events {
                match event.data.u64() {
                    STDIN => return Ok(()),
                    LISTENER => {
                        let (stream, _) = listener.accept()?;
                        stream.set_nodelay(true)?;
                        rustix::net::sockopt::set_tcp_congestion(&stream, "reno")?;
                        let data = EventData::new_u64(streams.len() as u64);
                        epoll::add(&poll, &stream, data, EventFlags::IN | EventFlags::ET)?;
                        streams.push(stream);
                    }
                    index => {
                        let stream = &mut streams[usize::try_from(index)?];
                        // Small requests come whole, one at a time.
                        let count = stream.read(&mut request)?;
                        if count > 0 {
                            file.write_all_at(&request[..count], end)?;
                            end += count as u64;
                            stream.write_all(answer)?;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod server {
    pub(super) fn run(_: &std::path::Path, _: &[u8]) -> anyhow::Result<()> {
        anyhow::bail!("there is no epoll here")
    }
}

/// Tells the process that started this one.
fn announce(address: &str) -> Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{address}")?;
    Ok(output.flush()?)
}
