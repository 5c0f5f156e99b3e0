//! Shows where threads of this process are.
//!
//! In:     the numbers of threads that do not turn.
//! Out:    their stacks, as the names of functions.
//! Actors: the thread that asks; the one that is asked, in the handler of a signal.
//! Never:  does the handler take memory or a lock, or the one who asks wait for long: a stopped thread says nothing.

#![allow(unsafe_code)]

mod names;

use names::Names;
use rustix::thread::gettid;
use signal_hook::consts::SIGUSR2;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Frames of a stack that are told.
const FRAMES_MAX: usize = 64;
/// For a thread to answer. Who asks is killed soon after.
const ANSWER: Duration = Duration::from_millis(50);
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// Where the thread that was asked puts the addresses of its frames.
static FRAMES: [AtomicUsize; FRAMES_MAX] = [const { AtomicUsize::new(0) }; FRAMES_MAX];
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The thread that is asked, and the one that has answered.
static ASKED: AtomicU32 = AtomicU32::new(0);
static ANSWERED: AtomicU32 = AtomicU32::new(0);

/// What `_Unwind_Backtrace` is told to go on, and to end.
const GO_ON: c_int = 0;
const END: c_int = 5;

// SAFETY: as the Itanium C++ ABI for exceptions has them; the library of the compiler, which is linked anyway, has both.
unsafe extern "C" {
    fn _Unwind_Backtrace(each: extern "C" fn(*mut c_void, *mut c_void) -> c_int, argument: *mut c_void) -> c_int;
    fn _Unwind_GetIP(frame: *mut c_void) -> usize;
}

/// The stacks of this process.
pub(crate) struct Stacks {
    /// Nothing where the program's file may not be read, or has no symbols.
    names: Option<Names>,
    entry: u64,
}

impl Stacks {
    /// Has the threads of this process answer from now on. The file of the program is opened here, as this user may lose the
    /// right to.
    ///
    /// # Errors
    /// Those of `sigaction`.
    pub(crate) fn listen() -> io::Result<Stacks> {
        // SAFETY: the handler writes to atomics and walks its own stack by the program's unwind tables; it takes neither
        // memory nor a lock of this program.
        unsafe { signal_hook::low_level::register(SIGUSR2, answer) }?;
        // SAFETY: it only reads what the kernel put behind the environment.
        let entry = unsafe { libc::getauxval(libc::AT_ENTRY) };
        let names = File::open("/proc/self/exe").and_then(|file| Names::of(file, entry)).ok();
        Ok(Stacks { names, entry })
    }

    /// The stack of another thread of this process, innermost first; nothing where it does not answer.
    pub(crate) fn of_thread(&self, thread: u32) -> Option<Vec<String>> {
        let mut addresses = ask(thread)?;
        addresses.retain(|address| *address != 0);
        let named = self.names.as_ref().map_or_else(|| vec![None; addresses.len()], |names| names.at(&addresses));
        // First come those of the handler, and what the system puts below it.
        let is_handler =
            |name: &Option<String>| name.as_ref().is_some_and(|name| name.contains("signal_hook_registry"));
        let first = named.iter().rposition(is_handler).map_or(0, |at| at + 2);
        let is_last = |name: &Option<String>| name.as_ref().is_some_and(|name| name.contains("__rust_begin_short"));
        let last = named.iter().position(is_last).unwrap_or(named.len()).max(first);
        let told = |(address, name): (&u64, Option<String>)| name.unwrap_or_else(|| self.elsewhere(*address));
        Some(addresses.iter().zip(named).take(last).skip(first).map(told).collect())
    }

    /// A place of a library, or of a program without symbols, where tools find it by its distance from the start.
    fn elsewhere(&self, address: u64) -> String {
        match self.names {
            Some(_) => format!("{address:#x} in a library"),
            None => format!("{address:#x} (the program starts at {:#x})", self.entry),
        }
    }
}

/// The addresses of the frames of a thread; behind the innermost one each is where a call returns to.
fn ask(thread: u32) -> Option<Vec<u64>> {
    ANSWERED.store(0, Ordering::Release);
    ASKED.store(thread, Ordering::Release);
    // SAFETY: a plain system call with numbers; the thread may have ended, which it says.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, SIGUSR2) };
    let until = Instant::now() + ANSWER;
    while sent == 0 && ANSWERED.load(Ordering::Acquire) != thread && Instant::now() < until {
        std::thread::sleep(BETWEEN_LOOKS);
    }
    let has_answered = ANSWERED.load(Ordering::Acquire) == thread;
    ASKED.store(0, Ordering::Release);
    let frames = &FRAMES[..COUNT.load(Ordering::Relaxed).min(FRAMES_MAX)];
    has_answered.then(|| frames.iter().map(|frame| frame.load(Ordering::Relaxed) as u64).collect())
}

/// Runs in the thread that is asked.
fn answer() {
    let thread = gettid().as_raw_nonzero().get().unsigned_abs();
    if ASKED.load(Ordering::Acquire) == thread && ANSWERED.load(Ordering::Acquire) != thread {
        COUNT.store(0, Ordering::Relaxed);
        // SAFETY: `note` takes any frame; the walk ends with the stack, or when `note` says so.
        unsafe { _Unwind_Backtrace(note, std::ptr::null_mut()) };
        ANSWERED.store(thread, Ordering::Release);
    }
}

extern "C" fn note(frame: *mut c_void, _: *mut c_void) -> c_int {
    let count = COUNT.load(Ordering::Relaxed);
    let Some(place) = FRAMES.get(count) else { return END };
    // SAFETY: the frame is that of the walk, which is under way.
    place.store(unsafe { _Unwind_GetIP(frame) }, Ordering::Relaxed);
    COUNT.store(count + 1, Ordering::Relaxed);
    GO_ON
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    static DONE: AtomicU32 = AtomicU32::new(0);

    #[inline(never)]
    fn spin_for_the_test() {
        while DONE.load(Ordering::Acquire) == 0 {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_thread_says_where_it_is() {
        let stacks = Stacks::listen().unwrap();
        let (tell, told) = channel();
        let spinner = std::thread::spawn(move || {
            tell.send(gettid().as_raw_nonzero().get().unsigned_abs()).unwrap();
            spin_for_the_test();
        });
        let thread = told.recv().unwrap();
        let frames = loop {
            // It may still be on its way there, or wait for a processor.
            let frames = stacks.of_thread(thread).unwrap_or_default();
            if frames.iter().any(|frame| frame.contains("spin_for_the_test")) {
                break frames;
            }
        };
        assert!(!frames.iter().any(|frame| frame.contains("answer") || frame.contains("signal_hook")), "{frames:#?}");
        assert_eq!(stacks.of_thread(u32::MAX / 2), None, "nobody");
        DONE.store(1, Ordering::Release);
        spinner.join().unwrap();
    }
}
