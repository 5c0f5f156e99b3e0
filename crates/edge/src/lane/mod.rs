//! In:     an exchange for the application; lanes to its workers.
//! Out:    the application's answer, or the fault that stands for it.
//! Actors: the task of the request; one task for each lane that reads answers.
//! Never:  does a worker get a second request while its slots are taken, or a request two answers.

mod call;
mod calls;
mod desk;
mod fetch;
mod open_call;
mod outbound;
mod overflow;
mod parcel;

pub(crate) use calls::Calls;
pub(crate) use desk::AppDesk;
pub(crate) use fetch::fetch;
pub(crate) use open_call::AnswerStream;
pub(crate) use outbound::{end_stuck, read_answers};
pub(crate) use parcel::Lane;
