//! Keeps a terminal from being typed into by what runs at it.
//!
//! In:     this process, which is about to become another user's program at the terminal of who started it.
//! Out:    the same, without the two orders by which a program puts words into the queue of its terminal.
//! Actors: the kernel's filter of system calls (seccomp(2)), which all that this process starts has, too.
//! Never:  is anything else refused.

#![allow(unsafe_code)]

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JUMP, BPF_K, BPF_LD, BPF_RET, BPF_STMT, BPF_W, sock_filter, sock_fprog};
use std::io;

/// How the kernel calls the machine that this is built for, where that is known here (linux/audit.h).
const MACHINE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};
/// The number of `ioctl` for programs of 32 bits on either, and for those of x32.
const IOCTL_32: u32 = 54;
const IOCTL_X32: u32 = 0x4000_0000 + 514;
/// Where `struct seccomp_data` has the number of the call, the machine, and the lower half of the second argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ORDER: u32 = 24;

/// What runs at a terminal could type into it behind the back of who sits there, who may be root: `TIOCSTI` puts a byte
/// into its queue as if it had been typed, `TIOCLINUX` pastes a selection (CVE-2016-2568 and its kind).
///
/// # Errors
/// Those of `prctl`: this needs `no_new_privs`, or CAP_SYS_ADMIN, and a kernel with such filters.
pub fn forbid_typing() -> io::Result<()> {
    let Some(machine) = MACHINE else { return Ok(()) };
    let filter = filter_for(machine);
    let program = sock_fprog { len: filter.len() as libc::c_ushort, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the filter, of `len` steps, before this returns, and writes nothing to it.
    let set = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::c_ulong::from(libc::SECCOMP_MODE_FILTER), &raw const program)
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn filter_for(machine: u32) -> [sock_filter; 13] {
    let load = |from: u32| step(BPF_LD | BPF_W | BPF_ABS, from);
    let answer = |what: u32| step(BPF_RET | BPF_K, what);
    let allow = libc::SECCOMP_RET_ALLOW;
    [
        load(ARCHITECTURE),
        if_is(machine, 0, 4),
        load(NUMBER),
        if_is(libc::SYS_ioctl as u32, 4, 0),
        if_is(IOCTL_X32, 3, 0),
        answer(allow),
        load(NUMBER),
        if_is(IOCTL_32, 0, 4),
        load(ORDER),
        if_is(libc::TIOCSTI as u32, 1, 0),
        if_is(libc::TIOCLINUX as u32, 0, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        answer(allow),
    ]
}

fn step(code: u32, value: u32) -> sock_filter {
    // SAFETY: it only puts its arguments into a structure.
    unsafe { BPF_STMT(code as u16, value) }
}

/// Goes on so many steps behind the next one, where what was loaded is that value, and where it is not.
fn if_is(value: u32, then: u8, or: u8) -> sock_filter {
    // SAFETY: it only puts its arguments into a structure.
    unsafe { BPF_JUMP((BPF_JMP | BPF_JEQ | BPF_K) as u16, value, then, or) }
}
