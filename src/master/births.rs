//! Starts children.
//!
//! In:     commands of the supervisor; the plan.
//! Out:    an edge that has the plan, workers that have their environment.
//! Actors: the operating system.
//! Never:  does an edge have the plan before it is confined.

use super::news::say;
use super::vigil::Vigil;
use super::{BOOT, Hired, Master, downs, tell};
use crate::environment;
use crate::listen::Held;
use crate::machine::ThisMachine;
use hallway_config::settings::{FROM_PATH, Venvs, default_interpreter};
use hallway_core::control::{DESCRIPTORS_MAX, Order, Step};
use hallway_core::plan::App;
use hallway_core::supervise::{AppSettings, Child, Event, Place};
use hallway_workers::{Channel, Hiring, Spawned, spawn_edge, spawn_worker};
use rustix::fs::fstat;
use rustix::process::Signal;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::rc::Rc;

/// This program, as children are started from it.
pub(super) struct Program {
    path: PathBuf,
    file: File,
}

impl Program {
    /// The one that runs.
    ///
    /// # Errors
    /// It cannot be found.
    pub(super) fn of_process() -> Result<Program, String> {
        let failed = |error: io::Error| format!("this program cannot be found: {error}");
        let path = std::env::current_exe().map_err(failed)?;
        Ok(Program { file: File::open("/proc/self/exe").or_else(|_| File::open(&path)).map_err(failed)?, path })
    }

    /// Where it is. Once another version has taken its place, children are still of this one: both sides of a channel have
    /// to mean the same.
    pub(super) fn place(&self) -> PathBuf {
        let own = fstat(&self.file).ok().map(|own| (own.st_dev, own.st_ino));
        let there = std::fs::metadata(&self.path).ok().map(|there| (there.dev(), there.ino()));
        if own.is_none() || own == there {
            return self.path.clone();
        }
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

/// How far an edge is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Briefing {
    /// It gives up its rights, and has no plan yet. Whether it is to finish as soon as it has one.
    Confining { finishes: bool },
    /// It has the plan.
    Done,
}

impl Master {
    /// Starts an edge. What fails at once is news like any other.
    pub(super) fn start_edge(&mut self) -> Option<Event> {
        self.briefing = Briefing::Confining { finishes: false };
        self.edge_is_ready = false;
        let has_workers = !self.plan.apps.is_empty();
        let program = self.program.place();
        let vigil = Vigil::begin(self.now_ms(), &self.plan);
        match vigil.and_then(|vigil| {
            Ok((vigil, spawn_edge(&program, self.plan.user.as_ref(), has_workers, &self.relays.edge)?))
        }) {
            Ok((vigil, edge)) => (self.vigil, self.edge) = (Some(vigil), Some(edge)),
            Err(error) => {
                say(&format!("the edge could not be started from {}: {error}", program.display()));
                return Some(Event::Exited(Child::Edge, Some(1)));
            }
        }
        None
    }

    /// Gives the edge, which is confined now, the sockets and the plan.
    pub(super) fn brief_edge(&mut self) -> Vec<Event> {
        let Briefing::Confining { finishes } = self.briefing else { return Vec::new() };
        if let Err(error) = self.give_first_plan() {
            say(&format!("the edge cannot be given its plan: {error}; another one is started"));
            self.signal(Child::Edge, Signal::KILL);
            return Vec::new();
        }
        self.briefing = Briefing::Done;
        if finishes {
            self.finish_edge();
        }
        self.show_proposal();
        // It has never had a former one.
        self.former.clear();
        self.plan_is_over(self.serial)
    }

    /// Has the edge finish; one that has nothing yet does so when it has.
    pub(super) fn finish_edge(&mut self) {
        if let Briefing::Confining { finishes } = &mut self.briefing {
            *finishes = true;
            return;
        }
        self.listeners.close();
        self.edge.iter().for_each(|edge| tell(edge, Order::Finish, &[]));
    }

    /// The edge, where it has a plan.
    pub(super) fn briefed_edge(&self) -> Option<&Spawned> {
        self.edge.as_ref().filter(|_| self.briefing == Briefing::Done)
    }

    /// Starts a worker. What fails at once is news like any other.
    pub(super) fn start_worker(&mut self, worker: u32, place: Place) -> Option<Event> {
        let app = self.plan.apps.iter().find(|app| app.number == place.app).map(fitted)?;
        let app = Rc::new(self.noting(app));
        match self.hire(&app, place.number) {
            Ok((spawned, pipe)) => {
                let now_ms = self.now_ms();
                self.words.let_go(&app, |pid| self.workers.values().any(|hired| hired.spawned.pid == pid));
                self.words.add(&app, spawned.pid, pipe, now_ms);
                self.workers.insert(worker, Hired { app, spawned, unstarted: None });
            }
            Err(error) => {
                self.blame_start(&app, Step::Interpreter, &error);
                return Some(Event::Exited(Child::Worker(worker), Some(3)));
            }
        }
        None
    }

    /// Notes, and says where it is news, why a worker could not be started.
    pub(super) fn blame_start(&mut self, app: &App, step: Step, error: &io::Error) {
        let why = downs::explain_start(app, (step, error), &|key| self.named(key));
        let words = format!("{}: {why}", app.name);
        if self.downs.blame(app.number, why) {
            say(&words);
        }
    }

    fn hire(&mut self, app: &App, place: u32) -> io::Result<(Spawned, OwnedFd)> {
        if app.hindrance.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        let environment = environment::of_app(app, std::env::vars_os());
        let (program, extension) = (self.program.place(), self.extension.as_fd());
        let relays = self.relays.workers.entry(app.number).or_default();
        let hiring = Hiring { program: &program, boot: BOOT, extension, environment: &environment, relays };
        spawn_worker(hiring, app, place)
    }
}

/// Sends the edge sockets, as many as go with one message.
///
/// # Errors
/// Those of the channel.
pub(super) fn give_sockets<'a>(channel: &Channel, held: impl Iterator<Item = &'a Held>) -> io::Result<()> {
    let sockets: Vec<BorrowedFd<'_>> = held.flat_map(Held::sockets).collect();
    sockets.chunks(DESCRIPTORS_MAX).try_for_each(|some| channel.send(&Order::Sockets.encode(), some))
}

/// An app as it is started now: its virtual environment may have come since the file was read.
pub(super) fn fitted(app: &App) -> App {
    let mut app = app.clone();
    if app.python_origin == FROM_PATH {
        (app.python, app.python_origin) = default_interpreter(&ThisMachine, &app.chdir, Venvs::OwnFirst);
    }
    app
}

/// What the supervisor has to know of an app.
pub(super) fn settings_of(app: &App) -> AppSettings {
    AppSettings { workers: app.workers, timeout_ms: app.timeout_ms, graceful_timeout_ms: app.graceful_timeout_ms }
}
