//! In:     what a server says of its own addresses: in Location and its like, in its cookies; what a client says of them.
//! Out:    the same as clients know it; as the server knows it.
//! Actors: none.
//! Never:  is an address touched that is not the server's own, or a cookie that would be refused for it.

use crate::fields::{Fields, Name};
use crate::head::Head;
use crate::route::{host_of, port_of};

const DESTINATION: &[u8] = b"destination";

/// Where a server is, and where clients find it. Paths are prefixes without a slash at their end.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'a> {
    /// What paths of the server begin with.
    pub inner: &'a [u8],
    /// What the same ones begin with outside.
    pub outer: &'a [u8],
    /// What a trusted proxy has taken off before: whoever goes by what it is told has it there, too.
    pub before: &'a [u8],
    /// Under which host and port the server is reached: its name, its address.
    pub own: &'a [(&'a [u8], u16)],
    /// The `Host` that it is asked for, where that is not the client's.
    pub told_host: Option<&'a [u8]>,
    /// What it is asked by; a server knows no other.
    pub is_https: bool,
    /// The hosts that the client asked for, as it and proxies before it say.
    pub asked: [&'a [u8]; 2],
    /// Whether the client came encrypted.
    pub client_https: bool,
}

/// Whose an address is.
#[derive(Eq, PartialEq)]
enum Whose {
    Server,
    Client,
    Another,
}

/// Whether the head of an answer has anything that may name an address.
pub fn names_address(fields: &Fields) -> bool {
    fields.any(|name| matches!(name, Name::Location | Name::ContentLocation | Name::Refresh | Name::SetCookie))
}

/// Rewrites what names the server's own address in the head of an answer.
pub fn map_outward(fields: &mut Fields, mapping: &Mapping<'_>) {
    let mut mapped = Fields::default();
    for field in fields.iter() {
        let value = match field.name {
            Name::Location | Name::ContentLocation => mapping.address(field.value),
            Name::Refresh => mapping.refresh(field.value),
            Name::SetCookie => mapping.cookie(field.value),
            _ => None,
        };
        mapped.push_known(field.name, field.raw_name, value.as_deref().unwrap_or(field.value));
    }
    *fields = mapped;
}

/// Whether a request names a second address beside its own: copies of WebDAV (RFC 4918, 9.8 and 9.9).
pub fn names_destination(head: &Head) -> bool {
    matches!(head.method(), b"COPY" | b"MOVE") && head.fields.named(DESTINATION).is_some()
}

/// Rewrites what names a place of the server in such a request, where it reads otherwise inside. It becomes a path (RFC 4918,
/// 10.3): a server that does not know by which scheme the client came takes another one for another server.
pub fn map_inward(head: &mut Head, mapping: &Mapping<'_>) {
    let mut mapped = Fields::default();
    for field in head.fields.iter() {
        let is_one = field.raw_name.eq_ignore_ascii_case(DESTINATION);
        let value = if is_one { mapping.inward(field.value) } else { None };
        mapped.push_known(field.name, field.raw_name, value.as_deref().unwrap_or(field.value));
    }
    head.fields = mapped;
}

impl Mapping<'_> {
    /// An address, where it reads otherwise outside.
    fn address(&self, value: &[u8]) -> Option<Vec<u8>> {
        let Some((scheme, authority, target)) = split(value) else { return self.path(value).map(of_this_host) };
        let rooted = if target.starts_with(b"/") { target.to_vec() } else { [b"/", target].concat() };
        match self.whose(authority, scheme) {
            Whose::Server => Some(of_this_host(self.path(&rooted).unwrap_or(rooted))),
            Whose::Client => {
                let before = &value[..value.len() - target.len()];
                self.path(&rooted).map(|path| [before, &path].concat())
            }
            Whose::Another => None,
        }
    }

    /// An address that a client names, as the path by which the server knows it; nothing where it knows it so.
    fn inward(&self, value: &[u8]) -> Option<Vec<u8>> {
        let (says_https, target) = match split(value) {
            None => (false, value),
            Some((scheme, authority, target)) if self.whose(authority, scheme) == Whose::Client => {
                (self.client_https, target)
            }
            Some(_) => return None,
        };
        let rest = match self.outer {
            b"" => target,
            outer => target.strip_prefix(outer).filter(|_| is_below(path_of(target), outer))?,
        };
        if !target.starts_with(b"/") || !(says_https || self.inner != self.outer) {
            return None;
        }
        let slash: &[u8] = if self.inner.is_empty() && !rest.starts_with(b"/") { b"/" } else { b"" };
        Some([self.inner, slash, rest].concat())
    }

    fn whose(&self, authority: &[u8], https: Option<bool>) -> Whose {
        let (host, by) = (host_of(authority), https.unwrap_or(self.client_https));
        let mut asked = self.asked.iter().filter(|asked| host_of(asked).eq_ignore_ascii_case(host) && !host.is_empty());
        let is_usual = |authority: &[u8], https| port_at(authority, https) == usual_port(https);
        // Who is asked at the usual port of one scheme is meant at that of the other, too: not every server knows which it was.
        let is_clients = |asked: &&[u8]| {
            port_at(asked, self.client_https) == port_at(authority, by)
                || is_usual(asked, self.client_https) && is_usual(authority, by)
        };
        if asked.clone().any(is_clients) {
            return Whose::Client;
        }
        let scheme = https.unwrap_or(self.is_https);
        // Many a server takes the client's word for its name, and its own port (nginx' `port_in_redirect`).
        let is_asked = asked.next().is_some();
        let is_own = |(own, own_port): &(&[u8], u16)| {
            (is_asked || host_of(own).eq_ignore_ascii_case(host)) && *own_port == port_at(authority, scheme)
        };
        // A server that is told so knows how the client came.
        let is_told = self.told_host.is_some_and(|told| {
            let speaks = scheme == self.is_https || scheme == self.client_https;
            let is_port = port_of(told).is_none_or(|port| port_of(authority) == Some(port));
            host_of(told).eq_ignore_ascii_case(host) && speaks && is_port
        });
        if is_told || self.own.iter().any(is_own) { Whose::Server } else { Whose::Another }
    }

    /// A path with what follows it, where it reads otherwise outside. One that is relative is so everywhere.
    fn path(&self, target: &[u8]) -> Option<Vec<u8>> {
        let (path, behind) = target.split_at(path_of(target).len());
        if !path.starts_with(b"/") {
            return None;
        }
        let rest = if self.inner.is_empty() {
            // Whoever goes by what it is told of the prefix has it there already.
            let behind_all = path.strip_prefix(self.before).filter(|_| !self.before.is_empty());
            if is_below(path, self.outer) || behind_all.is_some_and(|path| is_below(path, self.outer)) {
                return None;
            }
            path
        } else {
            path.strip_prefix(self.inner).filter(|_| is_below(path, self.inner))?
        };
        let mapped = [self.outer, rest].concat();
        Some(if mapped.is_empty() { [b"/", behind].concat() } else { [&mapped[..], behind].concat() })
    }

    /// `5; url=/there`, or as else browsers read it (HTML, 4.2.5.3).
    fn refresh(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut at = value.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b' ' | b'\t'))?;
        at += usize::from(matches!(value[at], b';' | b','));
        let rest = value[at..].trim_ascii_start();
        let named = rest.get(..3).filter(|name| name.eq_ignore_ascii_case(b"url"));
        let named = named.and_then(|_| rest[3..].trim_ascii_start().strip_prefix(b"="));
        let address = named.unwrap_or(rest).trim_ascii();
        let unquoted = match address.first() {
            Some(quote @ (b'"' | b'\'')) => address[1..].split(|byte| byte == quote).next()?,
            _ => address,
        };
        let before = value.trim_ascii_end().len() - address.len();
        self.address(unquoted).map(|mapped| [&value[..before], &mapped].concat())
    }

    /// A cookie whose attributes read otherwise outside.
    fn cookie(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut parts = value.split(|byte| *byte == b';');
        let pair = parts.next()?;
        // Such a name promises that the cookie is for all paths of one host.
        let is_bound = pair.trim_ascii_start().get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"__host-"));
        if is_bound {
            return None;
        }
        let (mut mapped, mut is_changed) = (pair.to_vec(), false);
        for part in parts {
            let split = memchr::memchr(b'=', part).map(|at| (part[..at].trim_ascii(), part[at + 1..].trim_ascii()));
            let other = match split {
                Some((name, path)) if name.eq_ignore_ascii_case(b"path") => {
                    self.cookie_path(path).map(|path| [&b"; Path="[..], &path].concat())
                }
                Some((name, domain)) if name.eq_ignore_ascii_case(b"domain") => self.cookie_domain(domain),
                _ => None,
            };
            is_changed |= other.is_some();
            match other {
                Some(other) => mapped.extend_from_slice(&other),
                None => mapped.extend_from_slice(&[b";", part].concat()),
            }
        }
        is_changed.then_some(mapped)
    }

    fn cookie_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        // For all of the server: as much of it as there is outside. A slash alone is everywhere.
        let is_above =
            if self.inner.is_empty() { path.is_empty() } else { !path.is_empty() && is_below(self.inner, path) };
        let outer = if self.outer.is_empty() { b"/" } else { self.outer };
        if is_above {
            return (outer != b"/" || !self.inner.is_empty()).then(|| outer.to_vec());
        }
        if path.is_empty() { None } else { self.path(path) }
    }

    /// A domain that is the server's own, or one above it, and not the client's: browsers would refuse it.
    fn cookie_domain(&self, domain: &[u8]) -> Option<Vec<u8>> {
        let domain = domain.strip_prefix(b".").unwrap_or(domain);
        let is_within = |host: &[u8]| {
            host.eq_ignore_ascii_case(domain)
                || host.len() > domain.len()
                    && host[host.len() - domain.len()..].eq_ignore_ascii_case(domain)
                    && host[host.len() - domain.len() - 1] == b'.'
        };
        let asked = self.asked.iter().map(|asked| host_of(asked)).find(|asked| !asked.is_empty())?;
        let mut own = self.own.iter().map(|(own, _)| host_of(own)).chain(self.told_host.map(host_of));
        if domain.is_empty() || is_within(asked) || !own.any(is_within) {
            return None;
        }
        // An address has no domains below it: without the attribute the cookie is for it alone.
        let is_address = asked.starts_with(b"[")
            || std::str::from_utf8(asked).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok());
        Some(if is_address { Vec::new() } else { [&b"; Domain="[..], asked].concat() })
    }
}

/// Scheme (whether it is the encrypted one), authority, and what follows, of an address that names a host.
fn split(value: &[u8]) -> Option<(Option<bool>, &[u8], &[u8])> {
    let (scheme, rest) = match memchr::memmem::find(value, b"//")? {
        0 => (None, &value[2..]),
        at if value[..at].eq_ignore_ascii_case(b"http:") => (Some(false), &value[at + 2..]),
        at if value[..at].eq_ignore_ascii_case(b"https:") => (Some(true), &value[at + 2..]),
        _ => return None,
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    Some((scheme, authority, target))
}

fn path_of(target: &[u8]) -> &[u8] {
    target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

fn port_at(authority: &[u8], https: bool) -> u16 {
    port_of(authority).unwrap_or(usual_port(https))
}

fn usual_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// What is left of a path may begin with two slashes, which name a host (RFC 3986, 4.2). Browsers take a backslash for a
/// slash, and leave out tabs (WHATWG URL, 4.4).
fn of_this_host(address: Vec<u8>) -> Vec<u8> {
    let mut signs = address.iter().filter(|byte| **byte != b'\t');
    let is_rooted = signs.next() == Some(&b'/');
    let is_host = is_rooted && matches!(signs.next(), Some(b'/' | b'\\'));
    if is_host { [b"/.", &address[..]].concat() } else { address }
}

fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    !prefix.is_empty() && path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests;
