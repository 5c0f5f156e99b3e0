//! Tells the service manager how this process is.
//!
//! In:     what systemd put into the environment (sd_notify(3), sd_watchdog_enabled(3)); when it serves, reloads, stops.
//! Out:    the words of that protocol, each in a packet of its own.
//! Actors: the master's loop.
//! Never:  does it wait for the service manager, or say that it lives unless its loop turns.

use super::Master;
use hallway_core::supervise::Supervisor;
use hallway_edge::monotonic_us;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Words that wait where the service manager takes none just now, and how long until the next try.
const WORDS_MAX: usize = 16;
const AGAIN_MS: u64 = 100;

/// The way to it; nowhere where nobody wants to know.
#[derive(Default)]
pub(super) struct Service {
    way: Option<(UnixDatagram, SocketAddr)>,
    waiting: VecDeque<String>,
    /// How often it wants to hear that this process lives, and when it is told next.
    every_ms: Option<u64>,
    due_ms: u64,
    is_ready: bool,
    is_reloading: bool,
}

impl Service {
    /// As the environment says.
    pub(super) fn of_process() -> Service {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let way = variable("NOTIFY_SOCKET").and_then(|path| way_to(&path));
        let number = |name: &str| variable(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
        let is_meant = variable("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(std::process::id().into());
        // Twice within the time, as is recommended.
        let every_ms = number("WATCHDOG_USEC").filter(|_| is_meant && way.is_some()).map(|time| (time / 2_000).max(1));
        Service { way, every_ms, ..Service::default() }
    }

    /// When there is something to say.
    pub(super) fn wake_at(&self, now_ms: u64) -> Option<u64> {
        let again_ms = (!self.waiting.is_empty()).then_some(now_ms + AGAIN_MS);
        self.every_ms.map(|_| self.due_ms).into_iter().chain(again_ms).min()
    }

    /// Says what is due.
    pub(super) fn keep(&mut self, now_ms: u64) {
        self.send();
        if let Some(every_ms) = self.every_ms.filter(|_| now_ms >= self.due_ms) {
            self.due_ms = now_ms + every_ms;
            // Where others wait it has not heard those before, which say the same.
            if let (Some((socket, address)), true) = (&self.way, self.waiting.is_empty()) {
                let _ = socket.send_to_addr(b"WATCHDOG=1", address);
            }
        }
    }

    /// It serves, for the first time or again.
    pub(super) fn ready(&mut self, status: &str) {
        (self.is_ready, self.is_reloading) = (true, false);
        self.say(format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// It was asked to go by something else.
    pub(super) fn reloading(&mut self) {
        if self.is_ready {
            self.is_reloading = true;
            self.say(format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
        }
    }

    /// It finishes what was begun.
    pub(super) fn stopping(&mut self) {
        (self.is_ready, self.is_reloading) = (false, false);
        self.say("STOPPING=1\nSTATUS=finishing what was begun".into());
    }

    fn say(&mut self, words: String) {
        if self.way.is_some() && self.waiting.len() < WORDS_MAX {
            self.waiting.push_back(words);
            self.send();
        }
    }

    fn send(&mut self) {
        let Some((socket, address)) = &self.way else { return };
        while let Some(words) = self.waiting.front() {
            match socket.send_to_addr(words.as_bytes(), address) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // A service manager that is not there is told nothing.
                Ok(_) | Err(_) => drop(self.waiting.pop_front()),
            }
        }
    }
}

/// A path, or behind `@` a name that has none.
fn way_to(place: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(place),
        _ => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

impl Master {
    /// Says that a change is over, once it is: adopted or refused, and no worker is being replaced for it.
    pub(super) fn end_reload(&mut self, tree: &Supervisor) {
        let is_over = self.proposal.is_none() && !self.rolls_again && self.deferred.is_empty() && !tree.is_rolling();
        if self.service.is_reloading && is_over {
            let status = self.serving();
            self.service.ready(&status);
        }
    }
}
