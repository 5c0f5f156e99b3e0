//! What engines serve.
//!
//! In:     exchanges, from an engine of any protocol.
//! Out:    the same, answered.
//! Actors: the task of the request.
//! Never:  shows an engine what answers: a plan, a route, an app.

use crate::http::exchange::{Exchange, Wire};
use crate::tls::server::Tls;
use hallway_core::Fault;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Whoever answers the requests of one event loop.
pub trait Service: 'static {
    /// Whether this peer is believed when it says for whom it speaks (the PROXY protocol).
    fn believes(&self, peer: Option<IpAddr>) -> bool;

    /// How connections are encrypted that come now.
    fn tls(&self) -> Arc<Tls>;

    /// Answers a request.
    async fn serve<W: Wire>(self: &Rc<Self>, exchange: Exchange<'_, W>);

    /// Answers a request whose head could not be read, and why.
    async fn refuse<W: Wire>(self: &Rc<Self>, exchange: Exchange<'_, W>, fault: Fault);

    /// Notes a request that was none, and gets no answer.
    fn note_malformed<W: Wire>(self: &Rc<Self>, exchange: &Exchange<'_, W>);
}
