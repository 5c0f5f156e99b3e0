//! In:     encoded requests, perhaps with their bodies in files.
//! Out:    frames on the inbound ring of a worker; files on the socket beside it.
//! Actors: whichever event loop claimed the slot, under the lock of the desk.
//! Never:  does a send wait, or a worker end because it has no room.

use crate::handlers::app::app_facts::AppFacts;
use crate::handlers::app::sent_files::{SentFiles, WorkerSocket};
use hallway_core::lane::{AHEAD_MAX, AHEAD_US, FRAME_BYTES_MAX, SERVICE_NOTE, frames_max};
use hallway_net::file::stored::StoredFile;
use hallway_ring::{Memory, Refused, Sender, Shape, send_file};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ring that leads to the worker.
const INBOUND: usize = 0;

/// How every event loop reaches one worker. Shared by all of them.
pub(crate) struct Lane {
    pub(crate) worker: u32,
    pub(crate) pid: u32,
    pub(crate) app: Arc<AppFacts>,
    /// Requests it works on at a time.
    pub(crate) slots: u16,
    pub(super) memory: Arc<Memory>,
    sender: Mutex<Sender>,
    socket: Arc<WorkerSocket>,
    /// An event loop saw that the worker is gone.
    dead: AtomicBool,
    /// The worker said hello.
    greeted: AtomicBool,
    /// The worker said that it leaves.
    leaving: AtomicBool,
    /// The worker has answered.
    served: AtomicBool,
    /// The worker is to say when there is room in the ring, and has not yet.
    awaits_room: AtomicBool,
}

/// Why a worker cannot be given a request.
pub(super) enum NotSent {
    /// It is gone; another one may take it.
    Gone,
    /// It has no room now, because of what is there already. If it is waited for, the worker says when it has.
    Full,
    /// It broke its lane.
    Failed,
    /// The system has no room for it, whoever it is for.
    Unsendable,
}

impl Lane {
    /// The lane of a worker, from what the master made for it.
    ///
    /// # Errors
    /// Those of mapping the rings.
    pub(crate) fn new(
        (worker, pid, slots): (u32, u32, u32),
        (app, files): (Arc<AppFacts>, &SentFiles),
        threads: usize,
        (socket, memory): (OwnedFd, &OwnedFd),
    ) -> io::Result<Self> {
        let socket = Arc::new(WorkerSocket::new(worker, socket, files));
        let memory =
            Arc::new(Memory::map(memory, Shape::new(FRAME_BYTES_MAX, frames_max(slots), slots as usize, threads))?);
        Ok(Lane {
            worker,
            pid,
            app,
            slots: u16::try_from(slots).unwrap_or(u16::MAX),
            sender: Mutex::new(Sender::new(memory.clone(), INBOUND)),
            memory,
            socket,
            dead: AtomicBool::new(false),
            greeted: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            served: AtomicBool::new(false),
            awaits_room: AtomicBool::new(false),
        })
    }

    /// Nothing sent from now on is begun.
    pub(crate) fn bury(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Whether the worker said hello before; it says so once.
    pub(super) fn is_greeted(&self) -> bool {
        self.greeted.swap(true, Ordering::SeqCst)
    }

    /// The worker says that it ends; whether it said so before.
    pub(crate) fn note_leaving(&self) -> bool {
        self.leaving.swap(true, Ordering::SeqCst)
    }

    /// The worker has answered; whether that is the first time.
    pub(super) fn note_served(&self) -> bool {
        !self.served.load(Ordering::Relaxed) && !self.served.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// How many requests may wait in its lane, by the time that its requests take.
    pub(super) fn ahead_max(&self) -> usize {
        let service_us = self.sender().note(SERVICE_NOTE);
        AHEAD_US.checked_div(service_us).unwrap_or(0).min(AHEAD_MAX) as usize
    }

    /// The socket beside the rings.
    pub(super) fn socket(&self) -> &Arc<WorkerSocket> {
        &self.socket
    }

    /// The worker says that there is room; whether it was asked.
    pub(super) fn note_room(&self) -> bool {
        self.awaits_room.swap(false, Ordering::SeqCst)
    }

    /// Up to how many bytes in all this worker may send of an answer to an event loop. It is woken with the next release of
    /// that loop, or by `rouse`.
    pub(super) fn grant(&self, thread: u16, call: (u16, u64), bytes: u64) {
        self.memory.grant(usize::from(thread) + 1, call, bytes);
    }

    /// Wakes this worker if it waits for what an event loop has granted.
    pub(super) fn rouse(&self, thread: u16) {
        self.memory.rouse(usize::from(thread) + 1);
    }

    /// Puts a frame, which is in parts, into the ring, after its file into the socket; where it is, and whether the
    /// worker has to be woken. If there is no room and that `is_awaited`, the worker says when there is.
    pub(super) fn put(
        &self,
        ticket: u64,
        parts: &[&[u8]],
        file: Option<&StoredFile>,
        is_awaited: bool,
    ) -> Result<(u64, bool), NotSent> {
        let put = self.try_put(ticket, parts, file);
        // It says so once each time that it is asked.
        if !is_awaited || !matches!(put, Err(NotSent::Full)) || self.awaits_room.swap(true, Ordering::SeqCst) {
            return put;
        }
        // What it released before it knew is not told.
        self.sender().starve(FRAME_BYTES_MAX).map_err(|hallway_ring::Broken| NotSent::Failed)?;
        self.try_put(ticket, parts, file)
    }

    fn try_put(&self, ticket: u64, parts: &[&[u8]], file: Option<&StoredFile>) -> Result<(u64, bool), NotSent> {
        if self.is_dead() {
            return Err(NotSent::Gone);
        }
        let mut sender = self.sender();
        if let Some(file) = file {
            match sender.fits(parts.iter().map(|part| part.len()).sum()) {
                Ok(true) => {}
                // The file stays here, too.
                Ok(false) => return Err(NotSent::Full),
                Err(hallway_ring::Broken) => return Err(NotSent::Failed),
            }
            open_again(file).and_then(|file| send_file(&*self.socket, ticket, file.as_fd())).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => NotSent::Gone,
                    // It takes them with the frames that it begins. Where there are none, it left them there.
                    io::ErrorKind::WouldBlock if sender.is_empty() == Ok(false) => NotSent::Full,
                    io::ErrorKind::WouldBlock => NotSent::Failed,
                    _ => NotSent::Unsendable,
                }
            })?;
        }
        match sender.send(parts) {
            Ok(sent) => Ok((sent.position, sent.wakes)),
            Err(Refused::Full) => Err(NotSent::Full),
            Err(Refused::Broken) => Err(NotSent::Failed),
        }
    }

    /// Wakes the worker; not under a lock.
    pub(super) fn wake(&self) {
        Sender::wake_receiver(&self.memory, INBOUND);
    }

    /// Takes back what the worker has not begun.
    pub(super) fn withdraw(&self, position: u64) -> bool {
        self.sender().withdraw(position)
    }

    /// Whether the worker's end of the socket is closed. Nothing is read of it: what came beside that would be closed here.
    pub(crate) fn has_ended(&self) -> bool {
        let mut asked = [PollFd::new(&*self.socket, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut asked, Some(&now)) {
            Ok(_) => asked[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR),
            Err(error) => error != Errno::INTR,
        }
    }

    fn sender(&self) -> MutexGuard<'_, Sender> {
        // A panic ends the process (see `threads`), so a poisoned lock is never seen.
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Lane {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The file of a body, opened anew for each worker that gets it: read-only, and with a position of
/// its own, which no worker that had it before can move.
fn open_again(file: &StoredFile) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}
