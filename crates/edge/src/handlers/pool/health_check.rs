//! In:     pools whose servers are to be asked how they are.
//! Out:    the same told to the servers' health.
//! Actors: tasks of the first event loop, one for each pool, as long as its plan is the one that counts.
//! Never:  does one server that hangs keep the others from being asked, or a look outlast the next.

use crate::handlers::pool::connect::{AT_ONCE, connect};
use crate::handlers::pool::connections::Upstreams;
use crate::handlers::pool::members::PoolDesk;
use crate::handlers::pool::outgoing::{Coding, Outgoing};
use crate::handlers::pool::pools::Pools;
use crate::handlers::pool::protocol::{Flight, OnConnection, Speech};
use crate::handlers::pool::server::{Address, Server};
use hallway_core::gateway::{Gateway, Seen, name_script, put_begin, put_uwsgi};
use hallway_core::head::Framing;
use hallway_core::http1::{Asked, Onward, parse_head};
use hallway_core::plan::{Check, Pool, Protocol, Secret};
use hallway_core::semantics::Addresses;
use hallway_core::semantics::ForwardedFacts;
use hallway_core::{Fault, Head};
use hallway_net::runtime::event_loop::EventLoop;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer that are looked at.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Asks the servers of every pool that wants it, until another plan counts.
pub(crate) fn look_after(upstreams: &Rc<Upstreams>, pools: &Pools) {
    for (number, (desk, pool)) in pools.all().enumerate() {
        if let Some(check) = &pool.check {
            let asked = Asking {
                upstreams: upstreams.clone(),
                serial: pools.serial,
                desk: desk.clone(),
                pool: pool.clone(),
                check: check.clone(),
                tls: pools.tls(number).cloned(),
            };
            tokio::task::spawn_local(asked.ask_again());
        }
    }
}

/// The servers of one pool that are asked.
struct Asking {
    upstreams: Rc<Upstreams>,
    serial: u32,
    desk: Arc<PoolDesk>,
    pool: Arc<Pool>,
    check: Check,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Asking {
    async fn ask_again(self) {
        let event_loop = self.upstreams.event_loop.clone();
        let mut ticks = tokio::time::interval(Duration::from_millis(self.check.every_ms.max(10)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if event_loop.draining.get() || !self.upstreams.goes_by(self.serial) {
                return;
            }
            event_loop.clock.refresh();
            let members = self.desk.members();
            let asked = members.list.iter().map(|member| &member.server);
            let asked = asked.filter(|server| !matches!(server.identity.address, Address::Pool(_)));
            let looks: Vec<_> = asked
                .map(|server| {
                    let (event_loop, server) = (event_loop.clone(), server.clone());
                    let (pool, check, tls) = (self.pool.clone(), self.check.clone(), self.tls.clone());
                    tokio::task::spawn_local(async move {
                        let looking = look(&event_loop, &server, &pool, &check, tls.as_ref());
                        let found = tokio::time::timeout(Duration::from_millis(check.timeout_ms), looking).await;
                        let found = found.unwrap_or_else(|_| Err("the check was not answered in time".into()));
                        let now_ms = event_loop.clock.coarse_ms();
                        server.note_look(&pool, found.as_ref().copied().map_err(String::as_str), now_ms);
                    })
                })
                .collect();
            for look in looks {
                let _ = look.await;
            }
        }
    }
}

/// Whether a server is well; else what is wrong.
async fn look(
    event_loop: &EventLoop,
    server: &Server,
    pool: &Pool,
    check: &Check,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<(), String> {
    let tls = tls.filter(|_| server.identity.protocol.is_encrypted());
    let connection = connect(event_loop, server, pool, tls).await.map_err(|(_, why)| why)?;
    if matches!(server.identity.protocol, Protocol::H2 | Protocol::H2c) {
        // It takes connections; more cannot be asked in a word.
        return Ok(());
    }
    let host = check.host.as_deref().or(pool.host.as_deref()).unwrap_or(server.host());
    let (speech, outgoing) = question(pool, server.identity.protocol, &check.path, host).map_err(said)?;
    let flight = OnConnection::new(connection, speech, outgoing, event_loop.clock.coarse_ms());
    let mut flight = Flight::OnConnection(flight);
    let echoes_version = server.identity.protocol == Protocol::Uwsgi;
    let (tools, asked) = ((&event_loop.clock, &event_loop.buffers), Asked { echoes_version, ..Asked::default() });
    let answer = loop {
        let answer = poll_fn(|task| flight.poll_head(tools, asked, task)).await;
        let answer = answer.map_err(|fault| match (fault, flight.foul_line()) {
            (Fault::ServerLost, _) if !server.has_ever_answered() => AT_ONCE.into(),
            (fault, Some(line)) => format!("{}: {line}", said(fault)),
            (fault, None) => said(fault),
        })?;
        if answer.head.status >= 200 {
            break answer;
        }
    };
    let status = answer.head.status;
    let is_good = if check.statuses.is_empty() { status < 400 } else { check.statuses.contains(&status) };
    if !is_good {
        return Err(format!("the check was answered {status}"));
    }
    let Some(wanted) = &check.body else { return Ok(()) };
    let mut body = Vec::new();
    while body.len() < BODY_BYTES_MAX {
        let (piece, last) = poll_fn(|task| flight.poll_piece(&event_loop.clock, task)).await.map_err(said)?;
        body.extend_from_slice(piece.bytes());
        if last {
            break;
        }
    }
    let has_it = memchr::memmem::find(&body, wanted.as_bytes()).is_some();
    if has_it { Ok(()) } else { Err(format!("the check's answer has no '{wanted}'")) }
}

/// What a server is asked.
fn question(pool: &Pool, protocol: Protocol, path: &str, host: &str) -> Result<(Speech, Outgoing), Fault> {
    let lines: String = ["Host: ", host, "\r\nUser-Agent: hallway\r\n"].concat();
    let mut raw = format!("GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n").into_bytes();
    if matches!(protocol, Protocol::Http | Protocol::Https) {
        for (name, Secret(value)) in &pool.request_lines.set {
            raw.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        raw.extend(b"\r\n");
        return Ok((Speech::Http1 { keeps: false }, Outgoing::new(raw, None, Coding::Plain)));
    }
    raw.extend(b"\r\n");
    let mut head = Head::default();
    parse_head(&raw, raw.len(), &mut head)?;
    let (peer_ip, local_name) = ("127.0.0.1", "127.0.0.1");
    let addresses = Addresses { peer_ip, peer_port: 0, local_name, local_port: 80, https: false };
    let facts = ForwardedFacts { addresses, host: host.as_bytes(), request_id: "health", ..ForwardedFacts::default() };
    let onward = Onward {
        facts: &facts,
        prefix_bytes: 0,
        host: Some(host),
        lines: &pool.request_lines,
        framing: Framing::None,
        upgrades: false,
        expects_continue: false,
        is_raw: false,
    };
    let script = Some(&pool.script).filter(|script| protocol == Protocol::FastCgi && !script.root.is_empty());
    // The operator has written it: it need not be looked for.
    let named = script.map(|script| name_script(script, head.path(), |_| Seen::Nothing).ok_or(Fault::NotFound));
    let named = named.transpose()?;
    let gateway = Gateway { onward: &onward, script: named.as_ref().map(|named| (&pool.script, named)) };
    let mut out = Vec::new();
    if protocol == Protocol::FastCgi {
        put_begin(&mut out, &head, gateway);
        return Ok((Speech::FastCgi(Box::default()), Outgoing::new(out, None, Coding::FastCgi)));
    }
    put_uwsgi(&mut out, &head, gateway)?;
    Ok((Speech::Http1 { keeps: false }, Outgoing::new(out, None, Coding::Plain)))
}

fn said(fault: Fault) -> String {
    match fault {
        Fault::NotFound => "the check's path names no script".into(),
        fault => fault.detail().trim_end_matches('.').into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{FakeServer, nowhere, on_loop, planned};
    use crate::handlers::pool::members::PoolDesk;
    use hallway_core::plan::Server as Planned;
    use std::time::Instant;

    fn check() -> Check {
        Check {
            path: "/health".into(),
            host: None,
            statuses: Vec::new(),
            body: None,
            every_ms: 1_000,
            timeout_ms: 1_000,
            rise: 1,
            fall: 1,
        }
    }

    /// What a look at this server finds.
    async fn looked(event_loop: &EventLoop, server: Planned, check: &Check) -> Result<(), String> {
        let pool = Arc::new(Pool::new("p", vec![server]));
        let desk = PoolDesk::new(Instant::now());
        desk.renew((&pool, 1), &[], &|_| None);
        let server = desk.members().list[0].server.clone();
        look(event_loop, &server, &pool, check, None).await
    }

    #[test]
    fn a_server_is_well_when_its_answer_is_the_one_that_was_asked_for() {
        let answer =
            |status: u16, body: &str| format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let only = |statuses: &[u16]| Check { statuses: statuses.to_vec(), ..check() };
        let with = |word: &str| Check { body: Some(word.into()), ..check() };
        let early = format!("HTTP/1.1 103 Early Hints\r\n\r\n{}", answer(200, ""));
        let table = [
            (answer(200, ""), check(), Ok(())),
            (answer(399, ""), check(), Ok(())),
            (answer(400, ""), check(), Err("the check was answered 400")),
            (answer(503, ""), check(), Err("the check was answered 503")),
            (answer(503, ""), only(&[200, 503]), Ok(())),
            (answer(204, ""), only(&[200]), Err("the check was answered 204")),
            (early, check(), Ok(())),
            (answer(200, "all is well here"), with("well"), Ok(())),
            (answer(200, "all is ill here"), with("well"), Err("the check's answer has no 'well'")),
            ("220 smtp.example ESMTP\r\n\r\n".into(), check(), Err("")),
        ];
        on_loop(async |event_loop| {
            for (answer, check, expected) in table {
                let server = FakeServer::saying(&answer).await;
                match (looked(&event_loop, server.planned(), &check).await, expected) {
                    (Err(why), Err(expected)) => assert!(why.contains(expected), "{answer}: {why}"),
                    (found, expected) => assert_eq!(found.is_ok(), expected.is_ok(), "{answer}: {found:?}"),
                }
                assert!(server.seen.borrow()[0].starts_with("GET /health HTTP/1.1\r\n"));
            }
        });
    }

    #[test]
    fn a_server_that_is_not_there_or_says_nothing_is_told_as_such() {
        on_loop(async |event_loop| {
            let why = looked(&event_loop, planned(nowhere().await), &check()).await.unwrap_err();
            assert_eq!(why, "Connection refused");
            let mute = FakeServer::new(|_, _| (Vec::new(), true)).await;
            assert_eq!(looked(&event_loop, mute.planned(), &check()).await.unwrap_err(), AT_ONCE);
        });
    }
}
