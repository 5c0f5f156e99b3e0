//! Requests that hallway makes by itself, on behalf of one that it serves.
//!
//! In:     the request, the head of another one: a copy, a part of an answer, the question whether it may pass.
//! Out:    what that is answered, by the same stops.
//! Actors: the task that asks.
//! Never:  does anything of its answer reach a client but through who asked; or may it do more than the client may.

use crate::handlers::pool::Fetched;
use crate::handlers::{app, pool};
use crate::journey::dispatch::dispatch;
use crate::journey::response::{Answer, Source};
use crate::journey::state::Course;
use crate::request::context::RequestContext;
use hallway_core::fields::Fields;
use hallway_core::http1::AnswerBody;
use hallway_core::plan::Target;
use hallway_core::route::Matched;
use hallway_core::semantics::AnswerHead;
use hallway_core::{Fault, Head};
use hallway_net::body::piece::Piece;
use hallway_net::body::replay::Whole;
use hallway_net::http::exchange::{Arrival, Exchange, Wire};
use hallway_net::socket::stream::Stream;

/// One request of hallway's own.
pub(crate) struct Ask<'a> {
    pub(crate) head: &'a Head,
    pub(crate) arrival: &'a Arrival,
    pub(crate) context: RequestContext,
    pub(crate) body: Option<Whole>,
}

/// Who is asked.
pub(crate) enum To<'a> {
    /// Whoever answers on a route.
    Route(&'a Matched<'a, 'a>, &'a Target),
    /// An app.
    App(app::Destination<'a>),
    /// A server of a pool.
    Pool(pool::Destination<'a>),
}

impl<'a> Ask<'a> {
    /// One of the same client and site, with the same id.
    pub(crate) fn new<W>(
        course: Course<'_>,
        (exchange, context): (&Exchange<'a, W>, &RequestContext),
        head: &'a Head,
    ) -> Ask<'a> {
        let context = context.copied(&course.state.event_loop);
        Ask { head, arrival: exchange.arrival, context, body: None }
    }

    /// Asks; the answer as its head comes. What few requests need is not kept by the others.
    ///
    /// # Errors
    /// Those of whoever is asked.
    pub(crate) async fn answer(&mut self, Course { state, rules }: Course<'_>, to: To<'_>) -> Result<Answer, Fault> {
        let mut wire = Detached::new(self.body.clone());
        let mut exchange = Exchange { head: self.head, arrival: self.arrival, wire: &mut wire };
        let (exchange, context) = (&mut exchange, &mut self.context);
        match to {
            To::Route(matched, target) => {
                Box::pin(dispatch(Course { state, rules }, exchange, context, (matched, target))).await
            }
            To::App(to) => {
                let (head, stream) = Box::pin(app::fetch(&state.apps, exchange, context, to)).await?;
                Ok(Answer { head, body: Source::Lane(stream).into() })
            }
            To::Pool(to) => match Box::pin(pool::fetch((&state.upstreams, &rules.pools), exchange, context, to)).await?
            {
                Fetched::Answer(head, stream) => Ok(Answer { head, body: Source::Upstream(Box::new(stream)).into() }),
                Fetched::Whole(head, piece) => Ok(Answer { head, body: Source::Whole(piece).into() }),
                Fetched::Upgrade(..) => Err(Fault::BadAnswer("The server changed to another protocol unasked.")),
            },
        }
    }
}

/// The way of a request without a client.
pub(crate) struct Detached {
    body: Option<Whole>,
    at: u64,
}

impl Detached {
    pub(crate) fn new(body: Option<Whole>) -> Detached {
        Detached { body, at: 0 }
    }
}

impl Wire for Detached {
    async fn read_body(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(body) = &self.body else { return Ok(false) };
        let read = body.read(self.at, into).await?;
        self.at += read;
        Ok(read > 0)
    }

    async fn gone(&mut self) {
        std::future::pending().await
    }

    async fn inform(&mut self, _status: u16, _fields: &Fields) -> Result<(), Fault> {
        Ok(())
    }

    fn trail(&mut self, _trailers: Fields) {}

    fn begin(&mut self, _answer: &AnswerHead, _body: AnswerBody) {}

    async fn send(&mut self, _piece: &Piece, _last: bool) -> Result<(), Fault> {
        Ok(())
    }
}

/// The way of a request whose body was read before.
pub(crate) struct Replayed<'w, W> {
    wire: &'w mut W,
    body: Detached,
}

impl<'w, W> Replayed<'w, W> {
    pub(crate) fn new(wire: &'w mut W, body: Option<Whole>) -> Replayed<'w, W> {
        Replayed { wire, body: Detached::new(body) }
    }
}

impl<W: Wire> Wire for Replayed<'_, W> {
    async fn read_body(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault> {
        self.body.read_body(into).await
    }

    fn trailers(&mut self) -> Fields {
        self.wire.trailers()
    }

    async fn gone(&mut self) {
        self.wire.gone().await;
    }

    async fn inform(&mut self, status: u16, fields: &Fields) -> Result<(), Fault> {
        self.wire.inform(status, fields).await
    }

    fn can_upgrade(&self) -> bool {
        self.wire.can_upgrade()
    }

    async fn tunnel(&mut self, server: &mut Stream, before: Vec<u8>, silence_ms: u64) {
        self.wire.tunnel(server, before, silence_ms).await;
    }

    fn trail(&mut self, trailers: Fields) {
        self.wire.trail(trailers);
    }

    fn begin(&mut self, answer: &AnswerHead, body: AnswerBody) {
        self.wire.begin(answer, body);
    }

    async fn send(&mut self, piece: &Piece, last: bool) -> Result<(), Fault> {
        self.wire.send(piece, last).await
    }
}
