//! What is asked of a socket when it has been accepted. Nothing of it is needed to serve a client, so that what an
//! operating system does not have or refuses is logged and left.

use std::{io, net::SocketAddr};

use tokio::net::TcpStream;

/// The plainest algorithm, which every Linux has and lets every process choose.
const PLAIN_CONGESTION_CONTROL: &str = "reno";

/// Answers go out at once, and to a client on the same host without being paced.
pub(super) fn tune(stream: &TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    if is_same_host(stream, peer)
        && let Err(error) = do_not_pace(stream)
    {
        tracing::debug!(%peer, %error, "cannot set TCP_CONGESTION");
    }
}

/// Whether what is sent never leaves this host.
fn is_same_host(stream: &TcpStream, peer: SocketAddr) -> bool {
    peer.ip().is_loopback() || stream.local_addr().is_ok_and(|local| local.ip() == peer.ip())
}

/// Where BBR is the system's default, it paces what is sent, also where there is no network to spare: timers then cost more
/// than all that is sent. To other hosts the system's choice holds.
#[cfg(target_os = "linux")]
fn do_not_pace(stream: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_congestion(stream, PLAIN_CONGESTION_CONTROL)?)
}

#[cfg(not(target_os = "linux"))]
fn do_not_pace(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_stays_on_the_host_is_not_paced() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr()?), listener.accept());
        let (_client, (stream, peer)) = (client?, accepted?);
        let before = rustix::net::sockopt::tcp_congestion(&stream)?;
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 1));
        tune(&stream, elsewhere);
        assert_eq!(rustix::net::sockopt::tcp_congestion(&stream)?, before, "to others as the system has it");
        tune(&stream, peer);
        assert_eq!(rustix::net::sockopt::tcp_congestion(&stream)?, PLAIN_CONGESTION_CONTROL);
        assert!(stream.nodelay()?);
        Ok(())
    }
}
