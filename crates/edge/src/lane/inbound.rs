//! In:     encoded requests, perhaps with their bodies in files.
//! Out:    frames on the inbound ring of a worker; files on the socket beside it.
//! Actors: whichever event loop claimed the slot, under the lock of the desk.
//! Never:  does a send wait; a worker with a free slot has room, or is broken.

use crate::lane::desk::AppDesk;
use crate::lane::parcel::Parcel;
use hallway_core::lane::{AHEAD_MAX, AHEAD_US, FRAME_BYTES_MAX, SERVICE_NOTE, frames_max};
use hallway_ring::{Memory, Refused, Sender, Shape, receive_file, send_file};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::fs::File;
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
    /// Where its app's requests wait.
    pub(crate) desk: Arc<AppDesk>,
    /// Requests it works on at a time.
    pub(crate) slots: u16,
    pub(super) memory: Arc<Memory>,
    sender: Mutex<Sender>,
    socket: OwnedFd,
    /// Files of answers, by the tickets of their calls.
    files: Mutex<Vec<(u64, Option<OwnedFd>)>>,
    /// An event loop saw that the worker is gone.
    dead: AtomicBool,
    /// The worker said hello.
    greeted: AtomicBool,
    /// The worker said that it leaves.
    leaving: AtomicBool,
}

/// Files of answers that wait to be taken; a worker has few answers at a time.
const FILES_MAX: usize = 1024;

/// What came for a call whose worker says that it sent a file.
pub(super) enum Received {
    File(File),
    /// It came to a process that has too many files open.
    Lost,
    /// There is none, or what is no plain file.
    Nothing,
}

/// Why a worker cannot be given a request.
pub(super) enum NotSent {
    /// It is gone; another one may take it.
    Gone,
    /// It has no room now, because of what is there already.
    Full,
    /// It broke its lane, or the system has no room.
    Failed,
}

impl Lane {
    /// The lane of a worker, from what the master made for it.
    ///
    /// # Errors
    /// Those of mapping the rings.
    pub(crate) fn new(
        (worker, pid, slots): (u32, u32, u32),
        desk: Arc<AppDesk>,
        threads: usize,
        (socket, memory): (OwnedFd, &OwnedFd),
    ) -> io::Result<Self> {
        let memory = Arc::new(Memory::map(memory, Shape::new(FRAME_BYTES_MAX, frames_max(slots), threads))?);
        Ok(Lane {
            worker,
            pid,
            desk,
            slots: u16::try_from(slots).unwrap_or(u16::MAX),
            sender: Mutex::new(Sender::new(memory.clone(), INBOUND)),
            memory,
            socket,
            files: Mutex::default(),
            dead: AtomicBool::new(false),
            greeted: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
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

    /// The worker ends because it was told to.
    pub(crate) fn note_leaving(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// How many requests may wait in its lane, by the time that its requests take.
    pub(super) fn ahead_max(&self) -> usize {
        let service_us = self.sender().note(SERVICE_NOTE);
        AHEAD_US.checked_div(service_us).unwrap_or(0).min(AHEAD_MAX) as usize
    }

    /// Puts a parcel into the ring, after its file into the socket; where it is, and whether the
    /// worker has to be woken.
    pub(super) fn put(&self, parcel: &Parcel) -> Result<(u64, bool), NotSent> {
        if self.is_dead() {
            return Err(NotSent::Gone);
        }
        if let Some(file) = &parcel.file {
            open_again(file).and_then(|file| send_file(&self.socket, parcel.ticket, file.as_fd())).map_err(
                |error| match error.kind() {
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => NotSent::Gone,
                    _ => NotSent::Failed,
                },
            )?;
        }
        match self.sender().send(&[&parcel.frame, &parcel.body]) {
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

    /// The file that the worker sent for this call before it said so in its lane. Those of other
    /// calls, which other event loops look for, are kept for them.
    pub(super) fn receive_file(&self, ticket: u64) -> Received {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(received) = receive_file(&self.socket) {
            files.push(received);
            if files.len() > FILES_MAX {
                return Received::Nothing;
            }
        }
        let Some(at) = files.iter().position(|(number, _)| *number == ticket) else { return Received::Nothing };
        let (_, Some(file)) = files.swap_remove(at) else { return Received::Lost };
        let is_regular = fstat(&file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        if is_regular { Received::File(File::from(file)) } else { Received::Nothing }
    }

    /// Whether the worker's end of the socket is closed.
    pub(crate) fn has_ended(&self) -> bool {
        let (mut byte, flags) = ([0; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK);
        !matches!(recv(&self.socket, &mut byte, flags), Ok((1.., _)) | Err(Errno::AGAIN | Errno::INTR))
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
fn open_again(file: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}
