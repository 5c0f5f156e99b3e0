//! In:     an encoded request, perhaps with its body in a file.
//! Out:    one packet on the inbound lane of a worker.
//! Actors: whichever event loop claimed the slot.
//! Never:  does a send wait; a worker with a free slot has room, or is broken.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How every event loop reaches one worker. Shared by all of them.
pub(crate) struct Lane {
    pub(crate) worker: u32,
    pub(crate) pid: u32,
    inbound: OwnedFd,
    dead: AtomicBool,
}

impl Lane {
    pub(crate) fn new(worker: u32, pid: u32, inbound: OwnedFd) -> Self {
        Lane { worker, pid, inbound, dead: AtomicBool::new(false) }
    }

    /// An event loop saw that the worker is gone.
    pub(crate) fn bury(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Sends one packet, which any event loop may do: the kernel keeps packets apart.
    pub(crate) fn send(&self, parcel: &Parcel) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let file = parcel.file.as_ref().map(open_again).transpose()?;
        let descriptors = [file.as_ref().map_or(self.inbound.as_fd(), AsFd::as_fd)];
        if file.is_some() {
            beside.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| sendmsg(&self.inbound, &[IoSlice::new(&parcel.frame)], &mut beside, flags))?;
        Ok(())
    }
}

/// The file of a body, opened anew for each worker that gets it: read-only, and with a position of
/// its own, which no worker that had it before can move.
fn open_again(file: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// A request on its way to a worker. Shared by the loop that owns the connection and the one that
/// hands it over.
pub(crate) struct Parcel {
    pub(crate) ticket: u64,
    pub(crate) frame: Vec<u8>,
    pub(crate) file: Option<OwnedFd>,
    handed_us: AtomicU64,
    worker: AtomicU32,
    worker_pid: AtomicU32,
}

impl Parcel {
    pub(crate) fn new(ticket: u64, frame: Vec<u8>, file: Option<OwnedFd>) -> Self {
        Parcel {
            ticket,
            frame,
            file,
            handed_us: AtomicU64::new(0),
            worker: AtomicU32::new(0),
            worker_pid: AtomicU32::new(0),
        }
    }

    /// Notes who is about to get it; before the send, because the answer may be faster than a note.
    pub(crate) fn hand_to(&self, lane: &Lane, now_us: u64) {
        self.worker_pid.store(lane.pid, Ordering::Relaxed);
        self.handed_us.store(now_us.max(1), Ordering::Relaxed);
        self.worker.store(lane.worker, Ordering::SeqCst);
    }

    /// Nobody has it any more.
    pub(crate) fn take_back(&self) {
        self.worker.store(0, Ordering::SeqCst);
        self.handed_us.store(0, Ordering::Relaxed);
    }

    /// Who has it; 0 for nobody.
    pub(crate) fn worker(&self) -> u32 {
        self.worker.load(Ordering::SeqCst)
    }

    pub(crate) fn worker_pid(&self) -> u32 {
        self.worker_pid.load(Ordering::Relaxed)
    }

    /// When it was handed over, on the clock of the process; nothing while it waits.
    pub(crate) fn handed_us(&self) -> Option<u64> {
        Some(self.handed_us.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}
