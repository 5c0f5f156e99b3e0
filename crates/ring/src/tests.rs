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
    let shape = Shape::new(1000, 1, 2);
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
    let shape = Shape::new(1000, 1, 2);
    let file = create(shape).unwrap();
    assert!(Memory::map(&file, Shape::new(1000, 1, 3)).is_err());
    assert!(rustix::fs::ftruncate(&file, 4096).is_err(), "it cannot be cut short");
    let unsealed = rustix::fs::memfd_create("unsealed", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&unsealed, shape.file_bytes() as u64).unwrap();
    assert!(Memory::map(&unsealed, shape).is_err());
}
