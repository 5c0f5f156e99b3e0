//! In:     a descriptor and the number of what it belongs to.
//! Out:    the same in the other process, through a socket beside the rings.
//! Actors: none; both sides send and take when they like.
//! Never:  does either wait, or a descriptor stay open across an exec.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Sends a descriptor.
///
/// # Errors
/// Those of `sendmsg`: the other side may be gone, or take none for too long.
pub fn send_file(socket: impl AsFd, number: u64, file: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let (descriptors, number) = ([file], number.to_le_bytes());
    beside.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::io::retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(&number)], &mut beside, flags))?;
    Ok(())
}

/// Most descriptors beside one message (SCM_MAX_FD). What there is no room for the kernel closes while it is
/// received, and what is closed may be waited for: so all are taken, and whoever takes them closes them.
const DESCRIPTORS_MAX: usize = 253;

/// Takes the next descriptor that has come, and its number; nothing when there is none. Without a
/// descriptor where this process has too many open. Further ones are closed here: where the sender is not trusted,
/// this may take as long as it likes.
pub fn receive_file(socket: impl AsFd) -> Option<(u64, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let (mut number, flags) = ([0; 8], RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC);
    let received =
        rustix::io::retry_on_intr(|| recvmsg(&socket, &mut [IoSliceMut::new(&mut number)], &mut beside, flags));
    if received.ok()?.bytes != number.len() {
        return None;
    }
    let file = beside.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut received) => received.next(),
        _ => None,
    });
    Some((u64::from_le_bytes(number), file))
}
