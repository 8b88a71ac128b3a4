//! How many connections may be open: in all, of one listener, of one address. All of it may change while the broker runs.
//!
//! | cap | beyond it |
//! |---|---|
//! | `max.connections`, over all listeners | the next connection waits, and with it all of its listener, until one goes |
//! | `listener.name.<listener>.max.connections` | the same |
//! | `max.connections.per.ip`, `max.connections.per.ip.overrides` | closed at once |
//!
//! When `max.connections` falls below what is open, those are closed on which nothing has come for longest. Nothing is
//! closed for a lowered cap of a listener or an address.
//!
//! Not here: how fast connections may come, see [`crate::quotas`].
//!
//! Source: Kafka's `ConnectionQuotas` and `Processor.closeExcessConnections` in `SocketServer`; KIP-402.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    connection::Origin,
    host_caps::{HostCaps, HostCapsInForce, Resolver},
};
use crate::{config::Settings, node::Node, security::ListenerSecurity};

/// The caps in force.
#[derive(Debug)]
pub(crate) struct ConnectionCaps {
    all: i32,
    per_ip: i32,
    hosts: HostCaps,
    /// By index of the listener; none for no cap of its own.
    listeners: Vec<Option<i32>>,
}

impl Default for ConnectionCaps {
    fn default() -> Self {
        Self { all: i32::MAX, per_ip: i32::MAX, hosts: HostCaps::default(), listeners: Vec::new() }
    }
}

impl ConnectionCaps {
    /// What settings say for these listeners.
    pub(crate) fn new(settings: &Settings, listeners: &[Arc<ListenerSecurity>]) -> Self {
        let config = settings.config();
        let own = |listener: &Arc<ListenerSecurity>| {
            let name = &listener.name;
            let is_own = settings.is_listeners_own(name, "max.connections");
            is_own.then(|| settings.of_listener(name, None).max_connections)
        };
        Self {
            all: config.max_connections,
            per_ip: config.max_connections_per_ip,
            hosts: HostCaps::new(&config.max_connections_per_ip_overrides),
            listeners: listeners.iter().map(own).collect(),
        }
    }
}

/// Connections that are open now.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Guards the counts and the caps; held for a look or a change, and nothing else is locked meanwhile.
    state: Mutex<State>,
    /// A connection has gone, or the caps have changed.
    changed: Notify,
    /// Who knows the addresses of hosts.
    resolver: Resolver,
}

#[derive(Debug, Default)]
struct State {
    caps: ConnectionCaps,
    hosts: HostCapsInForce,
    open: HashMap<u64, Arc<Activity>>,
    by_ip: HashMap<IpAddr, usize>,
    by_listener: HashMap<usize, usize>,
}

/// When something came on a connection, and whether it is to make room.
#[derive(Debug)]
pub(super) struct Activity {
    last_ms: AtomicI64,
    /// Cancelled when the connection is to be closed, since there are too many.
    pub(super) surplus: CancellationToken,
}

impl Activity {
    /// Takes note that something came.
    pub(super) fn note(&self, now_ms: i64) {
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// One counted connection; ends the count when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    node: Arc<Node>,
    ip: IpAddr,
    listener: usize,
    connection_id: u64,
    pub(super) activity: Arc<Activity>,
}

/// A cap that leaves no room for a connection: its setting and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cap {
    pub(super) setting: &'static str,
    pub(super) limit: i32,
}

/// Why a connection is not counted in.
enum NoSlot {
    /// It may be when another goes.
    Full(Cap),
    /// Its address has too many.
    OfAddress(Cap),
}

impl Slots {
    /// Puts other caps in force, and has those connections closed that are too many now. Hosts' names are looked up
    /// meanwhile, see [`host_caps`](super::host_caps).
    pub(super) fn set_caps(self: &Arc<Self>, mut caps: ConnectionCaps) {
        let (surplus, asks) = {
            let mut state = self.lock();
            let asks = state.hosts.set(std::mem::take(&mut caps.hosts));
            state.caps = caps;
            (state.surplus(), asks)
        };
        surplus.iter().for_each(|activity| activity.surplus.cancel());
        self.changed.notify_waiters();
        if asks {
            self.ask_for_names();
        }
    }

    fn ask_for_names(self: &Arc<Self>) {
        let slots = Arc::clone(self);
        let next_name = |slots: &Self| slots.lock().hosts.next_name();
        let ask = move || {
            while let Some(name) = next_name(&slots) {
                let answer = slots.resolver.ask(&name);
                slots.lock().hosts.learn(&name, answer);
                slots.changed.notify_waiters();
            }
        };
        if let Err(error) = thread::Builder::new().name("riverrun-hosts".to_owned()).spawn(ask) {
            tracing::error!(%error, "no thread to look up the hosts of max.connections.per.ip.overrides");
            self.lock().hosts.cannot_ask();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The cap for one address: its own, or that of all.
    fn of_ip(&self, ip: IpAddr) -> i32 {
        self.hosts.of_ip(ip).unwrap_or(self.caps.per_ip)
    }

    /// Those beyond `max.connections` on which nothing has come for longest.
    fn surplus(&self) -> Vec<Arc<Activity>> {
        let max = usize::try_from(self.caps.all).unwrap_or(usize::MAX);
        let count = self.open.len().saturating_sub(max);
        if count == 0 {
            return Vec::new();
        }
        let last_ms = |activity: &Activity| activity.last_ms.load(Ordering::Relaxed);
        let mut open: Vec<_> = self.open.iter().map(|(id, activity)| (last_ms(activity), *id, activity)).collect();
        open.sort_unstable_by_key(|(last_ms, id, _)| (*last_ms, *id));
        open.into_iter().take(count).map(|(.., activity)| Arc::clone(activity)).collect()
    }

    fn room(&self, ip: IpAddr, listener: usize) -> Result<(), NoSlot> {
        let has_room = |count: usize, max: i32| usize::try_from(max).is_ok_and(|max| count < max);
        let limit = self.of_ip(ip);
        if !has_room(self.by_ip.get(&ip).copied().unwrap_or(0), limit) {
            return Err(NoSlot::OfAddress(Cap { setting: "max.connections.per.ip", limit }));
        }
        let own = self.caps.listeners.get(listener).copied().flatten();
        let of_listener = self.by_listener.get(&listener).copied().unwrap_or(0);
        if let Some(limit) = own.filter(|limit| !has_room(of_listener, *limit)) {
            return Err(NoSlot::Full(Cap { setting: "listener.name.*.max.connections", limit }));
        }
        let limit = self.caps.all;
        if !has_room(self.open.len(), limit) {
            return Err(NoSlot::Full(Cap { setting: "max.connections", limit }));
        }
        Ok(())
    }
}

impl Slot {
    /// Counts a connection in as soon as there is room for it; the error is the cap of its address, if that has too many.
    /// `full` is called with the cap when it has to wait.
    ///
    /// # Cancel safety
    /// Dropping the future counts nothing.
    pub(super) async fn wait(
        node: &Arc<Node>,
        ip: IpAddr,
        listener: usize,
        mut full: impl FnMut(Cap),
    ) -> Result<Self, Cap> {
        let slots = &node.connections.slots;
        loop {
            let mut changed = pin!(slots.changed.notified());
            // First listened to and then looked at, so that nothing is missed.
            changed.as_mut().enable();
            match Self::take(node, ip, listener) {
                Ok(slot) => return Ok(slot),
                Err(NoSlot::OfAddress(cap)) => return Err(cap),
                Err(NoSlot::Full(cap)) => full(cap),
            }
            changed.await;
        }
    }

    /// Where this connection comes from.
    pub(super) fn origin(&self, peer: SocketAddr) -> Origin {
        Origin { peer, listener: self.listener, connection_id: self.connection_id }
    }

    fn take(node: &Arc<Node>, ip: IpAddr, listener: usize) -> Result<Self, NoSlot> {
        let mut state = node.connections.slots.lock();
        state.room(ip, listener)?;
        let connection_id = node.connections.next_id();
        let last_ms = AtomicI64::new(node.clock.monotonic_ms());
        let activity = Arc::new(Activity { last_ms, surplus: CancellationToken::new() });
        state.open.insert(connection_id, Arc::clone(&activity));
        *state.by_ip.entry(ip).or_insert(0) += 1;
        *state.by_listener.entry(listener).or_insert(0) += 1;
        Ok(Self { node: Arc::clone(node), ip, listener, connection_id, activity })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let slots = &self.node.connections.slots;
        let mut state = slots.lock();
        state.open.remove(&self.connection_id);
        if let Some(of_listener) = state.by_listener.get_mut(&self.listener) {
            *of_listener = of_listener.saturating_sub(1);
        }
        if let Some(of_ip) = state.by_ip.get_mut(&self.ip) {
            *of_ip = of_ip.saturating_sub(1);
            if *of_ip == 0 {
                state.by_ip.remove(&self.ip);
            }
        }
        drop(state);
        slots.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::mpsc};

    use super::*;

    type Answer = io::Result<Vec<IpAddr>>;

    /// A resolver that says what it is asked, and answers when it is told to.
    fn scripted() -> (Resolver, mpsc::Receiver<String>, mpsc::Sender<Answer>) {
        let (asked, questions) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let answers = Mutex::new(answers);
        let resolver = Resolver::new(move |name| {
            asked.send(name.to_owned()).unwrap();
            answers.lock().unwrap().recv().unwrap()
        });
        (resolver, questions, answer)
    }

    fn set(slots: &Arc<Slots>, overrides: &str) {
        let mut settings = Settings::default();
        settings.set("max.connections", "7").unwrap();
        settings.set("max.connections.per.ip", "9").unwrap();
        settings.set("max.connections.per.ip.overrides", overrides).unwrap();
        slots.set_caps(ConnectionCaps::new(&settings, &[]));
    }

    fn cap(slots: &Slots, last: u8) -> i32 {
        slots.lock().of_ip(IpAddr::from([10, 0, 0, last]))
    }

    async fn answer(slots: &Slots, answers: &mpsc::Sender<Answer>, answer: Answer) {
        let mut changed = pin!(slots.changed.notified());
        changed.as_mut().enable();
        answers.send(answer).unwrap();
        changed.await;
    }

    /// The thread that asks is held in its question while the settings change again and again.
    #[tokio::test]
    async fn nothing_waits_for_the_addresses_of_a_name() {
        let (resolver, asked, answers) = scripted();
        let slots = Arc::new(Slots { resolver, ..Slots::default() });
        set(&slots, "here:1,10.0.0.1:2,there:3");
        assert_eq!(asked.recv().unwrap(), "here");
        assert_eq!((cap(&slots, 1), cap(&slots, 2)), (2, 9), "all else is in force");
        assert_eq!(slots.lock().caps.all, 7);
        set(&slots, "10.0.0.1:5,there:4");
        assert_eq!((cap(&slots, 1), cap(&slots, 2)), (5, 9));

        answer(&slots, &answers, Ok(vec![IpAddr::from([10, 0, 0, 3])])).await;
        assert_eq!(cap(&slots, 3), 9, "that name is not set any more");
        assert_eq!(asked.recv().unwrap(), "there");
        answer(&slots, &answers, Ok(vec![IpAddr::from([10, 0, 0, 2])])).await;
        assert_eq!(cap(&slots, 2), 4);

        set(&slots, "there:6,nowhere:8");
        assert_eq!(cap(&slots, 2), 6, "what the name stood for holds until it is known anew");
        for name in ["nowhere", "there"] {
            assert_eq!(asked.recv().unwrap(), name);
            answer(&slots, &answers, Err(io::ErrorKind::NotFound.into())).await;
        }
        assert_eq!((cap(&slots, 1), cap(&slots, 2)), (9, 6), "and if it is not found");
    }
}
