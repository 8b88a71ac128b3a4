//! Records from the page cache to a socket, by the kernel: `sendfile`. Only for plaintext sockets on Linux; elsewhere
//! records are read into memory before they get here ([`is_possible`]).
//!
//! A file that is not in the page cache would hold the thread up, and with it all connections it serves. So before each
//! turn the last byte is asked for without waiting; if it is not there, a thread of its own reads the turn's bytes, and
//! by that into the cache.

use std::io;

use riverrun_core::log::FileSpan;

use super::stream::Stream;

/// Whether records can be sent from their files through this stream.
pub(super) fn is_possible(stream: &Stream) -> bool {
    cfg!(target_os = "linux") && matches!(stream, Stream::Plain(_))
}

/// Sends bytes of a span from `from` on, at most `bytes_max`. Returns how many.
#[cfg(target_os = "linux")]
pub(super) async fn send(stream: &Stream, span: &FileSpan, from: usize, bytes_max: usize) -> io::Result<usize> {
    use tokio::io::Interest;
    let (file, position, length) = span.place();
    let (Stream::Plain(socket), Some(os_file)) = (stream, file.as_os_file()) else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let start = position + from as u64;
    let count = length.saturating_sub(from).min(bytes_max);
    if !is_cached(os_file, start + (count as u64).saturating_sub(1)) {
        let file = std::sync::Arc::clone(file);
        let reading = tokio::task::spawn_blocking(move || read_in(&*file, start, count));
        reading.await.map_err(io::Error::other)??;
    }
    let sent = socket
        .async_io(Interest::WRITABLE, || {
            let mut offset = start;
            Ok(rustix::fs::sendfile(socket, os_file, Some(&mut offset), count)?)
        })
        .await?;
    // The span was there when it was found: somebody has cut the file off.
    if sent == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(sent) }
}

/// Whether a byte of a file is in the page cache. Where that cannot be found out, it counts as if.
#[cfg(target_os = "linux")]
fn is_cached(file: &std::fs::File, position: u64) -> bool {
    let mut byte = [0];
    let mut slices = [io::IoSliceMut::new(&mut byte)];
    let read = rustix::io::preadv2(file, &mut slices, position, rustix::io::ReadWriteFlags::NOWAIT);
    read != Err(rustix::io::Errno::AGAIN)
}

#[cfg(target_os = "linux")]
fn read_in(file: &dyn riverrun_core::log::VfsFile, start: u64, count: usize) -> io::Result<()> {
    let mut chunk = vec![0; count.min(64 * 1024)];
    let end = start + count as u64;
    let mut at = start;
    while at < end {
        match file.read_at(at, &mut chunk)? {
            0 => break,
            read => at += read as u64,
        }
    }
    Ok(())
}

/// Sends bytes after which a file comes at once.
#[cfg(target_os = "linux")]
pub(super) async fn send_before_file(stream: &Stream, bytes: &[u8]) -> io::Result<usize> {
    use rustix::net::SendFlags;
    let Stream::Plain(socket) = stream else { return Err(io::ErrorKind::Unsupported.into()) };
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    socket.async_io(tokio::io::Interest::WRITABLE, || Ok(rustix::net::send(socket, bytes, flags)?)).await
}

#[cfg(not(target_os = "linux"))]
pub(super) async fn send(_: &Stream, _: &FileSpan, _: usize, _: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) async fn send_before_file(_: &Stream, _: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
