//! In:     servers with room for few; more requests than that.
//! Out:    who waits for how long, and where they end.
//! Actors: one hallway, servers in Python, raw clients.
//! Never:  is anybody overtaken, or sent where another plan says.

use super::client::{Connection, get, request};
use super::served::Served;
use super::stage::{Stage, wait_until};
use super::upstream::Upstream;
use super::upstream_h2::certificate;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

fn asked(http: SocketAddr, path: &'static str, fields: &'static str) -> std::thread::JoinHandle<(u16, String)> {
    std::thread::spawn(move || {
        let answer = request(http, "GET", path, fields);
        (answer.status, answer.text())
    })
}

fn file(pool: &str) -> String {
    format!(
        "[server]\nhttp = \"HTTP\"\nthreads = 1\n[pool.all]\n{pool}\n[site.\"*\"]\nroutes = [{{ path = \"/*\", pool = \"all\" }}]\n"
    )
}

#[test]
fn who_came_first_is_served_first() {
    let one = Upstream::start("one");
    let served = Served::start(
        Stage::new(),
        &file(&format!("servers = [{{ url = \"http://{}\", max_connections = 1 }}]", one.at))
            .replace("[pool.all]", "[log]\naccess = { format = \"$request\" }\n[pool.all]"),
    );
    let http = served.http;
    // Each is known before the first one asks, so that nothing but the order of the requests decides.
    let connections: Vec<_> = (0..20)
        .map(|_| {
            let mut connection = Connection::open(http);
            assert_eq!(connection.send("GET /slow?s=0 HTTP/1.1\r\nHost: s\r\n\r\n").answer().status, 200);
            connection
        })
        .collect();
    // Each waits for longer than anything is looked at again by time alone.
    let waiting: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(number, mut connection)| {
            connection.send(format!("GET /slow?s=0.08&n={number}& HTTP/1.1\r\nHost: s\r\n\r\n"));
            let asking = std::thread::spawn(move || connection.answer().status);
            std::thread::sleep(Duration::from_millis(30));
            asking
        })
        .collect();
    assert!(waiting.into_iter().all(|one| one.join().unwrap() == 200));
    // hallway's own log says who was served when, whichever client's thread wakes first.
    let written = wait_until(|| Some(served.hallway.written()).filter(|log| log.matches("&n=").count() == 20));
    let number = |line: &str| line.split("&n=").nth(1)?.split('&').next()?.parse::<usize>().ok();
    let ends: Vec<usize> = written.lines().filter_map(number).collect();
    assert!(ends.iter().enumerate().all(|(at, number)| ends.len() == 20 && at.abs_diff(*number) <= 2), "{ends:?}");
}

#[test]
fn who_tries_again_does_not_starve() {
    // Takes each request, and answers none.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bad = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    let good = Upstream::start("good");
    let pool = format!(
        "servers = [\"http://{bad}\", {{ url = \"http://{}\", max_connections = 1 }}]\n\
         eject = {{ after = 0 }}\nretry = {{ budget = \"100%\" }}\nqueue = {{ max_wait = \"30s\" }}",
        good.at
    );
    let served = Served::start(Stage::new(), &file(&pool));
    let http = served.http;
    let clients: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || (0..10).map(|_| get(http, "/slow?s=0.01").status).collect::<Vec<u16>>()))
        .collect();
    let statuses: Vec<u16> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[test]
fn a_client_waits_for_the_server_that_knows_it() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let pool = format!(
        "servers = [{{ url = \"http://{}\", max_connections = 1 }}, {{ url = \"http://{}\", max_connections = 1 }}]\nsticky = true",
        one.at, two.at
    );
    let served = Served::start(Stage::new(), &file(&pool));
    let first = get(served.http, "/who");
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let fields: &'static str = format!("Cookie: {cookie}\r\n").leak();
    let slow = asked(served.http, "/slow?s=0.5", fields);
    std::thread::sleep(Duration::from_millis(100));
    let second = request(served.http, "GET", "/who", fields);
    assert_eq!((second.text(), second.header("set-cookie")), (first.text(), None));
    assert_eq!(slow.join().unwrap().0, 200);
}

#[test]
fn a_request_ends_by_the_plan_that_it_began_with() {
    let stage = Stage::new();
    let [pem, _, key] = certificate(&stage, "server");
    let [_, other_ca, _] = certificate(&stage, "other");
    let inner = Upstream::start_with(&["inner", "127.0.0.1:0", &pem, &key]);
    let pool = |tls: &str, word: &str| {
        file(&format!(
            "servers = [{{ url = \"https://{}\", max_connections = 1 }}]\ntls = {{ {tls} }}\n\
             request_headers = {{ set = {{ X-Word = \"{word}\" }} }}",
            inner.at
        ))
    };
    let mut served = Served::start(stage, &pool("verify = false", "old"));
    let slow = asked(served.http, "/slow?s=5", "");
    std::thread::sleep(Duration::from_millis(500));
    let waiting: Vec<_> = (0..3).map(|_| asked(served.http, "/echo", "")).collect();
    std::thread::sleep(Duration::from_millis(1_000));
    // From now on the server has to show a certificate that it has not.
    served.change(&pool(&format!("ca = \"{other_ca}\""), "new"));
    assert_eq!(get(served.http, "/echo").status, 502, "it is not trusted any more");
    assert_eq!(slow.join().unwrap().0, 200);
    for one in waiting {
        let (status, text) = one.join().unwrap();
        assert!(status == 200 && text.contains(r#"["X-Word", "old"]"#), "{status}: {text}");
    }
    // Nobody goes by the connections of those.
    for _ in 0..3 {
        assert_eq!(get(served.http, "/echo").status, 502);
    }
}

#[test]
fn what_is_cut_has_its_lines() {
    let one = Upstream::start("one");
    let text = file(&format!("servers = [\"http://{}\"]", one.at)).replace(
        "threads = 1\n",
        "threads = 1\ngraceful_timeout = \"1s\"\n[log]\naccess = { format = \"$status $request\" }\n",
    );
    let mut served = Served::start(Stage::new(), &text);
    // Its server goes in the middle of an answer.
    let mut client = Connection::open(served.http);
    client.send("GET /half HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut rest = Vec::new();
    client.reader().read_to_end(&mut rest).ok();
    assert!(rest.ends_with(b"half"), "{}", String::from_utf8_lossy(&rest));
    let line = format!("server {}: its answer is cut: it ended the connection in the middle", one.at);
    wait_until(|| served.hallway.said().contains(&line).then_some(()));
    // A stop that does not wait for so long.
    let slow = asked(served.http, "/slow?s=20", "");
    let mut reading = Connection::open(served.http);
    reading.send("GET /big?bytes=50000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(reading.head().starts_with("HTTP/1.1 200 "));
    wait_until(|| served.order(&["status"]).1.contains(", 2 open").then_some(()));
    served.hallway.signal("TERM");
    served.hallway.wait_for_end();
    let said = served.hallway.said();
    assert!(said.contains("2 requests that were not answered within the graceful timeout are cut"), "{said}");
    let written = served.hallway.written();
    for line in ["200 GET /half HTTP/1.1", "503 GET /slow?s=20 HTTP/1.1", "200 GET /big?bytes=50000000 HTTP/1.1"] {
        assert!(written.lines().any(|found| found == line), "{line} in {written}");
    }
    // It hears of that: a bare close would have a client ask again.
    assert_eq!(slow.join().unwrap().0, 503);
}
