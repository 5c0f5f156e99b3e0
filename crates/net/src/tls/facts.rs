//! What is known of an encrypted connection.
//!
//! In:     a handshake that went well.
//! Out:    what client and server agreed on, as logs and apps are told.
//! Actors: none.
//! Never:  changes while the connection lives.

use hallway_core::semantics::ClientCertificate;
use std::rc::Rc;

/// What client and server agreed on before anything was said.
#[derive(Clone)]
pub struct TlsFacts {
    /// The name of the server that the client asked for (RFC 6066, 3).
    pub server_name: Option<Box<str>>,
    /// Whether HTTP/2 is spoken.
    pub is_http2: bool,
    /// As nginx names it.
    pub version: &'static str,
    /// As IANA names it.
    pub cipher: &'static str,
    /// Whether the client showed a certificate, which was verified.
    pub shows_certificate: bool,
    /// What is said of it.
    pub certificate: Option<Rc<ClientCertificate>>,
}
