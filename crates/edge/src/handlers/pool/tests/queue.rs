//! In:     more requests than the servers of a pool take.
//! Out:    who gets room, who waits, and who is refused.
//! Actors: the test holds servers and lets them go.
//! Never:  waits for time to pass.

use super::super::select::Choice;
use super::*;
use crate::fakes::{late, on_loop, pass, planned, settle};
use hallway_core::plan::{Balance, Place, Protocol};
use std::cell::RefCell;
use std::task::{Context, Waker};
use tokio::task::JoinHandle;

fn servers(count: u16, connections_max: u32) -> Vec<Server> {
    let at = |number: u16| planned(format!("192.0.2.1:{}", 8000 + number).parse().unwrap());
    (0..count).map(|number| Server { connections_max, ..at(number) }).collect()
}

fn choice<'a>(ground: &'a Ground, tried: &'a [u64]) -> Choice<'a> {
    Choice { upstreams: &ground.upstreams, pools: &ground.pools, pool: 0, key: 0, tried, wanted: None }
}

/// A request that waits, and notes its number when it has a server; it keeps that until it is let go.
fn wait(ground: &Rc<Ground>, number: u32, order: &Rc<RefCell<Vec<u32>>>) -> JoinHandle<Option<Fault>> {
    let (ground, order) = (ground.clone(), order.clone());
    tokio::task::spawn_local(async move {
        let chosen = choice(&ground, &[]).choose().await;
        match chosen {
            Err(fault) => Some(fault),
            Ok(held) => {
                order.borrow_mut().push(number);
                // So that the next one gets it in another turn of the loop.
                tokio::task::yield_now().await;
                drop(held);
                None
            }
        }
    })
}

#[test]
fn who_waits_first_is_served_first() {
    on_loop(async |event_loop| {
        let ground = Rc::new(Ground::new(&event_loop, pool(servers(1, 1))));
        let held = choice(&ground, &[]).choose().await.unwrap();
        let order = Rc::default();
        let mut waiting = Vec::new();
        for number in 0..5 {
            waiting.push(wait(&ground, number, &order));
            settle().await;
        }
        assert_eq!(order.borrow().len(), 0);
        drop(held);
        for one in waiting {
            assert_eq!(one.await.unwrap(), None);
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn who_comes_later_does_not_overtake_those_who_wait() {
    on_loop(async |event_loop| {
        let ground = Rc::new(Ground::new(&event_loop, pool(servers(1, 1))));
        let held = choice(&ground, &[]).choose().await.unwrap();
        let order = Rc::default();
        let first = wait(&ground, 1, &order);
        settle().await;
        drop(held);
        // There is room now, and the first one has not looked yet.
        let own = choice(&ground, &[]);
        let mut second = Box::pin(own.choose());
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(first.await.unwrap(), None);
        assert!(second.await.is_ok());
        assert_eq!(*order.borrow(), [1]);
    });
}

#[test]
fn one_that_left_the_queue_does_not_take_the_word_of_the_next() {
    on_loop(async |event_loop| {
        let ground = Rc::new(Ground::new(&event_loop, pool(servers(1, 1))));
        let held = choice(&ground, &[]).choose().await.unwrap();
        let order = Rc::default();
        let first = wait(&ground, 1, &order);
        settle().await;
        let second = wait(&ground, 2, &order);
        settle().await;
        first.abort();
        drop(held);
        assert_eq!(second.await.unwrap(), None);
        assert_eq!(*order.borrow(), [2]);
    });
}

#[test]
fn a_queue_has_so_many_places_and_so_much_time() {
    on_loop(async |event_loop| {
        let own = Pool { queue_size: 1, queue_max_wait_ms: 4_000, ..pool(servers(1, 1)) };
        let ground = Rc::new(Ground::new(&event_loop, own));
        let _held = choice(&ground, &[]).choose().await.unwrap();
        let order = Rc::default();
        let waiting = wait(&ground, 1, &order);
        settle().await;
        assert_eq!(wait(&ground, 2, &order).await.unwrap(), Some(Fault::QueueFull));
        pass(&event_loop, 3_000).await;
        assert!(!waiting.is_finished());
        pass(&event_loop, late(1_000)).await;
        pass(&event_loop, late(1_000)).await;
        assert_eq!(waiting.await.unwrap(), Some(Fault::QueueTimeout));
        let waiting = wait(&ground, 3, &order);
        settle().await;
        assert!(!waiting.is_finished(), "its place is free again");
    });
}

#[test]
fn a_server_has_as_many_as_it_takes_and_its_neighbour_the_next() {
    on_loop(async |event_loop| {
        let ground = Ground::new(&event_loop, pool(servers(2, 2)));
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(choice(&ground, &[]).choose().await.unwrap());
        }
        let members = ground.desk().members();
        assert!(members.list.iter().all(|member| member.server.outstanding() == 2));
        drop(held);
        assert!(members.list.iter().all(|member| member.server.outstanding() == 0));
    });
}

#[test]
fn a_request_never_goes_to_a_server_that_had_it() {
    on_loop(async |event_loop| {
        let ground = Ground::new(&event_loop, pool(servers(2, 0)));
        let numbers: Vec<u64> = ground.desk().members().list.iter().map(|member| member.server.number).collect();
        for _ in 0..5 {
            let held = choice(&ground, &numbers[..1]).choose().await.unwrap();
            assert_eq!(held.server.number, numbers[1]);
        }
        assert!(choice(&ground, &numbers[..1]).has_other() && !choice(&ground, &numbers).has_other());
        assert_eq!(choice(&ground, &numbers).choose().await.err(), Some(Fault::NoServer));
    });
}

#[test]
fn a_backup_works_only_while_the_others_cannot() {
    on_loop(async |event_loop| {
        let mut list = servers(2, 0);
        list[1].is_backup = true;
        let own = Pool { eject_after: 1, eject_ms: 60_000, ..pool(list) };
        let ground = Ground::new(&event_loop, own);
        let members = ground.desk().members();
        let (first, backup) = (&members.list[0].server, &members.list[1].server);
        for _ in 0..3 {
            assert_eq!(choice(&ground, &[]).choose().await.unwrap().server.number, first.number);
        }
        first.note_failure(ground.pools.of(0).1, (Fault::ServerLost, "lost"), event_loop.clock.coarse_ms());
        assert_eq!(choice(&ground, &[]).choose().await.unwrap().server.number, backup.number);
    });
}

#[test]
fn a_pool_within_a_pool_is_as_full_as_its_servers() {
    on_loop(async |event_loop| {
        let below =
            Server { at: Place::Pool(1), protocol: Protocol::Http, weight: 1, is_backup: false, connections_max: 0 };
        let inner = Pool { balance: Balance::LeastOutstanding, ..Pool::new("inner", servers(1, 1)) };
        let ground = Rc::new(Ground::with(&event_loop, vec![pool(vec![below]), inner]));
        let held = choice(&ground, &[]).choose().await.unwrap();
        assert_eq!((&*held.server.name, &*held.member().name), ("192.0.2.1:8000", "pool:inner"));
        let order = Rc::default();
        let waiting = wait(&ground, 1, &order);
        settle().await;
        assert!(!waiting.is_finished());
        drop(held);
        assert_eq!(waiting.await.unwrap(), None);
    });
}
