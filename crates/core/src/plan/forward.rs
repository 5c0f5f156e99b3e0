//! In:     -
//! Out:    for whom, and to where, the forward proxy is open.
//! Actors: none.
//! Never:  is it open to everywhere.

use super::BasicAuth;
use crate::network::Network;
use serde::{Deserialize, Serialize};

/// A proxy for requests to other servers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ForwardProxy {
    /// Where requests may go.
    pub allow: Vec<AllowedTarget>,
    /// Clients in these networks and no others, where there are some.
    pub clients: Vec<Network>,
    /// Who may use it, by name and password.
    pub basic_auth: Option<BasicAuth>,
}

/// Servers that requests may go to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AllowedTarget {
    /// `example.com`, `*.example.com`, or an address; in lower case.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl AllowedTarget {
    /// From `host:port`.
    ///
    /// # Errors
    /// The mend.
    pub fn read(text: &str) -> Result<AllowedTarget, String> {
        let mend = || format!("'{text}': write HOST:PORT, as in \"api.example.com:443\" or \"*.example.com:443\"");
        let (host, port) = text.rsplit_once(':').ok_or_else(mend)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(mend)?;
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let rest = host.strip_prefix("*.").unwrap_or(&host);
        if rest.is_empty() || rest.contains(['*', '/', '@', ' ']) {
            return Err(mend());
        }
        Ok(AllowedTarget { host, port })
    }

    /// Whether it is this server.
    pub fn holds(&self, host: &str, port: u16) -> bool {
        let is_below = |domain: &str| {
            host.len() > domain.len()
                && host.ends_with(domain)
                && host.as_bytes()[host.len() - domain.len() - 1] == b'.'
        };
        self.port == port && self.host.strip_prefix("*.").map_or(self.host == host, is_below)
    }

    /// Whether it is an address and not a name.
    pub fn is_address(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named() {
        let all = AllowedTarget::read("*.Example.com:443").unwrap();
        assert!(all.holds("api.example.com", 443) && all.holds("a.b.example.com", 443));
        for (host, port) in [("example.com", 443), ("evilexample.com", 443), ("api.example.com", 80), ("", 443)] {
            assert!(!all.holds(host, port), "{host}");
        }
        assert!(AllowedTarget::read("[::1]:80").unwrap().is_address());
        for text in ["example.com", "*:443", "*.:443", "a:0", "a:x", "u@a:1", "*.a.*:1"] {
            assert!(AllowedTarget::read(text).is_err(), "{text}");
        }
    }
}
