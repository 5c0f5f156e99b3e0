//! In:     words for the operator.
//! Out:    lines on standard error.
//! Actors: one thread that writes; whoever speaks never waits for it.
//! Never:  does a reader that is gone or stuck stop a server: then words are counted and dropped.

use hallway_core::record::put_moment;
use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Lines that may wait for a slow reader.
const LINES_MAX: usize = 1024;
/// The same in bytes: what an application says may be long. One that is longer may wait alone.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest wait for the last words of a process.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Speaks to the operator from any thread.
#[derive(Clone)]
pub struct Voice {
    lines: SyncSender<Line>,
    lost: Arc<Lost>,
}

/// What waits, and what could not.
#[derive(Default)]
struct Lost {
    dropped: AtomicU64,
    waiting_bytes: AtomicUsize,
}

enum Line {
    Words(Vec<u8>),
    Flush(SyncSender<()>),
}

/// A text without what would change the terminal of who reads it: names of files, the last words of an app and what the
/// edge says are in it, and who reads it may be root.
pub fn plain(text: &str) -> Cow<'_, str> {
    let is_harmful = |sign: char| sign.is_control() && !matches!(sign, '\n' | '\t');
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|sign| if is_harmful(sign) { '\u{fffd}' } else { sign }).collect::<String>().into()
}

impl Voice {
    /// The voice of this process.
    pub fn of_process() -> &'static Voice {
        static VOICE: OnceLock<Voice> = OnceLock::new();
        VOICE.get_or_init(|| {
            let (voice, queue) = Voice::new();
            let counted = voice.lost.clone();
            // Without the thread every line is dropped, which is all that could be done.
            let _ = std::thread::Builder::new().name("voice".into()).spawn(move || {
                speak(&queue, &counted, &mut io::stderr());
            });
            voice
        })
    }

    fn new() -> (Voice, Receiver<Line>) {
        let (lines, queue) = sync_channel(LINES_MAX);
        (Voice { lines, lost: Arc::default() }, queue)
    }

    /// Says a line.
    pub fn say(&self, text: &str) {
        self.quote(format!("{}hallway: {}\n", Voice::time(), plain(text)).into_bytes());
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
        let (bytes, lost) = (lines.len(), &self.lost);
        let waiting = lost.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = waiting == 0 || waiting.saturating_add(bytes) <= BYTES_MAX;
        if !has_room || self.lines.try_send(Line::Words(lines)).is_err() {
            lost.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            lost.dropped.fetch_add(1, Ordering::Relaxed);
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

fn speak(queue: &Receiver<Line>, lost: &Lost, out: &mut impl Write) {
    for line in queue {
        let dropped = lost.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let _ = writeln!(out, "{}hallway: {dropped} lines could not be written", Voice::time());
        }
        match line {
            Line::Words(text) => {
                drop(out.write_all(&text));
                lost.waiting_bytes.fetch_sub(text.len(), Ordering::Relaxed);
            }
            Line::Flush(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_changes_a_terminal() {
        assert_eq!(plain("a\tb\nc\u{e9}"), "a\tb\nc\u{e9}");
        assert_eq!(plain("\u{1b}]0;x\u{7}\r\u{9b}1m"), "\u{fffd}]0;x\u{fffd}\u{fffd}\u{fffd}1m");
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let (voice, queue) = Voice::new();
        let long = vec![b'x'; 1024 * 1024];
        for _ in 0..100 {
            voice.quote(long.clone());
        }
        assert_eq!(voice.lost.dropped.load(Ordering::Relaxed), 84);
        let (lost, mut said) = (voice.lost.clone(), Vec::new());
        drop(voice);
        speak(&queue, &lost, &mut said);
        assert!(said.ends_with(&long) && said.len() > BYTES_MAX && said.len() < BYTES_MAX + 1024);
        assert!(String::from_utf8_lossy(&said[..200]).contains("hallway: 84 lines could not be written\n"));
        assert_eq!(lost.waiting_bytes.load(Ordering::Relaxed), 0);
        let (voice, _queue) = Voice::new();
        voice.quote(vec![b'x'; BYTES_MAX + 1]);
        assert_eq!(voice.lost.dropped.load(Ordering::Relaxed), 0, "alone");
    }

    /// A reader that takes nothing until it is told to.
    struct Stuck(std::sync::mpsc::Receiver<()>, Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_stuck_holds_up_nobody_and_hears_what_it_missed() {
        let (voice, queue) = Voice::new();
        let (go_on, wait) = std::sync::mpsc::channel();
        let said = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (counted, mut out) = (voice.lost.clone(), Stuck(wait, said.clone()));
        let speaking = std::thread::spawn(move || speak(&queue, &counted, &mut out));
        // Neither the words nor their last wait has an end of its own.
        (0..2 * LINES_MAX).for_each(|number| voice.quote(format!("{number}\n").into_bytes()));
        voice.finish();
        drop((go_on, voice));
        speaking.join().unwrap();
        let said = String::from_utf8(said.lock().unwrap().clone()).unwrap();
        assert!(said.contains(" lines could not be written"), "{said}");
        assert_eq!(said.lines().filter(|line| !line.contains("hallway")).count().abs_diff(LINES_MAX) / 2, 0);
    }
}
