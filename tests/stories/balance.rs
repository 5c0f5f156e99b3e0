//! In:     pools of servers with names, weights and limits; a name server whose answers change.
//! Out:    who gets which requests.
//! Actors: one hallway, servers in Python, dnsmasq.
//! Never:  is a request lost because servers come, go or change.

use super::client::{Connection, get, request};
use super::served::{Served, free_address};
use super::stage::{AT_ONCE, Stage, wait_until};
use super::upstream::Upstream;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn file(threads: u32, pools: &str) -> String {
    format!(
        r#"
        [server]
        http = "HTTP"
        threads = {threads}
        [log]
        access = {{ format = "waited $queue_time $request" }}
        {pools}
        [site."*"]
        routes = [{{ path = "/*", pool = "all" }}]
        "#
    )
}

fn pool(servers: &[&Upstream], settings: &str) -> String {
    let urls: Vec<String> = servers.iter().map(|server| format!("\"http://{}\"", server.at)).collect();
    format!("[pool.all]\nservers = [{}]\n{settings}\n", urls.join(", "))
}

/// Who answers so many requests.
fn counts(address: SocketAddr, requests: usize, fields: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let mut client = Connection::open(address);
    for _ in 0..requests {
        client.send(format!("GET /who HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
        *counts.entry(answer.text()).or_default() += 1;
    }
    counts
}

#[test]
fn weights_are_shares_to_the_request() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let servers = |heavy: u32| {
        format!(
            "[pool.all]\nservers = [{{ url = \"http://{}\", weight = {heavy} }}, {{ url = \"http://{}\" }}]\n",
            one.at, two.at
        )
    };
    let mut served = Served::start(Stage::new(), &file(1, &servers(3)));
    let found = counts(served.http, 10_000, "");
    assert_eq!((found["one"], found["two"]), (7_500, 2_500));
    // Live, without a request lost on the way.
    served.change(&file(1, &servers(1)));
    let found = counts(served.http, 1_000, "");
    assert_eq!((found["one"], found["two"]), (500, 500));
    served.change(&file(1, &servers(0)));
    assert_eq!(counts(served.http, 100, "")["two"], 100, "a weight of nothing: it is let go");
}

#[test]
fn more_threads_are_within_a_cycle_each() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let pools = format!(
        "[pool.all]\nservers = [{{ url = \"http://{}\", weight = 3 }}, {{ url = \"http://{}\" }}]\n",
        one.at, two.at
    );
    let served = Served::start(Stage::new(), &file(2, &pools));
    let mut ones = 0;
    for _ in 0..20 {
        ones += counts(served.http, 100, "").get("one").copied().unwrap_or(0);
    }
    // Two threads, a cycle of four requests each.
    assert!(ones.abs_diff(1_500) <= 8, "{ones}");
}

#[test]
fn a_key_stays_at_its_server() {
    let servers: Vec<Upstream> = ["one", "two", "three"].map(Upstream::start).into();
    let all: Vec<&Upstream> = servers.iter().collect();
    let served = Served::start(Stage::new(), &file(1, &pool(&all, "balance = \"hash:header:X-User\"")));
    let mut seen = HashMap::new();
    for user in 0..60 {
        let fields = format!("X-User: user-{user}\r\n");
        let found = counts(served.http, 3, &fields);
        assert_eq!(found.len(), 1, "user-{user}: {found:?}");
        *seen.entry(found.into_keys().next().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn a_cookie_keeps_a_client_and_cannot_be_forged() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let served = Served::start(Stage::new(), &file(1, &pool(&[&one, &two], "sticky = { cookie = \"at\" }")));
    let first = get(served.http, "/who");
    let cookie = first.header("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("at=") && cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    for _ in 0..10 {
        let again = request(served.http, "GET", "/who", &format!("Cookie: {pair}\r\n"));
        assert_eq!((again.text(), again.header("set-cookie")), (first.text(), None));
    }
    // A digit of the server's number is not the client's to change.
    let last = pair.chars().nth(3).unwrap();
    let forged = pair.replacen(last, if last == '0' { "1" } else { "0" }, 1);
    let answer = request(served.http, "GET", "/who", &format!("Cookie: {forged}\r\n"));
    assert!(answer.header("set-cookie").is_some());
    // Its server is gone: another one has it from now on.
    let (left, gone) = if first.text() == "one" { (two, one) } else { (one, two) };
    gone.kill();
    let moved = request(served.http, "GET", "/who", &format!("Cookie: {pair}\r\n"));
    assert!(moved.status == 200 && moved.header("set-cookie").is_some_and(|cookie| !cookie.starts_with(pair)));
    drop(left);
}

#[test]
fn who_finds_no_room_waits_and_not_for_ever() {
    let one = Upstream::start("one");
    let pools = format!(
        "[pool.all]\nservers = [{{ url = \"http://{}\", max_connections = 2 }}]\nqueue = {{ size = 4, max_wait = \"5s\" }}\n",
        one.at
    );
    let served = Served::start(Stage::new(), &file(2, &pools));
    let ask = |path: &'static str| {
        let http = served.http;
        std::thread::spawn(move || get(http, path).status)
    };
    let begun = Instant::now();
    let asked: Vec<_> = (0..6).map(|_| ask("/slow?s=0.2")).collect();
    assert!(asked.into_iter().all(|one| one.join().unwrap() == 200));
    assert!(begun.elapsed() > Duration::from_millis(590), "two at a time: {:?}", begun.elapsed());
    // The server answers when it is told to.
    let release = |count: u32| (0..count).for_each(|_| assert_eq!(get(one.address(), "/release").status, 200));
    let asked: Vec<_> = (0..6).map(|_| ask("/slow?held=1")).collect();
    std::thread::sleep(Duration::from_secs(1));
    let extra = get(served.http, "/who");
    assert_eq!((extra.status, extra.header("retry-after")), (503, Some("1")));
    assert!(extra.text().contains("the queue before it is full"), "{}", extra.text());
    release(6);
    assert!(asked.into_iter().all(|one| one.join().unwrap() == 200));
    let asked: Vec<_> = (0..2).map(|_| ask("/slow?held=1")).collect();
    std::thread::sleep(Duration::from_secs(1));
    let late = get(served.http, "/who");
    assert_eq!((late.status, late.header("proxy-status")), (503, Some("hallway; error=connection_limit_reached")));
    assert!(late.text().contains("busy for too long"), "{}", late.text());
    release(2);
    assert!(asked.into_iter().all(|one| one.join().unwrap() == 200));
    // The log tells who waited, and for how long.
    let waited_s: Vec<f64> = wait_until(|| {
        let written = served.hallway.written();
        let lines = written.lines().filter_map(|line| line.strip_prefix("waited "));
        let waited: Vec<f64> = lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
        (waited.len() >= 4).then_some(waited)
    });
    assert!(waited_s.iter().any(|seconds| *seconds >= 0.15), "{waited_s:?}");
    // Who finds room has not waited.
    wait_until(|| served.hallway.written().contains("waited - ").then_some(()));
}

#[test]
fn the_operator_sees_how_servers_are() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let pools = format!(
        "[pool.all]\nservers = [\"http://{}\", {{ url = \"http://{}\", backup = true, max_connections = 7 }}]\n\
         health = {{ path = \"/health\", every = \"100ms\", rise = 2, fall = 2 }}\n\
         [pool.far]\nservers = [\"http://nowhere.invalid:80\"]\n",
        one.at, two.at
    );
    let served = Served::start(Stage::new(), &file(1, &pools));
    let status = || {
        let (went_well, said) = served.order(&["status"]);
        assert!(went_well, "{said}");
        said
    };
    let said = status();
    assert!(said.contains("pool    all: 2 of 2 servers ready\n"), "{said}");
    assert!(said.contains(&format!("{}  ready, 0 open\n", one.at)), "{said}");
    assert!(said.contains(&format!("{}  ready, backup, 0 of 7 open\n", two.at)), "{said}");
    assert!(said.contains("nowhere.invalid  has no address\n"), "{said}");
    get(one.address(), "/sicken");
    let line = format!("{}  down since 0 s: the check was answered 500", one.at);
    wait_until(|| status().contains(&line).then_some(()));
    assert!(status().contains("pool    all: 1 of 2 servers ready\n"), "{}", status());
    get(one.address(), "/heal");
    wait_until(|| status().contains("pool    all: 2 of 2 servers ready\n").then_some(()));
    // Requests that are open now are those of this moment.
    let http = served.http;
    let asked = std::thread::spawn(move || get(http, "/slow?s=0.5").status);
    wait_until(|| status().contains(&format!("{}  ready, 1 open\n", one.at)).then_some(()));
    assert_eq!(asked.join().unwrap(), 200);
}

#[test]
fn a_server_that_is_not_well_gets_nothing_and_a_backup_steps_in() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    let pools = format!(
        "[pool.all]\nservers = [\"http://{}\", {{ url = \"http://{}\", backup = true }}]\n\
         health = {{ path = \"/health\", every = \"100ms\", rise = 2, fall = 2, body = \"well\" }}\n",
        one.at, two.at
    );
    let served = Served::start(Stage::new(), &file(1, &pools));
    assert_eq!(counts(served.http, 20, "")["one"], 20);
    get(one.address(), "/sicken");
    wait_until(|| (get(served.http, "/who").text() == "two").then_some(()));
    let down = format!("server {} is down: the check was answered 500", one.at);
    wait_until(|| served.hallway.said().contains(&down).then_some(()));
    assert_eq!(counts(served.http, 20, "")["two"], 20);
    get(two.address(), "/sicken");
    wait_until(|| (get(served.http, "/who").status == 503).then_some(()));
    let answer = get(served.http, "/who");
    assert_eq!(answer.header("proxy-status"), Some("hallway; error=destination_unavailable"));
    get(one.address(), "/heal");
    wait_until(|| (get(served.http, "/who").text() == "one").then_some(()));
    wait_until(|| served.hallway.said().contains("is well again").then_some(()));
}

#[test]
fn pools_stand_in_pools() {
    let servers: Vec<Upstream> = ["one", "two", "three"].map(Upstream::start).into();
    let pools = format!(
        "[pool.all]\nservers = [{{ url = \"pool:east\", weight = 3 }}, \"pool:west\"]\n\
         [pool.east]\nservers = [\"http://{}\", \"http://{}\"]\n[pool.west]\nservers = [\"http://{}\"]\n",
        servers[0].at, servers[1].at, servers[2].at
    );
    let served = Served::start(Stage::new(), &file(1, &pools));
    let found = counts(served.http, 800, "");
    assert_eq!((found["one"], found["two"], found["three"]), (300, 300, 200));
}

#[test]
fn a_pool_below_that_is_gone_is_no_server() {
    let (one, spare) = (Upstream::start("one"), Upstream::start("spare"));
    let gone = one.at.clone();
    let pools = format!(
        "[pool.all]\nservers = [\"pool:below\", {{ url = \"http://{}\", backup = true }}]\n[pool.below]\nservers = [\"http://{gone}\"]\n",
        spare.at
    );
    let served = Served::start(Stage::new(), &file(1, &pools));
    assert_eq!(counts(served.http, 5, "")["one"], 5);
    one.kill();
    let _ = get(served.http, "/who");
    assert_eq!(counts(served.http, 5, "")["spare"], 5);
}

#[test]
fn what_is_full_below_is_waited_for_above() {
    let one = Upstream::start("one");
    let text = format!(
        "[server]\nhttp = \"HTTP\"\nthreads = 2\n[pool.all]\nservers = [\"pool:below\"]\n[pool.below]\n\
         servers = [{{ url = \"http://{}\", max_connections = 1 }}]\n[site.\"*\"]\nroutes = [{{ path = \"/*\", pool = \"all\" }}, \
         {{ path = \"/below/*\", pool = \"below\" }}]\n",
        one.at
    );
    let served = Served::start(Stage::new(), &text);
    let http = served.http;
    let busy = std::thread::spawn(move || get(http, "/below/slow?s=1").status);
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    assert_eq!(get(served.http, "/who").text(), "one");
    assert!(begun.elapsed() < AT_ONCE);
    assert_eq!(busy.join().unwrap(), 200);
}

#[test]
fn a_server_found_ill_is_asked_again_when_nobody_looks_any_more() {
    let one = Upstream::start("one");
    let checked = "health = { path = \"/health\", every = \"100ms\", rise = 1, fall = 1 }";
    let mut served = Served::start(Stage::new(), &file(1, &pool(&[&one], checked)));
    get(one.address(), "/sicken");
    wait_until(|| (get(served.http, "/who").status == 503).then_some(()));
    served.change(&file(1, &pool(&[&one], "")));
    assert_eq!(get(served.http, "/who").text(), "one");
}

/// A name server at a free port, whose names stand in a file.
pub struct Names {
    child: Child,
    pub at: SocketAddr,
    hosts: std::path::PathBuf,
}

impl Names {
    pub fn start(stage: &Stage) -> Names {
        let at = free_address();
        let hosts = stage.dir.join("names");
        std::fs::write(&hosts, "").unwrap();
        let child = Command::new("/usr/sbin/dnsmasq")
            .args([
                "--keep-in-foreground",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--user=root",
                "--pid-file",
            ])
            .args([
                "--listen-address=127.0.0.1",
                "--local=/internal/",
                "--local-ttl=1",
                "--auth-ttl=1",
                "--conf-file=/dev/null",
            ])
            .arg(format!("--port={}", at.port()))
            .arg(format!("--addn-hosts={}", hosts.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Names { child, at, hosts }
    }

    /// Has `app.internal` stand for these addresses from now on.
    pub fn tell(&self, addresses: &[&str]) {
        let lines: String = addresses.iter().map(|address| format!("{address} app.internal\n")).collect();
        std::fs::write(&self.hosts, lines).unwrap();
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn names_are_followed_as_they_change() {
    let stage = Stage::new();
    let names = Names::start(&stage);
    // Three servers at one port, as containers have it.
    let one = Upstream::start_with(&["one", "127.0.0.1:0"]);
    let port = one.address().port();
    let two = Upstream::start_with(&["two", &format!("127.0.0.2:{port}")]);
    let three = Upstream::start_with(&["three", &format!("127.0.0.3:{port}")]);
    let pools = format!("[pool.all]\nservers = [\"http://app.internal:{port}\"]\n");
    let text = file(1, &pools).replace("threads = 1", &format!("threads = 1\nresolver = \"{}\"", names.at));
    let served = Served::start(stage, &text);
    // A name that is not there does not stop the start, and is answered at once.
    let begun = Instant::now();
    let answer = get(served.http, "/who");
    assert_eq!((answer.status, answer.header("proxy-status")), (503, Some("hallway; error=destination_unavailable")));
    assert!(begun.elapsed() < AT_ONCE);
    names.tell(&["127.0.0.1"]);
    wait_until(|| (get(served.http, "/who").status == 200).then_some(()));
    assert_eq!(counts(served.http, 30, "")["one"], 30);

    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    asked.fetch_add(counts(served.http, 20, "").values().sum(), Ordering::Relaxed);
                }
            });
        }
        let seen = |count: usize| wait_until(|| (counts(served.http, 60, "").len() == count).then_some(()));
        names.tell(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
        seen(3);
        names.tell(&["127.0.0.3"]);
        seen(1);
        names.tell(&["127.0.0.2", "127.0.0.3"]);
        seen(2);
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 500, "{asked:?}, none of them failed");
    drop((two, three));
}
