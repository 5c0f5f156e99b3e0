//! In:     an exchange for an application; lanes to its workers.
//! Out:    the application's answer, or the fault that stands for it.
//! Actors: the task of the request; the event loop, which takes answers whenever it has nothing else to do.
//! Never:  does a worker get a second request while its slots are taken, or a request two answers.

mod call;
mod calls;
mod desk;
mod fetch;
mod frames;
mod inbound;
mod open_call;
pub(crate) mod outbound;
mod parcel;
mod sent_files;

pub(crate) use calls::{Calls, end_stuck};
pub(crate) use desk::AppDesk;
pub(crate) use fetch::{Destination, fetch};
pub(crate) use inbound::Lane;
pub(crate) use open_call::AnswerStream;
pub(crate) use outbound::Outbounds;
pub(crate) use outbound::end_with_file;
pub(crate) use sent_files::{SentFile, close_apart};
