//! In:     messages of the program and of other event loops.
//! Out:    the same in the inbox of the loop they are for.
//! Actors: any thread sends; each loop reads its own inbox.
//! Never:  does a sender wait.

use crate::lane::{Calls, Lane, SentFile};
use crate::listen::Bound;
use crate::rules::Rules;
use crate::stream::Accepted;
use hallway_core::Fault;
use hallway_core::plan::Listen;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::UnboundedSender;

/// A message to an event loop.
pub(crate) enum Post {
    Lane {
        lane: Arc<Lane>,
        bell: OwnedFd,
    },
    /// This worker ended just as a call of this loop was given to it.
    LaneLost(u32),
    /// This worker has ended, or begins nothing more.
    Gone(u32),
    /// A call of this loop goes to no worker, for this reason.
    Refused(u64, Fault),
    /// What came as the file of this call's answer.
    File(u64, SentFile),
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

/// How anything reaches the event loops.
#[derive(Clone)]
pub(crate) struct Posts {
    loops: Arc<[UnboundedSender<Post>]>,
    turn: Arc<AtomicUsize>,
}

impl Posts {
    pub(crate) fn new(loops: Vec<UnboundedSender<Post>>) -> Self {
        Posts { loops: loops.into(), turn: Arc::default() }
    }

    /// Sends the first message to the first loop, the second to the second, and so on. A loop that
    /// has ended does not hear it.
    pub(crate) fn to_all(&self, messages: impl Iterator<Item = Post>) {
        for (post, message) in self.loops.iter().zip(messages) {
            let _ = post.send(message);
        }
    }

    /// Has the loop that owns a ticket look again for calls on a lane that ended.
    pub(crate) fn lane_lost(&self, ticket: u64, worker: u32) {
        if let Some(owner) = self.loops.get(Calls::thread_of(ticket)) {
            let _ = owner.send(Post::LaneLost(worker));
        }
    }

    /// Tells all loops that a worker has ended, or begins nothing more.
    pub(crate) fn gone(&self, worker: u32) {
        self.to_all(std::iter::repeat_with(|| Post::Gone(worker)));
    }

    /// Tells a loop that its last connection has ended.
    pub(crate) fn emptied(&self, thread: u16) {
        if let Some(owner) = self.loops.get(usize::from(thread)) {
            let _ = owner.send(Post::Emptied);
        }
    }

    /// Tells a loop that its time is over.
    pub(crate) fn cut(&self, thread: u16) {
        if let Some(owner) = self.loops.get(usize::from(thread)) {
            let _ = owner.send(Post::Cut);
        }
    }

    /// Tells the loop that owns a ticket that its request cannot be sent.
    pub(crate) fn refuse(&self, ticket: u64, fault: Fault) {
        if let Some(owner) = self.loops.get(Calls::thread_of(ticket)) {
            let _ = owner.send(Post::Refused(ticket, fault));
        }
    }

    /// Gives the loop that owns a ticket the file of its answer.
    pub(crate) fn file(&self, ticket: u64, file: SentFile) {
        if let Some(owner) = self.loops.get(Calls::thread_of(ticket)) {
            let _ = owner.send(Post::File(ticket, file));
        }
    }

    /// Gives a connection to the next loop in turn.
    pub(crate) fn deal(&self, at: &Arc<Listen>, accepted: Accepted) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.loops.len();
        let _ = self.loops[turn].send(Post::Connection(at.clone(), accepted));
    }
}
