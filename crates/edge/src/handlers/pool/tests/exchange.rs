//! In:     requests; servers that answer, fail, hang and break off.
//! Out:    what comes of the requests, and of the connections to the servers.
//! Actors: the test is client, servers and sweeper.
//! Never:  waits for time to pass.

use super::*;
use crate::fakes::{FakeServer, get, head, late, nowhere, on_loop, pass, planned, settle, until};
use hallway_core::plan::{Secret, Sticky};
use std::cell::Cell;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn ok() -> Result<Got, Fault> {
    Ok(Got { status: 200, cookie: None, body: Ok("ok".into()) })
}

fn post() -> Head {
    head("POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n")
}

#[test]
fn one_connection_serves_request_after_request() {
    on_loop(async |event_loop| {
        let server = FakeServer::saying(OK).await;
        let ground = Ground::new(&event_loop, pool(vec![server.planned()]));
        for path in ["/one", "/two?x=1", "/three"] {
            assert_eq!(ground.fetch(&get(path)).await, ok());
        }
        assert_eq!(
            (server.came.get(), server.paths()),
            (1, ["/one", "/two?x=1", "/three"].map(str::to_owned).to_vec())
        );
        let seen = server.seen.borrow()[0].to_ascii_lowercase();
        assert!(
            seen.contains("\r\nhost: a.example\r\n") && seen.contains("\r\nx-forwarded-for: 192.0.2.7\r\n"),
            "{seen}"
        );
    });
}

#[test]
fn an_answer_is_read_to_its_end_however_that_is_told() {
    let table = [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", false, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false, false),
        ("HTTP/1.1 200 OK\r\n\r\nok", true, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, false),
        // What nobody asked for ends the connection, and is no answer to the next request.
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", false, false),
    ];
    for (answer, ends, is_kept) in table {
        on_loop(async |event_loop| {
            let server = FakeServer::new(move |_, _| (answer.as_bytes().to_vec(), ends)).await;
            let ground = Ground::new(&event_loop, pool(vec![server.planned()]));
            for _ in 0..3 {
                assert_eq!(ground.fetch(&get("/")).await, ok(), "{answer}");
            }
            assert_eq!(server.came.get(), if is_kept { 1 } else { 3 }, "{answer}");
        });
    }
}

#[test]
fn an_answer_that_ends_early_is_cut_and_its_connection_is_gone() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
    ] {
        on_loop(async |event_loop| {
            let server = FakeServer::new(|_, _| (answer.as_bytes().to_vec(), true)).await;
            let ground = Ground::new(&event_loop, pool(vec![server.planned()]));
            let got = ground.fetch(&get("/")).await.unwrap();
            assert_eq!((got.status, got.body), (200, Err(Fault::ServerLost)));
            assert!(ground.upstreams.is_empty());
        });
    }
}

#[test]
fn what_is_no_answer_is_not_passed_on() {
    let table = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n",
    ];
    for answer in table {
        on_loop(async |event_loop| {
            let server = FakeServer::saying(answer).await;
            let ground = Ground::new(&event_loop, Pool { tries: 1, ..pool(vec![server.planned()]) });
            assert!(matches!(ground.fetch(&get("/")).await, Err(Fault::BadAnswer(_))), "{answer}");
            assert!(ground.upstreams.is_empty());
        });
    }
    on_loop(async |event_loop| {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(70_000));
        let server = FakeServer::saying(&endless).await;
        let ground = Ground::new(&event_loop, Pool { tries: 1, ..pool(vec![server.planned()]) });
        assert!(matches!(ground.fetch(&get("/")).await, Err(Fault::BadAnswer(_))));
    });
}

#[test]
fn answers_before_the_answer_are_for_the_client_but_for_go_on() {
    on_loop(async |event_loop| {
        let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n";
        let server = FakeServer::saying(&format!("{early}{OK}")).await;
        let ground = Ground::new(&event_loop, pool(vec![server.planned()]));
        let mut wire = FakeWire::default();
        assert_eq!(ground.tried(&get("/"), &mut wire).await, (ok(), 1));
        assert_eq!(wire.informed, [103]);
        let endless = FakeServer::saying(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(500)).await;
        let ground = Ground::new(&event_loop, Pool { tries: 1, ..pool(vec![endless.planned()]) });
        assert!(matches!(ground.fetch(&get("/")).await, Err(Fault::BadAnswer(_))));
    });
}

#[test]
fn a_connection_that_was_ended_meanwhile_is_no_fault_of_its_server() {
    on_loop(async |event_loop| {
        // It hears the second request on a connection, and ends that.
        let server = FakeServer::new(|count, _| (if count == 0 { OK.into() } else { Vec::new() }, count > 0)).await;
        let ground = Ground::new(&event_loop, Pool { eject_after: 1, ..pool(vec![server.planned()]) });
        assert_eq!(ground.fetch(&get("/one")).await, ok());
        assert_eq!(ground.fetch(&get("/two")).await, ok(), "it is sent anew");
        assert_eq!((server.came.get(), server.paths().len()), (2, 3));
        // What it may have acted on is not.
        assert_eq!(ground.tried(&post(), &mut FakeWire::sending(&["hello"])).await, (Err(Fault::ServerLost), 1));
    });
}

#[test]
fn who_takes_no_connection_has_not_had_the_request() {
    on_loop(async |event_loop| {
        for request in [get("/g"), post()] {
            let server = FakeServer::saying(OK).await;
            let ground = Ground::new(&event_loop, pool(vec![planned(nowhere().await), server.planned()]));
            let mut wire = FakeWire::sending(if request.is_idempotent() { &[] } else { &["hello"] });
            assert_eq!(ground.tried(&request, &mut wire).await, (ok(), 2));
        }
        let ground = Ground::new(&event_loop, pool(vec![planned(nowhere().await)]));
        assert_eq!(ground.tried(&get("/"), &mut FakeWire::default()).await, (Err(Fault::Unreachable), 1));
    });
}

#[test]
fn what_a_server_may_have_acted_on_is_sent_again_only_where_the_method_allows_it() {
    on_loop(async |event_loop| {
        for (request, tries, expected) in [(get("/g"), 2, 2), (post(), 2, 1), (get("/g"), 1, 1)] {
            let lost = FakeServer::new(|_, _| (Vec::new(), true)).await;
            let well = FakeServer::saying(OK).await;
            let ground = Ground::new(&event_loop, Pool { tries, ..pool(vec![lost.planned(), well.planned()]) });
            let mut wire = FakeWire::sending(if request.is_idempotent() { &[] } else { &["hello"] });
            let (got, tried) = ground.tried(&request, &mut wire).await;
            assert_eq!((got, tried), (if expected == 2 { ok() } else { Err(Fault::ServerLost) }, expected));
        }
    });
}

#[test]
fn retries_have_a_budget() {
    on_loop(async |event_loop| {
        let lost = FakeServer::new(|_, _| (Vec::new(), true)).await;
        let well = FakeServer::saying(OK).await;
        let never = Pool { retry_percent: 0, eject_after: 0, ..pool(vec![lost.planned(), well.planned()]) };
        let ground = Ground::new(&event_loop, never);
        let mut failed = 0;
        for _ in 0..260 {
            failed += usize::from(ground.fetch(&get("/")).await.is_err());
        }
        // What was saved at first is used up, and nothing comes.
        let retried = lost.seen.borrow().len() - failed;
        assert_eq!((retried, well.seen.borrow().len()), (100, 260 - failed));
    });
}

#[test]
fn after_some_statuses_another_server_is_asked_and_the_first_answer_is_kept_for_want_of_a_better() {
    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    on_loop(async |event_loop| {
        let (busy, well) = (FakeServer::saying(BUSY).await, FakeServer::saying(OK).await);
        let retries = |servers| Pool { retry_on: vec![503], ..pool(servers) };
        let ground = Ground::new(&event_loop, retries(vec![busy.planned(), well.planned()]));
        assert_eq!(ground.tried(&get("/"), &mut FakeWire::default()).await, (ok(), 2));
        let lost = FakeServer::new(|_, _| (Vec::new(), true)).await;
        let ground = Ground::new(&event_loop, retries(vec![busy.planned(), lost.planned()]));
        let (got, tried) = ground.tried(&get("/"), &mut FakeWire::default()).await;
        assert_eq!((got, tried), (Ok(Got { status: 503, cookie: None, body: Ok("busy".into()) }), 2));
        let ground = Ground::new(&event_loop, retries(vec![busy.planned(), well.planned()]));
        let (got, tried) = ground.tried(&post(), &mut FakeWire::sending(&["hello"])).await;
        assert_eq!((got.unwrap().status, tried), (503, 1));
    });
}

#[test]
fn a_server_that_is_silent_has_its_time_and_no_more() {
    on_loop(async |event_loop| {
        let silent = FakeServer::saying("").await;
        let ground = Ground::new(&event_loop, Pool { tries: 1, ..pool(vec![silent.planned()]) });
        let wait_ms = ground.pools.of(0).1.answer_timeout_ms;
        let fetching = tokio::task::spawn_local(async move { ground.fetch(&get("/")).await });
        until(|| !silent.seen.borrow().is_empty()).await;
        pass(&event_loop, wait_ms / 4 * 3).await;
        assert!(!fetching.is_finished());
        pass(&event_loop, late(wait_ms / 4)).await;
        assert_eq!(fetching.await.unwrap(), Err(Fault::ServerTimeout));
        until(|| silent.ended.get() == 1).await;
    });
}

#[test]
fn a_client_that_leaves_frees_its_server() {
    on_loop(async |event_loop| {
        let silent = FakeServer::saying("").await;
        let ground = Ground::new(&event_loop, pool(vec![silent.planned()]));
        let mut wire = FakeWire::default();
        let leaves = wire.leaves.clone();
        let fetching = tokio::task::spawn_local(async move { ground.tried(&get("/"), &mut wire).await });
        until(|| !silent.seen.borrow().is_empty()).await;
        assert!(!fetching.is_finished());
        leaves.notify_one();
        assert_eq!(fetching.await.unwrap(), (Err(Fault::ClientGone), 1));
        until(|| silent.ended.get() == 1).await;
    });
}

#[test]
fn a_body_is_here_as_a_whole_before_a_server_gets_any_of_it() {
    on_loop(async |event_loop| {
        let server = FakeServer::saying(OK).await;
        let ground = Ground::new(&event_loop, pool(vec![server.planned()]));
        let chunked = head("POST /p HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut wire = FakeWire::sending(&["hel", "lo"]);
        assert_eq!(ground.tried(&chunked, &mut wire).await, (ok(), 1));
        let seen = server.seen.borrow()[0].to_ascii_lowercase();
        assert!(seen.contains("\r\ncontent-length: 5\r\n") && seen.ends_with("\r\n\r\nhello"), "{seen}");
        wire.body.extend([Ok(b"hel".to_vec()), Err(Fault::ClientGone)]);
        assert_eq!(ground.tried(&chunked, &mut wire).await, (Err(Fault::ClientGone), 0));
        assert_eq!(server.seen.borrow().len(), 1);
    });
}

#[test]
fn a_body_that_is_passed_on_as_it_comes_is_sent_once() {
    on_loop(async |event_loop| {
        let streams = |servers| Pool { buffers_requests: false, ..pool(servers) };
        let server = FakeServer::saying(OK).await;
        let ground = Ground::new(&event_loop, streams(vec![server.planned()]));
        let put = head("PUT /p HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(ground.tried(&put, &mut FakeWire::sending(&["hel", "lo"])).await, (ok(), 1));
        assert!(server.seen.borrow()[0].ends_with("\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"));
        let lost = FakeServer::new(|_, _| (Vec::new(), true)).await;
        let ground = Ground::new(&event_loop, streams(vec![lost.planned(), server.planned()]));
        let (got, tried) = ground.tried(&put, &mut FakeWire::sending(&["hel", "lo"])).await;
        assert_eq!((got, tried), (Err(Fault::ServerLost), 1), "what was taken cannot be had again");
    });
}

#[test]
fn a_server_that_fails_again_and_again_is_left_out_for_a_while() {
    on_loop(async |event_loop| {
        let fails = Rc::new(Cell::new(true));
        let failing = fails.clone();
        let ill =
            FakeServer::new(move |_, _| if failing.get() { (Vec::new(), true) } else { (OK.into(), false) }).await;
        let well = FakeServer::saying(OK).await;
        let ground = Ground::new(
            &event_loop,
            Pool { eject_after: 2, eject_ms: 60_000, ..pool(vec![ill.planned(), well.planned()]) },
        );
        for _ in 0..10 {
            assert_eq!(ground.fetch(&get("/")).await, ok());
        }
        assert_eq!(ill.seen.borrow().len(), 2);
        fails.set(false);
        pass(&event_loop, 61_000).await;
        for _ in 0..10 {
            assert_eq!(ground.fetch(&get("/")).await, ok());
        }
        assert!(ill.seen.borrow().len() > 4, "it is asked as the other one");
    });
}

#[test]
fn the_last_server_is_asked_although_it_failed() {
    on_loop(async |event_loop| {
        let ill = FakeServer::new(|_, _| (Vec::new(), true)).await;
        let ground = Ground::new(&event_loop, Pool { eject_after: 1, ..pool(vec![ill.planned()]) });
        for count in 1..4 {
            assert_eq!(ground.fetch(&get("/")).await, Err(Fault::ServerLost));
            assert_eq!(ill.seen.borrow().len(), count);
        }
    });
}

#[test]
fn a_cookie_keeps_a_client_at_its_server_and_a_forged_one_does_not() {
    on_loop(async |event_loop| {
        let (one, other) = (FakeServer::saying(OK).await, FakeServer::saying(OK).await);
        let sticky = Sticky { cookie: "route".into(), secret: Secret(b"secret".to_vec()), max_age_s: 60 };
        let ground =
            Ground::new(&event_loop, Pool { sticky: Some(sticky), ..pool(vec![one.planned(), other.planned()]) });
        let cookie = ground.fetch(&get("/")).await.unwrap().cookie.unwrap();
        assert!(
            cookie.starts_with("route=") && cookie.contains("; Max-Age=60") && !cookie.contains("Secure"),
            "{cookie}"
        );
        let pair = cookie.split(';').next().unwrap();
        let with = |pair: &str| head(&format!("GET /c HTTP/1.1\r\nHost: a.example\r\nCookie: {pair}\r\n\r\n"));
        for _ in 0..6 {
            assert_eq!(ground.fetch(&with(pair)).await, ok(), "and it need not be said again");
        }
        assert_eq!((one.seen.borrow().len(), other.seen.borrow().len()), (7, 0));
        let last = if pair.ends_with('0') { '1' } else { '0' };
        let forged = format!("{}{last}", &pair[..pair.len() - 1]);
        for bad in [&*forged, "route=", "route=0123456789abcdef", &pair[..20]] {
            assert!(ground.fetch(&with(bad)).await.unwrap().cookie.is_some(), "{bad}");
        }
        assert_eq!(other.seen.borrow().len(), 2);
    });
}

#[test]
fn idle_connections_are_few_young_and_quiet() {
    on_loop(async |event_loop| {
        let server = FakeServer::saying(OK).await;
        let ground = Ground::new(&event_loop, Pool { keep_idle_ms: 10_000, ..pool(vec![server.planned()]) });
        assert_eq!(ground.fetch(&get("/")).await, ok());
        pass(&event_loop, 11_000).await;
        assert!(!ground.upstreams.is_empty());
        ground.upstreams.sweep(event_loop.clock.coarse_ms());
        assert!(ground.upstreams.is_empty());
        until(|| server.ended.get() == 1).await;
        let ground = Ground::new(&event_loop, Pool { keep_connections: 0, ..pool(vec![server.planned()]) });
        assert_eq!(ground.fetch(&get("/")).await, ok());
        assert!(ground.upstreams.is_empty());
        let ends = FakeServer::new(|_, _| (OK.into(), true)).await;
        let ground = Ground::new(&event_loop, pool(vec![ends.planned()]));
        assert_eq!(ground.fetch(&get("/")).await, ok());
        settle().await;
        let (number, now_ms) = (ground.desk().members().list[0].server.number, event_loop.clock.coarse_ms());
        assert!(ground.upstreams.take(number, ground.pools.of(0).1, now_ms).is_none(), "its server has ended it");
    });
}
