//! In:     what a child is to run, and the descriptors it is to have.
//! Out:    the child, and the master's end of its channel.
//! Actors: the operating system.
//! Never:  does a child share the terminal's signals: only the master hears Ctrl-C.

#![allow(unsafe_code)]

use crate::channel::Channel;
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
    /// Whether the channel has ended before the child.
    pub is_deaf: bool,
    /// When it is killed for that.
    pub kill_at_ms: Option<u64>,
}

impl Spawned {
    /// Sends it a signal; one that has ended already does not hear it.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Starts this program again as the edge: the plan's serial number, then channel, plan and sockets are on its
/// command line. `has_workers` says whether it shares the cores with any.
///
/// # Errors
/// Those of starting a process.
pub fn spawn_edge(
    program: &Path,
    (plan, serial): (BorrowedFd<'_>, u32),
    sockets: &[BorrowedFd<'_>],
    (user, has_workers): (Option<&User>, bool),
) -> io::Result<Spawned> {
    let mut command = Command::new(program);
    // The name stays the program's path: tools that run programs (valgrind) look for the file by it.
    command.arg(EDGE).arg(serial.to_string());
    let mut given = vec![plan];
    given.extend_from_slice(sockets);
    // The edge is woken for every answer. On a core that it shares with workers it would interrupt them
    // each time; like this it waits until they sleep, or have had their time (measured: ARCHITECTURE.md). Without
    // workers it would wait for strangers.
    start(command, &given, has_workers.then_some(libc::SCHED_BATCH), user)
}

/// Starts a worker: the user's own interpreter, which loads the extension and then the application.
/// The pipe beside it reads, without waiting, what the worker writes to standard output and error.
///
/// # Errors
/// Those of starting a process; the interpreter may not exist.
pub fn spawn_worker(app: &App, boot: &str, extension: BorrowedFd<'_>, place: u32) -> io::Result<(Spawned, OwnedFd)> {
    let mut command = Command::new(&app.python);
    command.arg("-c").arg(RUN_BOOT).arg(boot).arg(&app.callable).arg(format!("hallway: app {} [{place}]", app.name));
    // How it is called, and what settings are called in words for its author.
    let (kind, written) =
        (if app.factory { "factory" } else { "application" }, if app.by_flags { "flag" } else { "key" });
    command.arg(format!("{kind} {written}")).arg(requests_limit(app)?.to_string());
    command.arg(app.threads.to_string()).arg(u8::from(app.is_multiprocess()).to_string());
    // What systemd gave is the master's: an app must not take it for its own (sd_listen_fds(3)).
    for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        command.env_remove(name);
    }
    command.current_dir(&app.chdir).envs(app.env.iter().cloned());
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&reads, OFlags::NONBLOCK)?;
    command.stdout(writes.try_clone()?).stderr(writes);
    Ok((start(command, &[extension], None, app.user.as_ref())?, reads))
}

/// After how many requests this worker is replaced.
fn requests_limit(app: &App) -> io::Result<u64> {
    let mut chance = [0u8; 8];
    rustix::rand::getrandom(&mut chance[..], rustix::rand::GetRandomFlags::empty())?;
    let extra = u64::from_le_bytes(chance) % app.max_requests_jitter.saturating_add(1).max(1);
    Ok(if app.max_requests == 0 { 0 } else { app.max_requests.saturating_add(extra) })
}

/// Starts a child with a new channel and these descriptors, whose numbers end its command line, under
/// a scheduling policy and as a user, where these are named.
fn start(
    mut command: Command,
    given: &[BorrowedFd<'_>],
    policy: Option<i32>,
    user: Option<&User>,
) -> io::Result<Spawned> {
    let (ours, theirs) = Channel::pair()?;
    let numbers: Vec<RawFd> = [theirs.as_fd()].iter().chain(given).map(AsRawFd::as_raw_fd).collect();
    command.args(numbers.iter().map(ToString::to_string));
    command.stdin(Stdio::null()).process_group(0);
    let user = user.cloned();
    // SAFETY: between fork and exec the closure only calls fcntl, sched_setscheduler, setgroups, setgid and
    // setuid, plain system calls, on descriptors that are open in the parent for as long as `start` runs, and on
    // numbers that were put there before; it allocates nothing.
    unsafe {
        command.pre_exec(move || {
            if let Some(policy) = policy {
                // Where it is forbidden the child runs as any other.
                libc::sched_setscheduler(0, policy, &libc::sched_param { sched_priority: 0 });
            }
            for number in &numbers {
                fcntl_setfd(BorrowedFd::borrow_raw(*number), FdFlags::empty())?;
            }
            if let Some(User { uid, gid, groups }) = &user {
                // In this order: whoever is not root any more may not change groups.
                let dropped = libc::setgroups(groups.len(), groups.as_ptr()) == 0
                    && libc::setgid(*gid) == 0
                    && libc::setuid(*uid) == 0;
                if !dropped {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let child = command.spawn()?;
    Ok(Spawned { pid: child.id(), channel: ours, is_deaf: false, kill_at_ms: None })
}
