//! In:     words for the operator.
//! Out:    lines on standard error.
//! Actors: one thread that writes; whoever speaks never waits for it.
//! Never:  does a reader that is gone or stuck stop a server: then words are counted and dropped.

use hallway_core::record::put_moment;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Lines that may wait for a slow reader.
const LINES_MAX: usize = 1024;
/// Longest wait for the last words of a process.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Speaks to the operator from any thread.
#[derive(Clone)]
pub struct Voice {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

enum Line {
    Words(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Voice {
    /// The voice of this process.
    pub fn of_process() -> &'static Voice {
        static VOICE: OnceLock<Voice> = OnceLock::new();
        VOICE.get_or_init(|| {
            let (lines, queue) = sync_channel(LINES_MAX);
            let dropped = Arc::new(AtomicU64::new(0));
            let counted = dropped.clone();
            // Without the thread every line is dropped, which is all that could be done.
            let _ = std::thread::Builder::new().name("voice".into()).spawn(move || speak(&queue, &counted));
            Voice { lines, dropped }
        })
    }

    /// Says a line.
    pub fn say(&self, text: &str) {
        if self.lines.try_send(Line::Words(format!("{}hallway: {text}\n", Voice::time()).into_bytes())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What stands before a line: the time; nothing where the lines go to the journal of systemd, which notes it itself.
    pub fn time() -> String {
        static IS_NOTED: OnceLock<bool> = OnceLock::new();
        if *IS_NOTED.get_or_init(goes_to_journal) {
            return String::new();
        }
        let mut text = Vec::with_capacity(32);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        put_moment(&mut text, since.as_millis() as u64);
        text.push(b' ');
        String::from_utf8(text).unwrap_or_default()
    }

    /// Passes on whole lines of somebody else.
    pub fn quote(&self, lines: Vec<u8>) {
        if self.lines.try_send(Line::Words(lines)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, for a moment, until what was said before is written.
    pub fn finish(&self) {
        let (done, written) = sync_channel(1);
        if self.lines.try_send(Line::Flush(done)).is_ok() {
            let _: Result<(), RecvTimeoutError> = written.recv_timeout(LAST_WORDS);
        }
    }
}

/// Whether standard error is a stream of the journal: the variable names its device and inode (systemd.exec(5)).
fn goes_to_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    let Some((device, inode)) = named.as_deref().and_then(|named| named.split_once(':')) else { return false };
    let Ok(seen) = rustix::fs::fstat(io::stderr()) else { return false };
    device.parse() == Ok(seen.st_dev) && inode.parse() == Ok(seen.st_ino)
}

fn speak(queue: &Receiver<Line>, dropped: &AtomicU64) {
    for line in queue {
        let lost = dropped.swap(0, Ordering::Relaxed);
        let mut out = io::stderr().lock();
        if lost > 0 {
            let _ = writeln!(out, "{}hallway: {lost} lines could not be written", Voice::time());
        }
        match line {
            Line::Words(text) => drop(out.write_all(&text)),
            Line::Flush(done) => drop(done.send(())),
        }
    }
}
