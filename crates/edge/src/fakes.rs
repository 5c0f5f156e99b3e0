//! Stand-ins for tests: an event loop, the way to a client, the master, a server of a pool.
//!
//! In:     what a test says that clients, servers and the master do.
//! Out:    what they saw.
//! Actors: the test, on its own event loop.
//! Never:  waits for time to pass: a test moves the clock, and sweeps.

use hallway_core::Fault;
use hallway_core::Head;
use hallway_core::fields::Fields;
use hallway_core::http1::{AnswerBody, parse_head};
use hallway_core::plan::{Listen, Listener, Place, Protocol, Server};
use hallway_core::ports::Master;
use hallway_core::semantics::AnswerHead;
use hallway_net::body::piece::Piece;
use hallway_net::http::exchange::{Arrival, Wire};
use hallway_net::runtime::deadline::SWEEP;
use hallway_net::runtime::event_loop::EventLoop;
use hallway_net::socket::listener::Gate;
use hallway_net::socket::stream::Peer;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// After which a test counts as one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on an event loop of its own.
pub(crate) fn on_loop<T>(test: impl AsyncFnOnce(Rc<EventLoop>) -> T) -> T {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let event_loop = EventLoop::alone().unwrap();
        tokio::time::timeout(PATIENCE, test(event_loop)).await.expect("the test hangs")
    })
}

/// Lets all tasks do what they can do now.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Has so much time pass, and the sweeper see it.
pub(crate) async fn pass(event_loop: &EventLoop, time_ms: u64) {
    settle().await;
    event_loop.clock.move_on(Duration::from_millis(time_ms));
    event_loop.deadlines.sweep(event_loop.clock.coarse_ms());
    settle().await;
}

/// As long as a deadline of so many milliseconds can take.
pub(crate) fn late(wait_ms: u64) -> u64 {
    wait_ms + 2 * SWEEP.as_millis() as u64
}

/// A head, as an engine would read it.
pub(crate) fn head(text: &str) -> Head {
    let mut head = Head::default();
    parse_head(text.as_bytes(), 8192, &mut head).unwrap();
    head
}

/// A request without a body.
pub(crate) fn get(path: &str) -> Head {
    head(&format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"))
}

/// A peer with this address.
pub(crate) fn peer(address: &str) -> Peer {
    Peer { address: Some(address.parse().unwrap()), ip: address.into(), port: 4321 }
}

/// A connection that came from there.
pub(crate) fn arrival(address: &str) -> Arrival {
    let gate = Gate::new(&Listener::from(Listen::Tcp("192.0.2.1:80".parse().unwrap())));
    Arrival { peer: peer(address), gate: Rc::new(gate), tls: None, reached: None }
}

/// The way to a client, which takes everything.
#[derive(Default)]
pub(crate) struct FakeWire {
    /// What it still sends of its body; a fault where it breaks off.
    pub(crate) body: VecDeque<Result<Vec<u8>, Fault>>,
    /// Told when it leaves.
    pub(crate) leaves: Rc<Notify>,
    pub(crate) can_upgrade: bool,
    pub(crate) informed: Vec<u16>,
    pub(crate) begun: Option<AnswerBody>,
    pub(crate) sent: Vec<u8>,
    /// How many bytes each piece had.
    pub(crate) pieces: Vec<u64>,
    pub(crate) is_whole: bool,
}

impl FakeWire {
    /// One that sends these pieces of a body.
    pub(crate) fn sending(pieces: &[&str]) -> FakeWire {
        let body = pieces.iter().map(|piece| Ok(piece.as_bytes().to_vec())).collect();
        FakeWire { body, ..FakeWire::default() }
    }
}

impl Wire for FakeWire {
    async fn read_body(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(piece) = self.body.pop_front() else { return Ok(false) };
        into.extend_from_slice(&piece?);
        Ok(true)
    }

    async fn gone(&mut self) {
        self.leaves.notified().await;
    }

    async fn inform(&mut self, status: u16, _fields: &Fields) -> Result<(), Fault> {
        self.informed.push(status);
        Ok(())
    }

    fn can_upgrade(&self) -> bool {
        self.can_upgrade
    }

    fn trail(&mut self, _trailers: Fields) {}

    fn begin(&mut self, _answer: &AnswerHead, body: AnswerBody) {
        self.begun = Some(body);
    }

    async fn send(&mut self, piece: &Piece, last: bool) -> Result<(), Fault> {
        piece.append_to(&mut self.sent).await?;
        self.pieces.push(piece.len());
        self.is_whole = last;
        Ok(())
    }
}

/// A master that notes what it is told.
#[derive(Default)]
pub(crate) struct FakeMaster(pub(crate) Mutex<Vec<String>>);

impl FakeMaster {
    fn note(&self, word: String) {
        self.0.lock().unwrap().push(word);
    }

    /// What it was told since it was last asked.
    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Master for FakeMaster {
    fn edge_is_ready(&self) {
        self.note("ready".into());
    }

    fn worker_is_overdue(&self, worker: u32) {
        self.note(format!("overdue {worker}"));
    }

    fn worker_is_stuck(&self, worker: u32) {
        self.note(format!("stuck {worker}"));
    }

    fn worker_has_joined(&self, worker: u32) {
        self.note(format!("joined {worker}"));
    }

    fn worker_has_served(&self, worker: u32) {
        self.note(format!("served {worker}"));
    }

    fn worker_is_leaving(&self, worker: u32) {
        self.note(format!("leaving {worker}"));
    }

    fn plan_is_adopted(&self, serial: u32) {
        self.note(format!("adopted {serial}"));
    }

    fn plan_is_over(&self, serial: u32) {
        self.note(format!("over {serial}"));
    }

    fn edge_has_drained(&self) {
        self.note("drained".into());
    }
}

/// What a server does with a request: bytes, and whether it ends the connection behind them.
pub(crate) type Doing = (Vec<u8>, bool);

/// What it does with each request of a connection, which are counted from 0.
type Does = Box<dyn Fn(usize, &str) -> Doing>;

/// A server of a pool.
pub(crate) struct FakeServer {
    pub(crate) at: SocketAddr,
    /// Requests, heads and bodies, in the order in which they came.
    pub(crate) seen: RefCell<Vec<String>>,
    /// Connections that came, and those that have ended.
    pub(crate) came: Cell<usize>,
    pub(crate) ended: Cell<usize>,
    does: Does,
}

impl FakeServer {
    /// One that does this with the requests of each connection, which are counted from 0.
    pub(crate) async fn new(does: impl Fn(usize, &str) -> Doing + 'static) -> Rc<FakeServer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (came, ended) = (Cell::new(0), Cell::new(0));
        let server = Rc::new(FakeServer { at, seen: RefCell::default(), came, ended, does: Box::new(does) });
        let serving = server.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.came.set(serving.came.get() + 1);
                tokio::task::spawn_local(serving.clone().serve(stream));
            }
        });
        server
    }

    /// One that answers every request with this.
    pub(crate) async fn saying(answer: &str) -> Rc<FakeServer> {
        let answer = answer.as_bytes().to_vec();
        FakeServer::new(move |_, _| (answer.clone(), false)).await
    }

    /// It as a plan has it.
    pub(crate) fn planned(&self) -> Server {
        planned(self.at)
    }

    /// The paths that it was asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        let path = |seen: &String| seen.split(' ').nth(1).unwrap_or_default().to_owned();
        self.seen.borrow().iter().map(path).collect()
    }

    async fn serve(self: Rc<Self>, mut stream: TcpStream) {
        let mut count = 0;
        while let Some(request) = read_request(&mut stream).await {
            self.seen.borrow_mut().push(request.clone());
            let (bytes, ends) = (self.does)(count, &request);
            count += 1;
            if stream.write_all(&bytes).await.is_err() || ends {
                break;
            }
        }
        self.ended.set(self.ended.get() + 1);
    }
}

/// A server at this address, as a plan has it.
pub(crate) fn planned(at: SocketAddr) -> Server {
    let at = Place::Host { name: at.ip().to_string(), port: Some(at.port()) };
    Server { at, protocol: Protocol::Http, weight: 1, is_backup: false, connections_max: 0 }
}

/// An address at which nobody listens.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
    if text.contains("\r\ntransfer-encoding: chunked\r\n") {
        while !read.ends_with(b"\r\n0\r\n\r\n") {
            read.push(stream.read_u8().await.ok()?);
        }
    }
    let length = text.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    read.extend_from_slice(&body);
    String::from_utf8(read).ok()
}
