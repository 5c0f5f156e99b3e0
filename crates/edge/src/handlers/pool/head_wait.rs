//! In:     a request on its way to a server.
//! Out:    the head of the answer that counts; those before it, with the client.
//! Actors: the task of the request, which gives the server the client's body meanwhile.
//! Never:  does a client that leaves keep a server at work, or a server that is silent a client.

use crate::handlers::pool::protocol::Flight;
use hallway_core::Fault;
use hallway_core::http1::{Asked, ServerAnswer};
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::runtime::deadline::{Deadline, SWEEP};
use hallway_net::runtime::event_loop::EventLoop;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// For a server to say whether it wants a body, before it is sent all the same (RFC 9110, 10.1.1).
const WORD_MS: u64 = 1_000;
const FOR_EVER_MS: u64 = u64::MAX / 4;

/// Waiting for a head.
pub(super) struct HeadWait<'a> {
    pub(super) event_loop: &'a EventLoop,
    /// So long the server may be silent.
    pub(super) timeout_ms: u64,
}

impl HeadWait<'_> {
    /// Passes on an answer that another one follows. What the server says meanwhile is heard: the head that counts, where
    /// it comes; heads without end are a fault.
    async fn inform<W: Wire>(
        &self,
        exchange: &mut Exchange<'_, W>,
        flight: &mut Flight,
        (status, answer): (u16, &ServerAnswer),
        asked: Asked,
    ) -> Result<Option<ServerAnswer>, Broken> {
        let event_loop = self.event_loop;
        let tools = (&event_loop.clock, &event_loop.buffers);
        let mut informing = pin!(exchange.wire.inform(status, &answer.head.fields));
        let mut last = None;
        poll_fn(|task| {
            while last.is_none() {
                match flight.poll_head(tools, asked, task) {
                    Poll::Ready(Ok(next)) if next.head.status < 200 && next.head.status != 101 => {}
                    Poll::Ready(next) => last = Some(next.map_err(Broken::by_server)),
                    Poll::Pending => break,
                }
            }
            informing.as_mut().poll(task)
        })
        .await
        .map_err(Broken::by_client)?;
        last.transpose()
    }

    /// Waits for the head of an answer, while the client does; gives the server the client's body meanwhile.
    pub(super) async fn end<W: Wire>(
        &self,
        exchange: &mut Exchange<'_, W>,
        flight: &mut Flight,
        asked: Asked,
        deadline: &Deadline,
    ) -> Result<ServerAnswer, Broken> {
        let HeadWait { event_loop, timeout_ms } = *self;
        let mut piece = Vec::new();
        loop {
            let waits_for_word = flight.outgoing().waits_for_word();
            let patience_ms = if waits_for_word { WORD_MS } else { timeout_ms };
            // While the client's body is waited for, the client has the time.
            let is_clients_turn = flight.outgoing().wants() && flight.outgoing().is_drained();
            let patience_ms = if is_clients_turn { FOR_EVER_MS } else { patience_ms };
            let due_ms = flight.moved_ms() + patience_ms + SWEEP.as_millis() as u64;
            let step = if flight.outgoing().wants() {
                let mut reading = pin!(exchange.wire.read_body(&mut piece));
                let next =
                    poll_fn(|task| match flight.poll_head((&event_loop.clock, &event_loop.buffers), asked, task) {
                        Poll::Ready(answer) => Poll::Ready(Step::Answer(answer)),
                        Poll::Pending => reading.as_mut().poll(task).map(Step::Body),
                    });
                deadline.until(due_ms, next).await
            } else {
                let mut gone = pin!(exchange.wire.gone());
                let next =
                    poll_fn(|task| match flight.poll_head((&event_loop.clock, &event_loop.buffers), asked, task) {
                        Poll::Ready(answer) => Poll::Ready(Step::Answer(answer)),
                        // There is room for more of the body now.
                        Poll::Pending if flight.outgoing().wants() => Poll::Ready(Step::Again),
                        Poll::Pending => gone.as_mut().poll(task).map(|()| Step::Gone),
                    });
                deadline.until(due_ms, next).await
            };
            match step {
                Ok(Step::Answer(answer)) => {
                    let answer = answer.map_err(Broken::by_server)?;
                    match answer.head.status {
                        101 | 200.. => return Ok(answer),
                        100 => {}
                        status => {
                            let informed = self.inform(exchange, flight, (status, &answer), asked).await?;
                            if let Some(answer) = informed {
                                return Ok(answer);
                            }
                        }
                    }
                }
                Ok(Step::Body(more)) => {
                    let has_ended = !more.map_err(Broken::by_client)?;
                    let end = has_ended.then(|| exchange.wire.trailers());
                    flight.outgoing().feed(&piece, end);
                    flight.note_moved(event_loop.clock.coarse_ms());
                    piece.clear();
                }
                Ok(Step::Again) => {}
                Ok(Step::Gone) => return Err(Broken::by_client(Fault::ClientGone)),
                Err(_) if waits_for_word => {
                    flight.outgoing().go_on();
                    flight.note_moved(event_loop.clock.coarse_ms());
                }
                // Something moved meanwhile.
                Err(_) if flight.moved_ms() + timeout_ms > event_loop.clock.coarse_ms() => {}
                Err(_) => return Err(Broken::by_server(Fault::ServerTimeout)),
            }
        }
    }
}

enum Step {
    Answer(Result<ServerAnswer, Fault>),
    Body(Result<bool, Fault>),
    Again,
    Gone,
}

/// Why no answer came, and whether the client is to blame.
pub(super) struct Broken {
    pub(super) fault: Fault,
    pub(super) is_clients: bool,
}

impl Broken {
    fn by_client(fault: Fault) -> Broken {
        Broken { fault, is_clients: true }
    }

    fn by_server(fault: Fault) -> Broken {
        Broken { fault, is_clients: false }
    }
}
