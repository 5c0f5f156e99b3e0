//! In:     how many workers each app is to have, and which apps there are to be; also while they serve.
//! Out:    places to fill, workers to let go.
//! Actors: none.
//! Never:  does a change of one app touch the workers of another.

use super::children::{Place, Vacancy, WorkerPhase};
use super::short_lives::ShortLives;
use super::{AppSettings, Command, Supervisor};
use std::collections::BTreeSet;

/// What the supervisor remembers of an app.
#[derive(Clone, Copy, Debug)]
pub(super) struct AppState {
    pub(super) settings: AppSettings,
    /// Whether the plan has it.
    pub(super) is_wanted: bool,
    /// Whether any worker of it ever became ready.
    pub(super) was_ready: bool,
    /// How often in a row its workers could not boot since then.
    pub(super) failures: u32,
    /// How often in a row a worker died as soon as it was ready.
    pub(super) short_lives: ShortLives,
    /// Whether the edge was told that nobody answers for it.
    pub(super) is_down: bool,
    /// Whether somebody asked for it to be started, and what came of that is not known yet.
    pub(super) is_asked_for: bool,
    /// When its workers are let go, once it is not wanted any more.
    pub(super) dismiss_at_ms: Option<u64>,
}

impl AppState {
    pub(super) fn new(settings: AppSettings) -> AppState {
        let (is_wanted, was_ready, is_down, is_asked_for) = (true, false, false, false);
        let (failures, short_lives, dismiss_at_ms) = (0, ShortLives::default(), None);
        AppState { settings, is_wanted, was_ready, failures, short_lives, is_down, is_asked_for, dismiss_at_ms }
    }

    /// How long the place of a worker that has died stays empty: not at all, unless they die one after the other
    /// as soon as they are there, or before they have done anything.
    pub(super) fn pause_ms(&mut self, lived_ms: u64, has_served: bool) -> u64 {
        self.short_lives.pause_ms(lived_ms, has_served, self.settings.workers)
    }
}

impl Supervisor {
    /// Goes by other settings from now on. Apps that are not among these keep their workers until
    /// `Event::Dismiss`, as requests that have begun may still need them; for at most their graceful timeout.
    pub fn adopt(&mut self, now_ms: u64, apps: &[(usize, AppSettings)], graceful_timeout_ms: u64) -> Vec<Command> {
        let mut out = Vec::new();
        self.graceful_timeout_ms = graceful_timeout_ms;
        for (app, settings) in apps {
            let none = AppSettings { workers: 0, ..*settings };
            while self.apps.len() <= *app {
                self.apps.push(AppState { is_wanted: false, ..AppState::new(none) });
            }
            let workers = self.places(*app).len() as u32;
            let state = &mut self.apps[*app];
            state.is_asked_for |= !state.is_wanted && workers == 0;
            (state.is_wanted, state.dismiss_at_ms) = (true, None);
            state.settings = AppSettings { workers, ..*settings };
            self.set_workers(now_ms, *app, settings.workers, &mut out);
        }
        for app in (0..self.apps.len()).filter(|app| apps.iter().all(|(wanted, _)| wanted != app)) {
            let state = &mut self.apps[app];
            if std::mem::replace(&mut state.is_wanted, false) {
                state.dismiss_at_ms = Some(now_ms + state.settings.graceful_timeout_ms);
                state.is_asked_for = false;
                self.vacancies.retain(|vacancy| vacancy.place.app != app);
            }
        }
        out
    }

    /// Lets the workers of an app go that is not wanted any more.
    pub(super) fn dismiss(&mut self, now_ms: u64, app: usize, out: &mut Vec<Command>) {
        if let Some(state) = self.apps.get_mut(app).filter(|state| !state.is_wanted) {
            state.dismiss_at_ms = None;
            self.set_workers(now_ms, app, 0, out);
        }
    }

    /// One worker more for each app.
    pub(super) fn more(&mut self, now_ms: u64) {
        for app in 0..self.apps.len() {
            if self.apps[app].is_wanted {
                self.add_place(now_ms, app);
            }
        }
    }

    /// The last place of each app is given up; one worker stays.
    pub(super) fn fewer(&mut self, now_ms: u64, out: &mut Vec<Command>) {
        for app in 0..self.apps.len() {
            let AppState { settings, is_wanted, .. } = self.apps[app];
            if is_wanted && settings.workers > 1 {
                self.set_workers(now_ms, app, settings.workers - 1, out);
            }
        }
    }

    fn set_workers(&mut self, now_ms: u64, app: usize, workers: u32, out: &mut Vec<Command>) {
        while self.apps[app].settings.workers < workers {
            self.add_place(now_ms, app);
        }
        while self.apps[app].settings.workers > workers {
            self.apps[app].settings.workers -= 1;
            self.give_up_last(now_ms, app, out);
        }
    }

    /// The places of an app. While a worker is being replaced, two have its place; one that leaves has none.
    fn places(&self, app: usize) -> BTreeSet<Place> {
        let serving = self.workers.iter().filter(|it| it.may_serve() || it.phase == WorkerPhase::Doomed);
        let serving = serving.map(|worker| worker.place);
        serving.chain(self.vacancies.iter().map(|it| it.place)).filter(|place| place.app == app).collect()
    }

    fn add_place(&mut self, now_ms: u64, app: usize) {
        let number = self.places(app).last().map_or(1, |last| last.number + 1);
        let place = Place { app, number };
        self.apps[app].settings.workers += 1;
        self.vacancies.push(Vacancy { place, at_ms: now_ms });
    }

    fn give_up_last(&mut self, now_ms: u64, app: usize, out: &mut Vec<Command>) {
        let Some(last) = self.places(app).pop_last() else { return };
        self.vacancies.retain(|vacancy| vacancy.place != last);
        let leaving: Vec<u32> =
            self.workers.iter().filter(|it| it.may_serve() && it.place == last).map(|it| it.id).collect();
        for worker in leaving {
            self.roll_forget(worker);
            self.retire(now_ms, worker, out);
        }
        // Nobody takes the place of one that is about to be killed.
        let doomed = self.workers.iter_mut().filter(|it| it.phase == WorkerPhase::Doomed && it.place == last);
        doomed.for_each(|it| it.phase = WorkerPhase::Retiring);
    }
}
