//! In:     two sides of a ring in every order that the memory model allows (loom).
//! Out:    every frame at the other side; nobody asleep for ever, which loom tells as a deadlock.
//! Actors: two threads.
//! Never:  is a run left out: `make test` explores all of them, up to loom's bound of preemptions.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use crate::{Memory, Receiver, Refused, Sender, Shape};
use std::sync::Arc;

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn memory() -> Arc<Memory> {
    // Rings of 32 bytes for frames of 5 bytes: the third frame has to wait for room.
    Arc::new(Memory::new(Shape::for_model(32)))
}

fn send(memory: &Memory, sender: &mut Sender, frame: &[u8]) {
    loop {
        match sender.send(&[frame]) {
            Ok(sent) => {
                if sent.wakes {
                    Sender::wake_receiver(memory, 0);
                }
                return;
            }
            Err(Refused::Full) => {
                if sender.starve(frame.len()).unwrap() {
                    Sender::wait_for_room(memory, 0).unwrap();
                }
            }
            Err(Refused::Broken) => unreachable!("nobody breaks the protocol here"),
        }
    }
}

fn receive(receiver: &mut Receiver, frame: &mut Vec<u8>) {
    while !receiver.copy_next(frame).unwrap() {
        receiver.release();
        if receiver.lie_down() {
            receiver.sleep().unwrap();
        }
        receiver.rise();
    }
}

#[test]
fn every_frame_arrives_and_nobody_sleeps_for_ever() {
    explore(|| {
        let memory = memory();
        let (mut sender, shared) = (Sender::new(memory.clone(), 0), memory.clone());
        let sending = loom::thread::spawn(move || {
            for number in 0..3u8 {
                send(&shared, &mut sender, &[number; 5]);
            }
        });
        let mut receiver = Receiver::new(memory, 0);
        let mut frame = Vec::new();
        for number in 0..3u8 {
            receive(&mut receiver, &mut frame);
            assert_eq!(frame, [number; 5]);
        }
        receiver.release();
        sending.join().unwrap();
    });
}

/// Takes a frame of ring 1 and says how much may follow: before its room is given back, or apart from that.
fn receive_and_grant(memory: &Memory, receiver: &mut Receiver, ticket: u64, bytes: u64, is_apart: bool) {
    let mut frame = Vec::new();
    while !receiver.copy_next(&mut frame).unwrap() {
        loom::thread::yield_now();
    }
    if is_apart {
        receiver.release();
        memory.grant(1, (0, ticket), bytes);
        memory.rouse(1);
    } else {
        memory.grant(1, (0, ticket), bytes);
        receiver.release();
    }
}

/// A stream of two calls, one after the other: each sends a frame, and waits until it may send more.
fn explore_credit(is_apart: bool) {
    explore(move || {
        let memory = memory();
        let (mut sender, shared) = (Sender::new(memory.clone(), 1), memory.clone());
        let sending = loom::thread::spawn(move || {
            for ticket in [7, 8] {
                sender.send(&[&[1; 5]]).unwrap();
                while Sender::granted(&shared, 1, (0, ticket)) < 2 {
                    Sender::starve_for_credit(&shared, 1);
                    if Sender::granted(&shared, 1, (0, ticket)) < 2 {
                        Sender::wait_for_room(&shared, 1).unwrap();
                    }
                }
                let granted = Sender::granted(&shared, 1, (0, ticket));
                assert_eq!(granted, ticket, "of another call");
            }
        });
        let mut receiver = Receiver::new(memory.clone(), 1);
        for ticket in [7, 8] {
            receive_and_grant(&memory, &mut receiver, ticket, ticket, is_apart);
        }
        sending.join().unwrap();
    });
}

#[test]
fn nobody_waits_for_credit_that_was_granted_with_a_release() {
    explore_credit(false);
}

#[test]
fn nobody_waits_for_credit_that_was_granted_apart() {
    explore_credit(true);
}

#[test]
fn a_frame_is_begun_or_withdrawn_never_both() {
    explore(|| {
        let memory = memory();
        let (mut sender, mut receiver) = (Sender::new(memory.clone(), 0), Receiver::new(memory.clone(), 0));
        let sent = sender.send(&[b"first"]).unwrap();
        let receiving = loom::thread::spawn(move || {
            let begun = receiver.begin_next().unwrap().is_some();
            receiver.release();
            begun
        });
        let withdrawn = sender.withdraw(sent.position);
        // Frames that come over its place later are not it.
        for _ in 0..2 {
            let _ = sender.send(&[b"later"]);
        }
        let twice = sender.withdraw(sent.position);
        let begun = receiving.join().unwrap();
        assert!(!twice || !withdrawn, "withdrawn once at most");
        // The receiver looks once, so it may begin what came later instead of what was withdrawn.
        assert!(withdrawn || twice || begun, "it is one of the two");
    });
}

#[test]
fn lanes_that_end_wake_everybody() {
    explore(|| {
        let memory = memory();
        let ended = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let (shared, told) = (memory.clone(), ended.clone());
        let ending = loom::thread::spawn(move || {
            told.store(true, loom::sync::atomic::Ordering::SeqCst);
            shared.wake_all();
        });
        let receiver = Receiver::new(memory, 0);
        while !ended.load(loom::sync::atomic::Ordering::SeqCst) {
            if receiver.lie_down() && !ended.load(loom::sync::atomic::Ordering::SeqCst) {
                receiver.sleep().unwrap();
            }
        }
        ending.join().unwrap();
    });
}
