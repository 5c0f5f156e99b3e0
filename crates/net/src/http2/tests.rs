//! In:     what a client says on a connection of HTTP/2; a service that answers as a test has it.
//! Out:    what the service saw, and what the client heard.
//! Actors: the test is the client, and the sweeper.
//! Never:  waits for time to pass.

use super::*;
use crate::body::piece::Piece;
use crate::fakes::{FakeService, Reply, arrival, connection, late, on_loop, pass, settle, stored, until};
use hallway_core::fields::Fields;
use hallway_core::http1::AnswerBody;
use http::{HeaderMap, Response};
use tokio::task::JoinHandle;

/// A client and its connection.
struct Talking {
    requests: h2::client::SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
    served: JoinHandle<()>,
}

async fn talk(event_loop: &Rc<EventLoop>, service: &Rc<FakeService>) -> Talking {
    let (client, stream) = connection();
    let serving = serve(event_loop.clone(), service.clone(), stream, (Vec::new(), arrival()));
    let served = tokio::task::spawn_local(serving);
    let (requests, connection) = h2::client::handshake(client.0).await.unwrap();
    let connection = tokio::task::spawn_local(connection);
    Talking { requests, connection, served }
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://x{path}")).body(()).unwrap()
}

impl Talking {
    async fn ask(&mut self, request: Request<()>) -> Result<Response<RecvStream>, h2::Error> {
        self.requests.send_request(request, true).unwrap().0.await
    }
}

/// The body and what stands behind it.
async fn whole(answer: Response<RecvStream>) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let (mut body, mut bytes) = (answer.into_body(), Vec::new());
    while let Some(part) = body.data().await {
        let part = part?;
        bytes.extend_from_slice(&part);
        body.flow_control().release_capacity(part.len()).unwrap();
    }
    Ok((bytes, body.trailers().await?))
}

#[test]
fn one_that_waits_holds_up_no_other() {
    on_loop(async |event_loop| {
        let service = FakeService::new(|head| Reply {
            awaits_end: head.path() == b"/waits",
            ..Reply::text(std::str::from_utf8(head.path()).unwrap())
        });
        let mut talking = talk(&event_loop, &service).await;
        let (waiting, mut stream) = talking.requests.send_request(get("/waits"), true).unwrap();
        let answer = talking.ask(get("/next")).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-length"]), (200, &"5".parse().unwrap()));
        assert_eq!(whole(answer).await.unwrap().0, b"/next");
        stream.send_reset(Reason::CANCEL);
        assert!(waiting.await.is_err());
        until(|| service.targets() == ["/next", "/waits"]).await;
        assert!(service.seen.borrow()[1].is_gone, "a client that takes its request back has left");
    });
}

#[test]
fn bodies_and_what_stands_behind_them_go_both_ways() {
    on_loop(async |event_loop| {
        let service = FakeService::new(|_| {
            let (mut trailers, mut fields) = (Fields::default(), Fields::default());
            trailers.push(b"X-Sum", b"9");
            fields.push(b"Connection", b"close");
            fields.push(b"X-Own", b"1");
            let pieces = vec![Piece::from(b"ab".to_vec()), Piece::from(b"cd".to_vec())];
            Reply { trailers, fields, ..Reply::pieces(AnswerBody::Chunked, pieces) }
        });
        let mut talking = talk(&event_loop, &service).await;
        let (answer, mut body) = talking.requests.send_request(get("/"), false).unwrap();
        body.send_data(Bytes::from_static(b"hello "), false).unwrap();
        body.send_data(Bytes::from_static(b"world"), false).unwrap();
        body.send_trailers(HeaderMap::from_iter([("x-sum".parse().unwrap(), "7".parse().unwrap())])).unwrap();
        let answer = answer.await.unwrap();
        assert!(!answer.headers().contains_key("connection") && answer.headers()["x-own"] == "1");
        let (bytes, trailers) = whole(answer).await.unwrap();
        assert_eq!((&bytes[..], trailers.unwrap()["x-sum"].as_bytes()), (&b"abcd"[..], &b"9"[..]));
        let seen = service.only();
        assert_eq!((&seen.body[..], &seen.trailers[..]), (&b"hello world"[..], &["7".to_owned()][..]));
    });
}

#[test]
fn an_answer_that_was_cut_is_not_taken_for_a_whole_one() {
    on_loop(async |event_loop| {
        let reply =
            |_: &_| Reply { is_whole: false, ..Reply::pieces(AnswerBody::Chunked, vec![Piece::from(b"ab".to_vec())]) };
        let mut talking = talk(&event_loop, &FakeService::new(reply)).await;
        // The reset may overtake what came before it.
        let error = match talking.ask(get("/")).await {
            Ok(answer) => whole(answer).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        assert!(!talking.served.is_finished(), "the connection goes on");
    });
}

#[test]
fn long_pieces_and_files_arrive_as_windows_open() {
    on_loop(async |event_loop| {
        let bytes: Vec<u8> = (0..1_000_000u32).map(|at| (at % 251) as u8).collect();
        let length = bytes.len() as u64;
        let pieces = [Piece::from(bytes.clone()), Piece::File { file: stored(&event_loop, &bytes), range: 0..length }];
        let reply = move |head: &Head| {
            let piece = pieces[usize::from(head.path() == b"/file")].clone();
            Reply::pieces(AnswerBody::Length(length), vec![piece])
        };
        let service = FakeService::new(reply);
        let mut talking = talk(&event_loop, &service).await;
        for path in ["/memory", "/file"] {
            let answer = talking.ask(get(path)).await.unwrap();
            assert!(whole(answer).await.unwrap().0 == bytes, "{path}");
        }
        assert!(service.seen.borrow().iter().all(|seen| seen.fault.is_none()));
    });
}

#[test]
fn a_client_that_opens_no_window_is_given_up() {
    on_loop(async |event_loop| {
        let reply = |_: &_| Reply::pieces(AnswerBody::Length(1_000_000), vec![Piece::from(vec![0; 1_000_000])]);
        let service = FakeService::new(reply);
        let mut talking = talk(&event_loop, &service).await;
        let answer = talking.ask(get("/")).await.unwrap();
        pass(&event_loop, late(event_loop.limits.get().write_timeout_ms)).await;
        until(|| !service.targets().is_empty()).await;
        assert_eq!(service.only().fault, Some(Fault::ClientGone));
        // What it has not taken is not there any more; what it has cannot be taken for whole.
        assert!(whole(answer).await.is_err());
    });
}

#[test]
fn a_body_that_stops_coming_is_told_so() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let mut talking = talk(&event_loop, &service).await;
        let (_answer, mut body) = talking.requests.send_request(get("/"), false).unwrap();
        body.send_data(Bytes::from_static(b"abc"), false).unwrap();
        settle().await;
        pass(&event_loop, late(event_loop.limits.get().body_timeout_ms)).await;
        until(|| !service.targets().is_empty()).await;
        let seen = service.only();
        assert_eq!(seen.fault, Some(Fault::RequestTimeout("The request body stopped coming.")));
        assert_eq!(seen.body, b"abc");
    });
}

#[test]
fn heads_have_the_limits_of_the_event_loop() {
    on_loop(async |event_loop| {
        let limits = Limits { head_bytes_max: 1_000, target_bytes_max: 100, ..Limits::default() };
        event_loop.limits.set(limits);
        let service = FakeService::echo();
        let mut talking = talk(&event_loop, &service).await;
        let long_line = Request::get("http://x/").header("a", "x".repeat(1_500)).body(()).unwrap();
        let huge_line = Request::get("http://x/").header("a", "x".repeat(20_000)).body(()).unwrap();
        for (request, status) in [(get(&format!("/{}", "x".repeat(100))), 414), (long_line, 431), (huge_line, 431)] {
            assert_eq!(talking.ask(request).await.unwrap().status().as_u16(), status);
        }
        assert_eq!(talking.ask(get("/")).await.unwrap().status(), 200);
    });
}

#[test]
fn a_loop_that_drains_answers_what_has_begun_and_lets_the_client_go() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let mut talking = talk(&event_loop, &service).await;
        let (answer, mut body) = talking.requests.send_request(get("/begun"), false).unwrap();
        settle().await;
        event_loop.draining.set(true);
        event_loop.deadlines.end(Wait::KeptAlive);
        settle().await;
        assert!(!talking.served.is_finished());
        body.send_data(Bytes::from_static(b"x"), true).unwrap();
        assert_eq!(whole(answer.await.unwrap()).await.unwrap().0, b"/begun");
        drop(talking.requests);
        assert!(talking.connection.await.unwrap().is_ok());
        talking.served.await.unwrap();
    });
}

#[test]
fn an_idle_connection_is_told_to_leave_and_left_when_it_does_not() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let mut talking = talk(&event_loop, &service).await;
        whole(talking.ask(get("/a")).await.unwrap()).await.unwrap();
        let wait_ms = event_loop.limits.get().idle_timeout_ms;
        pass(&event_loop, wait_ms / 4 * 3).await;
        assert!(!talking.served.is_finished());
        assert!(talking.ask(get("/b")).await.is_ok(), "it begins anew with each request");
        pass(&event_loop, wait_ms / 4 * 3).await;
        assert!(!talking.served.is_finished());
        pass(&event_loop, late(wait_ms)).await;
        pass(&event_loop, late(PARTING_MS)).await;
        talking.served.await.unwrap();
    });
}

#[test]
fn who_takes_back_request_after_request_is_sent_away() {
    on_loop(async |event_loop| {
        let service = FakeService::new(|_| Reply { awaits_end: true, ..Reply::text("") });
        let talking = talk(&event_loop, &service).await;
        let mut sent = 0;
        while !talking.served.is_finished() && sent < 3 * CANCELLED_MAX {
            let Ok(mut ready) = talking.requests.clone().ready().await else { break };
            let Ok((_, mut stream)) = ready.send_request(get("/"), true) else { break };
            stream.send_reset(Reason::CANCEL);
            sent += 1;
            settle().await;
        }
        let error = talking.connection.await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
        assert!((CANCELLED_MAX..2 * CANCELLED_MAX).contains(&sent), "{sent}");
    });
}

#[test]
fn who_says_nothing_has_the_time_of_a_head() {
    on_loop(async |event_loop| {
        let (mut client, stream) = connection();
        let serving = serve(event_loop.clone(), FakeService::echo(), stream, (Vec::new(), arrival()));
        let served = tokio::task::spawn_local(serving);
        client.say("PRI * HTTP/2.0\r\n").await;
        pass(&event_loop, late(event_loop.limits.get().head_timeout_ms)).await;
        served.await.unwrap();
    });
}
