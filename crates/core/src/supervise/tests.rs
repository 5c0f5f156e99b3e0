//! In:     stories of one tree, event by event.
//! Out:    the commands that must follow.
//! Actors: none.
//! Never:  is a seed used here; the simulated world is `tests/sim_supervise.rs`.

use super::leave::LEAVERS_MAX;
mod hanging;

use super::*;

fn settings(workers: &[u32]) -> Settings {
    let app = |workers: &u32| AppSettings { workers: *workers, timeout_ms: 5_000, graceful_timeout_ms: 30_000 };
    Settings { apps: workers.iter().map(app).collect(), graceful_timeout_ms: 30_000, gives_up: true }
}

/// The same, for a configuration file: what is wrong with one app ends nothing.
fn serving(workers: &[u32]) -> Supervisor {
    let mut tree = Supervisor::new(Settings { gives_up: false, ..settings(workers) });
    tree.step(0, Event::Start);
    tree.step(1, Event::Ready(Child::Edge));
    tree
}

fn started(workers: u32) -> (Supervisor, Vec<Command>) {
    let mut tree = Supervisor::new(settings(&[workers]));
    let commands = tree.step(0, Event::Start);
    (tree, commands)
}

fn running(workers: u32) -> Supervisor {
    let (mut tree, _) = started(workers);
    tree.step(1, Event::Ready(Child::Edge));
    for worker in 1..=workers {
        tree.step(1, Event::Ready(Child::Worker(worker)));
    }
    tree
}

/// The order to start a worker of the first app.
fn spawn(worker: u32, number: u32) -> Command {
    Command::SpawnWorker { worker, place: Place { app: 0, number } }
}

#[test]
fn starts_the_edge_then_one_worker_then_the_others() {
    let (mut tree, commands) = started(3);
    let expected = [Command::SpawnEdge, spawn(1, 1), Command::DealLanes(1)];
    assert_eq!(commands, expected);
    assert_eq!(tree.step(1, Event::Tick), []);
    assert_eq!(tree.wake_at(), Some(EDGE_START_MS), "nothing is due but the end of the edge's time");
    let commands = tree.step(2, Event::Ready(Child::Worker(1)));
    let expected = [spawn(2, 2), Command::DealLanes(2), spawn(3, 3), Command::DealLanes(3)];
    assert_eq!(commands, expected);
}

#[test]
fn an_app_that_does_not_load_ends_the_start() {
    let (mut tree, _) = started(2);
    tree.step(1, Event::Ready(Child::Edge));
    let commands = tree.step(5, Event::Exited(Child::Worker(1), Some(4)));
    assert_eq!(commands, [Command::Kill(Child::Edge)]);
    assert_eq!(tree.step(7, Event::Exited(Child::Edge, None)), [Command::Exit(4)]);
}

#[test]
fn a_worker_that_dies_before_it_loads_is_a_boot_failure() {
    let (mut tree, _) = started(1);
    tree.step(5, Event::Exited(Child::Worker(1), None));
    assert_eq!(tree.step(7, Event::Exited(Child::Edge, None)), [Command::Exit(3)]);
}

#[test]
fn a_dead_worker_is_replaced_at_once_and_in_its_place() {
    let mut tree = running(2);
    let commands = tree.step(10, Event::Exited(Child::Worker(2), None));
    assert_eq!(commands, [spawn(3, 2), Command::DealLanes(3)]);
}

#[test]
fn a_replacement_that_cannot_boot_backs_off() {
    let mut tree = running(1);
    tree.step(10, Event::Exited(Child::Worker(1), None));
    let down = Command::Tell(Tidings::AppIsDown { app: 0, next_try_ms: 120 });
    assert_eq!(tree.step(20, Event::Exited(Child::Worker(2), Some(4))), [down, Command::AnswerFor(0)]);
    assert_eq!(tree.wake_at(), Some(120));
    assert_eq!(tree.step(119, Event::Tick), []);
    assert_eq!(tree.step(120, Event::Tick)[0], spawn(3, 1));
    tree.step(130, Event::Exited(Child::Worker(3), Some(4)));
    assert_eq!(tree.wake_at(), Some(330));
    assert_eq!(back_off_ms(40), BACK_OFF_MAX_MS);
}

#[test]
fn an_overdue_worker_speaks_then_dies() {
    let mut tree = running(1);
    assert_eq!(tree.step(10, Event::Overdue(1)), [Command::DumpStacks(1)]);
    assert_eq!(tree.step(11, Event::Overdue(1)), []);
    assert_eq!(tree.wake_at(), Some(10 + LAST_WORDS_MS));
    assert_eq!(tree.step(10 + LAST_WORDS_MS, Event::Tick), [Command::Kill(Child::Worker(1))]);
    let commands = tree.step(400, Event::Exited(Child::Worker(1), None));
    assert_eq!(commands, [spawn(2, 1), Command::DealLanes(2)]);
}

#[test]
fn an_app_that_hangs_while_it_loads_is_tried_again() {
    let mut tree = running(1);
    tree.step(10, Event::Exited(Child::Worker(1), None));
    assert_eq!(tree.wake_at(), Some(10 + BOOT_MS));
    let said = [Command::Tell(Tidings::LoadsTooLong(2)), Command::DumpStacks(2)];
    assert_eq!(tree.step(10 + BOOT_MS, Event::Tick), said, "where it hangs");
    assert_eq!(tree.step(10 + BOOT_MS + LAST_WORDS_MS, Event::Tick), [Command::Kill(Child::Worker(2))]);
}

#[test]
fn a_dead_edge_comes_back_and_meets_the_living_workers() {
    let mut tree = running(2);
    let commands = tree.step(10, Event::Exited(Child::Edge, None));
    assert_eq!(commands, [Command::SpawnEdge, Command::DealLanes(1), Command::DealLanes(2)]);
    // One that dies before it is ready waits.
    tree.step(11, Event::Joined(1));
    tree.step(11, Event::Joined(2));
    assert_eq!(tree.step(11, Event::Exited(Child::Edge, Some(1))), []);
    assert_eq!(tree.wake_at(), Some(111));
    assert_eq!(tree.step(111, Event::Tick)[0], Command::SpawnEdge);
}

#[test]
fn a_roll_is_one_by_one_and_ready_first() {
    let mut tree = running(2);
    assert_eq!(tree.step(10, Event::Roll), [spawn(3, 1), Command::DealLanes(3)]);
    let commands = tree.step(50, Event::Ready(Child::Worker(3)));
    let expected = [Command::Finish(Child::Worker(1)), spawn(4, 2), Command::DealLanes(4)];
    assert_eq!(commands, expected);
    assert_eq!(tree.step(60, Event::Exited(Child::Worker(1), Some(0))), []);
    assert_eq!(tree.step(70, Event::Ready(Child::Worker(4))), [Command::Finish(Child::Worker(2))]);
    assert!(!tree.is_rolling());
}

#[test]
fn a_roll_to_an_app_that_does_not_load_changes_nothing() {
    let mut tree = running(2);
    tree.step(10, Event::Roll);
    let told = Command::Tell(Tidings::NotReplaced { app: 0, code: 4 });
    assert_eq!(tree.step(50, Event::Exited(Child::Worker(3), Some(4))), [told]);
    assert_eq!(tree.wake_at(), None);
    assert_eq!(tree.readiness(0), (2, 2));
}

#[test]
fn a_spent_worker_is_replaced_before_it_leaves() {
    let mut tree = running(1);
    assert_eq!(tree.step(10, Event::Spent(1))[0], spawn(2, 1));
    assert_eq!(tree.step(11, Event::Spent(1)), []);
    assert_eq!(tree.step(50, Event::Ready(Child::Worker(2))), [Command::Finish(Child::Worker(1))]);
}

#[test]
fn more_and_fewer_workers() {
    let mut tree = running(1);
    assert_eq!(tree.step(10, Event::More)[0], spawn(2, 2));
    tree.step(20, Event::Ready(Child::Worker(2)));
    assert_eq!(tree.step(30, Event::Fewer), [Command::Finish(Child::Worker(2))]);
    assert_eq!(tree.step(40, Event::Exited(Child::Worker(2), Some(0))), []);
    assert_eq!(tree.step(50, Event::Fewer), [], "one worker stays");
}

#[test]
fn a_stop_drains_the_edge_first() {
    let mut tree = running(1);
    assert_eq!(tree.step(10, Event::Stop), [Command::Finish(Child::Edge)]);
    assert_eq!(tree.step(900, Event::Exited(Child::Edge, Some(0))), [Command::Finish(Child::Worker(1))]);
    assert_eq!(tree.step(950, Event::Exited(Child::Worker(1), Some(0))), [Command::Exit(0)]);
}

#[test]
fn a_worker_that_dies_during_the_drain_is_replaced() {
    let mut tree = running(1);
    tree.step(10, Event::Stop);
    let commands = tree.step(20, Event::Exited(Child::Worker(1), None));
    assert_eq!(commands, [spawn(2, 1), Command::DealLanes(2)]);
}

#[test]
fn a_drain_that_takes_too_long_is_cut() {
    let mut tree = running(1);
    tree.step(10, Event::Stop);
    // The edge cuts what it has after 30 s; it is killed where it does not.
    assert_eq!(tree.wake_at(), Some(31_010));
    assert_eq!(tree.step(30_010, Event::Tick), []);
    let cut = [Command::Tell(Tidings::EdgeOverstays), Command::Kill(Child::Edge)];
    assert_eq!(tree.step(31_010, Event::Tick), cut);
}

#[test]
fn a_second_stop_is_at_once() {
    let mut tree = running(1);
    tree.step(10, Event::Stop);
    // The same signal to the process and to its group is one.
    assert_eq!(tree.step(11, Event::Stop), []);
    assert_eq!(tree.step(510, Event::Stop), [Command::Kill(Child::Edge), Command::Kill(Child::Worker(1))]);
    tree.step(512, Event::Exited(Child::Worker(1), None));
    assert_eq!(tree.step(513, Event::Exited(Child::Edge, None)), [Command::Exit(0)]);
}

#[test]
fn a_worker_that_does_not_come_to_a_new_edge_is_replaced() {
    let mut tree = running(2);
    tree.step(10, Event::Exited(Child::Edge, None));
    tree.step(20, Event::Ready(Child::Edge));
    assert_eq!(tree.step(30, Event::Joined(1)), []);
    // A second death of the edge gives it no more time.
    tree.step(1_000, Event::Exited(Child::Edge, None));
    tree.step(1_010, Event::Ready(Child::Edge));
    tree.step(1_020, Event::Joined(1));
    assert_eq!(tree.wake_at(), Some(5_010));
    assert_eq!(tree.step(5_010, Event::Tick), [Command::Tell(Tidings::Missing(2)), Command::DumpStacks(2)]);
    assert_eq!(tree.step(5_010 + LAST_WORDS_MS, Event::Tick), [Command::Kill(Child::Worker(2))]);
    assert_eq!(tree.wake_at(), None);
}

#[test]
fn fewer_workers_in_the_middle_of_a_roll() {
    let mut tree = running(2);
    tree.step(10, Event::Roll);
    tree.step(20, Event::Ready(Child::Worker(3)));
    tree.step(30, Event::Exited(Child::Worker(1), Some(0)));
    // The second place has two: the old one, and its replacement that loads.
    let commands = tree.step(40, Event::Fewer);
    assert_eq!(commands, [Command::Kill(Child::Worker(4)), Command::Finish(Child::Worker(2))]);
    tree.step(50, Event::Exited(Child::Worker(4), None));
    assert_eq!(tree.step(60, Event::Exited(Child::Worker(2), Some(0))), []);
    assert!(!tree.is_rolling());
    assert_eq!((tree.readiness(0), tree.wake_at()), ((1, 1), None));
}

#[test]
fn who_leaves_is_not_waited_for_longer_than_needed() {
    let mut tree = running(1);
    tree.step(10, Event::Roll);
    tree.step(20, Event::Ready(Child::Worker(2)));
    // Its request takes too long: it shows its stacks, and is killed before its time to leave is over.
    assert_eq!(tree.step(30, Event::Overdue(1)), [Command::DumpStacks(1)]);
    assert_eq!(tree.step(30, Event::Overdue(1)), []);
    assert_eq!(tree.step(30 + LAST_WORDS_MS, Event::Tick), [Command::Kill(Child::Worker(1))]);
}

/// The end of a worker that was told to leave at 30 ms and is still there 30 s later.
fn assert_cut(tree: &mut Supervisor, worker: u32) {
    assert_eq!(tree.wake_at(), Some(30_030));
    let said = [Command::Tell(Tidings::Overstays(worker)), Command::DumpStacks(worker)];
    assert_eq!(tree.step(30_030, Event::Tick), said);
    assert_eq!(tree.step(30_030 + LAST_WORDS_MS, Event::Tick), [Command::Kill(Child::Worker(worker))]);
}

#[test]
fn who_leaves_has_the_same_time_by_every_way() {
    // A stop.
    let mut tree = running(1);
    tree.step(30, Event::Stop);
    assert_eq!(tree.step(40, Event::Exited(Child::Edge, Some(0))), [Command::Finish(Child::Worker(1))]);
    assert_cut(&mut tree, 1);
    // A reload, of all and of one; a worker that is spent.
    for event in [Event::Roll, Event::RollApp(0), Event::Spent(1)] {
        let mut tree = running(1);
        tree.step(10, event);
        assert_eq!(tree.step(30, Event::Ready(Child::Worker(2))), [Command::Finish(Child::Worker(1))]);
        assert_cut(&mut tree, 1);
    }
    // A reload, and a stop behind it: nobody has more than the stop leaves, nor less.
    let mut tree = running(1);
    tree.step(10, Event::Roll);
    tree.step(30, Event::Ready(Child::Worker(2)));
    tree.step(50, Event::Stop);
    assert_eq!(tree.step(60, Event::Exited(Child::Edge, Some(0))), [Command::Finish(Child::Worker(2))]);
    tree.step(70, Event::Exited(Child::Worker(2), Some(0)));
    assert_cut(&mut tree, 1);
    // One less.
    let mut tree = running(2);
    assert_eq!(tree.step(30, Event::Fewer), [Command::Finish(Child::Worker(2))]);
    assert_cut(&mut tree, 2);
    // By itself: another one has its place at once.
    let mut tree = running(1);
    assert_eq!(tree.step(30, Event::Left(1)), [spawn(2, 1), Command::DealLanes(2)]);
    tree.step(40, Event::Ready(Child::Worker(2)));
    assert_cut(&mut tree, 1);
}

#[test]
fn a_drain_that_took_all_of_the_time_leaves_a_moment_to_leave() {
    let mut tree = running(1);
    tree.step(10, Event::Stop);
    tree.step(31_000, Event::Exited(Child::Edge, Some(0)));
    assert_eq!(tree.wake_at(), Some(31_000 + LEAVE_MS));
}

#[test]
fn an_app_that_does_not_load_is_felt_by_nobody_else() {
    let mut tree = serving(&[2, 1]);
    let down = |next_try_ms| Command::Tell(Tidings::AppIsDown { app: 0, next_try_ms });
    assert_eq!(tree.step(5, Event::Exited(Child::Worker(1), Some(4))), [down(105), Command::AnswerFor(0)]);
    assert_eq!(tree.step(6, Event::Ready(Child::Worker(2))), []);
    // One try at a time, however many workers there are to be.
    let of = |worker, number| Command::SpawnWorker { worker, place: Place { app: 0, number } };
    assert_eq!(tree.step(105, Event::Tick), [of(3, 1), Command::DealLanes(3)]);
    assert_eq!(tree.step(110, Event::Exited(Child::Worker(3), None)), [down(310), Command::AnswerFor(0)]);
    // A new edge has not heard of it.
    let commands = tree.step(120, Event::Exited(Child::Edge, None));
    assert_eq!(commands, [Command::SpawnEdge, Command::AnswerFor(0), Command::DealLanes(2)]);
    tree.step(121, Event::Ready(Child::Edge));
    tree.step(122, Event::Joined(2));
    // A reload tries it at once, and knows what comes of it.
    assert_eq!(tree.step(130, Event::RollApp(0)), [of(4, 1), Command::DealLanes(4)]);
    assert!(tree.is_rolling());
    let failed = Command::Tell(Tidings::NotReplaced { app: 0, code: 4 });
    assert!(tree.step(140, Event::Exited(Child::Worker(4), Some(4))).contains(&failed) && !tree.is_rolling());
    tree.step(150, Event::RollApp(0));
    let commands = tree.step(160, Event::Ready(Child::Worker(5)));
    assert_eq!(commands, [Command::Tell(Tidings::AppIsUp { app: 0 }), of(6, 2), Command::DealLanes(6)]);
    assert!(!tree.is_rolling());
}

#[test]
fn an_app_that_hangs_while_it_loads_holds_up_no_other_roll() {
    let mut tree = serving(&[1, 1]);
    tree.step(5, Event::Ready(Child::Worker(1)));
    tree.step(5, Event::Ready(Child::Worker(2)));
    let of = |worker, app| Command::SpawnWorker { worker, place: Place { app, number: 1 } };
    tree.step(10, Event::RollApp(0));
    assert_eq!(tree.step(20, Event::Spent(2)), [of(4, 1), Command::DealLanes(4)]);
    assert_eq!(tree.step(30, Event::Ready(Child::Worker(4))), [Command::Finish(Child::Worker(2))]);
    assert!(tree.is_rolling_app(0) && !tree.is_rolling_app(1), "the other one still loads");
    // Its code is mended meanwhile: the next roll does not wait for what hangs.
    let commands = tree.step(3_000, Event::RollApp(0));
    assert_eq!(commands, [Command::Kill(Child::Worker(3)), of(5, 0), Command::DealLanes(5)]);
    assert_eq!(tree.step(3_010, Event::Exited(Child::Worker(3), None)), []);
    assert_eq!(tree.step(3_020, Event::Ready(Child::Worker(5))), [Command::Finish(Child::Worker(1))]);
}

#[test]
fn workers_that_die_as_soon_as_they_are_there_pause() {
    let mut tree = running(1);
    let mut pauses = Vec::new();
    for worker in 1..=12u32 {
        let now_ms = u64::from(worker) * 10_000;
        tree.step(now_ms, Event::Ready(Child::Worker(worker)));
        tree.step(now_ms, Event::Served(worker));
        tree.step(now_ms + 10, Event::Exited(Child::Worker(worker), None));
        let next = tree.wake_at().filter(|at| *at < now_ms + 10_000);
        pauses.push(next.map_or(0, |at| at - now_ms - 10));
        tree.step(now_ms + 5_000, Event::Tick);
    }
    // The first one had lived for long.
    assert_eq!(pauses, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
    tree.step(130_000, Event::Ready(Child::Worker(13)));
    tree.step(130_000, Event::Served(13));
    assert_eq!(tree.step(140_000, Event::Exited(Child::Worker(13), None))[0], spawn(14, 1), "this one has lived");
}

#[test]
fn workers_that_leave_before_their_first_request_pause_however_long_they_lived() {
    for leaves in [false, true] {
        let mut tree = running(1);
        let mut pauses = Vec::new();
        for worker in 1..=12u32 {
            let now_ms = u64::from(worker) * 10_000;
            tree.step(now_ms, Event::Ready(Child::Worker(worker)));
            if leaves {
                tree.step(now_ms + 5_000, Event::Left(worker));
            } else {
                tree.step(now_ms + 5_000, Event::Exited(Child::Worker(worker), Some(0)));
            }
            let next = tree.vacancies.first().map(|vacancy| vacancy.at_ms);
            pauses.push(next.map_or(0, |at| at - now_ms - 5_000));
            tree.step(now_ms + 5_001, Event::Exited(Child::Worker(worker), Some(0)));
            tree.step(now_ms + 7_000, Event::Tick);
        }
        assert_eq!(pauses, [0, 0, 0, 0, 100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000], "{leaves}");
    }
}

#[test]
fn workers_that_say_that_they_leave_and_stay_do_not_become_many() {
    let mut tree = running(1);
    let (mut now_ms, mut there, mut most) = (10, std::collections::BTreeSet::from([1u32]), 0);
    let mut newest = 1;
    while now_ms < 60_000 {
        let mut commands = tree.step(now_ms, Event::Ready(Child::Worker(newest)));
        commands.extend(tree.step(now_ms, Event::Left(newest)));
        commands.extend(tree.step(now_ms + 5, Event::Tick));
        while let Some(command) = commands.pop() {
            match command {
                Command::SpawnWorker { worker, .. } => {
                    there.insert(worker);
                    newest = worker;
                }
                Command::Kill(Child::Worker(worker)) => {
                    there.remove(&worker);
                    commands.extend(tree.step(now_ms + 5, Event::Exited(Child::Worker(worker), None)));
                }
                _ => {}
            }
        }
        most = most.max(there.len());
        now_ms += 10;
    }
    assert!(newest > 30 && most <= 1 + 1 + LEAVERS_MAX + 2, "{newest} workers, {most} at a time");
}

#[test]
fn one_that_leaves_before_it_is_ready_has_not_loaded() {
    let mut tree = serving(&[1]);
    assert_eq!(tree.step(100, Event::Left(1)), []);
    assert_eq!(tree.step(400, Event::Tick), [Command::Kill(Child::Worker(1))]);
    let commands = tree.step(401, Event::Exited(Child::Worker(1), None));
    assert_eq!(commands, [Command::Tell(Tidings::AppIsDown { app: 0, next_try_ms: 501 }), Command::AnswerFor(0)]);
}

#[test]
fn apps_stand_each_for_themselves() {
    let mut tree = Supervisor::new(settings(&[1, 2]));
    let of = |worker, app, number| Command::SpawnWorker { worker, place: Place { app, number } };
    let expected = [Command::SpawnEdge, of(1, 0, 1), Command::DealLanes(1), of(2, 1, 1), Command::DealLanes(2)];
    assert_eq!(tree.step(0, Event::Start), expected, "the first of each app");
    tree.step(1, Event::Ready(Child::Edge));
    assert_eq!(tree.step(1, Event::Ready(Child::Worker(1))), [], "the other app still loads");
    assert_eq!(tree.step(2, Event::Ready(Child::Worker(2))), [of(3, 1, 2), Command::DealLanes(3)]);
    tree.step(3, Event::Ready(Child::Worker(3)));
    assert_eq!((tree.readiness(0), tree.readiness(1), tree.app_of(3)), ((1, 1), (2, 2), Some(1)));
    // A roll: the first app does not load any more, the second one does.
    let both = [of(4, 0, 1), Command::DealLanes(4), of(5, 1, 1), Command::DealLanes(5)];
    assert_eq!(tree.step(10, Event::Roll), both);
    let told = Command::Tell(Tidings::NotReplaced { app: 0, code: 4 });
    assert_eq!(tree.step(20, Event::Exited(Child::Worker(4), Some(4))), [told]);
    let commands = tree.step(30, Event::Ready(Child::Worker(5)));
    assert_eq!(commands, [Command::Finish(Child::Worker(2)), of(6, 1, 2), Command::DealLanes(6)]);
    tree.step(40, Event::Ready(Child::Worker(6)));
    assert_eq!(tree.step(50, Event::More), [of(7, 0, 2), Command::DealLanes(7), of(8, 1, 3), Command::DealLanes(8)]);
}
