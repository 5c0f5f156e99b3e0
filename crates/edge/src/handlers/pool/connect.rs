//! In:     a server.
//! Out:    a connection to it: a new one, or one that has served others.
//! Actors: the task of the request.
//! Never:  does an encrypted connection lead to somebody who could not show that it is the one that was meant.

use crate::handlers::pool::server::{Address, Server};
use hallway_core::Fault;
use hallway_core::plan::Pool;
use hallway_net::runtime::deadline::{Deadline, SWEEP};
use hallway_net::runtime::event_loop::EventLoop;
use hallway_net::socket::stream::{Socket, Stream};
use hallway_net::tls::client::is_authority;
use rustix::io::Errno;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, TlsStream};

/// What a server does that was taken for another kind of server.
pub(super) const AT_ONCE: &str =
    "it ended the connection without a word, and has never answered: does it speak https://, fastcgi:// or uwsgi://?";

/// A connection to a server.
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// Whether requests were sent by it before.
    pub(super) is_reused: bool,
    /// Whether its last answer was a long one, as the next may be.
    pub(super) answers_long: bool,
    born_ms: u64,
    /// Until when it may wait for a next request.
    until_ms: u64,
}

impl Connection {
    /// One that is not kept for others.
    pub(super) fn of(stream: Stream, now_ms: u64) -> Connection {
        Connection { stream, is_reused: false, answers_long: false, born_ms: now_ms, until_ms: u64::MAX }
    }

    /// It waits from now on.
    pub(super) fn rest(&mut self, now_ms: u64, idle_ms: u64) {
        self.until_ms = now_ms + idle_ms;
    }

    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        now_ms > self.until_ms
    }

    pub(super) fn is_young(&self, pool: &Pool, now_ms: u64) -> bool {
        !self.is_over(now_ms) && now_ms < self.born_ms + pool.keep_age_ms
    }

    /// Whether nothing has come since its last answer: neither its end nor what nobody asked for. Where the kernel has
    /// told nothing so far it is not asked.
    pub(super) fn is_quiet(&mut self) -> bool {
        let is_silent = self.stream.poll_readable(&mut Context::from_waker(Waker::noop())).is_pending();
        is_silent || self.is_surely_quiet()
    }

    /// The same, and the kernel is asked.
    pub(super) fn is_surely_quiet(&mut self) -> bool {
        let mut byte = [0];
        pin!(self.stream.read(&mut byte)).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }
}

/// A new connection.
///
/// # Errors
/// 502 or 504, and why, for the log.
pub(super) async fn connect(
    event_loop: &EventLoop,
    server: &Server,
    pool: &Pool,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Connection, (Fault, String)> {
    let deadline = Deadline::new(&event_loop.deadlines);
    let due_ms = event_loop.clock.coarse_ms() + pool.connect_timeout_ms + SWEEP.as_millis() as u64;
    let connected = async {
        let socket = open(&server.identity.address).await.map_err(|error| (fault_of(&error), plain(&error)))?;
        match tls {
            None => Ok(Stream::Plain(socket)),
            Some(config) => {
                let encrypted = encrypt(server, pool, config, socket).await;
                encrypted.map_err(|error| (tls_fault(&error), explain(&error, pool)))
            }
        }
    };
    let stream = match deadline.until(due_ms, connected).await {
        Ok(connected) => connected?,
        Err(_) => {
            return Err((
                Fault::ConnectTimeout,
                format!("not connected within {} s", pool.connect_timeout_ms as f64 / 1000.0),
            ));
        }
    };
    Ok(Connection::of(stream, event_loop.clock.coarse_ms()))
}

/// What the system says, without the number that says it to programs.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(said, _)| said.into())
}

fn tls_fault(error: &io::Error) -> Fault {
    let why = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match why {
        Some(rustls::Error::InvalidCertificate(_)) => Fault::ServerCertificate,
        _ => Fault::ServerTls,
    }
}

/// Why a connection could not be encrypted, and the mend.
fn explain(error: &io::Error, pool: &Pool) -> String {
    let Some(why) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return plain(error);
    };
    let (what, mend) = match why {
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })
            if presented.is_empty() =>
        {
            let mend = "have one made with it (openssl req -x509 -addext subjectAltName=DNS:NAME)";
            return format!("its certificate has no subjectAltName; {mend}, or write tls = {{ verify = false }}");
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            ("nobody who is trusted has signed its certificate", "ca = \"authority.pem\"")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => ("its certificate is not valid for this name", "name = \"the.name.in.it\""),
        why if is_authority(why) => ("it has signed its certificate itself", "ca = \"that-certificate.pem\""),
        rustls::Error::InvalidMessage(_) => return "it does not speak TLS; write http:// in its URL".into(),
        _ => return error.to_string(),
    };
    format!("{what}; write tls = {{ {mend} }} in [pool.{}]", pool.name)
}

/// What a failed connect means: out of descriptors or ports, the server is not to blame.
fn fault_of(error: &io::Error) -> Fault {
    let own = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOMEM, Errno::NOBUFS];
    match Errno::from_io_error(error) {
        Some(errno) if own.contains(&errno) => Fault::Busy,
        _ => Fault::Unreachable,
    }
}

async fn open(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            // Requests are written whole; waiting for more to send would only delay them.
            stream.set_nodelay(true)?;
            Ok(Socket::Tcp(stream))
        }
        Address::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path).await?.into())),
        Address::Pool(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn encrypt(server: &Server, pool: &Pool, config: &Arc<ClientConfig>, socket: Socket) -> io::Result<Stream> {
    let name = pool.tls.name.as_deref().unwrap_or(&server.identity.host).trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let stream = TlsConnector::from(config.clone()).connect(name, socket).await?;
    Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
}
