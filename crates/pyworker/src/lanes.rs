//! In:     packets of the edge, each a whole request.
//! Out:    packets to that event loop of the edge which owns the request.
//! Actors: Python's main thread.
//! Never:  is the interpreter's lock held while the worker waits for the edge.

use hallway_core::lane::{FRAME_BYTES_MAX, decode_cancel, put_hello};
use pyo3::prelude::*;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg, sendmsg,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// This worker's ends of its lanes.
pub(crate) struct Lanes {
    inbound: OwnedFd,
    outbound: Vec<Arc<OwnedFd>>,
}

impl Lanes {
    /// From the descriptors beside the master's order; nothing if there are too few.
    pub(crate) fn new(mut descriptors: Vec<OwnedFd>) -> Option<Lanes> {
        if descriptors.len() < 2 {
            return None;
        }
        let inbound = descriptors.remove(0);
        Some(Lanes { inbound, outbound: descriptors.into_iter().map(Arc::new).collect() })
    }

    pub(crate) fn inbound(&self) -> &OwnedFd {
        &self.inbound
    }

    /// The lane to one event loop of the edge.
    pub(crate) fn outbound(&self, thread: u16) -> Option<&Arc<OwnedFd>> {
        self.outbound.get(usize::from(thread))
    }

    /// Tells the edge that this worker takes one request at a time.
    pub(crate) fn say_hello(&self) {
        let mut frame = Vec::new();
        put_hello(&mut frame, 1);
        if let Some(first) = self.outbound.first() {
            // If the edge is gone already, the inbound lane says so.
            let _ = rustix::net::send(&**first, &frame, SendFlags::NOSIGNAL);
        }
    }
}

/// What came by the inbound lane.
pub(crate) enum Received {
    /// A request, and its body where that is in a file.
    Request(Option<OwnedFd>),
    /// The lane has ended.
    Ended,
}

/// The reading end of the inbound lane, with room for one packet.
pub(crate) struct Inbound {
    lanes: Arc<Lanes>,
    room: Vec<u8>,
    length: usize,
}

impl Inbound {
    pub(crate) fn new(lanes: &Arc<Lanes>) -> Self {
        Inbound { lanes: lanes.clone(), room: vec![0; FRAME_BYTES_MAX], length: 0 }
    }

    /// The packet that was received last.
    pub(crate) fn packet(&self) -> &[u8] {
        &self.room[..self.length]
    }

    /// Waits for a packet. First it looks without letting the interpreter's lock go, which costs
    /// less when a request is there already.
    pub(crate) fn receive(&mut self, py: Python<'_>) -> PyResult<Received> {
        let mut received = self.read(RecvFlags::DONTWAIT);
        while let Err(error) = received {
            match error {
                Errno::AGAIN => {}
                // A signal came: its Python handler runs now.
                Errno::INTR => py.check_signals()?,
                // The application closed a descriptor that is not its own.
                error => return Err(std::io::Error::from(error).into()),
            }
            received = py.detach(|| self.read(RecvFlags::empty()));
        }
        Ok(match received {
            Ok(file) if self.length > 0 => Received::Request(file),
            _ => Received::Ended,
        })
    }

    fn read(&mut self, flags: RecvFlags) -> Result<Option<OwnedFd>, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let mut parts = [IoSliceMut::new(&mut self.room)];
        self.length = recvmsg(&self.lanes.inbound, &mut parts, &mut beside, flags)?.bytes;
        let rights = beside.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut received) => received.next(),
            _ => None,
        });
        Ok(rights)
    }
}

/// Whether the edge has said on this lane that nobody waits for the answer to `ticket` any more.
pub(crate) fn is_cancelled(outbound: &OwnedFd, ticket: u64) -> bool {
    let mut room = [0; 64];
    let mut cancelled = false;
    while let Ok((length, _)) = rustix::net::recv(outbound, &mut room[..], RecvFlags::DONTWAIT) {
        if length == 0 {
            return true;
        }
        cancelled |= decode_cancel(&room[..length.min(64)]) == Some(ticket);
    }
    cancelled
}

/// Sends one frame in two parts; `false` when the edge is gone.
pub(crate) fn send_frame(py: Python<'_>, outbound: &OwnedFd, head: &[u8], body: &[u8]) -> bool {
    let send = |flags: SendFlags| {
        let parts = [IoSlice::new(head), IoSlice::new(body)];
        sendmsg(outbound, &parts, &mut SendAncillaryBuffer::default(), flags | SendFlags::NOSIGNAL)
    };
    match send(SendFlags::DONTWAIT) {
        Ok(_) => true,
        Err(Errno::AGAIN | Errno::INTR) => py.detach(|| rustix::io::retry_on_intr(|| send(SendFlags::empty()))).is_ok(),
        Err(_) => false,
    }
}
