//! What clients can make the broker log: one line of a kind per interval, whatever they do. In a file of its own, since
//! what is logged belongs to the process.

mod common;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use common::{RawPeer, builder};
use riverrun_core::protocol::messages::MetadataRequest;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_malformed_requests_is_one_line_of_each_kind() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let builder = builder().in_memory().set("riverrun.log.client.interval.ms", "3600000").unwrap();
    let broker = builder.set("max.connections.per.ip", "20").unwrap().start().await.unwrap();
    let address = broker.addresses()[0];
    let mut healthy = RawPeer::connect(address).await;
    for bytes in [&[0x7f, 0xff, 0xff, 0xff][..], &[0, 0, 0, 4, 0xa5, 0xa5, 0xa5, 0xa5]] {
        for _ in 0..15 {
            let mut peer = RawPeer::connect(address).await;
            peer.send(bytes).await;
            assert_eq!(peer.frame().await, None);
        }
    }
    healthy.request(9, 1, MetadataRequest::default()).await;
    assert!(healthy.frame().await.is_some());
    let mut open = Vec::new();
    for _ in 0..60 {
        open.push(RawPeer::connect(address).await);
    }
    for peer in open.iter_mut().skip(40) {
        assert_eq!(peer.frame().await, None, "above max.connections.per.ip");
    }
    broker.shutdown().await.unwrap();
    let logged = lines.0.lock().unwrap().clone();
    let logged = String::from_utf8(logged).unwrap();
    for kind in ["socket.request.max.bytes", "malformed request", "setting=\"max.connections.per.ip\""] {
        assert_eq!(logged.lines().filter(|line| line.contains(kind)).count(), 1, "{kind}: {logged}");
    }
    assert!(logged.lines().count() < 20, "{logged}");
}
