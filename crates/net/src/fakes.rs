//! Stand-ins for tests: an event loop, a client, a service, the way to a client.
//!
//! In:     what a client says; how a service is to answer.
//! Out:    what the client hears; what the service saw.
//! Actors: the test, on its own event loop.
//! Never:  waits for time to pass: a test moves the clock, and sweeps.

use crate::body::piece::Piece;
use crate::file::stored::StoredFile;
use crate::http::exchange::{Arrival, Exchange, Wire};
use crate::http::service::Service;
use crate::http1;
use crate::runtime::deadline::SWEEP;
use crate::runtime::event_loop::EventLoop;
use crate::socket::listener::Gate;
use crate::socket::stream::{Peer, Socket, Stream};
use crate::tls::server::Tls;
use hallway_core::fields::Fields;
use hallway_core::http1::AnswerBody;
use hallway_core::plan::{Certificate, CertificateSource, Listen, Listener, Plan, Secret, Site, SiteTls};
use hallway_core::route::Sites;
use hallway_core::semantics::AnswerHead;
use hallway_core::{Fault, Head};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// After which a test counts as one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A certificate for `a.example` and its key (DER), made for these tests.
const CERTIFICATE: &str = "\
    3082019330820138a00302010202146c37c66fc7c53e0c395574d401dee2a11949766c300a06082a8648ce3d040302301431123010060355\
    04030c09612e6578616d706c653020170d3236313132393233333033305a180f32313236313130353233333033305a301431123010060355\
    04030c09612e6578616d706c653059301306072a8648ce3d020106082a8648ce3d03010703420004e1976c59620edf1a765aa62e19730cf5\
    4343c062bb43db32865b4cbbe89541ac7077e31bf759b58343e05dd5570c552dba346a47ecfe070edd48d61df1c4b725a3663064301d0603\
    551d0e041604149f142f50774a093afb7462e8756802e98758f3be301f0603551d230418301680149f142f50774a093afb7462e8756802e9\
    8758f3be30140603551d11040d300b8209612e6578616d706c65300c0603551d130101ff04023000300a06082a8648ce3d04030203490030\
    46022100a917f44285cbea467df0859b069e8833f7fc7ed988fe138650144d4f3babb824022100a82864f4e82fc1ebbf15288de4019e88e7\
    61f41b0404cc05fd3f08196a413192";
const KEY: &str = "\
    308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b02010104204c2e7bc36c0b989c9788fa44792142a084feb13f\
    f072ec279889e5fc7c49e5a2a14403420004e1976c59620edf1a765aa62e19730cf54343c062bb43db32865b4cbbe89541ac7077e31bf759\
    b58343e05dd5570c552dba346a47ecfe070edd48d61df1c4b725";

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

/// Has so much time pass, and the sweeper see it.
pub(crate) async fn pass(event_loop: &EventLoop, time: u64) {
    settle().await;
    event_loop.clock.move_on(Duration::from_millis(time));
    event_loop.deadlines.sweep(event_loop.clock.coarse_ms());
    settle().await;
}

/// As long as a deadline of so many milliseconds can take.
pub(crate) fn late(wait_ms: u64) -> u64 {
    wait_ms + 2 * SWEEP.as_millis() as u64
}

/// Two ends of a connection.
pub(crate) fn connection() -> (Client, Stream) {
    let (client, server) = UnixStream::pair().unwrap();
    (Client(client), Stream::Plain(Socket::Unix(server.into())))
}

/// An address without and with TLS.
pub(crate) fn gate(tls: bool) -> Rc<Gate> {
    Rc::new(Gate::new(&Listener { tls, ..Listener::from(Listen::Tcp("192.0.2.1:443".parse().unwrap())) }))
}

/// A peer with this address.
pub(crate) fn peer(address: &str) -> Peer {
    Peer { address: Some(address.parse().unwrap()), ip: address.into(), port: 4321 }
}

/// A proxy, which a service may believe.
pub(crate) fn peer_of_proxy() -> Peer {
    peer("198.51.100.9")
}

/// A connection that came just now.
pub(crate) fn arrival() -> Arrival {
    Arrival { peer: peer("192.0.2.7"), gate: gate(false), tls: None, reached: None }
}

/// The end of a connection that a client has.
pub(crate) struct Client(pub(crate) UnixStream);

impl Client {
    /// Sends bytes.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until this has come; all that came.
    pub(crate) async fn hear(&mut self, until: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(until.as_bytes()) {
            let byte = self.0.read_u8().await;
            let so_far = String::from_utf8_lossy(&heard);
            heard.push(byte.unwrap_or_else(|_| panic!("the end instead of {until:?} after {so_far:?}")));
        }
        String::from_utf8(heard).unwrap()
    }

    /// Reads until the end.
    pub(crate) async fn hear_all(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        let _ = self.0.read_to_end(&mut heard).await;
        heard
    }

    /// The same as text.
    pub(crate) async fn hear_out(&mut self) -> String {
        String::from_utf8(self.hear_all().await).unwrap()
    }
}

/// How a service answers.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) delimited: AnswerBody,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) trailers: Fields,
    /// Whether the last piece ends the answer.
    pub(crate) is_whole: bool,
    pub(crate) reads_body: bool,
    /// Statuses of answers before it.
    pub(crate) informs: Vec<u16>,
    /// Whether it waits for the client's end before it answers.
    pub(crate) awaits_end: bool,
    /// Whether it waits for that until it is cut.
    pub(crate) is_cut: bool,
}

impl Reply {
    /// This text.
    pub(crate) fn text(text: &str) -> Reply {
        Reply::pieces(AnswerBody::Length(text.len() as u64), vec![Piece::from(text.as_bytes().to_vec())])
    }

    /// These pieces.
    pub(crate) fn pieces(delimited: AnswerBody, pieces: Vec<Piece>) -> Reply {
        Reply {
            status: 200,
            fields: Fields::default(),
            delimited,
            pieces,
            trailers: Fields::default(),
            is_whole: true,
            reads_body: true,
            informs: Vec::new(),
            awaits_end: false,
            is_cut: false,
        }
    }
}

/// What a service saw of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) peer: String,
    pub(crate) local: String,
    pub(crate) is_https: bool,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<String>,
    /// Why it is none, or could not be answered.
    pub(crate) fault: Option<Fault>,
    /// Whether its client left.
    pub(crate) is_gone: bool,
    pub(crate) is_malformed: bool,
}

/// A service that answers as it is told.
pub(crate) struct FakeService {
    pub(crate) seen: RefCell<Vec<Seen>>,
    /// Whether it believes the proxy.
    pub(crate) believes: Cell<bool>,
    tls: Arc<Tls>,
    reply: Box<dyn Fn(&Head) -> Reply>,
}

impl FakeService {
    /// One that answers so.
    pub(crate) fn new(reply: impl Fn(&Head) -> Reply + 'static) -> Rc<FakeService> {
        let tls = tls(&Plan::empty());
        Rc::new(FakeService { seen: RefCell::default(), believes: Cell::new(false), tls, reply: Box::new(reply) })
    }

    /// The same, with a certificate for `a.example`.
    pub(crate) fn encrypted(reply: impl Fn(&Head) -> Reply + 'static) -> Rc<FakeService> {
        let tls = tls(&encrypted_plan());
        Rc::new(FakeService { seen: RefCell::default(), believes: Cell::new(false), tls, reply: Box::new(reply) })
    }

    /// One that says the path.
    pub(crate) fn echo() -> Rc<FakeService> {
        FakeService::new(|head| Reply::text(std::str::from_utf8(head.path()).unwrap()))
    }

    /// The targets that were asked for.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.seen.borrow().iter().map(|seen| seen.target.clone()).collect()
    }

    /// The only request that it saw.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen.borrow();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    async fn answer<W: Wire>(reply: Reply, wire: &mut W, seen: &mut Seen) -> Result<(), Fault> {
        for status in &reply.informs {
            wire.inform(*status, &Fields::default()).await?;
        }
        while reply.reads_body && wire.read_body(&mut seen.body).await? {}
        let trailers = wire.trailers();
        seen.trailers = trailers.iter().map(|field| String::from_utf8_lossy(field.value).into_owned()).collect();
        if reply.awaits_end {
            wire.gone().await;
            seen.is_gone = true;
        }
        if reply.is_cut {
            wire.cut();
            return Ok(());
        }
        wire.trail(reply.trailers);
        wire.begin(&AnswerHead { fields: reply.fields, ..AnswerHead::new(reply.status) }, reply.delimited);
        let count = reply.pieces.len();
        for (piece, number) in reply.pieces.iter().zip(1..) {
            wire.send(piece, reply.is_whole && number == count).await?;
        }
        Ok(())
    }
}

impl Service for FakeService {
    fn believes(&self, peer: Option<IpAddr>) -> bool {
        self.believes.get() && peer == peer_of_proxy().address
    }

    fn tls(&self) -> Arc<Tls> {
        self.tls.clone()
    }

    async fn serve<W: Wire>(self: &Rc<Self>, exchange: Exchange<'_, W>) {
        let mut seen = seen(&exchange, None);
        let reply = (self.reply)(exchange.head);
        seen.fault = FakeService::answer(reply, exchange.wire, &mut seen).await.err();
        self.seen.borrow_mut().push(seen);
    }

    async fn refuse<W: Wire>(self: &Rc<Self>, exchange: Exchange<'_, W>, fault: Fault) {
        self.seen.borrow_mut().push(seen(&exchange, Some(fault)));
        exchange.wire.begin(&AnswerHead::new(fault.status()), AnswerBody::Length(0));
        let _ = exchange.wire.send(&Piece::default(), true).await;
    }

    fn note_malformed<W: Wire>(self: &Rc<Self>, exchange: &Exchange<'_, W>) {
        self.seen.borrow_mut().push(Seen { is_malformed: true, ..seen(exchange, None) });
    }
}

fn seen<W>(exchange: &Exchange<'_, W>, fault: Option<Fault>) -> Seen {
    let Exchange { head, arrival, .. } = exchange;
    Seen {
        target: String::from_utf8_lossy(head.raw_target()).into_owned(),
        peer: format!("{}:{}", arrival.peer.ip, arrival.peer.port),
        local: format!("{}:{}", arrival.local().name, arrival.local().port),
        is_https: arrival.is_https(),
        fault,
        ..Seen::default()
    }
}

fn bytes_of(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

/// A plan whose only site is `a.example`, encrypted.
pub(crate) fn encrypted_plan() -> Plan {
    let source = CertificateSource::Internal { hosts: Vec::new() };
    let (chain, key) = (vec![bytes_of(CERTIFICATE)], Secret(bytes_of(KEY)));
    let tls = SiteTls { certificate: 0, clients: None, allows_tls12: false, redirects: false, strict: None };
    let site = Site { tls: Some(tls), ..Site::new(&["a.example"], Vec::new()) };
    Plan { certificates: vec![Certificate { source, chain, key, ocsp: None }], sites: vec![site], ..Plan::empty() }
}

/// How the connections of a plan are encrypted.
pub(crate) fn tls(plan: &Plan) -> Arc<Tls> {
    Arc::new(Tls::of(plan, Arc::new(Sites::new(plan).unwrap())).unwrap())
}

/// A client whose connection is served as HTTP/1; the task ends with it.
pub(crate) fn http1(event_loop: &Rc<EventLoop>, service: &Rc<FakeService>) -> (Client, JoinHandle<()>) {
    http1_at(event_loop, service, arrival())
}

/// The same for one that came so.
pub(crate) fn http1_at(
    event_loop: &Rc<EventLoop>,
    service: &Rc<FakeService>,
    arrival: Arrival,
) -> (Client, JoinHandle<()>) {
    let (client, stream) = connection();
    let task = http1::serve(event_loop.clone(), service.clone(), stream, arrival);
    (client, tokio::task::spawn_local(task))
}

/// A way to a client that has sent these pieces of a body.
pub(crate) struct FakeWire(pub(crate) VecDeque<Result<Vec<u8>, Fault>>);

impl Wire for FakeWire {
    async fn read_body(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault> {
        let Some(piece) = self.0.pop_front() else { return Ok(false) };
        into.extend_from_slice(&piece?);
        Ok(true)
    }

    async fn gone(&mut self) {
        std::future::pending().await
    }

    async fn inform(&mut self, _status: u16, _fields: &Fields) -> Result<(), Fault> {
        Ok(())
    }

    fn trail(&mut self, _trailers: Fields) {}

    fn begin(&mut self, _answer: &AnswerHead, _body: AnswerBody) {}

    async fn send(&mut self, _piece: &Piece, _last: bool) -> Result<(), Fault> {
        Ok(())
    }
}

/// Waits until something is so that threads bring about.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A file with these bytes.
pub(crate) fn stored(event_loop: &EventLoop, bytes: &[u8]) -> Arc<StoredFile> {
    let file = crate::file::nameless::nameless_file().unwrap();
    crate::file::nameless::write_at(&file, bytes, 0).unwrap();
    Arc::new(StoredFile::new(file, (event_loop.spool.threads().clone(), true)))
}
