//! In:     small servers on threads, each with one habit.
//! Out:    what a run against them counts.
//! Actors: loopback sockets.
//! Never:  does a test depend on how fast this machine is.

use super::*;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// What a server does with the `number`th request of a connection; `false` closes the connection.
type Habit = fn(&mut TcpStream, u64) -> bool;

const RIGHT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn serve(habit: Habit) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                let mut number = 0;
                while stream.read(&mut bytes).is_ok_and(|read| read > 0) && habit(&mut stream, number) {
                    number += 1;
                }
            });
        }
    });
    address
}

fn load(address: SocketAddr, options: &str) -> (Value, bool) {
    let words = format!("{options} {address}");
    let plan = crate::plan::read(words.split_whitespace().map(str::to_owned)).unwrap();
    let wire = plan.request.wire().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tally = runtime.block_on(drive(plan, wire, Instant::now()));
    (tally.report(), tally.is_clean())
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

#[test]
fn a_good_server_keeps_its_connections() {
    let address = serve(|stream, _| stream.write_all(RIGHT).is_ok());
    let (report, clean) = load(address, "closed --connections 3 --seconds 0.2 --warmup 0.1 --expect-bytes 5");
    assert!(clean, "{report}");
    assert!(count(&report, "requests") > 3, "{report}");
    assert_eq!(count(&report, "reconnects"), 0, "{report}");
}

#[test]
fn the_open_loop_sends_as_many_as_are_due() {
    let address = serve(|stream, _| stream.write_all(RIGHT).is_ok());
    let (report, clean) = load(address, "open --rate 500 --connections 3 --seconds 0.4 --warmup 0.1");
    assert!(clean, "{report}");
    assert_eq!(count(&report, "requests"), 200, "{report}");
}

#[test]
fn waiting_for_a_free_connection_counts() {
    let address = serve(|stream, _| {
        thread::sleep(Duration::from_millis(20));
        stream.write_all(RIGHT).is_ok()
    });
    let (report, clean) = load(address, "open --rate 100 --connections 1 --seconds 0.5");
    assert!(clean, "{report}");
    assert_eq!(count(&report, "requests"), 50, "{report}");
    // The last of 50 requests is due after 490 ms and answered after 50 times 20 ms.
    assert!(report["latency_us"]["max"].as_f64().unwrap() > 400_000.0, "{report}");
}

#[test]
fn a_server_that_says_close_costs_a_reconnect_and_no_error() {
    let address = serve(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
        false
    });
    let (report, clean) = load(address, "closed --connections 2 --seconds 0.2");
    assert!(clean, "{report}");
    assert_eq!(count(&report, "reconnects") + 2, count(&report, "requests"), "{report}");
}

#[test]
fn one_wrong_byte_is_found() {
    let address = serve(|stream, number| {
        let answer = if number == 3 { b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhallo" } else { RIGHT };
        stream.write_all(answer).is_ok()
    });
    let (report, clean) = load(address, "closed --connections 1 --seconds 0.2 --expect-prefix he");
    assert!(!clean && count(&report, "wrong") > 0, "{report}");
    assert!(report["first_fault"].as_str().unwrap().contains("byte 1"), "{report}");
}

#[test]
fn an_answer_cut_short_and_a_silent_close_are_errors() {
    let address = serve(|stream, number| {
        let _ = stream.write_all(if number == 0 { RIGHT } else { &RIGHT[..40] });
        number == 0
    });
    let (report, clean) = load(address, "closed --connections 1 --seconds 0.1");
    assert!(!clean && count(&report, "errors") > 0 && count(&report, "wrong") == 0, "{report}");
}

#[test]
fn nobody_there_is_an_error() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (report, clean) = load(address, "closed --connections 1 --seconds 0.1");
    assert!(!clean && count(&report, "errors") > 0, "{report}");
}

#[test]
fn a_request_larger_than_the_socket_is_echoed_while_it_is_sent() {
    let address = serve_echo();
    let bytes = 8 * 1024 * 1024;
    let options = format!("closed --connections 1 --seconds 0.1 --method POST --body-bytes {bytes}");
    let (report, clean) = load(address, &format!("{options} --expect-bytes {bytes}"));
    assert!(clean && count(&report, "requests") > 0, "{report}");
}

/// Answers one POST for each connection: the head first, then each piece of the body as it comes.
fn serve_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = vec![0; 65_536];
            let read = stream.read(&mut bytes).unwrap();
            let begin = bytes[..read].windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let mut left = 8 * 1024 * 1024 - (read - begin);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\nConnection: close\r\n\r\n").unwrap();
            stream.write_all(&bytes[begin..read]).unwrap();
            while left > 0 {
                let read = stream.read(&mut bytes).unwrap();
                stream.write_all(&bytes[..read]).unwrap();
                left -= read;
            }
        }
    });
    address
}
