//! In:     packets with descriptors beside them, to a child; reports without, from it.
//! Out:    the same in the other process.
//! Actors: none; a channel is read and written where its owner says.
//! Never:  does a descriptor arrive that stays open across an exec, or any at the master: who takes or closes what a
//!         child has sent may wait for as long as the child likes, also for what there is no room for.

use crate::inherit::take_inherited;
use crate::relay::{Relay, Relays};
use hallway_core::control::{DESCRIPTORS_MAX, MESSAGE_BYTES_MAX, put_report};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// One end of the way between the master and a child: a socket for orders, which keeps the borders of packets, and a
/// pipe for reports, through which no descriptor goes.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    pipe: OwnedFd,
    is_masters: bool,
    /// Reports that came, what is none among them, and the beginning of the next one.
    heard: AtomicU32,
    begun: Mutex<Vec<u8>>,
}

/// The master's ends of what a child writes, behind its relay.
pub(crate) struct Relayed {
    pub(crate) channel: Channel,
    pub(crate) printed: Option<OwnedFd>,
    pub(crate) relay: Relay,
}

/// One packet and what came beside it.
#[derive(Debug)]
pub struct Message {
    /// The packet.
    pub bytes: Vec<u8>,
    /// Descriptors, in the order in which they were sent.
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Both ends of a new channel: the master's, and that of a child.
    ///
    /// # Errors
    /// Those of `socketpair`, `shutdown` and `pipe`.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // The child can send nothing by it from now on, and cannot change that.
        shutdown(&ours, Shutdown::Read)?;
        let (reads, writes) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok((
            Channel { is_masters: true, ..Channel::from_descriptors(ours, reads) },
            Channel::from_descriptors(theirs, writes),
        ))
    }

    /// The master's end, behind a relay of all that the child writes: reports, and what it prints into a pipe beside them.
    ///
    /// # Errors
    /// Those of starting the relay.
    pub(crate) fn relayed(self, relays: &Relays, children: u32, printed: Option<OwnedFd>) -> io::Result<Relayed> {
        let pipes = std::iter::once(self.pipe).chain(printed).collect();
        let (relay, heard) = relays.start(children, pipes)?;
        let mut heard = heard.into_iter();
        let pipe = heard.next().ok_or(io::ErrorKind::BrokenPipe)?;
        let channel = Channel { is_masters: true, ..Channel::from_descriptors(self.socket, pipe) };
        Ok(Relayed { channel, printed: heard.next(), relay })
    }

    /// The end that this process was started with: its socket and its pipe.
    pub fn from_descriptors(socket: OwnedFd, pipe: OwnedFd) -> Channel {
        Channel { socket, pipe, is_masters: false, heard: AtomicU32::new(0), begun: Mutex::default() }
    }

    /// The end that is named by a word of the command line (`word`); these are its descriptors.
    ///
    /// # Errors
    /// Those of taking them over.
    pub fn inherited(word: &str) -> io::Result<Channel> {
        let (socket, pipe) = word.split_once(',').unwrap_or_default();
        let take = |number: &str| take_inherited(number.parse().unwrap_or(-1));
        Ok(Channel::from_descriptors(take(socket)?, take(pipe)?))
    }

    /// The numbers of both descriptors, for the command line of a child.
    pub fn word(&self) -> String {
        format!("{},{}", self.socket.as_raw_fd(), self.pipe.as_raw_fd())
    }

    /// Has both stay open in the program that takes the place of this one.
    ///
    /// # Errors
    /// Those of `fcntl`.
    pub fn keep(&self) -> io::Result<()> {
        for descriptor in self.descriptors() {
            fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        Ok(())
    }

    /// Both descriptors, for a child that is started with them.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.socket.as_fd(), self.pipe.as_fd()]
    }

    /// The same end once more.
    ///
    /// # Errors
    /// Those of `fcntl`.
    pub fn try_clone(&self) -> io::Result<Channel> {
        let (socket, pipe) = (fcntl_dupfd_cloexec(&self.socket, 3)?, fcntl_dupfd_cloexec(&self.pipe, 3)?);
        Ok(Channel { is_masters: self.is_masters, ..Channel::from_descriptors(socket, pipe) })
    }

    /// How many reports came by this end.
    pub fn heard(&self) -> u32 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Sends one packet, without waiting: a side that does not read some hundred of these small
    /// packets is stuck, and must not make this one so. Only the master sends descriptors.
    ///
    /// # Errors
    /// Those of `sendmsg` or `write`: the other side may be gone, or have no room (`WouldBlock`).
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if !self.is_masters {
            let record = put_report(bytes);
            // A pipe takes all of so short a record, or nothing of it.
            rustix::io::retry_on_intr(|| rustix::io::write(&self.pipe, &record))?;
            return Ok(());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors for one packet"));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::io::retry_on_intr(|| sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut beside, flags))?;
        Ok(())
    }

    /// Receives one packet; nothing when the other side is gone. A child's end waits for it; the master's never does.
    ///
    /// # Errors
    /// Those of `recvmsg` or `read`; `WouldBlock` where there is none, or only its beginning.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        if self.is_masters { self.take_report() } else { self.take_order() }
    }

    /// The next report; an empty one for what is none.
    fn take_report(&self) -> io::Result<Option<Message>> {
        // A panic ends the process, so a poisoned lock is never seen.
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // No more than this report: the poll tells of those behind it.
            let length = begun.first_chunk::<2>().map(|length| usize::from(u16::from_le_bytes(*length)));
            let wanted = length.map_or(2, |length| 2 + length);
            if length.is_some_and(|length| length == 0 || length > MESSAGE_BYTES_MAX) {
                begun.clear();
                self.heard.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(Message { bytes: Vec::new(), descriptors: Vec::new() }));
            }
            if begun.len() == wanted {
                self.heard.fetch_add(1, Ordering::Relaxed);
                let bytes = std::mem::take(&mut *begun).split_off(2);
                return Ok(Some(Message { bytes, descriptors: Vec::new() }));
            }
            let mut room = [0; MESSAGE_BYTES_MAX];
            let room = &mut room[..wanted - begun.len()];
            let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.pipe, &mut *room))?;
            if read == 0 {
                return Ok(None);
            }
            begun.extend_from_slice(&room[..read]);
        }
    }

    fn take_order(&self) -> io::Result<Option<Message>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = vec![0; MESSAGE_BYTES_MAX];
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)
        })?;
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

/// What tells that there is something to receive.
impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        if self.is_masters { self.pipe.as_fd() } else { self.socket.as_fd() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_go_with_descriptors_and_reports_without() {
        let (master, child) = Channel::pair().unwrap();
        master.send(b"order", &[master.as_fd()]).unwrap();
        let message = child.receive().unwrap().unwrap();
        assert_eq!((&message.bytes[..], message.descriptors.len()), (&b"order"[..], 1));
        let long = [b'x'; MESSAGE_BYTES_MAX];
        child.send(b"one", &[]).unwrap();
        child.send(&long, &[]).unwrap();
        child.try_clone().unwrap().send(b"another", &[]).unwrap();
        for expected in [&b"one"[..], &long, b"another"] {
            assert_eq!(master.receive().unwrap().unwrap().bytes, expected);
        }
        assert_eq!(master.receive().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

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
    fn a_child_sends_the_master_no_descriptor_and_nothing_that_it_waits_for() {
        let (master, child) = Channel::pair().unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let own = [child.socket.as_fd()];
        beside.push(SendAncillaryMessage::ScmRights(&own));
        let sent = sendmsg(&child.socket, &[IoSlice::new(b"x")], &mut beside, SendFlags::NOSIGNAL);
        assert_eq!(sent, Err(rustix::io::Errno::PIPE));
        // A report in parts, then what is none.
        for part in [&[3][..], &[0], b"a", b"bc"] {
            assert_eq!(master.receive().unwrap_err().kind(), io::ErrorKind::WouldBlock);
            rustix::io::write(&child.pipe, part).unwrap();
        }
        assert_eq!(master.receive().unwrap().unwrap().bytes, b"abc");
        for garbage in [[0, 0], [255, 255]] {
            rustix::io::write(&child.pipe, &garbage).unwrap();
            assert!(master.receive().unwrap().unwrap().bytes.is_empty());
        }
        assert_eq!(master.heard(), 3, "what is no report counts as one");
        // What is not read does not make the child wait.
        let sent = (0..1_000_000).take_while(|_| child.send(b"flood", &[]).is_ok()).count();
        assert!(sent > 1_000 && sent < 1_000_000, "{sent}");
    }
}
