//! In:     pipes that a child writes.
//! Out:    the same bytes in pipes that only this process writes, which can be read without waiting for anybody.
//! Actors: one thread for each child.
//! Never:  does the master read a child's pipe by itself. Whoever writes holds the pipe meanwhile, and while the memory
//!         that it writes from is on a file system that does not answer, each reader waits, whatever flags it has
//!         (`pipe_read` and `pipe_write` of Linux take the same lock).

use crate::inherit::keep_only;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, ioctl_fionread, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Relays of one kind that may be left behind by children that have ended: each lives as long as something that its child
/// started holds its pipes.
const LEFT_MAX: usize = 64;
/// For a relay to pass on what an ended child wrote.
const PATIENCE: Duration = Duration::from_millis(500);
/// After that was in vain, until one of the same kind is waited for again.
const VAIN: Duration = Duration::from_secs(30);
/// Between two looks at what came meanwhile.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// What is not touched of a stack takes no memory.
const STACK_BYTES: usize = 128 * 1024;

/// The relays of one kind of children: of the edge, or of the workers of one app.
#[derive(Clone, Debug, Default)]
pub struct Relays {
    shared: Arc<OfKind>,
}

#[derive(Debug, Default)]
struct OfKind {
    /// How many run.
    running: AtomicU32,
    /// When one was last waited for in vain.
    vain: Mutex<Option<Instant>>,
}

/// The master's hold of the relay of one child.
#[derive(Debug)]
pub struct Relay {
    of_kind: Relays,
    wake: OwnedFd,
    asked: Arc<Asked>,
}

/// What passes between the master and a relay.
#[derive(Debug)]
struct Asked {
    /// Whether the master waits for all that its child wrote.
    all: AtomicBool,
    /// Whether that has been passed on.
    done: Mutex<bool>,
    news: Condvar,
}

impl Relays {
    /// Starts the relay of a child that is about to be started, which has `children` at most beside it. In the place of each
    /// pipe that the child writes comes one that only the relay does.
    ///
    /// # Errors
    /// Those of starting a thread; too many relays that were left behind.
    pub(crate) fn start(&self, children: u32, pipes: Vec<OwnedFd>) -> io::Result<(Relay, Vec<OwnedFd>)> {
        let left = self.shared.running.load(Ordering::Relaxed).saturating_sub(children);
        if usize::try_from(left).unwrap_or(usize::MAX) >= LEFT_MAX {
            return Err(io::Error::other("processes that its ended workers left behind hold what they print"));
        }
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let asked = Arc::new(Asked { all: AtomicBool::new(false), done: Mutex::new(false), news: Condvar::new() });
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (mut sinks, mut heard) = (Vec::new(), Vec::new());
        for _ in &pipes {
            let (reads, sink) = pipe_with(flags)?;
            sinks.push(sink);
            heard.push(reads);
        }
        let numbers = std::iter::once(&wake).chain(&pipes).chain(&sinks).map(AsRawFd::as_raw_fd).collect();
        self.shared.running.fetch_add(1, Ordering::Relaxed);
        let passing = Passing { asked: asked.clone(), of_kind: self.shared.clone() };
        let (apart, is_apart) = sync_channel(1);
        let builder = std::thread::Builder::new().name("relay".into()).stack_size(STACK_BYTES);
        // What cannot be started is dropped, and counts no more.
        builder.spawn(move || passing.work(numbers, &apart))?;
        // From then on these are the thread's alone.
        is_apart.recv().map_err(|_| io::ErrorKind::BrokenPipe)??;
        Ok((Relay { of_kind: self.clone(), wake, asked }, heard))
    }
}

impl Relay {
    /// Waits until all that the child, which has ended, ever wrote is passed on; `take` reads some of it. A relay whose pipe
    /// is held is given up, and so is each other one of that kind for a while.
    pub fn finish(&self, mut take: impl FnMut()) {
        self.asked.all.store(true, Ordering::Release);
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        let begun = Instant::now();
        let mut vain = self.of_kind.shared.vain.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = if vain.is_some_and(|at| at.elapsed() < VAIN) { Duration::ZERO } else { PATIENCE };
        loop {
            let done = self.asked.done.lock().unwrap_or_else(PoisonError::into_inner);
            if *done || patience.is_zero() {
                return;
            }
            if begun.elapsed() > patience {
                *vain = Some(Instant::now());
                return;
            }
            drop(self.asked.news.wait_timeout(done, LOOK));
            take();
        }
    }
}

/// One pipe, and the one that its bytes go to.
struct Way {
    /// Nothing once either side is gone.
    ends: Option<(OwnedFd, OwnedFd)>,
    /// What was read and is not written yet.
    held: Vec<u8>,
    /// How much of what was asked for is still in the child's pipe; nothing before that is known.
    owed: Option<u64>,
}

impl Way {
    /// What is waited for: something to pass on or room for it, and the end of whoever hears it.
    fn watched(&self) -> impl Iterator<Item = PollFd<'_>> {
        let (source, sink) = match self.held.is_empty() {
            true => (PollFlags::IN, PollFlags::empty()),
            false => (PollFlags::empty(), PollFlags::OUT),
        };
        // A source that is not waited for would tell of its end again and again.
        let source = self.ends.iter().filter(move |_| !source.is_empty()).map(move |(from, _)| (from, source));
        let sink = self.ends.iter().map(move |(_, to)| (to, sink));
        source.chain(sink).map(|(end, flags)| PollFd::new(end, flags))
    }

    /// Passes on what goes without waiting for anybody but a writer that holds its pipe.
    fn pass(&mut self) {
        let Some((source, sink)) = &self.ends else { return };
        if is_alone(sink.as_fd()) {
            self.ends = None;
            return;
        }
        if self.held.is_empty() {
            let mut room = [0; READ_BYTES];
            match retry_on_intr(|| rustix::io::read(source, &mut room)) {
                Ok(read) if read > 0 => {
                    self.owed = self.owed.map(|owed| owed.saturating_sub(read as u64));
                    self.held.extend_from_slice(&room[..read]);
                }
                Err(Errno::AGAIN) => self.owed = self.owed.and(Some(0)),
                Ok(_) | Err(_) => self.ends = None,
            }
        }
        self.put();
    }

    fn put(&mut self) {
        let Some((_, sink)) = self.ends.as_ref().filter(|_| !self.held.is_empty()) else { return };
        match retry_on_intr(|| rustix::io::write(sink, &self.held)) {
            Ok(written) => drop(self.held.drain(..written)),
            Err(Errno::AGAIN) => {}
            Err(_) => self.ends = None,
        }
    }

    /// All that is in the pipe now is asked for.
    fn ask(&mut self) {
        let there = || self.ends.as_ref().map_or(0, |(source, _)| ioctl_fionread(source).unwrap_or(0));
        self.owed.get_or_insert_with(there);
    }

    fn is_done(&self) -> bool {
        self.ends.is_none() || (self.owed == Some(0) && self.held.is_empty())
    }
}

/// Whether nobody reads what is written into this pipe.
fn is_alone(sink: BorrowedFd<'_>) -> bool {
    let mut watched = [PollFd::from_borrowed_fd(sink, PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&now)).is_ok() && watched[0].revents().contains(PollFlags::ERR)
}

/// The thread's own.
struct Passing {
    asked: Arc<Asked>,
    of_kind: Arc<OfKind>,
}

impl Passing {
    /// Passes on by descriptors of its own: a master that has ended while this waits for a pipe has closed all of its.
    fn work(self, numbers: Vec<RawFd>, apart: &SyncSender<io::Result<()>>) {
        let mut taken = match keep_only(&numbers) {
            Ok(taken) => taken.into_iter(),
            Err(error) => return drop(apart.send(Err(error))),
        };
        let _ = apart.send(Ok(()));
        let Some(wake) = taken.next() else { return };
        let mut sources: Vec<OwnedFd> = taken.collect();
        let sinks = sources.split_off(sources.len() / 2);
        let way = |ends| Way { ends: Some(ends), held: Vec::new(), owed: None };
        let mut ways: Vec<Way> = sources.into_iter().zip(sinks).map(way).collect();
        while ways.iter().any(|way| way.ends.is_some()) {
            let woken = PollFd::new(&wake, PollFlags::IN);
            let mut watched: Vec<PollFd<'_>> = ways.iter().flat_map(Way::watched).chain([woken]).collect();
            if !matches!(poll(&mut watched, None), Ok(_) | Err(Errno::INTR)) {
                break;
            }
            drop(watched);
            let _ = rustix::io::read(&wake, &mut [0; 8]);
            let is_asked = self.asked.all.load(Ordering::Acquire);
            for way in &mut ways {
                if is_asked {
                    way.ask();
                }
                way.pass();
            }
            if is_asked && ways.iter().all(Way::is_done) {
                self.tell_done();
            }
        }
    }

    fn tell_done(&self) {
        *self.asked.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.asked.news.notify_all();
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.of_kind.running.fetch_sub(1, Ordering::Relaxed);
        self.tell_done();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    fn relayed(relays: &Relays) -> (Relay, File, File) {
        let (source, writes) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let (relay, mut heard) = relays.start(1, vec![source]).unwrap();
        (relay, File::from(heard.remove(0)), File::from(writes))
    }

    /// All that can be read now.
    fn take(heard: &mut File, into: &mut Vec<u8>) {
        let mut room = [0; 4096];
        while let Ok(read @ 1..) = heard.read(&mut room) {
            into.extend_from_slice(&room[..read]);
        }
    }

    #[test]
    fn what_an_ended_child_wrote_is_there_when_the_relay_has_finished() {
        let relays = Relays::default();
        for bytes in [0, 1, 60_000] {
            let (relay, mut heard, mut writes) = relayed(&relays);
            // Somebody holds the pipe still.
            let _left = writes.try_clone().unwrap();
            writes.write_all(&vec![b'x'; bytes]).unwrap();
            drop(writes);
            let mut taken = Vec::new();
            relay.finish(|| take(&mut heard, &mut taken));
            take(&mut heard, &mut taken);
            assert_eq!(taken.len(), bytes);
            assert!(relays.shared.vain.lock().unwrap().is_none());
        }
    }

    #[test]
    fn who_writes_without_end_holds_nobody_up() {
        let relays = Relays::default();
        let (relay, mut heard, mut writes) = relayed(&relays);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = writes.write(&[b'x'; 4096]);
                }
            });
            let mut taken = Vec::new();
            relay.finish(|| take(&mut heard, &mut taken));
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(relays.shared.vain.lock().unwrap().is_none());
    }

    #[test]
    fn a_relay_that_is_held_is_waited_for_once_and_those_left_behind_are_bounded() {
        let relays = Relays::default();
        let (relay, _heard, mut writes) = relayed(&relays);
        // Nobody takes what it passes on, which is more than a pipe holds.
        let mut written = 0;
        while written < 100 * 1024 {
            written += writes.write(&[b'x'; 4096]).unwrap_or(0);
        }
        relay.finish(|| ());
        assert!(relays.shared.vain.lock().unwrap().is_some());
        let begun = Instant::now();
        (0..1_000).for_each(|_| relay.finish(|| ()));
        assert!(begun.elapsed() < PATIENCE * 100);
        let mut held = Vec::new();
        while held.len() < 2 * LEFT_MAX
            && let (source, writes) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap()
            && let Ok(relay) = relays.start(1, vec![source])
        {
            held.push((relay, writes));
        }
        assert!(held.len() <= LEFT_MAX);
    }

    #[test]
    fn a_relay_ends_with_its_child_or_with_who_hears_it() {
        let relays = Relays::default();
        let (relay, heard, writes) = relayed(&relays);
        drop(heard);
        drop(relay);
        let (_relay, _heard, others) = relayed(&relays);
        drop(others);
        while relays.shared.running.load(Ordering::Relaxed) > 0 {
            std::thread::sleep(LOOK);
        }
        drop(writes);
    }

    #[test]
    fn a_relay_has_its_own_pipes_and_nothing_else_of_the_process() {
        let relays = Relays::default();
        let (held, _writes) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (_relay, _heard, _child) = relayed(&relays);
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let relay_threads = tasks
            .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "relay"));
        let mut seen = 0;
        for task in relay_threads {
            let Ok(open) = std::fs::read_dir(task.path().join("fd")) else { continue };
            let numbers: Vec<_> = open.flatten().map(|entry| entry.file_name()).collect();
            seen += 1;
            // Its wake, and one pipe in, one out; others in this process are other tests'.
            assert!(numbers.len() <= 3, "{numbers:?}");
        }
        assert!(seen > 0 && rustix::io::fcntl_getfd(&held).is_ok());
    }
}
