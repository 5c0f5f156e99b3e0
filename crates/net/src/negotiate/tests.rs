//! In:     the first bytes of connections: of clients, of proxies that are believed, of TLS.
//! Out:    for whom the service takes them, and whether it sees them at all.
//! Actors: the test is the client, and the sweeper.
//! Never:  waits for time to pass.

use super::*;
use crate::fakes::{Client, FakeService, Reply, gate, late, on_loop, pass, peer_of_proxy, settle};
use crate::tls::client::client_config;
use hallway_core::plan::{Limits, Place, Pool, PoolTls, Protocol, Server};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A connection that came to an address, with or without TLS.
fn come(event_loop: &Rc<EventLoop>, service: &Rc<FakeService>, tls: bool) -> (Client, JoinHandle<()>) {
    let (client, server) = UnixStream::pair().unwrap();
    let arriving =
        arrive(event_loop.clone(), service.clone(), Socket::Unix(server.into()), (peer_of_proxy(), gate(tls)));
    (Client(client), tokio::task::spawn_local(arriving))
}

fn behind_proxy() -> Rc<FakeService> {
    let service = FakeService::echo();
    service.believes.set(true);
    service
}

fn binary_header(length: u16, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&[203, 0, 113, 5, 192, 0, 2, 1, 0x10, 0x92, 0x01, 0xbb]);
    header.extend_from_slice(rest);
    header
}

#[test]
fn a_proxy_names_its_client_in_either_version() {
    // The longest is more than is looked at.
    let noted = [&[0x04, 0x03, 0xe8][..], &[0; 1000]].concat();
    let table = [
        b"PROXY TCP4 203.0.113.5 192.0.2.1 4242 443\r\n".to_vec(),
        binary_header(12, b""),
        binary_header(12 + 1003, &noted),
    ];
    for header in table {
        on_loop(async |event_loop| {
            let service = behind_proxy();
            let (mut client, _) = come(&event_loop, &service, false);
            client.say(&header).await;
            client.say(REQUEST).await;
            assert!(client.hear_out().await.ends_with("/a"));
            let seen = service.only();
            assert_eq!((&*seen.peer, &*seen.local), ("203.0.113.5:4242", "192.0.2.1:443"));
        });
    }
}

#[test]
fn a_header_that_comes_byte_by_byte_is_one() {
    on_loop(async |event_loop| {
        let service = behind_proxy();
        let (mut client, _) = come(&event_loop, &service, false);
        for byte in b"PROXY TCP4 203.0.113.5 192.0.2.1 4242 443\r\n" {
            client.say([*byte]).await;
            settle().await;
        }
        client.say(REQUEST).await;
        client.hear("/a").await;
        assert_eq!(service.only().peer, "203.0.113.5:4242");
    });
}

#[test]
fn a_proxy_may_also_speak_for_itself() {
    for before in ["", "PROXY UNKNOWN\r\n"] {
        on_loop(async |event_loop| {
            let service = behind_proxy();
            let (mut client, _) = come(&event_loop, &service, false);
            client.say(before).await;
            client.say(REQUEST).await;
            client.hear("/a").await;
            assert_eq!(
                (service.only().peer, service.only().local),
                ("198.51.100.9:4321".into(), "192.0.2.1:443".into())
            );
        });
    }
}

#[test]
fn a_header_that_is_none_ends_the_connection_before_anything_is_read_as_a_request() {
    for header in [&b"PROXY TCP4 203.0.113.5 nowhere 4242 443\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x91\x11\0\x0c"] {
        on_loop(async |event_loop| {
            let service = behind_proxy();
            let (mut client, arriving) = come(&event_loop, &service, false);
            client.say([header, REQUEST.as_bytes()].concat()).await;
            arriving.await.unwrap();
            assert_eq!(client.hear_out().await, "");
            assert_eq!(service.targets().len(), 0);
        });
    }
}

#[test]
fn who_is_not_believed_names_nobody() {
    on_loop(async |event_loop| {
        let service = FakeService::echo();
        let (mut client, _) = come(&event_loop, &service, false);
        client.say("PROXY TCP4 203.0.113.5 192.0.2.1 4242 443\r\n").await;
        client.say(REQUEST).await;
        assert!(client.hear_out().await.starts_with("HTTP/1.1 400 "));
        assert_eq!((service.only().peer, service.only().target), ("198.51.100.9:4321".into(), String::new()));
    });
}

#[test]
fn connections_are_counted_for_the_client_and_not_for_its_proxy() {
    on_loop(async |event_loop| {
        event_loop.limits.set(Limits { client_connections: 1, ..Limits::default() });
        let service = behind_proxy();
        let (mut one, _) = come(&event_loop, &service, false);
        one.say("PROXY TCP4 203.0.113.5 192.0.2.1 1 443\r\nGET /one HTTP/1.1\r\nHost: x\r\n\r\n").await;
        one.hear("/one").await;
        let (mut refused, arriving) = come(&event_loop, &service, false);
        refused.say("PROXY TCP4 203.0.113.5 192.0.2.1 2 443\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n").await;
        arriving.await.unwrap();
        let (mut other, _) = come(&event_loop, &service, false);
        other.say("PROXY TCP4 203.0.113.6 192.0.2.1 3 443\r\nGET /three HTTP/1.1\r\nHost: x\r\n\r\n").await;
        other.hear("/three").await;
        assert_eq!(service.targets(), ["/one", "/three"]);
        drop(one);
        settle().await;
        let (mut next, _) = come(&event_loop, &service, false);
        next.say("PROXY TCP4 203.0.113.5 192.0.2.1 4 443\r\nGET /four HTTP/1.1\r\nHost: x\r\n\r\n").await;
        next.hear("/four").await;
    });
}

#[test]
fn who_says_nothing_to_an_address_with_tls_or_behind_a_proxy_has_the_time_of_a_head() {
    for (is_believed, tls, first) in [(true, false, "PROXY TC"), (false, true, ""), (false, true, "\x16\x03\x01")] {
        on_loop(async |event_loop| {
            let service = FakeService::echo();
            service.believes.set(is_believed);
            let (mut client, arriving) = come(&event_loop, &service, tls);
            client.say(first).await;
            let wait_ms = event_loop.limits.get().head_timeout_ms;
            pass(&event_loop, wait_ms / 4 * 3).await;
            assert!(!arriving.is_finished());
            pass(&event_loop, late(wait_ms / 4)).await;
            arriving.await.unwrap();
            assert_eq!(client.hear_out().await, "");
        });
    }
}

#[test]
fn a_request_without_tls_to_an_address_that_has_it_is_answered_in_plain_text() {
    on_loop(async |event_loop| {
        let service = FakeService::encrypted(|_| Reply::text("see https"));
        let (mut client, _) = come(&event_loop, &service, true);
        client.say(REQUEST).await;
        assert!(client.hear_out().await.ends_with("see https"));
        assert!(!service.only().is_https);
    });
}

#[test]
fn what_is_neither_tls_nor_a_request_gets_an_alert() {
    on_loop(async |event_loop| {
        let service = FakeService::encrypted(|_| Reply::text("yes"));
        let (mut client, _) = come(&event_loop, &service, true);
        client.say("get / http/1.1 in small letters\r\n\r\n").await;
        client.0.shutdown().await.unwrap();
        let alert = client.hear_all().await;
        assert_eq!(alert.first(), Some(&21), "{alert:?}");
        assert_eq!(service.targets().len(), 0);
    });
}

/// A client of `a.example` that speaks this, and believes whatever it is shown.
async fn encrypted(
    client: Client,
    protocol: Protocol,
    name: &str,
) -> std::io::Result<tokio_rustls::client::TlsStream<UnixStream>> {
    let at = Place::Host { name: name.into(), port: Some(443) };
    let server = Server { at, protocol, weight: 1, is_backup: false, connections_max: 0 };
    let tls = PoolTls { trusts_all: true, ..PoolTls::default() };
    let config = client_config(&Pool { tls, ..Pool::new("p", vec![server]) }).unwrap().unwrap();
    TlsConnector::from(config).connect(ServerName::try_from(name.to_owned()).unwrap(), client.0).await
}

#[test]
fn encrypted_clients_are_served_in_the_version_that_they_agreed_on() {
    on_loop(async |event_loop| {
        let service = FakeService::encrypted(|_| Reply::text("yes"));
        let (client, _) = come(&event_loop, &service, true);
        let mut stream = encrypted(client, Protocol::Https, "a.example").await.unwrap();
        stream.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        assert!(heard.starts_with("HTTP/1.1 200 ") && heard.ends_with("yes"), "{heard}");
        let (client, _) = come(&event_loop, &service, true);
        let stream = encrypted(client, Protocol::H2, "a.example").await.unwrap();
        let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::task::spawn_local(connection);
        let request = http::Request::get("https://a.example/two").body(()).unwrap();
        assert_eq!(requests.send_request(request, true).unwrap().0.await.unwrap().status(), 200);
        assert_eq!(service.targets(), ["/a", "/two"]);
        assert!(service.seen.borrow().iter().all(|seen| seen.is_https));
    });
}

#[test]
fn a_name_that_no_site_has_gets_no_certificate() {
    on_loop(async |event_loop| {
        let service = FakeService::encrypted(|_| Reply::text("yes"));
        let (client, arriving) = come(&event_loop, &service, true);
        let error = encrypted(client, Protocol::Https, "b.example").await.unwrap_err();
        assert!(
            error.to_string().contains("UnrecognisedName") || error.to_string().contains("AccessDenied"),
            "{error}"
        );
        arriving.await.unwrap();
        assert_eq!(service.targets().len(), 0);
    });
}
