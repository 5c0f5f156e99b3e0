//! In:     the addresses of the plan.
//! Out:    listening sockets, which the master keeps until it exits; or who is in the way.
//! Actors: none.
//! Never:  is a stranger's port joined: SO_REUSEPORT alone would do that silently for the same user.

use crate::given::{self, Given};
use crate::inherited::Inherited;
use crate::port_holder;
use crate::users::told;
use hallway_core::plan::{Listen, Plan};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with, sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Connections that may wait in the kernel; it takes `net.core.somaxconn` if that is less.
const BACKLOG: i32 = 4096;

/// A connection is writable when the kernel holds less than this unsent: then what a slow client
/// takes is seen as it takes it, and not only after megabytes.
const UNSENT_BYTES: u32 = hallway_edge::UNSENT_BYTES;

/// Every listening socket of the plan.
pub(crate) struct Listeners {
    held: Vec<Held>,
    /// Those that were there before.
    given: Vec<Given>,
    /// Others that were left open, until the first plan has taken its own.
    inherited: Inherited,
}

/// The sockets of one address.
pub(crate) struct Held {
    /// As the plan asked for it; its port may have been for the system to choose.
    asked: Listen,
    /// As it is.
    pub(crate) at: Listen,
    sockets: Vec<OwnedFd>,
    /// Where an inherited one leads to.
    local: Option<SocketAddr>,
    /// The inode of a socket file: a successor may have put its own there since.
    inode: Option<u64>,
}

impl Listeners {
    /// Those that systemd gave, and no others yet.
    ///
    /// # Errors
    /// What cannot be listened at, in the words of a person.
    pub(crate) fn of_process(mut inherited: Inherited) -> Result<Listeners, String> {
        Ok(Listeners { held: Vec::new(), given: given::take(&mut inherited)?, inherited })
    }

    /// Binds every address of the plan that is not bound yet, and writes the port into the plan where the
    /// system chose one. What the plan does not have stays until `keep`.
    ///
    /// # Errors
    /// An address that cannot be had, in the words of a person; then none of the new ones is held.
    pub(crate) fn bind(&mut self, plan: &mut Plan) -> Result<(), String> {
        given::place(&self.given, plan);
        let mut new = Vec::new();
        for listener in &mut plan.listeners {
            if let Some(held) = self.held.iter().find(|held| held.asked == listener.at) {
                (listener.at, listener.local) = (held.at.clone(), held.local);
                continue;
            }
            let asked = listener.at.clone();
            let (sockets, inode) = match &mut listener.at {
                Listen::Tcp(address) => (bind_tcp(address, plan.edge_threads)?, None),
                Listen::Unix(path) => bind_unix_as_owner(path).map(|(socket, inode)| (vec![socket], Some(inode)))?,
                Listen::Inherited(number) => {
                    let given = self.given.iter().find(|given| given.number == *number).map(Given::socket);
                    let passed = || take_over(*number, self.inherited.take(*number));
                    let socket = given.map_or_else(passed, |it| it.map_err(|error| error.to_string()))?;
                    listener.local = getsockname(&socket).ok().and_then(|at| SocketAddr::try_from(at).ok());
                    if listener.local.is_some() {
                        let _ = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES);
                    }
                    (vec![socket], None)
                }
            };
            new.push(Held { asked, at: listener.at.clone(), sockets, local: listener.local, inode });
        }
        self.held.extend(new);
        self.inherited.close();
        Ok(())
    }

    /// Closes what the plan does not have.
    pub(crate) fn keep(&mut self, plan: &Plan) {
        self.held.retain(|held| plan.listeners.iter().any(|listener| listener.at == held.at));
    }

    /// In the order of the plan.
    pub(crate) fn of<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a Held> {
        plan.listeners.iter().filter_map(|listener| self.held.iter().find(|held| held.at == listener.at))
    }

    /// Closes every socket: who comes now is refused instead of waiting for an answer that nobody
    /// will give. The edge has its own copies until it has emptied their queues.
    pub(crate) fn close(&mut self) {
        self.held.iter_mut().for_each(|held| held.sockets.clear());
    }
}

impl Held {
    /// All siblings of the address.
    pub(crate) fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd).collect()
    }
}

fn bind_tcp(address: &mut SocketAddr, siblings: usize) -> Result<Vec<OwnedFd>, String> {
    let mut sockets = Vec::new();
    let explained = |error: Errno, address: &SocketAddr| explain_tcp(error, address);
    let probe = tcp_socket(*address).map_err(|error| explained(error, address))?;
    bind(&probe, address).map_err(|error| explained(error, address))?;
    if let Ok(bound) = getsockname(&probe).and_then(SocketAddr::try_from) {
        *address = bound;
    }
    drop(probe);
    for _ in 0..siblings {
        let bound = tcp_socket(*address).and_then(|socket| {
            sockopt::set_socket_reuseport(&socket, true)?;
            bind(&socket, &*address)?;
            // Connections inherit it. Where it is refused, only slow clients are judged worse.
            let _ = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES);
            listen(&socket, BACKLOG)?;
            Ok(socket)
        });
        sockets.push(bound.map_err(|error| explained(error, address))?);
    }
    Ok(sockets)
}

/// The same as `bind_unix`, as who can change what stands in its directory: the socket is theirs, and nothing else is
/// removed or made for them.
fn bind_unix_as_owner(path: &Path) -> Result<(OwnedFd, u64), String> {
    let bound = crate::paths::as_owner_of_directory(path, || bind_unix(path));
    bound.unwrap_or_else(|error| match error.kind() {
        // Its own words name the mend.
        std::io::ErrorKind::NotFound => bind_unix(path),
        _ => Err(format!("cannot listen at unix:{}: {error}", path.display())),
    })
}

/// The socket, and the inode of its file.
fn bind_unix(path: &Path) -> Result<(OwnedFd, u64), String> {
    let shown = path.display();
    let address =
        SocketAddrUnix::new(path).map_err(|_| format!("cannot listen at unix:{shown}: the path is too long"))?;
    let unix_socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let failed = |error: Errno| match error {
        Errno::NOENT => format!("cannot listen at unix:{shown}: its directory is not there. Make it first."),
        Errno::ACCESS => {
            let user = crate::users::own_name();
            format!(
                "cannot listen at unix:{shown}: the user '{user}', as which this runs, may not write to its directory."
            )
        }
        other => format!("cannot listen at unix:{shown}: {other}"),
    };
    let mut socket = unix_socket().map_err(failed)?;
    let mut bound = bind(&socket, &address);
    if bound == Err(Errno::ADDRINUSE) {
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        if !is_socket {
            return Err(format!(
                "cannot listen at unix:{shown}: there is a file that is no socket. Choose another path."
            ));
        }
        // A socket file stays behind when its server dies: only one that answers is in use. One whose queue is full, because
        // it takes nobody, is not waited for.
        let probe =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None);
        let probe = probe.map_err(failed)?;
        if connect(&probe, &address) != Err(Errno::CONNREFUSED) {
            return Err(format!(
                "cannot listen at unix:{shown}: a server answers there. Stop it, or choose another path."
            ));
        }
        std::fs::remove_file(path).map_err(|error| format!("cannot replace unix:{shown}: {}", told(&error)))?;
        socket = unix_socket().map_err(failed)?;
        bound = bind(&socket, &address);
    }
    bound.and_then(|()| listen(&socket, BACKLOG)).map_err(failed)?;
    let inode = std::fs::symlink_metadata(path).map_or(0, |file| file.ino());
    Ok((socket, inode))
}

fn take_over(number: i32, socket: Option<OwnedFd>) -> Result<OwnedFd, String> {
    let socket = socket.ok_or_else(|| {
        format!("fd://{number} was not inherited; what is not named at the start is closed then: start hallway with it")
    })?;
    match sockopt::socket_acceptconn(&socket) {
        Ok(true) => Ok(socket),
        _ => Err(format!("fd://{number} is not a listening socket")),
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Listen::Unix(path), Some(inode)) = (&self.at, self.inode)
            && std::fs::symlink_metadata(path).is_ok_and(|file| file.ino() == inode)
        {
            let _ = crate::paths::as_owner_of_directory(path, || std::fs::remove_file(path));
        }
    }
}

fn tcp_socket(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Connections of a former run may still be ending; they are no reason not to start.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(socket)
}

fn explain_tcp(error: Errno, address: &SocketAddr) -> String {
    let next = SocketAddr::new(address.ip(), address.port().saturating_add(1).max(1024));
    let mend = match error {
        Errno::ADDRINUSE => match port_holder::find(address) {
            Some(holder) => format!(
                "it is in use by {} (pid {}).\nStop that process, or choose another address, as {next}",
                holder.name, holder.pid
            ),
            None => {
                format!("it is in use by a process that cannot be seen from here.\nChoose another address, as {next}")
            }
        },
        Errno::ACCESS => format!(
            "ports below 1024 need root or CAP_NET_BIND_SERVICE, and this runs as '{}'.\nStart as root, have systemd open the \
             port (a .socket unit), or choose another port, as {next}",
            crate::users::own_name()
        ),
        Errno::ADDRNOTAVAIL => {
            "this machine has no such address.\nWrite 0.0.0.0 or [::] for all of its addresses".into()
        }
        other => other.to_string(),
    };
    format!("cannot listen at {address}: {mend}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_waited_for_who_listens_and_takes_no_connection() {
        let path = std::env::temp_dir().join(format!("hallway-full-{}.sock", std::process::id()));
        let address = SocketAddrUnix::new(&path).unwrap();
        let of =
            |flags| socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | flags, None).unwrap();
        let taken = of(SocketFlags::empty());
        bind(&taken, &address).unwrap();
        listen(&taken, 0).unwrap();
        let clients: Vec<OwnedFd> = (0..8).map(|_| of(SocketFlags::NONBLOCK)).collect();
        let came = clients.iter().filter(|client| connect(client, &address).is_ok()).count();
        assert!(came < clients.len(), "its queue is full");
        let problem = bind_unix(&path).unwrap_err();
        assert!(problem.contains("a server answers there"), "{problem}");
        drop((taken, clients));
        assert!(bind_unix(&path).is_ok(), "what is left of it is replaced");
        std::fs::remove_file(path).unwrap();
    }
}
