//! In:     pieces of an answer; a client that takes some of them.
//! Out:    what the client gets, what waits, and where.
//! Actors: the test gives and takes.
//! Never:  waits for time to pass.

use super::*;
use crate::fakes::{on_loop, settle, until};
use std::pin::pin;

const KIB: usize = 1024;

fn backlog(from: Giver, spool_bytes: u64) -> Backlog {
    Backlog::new(from, Spool::new(1, Some(spool_bytes)), Rc::default())
}

fn piece(fill: u8, bytes: usize) -> Piece {
    Piece::from(vec![fill; bytes])
}

/// All that comes until the end.
async fn take_all(backlog: &Backlog) -> Result<Vec<u8>, Fault> {
    let mut taken = Vec::new();
    loop {
        let (piece, last) = backlog.piece().await?;
        taken.extend_from_slice(piece.bytes());
        if last {
            return Ok(taken);
        }
    }
}

fn looked<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn pieces_come_in_their_order_and_the_last_says_so() {
    on_loop(async |_| {
        let backlog = backlog(Giver::Server, 0);
        backlog.add(piece(1, 5 * KIB));
        backlog.add(piece(2, 5 * KIB));
        backlog.finish(Ok(()));
        let (first, is_last) = backlog.piece().await.unwrap();
        assert!(!is_last && first.bytes() == [1; 5 * KIB]);
        let (second, is_last) = backlog.piece().await.unwrap();
        assert!(is_last && second.bytes() == [2; 5 * KIB]);
        assert!(backlog.is_empty() && backlog.has_ended());
    });
}

#[test]
fn who_takes_is_told_when_something_comes_and_when_nothing_more_does() {
    on_loop(async |_| {
        let backlog = Rc::new(backlog(Giver::Server, 0));
        let taking = tokio::task::spawn_local({
            let backlog = backlog.clone();
            async move { take_all(&backlog).await }
        });
        settle().await;
        backlog.add(piece(1, 3));
        settle().await;
        assert!(backlog.is_empty() && !taking.is_finished());
        backlog.finish(Ok(()));
        assert_eq!(taking.await.unwrap(), Ok(vec![1; 3]));
    });
}

#[test]
fn short_pieces_that_wait_are_one() {
    on_loop(async |_| {
        let backlog = backlog(Giver::Worker, 0);
        (0..10).for_each(|fill| backlog.add(piece(fill, 2)));
        let (joined, is_last) = backlog.piece().await.unwrap();
        assert_eq!((joined.len(), is_last), (20, false));
    });
}

#[test]
fn what_came_before_a_fault_comes_before_it() {
    on_loop(async |_| {
        for ends in [
            |backlog: &Backlog| backlog.finish(Err(Fault::ServerLost)),
            |backlog: &Backlog| {
                backlog.expire(Fault::ServerLost);
            },
        ] {
            let backlog = backlog(Giver::Server, 0);
            backlog.add(piece(1, 3));
            ends(&backlog);
            assert_eq!(backlog.piece().await.unwrap().0.bytes(), [1; 3]);
            assert_eq!(backlog.piece().await.err(), Some(Fault::ServerLost));
        }
        let backlog = backlog(Giver::Server, 0);
        backlog.finish(Ok(()));
        backlog.finish(Err(Fault::ServerLost));
        assert_eq!(take_all(&backlog).await, Ok(Vec::new()), "the first end counts");
    });
}

#[test]
fn what_is_beyond_the_memory_waits_in_a_file_and_comes_in_its_order() {
    on_loop(async |_| {
        let backlog = backlog(Giver::Worker, 10 << 20);
        let mut given = Vec::new();
        for fill in 0..40 {
            let piece = piece(fill, 50 * KIB);
            given.extend_from_slice(piece.bytes());
            backlog.add(piece);
            backlog.make_room().await;
            assert!(backlog.inbox.borrow().memory_bytes < MEMORY_BYTES_MAX);
        }
        assert!(backlog.spool.status()["bytes"].as_u64().unwrap() > 1 << 20);
        assert!(!backlog.ends_short_of(u64::MAX), "more may come");
        backlog.finish(Ok(()));
        assert!(backlog.ends_short_of(given.len() as u64 + 1) && !backlog.ends_short_of(given.len() as u64));
        assert!(take_all(&backlog).await.unwrap() == given);
        let spool = backlog.spool.clone();
        drop(backlog);
        until(|| spool.status()["bytes"] == 0).await;
    });
}

#[test]
fn a_client_that_takes_while_more_is_written_gets_it_in_order() {
    on_loop(async |_| {
        let backlog = Rc::new(backlog(Giver::Worker, 10 << 20));
        let giving = tokio::task::spawn_local({
            let backlog = backlog.clone();
            async move {
                for fill in 0..60 {
                    backlog.add(piece(fill, 60 * KIB));
                    backlog.make_room().await;
                }
                backlog.finish(Ok(()));
            }
        });
        let mut taken = take_all(&backlog).await.unwrap();
        giving.await.unwrap();
        assert_eq!(taken.len(), 60 * 60 * KIB);
        assert!(taken.is_sorted());
        taken.dedup();
        assert_eq!(taken.len(), 60);
    });
}

#[test]
fn a_server_waits_where_there_is_no_room() {
    on_loop(async |_| {
        let backlog = backlog(Giver::Server, 0);
        (0..5).for_each(|fill| backlog.add(piece(fill, 64 * KIB)));
        {
            let mut room = pin!(backlog.make_room());
            while looked(room.as_mut()).is_pending() && backlog.inbox.borrow().giver.is_none() {}
            backlog.piece().await.unwrap();
            assert!(looked(room.as_mut()).is_pending(), "four pieces are as many as may wait");
            backlog.piece().await.unwrap();
            assert!(looked(room.as_mut()).is_ready());
        }
        assert!(!backlog.was_cut());
    });
}

#[test]
fn an_answer_that_nobody_waits_for_takes_no_memory_and_holds_up_nobody() {
    on_loop(async |_| {
        let backlog = backlog(Giver::Server, 0);
        (0..9).for_each(|fill| backlog.add(piece(fill, 64 * KIB)));
        let mut room = pin!(backlog.make_room());
        assert!(looked(room.as_mut()).is_pending());
        backlog.abandon();
        room.await;
        assert!(backlog.is_abandoned() && backlog.has_room() && backlog.is_empty());
        assert_eq!(backlog.all_bytes.get(), 0);
    });
}

#[test]
fn all_answers_of_a_loop_are_counted_and_leave_nothing_behind() {
    on_loop(async |_| {
        let all_bytes = Rc::new(Cell::new(0));
        let make = || Backlog::new(Giver::Server, Spool::new(1, Some(0)), all_bytes.clone());
        let (one, other) = (make(), make());
        one.add(piece(1, 100));
        other.add(piece(2, 50));
        assert_eq!(all_bytes.get(), 150);
        one.piece().await.unwrap();
        assert_eq!(all_bytes.get(), 150, "what was given is being written");
        let mut next = pin!(one.piece());
        assert!(looked(next.as_mut()).is_pending());
        assert_eq!(all_bytes.get(), 50);
        other.start_over();
        assert_eq!(all_bytes.get(), 0);
        other.add(piece(2, 70));
        drop(other);
        assert_eq!(all_bytes.get(), 0);
    });
}

#[test]
fn where_many_wait_each_has_less_memory() {
    on_loop(async |_| {
        let backlog = backlog(Giver::Server, 0);
        backlog.add(piece(1, TIGHT_BYTES_MAX + 1));
        assert!(backlog.has_room());
        backlog.all_bytes.set(ALL_BYTES_MAX + 1);
        assert!(!backlog.has_room());
        backlog.piece().await.unwrap();
        assert!(backlog.has_room());
    });
}
