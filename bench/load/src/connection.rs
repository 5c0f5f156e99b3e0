//! In:     the bytes of a request; a server that may close whenever it says so.
//! Out:    the server's answer, verified, or whose fault it was that there is none.
//! Actors: the kernel's TCP.
//! Never:  is a request sent twice: one that got no answer is an error, as it is for a browser's POST.

use crate::answer::AnswerReader;
use crate::check::Check;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

/// Why a request has no right answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection, or it ended before the answer did.
    Connection(String),
    /// An answer came, and it is not the one that must come.
    Wrong(String),
}

/// Whether a request needed a new connection in place of one that the server had closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Kept,
    Reconnected,
}

/// One place for a connection; at most one request is in flight on it. It is opened when the first
/// request needs it, so that no server waits for the first word of an idle one.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    opened_before: bool,
    reader: AnswerReader,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr, bodiless: bool) -> Self {
        Self { address, stream: None, opened_before: false, reader: AnswerReader::new(bodiless) }
    }

    /// Sends the request and verifies its answer.
    pub(crate) async fn exchange(&mut self, wire: &[u8], check: &RefCell<Check>) -> Result<Reach, Fault> {
        let (mut stream, reach) = self.take_stream().await?;
        self.reader.clear();
        let closes = converse(&mut stream, wire, &mut self.reader, check).await?;
        if !closes {
            self.stream = Some(stream);
        }
        Ok(reach)
    }

    /// The open connection when the server has not closed it meanwhile; else a new one. After a fault
    /// no stream is kept, so the next request begins with a new one.
    async fn take_stream(&mut self) -> Result<(TcpStream, Reach), Fault> {
        if let Some(stream) = self.stream.take() {
            match stream.try_read(&mut [0; 1]) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok((stream, Reach::Kept)),
                Ok(1..) => return Err(Fault::Wrong("bytes came that no request asked for".into())),
                Ok(0) | Err(_) => {}
            }
        }
        let stream = TcpStream::connect(self.address).await.map_err(|fault| lost("connect", &fault))?;
        stream.set_nodelay(true).map_err(|fault| lost("connect", &fault))?;
        let reach = if self.opened_before { Reach::Reconnected } else { Reach::Kept };
        self.opened_before = true;
        Ok((stream, reach))
    }
}

/// Writes and reads at the same time once the request does not fit into the socket at once: a server
/// that echoes while it reads would wait for us otherwise, and we for it. Says whether the server closes.
async fn converse(
    stream: &mut TcpStream,
    wire: &[u8],
    reader: &mut AnswerReader,
    check: &RefCell<Check>,
) -> Result<bool, Fault> {
    let sent = match stream.try_write(wire) {
        Ok(sent) => sent,
        Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => 0,
        Err(fault) => return Err(lost("send", &fault)),
    };
    let (mut read_half, mut write_half) = stream.split();
    if sent == wire.len() {
        return hear(&mut read_half, reader, check).await;
    }
    let rest = async { write_half.write_all(&wire[sent..]).await.map_err(|fault| lost("send", &fault)) };
    let ((), closes) = tokio::try_join!(rest, hear(&mut read_half, reader, check))?;
    Ok(closes)
}

async fn hear(stream: &mut ReadHalf<'_>, reader: &mut AnswerReader, check: &RefCell<Check>) -> Result<bool, Fault> {
    loop {
        let read = stream.read_buf(reader.room()).await.map_err(|fault| lost("read", &fault))?;
        if let Some(answer) = reader.read(read == 0).map_err(Fault::Wrong)? {
            check.borrow_mut().verify(answer.status, answer.body).map_err(Fault::Wrong)?;
            return Ok(answer.closes);
        }
        if read == 0 {
            return Err(Fault::Connection("the server closed before the answer was whole".into()));
        }
    }
}

fn lost(deed: &str, fault: &io::Error) -> Fault {
    Fault::Connection(format!("{deed}: {fault}"))
}
