//! In:     an exchange for an application; lanes to its workers.
//! Out:    the application's answer, or the fault that stands for it.
//! Actors: the task of the request; the event loop, which takes answers whenever it has nothing else to do.
//! Never:  does a worker get a second request while its slots are taken, or a request two answers.

mod app_facts;
mod call;
mod calls;
mod dispatcher;
mod frames;
mod handle;
mod inbox;
mod lane;
mod outbounds;
mod parcel;
mod sent_files;
mod siblings;
mod state;
#[cfg(test)]
mod tests;
mod ticket;

pub(crate) use calls::ResponseStream;
pub(crate) use dispatcher::AppDesk;
pub(crate) use handle::{Destination, fetch};
pub(crate) use inbox::{after_sleep, before_sleep, end_stuck, hear, serve_hooks};
pub(crate) use lane::Lane;
pub(crate) use outbounds::Worker;
pub(crate) use sent_files::close_apart;
pub(crate) use siblings::{AppMessage, Siblings};
pub(crate) use state::AppState;
