//! In:     the call of one request.
//! Out:    the same as its request holds it: placed, waited for, given up.
//! Actors: the task of the request.
//! Never:  is a call forgotten while its worker may still send frames for it.

use super::call::Call;
use super::calls::Calls;
use crate::lane::desk::AppDesk;
use crate::lane::parcel::Parcel;
use crate::piece::Piece;
use hallway_core::Fault;
use hallway_core::semantics::AnswerHead;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// A call as its request holds it. When it is dropped before its end, the answer is dropped as it comes.
pub(crate) struct OpenCall {
    calls: Rc<Calls>,
    call: Rc<Call>,
    /// Whether it is at the desk or with a worker, so that frames for it may still come.
    is_placed: Cell<bool>,
}

impl OpenCall {
    pub(super) fn new(calls: Rc<Calls>, call: Rc<Call>) -> Self {
        OpenCall { calls, call, is_placed: Cell::new(false) }
    }

    pub(crate) fn ticket(&self) -> u64 {
        self.call.ticket()
    }

    /// Binds the parcel that carries this call.
    pub(crate) fn carry(&self, parcel: &Arc<Parcel>) {
        self.call.carry(parcel);
    }

    /// It is at the desk now.
    pub(crate) fn place(&self, desk: &AppDesk, parcel: Arc<Parcel>) -> Result<(), Fault> {
        desk.place(parcel)?;
        self.is_placed.set(true);
        Ok(())
    }

    /// Gives up while it waits; `false` when a worker has it, or is being given it.
    pub(crate) fn withdraw(&self, desk: &AppDesk) -> bool {
        let was_waiting = desk.withdraw(self.ticket());
        if was_waiting {
            self.is_placed.set(false);
        }
        was_waiting
    }

    /// Forgets what a lost worker left, before the parcel goes to another.
    pub(crate) fn start_over(&self) {
        self.call.start_over();
    }

    /// Its worker was given up.
    pub(crate) fn give_up(&self) {
        self.call.give_up();
    }

    /// Waits for the head of the answer.
    pub(crate) async fn head(&self) -> Result<AnswerHead, Fault> {
        self.call.head().await
    }

    /// Whether the whole body is here, and is shorter than this.
    pub(crate) fn ends_short_of(&self, length: u64) -> bool {
        self.call.body().ends_short_of(length)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.call.has_ended() || !self.is_placed.get() {
            self.calls.remove(&self.call);
        } else {
            self.call.body().abandon();
        }
    }
}

/// The rest of an answer's body.
pub(crate) struct AnswerStream(pub(crate) OpenCall);

impl AnswerStream {
    /// The next piece, and whether it is the last.
    pub(crate) async fn next(&mut self) -> Result<(Piece, bool), Fault> {
        self.0.call.body().piece().await
    }
}
