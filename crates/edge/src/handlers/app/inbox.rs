//! In:     the rings that workers fill for this event loop.
//! Out:    their frames, taken whenever the loop has nothing else to do, and before it sleeps.
//! Actors: the event loop, in the hooks around its sleep; one task for each call whose client is slow.
//! Never:  does the loop sleep while a frame is there, a worker ring for one that is awake, or a call without room hold up
//!         another one of its worker.

use crate::handlers::app::call::Call;
use crate::handlers::app::frames;
use crate::handlers::app::frames::Taken;
use crate::handlers::app::lane::Lane;
use crate::handlers::app::outbounds::{Next, Worker};
use crate::handlers::app::siblings::{AppMessage, SentFile};
use crate::handlers::app::state::AppState;
use hallway_core::Fault;
use hallway_core::lane::FRAME_BYTES_MAX;
use hallway_net::body::piece::Piece;
use std::cell::RefCell;
use std::rc::Rc;

/// How often what came while the loop lay down is taken before it looks after its sockets again.
const ROUNDS_MAX: usize = 8;

/// Frames of one worker that are taken before others have their turn. All that wait for an honest one come to fewer.
const FRAMES_MAX: usize = 256;
/// Frames that a ring holds at most: what a worker that has ended may still have said.
const FRAMES_OF_RING: usize = 2 * (FRAME_BYTES_MAX + 8).next_power_of_two() / 24;

thread_local! {
    /// The apps of this thread's event loop, for the hooks, which get no argument.
    static APPS: RefCell<Option<Rc<AppState>>> = const { RefCell::new(None) };
}

/// Has the hooks of this thread work for this apps; for none, when its loop ends.
pub(crate) fn serve_hooks(apps: Option<Rc<AppState>>) {
    APPS.set(apps);
}

/// To be called before the event loop sleeps: it takes what is there, and declares its sleep only
/// when there is nothing.
pub(crate) fn before_sleep() {
    with_apps(|apps| {
        for _ in 0..ROUNDS_MAX {
            if take_all(apps) {
                break;
            }
            if apps.outbounds.lie_down() {
                return;
            }
        }
        // They send faster than this loop takes: it serves others in between.
        apps.outbounds.stay_awake();
    });
}

/// To be called when the event loop woke up.
pub(crate) fn after_sleep() {
    with_apps(|apps| {
        apps.outbounds.rise();
        take_all(apps);
    });
}

fn with_apps(act: impl FnOnce(&Rc<AppState>)) {
    APPS.with_borrow(|apps| {
        if let Some(apps) = apps {
            act(apps);
        }
    });
}

/// Takes the frames of all workers; whether some of one were left.
fn take_all(apps: &Rc<AppState>) -> bool {
    let (mut at, mut has_left) = (0, false);
    while let Some(worker) = apps.outbounds.number(at) {
        let outcome = take_from(apps, worker);
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

/// Takes frames of one worker, in their order, until it is another worker's turn.
fn take_from(apps: &Rc<AppState>, number: u32) -> Outcome {
    let mut count = 0;
    let mut outcome = Outcome::Taken(0);
    let mut frame = apps.outbounds.take_frame();
    while count < FRAMES_MAX {
        let taken = match apps.outbounds.next(number, &mut frame) {
            Next::Frame(worker) => {
                count += 1;
                outcome = Outcome::Taken(count);
                let taken = frames::take(apps, &worker, &mut frame);
                (worker, taken)
            }
            Next::None => break,
            Next::Broken(worker) => (worker, Taken::Broken),
        };
        match taken {
            (_, Taken::Fully) => {}
            (_, Taken::NoRoomFor(call)) => {
                tokio::task::spawn_local(make_room(apps.clone(), number, call));
            }
            (worker, Taken::Broken) => {
                break_off(apps, &worker);
                outcome = Outcome::Broken;
                break;
            }
        }
    }
    apps.outbounds.release(number);
    apps.outbounds.give_frame(frame);
    outcome
}

/// Has nothing more to do with a worker that lies.
fn break_off(apps: &AppState, worker: &Worker) {
    let lane = &worker.lane;
    if !lane.is_dead() {
        apps.event_loop.report(&format!("{}: worker {} broke its lane and is replaced", lane.app.name, lane.pid));
        apps.master.worker_is_overdue(lane.worker);
    }
    bury(apps, worker);
}

/// Has a worker go on with an answer when its client, or a file, has taken enough of it.
async fn make_room(apps: Rc<AppState>, worker: u32, call: Rc<Call>) {
    call.body().make_room().await;
    call.note_room();
    if let Some(worker) = apps.outbounds.worker(worker) {
        frames::go_on(&apps, &worker, &call);
    }
}

/// Takes news of other loops, and of the threads that take files.
pub(crate) fn hear(apps: &Rc<AppState>, message: AppMessage) {
    match message {
        AppMessage::LaneLost(worker) => apps.calls.lose(worker),
        AppMessage::Gone(worker) => end(apps, worker),
        AppMessage::Refused(ticket, fault) => apps.calls.refuse(ticket, fault),
        AppMessage::File(ticket, file) => end_with_file(apps, ticket, file),
    }
}

/// A worker has ended: what it sent before is taken, then its calls end. One that only says so may go on sending.
fn end(apps: &Rc<AppState>, number: u32) {
    let mut left = FRAMES_OF_RING;
    while let Some(worker) = apps.outbounds.worker(number) {
        match take_from(apps, number) {
            Outcome::Taken(count) if count > 0 && left > count => left -= count,
            _ => bury(apps, &worker),
        }
    }
}

fn bury(apps: &AppState, worker: &Worker) {
    let number = worker.lane.worker;
    worker.lane.bury();
    apps.outbounds.remove(number);
    worker.desk.leave(number);
    apps.calls.lose(number);
}

/// The file has come with which an answer ends, or what the worker sent instead.
fn end_with_file(apps: &AppState, ticket: u64, sent: SentFile) {
    // One that has expired is not there any more.
    let awaited = apps.calls.awaited(ticket);
    let end = match (sent, &awaited) {
        (SentFile::Nothing(worker), _) => {
            apps.outbounds.worker(worker).iter().for_each(|worker| break_off(apps, worker));
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
        call.note_progress(apps.event_loop.clock.coarse_ms());
        apps.calls.end(&call, end);
    }
}

/// Ends workers that a call waits for in vain: for a next piece, for the end of what nobody wants
/// any more, or for what they do after an answer.
pub(crate) fn end_stuck(apps: &AppState) {
    let now_ms = apps.event_loop.clock.coarse_ms();
    let before_ms = |lane: &Lane| {
        let timeout_ms = lane.app.timeout_ms();
        now_ms.checked_sub(timeout_ms).filter(|_| timeout_ms > 0)
    };
    for stuck in apps.calls.stuck(before_ms) {
        let seconds = stuck.app.timeout_ms() as f64 / 1000.0;
        apps.event_loop.report(&format!(
            "{}: worker {} sent nothing for {seconds} s in the middle of a request: it shows its stacks and is replaced",
            stuck.app.name, stuck.pid
        ));
        apps.end_worker(&stuck);
    }
}
