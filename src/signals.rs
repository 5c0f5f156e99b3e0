//! In:     signals to the master.
//! Out:    what each means, for a loop that waits in `poll`.
//! Actors: the handlers of `signal-hook`, which write a byte to a socket.
//! Never:  is a signal lost, or anything done inside a handler.

use hallway_core::supervise::Event;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGXFSZ};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// What a signal to the master means.
#[derive(Clone, Copy)]
pub(crate) enum Meaning {
    /// A child may have ended.
    ChildEnded,
    /// The log files were moved away.
    ReopenLogs,
    /// An upgrade of the program itself, which is not built yet.
    Upgrade,
    /// The supervisor decides.
    Event(Event),
}

/// All signals that the master hears.
pub(crate) struct Signals(Vec<(UnixStream, Meaning)>);

impl Signals {
    /// Begins to hear them.
    pub(crate) fn listen() -> io::Result<Signals> {
        let meanings: [(&[i32], Meaning); 7] = [
            (&[SIGCHLD], Meaning::ChildEnded),
            (&[SIGTERM, SIGINT, SIGQUIT], Meaning::Event(Event::Stop)),
            (&[SIGHUP], Meaning::Event(Event::Roll)),
            (&[SIGTTIN], Meaning::Event(Event::More)),
            (&[SIGTTOU], Meaning::Event(Event::Fewer)),
            (&[SIGUSR1], Meaning::ReopenLogs),
            (&[SIGUSR2], Meaning::Upgrade),
        ];
        let mut all = Vec::new();
        for (numbers, meaning) in meanings {
            let (socket, written_by) = UnixStream::pair()?;
            socket.set_nonblocking(true)?;
            for number in numbers {
                signal_hook::low_level::pipe::register(*number, written_by.try_clone()?)?;
            }
            all.push((socket, meaning));
        }
        // A file that may not grow is an error of its write (EFBIG), not the end of everything.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        Ok(Signals(all))
    }

    /// What to wait for.
    pub(crate) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(socket, _)| socket.as_fd())
    }

    /// The meaning of each signal that came since the last time.
    pub(crate) fn heard(&mut self) -> Vec<Meaning> {
        let mut bytes = [0; 64];
        let mut meanings = Vec::new();
        for (socket, meaning) in &mut self.0 {
            let count = socket.read(&mut bytes).unwrap_or(0);
            meanings.extend(std::iter::repeat_n(*meaning, count));
        }
        meanings
    }
}
