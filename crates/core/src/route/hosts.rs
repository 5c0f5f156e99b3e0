//! In:     the names of all sites; the authority of a request.
//! Out:    the site that is meant.
//! Actors: none.
//! Never:  does a name match by part of a label: `*.example.com` is no `badexample.com`.

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::net::Ipv6Addr;

/// Longest host name that is looked up (RFC 1035, 2.3.4; an IPv6 address is shorter).
const HOST_BYTES_MAX: usize = 255;

/// Sites by their names.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    exact: HashMap<Box<[u8]>, usize, RandomState>,
    /// What follows the star of `*.example.com`: `.example.com`.
    suffixes: HashMap<Box<[u8]>, usize, RandomState>,
    any: Option<usize>,
}

impl Hosts {
    /// Adds a name of a site: `example.com`, `*.example.com` or `*`, in lower case.
    ///
    /// # Errors
    /// The site that has this name already.
    pub fn add(&mut self, name: &str, site: usize) -> Result<(), usize> {
        let before = match name.strip_prefix('*') {
            Some("") => self.any.replace(site),
            Some(suffix) => self.suffixes.insert(suffix.as_bytes().into(), site),
            None => self.exact.insert(name.as_bytes().into(), site),
        };
        before.map_or(Ok(()), Err)
    }

    /// The site that an authority means, whatever its case, its port, a dot behind it: the exact
    /// name, then the longest `*.…`, then `*`.
    pub fn find(&self, authority: &[u8]) -> Option<usize> {
        if self.exact.is_empty() && self.suffixes.is_empty() {
            return self.any;
        }
        let mut room = [0; HOST_BYTES_MAX];
        let Some(host) = lower_case(host_of(authority), &mut room) else { return self.any };
        if let Some(site) = self.exact.get(host) {
            return Some(*site);
        }
        // An address of IPv6 may be spelled in many ways (RFC 5952).
        if let Some(site) = ipv6_of(host).and_then(|address| self.exact.get(format!("[{address}]").as_bytes())) {
            return Some(*site);
        }
        if !self.suffixes.is_empty() {
            let dots = memchr::memchr_iter(b'.', host).filter(|at| *at > 0);
            if let Some(site) = dots.filter_map(|at| self.suffixes.get(&host[at..])).next() {
                return Some(*site);
            }
        }
        self.any
    }
}

/// The address that stands in brackets.
fn ipv6_of(host: &[u8]) -> Option<Ipv6Addr> {
    let inner = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inner).ok()?.parse().ok()
}

/// The host of an authority: without its port and a last dot; an IPv6 address keeps its brackets.
pub fn host_of(authority: &[u8]) -> &[u8] {
    let host = match authority.iter().rposition(|byte| *byte == b':') {
        Some(at) if !authority[at..].contains(&b']') => &authority[..at],
        _ => authority,
    };
    match host.strip_suffix(b".") {
        Some(b"") | None => host,
        Some(short) => short,
    }
}

/// The port of an authority, where it has one.
pub fn port_of(authority: &[u8]) -> Option<u16> {
    let at = authority.iter().rposition(|byte| *byte == b':').filter(|at| !authority[*at..].contains(&b']'))?;
    std::str::from_utf8(&authority[at + 1..]).ok()?.parse().ok()
}

fn lower_case<'r>(host: &[u8], room: &'r mut [u8; HOST_BYTES_MAX]) -> Option<&'r [u8]> {
    let room = room.get_mut(..host.len())?;
    room.copy_from_slice(host);
    room.make_ascii_lowercase();
    Some(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_that_is_meant() {
        let names = ["example.com", "*.example.com", "*.eu.example.com", "[::1]", "*"];
        let mut hosts = Hosts::default();
        for (site, name) in names.iter().enumerate() {
            hosts.add(name, site).unwrap();
        }
        for (authority, name) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.:8080", "example.com"),
            ("www.example.com", "*.example.com"),
            ("a.b.example.com:1", "*.example.com"),
            ("a.eu.example.com", "*.eu.example.com"),
            ("eu.example.com", "*.example.com"),
            ("badexample.com", "*"),
            (".example.com", "*"),
            ("[::1]:443", "[::1]"),
            ("[0:0:0:0:0:0:0:1]:443", "[::1]"),
            ("[0000::0001]", "[::1]"),
            ("[::2]", "*"),
            ("[::1", "*"),
            ("", "*"),
        ] {
            assert_eq!(hosts.find(authority.as_bytes()).map(|site| names[site]), Some(name), "{authority}");
        }
        assert_eq!(hosts.add("example.com", 9), Err(0));
        assert_eq!(hosts.find("x".repeat(300).as_bytes()), Some(4), "no name is that long");
    }
}
