//! Stories of an edge that hangs.
//!
//! In:     an edge that is silent, never ready, or killed and kept.
//! Out:    the commands that must follow.
//! Actors: none.
//! Never:  is a seed used here; the simulated world is `tests/sim_supervise.rs`.

use super::*;

#[test]
fn an_edge_that_hangs_says_where_and_is_replaced() {
    let mut tree = running(1);
    assert_eq!(tree.step(100, Event::EdgeHangs { speaks: true }), [Command::DumpEdge]);
    assert_eq!(tree.step(150, Event::EdgeHangs { speaks: true }), [], "it is known");
    assert_eq!(tree.wake_at(), Some(100 + LAST_WORDS_MS));
    assert_eq!(tree.step(100 + LAST_WORDS_MS, Event::Tick), [Command::Kill(Child::Edge)]);
    let commands = tree.step(401, Event::Exited(Child::Edge, None));
    assert_eq!(commands, [Command::SpawnEdge, Command::DealLanes(1)]);
    tree.step(402, Event::Ready(Child::Edge));
    // One that is stopped can say nothing.
    assert_eq!(tree.step(500, Event::EdgeHangs { speaks: false }), [Command::Kill(Child::Edge)]);
    tree.step(501, Event::Exited(Child::Edge, None));
    tree.step(502, Event::Ready(Child::Edge));
    tree.step(600, Event::Stop);
    assert_eq!(tree.step(700, Event::EdgeHangs { speaks: true }), [], "it has its time to end, and none follows");
}

#[test]
fn nobody_waits_for_the_end_of_a_killed_edge() {
    // A debugger has it, or a disk that does not answer.
    let mut tree = running(1);
    assert_eq!(tree.step(100, Event::EdgeHangs { speaks: false }), [Command::Kill(Child::Edge)]);
    assert_eq!(tree.wake_at(), Some(100 + GONE_MS));
    assert_eq!(tree.step(100 + GONE_MS, Event::Tick), [Command::SpawnEdge, Command::DealLanes(1)]);
    tree.step(400, Event::Ready(Child::Edge));
    tree.step(401, Event::Joined(1));
    tree.step(500, Event::Stop);
    let late_ms = 500 + 30_000 + CUT_MS;
    let commands = tree.step(late_ms, Event::Tick);
    assert_eq!(commands, [Command::Tell(Tidings::EdgeOverstays), Command::Kill(Child::Edge)]);
    assert_eq!(tree.step(late_ms + CUT_MS, Event::Tick), [Command::Finish(Child::Worker(1))]);
    assert_eq!(tree.step(late_ms + CUT_MS + 1, Event::Exited(Child::Worker(1), Some(0))), [Command::Exit(0)]);
}

#[test]
fn an_edge_that_is_never_ready_is_tried_again() {
    let (mut tree, _) = started(1);
    tree.step(10, Event::Ready(Child::Worker(1)));
    let commands = tree.step(EDGE_START_MS, Event::Tick);
    assert_eq!(commands, [Command::Tell(Tidings::EdgeStartsTooLong), Command::Kill(Child::Edge)]);
    assert_eq!(tree.step(EDGE_START_MS + 1, Event::Exited(Child::Edge, None)), []);
    let again_ms = tree.wake_at().unwrap();
    assert!(again_ms <= EDGE_START_MS + 101, "{again_ms}");
    assert_eq!(tree.step(again_ms, Event::Tick), [Command::SpawnEdge, Command::DealLanes(1)]);
    // Neither is one that was stopped while it started, the first of all, a reason to give up.
    let (mut tree, _) = started(1);
    assert_eq!(tree.step(2_000, Event::EdgeHangs { speaks: false }), [Command::Kill(Child::Edge)]);
    assert_eq!(tree.step(2_001, Event::Exited(Child::Edge, None)), []);
    assert_eq!(tree.step(2_101, Event::Tick)[0], Command::SpawnEdge);
}
