//! In:     frames of the edge, each a whole request; files of their bodies beside them.
//! Out:    frames to that event loop of the edge which owns the request.
//! Actors: Python's main thread; the control thread says when the lanes have ended.
//! Never:  is the interpreter's lock held while the worker waits for the edge.

use crate::IS_FORK;
use crate::end::end_process;
use hallway_core::lane::{
    FRAME_BYTES_MAX, SERVICE_NOTE, cancel_note, frames_max, has_credit, put_hello, put_leave, put_room,
};
use hallway_ring::{Bell, Frame, Memory, Receiver, Refused, Sender, Shape, receive_file, send_file};
use pyo3::prelude::*;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The ring that leads to this worker.
const INBOUND: usize = 0;

/// This worker's ends of its lanes.
pub(crate) struct Lanes {
    memory: Arc<Memory>,
    socket: OwnedFd,
    outbound: Vec<Arc<Outbound>>,
    /// The edge is gone.
    ended: Arc<AtomicBool>,
    /// The worker is to begin nothing more.
    finishing: AtomicBool,
    /// How long requests take on average.
    service_us: AtomicU64,
}

impl Lanes {
    /// From the descriptors beside the master's order; nothing if there are too few.
    pub(crate) fn new(descriptors: Vec<OwnedFd>, slots: u32) -> Option<Lanes> {
        let mut ends = descriptors.into_iter();
        let (socket, memory) = (ends.next()?, ends.next()?);
        let shape = Shape::new(FRAME_BYTES_MAX, frames_max(slots), slots as usize, ends.len());
        let memory = Arc::new(Memory::map(memory, shape).ok()?);
        let ended: Arc<AtomicBool> = Arc::default();
        let outbound = ends.enumerate().map(|(thread, bell)| {
            let (ring, bell) = (thread + 1, Bell::from(bell));
            let sender = Mutex::new(Sender::new(memory.clone(), ring));
            Arc::new(Outbound { ring, bell, sender, memory: memory.clone(), ended: ended.clone() })
        });
        let outbound: Vec<_> = outbound.collect();
        (!outbound.is_empty()).then_some(Lanes {
            memory,
            socket,
            outbound,
            ended,
            finishing: AtomicBool::new(false),
            service_us: AtomicU64::new(0),
        })
    }

    /// The socket, whose end tells that the edge has ended.
    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Nothing more comes or goes; whoever waits is woken.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.memory.wake_all();
    }

    /// No request begins any more; answers still go.
    pub(crate) fn finish(&self) {
        self.finishing.store(true, Ordering::Release);
        self.memory.wake_all();
    }

    fn takes_no_more(&self) -> bool {
        self.finishing.load(Ordering::Acquire) || self.ended.load(Ordering::Acquire)
    }

    /// The lane to one event loop of the edge.
    pub(crate) fn outbound(&self, thread: u16) -> Option<&Arc<Outbound>> {
        self.outbound.get(usize::from(thread))
    }

    /// Tells the edge that this worker takes requests.
    pub(crate) fn say_hello(&self, py: Python<'_>) {
        let mut frame = Vec::new();
        put_hello(&mut frame);
        self.outbound[0].send(py, &frame, b"");
    }

    /// Tells the edge that this worker begins nothing more.
    pub(crate) fn say_leave(&self, py: Python<'_>) {
        let mut frame = Vec::new();
        put_leave(&mut frame);
        self.outbound[0].send(py, &frame, b"");
    }

    /// Tells the edge that there is room in the inbound lane, which it waits for.
    pub(crate) fn say_room(&self, py: Python<'_>) {
        let mut frame = Vec::new();
        put_room(&mut frame);
        self.outbound[0].send(py, &frame, b"");
    }

    /// Sends the file of an answer, before the frame that says so; whether it could.
    pub(crate) fn send_file(&self, ticket: u64, file: BorrowedFd<'_>) -> bool {
        !IS_FORK.load(Ordering::Relaxed) && send_file(&self.socket, ticket, file).is_ok()
    }

    /// Notes how long a request took, for the edge to know how many may wait here.
    pub(crate) fn note_service(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / 8).clamp(1, u64::MAX / 8);
        let before_us = self.service_us.load(Ordering::Relaxed);
        // On average over some eight requests; of two threads that do this at once one may be lost.
        let service_us = if before_us == 0 { took_us } else { (7 * before_us + took_us).div_ceil(8) };
        self.service_us.store(service_us, Ordering::Relaxed);
        self.memory.put_note(INBOUND, SERVICE_NOTE, service_us);
    }

    /// The file of a request's body, which was sent before its frame. Files of requests that were
    /// taken back come by too.
    pub(crate) fn receive_file(&self, ticket: u64) -> Option<OwnedFd> {
        loop {
            let (number, file) = receive_file(&self.socket)?;
            if number == ticket {
                return file;
            }
        }
    }
}

/// The receiving end of the inbound lane.
pub(crate) struct Inbound {
    lanes: Arc<Lanes>,
    ring: Receiver,
}

impl Inbound {
    pub(crate) fn new(lanes: &Arc<Lanes>) -> Self {
        Inbound { lanes: lanes.clone(), ring: Receiver::new(lanes.memory.clone(), INBOUND) }
    }

    /// Waits for a request; nothing when the lanes have ended. When one is there already, the
    /// interpreter's lock is not let go for it, which would cost more than looking.
    pub(crate) fn receive(&mut self, py: Python<'_>) -> PyResult<Option<Frame>> {
        loop {
            // Before all else: what has not begun is for other workers then.
            if self.lanes.takes_no_more() {
                return Ok(None);
            }
            match self.ring.begin_next() {
                Ok(Some(frame)) => return Ok(Some(frame)),
                // What was taken back is room, too.
                Ok(None) => self.release(py),
                Err(hallway_ring::Broken) => return Err(io::Error::other("the edge broke this lane").into()),
            }
            let slept = py.detach(|| self.sleep());
            match slept {
                Ok(()) => {}
                // A signal came: its Python handler runs now.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => py.check_signals()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn sleep(&self) -> io::Result<()> {
        let mut slept = Ok(());
        if self.ring.lie_down() && !self.lanes.takes_no_more() {
            slept = self.ring.sleep();
        }
        self.ring.rise();
        slept
    }

    /// The bytes of a frame.
    pub(crate) fn bytes(&self, frame: Frame) -> &[u8] {
        self.ring.bytes(frame)
    }

    /// What was taken is not needed any more. To be called before an answer is sent: a slot that is free has room then,
    /// but for what waits for other slots.
    pub(crate) fn release(&mut self, py: Python<'_>) {
        if self.ring.release() {
            self.lanes.say_room(py);
        }
    }
}

/// The sending end of an outbound lane.
pub(crate) struct Outbound {
    ring: usize,
    bell: Bell,
    sender: Mutex<Sender>,
    memory: Arc<Memory>,
    ended: Arc<AtomicBool>,
}

impl Outbound {
    /// Sends one frame in two parts; `false` when the edge is gone.
    pub(crate) fn send(&self, py: Python<'_>, head: &[u8], body: &[u8]) -> bool {
        loop {
            // A forked child has no part in this memory.
            if self.ended.load(Ordering::Acquire) || IS_FORK.load(Ordering::Relaxed) {
                return false;
            }
            let sent = self.sender().send(&[head, body]);
            match sent {
                Ok(sent) => {
                    if sent.wakes && self.bell.ring().is_err() {
                        // The application has closed descriptors that are not its own: nobody would
                        // hear this worker any more. Another one takes its place.
                        end_process();
                    }
                    return true;
                }
                Err(Refused::Full) => self.await_room(py, head.len() + body.len()),
                Err(Refused::Broken) => return false,
            }
        }
    }

    /// Waits until the edge has taken some of what it was sent, with no lock held: other threads of
    /// the application may be waiting for the same.
    fn await_room(&self, py: Python<'_>, length: usize) {
        let starves = self.sender().starve(length);
        if starves == Ok(true) && !self.ended.load(Ordering::Acquire) {
            // A signal may end it; then the main thread handles that after its request.
            let _ = py.detach(|| Sender::wait_for_room(&self.memory, self.ring));
        }
    }

    /// Waits until this much of an answer may have been sent in all; `false` when nobody waits for it any more. The
    /// interpreter's lock is let go all the while.
    pub(crate) fn await_credit(&self, py: Python<'_>, call: (u16, u64), until: u64) -> bool {
        py.detach(|| {
            loop {
                // Before all else: a forked child has no part in this memory.
                if self.is_cancelled(call.1) {
                    return false;
                }
                if self.is_granted(call, until) {
                    return true;
                }
                Sender::starve_for_credit(&self.memory, self.ring);
                if !self.is_granted(call, until) && !self.ended.load(Ordering::Acquire) {
                    let _ = Sender::wait_for_room(&self.memory, self.ring);
                }
            }
        })
    }

    fn is_granted(&self, call: (u16, u64), until: u64) -> bool {
        has_credit(until, Sender::granted(&self.memory, self.ring, call))
    }

    /// Whether the edge has said that nobody waits for the answer to `ticket` any more.
    pub(crate) fn is_cancelled(&self, ticket: u64) -> bool {
        self.ended.load(Ordering::Acquire)
            || IS_FORK.load(Ordering::Relaxed)
            || self.sender().note(cancel_note(ticket)) == ticket
    }

    fn sender(&self) -> MutexGuard<'_, Sender> {
        // Held for a copy only, and nothing is waited for meanwhile.
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
