//! In:     the files that workers say they are made of, while an app is worked on (`--reload`, `serve --watch`).
//! Out:    the apps of which one has changed.
//! Actors: the file system: one list for each app, which its workers append to; the files themselves are looked at.
//! Never:  does a change get lost that comes while the app loads: files are compared with what was read of them.

use super::Master;
use super::news::say;
use hallway_core::plan::App;
use hallway_core::supervise::Event;
use rustix::fs::{Gid, OFlags, Uid, fchown};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The variable that tells a worker where its list is.
const LIST: &str = "HALLWAY_SOURCES";
/// Between two looks at the files.
const LOOK_MS: u64 = 300;
/// How the names of lists begin.
const NAME: &str = "hallway-sources-";
/// Files of one app that are looked at.
const FILES_MAX: usize = 20_000;
/// A list that is longer is not read on: nobody imports that much.
const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl Master {
    /// An app as its workers are started: where somebody works on it, they say which files they are made of.
    pub(super) fn noting(&mut self, mut app: App) -> App {
        if !self.reloads {
            return app;
        }
        if !self.sources.iter().any(|sources| sources.app == app.number) {
            match Sources::of(&app) {
                Ok(sources) => self.sources.push(sources),
                Err(error) => say(&format!("{}: changes of its files are not seen: {error}", app.name)),
            }
        }
        app.env.extend(self.sources.iter().find(|sources| sources.app == app.number).map(Sources::variable));
        self.sources_at_ms.get_or_insert(0);
        app
    }

    /// What follows from files that have changed since they were read.
    pub(super) fn changed_sources(&mut self) -> Vec<Event> {
        let now_ms = self.now_ms();
        if self.sources_at_ms.is_none_or(|at| at > now_ms) {
            return Vec::new();
        }
        self.sources_at_ms = Some(now_ms + LOOK_MS);
        let plan = &self.plan;
        self.sources.retain(|sources| plan.apps.iter().any(|app| app.number == sources.app));
        let mut events = Vec::new();
        for sources in &mut self.sources {
            let app = self.plan.apps.iter().find(|app| app.number == sources.app);
            // Workers name the files: nothing is told of those that their user may not look at.
            let looked = match app.and_then(|app| app.user.as_ref()) {
                Some(user) => crate::paths::as_user(user, || sources.changed()),
                None => Ok(sources.changed()),
            };
            let Some(path) = looked.ok().flatten() else { continue };
            let name = app.map_or("", |app| &*app.name);
            say(&format!("{name}: {} has changed: its workers are replaced", path.display()));
            events.push(Event::RollApp(sources.app));
        }
        events
    }
}

/// How a file was: the time of its last change, its size. Nothing where it was not there.
type State = Option<(i128, u64)>;

/// The files of one app.
pub(super) struct Sources {
    /// The app's number.
    pub(super) app: usize,
    list: File,
    path: PathBuf,
    read: u64,
    /// A line whose end has not come.
    begun: Vec<u8>,
    known: HashMap<PathBuf, State>,
}

impl Sources {
    /// An empty list for an app.
    ///
    /// # Errors
    /// Those of making a file where temporary ones are.
    pub(super) fn of(app: &App) -> io::Result<Sources> {
        clear_away();
        let mut chance = [0; 8];
        rustix::rand::getrandom(&mut chance[..], rustix::rand::GetRandomFlags::empty())?;
        let name = format!("{NAME}{}-{:016x}", std::process::id(), u64::from_ne_bytes(chance));
        let path = std::env::temp_dir().join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits() as i32);
        let list = options.open(&path)?;
        if let Some(user) = &app.user {
            fchown(&list, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?;
        }
        Ok(Sources { app: app.number, list, path, read: 0, begun: Vec::new(), known: HashMap::new() })
    }

    /// What tells a worker where the list is.
    pub(super) fn variable(&self) -> (String, String) {
        (LIST.into(), self.path.display().to_string())
    }

    /// The file that has changed since it was read, where one has.
    pub(super) fn changed(&mut self) -> Option<PathBuf> {
        self.read_on();
        let mut changed = None;
        for (path, known) in &mut self.known {
            // One that is gone may be about to be replaced: as long as nothing is there nothing is done.
            let now = state_of(path);
            if now.is_some() && now != *known {
                *known = now;
                changed = Some(path.clone());
            }
        }
        changed
    }

    /// Reads what workers have appended since the last time.
    fn read_on(&mut self) {
        let is_longer = self.list.metadata().is_ok_and(|meta| meta.len() > self.read);
        if !is_longer || self.read > LIST_BYTES_MAX || self.list.seek(SeekFrom::Start(self.read)).is_err() {
            return;
        }
        let mut more = Vec::new();
        self.read += (&self.list).take(LIST_BYTES_MAX).read_to_end(&mut more).unwrap_or(0) as u64;
        self.begun.extend_from_slice(&more);
        let whole = memchr::memrchr(b'\n', &self.begun).map_or(0, |last| last + 1);
        let lines: Vec<u8> = self.begun.drain(..whole).collect();
        for (path, state) in lines.split(|byte| *byte == b'\n').filter_map(read_line) {
            if self.known.len() < FILES_MAX {
                self.known.entry(path).or_insert(state);
            }
        }
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Takes away the lists of those who were killed.
fn clear_away() {
    let lists = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for list in lists {
        let name = list.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(NAME).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_file(list.path());
        }
    }
}

/// `MTIME_NS SIZE PATH`; `- - PATH` for one that was not there.
fn read_line(line: &[u8]) -> Option<(PathBuf, State)> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<i128>().ok();
    let state = number().zip(number()).and_then(|(time, size)| Some((time, u64::try_from(size).ok()?)));
    let path = parts.next().filter(|path| path.starts_with(b"/"))?;
    Some((PathBuf::from(std::ffi::OsStr::from_bytes(path)), state))
}

fn state_of(path: &Path) -> State {
    let meta = std::fs::metadata(path).ok()?;
    Some((i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()), meta.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_change_is_seen_whenever_it_comes() {
        let mut sources = Sources::of(&App::new("web", "app:app".into(), 1)).unwrap();
        let dir = std::env::temp_dir().join(format!("hallway-sources-test-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (one, none) = (dir.join("one.py"), dir.join("none.py"));
        std::fs::write(&one, "1").unwrap();
        let line = |path: &Path| {
            let (time, size) = state_of(path).unwrap();
            format!("{time} {size} {}\n", path.display())
        };
        let mut list = OpenOptions::new().append(true).open(&sources.path).unwrap();
        let text = line(&one);
        write!(list, "{text}- - {}\n12 ", none.display()).unwrap();
        assert_eq!(sources.changed(), None);
        std::fs::write(&one, "22").unwrap();
        assert_eq!(sources.changed(), Some(one.clone()));
        assert_eq!(sources.changed(), None, "once");
        std::fs::write(&none, "").unwrap();
        assert_eq!(sources.changed(), Some(none.clone()), "what was missing has come");
        std::fs::remove_file(&none).unwrap();
        assert_eq!(sources.changed(), None);
        // It changed between being read and being looked at.
        let late = dir.join("late.py");
        std::fs::write(&late, "new").unwrap();
        writeln!(list, "3 {}\n12 3 {}", one.display(), late.display()).unwrap();
        assert_eq!(sources.changed(), Some(late));
        let path = sources.path.clone();
        drop(sources);
        assert!(!path.exists());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
