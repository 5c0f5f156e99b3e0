//! In:     a server, a request.
//! Out:    the head of its answer; or why there is none, and whether the server may have acted on the request.
//! Actors: the task of the request.
//! Never:  does a client that leaves keep a server at work.

use crate::handlers::pool::body::{Running, Stream, tell_complaints};
use crate::handlers::pool::connect::{AT_ONCE, Connection, connect};
use crate::handlers::pool::connections::Upstreams;
use crate::handlers::pool::head_wait::{Broken, HeadWait};
use crate::handlers::pool::lease::Held;
use crate::handlers::pool::outgoing::{Coding, Outgoing};
use crate::handlers::pool::pools::Pools;
use crate::handlers::pool::protocol::{Flight, OnConnection, OnStream, Speech, converse};
use crate::handlers::pool::response::{AsItCame, Destination, Fetched, Tunnel};
use crate::handlers::pool::script;
use crate::handlers::pool::trailing::Trailing;
use crate::request::context::RequestContext;
use hallway_core::decimal::digits;
use hallway_core::fields::{Name, list_members};
use hallway_core::gateway::{Gateway, Named, put_begin, put_uwsgi};
use hallway_core::head::Framing;
use hallway_core::http1::{Asked, Onward, ServerAnswer, path_behind, put_request_head};
use hallway_core::http2::put_path;
use hallway_core::plan::{Pool, Protocol};
use hallway_core::semantics::{AnswerHead, ForwardedFacts};
use hallway_core::{Fault, Head};
use hallway_net::body::replay::Whole;
use hallway_net::http::exchange::{Exchange, Wire};
use hallway_net::runtime::deadline::{Deadline, SWEEP};
use http::{HeaderName, HeaderValue};
use rustls::ClientConfig;
use std::rc::Rc;
use std::sync::Arc;

/// One try of a request.
pub(super) struct Attempt<'a> {
    pub(super) upstreams: &'a Rc<Upstreams>,
    pub(super) pools: &'a Pools,
    pub(super) context: &'a RequestContext,
    pub(super) to: Destination<'a>,
    /// The pool of the server, which may stand in another one.
    pub(super) pool: &'a Arc<Pool>,
    pub(super) body: Option<&'a Whole>,
    pub(super) begun_us: u64,
}

/// What came of it.
pub(super) struct Sent(pub(super) Fetched);

/// Why nothing came of it.
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// What the system or the protocol said; empty where the fault says it.
    pub(super) why: String,
    /// Whether the server may have acted on it.
    pub(super) was_sent: bool,
    /// Whether it was the client who broke off.
    pub(super) is_clients: bool,
    /// Whether anything of the client's body went with it, which cannot be had again.
    pub(super) has_taken: bool,
    /// Whether it is hallway's own word: no server has it, or would have another.
    pub(super) is_ours: bool,
    /// The server, where only its connection was too old.
    pub(super) stale: Option<Held>,
}

impl Failed {
    fn unsent(fault: Fault) -> Failed {
        let (why, stale) = (String::new(), None);
        Failed { fault, why, was_sent: false, is_clients: false, has_taken: false, is_ours: false, stale }
    }

    fn by_us(fault: Fault) -> Failed {
        Failed { is_ours: true, ..Failed::unsent(fault) }
    }
}

impl Attempt<'_> {
    /// Sends the request and waits for the head of its answer. With `is_repeated` no old connection is used.
    pub(super) async fn make<W: Wire>(
        &self,
        exchange: &mut Exchange<'_, W>,
        held: Held,
        is_repeated: bool,
    ) -> Result<Sent, Failed> {
        let Attempt { upstreams, pool, .. } = *self;
        let (head, now_ms) = (exchange.head, upstreams.event_loop.clock.coarse_ms());
        let speaks_http = matches!(held.server.identity.protocol, Protocol::Http | Protocol::Https);
        let upgrades = speaks_http && head.wants_upgrade() && exchange.wire.can_upgrade();
        let mut flight = match held.server.identity.protocol {
            Protocol::H2 | Protocol::H2c => Box::pin(self.begin_stream(exchange, &held)).await?,
            _ => self.begin(exchange, &held, (upgrades, is_repeated)).await?,
        };
        let echoes_version = held.server.identity.protocol == Protocol::Uwsgi;
        let asked = Asked { is_head: head.is_head(), upgrades, echoes_version };
        let deadline = Deadline::new(&upstreams.event_loop.deadlines);
        let wait = HeadWait {
            event_loop: &upstreams.event_loop,
            timeout_ms: self.to.timeout_ms.unwrap_or(pool.answer_timeout_ms),
        };
        match wait.end(exchange, &mut flight, asked, &deadline).await {
            Ok(answer) if answer.head.status == 101 && !was_offered(head, &answer.head) => {
                let fault = Fault::BadAnswer("The server changed to a protocol that was not offered.");
                held.server.note_failure(pool, (fault, fault.detail()), upstreams.event_loop.clock.coarse_ms());
                Err(Failed { was_sent: true, has_taken: true, ..Failed::unsent(fault) })
            }
            Ok(answer) => {
                tell_complaints(upstreams, pool, &held, &mut flight);
                let took_us = upstreams.event_loop.clock.now_us().saturating_sub(self.begun_us);
                held.server.note_answer(pool, (answer.head.status, took_us), now_ms);
                Ok(Sent(self.go_on(answer, flight, held, deadline)))
            }
            Err(Broken { fault, is_clients: true }) => {
                Err(Failed { was_sent: true, is_clients: true, has_taken: true, ..Failed::unsent(fault) })
            }
            Err(Broken { fault, .. }) => {
                let has_taken = flight.outgoing().was_fed();
                if fault == Fault::ServerTimeout {
                    flight.note_deaf();
                }
                let was_refused = flight.was_refused();
                let is_stale = flight.may_be_stale() && fault == Fault::ServerLost;
                let is_stale = is_stale && (was_refused || head.is_idempotent());
                let can_repeat = head.framing == Framing::None || self.body.is_some();
                let why = match (fault, flight.foul_line()) {
                    (Fault::ServerLost, _) if speaks_http && !held.server.has_ever_answered() => AT_ONCE.into(),
                    (_, Some(line)) => format!("{}: {line}", fault.detail().trim_end_matches('.')),
                    _ => String::new(),
                };
                let failed = Failed { why, was_sent: !was_refused, has_taken, ..Failed::unsent(fault) };
                if is_stale && can_repeat && !is_repeated {
                    return Err(Failed { stale: Some(held), ..failed });
                }
                held.server.note_failure(pool, (fault, fault.detail()), upstreams.event_loop.clock.coarse_ms());
                Err(failed)
            }
        }
    }

    /// On a connection of its own.
    async fn begin<W: Wire>(
        &self,
        exchange: &Exchange<'_, W>,
        held: &Held,
        (upgrades, is_repeated): (bool, bool),
    ) -> Result<Flight, Failed> {
        let Attempt { upstreams, pool, .. } = *self;
        let now_ms = upstreams.event_loop.clock.coarse_ms();
        // Nobody is asked where this is no request for such a server.
        let named = match held.server.identity.protocol {
            Protocol::FastCgi => Box::pin(self.script(exchange.head)).await.map_err(Failed::by_us)?,
            _ => None,
        };
        let outgoing = self.outgoing(exchange, (held, upgrades), named.as_ref());
        let (speech, outgoing) = outgoing.map_err(Failed::by_us)?;
        let is_safe = exchange.head.is_idempotent();
        let idle = if is_repeated { None } else { upstreams.take(held.server.number, pool, now_ms) };
        // What may not be sent twice does not go by a connection that could be ending just now.
        let idle = idle.filter(|_| !upgrades).and_then(|mut idle| (is_safe || idle.is_surely_quiet()).then_some(idle));
        let connection = match idle {
            Some(connection) => connection,
            None => Box::pin(self.connect(held)).await?,
        };
        Ok(Flight::OnConnection(OnConnection::new(connection, speech, outgoing, now_ms)))
    }

    /// The script that is to run, for a server that runs them by their names.
    async fn script(&self, head: &Head) -> Result<Option<Named>, Fault> {
        let script = &self.pool.script;
        if script.root.is_empty() {
            return Ok(None);
        }
        let named = script::find(&self.upstreams.event_loop, script, path_behind(head, self.to.prefix_bytes)).await?;
        named.map(Some).ok_or(Fault::NotFound)
    }

    /// A new connection.
    async fn connect(&self, held: &Held) -> Result<Connection, Failed> {
        let tls = self.tls(held);
        if tls.is_none() && held.server.identity.protocol.is_encrypted() {
            // A plan that knew this server differently: nothing is sent that others could read.
            return Err(Failed::unsent(Fault::NoServer));
        }
        let connected = connect(&self.upstreams.event_loop, &held.server, self.pool, tls).await;
        connected.map_err(|(fault, why)| self.unreachable(held, fault, &why))
    }

    fn unreachable(&self, held: &Held, fault: Fault, why: &str) -> Failed {
        let Attempt { upstreams, pool, .. } = *self;
        // What this machine has run out of is no fault of the server's.
        if fault != Fault::Busy {
            held.server.note_failure(pool, (fault, why), upstreams.event_loop.clock.coarse_ms());
        }
        Failed { why: why.into(), ..Failed::unsent(fault) }
    }

    /// On a stream of a connection that it shares with others.
    async fn begin_stream<W: Wire>(&self, exchange: &Exchange<'_, W>, held: &Held) -> Result<Flight, Failed> {
        let Attempt { upstreams, pool, .. } = *self;
        let now_ms = upstreams.event_loop.clock.coarse_ms();
        let (request, outgoing) = self.request(exchange, held).map_err(Failed::by_us)?;
        let foul = |error: String| self.unreachable(held, Fault::Unreachable, &error);
        let shared = match upstreams.shared(held.server.number, pool, now_ms) {
            Some(shared) => shared,
            None => {
                let connection = self.connect(held).await?;
                let conversing = converse(connection.stream, now_ms);
                let made = Rc::new(conversing.await.map_err(|error| foul(error.to_string()))?);
                upstreams.share(held.server.number, made.clone());
                made
            }
        };
        let deadline = Deadline::new(&upstreams.event_loop.deadlines);
        let due_ms = now_ms + pool.connect_timeout_ms + SWEEP.as_millis() as u64;
        match deadline.until(due_ms, OnStream::begin(shared.clone(), request, outgoing, now_ms)).await {
            Ok(Ok(stream)) => Ok(Flight::OnStream(Box::new(stream))),
            Ok(Err(error)) => {
                shared.is_over.set(true);
                Err(foul(error.to_string()))
            }
            Err(_) => Err(self.unreachable(held, Fault::ConnectTimeout, "no stream was to be had in time")),
        }
    }

    /// The head of a request as HTTP/2 has it, and what follows it.
    fn request<W: Wire>(
        &self,
        exchange: &Exchange<'_, W>,
        held: &Held,
    ) -> Result<(http::Request<()>, Outgoing), Fault> {
        const UNFIT: Fault = Fault::BadRequest("This request cannot go on by HTTP/2.");
        let head = exchange.head;
        let facts = self.context.forwarded(&self.upstreams.event_loop, exchange);
        let onward = Onward { is_raw: self.is_raw()?, ..self.onward((head, held), &facts, false) };
        let (mut plain, mut target) = (self.upstreams.event_loop.buffers.buffer(), Vec::new());
        onward.put_target(head, &mut plain);
        target.reserve(plain.len());
        put_path(&mut target, &plain);
        self.upstreams.event_loop.buffers.keep_buffer(plain);
        let scheme = if held.server.identity.protocol == Protocol::H2 { "https" } else { "http" };
        let authority = onward.host.map_or(head.host(), str::as_bytes);
        let uri = http::Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build();
        let mut request = http::Request::new(());
        *request.uri_mut() = uri.map_err(|_| UNFIT)?;
        *request.version_mut() = http::Version::HTTP_2;
        *request.method_mut() = http::Method::from_bytes(head.method()).map_err(|_| UNFIT)?;
        let lines = request.headers_mut();
        let mut put = |name: &[u8], value: &[u8]| {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                && name != http::header::HOST
            {
                lines.append(name, value);
            }
        };
        onward.put_lines(head, &mut put);
        if let Framing::Length(bytes) = onward.framing {
            put(b"content-length", digits(bytes, &mut [0; 20]));
        }
        if onward.expects_continue {
            put(b"expect", b"100-continue");
        }
        if head.takes_trailers() {
            put(b"te", b"trailers");
        }
        let outgoing = match self.is_fed(head) {
            true => Outgoing::fed(Vec::new(), (Coding::Frames, Some(self.trailing())), onward.expects_continue),
            false => Outgoing::new(Vec::new(), self.body, Coding::Frames),
        };
        Ok((request, outgoing))
    }

    fn trailing(&self) -> Trailing {
        Trailing::of(self.context, self.pool)
    }

    /// Whether the server is asked for the target as it came.
    fn is_raw(&self) -> Result<bool, Fault> {
        match self.to.as_it_came {
            AsItCame::Yes => Ok(self.pool.raw_path),
            AsItCame::Ambiguous if self.pool.raw_path => {
                Err(Fault::BadRequest("The path can be read in two ways: it has dot segments."))
            }
            AsItCame::No | AsItCame::Ambiguous => Ok(false),
        }
    }

    /// Whether the body goes on as it comes.
    fn is_fed(&self, head: &Head) -> bool {
        self.body.is_none() && head.framing != Framing::None
    }

    fn onward<'a>(
        &'a self,
        (head, held): (&Head, &'a Held),
        facts: &'a ForwardedFacts<'a>,
        upgrades: bool,
    ) -> Onward<'a> {
        let framing = match self.body {
            Some(Whole::Memory(bytes)) if bytes.is_empty() => Framing::None,
            Some(Whole::Memory(bytes)) => Framing::Length(bytes.len() as u64),
            Some(Whole::File { bytes, .. }) => Framing::Length(*bytes),
            None => head.framing,
        };
        Onward {
            facts,
            prefix_bytes: self.to.prefix_bytes,
            host: self.pool.host.as_deref().or(Some(held.server.host()).filter(|_| head.host().is_empty())),
            lines: &self.pool.request_lines,
            framing,
            upgrades,
            expects_continue: self.is_fed(head) && head.expects_continue,
            is_raw: false,
        }
    }

    fn tls(&self, held: &Held) -> Option<&Arc<ClientConfig>> {
        self.pools.tls(held.pool).filter(|_| held.server.identity.protocol.is_encrypted())
    }

    fn go_on(&self, answer: ServerAnswer, flight: Flight, held: Held, deadline: Deadline) -> Fetched {
        let (upstreams, pool) = (self.upstreams, self.pool.clone());
        if answer.head.status == 101 {
            let silence_ms = pool.tunnel_timeout_ms;
            return match flight.into_tunnel() {
                Some((stream, before)) => {
                    Fetched::Upgrade(answer.head, Box::new(Tunnel { _held: held, stream, before, silence_ms }))
                }
                None => Fetched::Answer(answer.head, Stream::new(None)),
            };
        }
        let mut flight = flight;
        let whole = if flight.has_sent() { flight.take_whole() } else { None };
        let running = Running { upstreams: upstreams.clone(), flight, held, pool, deadline };
        if let Some(piece) = whole {
            running.finish();
            return Fetched::Whole(answer.head, piece);
        }
        if running.flight.has_ended() && running.flight.has_sent() {
            running.finish();
            return Fetched::Answer(answer.head, Stream::new(None));
        }
        Fetched::Answer(answer.head, Stream::new(Some(Box::new(running))))
    }

    /// The request as it goes to the server.
    fn outgoing<W: Wire>(
        &self,
        exchange: &Exchange<'_, W>,
        (held, upgrades): (&Held, bool),
        named: Option<&Named>,
    ) -> Result<(Speech, Outgoing), Fault> {
        let head = exchange.head;
        let facts = self.context.forwarded(&self.upstreams.event_loop, exchange);
        let onward = Onward { is_raw: self.is_raw()?, ..self.onward((head, held), &facts, upgrades) };
        let mut out = self.upstreams.event_loop.buffers.buffer();
        let gateway = Gateway { onward: &onward, script: named.map(|named| (&self.pool.script, named)) };
        let (speech, coding) = match held.server.identity.protocol {
            Protocol::FastCgi => {
                put_begin(&mut out, head, gateway);
                (Speech::FastCgi(Box::default()), Coding::FastCgi)
            }
            Protocol::Uwsgi => {
                put_uwsgi(&mut out, head, gateway)?;
                (Speech::Http1 { keeps: false }, Coding::Plain)
            }
            _ => {
                put_request_head(&mut out, head, &onward);
                let coding = if onward.framing == Framing::Chunked { Coding::Chunked } else { Coding::Plain };
                (Speech::Http1 { keeps: true }, coding)
            }
        };
        let outgoing = if self.is_fed(head) {
            Outgoing::fed(out, (coding, Some(self.trailing())), onward.expects_continue)
        } else {
            Outgoing::new(out, self.body, coding)
        };
        Ok((speech, outgoing))
    }
}

/// Whether a protocol is one of those that the client offered (RFC 9110, 7.8).
fn was_offered(head: &Head, answer: &AnswerHead) -> bool {
    let chosen = answer.fields.get(Name::Upgrade).unwrap_or_default();
    let mut offers = head.fields.iter().filter(|field| field.name == Name::Upgrade);
    offers.any(|field| list_members(field.value).any(|one| one.eq_ignore_ascii_case(chosen)))
}
