//! In:     a request that has no client of its own: a copy, or a part of another one.
//! Out:    the way for it through the same stops.
//! Actors: the task that asks.
//! Never:  does anything of its answer reach a client by this way.

use hallway_core::Fault;
use hallway_core::fields::Fields;
use hallway_core::http1::AnswerBody;
use hallway_core::semantics::AnswerHead;
use hallway_net::body::piece::Piece;
use hallway_net::body::replay::Whole;
use hallway_net::http::exchange::Wire;
use hallway_net::socket::stream::Stream;

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
