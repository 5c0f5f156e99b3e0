//! In:     what workers write to standard output and standard error.
//! Out:    the same lines, each behind the name of its app and its process, or as they are.
//! Actors: the master's loop, when there is something to read.
//! Never:  is a line of one worker cut by that of another, or a line kept for ever because it has no end; nor does one
//!         app fill the log: what goes beyond its allowance is dropped, and counted.

use hallway_core::plan::App;
use hallway_core::record::{Allowance, Dropped};
use hallway_edge::Voice;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;
/// A line that is longer is shown in several.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// The same where lines are passed on as they are: a program reads them.
const RAW_BYTES_MAX: usize = 1024 * 1024;

/// Ended workers of one app of which something that they started is still heard. An app could have the master keep pipes
/// without end.
const LEFT_MAX: usize = 32;

/// What is remembered of the last line.
const LAST_CHARS_MAX: usize = 200;

/// The words of all workers, also of those that have ended while something they started has not.
#[derive(Default)]
pub(crate) struct AllWords {
    all: Vec<Words>,
    /// By the names of the apps.
    allowances: BTreeMap<String, Rc<RefCell<Allowance>>>,
}

impl AllWords {
    /// One more worker, which writes into this pipe.
    pub(crate) fn add(&mut self, app: &App, pid: u32, pipe: OwnedFd, now_ms: u64) {
        let new = || Rc::new(RefCell::new(Allowance::new(now_ms)));
        let allowance = self.allowances.entry(app.name.clone()).or_insert_with(new).clone();
        let words = if app.is_raw { Words::raw } else { Words::new };
        self.all.push(words(&app.name, pid, pipe, allowance));
    }

    /// Hears no more of what an app's ended workers left behind than the last of it, before a further worker is heard.
    pub(crate) fn let_go(&mut self, app: &App, is_hired: impl Fn(u32) -> bool) {
        let Some(allowance) = self.allowances.get(&app.name) else { return };
        let is_left = |words: &Words| Rc::ptr_eq(&words.allowance, allowance) && !is_hired(words.pid);
        let mut surplus = self.all.iter().filter(|words| is_left(words)).count().saturating_sub(LEFT_MAX);
        if surplus > 0 {
            Voice::of_process().say(&format!(
                "{}: more than {LEFT_MAX} of its ended workers left processes behind that may still print: what the oldest print is lost",
                app.name
            ));
        }
        self.all.retain(|words| {
            let goes = surplus > 0 && is_left(words);
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Pipes of those who may say something now.
    pub(crate) fn sources(&self, now_ms: u64) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.iter().filter(move |words| words.is_heard(now_ms)).map(AsFd::as_fd)
    }

    /// Tells what is there, of each some of it. The last words of a worker are needed until its end is known.
    pub(crate) fn tell(&mut self, now_ms: u64, is_hired: impl Fn(u32) -> bool) {
        for words in self.all.iter_mut().filter(|words| words.is_heard(now_ms)) {
            words.tell(now_ms);
        }
        self.all.retain(|words| !words.has_ended || is_hired(words.pid));
        for (app, allowance) in &self.allowances {
            if let Some(Dropped { lines, bytes }) = allowance.borrow_mut().due(now_ms) {
                let mib = bytes as f64 / 1024.0 / 1024.0;
                Voice::of_process().say(&format!(
                    "{app}: {lines} lines ({mib:.1} MiB) that it printed are dropped: the log takes 4 MiB or 20,000 lines a second of one app"
                ));
            }
        }
    }

    /// Tells what is left when a worker has ended.
    pub(crate) fn tell_all(&mut self, now_ms: u64) {
        self.all.iter_mut().for_each(|words| words.tell_all(now_ms));
    }

    /// The last line that this process said, or its beginning.
    pub(crate) fn last(&self, pid: u32) -> String {
        self.all.iter().find(|words| words.pid == pid).map(Words::last).unwrap_or_default()
    }

    /// When there is something to be told or read, at the latest.
    pub(crate) fn wake_at(&self) -> Option<u64> {
        self.allowances.values().filter_map(|allowance| allowance.borrow().wake_at()).min()
    }
}

/// The words of one worker, and of what it started.
struct Words {
    /// What stands before each line; nothing where they are passed on as they are.
    who: Option<String>,
    pid: u32,
    /// The last line that was told, or its beginning.
    last: String,
    pipe: OwnedFd,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    has_ended: bool,
    /// What its app may still say.
    allowance: Rc<RefCell<Allowance>>,
}

impl Words {
    fn new(app: &str, pid: u32, pipe: OwnedFd, allowance: Rc<RefCell<Allowance>>) -> Words {
        let (last, begun) = (String::new(), Vec::new());
        Words { who: Some(format!("{app}[{pid}]: ")), pid, last, pipe, begun, has_ended: false, allowance }
    }

    /// The same for an app whose lines are passed on as they are.
    fn raw(app: &str, pid: u32, pipe: OwnedFd, allowance: Rc<RefCell<Allowance>>) -> Words {
        Words { who: None, ..Words::new(app, pid, pipe, allowance) }
    }

    /// The last line that was told, or its beginning.
    fn last(&self) -> String {
        self.last.strip_prefix("hallway: ").unwrap_or(&self.last).to_owned()
    }

    /// Whether somebody is left who could say something, and may.
    fn is_heard(&self, now_ms: u64) -> bool {
        !self.has_ended && self.allowance.borrow_mut().may_read(now_ms)
    }

    /// Tells what is there; of somebody who speaks without end, some of it. Whether there was anything.
    fn tell(&mut self, now_ms: u64) -> bool {
        let mut room = vec![0; READ_BYTES];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.pipe, &mut room[..]));
        match read {
            Ok(0) => self.has_ended = true,
            Ok(bytes) => {
                self.begun.extend_from_slice(&room[..bytes]);
                self.allowance.borrow_mut().note_read(bytes);
            }
            Err(rustix::io::Errno::AGAIN) => return false,
            Err(_) => self.has_ended = true,
        }
        let lines = self.take_lines(&Voice::time(), now_ms);
        if !lines.is_empty() {
            Voice::of_process().quote(lines);
        }
        !self.has_ended
    }

    /// Tells what is left when a worker has ended.
    fn tell_all(&mut self, now_ms: u64) {
        // What it wrote before its end is in the pipe, which holds a few reads at most; a process
        // that it left behind may go on writing.
        for _ in 0..32 {
            if self.has_ended || !self.tell(now_ms) {
                break;
            }
        }
    }

    /// Those that are whole, each behind the time and who says it, or as it is. None where they are beyond what the app
    /// may say.
    fn take_lines(&mut self, time: &str, now_ms: u64) -> Vec<u8> {
        let most = if self.who.is_some() { LINE_BYTES_MAX } else { RAW_BYTES_MAX };
        let whole = match memchr::memrchr(b'\n', &self.begun) {
            Some(last) => last + 1,
            None if self.has_ended || self.begun.len() > most => self.begun.len(),
            None => 0,
        };
        let mut told = Vec::new();
        let lines = memchr::memchr_iter(b'\n', &self.begun[..whole]).count().max(usize::from(whole > 0));
        let beside = self.who.as_ref().map_or(0, |who| lines * (time.len() + who.len()));
        if !self.allowance.borrow_mut().take(now_ms, whole + beside, lines) {
            let last = self.begun[..whole].trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            let last = &last[..last.len().min(4 * LAST_CHARS_MAX)];
            self.last = String::from_utf8_lossy(last).trim().chars().take(LAST_CHARS_MAX).collect();
            self.begun.drain(..whole);
            return told;
        }
        for line in self.begun[..whole].split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            if !text.trim().is_empty() {
                self.last = text.trim().chars().take(LAST_CHARS_MAX).collect();
            }
            match &self.who {
                // Writing into memory does not fail.
                Some(who) => drop(writeln!(told, "{time}{who}{}", text.trim_end_matches(['\n', '\r']))),
                None => told.extend_from_slice(line),
            }
        }
        self.begun.drain(..whole);
        told
    }
}

impl AsFd for Words {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance() -> Rc<RefCell<Allowance>> {
        Rc::new(RefCell::new(Allowance::new(0)))
    }

    #[test]
    fn what_is_dropped_is_whole_lines_and_the_last_is_known() {
        let (pipe, _writes) = rustix::pipe::pipe().unwrap();
        let mut words = Words::raw("web", 7, pipe, allowance());
        let mut told = 0;
        for _ in 0..2_000 {
            words.begun.extend_from_slice(&b"a line of thirty bytes, no more\n".repeat(2_000));
            words.begun.extend_from_slice(b"the last one\nbegun");
            let lines = words.take_lines("", 0);
            assert!(lines.is_empty() || lines.ends_with(b"the last one\n"));
            told += lines.len();
            words.begun.drain(..5);
        }
        // Lines of this length are bounded by their number.
        assert!((2 << 20..16 << 20).contains(&told), "{told}");
        assert_eq!(words.last(), "the last one");
        assert!(words.allowance.borrow_mut().due(u64::MAX).is_some_and(|dropped| dropped.lines > 1_000_000));
    }

    #[test]
    fn of_ended_workers_that_left_something_behind_the_last_are_heard() {
        let mut all = AllWords::default();
        let (web, other) = (App::new("web", "a:b".into(), 1), App::new("other", "a:b".into(), 1));
        let mut held = Vec::new();
        let is_hired = |pid: u32| [1, 1_000].contains(&pid);
        for pid in 0..1_000 {
            // What a worker left behind holds its end open.
            let (reads, writes) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
            held.push(writes);
            let app = if pid < 3 { &other } else { &web };
            all.let_go(app, is_hired);
            all.add(app, pid, reads, 0);
            all.tell(0, is_hired);
            assert!(all.all.len() <= 3 + LEFT_MAX + 1);
        }
        let pids: Vec<u32> = all.all.iter().map(|words| words.pid).collect();
        assert_eq!((&pids[..3], pids[3], pids.last()), (&[0, 1, 2][..], 1_000 - LEFT_MAX as u32 - 1, Some(&999)));
    }

    #[test]
    fn lines_are_whole_and_named() {
        let (pipe, writes) = rustix::pipe::pipe().unwrap();
        let mut words = Words::new("web", 7, pipe, allowance());
        words.begun.extend_from_slice(b"one\ntwo\r\nthr");
        assert_eq!(words.take_lines("now ", 0), b"now web[7]: one\nnow web[7]: two\n");
        words.begun.extend_from_slice(b"ee\n\xff\n");
        assert_eq!(words.take_lines("", 0), "web[7]: three\nweb[7]: \u{fffd}\n".as_bytes());
        words.begun.resize(LINE_BYTES_MAX + 1, b'x');
        assert_eq!(words.take_lines("", 0).len(), "web[7]: \n".len() + LINE_BYTES_MAX + 1);
        words.begun.extend_from_slice(b"last");
        assert_eq!(words.take_lines("", 0), b"");
        drop(writes);
        words.tell(0);
        assert!(words.has_ended && words.begun.is_empty());
    }

    #[test]
    fn raw_lines_are_whole_and_as_they_are() {
        let (pipe, writes) = rustix::pipe::pipe().unwrap();
        let mut words = Words::raw("web", 7, pipe, allowance());
        words.begun.extend_from_slice(b"{\"a\": 1}\r\n\xff\n\n{\"b\"");
        assert_eq!(words.take_lines("now ", 0), b"{\"a\": 1}\r\n\xff\n\n");
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        words.begun.extend_from_slice(&long);
        assert_eq!(words.take_lines("now ", 0), b"", "a program reads it");
        words.begun.extend_from_slice(b"}\n");
        assert_eq!(words.take_lines("", 0).len(), 4 + long.len() + 2);
        words.begun.extend_from_slice(b"no end");
        drop(writes);
        words.tell(0);
        assert!(words.has_ended && words.begun.is_empty());
    }
}
