//! In:     sockets that systemd opened for this process (sd_listen_fds(3): `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`).
//! Out:    the same as listeners of the plan: in the place of an address that they are, else beside the others.
//! Actors: none.
//! Never:  is a socket taken that was meant for another process, or an address of the plan widened.

use crate::inherited::Inherited;
use hallway_core::plan::{Listen, Listener, Plan};
use rustix::net::{SocketAddrAny, SocketAddrUnix, getsockname, sockopt};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The first descriptor that systemd gives.
const FIRST: i32 = 3;
/// At most so many.
const SOCKETS_MAX: i32 = 256;
/// The name of a socket at which encrypted connections arrive (`FileDescriptorName=`).
const ENCRYPTED: &str = "https";

/// A socket that was given.
pub(crate) struct Given {
    /// Its descriptor.
    pub(crate) number: i32,
    name: String,
    at: Place,
    socket: OwnedFd,
}

enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The names of those that are meant for this process.
pub(crate) fn names() -> Vec<String> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("LISTEN_PID").parse() != Ok(std::process::id()) {
        return Vec::new();
    }
    let count: i32 = variable("LISTEN_FDS").parse().unwrap_or(0);
    let (names, count) = (variable("LISTEN_FDNAMES"), count.clamp(0, SOCKETS_MAX));
    let mut names = names.split(':');
    (0..count).map(|_| names.next().unwrap_or_default().to_owned()).collect()
}

/// Whether one of them is for encrypted connections.
pub(crate) fn has_encrypted() -> bool {
    names().iter().any(|name| name == ENCRYPTED)
}

/// Takes them over; to be called once.
///
/// # Errors
/// What is no socket at which connections arrive, in the words of a person.
pub(crate) fn take(inherited: &mut Inherited) -> Result<Vec<Given>, String> {
    (FIRST..).zip(names()).map(|(number, name)| take_one(number, name, inherited.take(number))).collect()
}

fn take_one(number: i32, name: String, socket: Option<OwnedFd>) -> Result<Given, String> {
    let shown = if name.is_empty() { format!("fd {number}") } else { format!("'{name}' (fd {number})") };
    let refused = |why: &str| {
        format!("systemd gave {shown}, {why}; write ListenStream= and Accept=no in its .socket unit, or take it out")
    };
    let socket = socket.ok_or_else(|| refused("which was not passed"))?;
    if !sockopt::socket_acceptconn(&socket).unwrap_or(false) {
        return Err(refused("which is no socket that connections arrive at"));
    }
    let at = match getsockname(&socket).map(place_of) {
        Ok(Some(at)) => at,
        _ => return Err(refused("which is neither TCP nor a unix socket")),
    };
    Ok(Given { number, name, at, socket })
}

fn place_of(address: SocketAddrAny) -> Option<Place> {
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Some(Place::Tcp(address));
    }
    let unix = SocketAddrUnix::try_from(address).ok()?;
    let path = unix.path_bytes().map(std::ffi::OsStr::from_bytes).map(PathBuf::from);
    Some(Place::Unix(path.unwrap_or_default()))
}

impl Given {
    /// A descriptor of its own for the listener.
    pub(crate) fn socket(&self) -> std::io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Whether this is what the plan asks for. An address is never taken by a socket that lets more in than it would.
    fn is(&self, at: &Listen) -> bool {
        match (at, &self.at) {
            (Listen::Inherited(number), _) => *number == self.number,
            (Listen::Tcp(asked), Place::Tcp(given)) => {
                let both_any = given.ip().is_unspecified() && asked.ip().is_unspecified();
                let is_same = given.ip() == asked.ip() || (both_any && given.is_ipv6());
                asked.port() != 0 && asked.port() == given.port() && is_same
            }
            (Listen::Unix(asked), Place::Unix(given)) => asked == given,
            _ => false,
        }
    }
}

/// Puts them among the listeners of a plan: where one is asked for, in its place.
pub(crate) fn place(given: &[Given], plan: &mut Plan) {
    for one in given {
        let mut asked = plan.listeners.iter().position(|listener| one.is(&listener.at));
        let listener = match asked {
            Some(at) => Listener { at: Listen::Inherited(one.number), ..plan.listeners[at].clone() },
            None => Listener { tls: one.name == ENCRYPTED, ..Listener::from(Listen::Inherited(one.number)) },
        };
        let mut number = 0;
        plan.listeners.retain_mut(|other| {
            number += 1;
            if asked == Some(number - 1) {
                *other = listener.clone();
                return true;
            }
            !one.is(&other.at)
        });
        if asked.take().is_none() {
            plan.listeners.push(listener);
        }
    }
}
