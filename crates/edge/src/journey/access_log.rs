//! In:     facts of finished trips, errors.
//! Out:    lines in a file or on standard output; errors on standard error.
//! Actors: every event loop gathers its own lines; one thread writes them.
//! Never:  does a request wait for a log; when the writer falls behind, lines are counted and dropped.

use hallway_core::record::{Facts, Style, put_line};
use hallway_net::runtime::console::Voice;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Lines gathered before they go to the writer; the sweeper sends fewer after 100 ms.
const BATCH_BYTES: usize = 16 * 1024;
/// Batches that may wait for the writer.
const BATCHES_MAX: usize = 256;

/// Between two words about a log that cannot be written.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(60);

/// How often, and how long apart, the last lines are offered to a writer that is behind.
const FLUSH_TRIES: u32 = 20;
const FLUSH_WAIT: Duration = Duration::from_millis(50);

/// Where the batches of all event loops go.
pub(crate) type Batches = SyncSender<Batch>;

/// What goes to the writer.
pub(crate) enum Batch {
    Lines(Vec<u8>),
    /// The file was moved away: this is the new one under its name.
    Reopen(File),
    /// Everything before it is written; the receiver is told.
    Flush(SyncSender<()>),
}

/// Starts the writer of a file, or of standard output where there is none. The file was opened by the master: what this
/// process may not open it can write all the same, and it opens nothing by a path that others may change.
pub(crate) fn start(path: Option<PathBuf>, file: Option<File>) -> io::Result<Batches> {
    let (batches, queue) = sync_channel(BATCHES_MAX);
    let out = match file {
        Some(file) => file,
        None => File::from(io::stdout().as_fd().try_clone_to_owned()?),
    };
    std::thread::Builder::new().name("log".into()).spawn(move || Writer::new(out, path).write_all(&queue))?;
    Ok(batches)
}

/// Writes what all event loops send. A full disk or a closed pipe costs lines, never the server.
struct Writer {
    out: File,
    path: Option<PathBuf>,
    /// Lines that could not be written since the operator was last told.
    lost: usize,
    told: Option<Instant>,
    /// The last line was written in part: the next one begins anew.
    is_torn: bool,
}

impl Writer {
    fn new(out: File, path: Option<PathBuf>) -> Writer {
        Writer { out, path, lost: 0, told: None, is_torn: false }
    }

    fn write_all(mut self, queue: &Receiver<Batch>) {
        for batch in queue {
            match batch {
                Batch::Lines(lines) => self.write(&lines),
                Batch::Reopen(out) => (self.out, self.is_torn) = (out, false),
                Batch::Flush(done) => drop(done.send(())),
            }
        }
    }

    /// What is wrong with it.
    fn told(&self, error: &io::Error) -> String {
        self.path.as_ref().map_or_else(|| told(error), |path| format!("{}: {}", path.display(), told(error)))
    }

    fn write(&mut self, lines: &[u8]) {
        let mut rest = lines;
        if self.is_torn {
            self.is_torn = self.out.write_all(b"\n").is_err();
        }
        while !rest.is_empty() && !self.is_torn {
            match self.out.write(rest) {
                Ok(0) => break,
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_torn = rest.len() < lines.len() && lines[lines.len() - rest.len() - 1] != b'\n';
                    return self.lose(rest, &error);
                }
            }
        }
        if !rest.is_empty() {
            self.lose(rest, &io::Error::from(io::ErrorKind::WriteZero));
        }
    }

    /// Counts lines that are lost; the operator is told at once, then once a minute.
    fn lose(&mut self, lines: &[u8], error: &io::Error) {
        self.lost += memchr::memchr_iter(b'\n', lines).count();
        if self.told.is_none_or(|told| told.elapsed() >= BETWEEN_COMPLAINTS) {
            let lost = std::mem::take(&mut self.lost);
            Voice::of_process()
                .say(&format!("the access log cannot be written: {}; {lost} lines are lost", self.told(error)));
            self.told = Some(Instant::now());
        }
    }
}

/// What is wrong, and for whom where a permission is missing.
fn told(error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error.to_string();
    }
    let user = rustix::process::geteuid().as_raw();
    let names = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_own = |line: &&str| line.split(':').nth(2) == Some(&user.to_string());
    let name = names.lines().find(is_own).and_then(|line| line.split(':').next()).map(str::to_owned);
    format!("the user '{}', as which this runs, may not do that", name.unwrap_or(user.to_string()))
}

/// An access log: who writes it, and what its lines look like.
pub(crate) struct Sink {
    pub(crate) batches: Batches,
    pub(crate) style: Style,
}

/// One event loop's end of all logs.
#[derive(Default)]
pub(crate) struct Log {
    /// Lines that were gathered for each.
    gathered: RefCell<Vec<(Arc<Sink>, Vec<u8>)>>,
    dropped: Cell<u64>,
}

impl Log {
    /// Notes one context.
    pub(crate) fn access(&self, sink: &Arc<Sink>, facts: &Facts<'_>) {
        let mut gathered = self.gathered.borrow_mut();
        let known = gathered.iter().position(|(known, _)| Arc::ptr_eq(known, sink));
        let at = known.unwrap_or_else(|| {
            gathered.push((sink.clone(), Vec::new()));
            gathered.len() - 1
        });
        let (_, lines) = &mut gathered[at];
        put_line(lines, &sink.style, facts);
        if lines.len() >= BATCH_BYTES {
            self.hand_over(sink, std::mem::take(lines));
        }
    }

    /// Hands the gathered lines to their writers.
    pub(crate) fn send(&self) {
        for (sink, lines) in self.gathered.take() {
            self.hand_over(&sink, lines);
        }
    }

    fn hand_over(&self, sink: &Sink, lines: Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(Batch::Lines(lines))) = sink.batches.try_send(Batch::Lines(lines)) {
            let lost = memchr::memchr_iter(b'\n', &lines).count() as u64;
            self.dropped.set(self.dropped.get() + lost);
            self.error(&format!("the access log cannot keep up: {} lines dropped so far", self.dropped.get()));
        }
    }

    /// A line for the operator, at once.
    pub(crate) fn error(&self, text: &str) {
        Voice::of_process().say(text);
    }
}

/// Waits, for a moment, until the writer has written what it was sent before.
pub(crate) fn flush(batches: &Batches) {
    let (done, written) = sync_channel(1);
    // A writer that is stuck does not hold up the end of the process.
    for _ in 0..FLUSH_TRIES {
        match batches.try_send(Batch::Flush(done.clone())) {
            Ok(()) => {
                let _ = written.recv_timeout(FLUSH_WAIT * FLUSH_TRIES);
                return;
            }
            Err(TrySendError::Full(_)) => std::thread::sleep(FLUSH_WAIT),
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}
