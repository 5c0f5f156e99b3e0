//! In:     what a client says on a connection of HTTP/1; a service that answers as a test has it.
//! Out:    what the service saw, and what the client heard.
//! Actors: the test is the client, and the sweeper.
//! Never:  waits for time to pass.

use crate::body::piece::Piece;
use crate::fakes::{
    FakeService, Reply, arrival, connection, gate, http1, http1_at, late, on_loop, pass, settle, stored,
};
use crate::http::exchange::Arrival;
use hallway_core::Fault;
use hallway_core::fault::HeadLimit;
use hallway_core::fields::Fields;
use hallway_core::http1::AnswerBody;
use hallway_core::plan::{Limits, Listen, Listener};
use std::rc::Rc;

/// The service's word for a path, with what stands before it when the connection goes on.
fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The same when it does not.
fn last_answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// What a service sees and a client hears of these bytes, behind which the client ends its side.
fn said(bytes: &str, service: &Rc<FakeService>) -> String {
    on_loop(async |event_loop| {
        let (mut client, served) = http1(&event_loop, service);
        client.say(bytes).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.0).await.unwrap();
        let heard = client.hear_out().await;
        served.await.unwrap();
        heard
    })
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let service = FakeService::echo();
    let heard = said("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /bc HTTP/1.1\r\nHost: x\r\n\r\n", &service);
    assert_eq!(heard, answer("/a") + &answer("/bc"));
    assert_eq!(service.targets(), ["/a", "/bc"]);
}

#[test]
fn a_head_that_comes_byte_by_byte_is_one_request() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let (mut client, _) = http1(&event_loop, &service);
        for byte in b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" {
            assert_eq!(service.targets().len(), 0);
            client.say([*byte]).await;
            settle().await;
        }
        client.hear("/slow").await;
        assert_eq!(service.only().fault, None);
    });
}

#[test]
fn one_empty_line_before_a_request_is_forgiven_and_no_second_one() {
    let service = FakeService::echo();
    assert_eq!(said("\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", &service), answer("/a"));
    let service = FakeService::echo();
    assert!(said("\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", &service).starts_with("HTTP/1.1 400 "));
    assert!(matches!(service.only().fault, Some(Fault::BadRequest(_))));
}

#[test]
fn what_stands_behind_a_refused_head_is_no_request() {
    for first in
        ["GET /a HTTP/1.1\nHost: x\n\n", "GET /a HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n", "GET /a HTTP/1.1\r\n\r\n"]
    {
        let service = FakeService::echo();
        let heard = said(&format!("{first}GET /b HTTP/1.1\r\nHost: x\r\n\r\n"), &service);
        assert!(heard.starts_with("HTTP/1.1 400 ") && heard.contains("Connection: close"), "{heard}");
        assert!(matches!(service.only().fault, Some(Fault::BadRequest(_))), "{first}");
    }
}

#[test]
fn a_head_has_the_limits_of_the_event_loop() {
    let limits = Limits { head_bytes_max: 200, target_bytes_max: 50, ..Limits::default() };
    let long = |count: usize| "x".repeat(count);
    let whole = |target: &str, line: &str| format!("GET /{target} HTTP/1.1\r\nHost: x\r\nA: {line}\r\n\r\n");
    let table = [
        (whole(&long(49), ""), None),
        (whole(&long(50), ""), Some(Fault::TargetTooLong)),
        // These have no end, and need none to be refused.
        (format!("GET /{}", long(300)), Some(Fault::TargetTooLong)),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", long(300)), Some(Fault::HeadTooLarge(HeadLimit::Bytes(200)))),
        (whole("", &long(300)), Some(Fault::HeadTooLarge(HeadLimit::Bytes(200)))),
    ];
    for (bytes, expected) in table {
        on_loop(async |event_loop| {
            event_loop.limits.set(limits);
            let service = FakeService::echo();
            let (mut client, _) = http1(&event_loop, &service);
            client.say(&bytes).await;
            client.hear("\r\n\r\n").await;
            settle().await;
            assert_eq!(service.only().fault, expected, "{bytes}");
        });
    }
}

#[test]
fn a_connection_without_a_word_ends_without_one() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let (mut client, served) = http1(&event_loop, &service);
        let wait_ms = event_loop.limits.get().idle_timeout_ms;
        pass(&event_loop, wait_ms / 4 * 3).await;
        assert!(!served.is_finished());
        pass(&event_loop, late(wait_ms / 4)).await;
        assert_eq!(client.hear_out().await, "");
        assert_eq!(service.targets().len(), 0);
        assert!(event_loop.buffers.buffer().capacity() > 0, "its buffer is for others");
    });
}

#[test]
fn a_head_that_stops_coming_is_answered_and_a_pause_between_requests_is_not() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let (mut client, _) = http1(&event_loop, &service);
        client.say("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.hear("/a").await;
        client.say("GET /b HTTP/1.1\r\n").await;
        pass(&event_loop, late(event_loop.limits.get().head_timeout_ms)).await;
        assert!(client.hear_out().await.starts_with("HTTP/1.1 408 "));
        assert!(matches!(service.seen.borrow()[1].fault, Some(Fault::RequestTimeout(_))));
        let (mut client, _) = http1(&event_loop, &service);
        client.say("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.hear("/a").await;
        pass(&event_loop, late(event_loop.limits.get().idle_timeout_ms)).await;
        assert_eq!(client.hear_out().await, "");
        assert_eq!(service.targets().len(), 3);
    });
}

#[test]
fn the_time_of_a_head_is_counted_from_its_first_byte() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let (mut client, _) = http1(&event_loop, &service);
        let step_ms = event_loop.limits.get().head_timeout_ms / 4;
        for byte in b"GET /" {
            client.say([*byte]).await;
            pass(&event_loop, step_ms).await;
        }
        assert!(client.hear_out().await.starts_with("HTTP/1.1 408 "), "who sends a byte now and then gains nothing");
    });
}

#[test]
fn who_keeps_a_connection_and_who_does_not() {
    let table = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        // The body is not read.
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", false),
    ];
    for (head, goes_on) in table {
        let service = FakeService::new(|_| Reply { reads_body: false, ..Reply::text("yes") });
        let heard = said(&format!("{head}GET /next HTTP/1.1\r\nHost: x\r\n\r\n"), &service);
        assert_eq!(heard.matches("yes").count(), 1 + usize::from(goes_on), "{head}");
        assert_eq!(heard.contains("Connection: close"), !goes_on, "{head} {heard}");
    }
}

#[test]
fn bodies_end_where_their_framing_says() {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n";
    for (framing, trailers) in [(chunked, vec!["7".to_owned()]), ("Content-Length: 5\r\n\r\nhello", Vec::new())] {
        let service = FakeService::echo();
        let first = format!("POST /a HTTP/1.1\r\nHost: x\r\n{framing}");
        let heard = said(&format!("{first}GET /b HTTP/1.1\r\nHost: x\r\n\r\n"), &service);
        assert_eq!(heard, answer("/a") + &answer("/b"));
        let seen = service.seen.borrow()[0].clone();
        assert_eq!((seen.body, seen.trailers), (b"hello".to_vec(), trailers));
    }
}

#[test]
fn a_body_that_ends_early_is_none() {
    for framing in [
        "Content-Length: 6\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Content-Length: 1\r\n\r\n",
    ] {
        let service = FakeService::echo();
        said(&format!("POST /a HTTP/1.1\r\nHost: x\r\n{framing}"), &service);
        let expected = Fault::BadRequest("The request body ends before its length.");
        assert_eq!(service.only().fault, Some(expected), "{framing}");
    }
}

#[test]
fn a_body_that_stops_coming_has_its_own_time_for_each_piece() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let (mut client, _) = http1(&event_loop, &service);
        client.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n").await;
        let wait_ms = event_loop.limits.get().body_timeout_ms;
        for byte in b"abc" {
            pass(&event_loop, wait_ms / 4 * 3).await;
            client.say([*byte]).await;
        }
        pass(&event_loop, late(wait_ms)).await;
        let seen = service.only();
        assert_eq!(seen.body, b"abc");
        assert_eq!(seen.fault, Some(Fault::RequestTimeout("The request body stopped coming.")));
    });
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on_when_its_body_is_read() {
    const HEAD: &str = "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    const GO_ON: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let (mut client, _) = http1(&event_loop, &service);
        client.say(HEAD).await;
        assert_eq!(client.hear("\r\n\r\n").await, GO_ON);
        client.say("hi").await;
        assert_eq!(client.hear("/a").await, answer("/a"));
    });
    assert_eq!(said(&format!("{HEAD}hi"), &FakeService::echo()), answer("/a"), "the body is here already");
    let heard = said(HEAD, &FakeService::new(|_| Reply { reads_body: false, ..Reply::text("no") }));
    assert_eq!(heard, last_answer("no"), "nobody wants the body");
}

#[test]
fn pieces_of_unknown_length_are_chunks_with_trailers_for_who_takes_them() {
    let reply = || {
        let mut trailers = Fields::default();
        trailers.push(b"X-Sum", b"7");
        let long = Piece::from(vec![b'y'; 9000]);
        let pieces = vec![Piece::from(b"ab".to_vec()), Piece::default(), long, Piece::default()];
        Reply { trailers, ..Reply::pieces(AnswerBody::Chunked, pieces) }
    };
    let body = format!("2\r\nab\r\n2328\r\n{}\r\n0\r\n", "y".repeat(9000));
    for (line, end) in [("", "\r\n"), ("TE: trailers\r\n", "X-Sum: 7\r\n\r\n")] {
        let service = FakeService::new(move |_| reply());
        let heard = said(&format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n"), &service);
        assert_eq!(heard, format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}{end}"));
    }
}

#[test]
fn a_piece_leaves_when_it_comes() {
    on_loop(async |event_loop| {
        // The client's end is waited for behind the first piece only.
        let pieces = vec![Piece::from(b"first".to_vec())];
        let reply = move |_: &_| Reply { is_whole: false, ..Reply::pieces(AnswerBody::UntilClose, pieces.clone()) };
        let (mut client, _) = http1(&event_loop, &FakeService::new(reply));
        client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(client.hear_out().await, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst");
    });
}

#[test]
fn a_long_piece_and_a_file_arrive_whole() {
    on_loop(async |event_loop| {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
        let (own, length) = (Piece::from(bytes.clone()), bytes.len() as u64);
        let stored = Piece::File { file: stored(&event_loop, &bytes), range: 0..length };
        for (piece, delimited) in [
            (own, AnswerBody::Length(length)),
            (stored.clone(), AnswerBody::Length(length)),
            (stored, AnswerBody::Chunked),
        ] {
            let service = FakeService::new(move |_| Reply::pieces(delimited, vec![piece.clone()]));
            let (mut client, _) = http1(&event_loop, &service);
            client.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
            let heard = client.hear_all().await;
            let at = memchr::memmem::find(&heard, b"\r\n\r\n").unwrap() + 4;
            let body = match delimited {
                AnswerBody::Chunked => {
                    heard[at..].strip_prefix(b"2DC6C0\r\n").or(heard[at..].strip_prefix(b"2dc6c0\r\n"))
                }
                _ => Some(&heard[at..]),
            };
            let body = body.map(|body| body.strip_suffix(b"\r\n0\r\n\r\n").unwrap_or(body));
            assert!(body == Some(&bytes[..]), "{delimited:?}");
            assert_eq!(service.only().fault, None);
        }
    });
}

#[test]
fn a_file_that_became_shorter_is_no_whole_answer() {
    on_loop(async |event_loop| {
        let piece = Piece::File { file: stored(&event_loop, b"short"), range: 0..9 };
        let service = FakeService::new(move |_| Reply::pieces(AnswerBody::Length(9), vec![piece.clone()]));
        let (mut client, _) = http1(&event_loop, &service);
        client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(client.hear_out().await.ends_with("\r\n\r\nshort"));
        assert_eq!(service.only().fault, Some(Fault::Internal("A file became shorter while it was sent.")));
    });
}

#[test]
fn early_answers_are_for_those_who_know_them() {
    let service = || FakeService::new(|_| Reply { informs: vec![103, 103], ..Reply::text("yes") });
    let heard = said("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &service());
    let before = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n";
    assert_eq!(heard, format!("{before}{}", answer("yes")));
    assert_eq!(said("GET / HTTP/1.0\r\n\r\n", &service()).matches("HTTP/").count(), 1);
}

#[test]
fn a_loop_that_drains_ends_each_connection_with_its_answer() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let (mut idle, is_over) = http1(&event_loop, &service);
        idle.say("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(idle.hear("/a").await, answer("/a"));
        event_loop.draining.set(true);
        let (mut fresh, _) = http1(&event_loop, &service);
        fresh.say("GET /b HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(fresh.hear_out().await, last_answer("/b"), "it came just before");
        assert!(!is_over.is_finished(), "the loop ends it");
        event_loop.deadlines.end(crate::runtime::deadline::Wait::KeptAlive);
        assert_eq!(idle.hear_out().await, "");
    });
}

#[test]
fn an_address_that_closes_ends_its_connections_and_no_others() {
    on_loop(async |event_loop| {
        let (service, here, there) = (FakeService::echo(), arrival(), arrival());
        here.gate.close();
        for (arrival, expected) in [(here, last_answer("/a")), (there, answer("/a"))] {
            let (mut client, _) = http1_at(&event_loop, &service, arrival);
            client.say("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await;
            assert_eq!(client.hear("/a").await, expected);
        }
    });
}

#[test]
fn a_client_has_left_when_it_can_hear_nothing_more() {
    on_loop(async |event_loop| {
        let service = FakeService::new(|_| Reply { awaits_end: true, ..Reply::text("yes") });
        let (mut client, served) = http1(&event_loop, &service);
        client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.0).await.unwrap();
        settle().await;
        assert_eq!(service.targets().len(), 0, "it has closed its sending side, and may still read");
        drop(client);
        served.await.unwrap();
        assert!(service.only().is_gone);
    });
}

#[test]
fn what_a_client_sends_ahead_is_kept_for_later() {
    on_loop(async |event_loop| {
        let service = FakeService::new(|head| Reply {
            awaits_end: head.path() == b"/waits",
            ..Reply::text(std::str::from_utf8(head.path()).unwrap())
        });
        let (mut client, served) = http1(&event_loop, &service);
        client.say("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n").await;
        settle().await;
        // As much as may come ahead, and more: what is beyond stays with the kernel, and so does the client's end.
        let next = "GET /n HTTP/1.1\r\nHost: x\r\n\r\n";
        client.say(next.repeat(3000)).await;
        settle().await;
        drop(client);
        settle().await;
        assert!(!served.is_finished() && service.targets().is_empty());
    });
}

#[test]
fn a_cut_is_told_to_who_has_heard_nothing_yet() {
    let service = FakeService::new(|_| Reply { is_cut: true, ..Reply::text("") });
    let heard = said("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &service);
    assert!(heard.starts_with("HTTP/1.1 503 ") && heard.contains("Connection: close\r\n"), "{heard}");
}

#[test]
fn a_client_that_takes_nothing_is_given_up_and_one_that_takes_a_little_is_not() {
    on_loop(async |event_loop| {
        let bytes = vec![b'x'; 4 * 1024 * 1024];
        let length = bytes.len() as u64;
        let reply = move |_: &_| Reply::pieces(AnswerBody::Length(length), vec![Piece::from(bytes.clone())]);
        let service = FakeService::new(reply);
        let (mut client, served) = http1(&event_loop, &service);
        client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let wait_ms = event_loop.limits.get().write_timeout_ms;
        for _ in 0..3 {
            pass(&event_loop, wait_ms / 4 * 3).await;
            let mut some = vec![0; 256 * 1024];
            tokio::io::AsyncReadExt::read_exact(&mut client.0, &mut some).await.unwrap();
        }
        assert!(!served.is_finished());
        pass(&event_loop, late(wait_ms)).await;
        served.await.unwrap();
        assert_eq!(service.only().fault, Some(Fault::ClientGone));
    });
}

#[test]
fn what_begins_as_http2_is_http2_but_for_a_forward_proxy() {
    on_loop(async |event_loop| {
        const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let service = FakeService::echo();
        let (mut client, _) = http1(&event_loop, &service);
        client.say(PREFACE).await;
        client.say([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        let mut frame = [0; 9];
        tokio::io::AsyncReadExt::read_exact(&mut client.0, &mut frame).await.unwrap();
        assert_eq!(frame[3], 4, "the server's settings");
        let forward = Listener { forward: true, ..Listener::from(Listen::Tcp("192.0.2.1:80".parse().unwrap())) };
        let gate = gate(false);
        gate.change(&forward);
        let (mut client, _) = http1_at(&event_loop, &service, Arrival { gate, ..arrival() });
        client.say(PREFACE).await;
        assert_eq!(client.hear_out().await, "");
        let (mut client, _) = http1(&event_loop, &service);
        client.say(format!("GET /a HTTP/1.1\r\nHost: x\r\n\r\n{PREFACE}")).await;
        assert!(client.hear_out().await.starts_with(&answer("/a")), "a later request is none of HTTP/2");
        assert!(matches!(
            service.seen.borrow()[1].fault,
            Some(Fault::BadRequest(_) | Fault::NotImplemented(_) | Fault::VersionUnsupported)
        ));
    });
}

#[test]
fn a_stream_that_was_lost_takes_its_service_with_it() {
    on_loop(async |event_loop| {
        let (client, stream) = connection();
        drop(client);
        crate::http1::serve(event_loop, FakeService::echo(), stream, arrival()).await;
    });
}
