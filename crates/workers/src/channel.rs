//! In:     packets with descriptors beside them.
//! Out:    the same in the other process.
//! Actors: none; a channel is read and written where its owner says.
//! Never:  does a descriptor arrive that stays open across an exec.

use hallway_core::control::{DESCRIPTORS_MAX, MESSAGE_BYTES_MAX};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One end of the control socket between the master and a child: packets keep their borders.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// One packet and what came beside it.
#[derive(Debug)]
pub struct Message {
    /// The packet.
    pub bytes: Vec<u8>,
    /// Descriptors, in the order in which they were sent.
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Both ends of a new channel.
    ///
    /// # Errors
    /// Those of `socketpair`.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel(ours), Channel(theirs)))
    }

    /// The end that this process was started with.
    pub fn from_descriptor(descriptor: OwnedFd) -> Channel {
        Channel(descriptor)
    }

    /// Sends one packet, without waiting: a side that does not read some hundred of these small
    /// packets is stuck, and must not make this one so.
    ///
    /// # Errors
    /// Those of `sendmsg`: the other side may be gone, or have no room (`WouldBlock`).
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors for one packet"));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::io::retry_on_intr(|| sendmsg(&self.0, &[IoSlice::new(bytes)], &mut beside, flags))?;
        Ok(())
    }

    /// Receives one packet; nothing when the other side is gone.
    ///
    /// # Errors
    /// Those of `recvmsg`.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        self.receive_by(RecvFlags::CMSG_CLOEXEC)
    }

    /// The same, where one is there already: the other side may have ended, and a child of it still hold its end.
    ///
    /// # Errors
    /// Those of `recvmsg`; `WouldBlock` where there is none.
    pub fn receive_now(&self) -> io::Result<Option<Message>> {
        self.receive_by(RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
    }

    fn receive_by(&self, flags: RecvFlags) -> io::Result<Option<Message>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let mut receive = || recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut beside, flags);
        let received = match rustix::io::retry_on_intr(&mut receive) {
            // The other side has ended without reading all; that is said once, before what it had sent.
            Err(Errno::CONNRESET) => rustix::io::retry_on_intr(receive)?,
            received => received?,
        };
        bytes.truncate(received.bytes);
        let mut descriptors = Vec::new();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        // No message of ours is empty, so nothing read is the end.
        Ok((received.bytes > 0).then_some(Message { bytes, descriptors }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_heard_of_who_left_others_unread() {
        let (ours, theirs) = Channel::pair().unwrap();
        ours.send(b"unread", &[]).unwrap();
        theirs.send(b"last words", &[]).unwrap();
        drop(theirs);
        assert_eq!(ours.receive().unwrap().unwrap().bytes, b"last words");
        assert!(ours.receive().unwrap().is_none());
    }

    #[test]
    fn nobody_waits_for_what_is_not_there() {
        let (ours, theirs) = Channel::pair().unwrap();
        assert_eq!(ours.receive_now().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        theirs.send(b"x", &[]).unwrap();
        assert_eq!(ours.receive_now().unwrap().unwrap().bytes, b"x");
    }
}
