//! In:     what a child is to run, and the descriptors it is to have.
//! Out:    the child, and the master's end of its channel.
//! Actors: the operating system.
//! Never:  does a child have the terminal, or become somebody else, while it holds memory of the master.

#![allow(unsafe_code)]

use crate::carried::carry;
use crate::channel::{Channel, Relayed};
use crate::confine::word_of;
use crate::launch::{Environment, WORKER, encode};
use crate::relay::{Relay, Relays};
use hallway_core::plan::{App, User};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the boot script, which is the next argument, under a name that stack traces can show.
const RUN_BOOT: &str = "import sys; exec(compile(sys.argv.pop(1), '<hallway>', 'exec'))";

/// The first argument of this program where it is to be the edge.
pub const EDGE: &str = "hallway: edge";

/// A child that runs.
#[derive(Debug)]
pub struct Spawned {
    /// Its process id.
    pub pid: u32,
    /// The master's end of its channel.
    pub channel: Channel,
    /// What it writes comes by this.
    pub relay: Relay,
    /// Whether the channel has ended before the child.
    pub is_deaf: bool,
    /// When it is killed for that.
    pub kill_at_ms: Option<u64>,
}

impl Spawned {
    /// Sends it a signal; one that has ended already does not hear it. Its number is nobody else's: who is a `Spawned` has
    /// not been waited for.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Variables that the edge has of the master: where spool files are made, where the journal is, where authorities and
/// name servers are described. No other one: they may be secrets.
const OF_EDGE: [&str; 9] = [
    "JOURNAL_STREAM",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
];

/// Starts this program again as the edge, which becomes this user by itself, and gets the plan by its channel when it is
/// confined. `has_workers` says whether it shares the cores with any.
///
/// # Errors
/// Those of starting a process.
pub fn spawn_edge(program: &Path, user: Option<&User>, has_workers: bool, relays: &Relays) -> io::Result<Spawned> {
    let mut command = Command::new(program);
    // The name stays the program's path: tools that run programs (valgrind) look for the file by it.
    command.arg(EDGE).arg(word_of(user));
    command.env_clear().envs(OF_EDGE.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    // For the allocator: pages of 2 MiB would be most of what an edge takes that has little to do.
    command.env("MIMALLOC_ALLOW_THP", "0");
    // The edge is woken for every answer. On a core that it shares with workers it would interrupt them
    // each time; like this it waits until they sleep, or have had their time (measured: ARCHITECTURE.md). Without
    // workers it would wait for strangers.
    let policy = has_workers.then_some(libc::SCHED_BATCH);
    let heard = Heard { relays, children: 2, printed: None };
    Ok(start(command, &[], Ties { policy, may_gain: false, is_other: user.is_some() }, heard)?.0)
}

/// What a worker is started with.
#[derive(Clone, Copy, Debug)]
pub struct Hiring<'a> {
    /// This program.
    pub program: &'a Path,
    /// What the interpreter runs first.
    pub boot: &'a str,
    /// The worker's half of hallway.
    pub extension: BorrowedFd<'a>,
    /// All variables that it has.
    pub environment: &'a Environment,
    /// Those of its app.
    pub relays: &'a Relays,
}

/// Starts a worker: a launcher (see `launch`) that becomes the user's own interpreter, which loads the extension and
/// then the application. The pipe beside it reads, without waiting for anybody, what the worker writes to standard output
/// and error.
///
/// # Errors
/// Those of starting a process. That the interpreter cannot be started is told by the channel.
pub fn spawn_worker(hiring: Hiring<'_>, app: &App, place: u32) -> io::Result<(Spawned, OwnedFd)> {
    let mut command = Command::new(hiring.program);
    command.arg(WORKER).arg(word_of(app.user.as_ref())).arg(if app.new_privileges { "keep" } else { "none" });
    // Of the environment it has nothing yet: what is the app's own to say must not count before it is the app's user.
    command.env_clear().arg(&app.chdir).arg(&app.python);
    command.args(["-c", RUN_BOOT, hiring.boot, &app.callable]).arg(format!("hallway: app {} [{place}]", app.name));
    // How it is called, and what settings are called in words for its author.
    let (kind, written) =
        (if app.factory { "factory" } else { "application" }, if app.by_flags { "flag" } else { "key" });
    command.arg(format!("{kind} {written}")).arg(requests_limit(app)?.to_string());
    command.arg(app.threads.to_string()).arg(u8::from(app.is_multiprocess()).to_string());
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&reads, OFlags::NONBLOCK)?;
    command.stdout(writes.try_clone()?).stderr(writes);
    let environment = carry("hallway environment", &encode(hiring.environment))?;
    let ties = Ties { policy: None, may_gain: app.new_privileges, is_other: app.user.is_some() };
    // While they are replaced there are twice as many.
    let heard = Heard { relays: hiring.relays, children: app.workers.saturating_mul(2), printed: Some(reads) };
    let (spawned, printed) = start(command, &[hiring.extension, environment.as_fd()], ties, heard)?;
    Ok((spawned, printed.ok_or(io::ErrorKind::BrokenPipe)?))
}

/// After how many requests this worker is replaced.
fn requests_limit(app: &App) -> io::Result<u64> {
    let mut chance = [0u8; 8];
    rustix::rand::getrandom(&mut chance[..], rustix::rand::GetRandomFlags::empty())?;
    let extra = u64::from_le_bytes(chance) % app.max_requests_jitter.saturating_add(1).max(1);
    Ok(if app.max_requests == 0 { 0 } else { app.max_requests.saturating_add(extra) })
}

/// How a child is heard.
struct Heard<'a> {
    relays: &'a Relays,
    /// Children of its kind that there may be.
    children: u32,
    /// The end to be read of the pipe that it prints into.
    printed: Option<OwnedFd>,
}

/// What a child keeps of the master, and what it does not.
#[derive(Clone, Copy)]
struct Ties {
    /// The scheduling policy, where it is not the master's.
    policy: Option<i32>,
    /// Whether programs that it starts may have more rights than it has.
    may_gain: bool,
    /// Whether it will be another user.
    is_other: bool,
}

/// The operation of keyctl(2) that begins a session without the keys of the one before.
const JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Starts a child with a new channel and these descriptors, whose numbers end its command line. It has no other descriptor
/// but standard ones, whatever this process has open, and no terminal. Beside it comes what it prints.
fn start(
    mut command: Command,
    given: &[BorrowedFd<'_>],
    ties: Ties,
    heard: Heard<'_>,
) -> io::Result<(Spawned, Option<OwnedFd>)> {
    let (ours, theirs) = Channel::pair()?;
    let descriptors = theirs.descriptors();
    let numbers: Vec<RawFd> = descriptors.iter().chain(given).map(AsRawFd::as_raw_fd).collect();
    command.arg(theirs.word()).args(given.iter().map(|descriptor| descriptor.as_raw_fd().to_string()));
    command.stdin(Stdio::null());
    // SAFETY: between fork and exec the closure only calls setsid, keyctl, sched_setscheduler, prctl, close_range and
    // fcntl, plain system calls, on descriptors that are open in the parent for as long as `start` runs, and on numbers that
    // were put there before; it allocates nothing. close_range closes nothing before the exec.
    unsafe {
        command.pre_exec(move || {
            // No terminal of the master's: not its Ctrl-C, and nothing that could be typed into it in its name.
            libc::setsid();
            if ties.is_other {
                // Nor the keys of the session of who started it (session-keyring(7)); not every kernel has such.
                libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0);
            }
            if let Some(policy) = ties.policy {
                // Where it is forbidden the child runs as any other.
                libc::sched_setscheduler(0, policy, &libc::sched_param { sched_priority: 0 });
            }
            if !ties.may_gain && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
            // Where it is not known (Linux before 5.11) each descriptor of ours has that flag by itself.
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            for number in &numbers {
                fcntl_setfd(BorrowedFd::borrow_raw(*number), FdFlags::empty())?;
            }
            Ok(())
        });
    }
    let Relayed { channel, printed, relay } = ours.relayed(heard.relays, heard.children, heard.printed)?;
    let child = command.spawn()?;
    Ok((Spawned { pid: child.id(), channel, relay, is_deaf: false, kill_at_ms: None }, printed))
}
