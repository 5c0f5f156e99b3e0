//! In:     what each protocol engine can do for one request.
//! Out:    the neutral exchange in which all engines meet.
//! Actors: none.
//! Never:  does a stop of the journey see a protocol.

use crate::body::piece::Piece;
use crate::socket::listener::{Gate, LocalAddress};
use crate::socket::stream::{Peer, Stream};
use crate::tls::facts::TlsFacts;
use hallway_core::fields::Fields;
use hallway_core::http1::AnswerBody;
use hallway_core::proxy_protocol::{Behind, BehindTls};
use hallway_core::semantics::AnswerHead;
use hallway_core::{Fault, Head, record};
use std::rc::Rc;

/// What the journey asks of an engine while it carries one request.
pub trait Wire {
    /// Appends a piece of the request body to `into`; `false` once the body has ended. The first
    /// call sends `100 Continue` where the client waits for it.
    async fn read_body(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault>;

    /// Ends when the client has left. To be waited for beside an answer, after the body was read.
    async fn gone(&mut self);

    /// What stood behind the body, once that has ended.
    fn trailers(&mut self) -> Fields {
        Fields::default()
    }

    /// Sends an answer that another one follows (RFC 9110, 15.2).
    async fn inform(&mut self, status: u16, fields: &Fields) -> Result<(), Fault>;

    /// Whether the connection can change to another protocol.
    fn can_upgrade(&self) -> bool {
        false
    }

    /// Carries bytes between the client and this server until they are done, once the answer that says so was sent.
    async fn tunnel(&mut self, _server: &mut Stream, _before: Vec<u8>, _silence_ms: u64) {}

    /// What is to stand behind the body of the answer, where the client takes that.
    fn trail(&mut self, trailers: Fields);

    /// Says, as far as that goes without waiting, that there will be no answer, before its task is ended.
    fn cut(&mut self) {}

    /// Begins the answer; nothing is sent before the first `send`.
    fn begin(&mut self, answer: &AnswerHead, body: AnswerBody);

    /// Sends a piece of the body at once, and with `last` what ends it.
    async fn send(&mut self, piece: &Piece, last: bool) -> Result<(), Fault>;
}

/// One request on its way.
pub struct Exchange<'a, W> {
    /// The head of the request.
    pub head: &'a Head,
    /// The connection.
    pub arrival: &'a Arrival,
    /// The way to the client.
    pub wire: &'a mut W,
}

/// What is known of a connection before its first request.
#[derive(Clone)]
pub struct Arrival {
    /// Who is at the other end; behind the PROXY protocol, whom that named.
    pub peer: Peer,
    /// The address that it came by.
    pub gate: Rc<Gate>,
    /// What was agreed on, where it is encrypted.
    pub tls: Option<TlsFacts>,
    /// What a proxy that is believed has said by the PROXY protocol of the way to itself.
    pub reached: Option<Rc<Reached>>,
}

impl Arrival {
    /// Whether the client came encrypted: to here, or to the proxy that said so.
    pub fn is_https(&self) -> bool {
        self.tls.is_some() || self.reached.as_ref().is_some_and(|reached| reached.tls.is_some())
    }

    /// What the log tells of its encryption.
    pub fn tls_told(&self) -> Option<record::TlsFacts<'_>> {
        if let Some(tls) = &self.tls {
            return Some(record::TlsFacts {
                version: tls.version,
                cipher: tls.cipher,
                server_name: tls.server_name.as_deref().unwrap_or_default(),
                shows_certificate: tls.shows_certificate,
            });
        }
        let tls = self.reached.as_ref()?.tls.as_ref()?;
        Some(record::TlsFacts {
            version: &tls.version,
            cipher: &tls.cipher,
            server_name: &tls.server_name,
            shows_certificate: tls.shows_certificate,
        })
    }

    /// The address that the client reached.
    pub fn local(&self) -> &LocalAddress {
        self.reached.as_ref().map_or(&self.gate.local, |reached| &reached.local)
    }
}

/// The way from a client to the proxy before this server.
pub struct Reached {
    /// The address that the client reached.
    pub local: LocalAddress,
    /// What they agreed on, where it was encrypted.
    pub tls: Option<BehindTls>,
}

impl From<Behind> for Reached {
    fn from(behind: Behind) -> Reached {
        let (ip, port) = (behind.reached.ip().to_canonical(), behind.reached.port());
        Reached { local: LocalAddress { name: ip.to_string(), port }, tls: behind.tls }
    }
}
