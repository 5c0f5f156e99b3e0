//! In:     rings in real memory, some with a hostile other side.
//! Out:    what a ring promises.
//! Actors: two mappings of one file, as two processes have them.
//! Never:  does a test reach into memory but through the words that the other side can write.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use crate::memory::create;
use crate::words::Ordering;
use crate::{Broken, Memory, Receiver, Refused, Sender, Shape};
use std::sync::Arc;

fn sides() -> (Arc<Memory>, Arc<Memory>) {
    let shape = Shape::new(1000, 1, 3, 2);
    let file = create(shape).unwrap();
    (Arc::new(Memory::map(&file, shape).unwrap()), Arc::new(Memory::map(&file, shape).unwrap()))
}

#[test]
fn frames_of_every_length_cross_the_end_of_the_ring() {
    let (here, there) = sides();
    for ring in 0..3 {
        let (mut sender, mut receiver) = (Sender::new(here.clone(), ring), Receiver::new(there.clone(), ring));
        let mut frame = Vec::new();
        for length in (0..1000).chain(0..1000) {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
            let (first, second) = bytes.split_at(length / 3);
            sender.send(&[first, second]).unwrap();
            assert_eq!(receiver.copy_next(&mut frame), Ok(true));
            assert_eq!(frame, bytes);
            assert_eq!(receiver.copy_next(&mut frame), Ok(false));
            receiver.release();
        }
    }
}

#[test]
fn a_full_ring_takes_more_after_a_release() {
    let (here, there) = sides();
    let (mut sender, mut receiver) = (Sender::new(here.clone(), 0), Receiver::new(there, 0));
    let mut sent = 0;
    while sender.send(&[&[sent as u8; 100]]).is_ok() {
        sent += 1;
    }
    assert_eq!(sender.send(&[&[0; 100]]), Err(Refused::Full));
    assert_eq!(sent, here.bytes(0) as usize / 112);
    assert_eq!(sender.starve(100), Ok(true));
    let frame = receiver.begin_next().unwrap().unwrap();
    assert_eq!(receiver.bytes(frame), [0; 100]);
    assert_eq!(sender.send(&[&[0; 100]]), Err(Refused::Full), "taken is not released");
    receiver.release();
    assert_eq!(sender.starve(100), Ok(false));
    sender.send(&[&[0; 100]]).unwrap();
    assert_eq!(sender.send(&[&[0; 1 << 20]]), Err(Refused::Broken), "longer than the ring");
}

#[test]
fn credit_is_for_the_call_that_has_the_stream() {
    let (here, there) = sides();
    let granted = |stream, ticket| Sender::granted(&there, 2, (stream, ticket));
    assert_eq!(granted(1, 7), 0);
    here.grant(2, (1, 7), 1000);
    here.grant(2, (1, 7), u64::MAX);
    here.grant(2, (2, 8), 5);
    assert_eq!((granted(1, 7), granted(2, 8)), (u64::MAX, 5));
    assert_eq!((granted(0, 7), granted(1, 8), Sender::granted(&there, 1, (1, 7))), (0, 0, 0));
    here.grant(2, (1, 9), 3);
    assert_eq!((granted(1, 9), granted(1, 7)), (3, 0), "its next call has its own");
    // Streams and rings that are not there; the worker's ring has none.
    for (ring, stream) in [(2, 3), (2, u16::MAX), (0, 0)] {
        here.grant(ring, (stream, 7), 1);
        assert_eq!(Sender::granted(&there, ring, (stream, 7)), 0);
    }
}

#[test]
fn the_credit_of_many_streams_has_room_beside_the_data() {
    let streams = 1000;
    let shape = Shape::new(1000, 1, streams, 2);
    let file = create(shape).unwrap();
    let (here, there) = (Arc::new(Memory::map(&file, shape).unwrap()), Memory::map(&file, shape).unwrap());
    let (mut sender, mut receiver) = (Sender::new(here.clone(), 1), Receiver::new(here.clone(), 1));
    sender.send(&[&[1; 900]]).unwrap();
    let all = 0..u16::try_from(streams).unwrap();
    for stream in all.clone() {
        here.grant(1, (stream, u64::from(stream) + 1), u64::MAX - u64::from(stream));
    }
    assert!(
        all.into_iter().all(|stream| {
            Sender::granted(&there, 1, (stream, u64::from(stream) + 1)) == u64::MAX - u64::from(stream)
        })
    );
    let mut frame = Vec::new();
    assert_eq!((receiver.copy_next(&mut frame), frame), (Ok(true), vec![1; 900]));
}

#[test]
fn who_waits_for_room_is_told_of_once() {
    let (here, there) = sides();
    let (mut sender, mut receiver) = (Sender::new(here, 0), Receiver::new(there, 0));
    assert_eq!(sender.is_empty(), Ok(true));
    while sender.send(&[&[0; 1000]]).is_ok() {}
    assert_eq!((sender.fits(1000), sender.is_empty()), (Ok(false), Ok(false)));
    assert_eq!(sender.starve(1000), Ok(true));
    for is_awaited in [true, false] {
        receiver.begin_next().unwrap();
        assert_eq!(receiver.release(), is_awaited);
    }
    assert!(!receiver.release(), "nothing was taken");
    assert_eq!(sender.fits(1000), Ok(true));
    // What was withdrawn is room, too, once the receiver has passed over it.
    while receiver.begin_next().unwrap().is_some() {}
    receiver.release();
    while let Ok(sent) = sender.send(&[&[0; 1000]]) {
        assert!(sender.withdraw(sent.position));
    }
    assert_eq!(sender.starve(1000), Ok(true));
    assert!(receiver.begin_next().unwrap().is_none());
    assert!(receiver.release());
    assert_eq!(sender.is_empty(), Ok(true));
}

#[test]
fn a_receiver_is_woken_once() {
    let (here, there) = sides();
    let (mut sender, mut receiver) = (Sender::new(here, 0), Receiver::new(there, 0));
    assert!(!sender.send(&[b"awake"]).unwrap().wakes);
    assert!(!receiver.lie_down(), "there is a frame");
    assert!(!sender.send(&[b"still awake"]).unwrap().wakes);
    while receiver.begin_next().unwrap().is_some() {}
    assert!(receiver.lie_down());
    assert!(sender.send(&[b"asleep"]).unwrap().wakes);
    assert!(!sender.send(&[b"woken"]).unwrap().wakes);
}

#[test]
fn what_has_not_begun_can_be_taken_back() {
    let (here, there) = sides();
    let (mut sender, mut receiver) = (Sender::new(here, 0), Receiver::new(there, 0));
    let sent: Vec<u64> = (0..3u8).map(|number| sender.send(&[&[number]]).unwrap().position).collect();
    assert_eq!(receiver.begin_next().unwrap().map(|frame| receiver.bytes(frame)[0]), Some(0));
    assert!(!sender.withdraw(sent[0]), "it has begun");
    assert!(sender.withdraw(sent[1]));
    assert!(!sender.withdraw(sent[1]), "once");
    assert_eq!(receiver.begin_next().unwrap().map(|frame| receiver.bytes(frame)[0]), Some(2));
    receiver.release();
    assert!(!sender.withdraw(sent[2]));
}

#[test]
fn a_hostile_side_costs_only_its_own_ring() {
    let (here, there) = sides();
    for head in [7, 8, 16, 1 << 12, (1 << 12) + 8, 1 << 40, u64::MAX, u64::MAX - 7] {
        let (_, hostile) = sides();
        let mut receiver = Receiver::new(hostile.clone(), 1);
        let (length, _) = hostile.header(1, 0);
        for claimed in [0, 1, 4000, 4088, 4096, 1 << 20, u32::MAX] {
            length.store(claimed, Ordering::Relaxed);
            hostile.words(1).publish(head);
            let mut frame = Vec::new();
            for _ in 0..2000 {
                if receiver.copy_next(&mut frame) != Ok(true) {
                    break;
                }
                assert!(frame.len() <= 4096);
            }
        }
    }
    let mut sender = Sender::new(here, 0);
    while sender.send(&[&[1; 500]]).is_ok() {}
    for tail in [u64::MAX, 1 << 40] {
        there.words(0).release(tail);
        assert_eq!(sender.send(&[&[1; 500]]), Err(Refused::Broken));
        assert_eq!(sender.starve(500), Err(Broken));
    }
}

#[test]
fn a_sender_that_waits_for_no_release_is_broken() {
    let (here, hostile) = sides();
    let mut receiver = Receiver::new(here, 1);
    let (bytes, mut frame, mut head) = (hostile.bytes(1), Vec::new(), 0);
    // One empty frame after the other, each published as soon as the last is taken.
    let taken = (0..10 * bytes)
        .take_while(|_| {
            hostile.header(1, head).0.store(0, Ordering::Relaxed);
            head += 8;
            hostile.words(1).publish(head);
            receiver.copy_next(&mut frame) == Ok(true)
        })
        .count() as u64;
    assert_eq!(taken, bytes / 8, "no more than the ring holds without a release");
    receiver.release();
}

#[test]
fn bytes_survive_the_copy_wherever_they_begin() {
    let (here, there) = sides();
    let bytes: Vec<u8> = (0..600u16).map(|at| (at * 31 % 251) as u8).collect();
    for begin in 0..40 {
        for length in [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130, 500] {
            here.put(0, 0, &[0xee; 600]);
            here.put(0, begin, &bytes[..length]);
            let mut seen = vec![1, 2, 3];
            there.get(0, 0, 600, &mut seen);
            let (before, behind) = (begin as usize, begin as usize + length);
            assert_eq!(seen[..3], [1, 2, 3]);
            assert!(seen[3..3 + before].iter().chain(&seen[3 + behind..]).all(|byte| *byte == 0xee));
            assert_eq!(seen[3 + before..3 + behind], bytes[..length], "{length} bytes at {begin}");
            let mut part = Vec::new();
            there.get(0, begin, length, &mut part);
            assert_eq!(part, bytes[..length]);
        }
    }
}

/// A side that writes while the other one reads is no more than other bytes.
#[test]
fn a_frame_that_changes_while_it_is_copied_is_a_frame() {
    let (here, hostile) = sides();
    let again = here.clone();
    let (mut receiver, ended) = (Receiver::new(here, 1), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    hostile.header(1, 0).0.store(1000, Ordering::Relaxed);
    hostile.words(1).publish(1008);
    let told = ended.clone();
    let writing = std::thread::spawn(move || {
        let mut round = 0u8;
        while !told.load(Ordering::Relaxed) {
            round = round.wrapping_add(1);
            hostile.put(1, 8, &[round; 1000]);
            hostile.header(1, 0).0.store(if round.is_multiple_of(2) { u32::MAX } else { 1000 }, Ordering::Relaxed);
        }
    });
    let mut frame = Vec::new();
    for _ in 0..2000 {
        if receiver.copy_next(&mut frame) == Ok(true) {
            assert_eq!(frame.len(), 1000);
            receiver = Receiver::new(again.clone(), 1);
        }
    }
    ended.store(true, Ordering::Relaxed);
    writing.join().unwrap();
}

#[test]
fn only_a_sealed_file_of_the_right_size_is_mapped() {
    let shape = Shape::new(1000, 1, 3, 2);
    let file = create(shape).unwrap();
    assert!(Memory::map(&file, Shape::new(1000, 1, 3, 3)).is_err());
    assert!(rustix::fs::ftruncate(&file, 4096).is_err(), "it cannot be cut short");
    let unsealed = rustix::fs::memfd_create("unsealed", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&unsealed, shape.file_bytes() as u64).unwrap();
    assert!(Memory::map(&unsealed, shape).is_err());
}
