//! How the program and the event loops reach event loops.
//!
//! In:     messages, from any thread.
//! Out:    the same in the inbox of the loop they are for.
//! Actors: any thread sends; each loop reads its own inbox.
//! Never:  waits for the one who is told.

use crate::handlers::app::{AppMessage, Siblings, Worker};
use crate::journey::rules::Rules;
use hallway_core::plan::Listen;
use hallway_net::socket::listener::Bound;
use hallway_net::socket::stream::Accepted;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::UnboundedSender;

/// A message to an event loop.
pub(crate) enum Message {
    /// A worker has come; its bell rings when it has something for this loop.
    Worker { worker: Arc<Worker>, bell: OwnedFd },
    /// News of workers and their calls.
    App(AppMessage),
    /// A connection that another loop accepted at this address.
    Connection(Arc<Listen>, Accepted),
    /// Go by these rules from now on; take connections at these sockets, too.
    Rules(Arc<Rules>, Vec<Bound>),
    /// The last connection has ended.
    Emptied,
    /// Answer what is there, then end.
    Finish,
    /// The time for that is over.
    Cut,
}

/// The inboxes of all event loops.
#[derive(Clone)]
pub(crate) struct Mailboxes {
    loops: Arc<[UnboundedSender<Message>]>,
    turn: Arc<AtomicUsize>,
}

impl Mailboxes {
    pub(crate) fn new(loops: Vec<UnboundedSender<Message>>) -> Self {
        Mailboxes { loops: loops.into(), turn: Arc::default() }
    }

    /// Sends the first message to the first loop, the second to the second, and so on. A loop that
    /// has ended does not hear it.
    pub(crate) fn to_all(&self, messages: impl Iterator<Item = Message>) {
        for (inbox, message) in self.loops.iter().zip(messages) {
            let _ = inbox.send(message);
        }
    }

    /// Sends a message to one loop.
    pub(crate) fn to(&self, thread: u16, message: Message) {
        if let Some(inbox) = self.loops.get(usize::from(thread)) {
            let _ = inbox.send(message);
        }
    }

    /// Gives a connection to the next loop in turn.
    pub(crate) fn deal(&self, at: &Arc<Listen>, accepted: Accepted) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.loops.len();
        let _ = self.loops[turn].send(Message::Connection(at.clone(), accepted));
    }
}

impl Siblings for Mailboxes {
    fn tell(&self, thread: usize, message: AppMessage) {
        if let Some(inbox) = self.loops.get(thread) {
            let _ = inbox.send(Message::App(message));
        }
    }

    fn count(&self) -> usize {
        self.loops.len()
    }
}
