//! In:     connections at the addresses of a plan, and plans that take their place.
//! Out:    which connections are served, and how.
//! Actors: the test is the client.
//! Never:  waits for time to pass.

use super::*;
use crate::fakes::{FakeMaster, on_loop, settle, until};
use crate::handlers::app::AppState;
use crate::server::rules_builder::RulesBuilder;
use hallway_core::plan::{Plan, Route, Site, Target};
use hallway_net::runtime::event_loop::EventLoop;
use hallway_ring::Beats;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

struct Ground {
    door: Rc<Door>,
    builder: RulesBuilder,
    master: Arc<FakeMaster>,
    inbox: UnboundedReceiver<Message>,
}

/// A plan that answers everything with a word.
fn plan(word: &str, at: Option<&Listen>) -> Plan {
    let target = Target::Respond { status: 200, media_type: "text/plain".into(), body: word.into() };
    let listeners = at.cloned().map(Listener::from).into_iter().collect();
    Plan { listeners, sites: vec![Site::new(&["*"], vec![Route::new("/*", target)])], ..Plan::empty() }
}

fn ground(event_loop: &Rc<EventLoop>, plan: Plan, open_max: usize) -> Ground {
    let (sender, inbox) = unbounded_channel();
    let (mailboxes, master) = (Mailboxes::new(vec![sender]), Arc::new(FakeMaster::default()));
    let mut builder = RulesBuilder::new(mailboxes.clone(), master.clone(), (1, Some(0)));
    let rules = Arc::new(builder.rules(plan, 1, Vec::new()).unwrap());
    let apps = AppState::new(event_loop.clone(), master.clone(), Arc::new(mailboxes.clone())).unwrap();
    let state = Rc::new(LoopState::new(event_loop.clone(), rules, Rc::new(apps)));
    let beats = Arc::new(Beats::map(Beats::create(2).unwrap(), 2).unwrap());
    let door = Door::new(state, mailboxes, Rc::new(Pulse::begin(beats, 0)), open_max);
    Ground { door, builder, master, inbox }
}

fn listening() -> (SocketAddr, Listen, OwnedFd) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, Listen::Tcp(address), listener.into())
}

impl Ground {
    /// Goes by this plan, with these further sockets.
    fn adopt(&mut self, plan: Plan, serial: u32, sockets: Vec<Bound>) {
        let rules = self.builder.rules(plan, serial, Vec::new()).unwrap();
        self.door.adopt(Arc::new(rules), sockets);
    }
}

/// An answer whose body is one word.
async fn hear(stream: &mut (impl AsyncReadExt + Unpin), word: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(format!("\r\n\r\n{word}").as_bytes()) {
        heard.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(heard).unwrap()
}

#[test]
fn connections_at_an_address_are_served_by_the_plan_of_the_moment() {
    on_loop(async |event_loop| {
        let (address, at, socket) = listening();
        let mut ground = ground(&event_loop, plan("none", None), 9);
        ground.adopt(plan("one", Some(&at)), 2, vec![Bound { at: at.clone(), socket: Socket::Tcp(socket) }]);
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        hear(&mut client, "one").await;
        ground.adopt(plan("two", Some(&at)), 3, Vec::new());
        client.write_all(REQUEST).await.unwrap();
        assert!(!hear(&mut client, "two").await.contains("Connection: close"), "a connection outlives its plan");
        let mut told = ground.master.told();
        told.sort();
        assert_eq!(told, ["adopted 2", "adopted 3", "over 1", "over 2"]);
        drop(client);
        until(|| ground.door.open.get() == 0).await;
        assert!(matches!(ground.inbox.recv().await, Some(Message::Emptied)));
    });
}

#[test]
fn an_address_that_a_plan_does_not_have_takes_nobody_and_ends_its_connections_kindly() {
    on_loop(async |event_loop| {
        let (address, at, socket) = listening();
        let mut ground = ground(&event_loop, plan("none", None), 9);
        ground.adopt(plan("one", Some(&at)), 2, vec![Bound { at, socket: Socket::Tcp(socket) }]);
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        hear(&mut client, "one").await;
        ground.adopt(plan("two", None), 3, Vec::new());
        while TcpStream::connect(address).await.is_ok() {
            settle().await;
        }
        client.write_all(REQUEST).await.unwrap();
        assert!(hear(&mut client, "two").await.contains("Connection: close"));
    });
}

#[test]
fn as_many_as_there_is_room_for_are_let_in_and_the_next_when_one_leaves() {
    on_loop(async |event_loop| {
        let (address, at, socket) = listening();
        let mut ground = ground(&event_loop, plan("none", None), 1);
        ground.adopt(plan("one", Some(&at)), 2, vec![Bound { at, socket: Socket::Tcp(socket) }]);
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        hear(&mut first, "one").await;
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        settle().await;
        assert_eq!(ground.door.open.get(), 1);
        drop(first);
        hear(&mut second, "one").await;
    });
}

#[test]
fn who_comes_by_a_socket_that_all_loops_share_is_dealt_out() {
    on_loop(async |event_loop| {
        let folder = std::env::temp_dir().join(format!("hallway-door-{}", std::process::id()));
        let _ = std::fs::remove_file(&folder);
        let listener = std::os::unix::net::UnixListener::bind(&folder).unwrap();
        let at = Listen::Unix(folder.clone());
        let mut ground = ground(&event_loop, plan("none", None), 9);
        let bound = Bound { at: at.clone(), socket: Socket::UnixShared(listener.into()) };
        ground.adopt(plan("one", Some(&at)), 2, vec![bound]);
        let mut client = UnixStream::connect(&folder).await.unwrap();
        std::fs::remove_file(&folder).unwrap();
        let Some(Message::Connection(at, accepted)) = ground.inbox.recv().await else { panic!("nobody was dealt") };
        ground.door.let_in_accepted(&at, accepted);
        client.write_all(REQUEST).await.unwrap();
        assert!(!hear(&mut client, "one").await.contains("Connection: close"));
    });
}

#[test]
fn who_was_dealt_while_the_address_went_is_served_once() {
    on_loop(async |event_loop| {
        let ground = ground(&event_loop, plan("one", None), 9);
        let (client, server) = std::os::unix::net::UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        ground.door.let_in_accepted(&Listen::Unix("/gone".into()), Accepted::Unix(server));
        let mut client = UnixStream::from_std(client).unwrap();
        client.write_all(REQUEST).await.unwrap();
        assert!(hear(&mut client, "one").await.contains("Connection: close"));
    });
}
