//! In:     bytes that are to go to spool files: of request bodies, of answers that their clients have not taken.
//! Out:    room for them, or none; answers that are cut so that there is some.
//! Actors: all event loops; the threads that write, read and close spool files.
//! Never:  are there more bytes in spool files than `spool_max`, or is room lost by any way in which a request ends.

use crate::file::stored::StoredFile;
use crate::runtime::console::Voice;
use crate::runtime::thread_pool::ThreadPool;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where nobody says how much: a quarter of what is free, within these bounds.
const FREE_SHARE: u64 = 4;
const DEFAULT_BYTES: (u64, u64) = (64 * 1024 * 1024, 8 * 1024 * 1024 * 1024);
/// For the file system to say at the start how much is free.
const ASKING: Duration = Duration::from_secs(1);
/// Threads for spool files: at first, for each event loop, and at most.
const THREADS_MIN: usize = 2;
const THREADS_OF_LOOP: usize = 4;
const THREADS_MAX: usize = 32;
/// A client that takes nothing for so long, or would need so long for what waits, is a slow one.
const STALL: Duration = Duration::from_secs(1);
const TAKING: Duration = Duration::from_secs(10);
/// Between two messages that the spool is full.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// All spool files of the edge.
pub struct Spool {
    bytes_max: AtomicU64,
    bytes: AtomicU64,
    /// Those of `bytes` that answers had which were cut, until their files are closed.
    leaving: AtomicU64,
    threads: ThreadPool,
    readers: Mutex<HashMap<u64, Arc<Reader>>>,
    serial: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    told: Mutex<Option<Instant>>,
}

/// What one file takes of the spool. Given back when this is dropped.
pub struct Room {
    spool: Arc<Spool>,
    bytes: AtomicU64,
    is_leaving: AtomicBool,
}

/// An answer whose client has not taken all of it: what waits is in a file.
pub struct Reader {
    number: u64,
    pace: Mutex<Pace>,
    /// What its file takes.
    pub room: Arc<Room>,
    file: Mutex<Option<Arc<StoredFile>>>,
    was_cut: AtomicBool,
}

/// How fast a client takes its answer: what it took in the last second or so.
struct Pace {
    since: Instant,
    taken: u64,
    /// In the second before that.
    bytes_s: u64,
    taken_at: Instant,
}

impl Pace {
    fn new() -> Pace {
        let now = Instant::now();
        Pace { since: now, taken: 0, bytes_s: u64::MAX, taken_at: now }
    }

    fn note_taken(&mut self, bytes: u64, now: Instant) {
        self.turn(now);
        self.taken += bytes;
        self.taken_at = now;
    }

    fn turn(&mut self, now: Instant) {
        let past = now.saturating_duration_since(self.since);
        if past >= STALL {
            self.bytes_s = self.taken.saturating_mul(1000) / u64::try_from(past.as_millis()).unwrap_or(u64::MAX).max(1);
            (self.since, self.taken) = (now, 0);
        }
    }

    /// How long the client needs for so many bytes. Milliseconds; as long as there are numbers for one that takes none.
    fn time_ms(&mut self, bytes: u64, now: Instant) -> u64 {
        self.turn(now);
        // What was taken in a part of this second is less than what is taken in all of it.
        let bytes_s = self.bytes_s.max(self.taken);
        if now.saturating_duration_since(self.taken_at) >= STALL || bytes_s == 0 {
            return u64::MAX;
        }
        bytes.saturating_mul(1000) / bytes_s
    }
}

impl Spool {
    /// For so many event loops; `bytes_max` where somebody said it.
    pub fn new(loops: usize, bytes_max: Option<u64>) -> Arc<Spool> {
        let threads_max = (THREADS_OF_LOOP * loops).clamp(THREADS_MIN, THREADS_MAX);
        let spool = Spool {
            bytes_max: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
            threads: ThreadPool::new("spool files".into(), THREADS_MIN, threads_max),
            readers: Mutex::default(),
            serial: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            told: Mutex::default(),
        };
        spool.resize(bytes_max);
        Arc::new(spool)
    }

    /// It may have so many bytes from now on.
    pub fn resize(&self, bytes_max: Option<u64>) {
        let by_default = || {
            let (sender, free) = channel();
            self.threads.run_apart(move || {
                let _ = sender.send(crate::file::nameless::free_bytes());
            });
            let free = free.recv_timeout(ASKING).ok().flatten().unwrap_or(u64::MAX);
            let taken = self.bytes.load(Ordering::Relaxed);
            (free.saturating_add(taken) / FREE_SHARE).clamp(DEFAULT_BYTES.0, DEFAULT_BYTES.1)
        };
        self.bytes_max.store(bytes_max.unwrap_or_else(by_default), Ordering::Relaxed);
    }

    /// The threads that write, read and close spool files.
    pub fn threads(&self) -> &ThreadPool {
        &self.threads
    }

    /// Room for a file that does not have anything yet.
    pub fn room(self: &Arc<Self>) -> Arc<Room> {
        Arc::new(Room { spool: self.clone(), bytes: AtomicU64::new(0), is_leaving: AtomicBool::new(false) })
    }

    /// An answer that begins to wait for its client in a file.
    pub fn reader(self: &Arc<Self>) -> Arc<Reader> {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        let reader = Arc::new(Reader {
            number,
            pace: Mutex::new(Pace::new()),
            room: self.room(),
            file: Mutex::default(),
            was_cut: AtomicBool::new(false),
        });
        locked(&self.readers).insert(number, reader.clone());
        reader
    }

    /// Cuts the answer of the slowest client, unless what was cut before is enough; `false` where none is slow, and who
    /// wants room has to wait for clients that take their answers.
    pub fn make_room(&self, bytes: u64) -> bool {
        let readers = locked(&self.readers);
        let used = self.bytes.load(Ordering::Relaxed).saturating_sub(self.leaving.load(Ordering::Relaxed));
        if used.saturating_add(bytes) <= self.bytes_max.load(Ordering::Relaxed) {
            return true;
        }
        let waiting = readers.values().filter(|reader| reader.room.bytes() > 0 && !reader.was_cut());
        let slow = waiting.map(|reader| (reader.time_ms(), reader)).filter(|(time_ms, _)| is_slow(*time_ms));
        // Of those that take nothing at all the oldest one.
        let slowest = slow.max_by_key(|(time_ms, reader)| (*time_ms, std::cmp::Reverse(reader.number)));
        let Some(slowest) = slowest.map(|(_, reader)| reader.clone()) else { return false };
        drop(readers);
        self.leaving.fetch_add(slowest.room.bytes(), Ordering::Relaxed);
        slowest.room.is_leaving.store(true, Ordering::Relaxed);
        slowest.was_cut.store(true, Ordering::Release);
        drop(locked(&slowest.file).take());
        self.note_cut();
        true
    }

    /// An answer is cut because there is no room.
    pub fn note_cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
        self.tell("the responses that their clients take slowest are cut");
    }

    /// A request body is refused because there is no room.
    pub fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.tell("uploads are answered 503");
    }

    /// How it is, for the operator.
    pub fn status(&self) -> Value {
        let number = |of: &AtomicU64| of.load(Ordering::Relaxed);
        json!({
            "bytes": number(&self.bytes),
            "bytes_max": number(&self.bytes_max),
            "responses": locked(&self.readers).len(),
            "responses_cut": number(&self.cut),
            "uploads_refused": number(&self.refused),
        })
    }

    fn tell(&self, what: &str) {
        let mut told = locked(&self.told);
        if told.is_none_or(|at| at.elapsed() > TOLD_AGAIN) {
            *told = Some(Instant::now());
            let mib = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed) >> 20;
            let (bytes, most) = (mib(&self.bytes), mib(&self.bytes_max));
            let text =
                format!("the spool is full: {bytes} MiB of {most} MiB (spool_max) wait for slow clients; {what}");
            Voice::of_process().say(&text);
        }
    }
}

impl Room {
    /// So many bytes more; `false` where there is no room for them.
    pub fn grow(&self, bytes: u64) -> bool {
        let most = self.spool.bytes_max.load(Ordering::Relaxed);
        let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= most);
        let has_room = self.spool.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        self.bytes.fetch_add(if has_room { bytes } else { 0 }, Ordering::Relaxed);
        has_room
    }

    /// Whether there is room for so many bytes more.
    pub fn could_grow(&self, bytes: u64) -> bool {
        let most = self.spool.bytes_max.load(Ordering::Relaxed);
        self.spool.bytes.load(Ordering::Relaxed).checked_add(bytes).is_some_and(|used| used <= most)
    }

    /// So many bytes of its file are free again.
    pub fn shrink(&self, bytes: u64) {
        let less = |own: u64| Some(own.saturating_sub(bytes));
        let own = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or(0);
        let freed = bytes.min(own);
        self.spool.bytes.fetch_sub(freed, Ordering::Relaxed);
        if self.is_leaving.load(Ordering::Relaxed) {
            let less = |leaving: u64| Some(leaving.saturating_sub(freed));
            let _ = self.spool.leaving.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// How much that is.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink(self.bytes());
    }
}

impl Reader {
    /// Its client has taken so much more.
    pub fn note_taken(&self, bytes: usize) {
        locked(&self.pace).note_taken(bytes as u64, Instant::now());
    }

    /// Whether its client takes nothing, or next to nothing.
    pub fn is_slow(&self) -> bool {
        is_slow(self.time_ms())
    }

    /// Whether it was cut, so that others have room.
    pub fn was_cut(&self) -> bool {
        self.was_cut.load(Ordering::Acquire)
    }

    /// Its file, unless it was cut; nothing before there is one.
    pub fn file(&self) -> Option<Arc<StoredFile>> {
        locked(&self.file).clone()
    }

    /// It has a file from now on.
    pub fn keep(&self, file: Arc<StoredFile>) {
        let mut kept = locked(&self.file);
        if !self.was_cut() {
            *kept = Some(file);
        }
    }

    /// It has ended.
    pub fn end(&self) {
        locked(&self.room.spool.readers).remove(&self.number);
        drop(locked(&self.file).take());
    }

    /// How long its client needs for what waits in the file.
    fn time_ms(&self) -> u64 {
        locked(&self.pace).time_ms(self.room.bytes(), Instant::now())
    }
}

fn is_slow(time_ms: u64) -> bool {
    u128::from(time_ms) > TAKING.as_millis()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the process (see `threads`), so a poisoned lock is never seen.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn used(spool: &Spool) -> u64 {
        spool.status()["bytes"].as_u64().unwrap()
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let spool = Spool::new(1, Some(10 * MIB));
        let (one, two) = (spool.room(), spool.room());
        assert!(one.grow(6 * MIB) && two.grow(4 * MIB));
        assert!(!one.grow(1) && !two.grow(u64::MAX));
        two.shrink(MIB);
        assert!(one.grow(MIB));
        assert_eq!(used(&spool), 10 * MIB);
        drop(two);
        assert_eq!(used(&spool), 7 * MIB);
        one.shrink(u64::MAX);
        assert_eq!((used(&spool), one.bytes()), (0, 0));
        drop(one);
        assert_eq!(used(&spool), 0);
        spool.resize(None);
        let most = spool.status()["bytes_max"].as_u64().unwrap();
        assert!((64 * MIB..=8192 * MIB).contains(&most), "{most}");
    }

    #[test]
    fn paces_are_those_of_the_last_second() {
        let (mut pace, begin) = (Pace::new(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        assert!(!is_slow(pace.time_ms(u64::MAX / 1000, at(0))), "nobody can know yet");
        pace.note_taken(MIB, at(500));
        pace.note_taken(MIB, at(990));
        let time_ms = pace.time_ms(4 * MIB, at(1_050));
        assert!((1_800..2_400).contains(&time_ms), "{time_ms}");
        assert!(!is_slow(time_ms) && !is_slow(pace.time_ms(MIB, at(1_900))));
        assert_eq!(pace.time_ms(1, at(2_000)), u64::MAX, "it takes nothing");
        // A drop now and then is next to nothing.
        for ms in (2_500..9_000).step_by(500) {
            pace.note_taken(100, at(ms));
        }
        assert!(is_slow(pace.time_ms(MIB, at(9_000))) && !is_slow(pace.time_ms(1_000, at(9_000))));
    }

    #[test]
    fn the_slowest_is_cut_and_nobody_who_takes_its_answer() {
        let spool = Spool::new(1, Some(10 * MIB));
        let readers: Vec<Arc<Reader>> = (0..3).map(|_| spool.reader()).collect();
        assert!(readers.iter().all(|reader| reader.room.grow(3 * MIB)));
        assert!(!spool.make_room(2 * MIB), "all of them may be fast");
        std::thread::sleep(STALL);
        readers[0].note_taken(50_000_000);
        assert!(spool.make_room(2 * MIB));
        let cut = || readers.iter().map(|reader| reader.was_cut()).collect::<Vec<bool>>();
        assert_eq!(cut(), [false, true, false], "the oldest of those that take nothing");
        // It has not given anything back, but it will: nobody else is cut for that.
        assert!(spool.make_room(2 * MIB));
        assert!(spool.make_room(6 * MIB));
        assert_eq!((cut(), spool.status()["responses_cut"].clone()), (vec![false, true, true], 2.into()));
        for reader in &readers {
            reader.end();
        }
        drop(readers);
        assert_eq!((used(&spool), spool.leaving.load(Ordering::Relaxed)), (0, 0));
        let body = spool.room();
        assert!(body.grow(9 * MIB) && !spool.make_room(2 * MIB), "there is no answer to cut");
    }
}
