//! In:     bytes of a server, on a socket of the kernel.
//! Out:    heads and pieces, and whether the connection serves again.
//! Actors: the test is the server.
//! Never:  does a test wait for time to pass.

use super::*;
use crate::handlers::pool::outgoing::Coding;
use hallway_net::socket::stream::{Socket, Stream};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Instant;

struct Exchange {
    on: OnConnection,
    server: UnixStream,
    clock: Clock,
    spares: BufferPool,
}

const LONG: usize = 100_000;

fn run(test: impl AsyncFnOnce(Exchange)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (server, near) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let stream = Stream::Plain(Socket::Unix(tokio::net::UnixStream::from_std(near).unwrap().into()));
        let on = begin(Connection::of(stream, 0));
        test(Exchange { on, server, clock: Clock::new(Instant::now()), spares: BufferPool::default() }).await;
    });
}

fn begin(connection: Connection) -> OnConnection {
    let outgoing = Outgoing::new(b"GET / HTTP/1.1\r\n\r\n".to_vec(), None, Coding::Plain);
    OnConnection::new(connection, Speech::Http1 { keeps: true }, outgoing, 0)
}

impl Exchange {
    /// What the server says; it is there when the client looks next.
    async fn say(&mut self, bytes: &[u8]) {
        self.server.write_all(bytes).unwrap();
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }

    async fn say_head(&mut self, length: usize, body: &[u8]) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        self.say(&[head.as_bytes(), body].concat()).await;
    }

    async fn head(&mut self) -> Result<ServerAnswer, Fault> {
        std::future::poll_fn(|task| self.on.poll_head((&self.clock, &self.spares), Asked::default(), task)).await
    }

    async fn piece(&mut self) -> Result<(Piece, bool), Fault> {
        std::future::poll_fn(|task| self.on.poll_piece(&self.clock, task)).await
    }

    /// The lengths of the pieces up to the last.
    async fn pieces(&mut self) -> Vec<u64> {
        let mut lengths = Vec::new();
        loop {
            let (piece, last) = self.piece().await.unwrap();
            lengths.push(piece.len());
            if last {
                return lengths;
            }
        }
    }

    /// The next request on the same connection, where that serves again.
    fn again(self) -> Option<Exchange> {
        let connection = self.on.into_reusable(&self.spares)?;
        Some(Exchange { on: begin(connection), ..self })
    }
}

#[test]
fn a_request_is_sent_and_its_answer_read() {
    run(async |mut exchange| {
        exchange.say_head(5, b"hello").await;
        assert_eq!(exchange.head().await.unwrap().ending, Ending::Length(5));
        let mut asked = [0; 64];
        let length = exchange.server.read(&mut asked).unwrap();
        assert_eq!(&asked[..length], b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(exchange.on.take_whole().unwrap().bytes(), b"hello");
        assert!(exchange.again().is_some());
    });
}

#[test]
fn what_is_behind_the_length_is_nobodys_and_ends_the_connection() {
    run(async |mut exchange| {
        exchange.say_head(LONG, b"").await;
        assert!(exchange.head().await.is_ok());
        exchange.say(&[b'x'; LONG + 1]).await;
        assert_eq!(exchange.pieces().await, [LONG as u64]);
        assert!(exchange.again().is_none(), "one byte too many");
    });
}

#[test]
fn a_long_answer_that_is_there_comes_in_one_piece_from_the_second_on() {
    run(async |mut exchange| {
        exchange.say_head(LONG, &[b'x'; LONG]).await;
        assert!(exchange.head().await.is_ok());
        assert_eq!(exchange.pieces().await.len(), 2, "what came with the head, and the rest");
        let mut exchange = exchange.again().unwrap();
        exchange.say_head(LONG, &[b'y'; LONG]).await;
        assert!(exchange.head().await.is_ok());
        assert!(exchange.on.take_whole().is_some_and(|whole| whole.bytes() == [b'y'; LONG]));
        // One that is short again is not expected to be long.
        let mut exchange = exchange.again().unwrap();
        exchange.say_head(2, b"ok").await;
        assert!(exchange.head().await.is_ok());
        assert!(exchange.on.take_whole().is_some() && !exchange.on.connection.answers_long);
    });
}

#[test]
fn a_connection_whose_answer_was_read_is_known_to_be_quiet() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = listener.accept().unwrap().0;
        near.set_nonblocking(true).unwrap();
        let stream = Stream::Plain(Socket::Tcp(tokio::net::TcpStream::from_std(near).unwrap()));
        let (clock, spares) = (Clock::new(Instant::now()), BufferPool::default());
        let mut on = begin(Connection::of(stream, 0));
        server.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n").as_bytes()).unwrap();
        let head = |task: &mut Context<'_>| on.poll_head((&clock, &spares), Asked::default(), task);
        assert!(std::future::poll_fn(head).await.is_ok());
        let writing = std::thread::spawn(move || server.write_all(&[b'x'; LONG]).map(|()| server));
        while !std::future::poll_fn(|task| on.poll_piece(&clock, task)).await.unwrap().1 {}
        let _server = writing.join().unwrap().unwrap();
        let mut task = Context::from_waker(std::task::Waker::noop());
        assert!(on.connection.stream.poll_readable(&mut task).is_pending(), "the kernel need not be asked again");
    });
}

#[test]
fn no_buffer_waits_with_a_server_that_is_slow_to_answer() {
    run(async |mut exchange| {
        exchange.on.connection.answers_long = true;
        let mut task = Context::from_waker(std::task::Waker::noop());
        let tools = (&exchange.clock, &exchange.spares);
        assert!(exchange.on.poll_head(tools, Asked::default(), &mut task).is_pending());
        assert_eq!(exchange.on.input.capacity(), 0);
    });
}

#[test]
fn an_answer_that_ends_early_is_lost() {
    run(async |mut exchange| {
        exchange.say_head(LONG, b"begun").await;
        assert!(exchange.head().await.is_ok());
        exchange.server.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(exchange.piece().await.unwrap().0.bytes(), b"begun");
        assert_eq!(exchange.piece().await.unwrap_err(), Fault::ServerLost);
    });
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    run(async |mut exchange| {
        exchange.say(b"HTTP/1.1 200 OK\r\n\r\nall of it").await;
        assert_eq!(exchange.head().await.unwrap().ending, Ending::Close);
        assert_eq!(exchange.piece().await.unwrap().0.bytes(), b"all of it");
        exchange.server.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(exchange.pieces().await, [0]);
        assert!(exchange.again().is_none());
    });
}

#[test]
fn chunks_are_taken_apart_and_their_trailers_kept() {
    run(async |mut exchange| {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
        exchange.say(&[&head[..], b"3\r\none\r\n4\r\n two\r\n"].concat()).await;
        assert_eq!(exchange.head().await.unwrap().ending, Ending::Chunked);
        assert_eq!(exchange.piece().await.unwrap().0.bytes(), b"one two");
        exchange.say(b"0\r\nX-Sum: 7\r\n\r\n").await;
        assert_eq!(exchange.pieces().await, [0]);
        assert_eq!(exchange.on.trailers().named(b"x-sum"), Some(&b"7"[..]));
        assert!(exchange.again().is_some());
    });
}

#[test]
fn heads_of_interim_answers_come_first_and_not_without_end() {
    run(async |mut exchange| {
        exchange.say(b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
        assert_eq!(exchange.head().await.unwrap().head.status, 103);
        for _ in 0..INFORMATIONAL_MAX {
            exchange.say(b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
        }
        let mut heads = 0;
        while exchange.head().await.is_ok() {
            heads += 1;
        }
        assert_eq!(heads, INFORMATIONAL_MAX - 1);
    });
}

#[test]
fn a_line_that_cannot_be_read_is_shown() {
    run(async |mut exchange| {
        exchange.say(b"HTTP/1.1 200 OK\r\nX: 1\n\r\n").await;
        assert!(matches!(exchange.head().await, Err(Fault::BadAnswer(_))));
        assert_eq!(exchange.on.foul_line(), Some(&b"X: 1\n"[..]));
    });
}

#[test]
fn a_server_that_says_nothing_to_a_request_may_never_have_got_it() {
    run(async |mut exchange| {
        exchange.say_head(0, b"").await;
        assert!(exchange.head().await.is_ok() && exchange.piece().await.is_ok());
        let mut exchange = exchange.again().unwrap();
        exchange.on.connection.is_reused = true;
        exchange.server.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(exchange.head().await.unwrap_err(), Fault::ServerLost);
        assert!(exchange.on.may_be_stale());
    });
}
