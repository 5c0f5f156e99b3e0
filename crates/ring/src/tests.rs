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
fn only_a_sealed_file_of_the_right_size_is_mapped() {
    let shape = Shape::new(1000, 1, 2);
    let file = create(shape).unwrap();
    assert!(Memory::map(&file, Shape::new(1000, 1, 3)).is_err());
    assert!(rustix::fs::ftruncate(&file, 4096).is_err(), "it cannot be cut short");
    let unsealed = rustix::fs::memfd_create("unsealed", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&unsealed, shape.file_bytes() as u64).unwrap();
    assert!(Memory::map(&unsealed, shape).is_err());
}
