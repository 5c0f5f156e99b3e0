//! In:     workers that a test plays by their ends of the lanes, honest ones and others; clients that take nothing.
//! Out:    what the edge promises of lanes: who waits for whom, and who is ended.
//! Actors: one event loop that a test turns by hand; a master and siblings that only hear.
//! Never:  does a test wait for time.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use super::calls::{OpenCall, ResponseStream};
use super::dispatcher::AppDesk;
use super::inbox::{after_sleep, serve_hooks};
use super::lane::Lane;
use super::outbounds::Worker;
use super::parcel::Parcel;
use super::siblings::{AppMessage, Siblings};
use super::state::AppState;
use hallway_core::lane::{
    CREDIT_BYTES, FRAME_BYTES_MAX, PIECE_BYTES_MAX, frames_max, has_credit, mark_last, put_answer_start, put_hello,
    put_piece, put_room,
};
use hallway_core::plan::App;
use hallway_core::ports::Master;
use hallway_net::file::stored::StoredFile;
use hallway_net::runtime::event_loop::EventLoop;
use hallway_ring::{Bell, Memory, Receiver, Sender, Shape, create, receive_file};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// What the master and other loops were told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    /// All of it, since this was asked last.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Master for Told {
    fn edge_is_ready(&self) {}
    fn worker_is_overdue(&self, worker: u32) {
        self.note(format!("{worker} is overdue"));
    }
    fn worker_is_stuck(&self, worker: u32) {
        self.note(format!("{worker} is stuck"));
    }
    fn worker_has_joined(&self, _: u32) {}
    fn worker_has_served(&self, _: u32) {}
    fn worker_is_leaving(&self, _: u32) {}
    fn plan_is_adopted(&self, _: u32) {}
    fn plan_is_over(&self, _: u32) {}
    fn edge_has_drained(&self) {}
}

impl Siblings for Told {
    fn tell(&self, _: usize, message: AppMessage) {
        if let AppMessage::Refused(ticket, fault) = message {
            self.note(format!("{ticket} is refused: {fault:?}"));
        }
    }

    fn count(&self) -> usize {
        1
    }
}

/// An event loop with one app.
struct Play {
    apps: Rc<AppState>,
    desk: Arc<AppDesk>,
    told: Arc<Told>,
}

/// Runs a test on an event loop.
fn play(test: impl AsyncFnOnce(Play)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (event_loop, told) = (EventLoop::alone().unwrap(), Arc::<Told>::default());
        // What is not taken by a client has no file to wait in.
        event_loop.spool.resize(Some(0));
        let pools = event_loop.file_threads.clone();
        let app = App::new("app", "app:app".into(), 1);
        let desk = AppDesk::new(&app, &pools, told.clone(), told.clone(), std::time::Instant::now()).unwrap();
        let apps = Rc::new(AppState::new(event_loop, told.clone(), told.clone()).unwrap());
        serve_hooks(Some(apps.clone()));
        test(Play { apps, desk: Arc::new(desk), told }).await;
        serve_hooks(None);
    });
}

impl Play {
    /// A worker that has said hello.
    fn worker(&self, number: u32, slots: u32) -> Played {
        let shape = Shape::new(FRAME_BYTES_MAX, frames_max(slots), slots as usize, 1);
        let file = create(shape).unwrap();
        let memory = Arc::new(Memory::map(&file, shape).unwrap());
        let (edge, socket) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let lane = Arc::new(Lane::new((number, 1, slots), self.desk.of_lanes(), 1, (edge, &file)).unwrap());
        let worker = Arc::new(Worker { lane, desk: self.desk.clone() });
        self.apps.outbounds.add(0, worker, OwnedFd::from(Bell::create().unwrap())).unwrap();
        let (inbound, outbound) = (Receiver::new(memory.clone(), 0), Sender::new(memory.clone(), 1));
        let mut played = Played { memory, inbound, outbound, socket };
        played.send(put_hello);
        self.turn();
        played
    }

    /// A request, whose frame is its ticket.
    fn ask(&self, body: &[u8]) -> OpenCall {
        self.ask_with(body, None).0
    }

    fn ask_with(&self, body: &[u8], file: Option<Arc<StoredFile>>) -> (OpenCall, Arc<Parcel>) {
        let call = self.apps.calls.open().unwrap();
        let ticket = call.ticket();
        let parcel = Arc::new(Parcel::new(ticket, ticket.to_le_bytes().to_vec(), body.to_vec(), file));
        call.carry(&parcel);
        call.place(&self.desk, parcel.clone()).unwrap();
        (call, parcel)
    }

    /// Takes what workers have sent.
    fn turn(&self) {
        after_sleep();
    }
}

/// The other end of a lane.
struct Played {
    memory: Arc<Memory>,
    inbound: Receiver,
    outbound: Sender,
    socket: OwnedFd,
}

impl Played {
    fn send(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = Vec::new();
        put(&mut frame);
        self.outbound.send(&[&frame]).unwrap();
    }

    fn start(&mut self, call: (u64, u16), is_last: bool) {
        self.send(|frame| {
            put_answer_start(frame, call, (200, b"OK"), 0);
            if is_last {
                mark_last(frame, true);
            }
        });
    }

    fn piece(&mut self, ticket: u64, bytes: usize) {
        self.send(|frame| {
            put_piece(frame, ticket);
            frame.resize(frame.len() + bytes, b'x');
        });
    }

    /// The ticket of the next request, if there is one. Room is told as the extension does it.
    fn begin(&mut self) -> Option<u64> {
        let frame = self.inbound.begin_next().unwrap();
        let ticket = frame.and_then(|frame| self.inbound.bytes(frame).first_chunk().copied().map(u64::from_le_bytes));
        if self.inbound.release() {
            self.send(put_room);
        }
        ticket
    }

    fn granted(&self, call: (u64, u16)) -> u64 {
        Sender::granted(&self.memory, 1, (call.1, call.0))
    }
}

/// What comes of this without anybody else having a turn.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// Sends pieces of an answer for as long as there is credit; how many bytes.
fn send_all(play: &Play, worker: &mut Played, call: (u64, u16), mut sent: u64) -> u64 {
    let (piece, most) = (PIECE_BYTES_MAX as u64, sent + 4 * CREDIT_BYTES);
    while has_credit(sent + piece, worker.granted(call)) {
        worker.piece(call.0, PIECE_BYTES_MAX);
        sent += piece;
        assert!(sent < most, "what nobody takes comes without an end");
        play.turn();
    }
    sent
}

#[test]
fn a_call_without_room_holds_up_no_other_one_of_its_worker() {
    play(async |play| {
        let mut worker = play.worker(1, 2);
        let (slow, quick) = (play.ask(b""), play.ask(b""));
        let stream = (slow.ticket(), 0);
        worker.start(stream, false);
        let sent = send_all(&play, &mut worker, stream, 0);
        assert!((CREDIT_BYTES..=2 * CREDIT_BYTES).contains(&sent), "{sent} bytes wait in memory");
        worker.start((quick.ticket(), 1), true);
        play.turn();
        assert!(now(quick.head()).is_some_and(|head| head.is_ok()), "it waits for the client of another call");
        assert!(!has_credit(sent + PIECE_BYTES_MAX as u64, worker.granted(stream)), "there is no room yet");
        // The client takes all of it: its worker is told so.
        assert!(now(slow.head()).unwrap().is_ok());
        let mut answer = ResponseStream(slow);
        let mut taken = 0;
        while let Some(Ok((piece, false))) = now(answer.next()) {
            taken += piece.len();
        }
        assert_eq!(taken, sent);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let more = send_all(&play, &mut worker, stream, sent);
        assert!(more >= sent + CREDIT_BYTES, "{more} after {sent}");
        assert_eq!(play.told.take(), [""; 0]);
    });
}

#[test]
fn a_worker_that_waits_for_credit_of_an_answer_that_nobody_wants_goes_on() {
    play(async |play| {
        let mut worker = play.worker(1, 1);
        let call = play.ask(b"");
        let stream = (call.ticket(), 0);
        worker.start(stream, false);
        let sent = send_all(&play, &mut worker, stream, 0);
        drop(call);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        // It may go on, and hears that it need not.
        assert!(has_credit(sent + PIECE_BYTES_MAX as u64, worker.granted(stream)));
        assert_eq!(worker.outbound.note(hallway_core::lane::cancel_note(stream.0)), stream.0);
    });
}

#[test]
fn who_sends_what_it_was_not_granted_breaks_its_own_lane() {
    type Lie = fn(&Play, &mut Played, u64);
    let lies: [(&str, Lie); 6] = [
        ("without regard", |_, worker, ticket| {
            worker.start((ticket, 0), false);
            (0..6).for_each(|_| worker.piece(ticket, PIECE_BYTES_MAX));
            worker.piece(ticket, 100_000);
        }),
        ("one byte", |play, worker, ticket| {
            worker.start((ticket, 0), false);
            let sent = send_all(play, worker, (ticket, 0), 0);
            worker.piece(ticket, (worker.granted((ticket, 0)) - sent + 1) as usize);
        }),
        ("credit of its own making", |play, worker, ticket| {
            worker.start((ticket, 0), false);
            let sent = send_all(play, worker, (ticket, 0), 0);
            worker.memory.grant(1, (0, ticket), u64::MAX);
            assert!(has_credit(sent + 1, worker.granted((ticket, 0))));
            worker.piece(ticket, FRAME_BYTES_MAX - 100);
            worker.piece(ticket, FRAME_BYTES_MAX - 100);
        }),
        ("a stream that there is not", |_, worker, ticket| worker.start((ticket, 2), false)),
        ("a stream far away", |_, worker, ticket| worker.start((ticket, u16::MAX), true)),
        ("room that nobody waits for", |_, worker, _| worker.send(put_room)),
    ];
    for (name, lie) in lies {
        play(async |play| {
            let (mut liar, mut honest) = (play.worker(1, 2), play.worker(2, 2));
            // Who is free for longest is the first.
            let (lost, kept) = (play.ask(b""), play.ask(b""));
            assert_eq!((liar.begin(), honest.begin()), (Some(lost.ticket()), Some(kept.ticket())));
            lie(&play, &mut liar, lost.ticket());
            play.turn();
            assert_eq!(play.told.take(), ["1 is overdue"], "{name}");
            assert!(play.apps.outbounds.worker(1).is_none(), "{name}");
            honest.start((kept.ticket(), 1), true);
            play.turn();
            assert!(now(kept.head()).is_some_and(|head| head.is_ok()), "{name}");
            assert_eq!(play.told.take(), [""; 0], "{name}");
        });
    }
}

#[test]
fn two_answers_under_one_number_are_the_affair_of_their_worker() {
    play(async |play| {
        let mut worker = play.worker(1, 2);
        let calls = [play.ask(b""), play.ask(b"")];
        for call in &calls {
            worker.start((call.ticket(), 0), false);
        }
        for call in &calls {
            for _ in 0..3 {
                worker.piece(call.ticket(), PIECE_BYTES_MAX);
            }
        }
        play.turn();
        // Each has what it was granted, whatever of that can be read.
        assert_eq!(play.told.take(), [""; 0]);
        assert_eq!((worker.granted((calls[0].ticket(), 0)), worker.granted((calls[1].ticket(), 0)) > 0), (0, true));
    });
}

#[test]
fn a_full_lane_with_free_slots_keeps_requests_at_the_desk_in_their_order() {
    play(async |play| {
        let mut worker = play.worker(1, 200);
        let calls: Vec<OpenCall> = (0..150).map(|_| play.ask(&[b'u'; PIECE_BYTES_MAX])).collect();
        assert_eq!(play.told.take(), [""; 0], "nobody is ended or refused");
        let mut begun = Vec::new();
        while let Some(ticket) = worker.begin() {
            begun.push(ticket);
            play.turn();
        }
        let tickets: Vec<u64> = calls.iter().map(OpenCall::ticket).collect();
        assert_eq!(begun, tickets);
        // Answers are no room: nothing is told twice.
        for ticket in begun {
            worker.start((ticket, 0), true);
        }
        play.turn();
        assert_eq!(play.told.take(), [""; 0]);
    });
}

#[test]
fn without_room_in_one_lane_requests_go_to_another_worker() {
    play(async |play| {
        let (mut first, mut second) = (play.worker(1, 100), play.worker(2, 100));
        let calls: Vec<OpenCall> = (0..2).map(|_| play.ask(&[b'u'; PIECE_BYTES_MAX])).collect();
        assert_eq!((first.begin(), second.begin()), (Some(calls[0].ticket()), Some(calls[1].ticket())));
        // The first one takes nothing more; the second one takes what comes.
        let more: Vec<OpenCall> = (0..150)
            .map(|_| {
                let call = play.ask(&[b'u'; PIECE_BYTES_MAX]);
                while second.begin().is_some() {}
                play.turn();
                call
            })
            .collect();
        let mut of_first = 0;
        while first.begin().is_some() {
            of_first += 1;
        }
        let fit = frames_max(100) * FRAME_BYTES_MAX / PIECE_BYTES_MAX;
        assert!((fit - 2..=fit + 2).contains(&of_first), "{of_first} of {fit} were in the lane of the first");
        assert!(more.iter().all(|call| !call.withdraw(&play.desk)), "none waits at the desk");
        assert_eq!(play.told.take(), [""; 0]);
    });
}

#[test]
fn room_of_what_was_taken_back_is_room() {
    play(async |play| {
        let mut worker = play.worker(1, 60);
        let asked: Vec<_> = (0..40).map(|_| play.ask_with(&[b'u'; FRAME_BYTES_MAX - 8], None)).collect();
        // All that is in the lane, and none of what waits at the desk.
        let taken_back = asked.iter().filter(|(_, parcel)| parcel.withdraw()).count();
        assert!((20..30).contains(&taken_back), "{taken_back} were in the lane");
        // The worker finds nothing, and passes over it.
        assert_eq!(worker.begin(), None);
        play.turn();
        assert_eq!(worker.begin(), Some(asked[taken_back].0.ticket()));
        assert_eq!(play.told.take(), [""; 0]);
    });
}

#[test]
fn a_file_goes_to_the_lane_that_has_room_for_its_request() {
    play(async |play| {
        let mut worker = play.worker(1, 100);
        let fitting: Vec<OpenCall> = (0..70).map(|_| play.ask(&[b'u'; PIECE_BYTES_MAX])).collect();
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let file = Arc::new(StoredFile::of_spool(file, play.apps.event_loop.spool.threads(), || ()));
        let (upload, _) = play.ask_with(b"", Some(file));
        assert!(receive_file(&worker.socket).is_none(), "its request waits at the desk");
        for call in &fitting {
            assert_eq!(worker.begin(), Some(call.ticket()));
            play.turn();
        }
        assert_eq!(worker.begin(), Some(upload.ticket()));
        assert!(receive_file(&worker.socket).is_some_and(|(ticket, file)| ticket == upload.ticket() && file.is_some()));
        assert_eq!(play.told.take(), [""; 0]);
    });
}
