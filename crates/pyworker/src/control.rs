//! In:     orders of the master.
//! Out:    lanes for the main thread, or that it is to finish; the report that it is ready.
//! Actors: one native thread, which never waits for the interpreter.
//! Never:  does the worker outlive its master: when the channel ends, the process does.

use crate::end::end_process;
use crate::lanes::Lanes;
use hallway_core::control::{DESCRIPTORS_MAX, MESSAGE_BYTES_MAX, Order, Report, put_report};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a worker without lanes looks for Python signals.
const SIGNAL_CHECK: Duration = Duration::from_millis(500);

/// What the main thread is to do next.
pub(crate) enum Next {
    Lanes(Arc<Lanes>),
    Finish,
    Nothing,
}

#[derive(Default)]
struct Orders {
    lanes: Option<Arc<Lanes>>,
    current: Option<Arc<Lanes>>,
    finish: bool,
}

/// The worker's end of the channel to the master.
pub(crate) struct Control {
    reports: Arc<OwnedFd>,
    orders: Arc<(Mutex<Orders>, Condvar)>,
}

impl Control {
    /// Starts to listen.
    pub(crate) fn start(channel: OwnedFd, reports: OwnedFd) -> io::Result<Control> {
        let control = Control { reports: Arc::new(reports), orders: Arc::default() };
        let (orders, kept) = (control.orders.clone(), control.reports.clone());
        std::thread::Builder::new().name("hallway-control".into()).spawn(move || {
            // Its end tells the master that this process has ended: it stays open until then.
            let _kept = kept;
            while let Some((order, descriptors)) = await_order(&channel, &orders) {
                obey(&orders, order, descriptors);
            }
            // The master is gone, or its words cannot be understood. Nobody waits for an orderly
            // end any more, and the main thread may be anywhere: SIGKILL always works.
            end_process();
        })?;
        Ok(control)
    }

    /// Tells the master something.
    pub(crate) fn report(&self, report: Report) -> io::Result<()> {
        let record = put_report(&report.encode());
        rustix::io::retry_on_intr(|| rustix::io::write(&self.reports, &record))?;
        Ok(())
    }

    /// Waits, for a moment, for what to do.
    pub(crate) fn await_lanes(&self) -> Next {
        let (lock, changed) = &*self.orders;
        let mut orders = hold(lock);
        if orders.lanes.is_none() && !orders.finish {
            orders = changed.wait_timeout(orders, SIGNAL_CHECK).unwrap_or_else(PoisonError::into_inner).0;
        }
        match (orders.finish, orders.lanes.take()) {
            (true, _) => Next::Finish,
            (false, Some(lanes)) => Next::Lanes(lanes),
            (false, None) => Next::Nothing,
        }
    }
}

fn obey(orders: &(Mutex<Orders>, Condvar), order: Order, descriptors: Vec<OwnedFd>) {
    let (lock, changed) = orders;
    let mut orders = hold(lock);
    match order {
        // Lanes of a new edge: the old ones have ended by themselves.
        Order::Lanes { slots, .. } => match Lanes::new(descriptors, slots) {
            Some(lanes) => {
                let lanes = Arc::new(lanes);
                orders.lanes = Some(lanes.clone());
                if let Some(before) = orders.current.replace(lanes) {
                    before.end();
                }
            }
            // Out of descriptors: no request would ever come. A next worker may have more luck.
            None => end_process(),
        },
        Order::ReopenLogs | Order::Gone { .. } | Order::Sockets | Order::Plan { .. } => {}
        Order::Status | Order::AnswerFor { .. } | Order::Logs => {}
        Order::Finish => {
            orders.finish = true;
            if let Some(lanes) = &orders.current {
                lanes.finish();
            }
        }
    }
    changed.notify_all();
}

/// Waits for an order. When the edge ends meanwhile, the main thread is told.
fn await_order(channel: &OwnedFd, orders: &(Mutex<Orders>, Condvar)) -> Option<(Order, Vec<OwnedFd>)> {
    loop {
        let current = hold(&orders.0).current.clone();
        // Only the end of the socket is of interest here, which needs no asking for.
        let mut ends = vec![PollFd::new(channel, PollFlags::IN)];
        ends.extend(current.iter().map(|lanes| PollFd::new(lanes.socket(), PollFlags::empty())));
        let waited = rustix::io::retry_on_intr(|| poll(&mut ends, None));
        if waited.is_err() || !ends[0].revents().is_empty() {
            return receive(channel);
        }
        drop(ends);
        if let Some(lanes) = current {
            lanes.end();
            hold(&orders.0).current = None;
        }
    }
}

fn receive(channel: &OwnedFd) -> Option<(Order, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; MESSAGE_BYTES_MAX];
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(channel, &mut [IoSliceMut::new(&mut bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)
    });
    let order = Order::decode(&bytes[..received.ok()?.bytes])?;
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Some((order, descriptors))
}

fn hold(lock: &Mutex<Orders>) -> MutexGuard<'_, Orders> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
