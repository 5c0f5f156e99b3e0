//! In:     the rings that workers fill for this event loop.
//! Out:    their frames, taken whenever the loop has nothing else to do, and before it sleeps.
//! Actors: the event loop, in the hooks around its sleep; one task for each worker whose client is slow.
//! Never:  does the loop sleep while a frame is there, or a worker ring for one that is awake.

use crate::house::House;
use crate::lane::call::Call;
use crate::lane::frames::{self, Taken};
use crate::lane::inbound::Lane;
use crate::lane::sent_files::SentFile;
use crate::piece::Piece;
use crate::watched::watch;
use hallway_core::Fault;
use hallway_core::lane::{FRAME_BYTES_MAX, cancel_note};
use hallway_ring::{Bell, Receiver};
use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::unix::AsyncFd;

/// How often what came while the loop lay down is taken before it looks after its sockets again.
const ROUNDS_MAX: usize = 8;

/// Frames of one worker that are taken before others have their turn. All that wait for an honest one come to fewer.
const FRAMES_MAX: usize = 256;
/// Frames that a ring holds at most: what a worker that has ended may still have said.
const FRAMES_OF_RING: usize = 2 * (FRAME_BYTES_MAX + 8).next_power_of_two() / 24;

/// What workers tell this loop.
pub(crate) struct Outbounds {
    lanes: RefCell<Vec<Outbound>>,
    /// Ends the poll of this loop, which alone has it: a worker could fill a bell that it shares, or have it wait.
    own_bell: AsyncFd<OwnedFd>,
    frame: RefCell<Vec<u8>>,
    /// Whether workers were told that this loop sleeps.
    is_down: Cell<bool>,
}

struct Outbound {
    lane: Arc<Lane>,
    ring: Receiver,
    /// A call that has no room left for its answer; nothing is taken until it has.
    paused: bool,
    /// Registered with the poll, which a ring of it ends; that is all it is for.
    #[expect(dead_code, reason = "held, so that it is heard")]
    bell: AsyncFd<OwnedFd>,
}

thread_local! {
    /// The house of this thread's event loop, for the hooks, which get no argument.
    static HOUSE: RefCell<Option<Rc<House>>> = const { RefCell::new(None) };
}

/// Has the hooks of this thread work for this house; for none, when its loop ends.
pub(crate) fn serve_hooks(house: Option<Rc<House>>) {
    HOUSE.set(house);
}

/// To be called before the event loop sleeps: it takes what is there, and declares its sleep only
/// when there is nothing.
pub(crate) fn before_sleep() {
    with_house(|house| {
        for _ in 0..ROUNDS_MAX {
            if take_all(house) {
                break;
            }
            if house.outbounds.lie_down() {
                return;
            }
        }
        // They send faster than this loop takes: it serves others in between.
        house.outbounds.stay_awake();
    });
}

/// To be called when the event loop woke up.
pub(crate) fn after_sleep() {
    with_house(|house| {
        house.outbounds.rise();
        take_all(house);
    });
}

fn with_house(act: impl FnOnce(&Rc<House>)) {
    HOUSE.with_borrow(|house| {
        if let Some(house) = house {
            act(house);
        }
    });
}

/// Takes the frames of all workers; whether some of one were left.
fn take_all(house: &Rc<House>) -> bool {
    let (mut at, mut has_left) = (0, false);
    while let Some(worker) = house.outbounds.worker(at) {
        let outcome = take_from(house, worker);
        has_left |= outcome == Outcome::Taken(FRAMES_MAX);
        // One that is broken is gone from the list.
        at += usize::from(outcome != Outcome::Broken);
    }
    has_left
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// So many frames.
    Taken(usize),
    Broken,
}

/// Takes frames of one worker, in their order, until a call has no room for more or it is another worker's turn.
fn take_from(house: &Rc<House>, worker: u32) -> Outcome {
    let mut count = 0;
    let mut outcome = Outcome::Taken(0);
    let mut frame = house.outbounds.frame.take();
    while count < FRAMES_MAX {
        let taken = match house.outbounds.next(worker, &mut frame) {
            Next::Frame(lane) => {
                count += 1;
                outcome = Outcome::Taken(count);
                let taken = frames::take(house, &lane, &mut frame);
                (lane, taken)
            }
            Next::None => break,
            Next::Broken(lane) => (lane, Taken::Broken),
        };
        match taken {
            (_, Taken::Fully) => {}
            (lane, Taken::NoRoomFor(call)) => {
                house.outbounds.pause(worker, true);
                tokio::task::spawn_local(resume(house.clone(), lane, call));
                break;
            }
            (lane, Taken::Broken) => {
                break_off(house, &lane);
                outcome = Outcome::Broken;
                break;
            }
        }
    }
    house.outbounds.release(worker);
    house.outbounds.frame.replace(frame);
    outcome
}

/// Has nothing more to do with a worker that lies.
fn break_off(house: &House, lane: &Lane) {
    if !lane.is_dead() {
        house.log.error(&format!("{}: worker {} broke its lane and is replaced", lane.desk.name, lane.pid));
        house.master.worker_is_overdue(lane.worker);
    }
    bury(house, lane);
}

/// Goes on with a worker when the client of its call has taken enough.
async fn resume(house: Rc<House>, lane: Arc<Lane>, call: Rc<Call>) {
    call.body().make_room().await;
    house.outbounds.pause(lane.worker, false);
    take_from(&house, lane.worker);
}

/// A worker has ended: what it sent before is taken, then its calls end. One that only says so may go on sending.
pub(crate) fn end(house: &Rc<House>, worker: u32) {
    let mut left = FRAMES_OF_RING;
    while let Some(lane) = house.outbounds.lane(worker) {
        // What is left of a call without room is more than its client may ever take.
        house.outbounds.pause(worker, false);
        match take_from(house, worker) {
            Outcome::Taken(count) if count > 0 && left > count => left -= count,
            _ => bury(house, &lane),
        }
    }
}

fn bury(house: &House, lane: &Lane) {
    lane.bury();
    house.outbounds.lanes.borrow_mut().retain(|it| it.lane.worker != lane.worker);
    lane.desk.leave(lane.worker);
    house.calls.lose(lane.worker);
}

/// The file has come with which an answer ends, or what the worker sent instead.
pub(crate) fn end_with_file(house: &House, ticket: u64, sent: SentFile) {
    // One that has expired is not there any more.
    let awaited = house.calls.awaited(ticket);
    let end = match (sent, &awaited) {
        (SentFile::Nothing(lane), _) => {
            break_off(house, &lane);
            Err(Fault::WorkerLost)
        }
        (SentFile::Lost, _) => Err(Fault::Internal("An answer's file was lost: too many files are open.")),
        (SentFile::Plain(_, bytes), Some((_, part))) if part.end > bytes => {
            Err(Fault::BadAnswer("The application's file is shorter than the part of it that was to be sent."))
        }
        (SentFile::Plain(file, _), Some((call, part))) => {
            if !call.is_abandoned() {
                call.add(Piece::File { file, range: part.clone() });
            }
            Ok(())
        }
        (SentFile::Plain(..), None) => Ok(()),
    };
    if let Some((call, _)) = awaited {
        call.note_progress(house.clock.coarse_ms());
        house.calls.end(&call, end);
    }
}

enum Next {
    Frame(Arc<Lane>),
    None,
    Broken(Arc<Lane>),
}

impl Outbounds {
    /// Those of an event loop without workers. To be called on that loop.
    ///
    /// # Errors
    /// Those of `eventfd` and `epoll_ctl`.
    pub(crate) fn new() -> std::io::Result<Outbounds> {
        let own_bell = watch(OwnedFd::from(Bell::create()?))?;
        Ok(Outbounds { lanes: RefCell::default(), own_bell, frame: RefCell::default(), is_down: Cell::new(false) })
    }

    /// Begins to hear a worker. To be called on the event loop that this ring of it leads to.
    pub(crate) fn add(&self, thread: u16, lane: Arc<Lane>, bell: OwnedFd) -> std::io::Result<()> {
        let bell = watch(bell)?;
        let ring = Receiver::new(lane.memory.clone(), usize::from(thread) + 1);
        self.lanes.borrow_mut().push(Outbound { lane, ring, paused: false, bell });
        Ok(())
    }

    /// Tells a worker that nobody waits for this answer any more.
    pub(super) fn cancel(&self, worker: u32, ticket: u64) {
        if let Some(it) = self.lanes.borrow().iter().find(|it| it.lane.worker == worker) {
            it.ring.put_note(cancel_note(ticket), ticket);
        }
    }

    fn worker(&self, at: usize) -> Option<u32> {
        self.lanes.borrow().get(at).map(|it| it.lane.worker)
    }

    fn lane(&self, worker: u32) -> Option<Arc<Lane>> {
        self.lanes.borrow().iter().find(|it| it.lane.worker == worker).map(|it| it.lane.clone())
    }

    fn next(&self, worker: u32, frame: &mut Vec<u8>) -> Next {
        let mut lanes = self.lanes.borrow_mut();
        match lanes.iter_mut().find(|it| it.lane.worker == worker && !it.paused) {
            None => Next::None,
            Some(it) => match it.ring.copy_next(frame) {
                Ok(true) => Next::Frame(it.lane.clone()),
                Ok(false) => Next::None,
                Err(hallway_ring::Broken) => Next::Broken(it.lane.clone()),
            },
        }
    }

    fn release(&self, worker: u32) {
        if let Some(it) = self.lanes.borrow_mut().iter_mut().find(|it| it.lane.worker == worker) {
            it.ring.release();
        }
    }

    fn pause(&self, worker: u32, paused: bool) {
        if let Some(it) = self.lanes.borrow_mut().iter_mut().find(|it| it.lane.worker == worker) {
            it.paused = paused;
        }
    }

    /// Whether nothing came meanwhile, so that the loop may sleep.
    fn lie_down(&self) -> bool {
        self.is_down.set(true);
        self.lanes.borrow().iter().filter(|it| !it.paused).all(|it| it.ring.lie_down())
    }

    /// Has the poll end at once.
    fn stay_awake(&self) {
        // It can only fail when it was rung 2^64 times.
        let _ = rustix::io::write(self.own_bell.get_ref(), &1u64.to_ne_bytes());
    }

    fn rise(&self) {
        if self.is_down.replace(false) {
            self.lanes.borrow().iter().for_each(|it| it.ring.rise());
        }
    }
}
