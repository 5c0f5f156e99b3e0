//! In:     the buffer, and the engine above it.
//! Out:    how many writes there were, and what was in them.
//! Actors: a stream that takes what a test lets it take; a client of the engine.
//! Never:  does a test wait for time to pass.

use super::*;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Waker;
use tokio::io::{AsyncRead, DuplexStream, ReadBuf, duplex};
use tokio::task::{LocalSet, spawn_local, yield_now};

/// A stream that notes what it was given.
#[derive(Clone, Default)]
struct Sink {
    writes: Rc<RefCell<Vec<Vec<u8>>>>,
    /// What it takes of each write, in turn; 0 is to wait. All of it once this is used up.
    takes: Rc<RefCell<Vec<usize>>>,
    /// It has ended.
    ended: Rc<Cell<bool>>,
}

impl Sink {
    fn taking(takes: &[usize]) -> Sink {
        let sink = Sink::default();
        sink.takes.borrow_mut().extend(takes.iter().rev());
        sink
    }

    fn lengths(&self) -> Vec<usize> {
        self.writes.borrow().iter().map(Vec::len).collect()
    }

    fn all(&self) -> Vec<u8> {
        self.writes.borrow().concat()
    }
}

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(task, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.ended.get() {
            return Poll::Ready(Ok(0));
        }
        let mut all = parts.iter().map(|part| &**part).collect::<Vec<_>>().concat();
        all.truncate(self.takes.borrow_mut().pop().unwrap_or(usize::MAX));
        if all.is_empty() {
            return Poll::Pending;
        }
        let take = all.len();
        self.writes.borrow_mut().push(all);
        Poll::Ready(Ok(take))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn write(gathered: &mut Gathered, sink: &Sink, parts: &[&[u8]]) -> Poll<io::Result<usize>> {
    let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    gathered.poll_write(&mut sink.clone(), &slices, &mut Context::from_waker(Waker::noop()))
}

fn drain(gathered: &mut Gathered, sink: &Sink) -> Poll<io::Result<()>> {
    gathered.poll_drain(&mut sink.clone(), &mut Context::from_waker(Waker::noop()))
}

fn letters(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 7 + salt) % 251) as u8).collect()
}

#[test]
fn what_is_short_waits_for_the_flush_and_leaves_together() {
    let (mut gathered, sink) = (Gathered::default(), Sink::default());
    for part in [b"one ", b"two "] {
        assert!(matches!(write(&mut gathered, &sink, &[part, b"and "]), Poll::Ready(Ok(8))));
    }
    assert!(sink.writes.borrow().is_empty());
    assert!(drain(&mut gathered, &sink).is_ready());
    assert_eq!(*sink.writes.borrow(), [b"one and two and "]);
    // Nothing is there to be written again.
    assert!(drain(&mut gathered, &sink).is_ready());
    assert_eq!(sink.lengths(), [16]);
}

#[test]
fn a_write_has_as_much_as_a_record_of_tls_and_the_rest_waits() {
    let (mut gathered, sink) = (Gathered::default(), Sink::default());
    let (first, second) = (letters(10_000, 1), letters(10_000, 2));
    assert!(matches!(write(&mut gathered, &sink, &[&first]), Poll::Ready(Ok(10_000))));
    assert!(matches!(write(&mut gathered, &sink, &[b"head", &second]), Poll::Ready(Ok(6_384))));
    assert_eq!(sink.lengths(), [WRITE_BYTES]);
    assert!(matches!(write(&mut gathered, &sink, &[&second[6_380..]]), Poll::Ready(Ok(3_620))));
    assert!(drain(&mut gathered, &sink).is_ready());
    assert_eq!(sink.lengths(), [WRITE_BYTES, 3_620]);
    assert!(sink.all() == [&first[..], b"head", &second].concat());
}

#[test]
fn what_is_long_is_not_kept() {
    let (mut gathered, sink) = (Gathered::default(), Sink::default());
    let long = letters(40_000, 3);
    assert!(matches!(write(&mut gathered, &sink, &[b"head", &long]), Poll::Ready(Ok(32_768))));
    assert_eq!(sink.lengths(), [2 * WRITE_BYTES]);
    assert!(gathered.bytes.is_empty());
}

#[test]
fn a_stream_that_takes_little_gets_all_in_its_order() {
    let sent = letters(100_000, 4);
    for seed in 0..20_usize {
        let takes: Vec<usize> = (1..400).map(|at| (at * at * (seed + 3)) % 1_009 * (at % 3)).collect();
        let (mut gathered, sink) = (Gathered::default(), Sink::taking(&takes));
        let (mut at, mut turn) = (0, seed);
        while at < sent.len() {
            turn += 1;
            let end = (at + turn * 997 % 20_000 + 1).min(sent.len());
            match write(&mut gathered, &sink, &[&sent[at..(at + 9).min(end)], &sent[(at + 9).min(end)..end]]) {
                Poll::Ready(wrote) => at += wrote.unwrap(),
                Poll::Pending => assert!(!gathered.bytes.is_empty() || end - at >= WRITE_BYTES),
            }
            if turn.is_multiple_of(4) {
                let _ = drain(&mut gathered, &sink);
            }
            assert!(gathered.bytes.len() < 2 * WRITE_BYTES, "what was taken makes room");
        }
        while drain(&mut gathered, &sink).is_pending() {}
        assert!(sink.all() == sent, "seed {seed}");
    }
}

#[test]
fn a_stream_that_takes_nothing_any_more_is_an_error() {
    let (mut gathered, sink) = (Gathered::default(), Sink::default());
    assert!(write(&mut gathered, &sink, &[b"short"]).is_ready());
    sink.ended.set(true);
    assert!(matches!(drain(&mut gathered, &sink), Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WriteZero));
    let long = letters(WRITE_BYTES, 5);
    assert!(matches!(write(&mut gathered, &sink, &[&long]), Poll::Ready(Err(_))));
}

#[test]
fn a_buffer_is_held_while_something_is_in_it() {
    let (mut gathered, sink) = (Gathered::default(), Sink::default());
    assert!(gathered.wants_buffer() && gathered.take_buffer().is_none());
    gathered.give_buffer(Vec::with_capacity(64));
    assert!(write(&mut gathered, &sink, &[b"short"]).is_ready());
    assert!(!gathered.wants_buffer() && gathered.take_buffer().is_none());
    assert!(drain(&mut gathered, &sink).is_ready());
    assert_eq!(gathered.take_buffer().unwrap().capacity(), 64);
    assert!(gathered.wants_buffer());
}

/// The server's end of a connection, whose writes are counted.
struct Front {
    gathered: Gathered,
    stream: DuplexStream,
    writes: Rc<Cell<usize>>,
}

impl AsyncRead for Front {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(task, into)
    }
}

impl AsyncWrite for Front {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(task, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        if let Some(length) = it.gathered.add(parts) {
            return Poll::Ready(Ok(length));
        }
        it.writes.set(it.writes.get() + 1);
        it.gathered.poll_write(&mut it.stream, parts, task)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        it.writes.set(it.writes.get() + usize::from(!it.gathered.bytes.is_empty()));
        it.gathered.poll_drain(&mut it.stream, task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(task))?;
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

/// A server and its client, both on one thread. What the server does with a request is the test's.
struct Pair {
    client: SendRequest<Bytes>,
    writes: Rc<Cell<usize>>,
    /// Requests that have come and wait to be answered.
    asked: Rc<RefCell<Vec<SendResponse<Bytes>>>>,
    /// Has the server end the connection once its requests are answered.
    leaves: Rc<Cell<bool>>,
    server: Rc<RefCell<Option<Waker>>>,
}

impl Pair {
    /// With so many bytes of a connection that its other side has not read.
    async fn new(room: usize, window: u32) -> Pair {
        let (near, far) = duplex(room);
        let (writes, asked) = (Rc::<Cell<usize>>::default(), Rc::<RefCell<Vec<_>>>::default());
        let (leaves, server) = (Rc::<Cell<bool>>::default(), Rc::<RefCell<Option<Waker>>>::default());
        let front = Front { gathered: Gathered::default(), stream: near, writes: writes.clone() };
        let (own_asked, own_leaves, own_server) = (asked.clone(), leaves.clone(), server.clone());
        spawn_local(async move {
            let mut connection = h2::server::handshake(front).await.unwrap();
            loop {
                let next = poll_fn(|task| {
                    if own_leaves.replace(false) {
                        connection.graceful_shutdown();
                    }
                    own_server.replace(Some(task.waker().clone()));
                    connection.poll_accept(task)
                });
                let Some(Ok((_, respond))) = next.await else { return };
                own_asked.borrow_mut().push(respond);
            }
        });
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window).initial_connection_window_size(16 << 20);
        let (client, connection) = builder.handshake(far).await.unwrap();
        spawn_local(async move { connection.await.map_err(drop) });
        let pair = Pair { client, writes, asked, leaves, server };
        pair.settle().await;
        pair
    }

    /// Lets every task do what it can.
    async fn settle(&self) {
        for _ in 0..50 {
            yield_now().await;
        }
    }

    /// So many requests, all of which have come.
    async fn ask(&mut self, count: usize) -> Vec<ResponseFuture> {
        let mut answers = Vec::new();
        for _ in 0..count {
            let mut client = self.client.clone().ready().await.unwrap();
            let request = Request::get("http://s/").body(()).unwrap();
            answers.push(client.send_request(request, true).unwrap().0);
        }
        self.settle().await;
        assert_eq!(self.asked.borrow().len(), count);
        self.writes.set(0);
        answers
    }

    /// Answers the request that came first with these bytes.
    fn answer(&self, body: &[u8]) {
        let mut respond = self.asked.borrow_mut().remove(0);
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        send.send_data(Bytes::copy_from_slice(body), true).unwrap();
    }
}

/// What comes of an answer, and how it ends.
async fn body_of(answer: ResponseFuture) -> Result<Vec<u8>, h2::Error> {
    rest_of(answer.await?.into_body()).await
}

async fn rest_of(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes?;
        body.flow_control().release_capacity(bytes.len())?;
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(test));
}

const WIDE: u32 = 1 << 20;
const ROOMY: usize = 1 << 22;

#[test]
fn answers_that_are_ready_leave_in_one_write() {
    run(async {
        let mut pair = Pair::new(ROOMY, WIDE).await;
        let answers = pair.ask(10).await;
        for salt in 0..10 {
            pair.answer(&letters(1024, salt));
        }
        pair.settle().await;
        assert_eq!(pair.writes.get(), 1, "ten answers of 1 KiB");
        for (salt, answer) in answers.into_iter().enumerate() {
            assert!(body_of(answer).await.unwrap() == letters(1024, salt));
        }
    });
}

#[test]
fn an_answer_that_is_ready_waits_for_no_other() {
    run(async {
        let mut pair = Pair::new(ROOMY, WIDE).await;
        let mut answers = pair.ask(3).await.into_iter();
        for salt in 0..3 {
            pair.answer(&letters(1024, salt));
            // The others have not been answered, and nothing else happens on the connection.
            assert!(body_of(answers.next().unwrap()).await.unwrap() == letters(1024, salt));
            assert_eq!(pair.writes.get(), salt + 1);
        }
    });
}

#[test]
fn a_long_answer_is_written_as_it_is_framed() {
    run(async {
        let mut pair = Pair::new(ROOMY, WIDE).await;
        let answer = pair.ask(1).await.remove(0);
        let sent = letters(160_000, 1);
        pair.answer(&sent);
        assert!(body_of(answer).await.unwrap() == sent);
        // Nine frames of 16 KiB and the rest of one, each of them a write, and the last flush.
        assert!(pair.writes.get() <= 11, "{} writes", pair.writes.get());
    });
}

#[test]
fn a_slow_connection_gets_every_answer_whole() {
    run(async {
        let mut pair = Pair::new(700, WIDE).await;
        let answers = pair.ask(12).await;
        for salt in 0..12 {
            pair.answer(&letters(30_000 + salt, salt));
        }
        for (salt, answer) in answers.into_iter().enumerate() {
            assert!(body_of(answer).await.unwrap() == letters(30_000 + salt, salt), "answer {salt}");
        }
    });
}

#[test]
fn a_stream_that_is_reset_holds_nobody_up() {
    run(async {
        let mut pair = Pair::new(ROOMY, WIDE).await;
        let mut answers = pair.ask(3).await.into_iter();
        let (first, second, third) = (answers.next().unwrap(), answers.next().unwrap(), answers.next().unwrap());
        pair.answer(&letters(1024, 1));
        let mut cut = pair.asked.borrow_mut().remove(0);
        let mut send = cut.send_response(Response::new(()), false).unwrap();
        send.send_data(Bytes::from_static(b"not all of it"), false).unwrap();
        send.send_reset(Reason::INTERNAL_ERROR);
        pair.answer(&letters(1024, 3));
        pair.settle().await;
        assert_eq!(pair.writes.get(), 1, "two answers and a reset");
        assert!(body_of(first).await.unwrap() == letters(1024, 1));
        assert_eq!(body_of(second).await.unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
        assert!(body_of(third).await.unwrap() == letters(1024, 3));
    });
}

#[test]
fn a_closed_window_holds_up_its_own_stream_until_it_opens() {
    run(async {
        let mut pair = Pair::new(ROOMY, 1000).await;
        let mut answers = pair.ask(2).await.into_iter();
        let (closed, open) = (answers.next().unwrap(), answers.next().unwrap());
        pair.answer(&letters(5000, 1));
        pair.answer(&letters(900, 2));
        assert!(body_of(open).await.unwrap() == letters(900, 2));
        let mut body = closed.await.unwrap().into_body();
        let begun = body.data().await.unwrap().unwrap();
        assert!(begun == letters(1000, 1), "as much as the window takes");
        let mut early = Box::pin(poll_fn(|task| Poll::Ready(body.poll_data(task).is_ready())));
        pair.settle().await;
        assert!(!early.as_mut().await, "nothing more came");
        drop(early);
        body.flow_control().release_capacity(begun.len()).unwrap();
        assert!([&begun[..], &rest_of(body).await.unwrap()].concat() == letters(5000, 1));
    });
}

#[test]
fn a_server_that_leaves_finishes_what_it_has_begun() {
    run(async {
        let mut pair = Pair::new(ROOMY, WIDE).await;
        let answers = pair.ask(4).await;
        pair.leaves.set(true);
        pair.server.take().unwrap().wake();
        pair.settle().await;
        pair.writes.set(0);
        for salt in 0..4 {
            pair.answer(&letters(3000, salt));
        }
        pair.settle().await;
        assert_eq!(pair.writes.get(), 1, "four answers, and nothing behind them");
        for (salt, answer) in answers.into_iter().enumerate() {
            assert!(body_of(answer).await.unwrap() == letters(3000, salt));
        }
        pair.settle().await;
        let ready = pair.client.clone().ready().await;
        assert!(ready.is_err() || ready.unwrap().send_request(Request::new(()), true).is_err(), "it has left");
    });
}

#[test]
fn fields_of_every_length_come_as_they_were() {
    run(async {
        let value = |length: usize| letters(length, length).iter().map(|byte| b' ' + byte % 95).collect::<Vec<u8>>();
        let mut pair = Pair::new(ROOMY, WIDE).await;
        let answer = pair.ask(1).await.remove(0);
        let mut response = Response::new(());
        for length in 1..300 {
            let mut value = http::HeaderValue::from_bytes(&value(length)).unwrap();
            value.set_sensitive(length % 2 == 0);
            response.headers_mut().insert(http::HeaderName::try_from(format!("x-{length}")).unwrap(), value);
        }
        let mut respond = pair.asked.borrow_mut().remove(0);
        respond.send_response(response, true).unwrap();
        let came = answer.await.unwrap();
        assert_eq!(came.headers().len(), 299);
        for length in 1..300 {
            assert!(came.headers()[&format!("x-{length}")].as_bytes() == value(length), "{length}");
        }
    });
}
