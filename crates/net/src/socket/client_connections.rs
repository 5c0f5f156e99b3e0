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
