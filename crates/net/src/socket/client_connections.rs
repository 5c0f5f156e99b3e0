//! Bounds the connections of each client.
//!
//! In:     connections that come and go.
//! Out:    whether a client may have one more.
//! Actors: every event loop, for less than a microsecond each.
//! Never:  does it remember a client that has none.

use crate::runtime::lock::lock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Connections of each client. Shared by all event loops; as large as there are connections.
#[derive(Default)]
pub struct ClientConnections(Mutex<HashMap<IpAddr, u32>>);

/// A connection that counts until this is dropped.
pub struct ClientConnection(Option<(Arc<ClientConnections>, IpAddr)>);

impl ClientConnections {
    /// One more connection of a client, of at most so many (0: any number); nothing where it has them already.
    pub fn enter(self: &Arc<Self>, client: Option<IpAddr>, most: u32) -> Option<ClientConnection> {
        let (Some(client), true) = (client.map(whole_customer), most > 0) else { return Some(ClientConnection(None)) };
        let mut counts = lock(&self.0);
        let count = counts.entry(client).or_insert(0);
        (*count < most).then(|| {
            *count += 1;
            ClientConnection(Some((self.clone(), client)))
        })
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        let Some((all, client)) = &self.0 else { return };
        let mut counts = lock(&all.0);
        if let Some(count) = counts.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(client);
            }
        }
    }
}

/// One customer has a whole network of IPv6.
pub fn whole_customer(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_client_has_so_many_connections_and_one_more_when_one_ends() {
        let all = Arc::new(ClientConnections::default());
        let first = all.enter(address("192.0.2.1"), 2);
        let second = all.enter(address("192.0.2.1"), 2);
        assert!(first.is_some() && second.is_some());
        assert!(all.enter(address("192.0.2.1"), 2).is_none());
        assert!(all.enter(address("192.0.2.2"), 2).is_some(), "another client has its own");
        drop(first);
        assert!(all.enter(address("192.0.2.1"), 2).is_some());
        drop(second);
        assert!(lock(&all.0).is_empty(), "who has none is forgotten");
    }

    #[test]
    fn a_network_of_one_customer_is_one_client() {
        let all = Arc::new(ClientConnections::default());
        let _held = all.enter(address("2001:db8:1:2::1"), 1);
        assert!(all.enter(address("2001:db8:1:2:ffff::9"), 1).is_none());
        assert!(all.enter(address("2001:db8:1:3::1"), 1).is_some());
    }

    #[test]
    fn without_a_bound_or_an_address_nothing_is_counted() {
        let all = Arc::new(ClientConnections::default());
        let held: Vec<_> = (0..9).map(|_| (all.enter(None, 1), all.enter(address("192.0.2.1"), 0))).collect();
        assert!(held.iter().all(|(one, other)| one.is_some() && other.is_some()));
        assert!(lock(&all.0).is_empty());
        // A bound that comes with another plan does not end those that are there, or count them.
        let one = all.enter(address("192.0.2.1"), 1);
        drop(held);
        assert!(one.is_some() && all.enter(address("192.0.2.1"), 1).is_none());
    }
}
