//! The caps of single addresses, `max.connections.per.ip.overrides`: each of an address, or of a host by its name.
//!
//! A name stands for the addresses it has when the setting changes. The system may take long to find them, so it is asked
//! on a thread of its own, one name after the other, and whoever applies settings does not wait: what a name stood for
//! before holds until there is an answer, and after it if it is none. A name without an answer has no cap, is logged, and
//! is asked for again with the next change of any setting.
//!
//! The thread is not waited for, by the broker's stop least of all: nothing can end a look-up that hangs. There is never
//! more than one.

use std::{
    collections::{BTreeSet, HashMap},
    fmt, io,
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
};

type Ask = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Finds the addresses of a host by its name. It may block.
pub(super) struct Resolver(Box<Ask>);

impl Resolver {
    #[cfg(test)]
    pub(super) fn new(ask: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self(Box::new(ask))
    }

    pub(super) fn ask(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        (self.0)(name)
    }
}

impl Default for Resolver {
    /// Asks the system.
    fn default() -> Self {
        Self(Box::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(Arc<str>),
}

/// The overrides as they are set: of two for one address the later one holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HostCaps(Vec<(Host, i32)>);

impl HostCaps {
    /// Reads the setting, whose form has been checked.
    pub(super) fn new(entries: &[String]) -> Self {
        let overrides = entries.iter().filter_map(|entry| {
            let (host, cap) = entry.rsplit_once(':')?;
            let host = host.trim().trim_matches(['[', ']']);
            let host = host.parse().map_or_else(|_| Host::Name(host.into()), Host::Address);
            Some((host, cap.trim().parse().ok()?))
        });
        Self(overrides.collect())
    }

    fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter_map(|(host, _)| match host {
            Host::Address(_) => None,
            Host::Name(name) => Some(name),
        })
    }

    fn by_address(&self, names: &HashMap<Arc<str>, Vec<IpAddr>>) -> HashMap<IpAddr, i32> {
        let mut caps = HashMap::new();
        for (host, cap) in &self.0 {
            match host {
                Host::Address(ip) => caps.extend([(*ip, *cap)]),
                Host::Name(name) => caps.extend(names.get(name).into_iter().flatten().map(|ip| (*ip, *cap))),
            }
        }
        caps
    }
}

/// The overrides in force, and what is known of the names in them.
#[derive(Debug, Default)]
pub(super) struct HostCapsInForce {
    set: HostCaps,
    names: HashMap<Arc<str>, Vec<IpAddr>>,
    by_address: HashMap<IpAddr, i32>,
    to_ask: BTreeSet<Arc<str>>,
    is_asking: bool,
}

impl HostCapsInForce {
    /// The cap of an address, if it has one of its own.
    pub(super) fn of_ip(&self, ip: IpAddr) -> Option<i32> {
        self.by_address.get(&ip).copied()
    }

    /// Puts other overrides in force. Whether somebody must begin to ask: for [`next_name`](Self::next_name), until there
    /// is none.
    pub(super) fn set(&mut self, overrides: HostCaps) -> bool {
        let is_changed = overrides != self.set;
        self.set = overrides;
        self.names.retain(|name, _| self.set.names().any(|set| set == name));
        let to_ask = self.set.names().filter(|name| is_changed || !self.names.contains_key(*name));
        self.to_ask = to_ask.cloned().collect();
        self.by_address = self.set.by_address(&self.names);
        !self.to_ask.is_empty() && !std::mem::replace(&mut self.is_asking, true)
    }

    /// The next name to ask for.
    pub(super) fn next_name(&mut self) -> Option<Arc<str>> {
        let next = self.to_ask.pop_first();
        self.is_asking = next.is_some();
        next
    }

    /// Nobody asks, since there is no thread to do it.
    pub(super) fn cannot_ask(&mut self) {
        self.is_asking = false;
    }

    /// Takes an answer.
    pub(super) fn learn(&mut self, name: &Arc<str>, answer: io::Result<Vec<IpAddr>>) {
        // It may not be set any more.
        if !self.set.names().any(|set| set == name) {
            return;
        }
        match answer {
            Ok(addresses) => {
                self.names.insert(Arc::clone(name), addresses);
                self.by_address = self.set.by_address(&self.names);
            }
            Err(error) => {
                let known = self.names.get(name).map_or(0, Vec::len);
                tracing::warn!(host = %name, %error, known, "max.connections.per.ip.overrides: the host is not found");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(entries: &[&str]) -> HostCaps {
        HostCaps::new(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_host_is_its_addresses() {
        let ip = IpAddr::from([10, 1, 2, 3]);
        let mut in_force = HostCapsInForce::default();
        assert!(!in_force.set(caps(&["10.1.2.3:1", "[::1]:2", "10.1.2.3: 4"])), "no name, no question");
        assert_eq!((in_force.of_ip(ip), in_force.of_ip("::1".parse().unwrap())), (Some(4), Some(2)), "the later holds");
        assert!(in_force.set(caps(&["10.1.2.3:1", "b:5", "a:6"])));
        let (a, b) = (in_force.next_name().unwrap(), in_force.next_name().unwrap());
        assert_eq!((&*a, &*b), ("a", "b"));
        in_force.learn(&b, Ok(vec![ip]));
        assert_eq!(in_force.of_ip(ip), Some(5));
        in_force.learn(&a, Err(io::ErrorKind::NotFound.into()));
        assert_eq!(in_force.next_name(), None);
        assert!(in_force.set(caps(&["10.1.2.3:1", "b:5", "a:6"])), "who was not found is asked for again");
        assert_eq!((in_force.next_name().as_deref(), in_force.next_name()), (Some("a"), None));
    }

    #[test]
    fn the_system_knows_this_host() {
        let found = Resolver::default().ask("localhost").unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback));
    }
}
