//! In:     requests as bytes, exactly as they are to be sent.
//! Out:    answers, taken apart without any of hallway's own code.
//! Actors: blocking sockets of the story's thread.
//! Never:  is a request mended or repeated, as a browser's or curl's would be.

use super::stage::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header; names are compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { reader: BufReader::new(stream) }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Connection {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends what may not be wanted any more.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Reads the answer to a GET or POST.
    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// Reads the answer to a request with this method.
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let head = self.head();
        let status = head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_else(|_| panic!("no status: {head}"));
        let mut answer = Answer { status, head, body: Vec::new() };
        let has_body = method != "HEAD" && status >= 200 && status != 204 && status != 304;
        if has_body {
            if answer.header("transfer-encoding") == Some("chunked") {
                answer.body = self.chunks();
            } else if let Some(length) = answer.header("content-length") {
                answer.body = vec![0; length.parse().unwrap()];
                self.reader.read_exact(&mut answer.body).unwrap();
            } else {
                self.reader.read_to_end(&mut answer.body).unwrap();
            }
        }
        answer
    }

    /// What comes, unread.
    pub fn reader(&mut self) -> &mut impl Read {
        &mut self.reader
    }

    /// Reads a line of the wire, its end cut off.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Says that nothing more will be sent.
    pub fn shutdown(&mut self) {
        self.reader.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Leaves so that the server hears of it at once: by a reset.
    pub fn reset(self) {
        let stream = self.reader.get_ref();
        rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
    }

    /// Whether the server has closed, kindly or not; waits for it.
    pub fn is_closed(&mut self) -> bool {
        match self.reader.read(&mut [0; 1]) {
            Ok(bytes) => bytes == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Reads one chunk of a chunked body; empty for the last.
    /// The first chunk of an answer, behind its head.
    pub fn chunk_after_head(&mut self) -> Vec<u8> {
        self.head();
        self.chunk()
    }

    pub fn chunk(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(&self.line(), 16).unwrap();
        let mut chunk = vec![0; size];
        self.reader.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line(), "");
        chunk
    }

    /// Reads a head up to its empty line.
    pub fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.reader.read_line(&mut head).unwrap() > 0, "the connection ended within a head: {head:?}");
        }
        head.trim_end().to_owned()
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                return body;
            }
            body.extend(chunk);
        }
    }
}

/// One GET on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, "")
}

/// One request without a body on a connection of its own; `fields` are lines with their CRLF.
pub fn request(address: SocketAddr, method: &str, path: &str, fields: &str) -> Answer {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: story\r\n{fields}Connection: close\r\n\r\n");
    Connection::open(address).send(text).answer_to(method)
}

/// One POST on a connection of its own.
pub fn post(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nHost: story\r\nContent-Length: {}\r\n\r\n", body.len());
    Connection::open(address).send(head).send(body).answer()
}
