//! In:     parcels of every event loop; workers that come, become free and leave.
//! Out:    parcels in the lanes of workers, in the order in which they came.
//! Actors: every event loop, for about a microsecond each.
//! Never:  is the lock held while anything is waited for, or a worker woken.

use crate::handlers::app::app_facts::AppFacts;
use crate::handlers::app::lane::{Lane, NotSent};
use crate::handlers::app::parcel::Parcel;
use crate::handlers::app::sent_files::SentFiles;
use crate::handlers::app::siblings::Siblings;
use hallway_core::Fault;
use hallway_core::lane::{Desk, Given, Placed};
use hallway_core::plan::App;
use hallway_core::ports::Master;
use hallway_net::file::pools::FilePools;
use hallway_net::runtime::thread_pool::ThreadPool;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Threads that wait for the files of one app.
const FILE_THREADS_MAX: usize = 4;

const UNSENDABLE: Fault = Fault::Internal("The request could not be handed to a worker.");

type OneDesk = Desk<Arc<Lane>, Arc<Parcel>>;
type GivenParcel = Given<Arc<Lane>, Arc<Parcel>>;

/// Slots and queue of an application. Shared by all event loops, and by all plans that have the application.
pub(crate) struct AppDesk {
    pub(crate) app: Arc<AppFacts>,
    /// Whether no worker of it could be started.
    is_down: AtomicBool,
    desk: Mutex<OneDesk>,
    sent_files: SentFiles,
    siblings: Arc<dyn Siblings>,
    master: Arc<dyn Master>,
    beginning: Instant,
}

/// A worker that has to be woken once the lock is free.
type ToWake = Option<Arc<Lane>>;

impl AppDesk {
    /// A desk without workers.
    ///
    /// # Errors
    /// Those of starting a thread.
    pub(crate) fn new(
        app: &App,
        pools: &Arc<FilePools>,
        siblings: Arc<dyn Siblings>,
        master: Arc<dyn Master>,
        beginning: Instant,
    ) -> io::Result<Self> {
        let desk = Mutex::new(Desk::new(app.queue_size));
        let is_down = AtomicBool::new(false);
        let threads = ThreadPool::new(format!("{}: files that it sends", app.name), 1, FILE_THREADS_MAX);
        let sent_files = SentFiles::start(siblings.clone(), threads, pools.clone())?;
        let app = Arc::new(AppFacts::new(app));
        Ok(AppDesk { app, is_down, desk, sent_files, siblings, master, beginning })
    }

    /// Where files of its workers are taken.
    pub(super) fn sent_files(&self) -> &SentFiles {
        &self.sent_files
    }

    /// What the lane of a worker is to have of it.
    pub(crate) fn of_lanes(&self) -> (Arc<AppFacts>, &SentFiles) {
        (self.app.clone(), &self.sent_files)
    }

    /// The application has other settings from now on.
    pub(crate) fn renew(&self, app: &App) {
        self.app.renew(app);
        self.lock().resize(app.queue_size);
    }

    /// A worker said hello.
    pub(crate) fn join(&self, lane: &Arc<Lane>) {
        let (mut desk, now_us) = (self.lock(), self.now_us());
        self.is_down.store(false, Ordering::Relaxed);
        desk.join((lane.worker, lane.clone()), lane.slots, now_us);
        self.give_all(desk, lane, now_us);
    }

    /// There is room in the lane to a worker, which it had not before.
    pub(crate) fn has_room(&self, lane: &Lane) {
        let (mut desk, now_us) = (self.lock(), self.now_us());
        desk.has_room(lane.worker);
        self.give_all(desk, lane, now_us);
    }

    /// Gives a worker what it takes of all that waits. One after the other: what finds no room is the first again.
    fn give_all(&self, mut desk: MutexGuard<'_, OneDesk>, lane: &Lane, now_us: u64) {
        let mut woken = Vec::new();
        while let Some(given) = desk.next(lane.worker, now_us, &mut withdraw) {
            woken.push(self.hand(&mut desk, given, now_us));
        }
        drop(desk);
        woken.into_iter().for_each(wake);
    }

    /// A request wants a worker; whether one has it.
    pub(crate) fn place(&self, parcel: Arc<Parcel>) -> Result<bool, Fault> {
        let (mut desk, now_us) = (self.lock(), self.now_us());
        let ticket = parcel.ticket;
        match desk.place(ticket, parcel, now_us) {
            Placed::With(given) => {
                let woken = self.hand(&mut desk, given, now_us);
                drop(desk);
                wake(woken);
                Ok(true)
            }
            Placed::Queued if self.is_down.load(Ordering::Relaxed) && desk.withdraw(ticket, &mut withdraw) => {
                Err(Fault::AppDown)
            }
            Placed::Queued => Ok(false),
            Placed::Full(_) => Err(Fault::QueueFull),
        }
    }

    /// A request wants another worker because its first one is gone; it goes before all others.
    pub(crate) fn place_again(&self, parcel: Arc<Parcel>) {
        parcel.take_back();
        let (mut desk, now_us) = (self.lock(), self.now_us());
        let ticket = parcel.ticket;
        if let Placed::With(given) = desk.place_again(ticket, parcel, now_us) {
            let woken = self.hand(&mut desk, given, now_us);
            drop(desk);
            wake(woken);
        } else if self.is_down.load(Ordering::Relaxed) && desk.withdraw(ticket, &mut withdraw) {
            self.siblings.refuse(ticket, Fault::AppDown);
        }
    }

    /// No worker could be started: whatever waits is told so, and whatever comes, until one says hello.
    pub(crate) fn answer_for(&self) {
        let mut desk = self.lock();
        // One may have said hello since the order was given.
        if !desk.is_served() {
            self.is_down.store(true, Ordering::Relaxed);
            desk.give_up().iter().for_each(|parcel| self.siblings.refuse(parcel.ticket, Fault::AppDown));
        }
    }

    /// A worker has answered.
    pub(crate) fn freed(&self, lane: &Lane) {
        let (mut desk, now_us) = (self.lock(), self.now_us());
        let freed = desk.freed(lane.worker, lane.ahead_max(), now_us, &mut withdraw);
        if let Some(begun) = freed.begun {
            begun.note_begun(now_us);
        }
        if let Some(given) = freed.given {
            let woken = self.hand(&mut desk, given, now_us);
            drop(desk);
            wake(woken);
        }
    }

    /// A request gives up; whether no worker has begun it.
    pub(crate) fn withdraw(&self, ticket: u64) -> bool {
        self.lock().withdraw(ticket, &mut withdraw)
    }

    /// A worker gets nothing more.
    pub(crate) fn close(&self, worker: u32) {
        self.lock().close(worker);
    }

    /// A worker is gone.
    pub(crate) fn leave(&self, worker: u32) {
        self.lock().leave(worker);
    }

    /// Hands a parcel over; where the worker turns out to be gone, to the next. Whom to wake for it.
    fn hand(&self, desk: &mut OneDesk, given: GivenParcel, now_us: u64) -> ToWake {
        let mut next = Some(given);
        while let Some(Given { reach: lane, parcel, begins }) = next.take() {
            match parcel.hand_to(&lane, begins.then_some(now_us.max(1))) {
                Ok(wakes) => {
                    // The loop that owns this request may have buried the lane, and looked for its
                    // requests there, just before this one was in it: have it look again.
                    if lane.is_dead() {
                        self.siblings.lane_lost(parcel.ticket, lane.worker);
                    }
                    return wakes.then_some(lane);
                }
                Err(NotSent::Gone) => {}
                Err(NotSent::Full) if !begins => {
                    desk.put_back(lane.worker, parcel.ticket);
                    return None;
                }
                // The worker says when there is some.
                Err(NotSent::Full) => {
                    if let Placed::With(given) = desk.lacks_room(lane.worker, (parcel.ticket, parcel), now_us) {
                        next = Some(given);
                    }
                    continue;
                }
                // Another worker could do no better, and this one has done nothing wrong.
                Err(NotSent::Unsendable) => {
                    self.siblings.refuse(parcel.ticket, UNSENDABLE);
                    next = desk.freed(lane.worker, lane.ahead_max(), now_us, &mut withdraw).given;
                    continue;
                }
                // It has not seen the request, which another one may take.
                Err(NotSent::Failed) => self.master.worker_is_overdue(lane.worker),
            }
            desk.leave(lane.worker);
            if let Placed::With(given) = desk.place_again(parcel.ticket, parcel, now_us) {
                next = Some(given);
            }
        }
        None
    }

    fn now_us(&self) -> u64 {
        self.beginning.elapsed().as_micros() as u64
    }

    fn lock(&self) -> MutexGuard<'_, OneDesk> {
        // A panic ends the process (see `threads`), so a poisoned lock is never seen.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn withdraw(_: &Arc<Lane>, parcel: &Arc<Parcel>) -> bool {
    parcel.withdraw()
}

fn wake(lane: ToWake) {
    if let Some(lane) = lane {
        lane.wake();
    }
}
