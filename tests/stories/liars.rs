//! In:     an app whose workers write what they like into all that they share with the edge and the master.
//! Out:    the other apps and the files of the same hallway, which are served as if nothing were.
//! Actors: one hallway with three apps, one of which is `tests/apps/liar.py`; clients of the others.
//! Never:  does the liar reach the others by a signal or a file: what users and rights keep apart is another story.

use super::client::{Connection, get, post};
use super::served::Served;
use super::stage::{PATIENCE, Stage, wait_until};
use rustix::process::{Pid, Signal};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const FILE: &str = r#"
[server]
http = "HTTP"
https = "HTTPS"
threads = THREADS
[app.honest]
wsgi = "honest:app"
python = "PYTHON"
workers = 1
[app.other]
wsgi = "honest:app"
python = "PYTHON"
workers = 1
[app.liar]
wsgi = "liar:app"
python = "PYTHON"
workers = 3
timeout = "5s"
graceful_timeout = "1s"
LIAR
[site."*"]
tls = "internal"
https_redirect = false
routes = [
  { path = "/honest/*", app = "honest" },
  { path = "/other/*", app = "other" },
  { path = "/liar", app = "liar" },
  { path = "/packed/liar", app = "liar", compress = true },
  { path = "/*", files = "public" },
]
"#;

const HONEST: &str = r#"
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"].endswith("/file"):
        return environ["wsgi.file_wrapper"](open("public/large", "rb"))
    if environ["PATH_INFO"].endswith("/say"):
        print("an honest line", environ["QUERY_STRING"], flush=True)
    return [b"%d bytes" % len(environ["wsgi.input"].read())]
"#;

fn start(threads: usize, liar: &str) -> Served {
    let liar_source =
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/liar.py"));
    let stage = Stage::new()
        .file("liar.py", &liar_source.unwrap())
        .file("honest.py", HONEST)
        .file("public/large", &"0123456789abcdef".repeat(20_000))
        .file("public/small", "small");
    let file = FILE.replace("THREADS", &threads.to_string()).replace("LIAR", liar);
    Served::start_all(stage, &file, super::stage::ANY)
}

/// Has the liar do something, and reads what comes of it for a moment: nobody knows whether anything does.
fn provoke(address: SocketAddr, path: &str, wait: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(wait)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: story\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n").unwrap();
    let (mut seen, mut room, until) = (Vec::new(), vec![0; 64 * 1024], Instant::now() + wait);
    while let Ok(bytes) = stream.read(&mut room)
        && bytes > 0
        && Instant::now() < until
    {
        seen.extend_from_slice(&room[..bytes]);
        seen.truncate(1 << 20);
    }
    seen
}

/// Everything that is not the liar's: each way that a liar could have stopped.
fn others_are_served(served: &Served) {
    for app in ["honest", "other"] {
        assert_eq!(get(served.http, &format!("/{app}/")).text(), "0 bytes");
        assert_eq!(post(served.http, &format!("/{app}/"), &[b'u'; 200_000]).text(), "200000 bytes");
        assert_eq!(get(served.http, &format!("/{app}/file")).body.len(), 320_000);
    }
    assert_eq!(get(served.http, "/small").text(), "small");
    assert_eq!(get(served.http, "/large").body.len(), 320_000);
    // The master, too.
    let (ok, said) = served.order(&["status"]);
    assert!(ok, "{said}");
}

/// The edge is the one that it was, and nothing in it was a mistake of hallway's.
struct Unharmed {
    edge: u32,
}

impl Unharmed {
    fn of(served: &Served) -> Unharmed {
        Unharmed { edge: served.hallway.wait_for_child("hallway: edge", &[]) }
    }

    fn check(&self, served: &Served) {
        others_are_served(served);
        assert_eq!(served.hallway.children("hallway: edge"), [self.edge]);
        let said = served.hallway.said();
        assert!(!said.contains("this is a bug in hallway"), "{said}");
    }
}

const SOON: Duration = Duration::from_secs(20);

#[test]
fn numbers_of_a_file_that_are_none_cost_their_own_answer() {
    let served = start(1, "");
    let unharmed = Unharmed::of(&served);
    for number in 0..17 {
        let length = if number % 2 == 0 { "same" } else { "1000" };
        let path = if number % 3 == 0 { "/packed/liar" } else { "/liar" };
        let asked = format!("{path}?attack=lie_about_a_file&number={number}&length={length}");
        let seen = provoke(served.http, &asked, SOON);
        let seen = String::from_utf8_lossy(&seen);
        assert!(!seen.starts_with("HTTP/1.1 200") || !seen.ends_with("done\n"), "{asked}: {seen}");
        others_are_served(&served);
    }
    // HTTP/2 reads files itself.
    for number in [1, 3, 5, 9, 11, 12, 15] {
        let asked = format!("https://localhost:PORT/liar?attack=lie_about_a_file&number={number}");
        served.curl(&["--http2", "--max-time", "20", "--output", "/dev/null", &asked]);
        others_are_served(&served);
    }
    unharmed.check(&served);
}

#[test]
fn a_file_that_shrinks_cuts_its_own_answer() {
    let served = start(1, "");
    let unharmed = Unharmed::of(&served);
    for seed in 0..4 {
        let seen = provoke(served.http, &format!("/liar?attack=shrink_a_file&seed={seed}"), SOON);
        assert!(seen.len() < 64 << 20);
        let asked = format!("https://localhost:PORT/liar?attack=shrink_a_file&seed={seed}");
        served.curl(&["--http2", "--max-time", "20", "--output", "/dev/null", &asked]);
        others_are_served(&served);
    }
    unharmed.check(&served);
}

#[test]
fn descriptors_whose_close_waits_hold_up_nobody_else() {
    let served = start(1, "");
    let unharmed = Unharmed::of(&served);
    for asked in [
        "send_lingering",
        "send_lingering&says=0&ticket=7",
        "send_lingering&many=5",
        "send_lingering&many=25&ticket=9",
        "leave_lingering",
        "leave_lingering",
        "send_what_is_no_file&seed=1",
        "send_what_is_no_file&seed=2",
        "send_what_is_no_file&seed=3",
        "send_what_is_no_file&seed=4",
    ] {
        provoke(served.http, &format!("/liar?attack={asked}"), Duration::from_secs(2));
        others_are_served(&served);
    }
    // The master lets go of their workers, and others take their places.
    served.hallway.signal("HUP");
    wait_until(|| served.hallway.said().contains("every worker is replaced").then_some(()));
    unharmed.check(&served);
}

/// Asks the others again and again for as long as something lasts.
fn while_others_are_served(served: &Served, act: impl FnOnce() + Send) {
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let acting = scope.spawn(|| {
            act();
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) || asked.load(Ordering::Relaxed) == 0 {
            others_are_served(served);
            asked.fetch_add(1, Ordering::Relaxed);
        }
        acting.join().unwrap();
    });
}

/// Who goes on with an answer that nobody waits for.
const ENDED: &str = "sent nothing for 5 s in the middle of a request";

#[test]
fn a_bell_that_is_full_and_waits_wakes_nobody_and_holds_nobody() {
    let served = start(1, "");
    let unharmed = Unharmed::of(&served);
    while_others_are_served(&served, || {
        provoke(served.http, "/liar?attack=fill_bells&seconds=600", Duration::from_secs(2));
    });
    wait_until(|| served.hallway.said().contains(ENDED).then_some(()));
    unharmed.check(&served);
}

#[test]
fn floods_of_frames_have_their_turn_and_no_more() {
    let served = start(1, "");
    let unharmed = Unharmed::of(&served);
    while_others_are_served(&served, || {
        for asked in ["waits=1", "waits=0", "size=1&waits=1", "size=60000&waits=1", "size=1000&waits=0"] {
            provoke(served.http, &format!("/liar?attack=flood&seconds=600&{asked}"), Duration::from_secs(2));
        }
        provoke(served.http, "/liar?attack=leave_and_flood&seconds=600", Duration::from_secs(2));
    });
    // Who regards what was released, and has credit for what it sends, is ended once its client has left and its time is
    // over; those with longer frames may have none left before.
    wait_until(|| {
        let said = served.hallway.said();
        let (ended, broken) = (said.matches(ENDED).count(), said.matches("broke its lane").count());
        (ended >= 1 && broken >= 2 && ended + broken >= 5).then_some(())
    });
    unharmed.check(&served);
}

#[test]
fn who_takes_more_than_it_was_given_is_replaced() {
    let served = start(1, "");
    let unharmed = Unharmed::of(&served);
    for (number, asked) in [
        "ignore_credit",
        "ignore_credit&garbles=1",
        "ignore_credit&size=150000",
        "name_stream&stream=1",
        "name_stream&stream=65535",
        "say_room",
        "say_room&many=20",
    ]
    .into_iter()
    .enumerate()
    {
        // A client that takes nothing.
        let mut client = TcpStream::connect(served.http).unwrap();
        write!(client, "GET /liar?attack={asked} HTTP/1.1\r\nHost: story\r\n\r\n").unwrap();
        wait_until(|| (served.hallway.said().matches("broke its lane").count() > number).then_some(()));
        others_are_served(&served);
    }
    unharmed.check(&served);
}

#[test]
fn who_says_that_it_leaves_is_replaced_and_ended() {
    let mut served = start(1, "");
    let unharmed = Unharmed::of(&served);
    for asked in ["leave_and_stay", "leave_and_stay&again=1"] {
        let before = served.hallway.wait_for_children("hallway: app liar", 3);
        provoke(served.http, &format!("/liar?attack={asked}"), Duration::from_secs(1));
        // Three again, of which one is another, or two: the request was asked once more of a second one.
        wait_until(|| {
            let now = served.hallway.children("hallway: app liar");
            let others = now.iter().filter(|pid| !before.contains(pid)).count();
            (now.len() == 3 && (1..=2).contains(&others)).then_some(())
        });
        others_are_served(&served);
    }
    served.hallway.wait_for_line(|line| line.contains("of liar") && line.contains("is killed"));
    unharmed.check(&served);
}

#[test]
fn who_leaves_before_its_first_request_is_replaced_with_pauses() {
    for way in ["exit", "leave"] {
        let served = start(1, &format!("env = {{ LIAR_LEAVES = \"{way}\" }}"));
        let unharmed = Unharmed::of(&served);
        // Three workers and three more without a pause; then pauses that grow up to a second.
        let starts = || -> Vec<String> {
            let said = served.hallway.said();
            let told = said.lines().filter(|line| line.contains("liar[") && line.ends_with(": begun"));
            told.map(|line| line[..line.find(' ').unwrap()].to_owned()).collect()
        };
        let begun = wait_until(|| Some(starts()).filter(|begun| begun.len() >= 3 + 3 + 8));
        others_are_served(&served);
        let ms_of = |time: &String| -> u64 {
            let (_, clock) = time.split_once('T').unwrap();
            let digits: Vec<u64> =
                clock.split(|char: char| !char.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
            ((digits[0] * 60 + digits[1]) * 60 + digits[2]) * 1000 + digits.get(3).copied().unwrap_or(0)
        };
        // All three places pause by one count: the last of these eight follow one another at that pace at least.
        let took_ms = ms_of(&begun[13]).saturating_sub(ms_of(&begun[6]));
        assert!(took_ms > 700, "{way}: {begun:?}");
        unharmed.check(&served);
    }
}

#[test]
fn garbage_in_words_frames_and_reports_ends_its_own_worker() {
    let served = start(1, "");
    let unharmed = Unharmed::of(&served);
    for seed in 0..6 {
        for asked in ["garble_words", "garble_frames", "garble_reports", "close_lanes"] {
            provoke(served.http, &format!("/liar?attack={asked}&seed={seed}"), Duration::from_secs(1));
        }
        others_are_served(&served);
    }
    unharmed.check(&served);
}

#[test]
fn a_flood_of_output_is_cut_and_counted_and_others_keep_their_lines() {
    let mut served = start(1, "");
    let unharmed = Unharmed::of(&served);
    for line in [10, 100, 10_000, 5_000_000] {
        let asked = format!("/liar?attack=print_flood&seconds=2&line={line}");
        std::thread::scope(|scope| {
            let flooding = scope.spawn(|| provoke(served.http, &asked, SOON));
            for number in 0..20 {
                get(served.http, &format!("/honest/say?{line}-{number}"));
            }
            flooding.join().unwrap();
        });
    }
    served.hallway.wait_for_line(|line| line.contains("liar: ") && line.contains(" lines") && line.contains("dropped"));
    for line in [10, 100, 10_000, 5_000_000] {
        for number in 0..20 {
            let said = format!("an honest line {line}-{number}");
            served.hallway.wait_for_line(|line| line.ends_with(&said) && line.contains("honest["));
        }
    }
    // Four floods of two seconds, each with what is saved up.
    assert!(served.hallway.said().len() < 4 * 4 * 5 * 1024 * 1024, "{} bytes", served.hallway.said().len());
    unharmed.check(&served);
}

#[test]
fn pipes_that_somebody_holds_hold_up_nobody_who_hears() {
    let mut served = start(1, "");
    let unharmed = Unharmed::of(&served);
    // By a worker, of which nothing is heard from then on; by what three workers leave behind, which end by themselves.
    provoke(served.http, "/liar?attack=hold_pipes", SOON);
    others_are_served(&served);
    for _ in 0..3 {
        provoke(served.http, "/liar?attack=hold_pipes&forks=1", Duration::from_secs(2));
        others_are_served(&served);
    }
    // Only root may have such memory; the story is about the same without.
    let held = if rustix::process::geteuid().is_root() { "are held" } else { "cannot be held" };
    served.hallway.wait_for_line(|line| line.contains("liar[") && line.contains(held));
    served.hallway.signal("HUP");
    wait_until(|| served.hallway.said().contains("every worker is replaced").then_some(()));
    served.hallway.wait_for_children("hallway: app liar", 3);
    unharmed.check(&served);
    // Its own means are as before.
    assert_eq!(get(served.http, "/liar").text(), "done\n");
}

/// The thread that waits for such a pipe keeps nothing of the master open but that pipe.
#[test]
fn a_master_that_is_killed_while_a_pipe_is_held_is_heard_to_end() {
    let served = start(1, "");
    provoke(served.http, "/liar?attack=hold_pipes", SOON);
    others_are_served(&served);
    let of = |name: &str| served.hallway.children(name);
    let children = [of("hallway: edge"), of("hallway: app honest"), of("hallway: app other"), of("hallway: app liar")];
    assert_eq!(children.concat().len(), 1 + 1 + 1 + 3);
    served.hallway.signal("KILL");
    let is_there = |pid: &u32| std::path::Path::new(&format!("/proc/{pid}/exe")).exists();
    wait_until(|| (!children.concat().iter().any(is_there)).then_some(()));
}

/// A client of the others that never stops, and takes no failure.
fn ask_on(served: &Served, app: &str, done: &AtomicBool, asked: &AtomicUsize) {
    let mut connection = Connection::open(served.http);
    for round in 0.. {
        if done.load(Ordering::Acquire) {
            return;
        }
        let (answer, bytes) = match round % 50 {
            49 => {
                let head = format!("POST /{app}/ HTTP/1.1\r\nHost: s\r\nContent-Length: 100000\r\n\r\n");
                (connection.send(head).send([b'u'; 100_000]).answer(), b"100000 bytes".len())
            }
            48 => (connection.send(format!("GET /{app}/file HTTP/1.1\r\nHost: s\r\n\r\n")).answer(), 320_000),
            47 => (connection.send("GET /large HTTP/1.1\r\nHost: s\r\n\r\n").answer(), 320_000),
            30..47 => (connection.send("GET /small HTTP/1.1\r\nHost: s\r\n\r\n").answer(), 5),
            _ => (connection.send(format!("GET /{app}/ HTTP/1.1\r\nHost: s\r\n\r\n")).answer(), 7),
        };
        assert_eq!((answer.status, answer.body.len()), (200, bytes), "request {round} of {app}: {}", answer.head);
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

/// All of it at once, by a seed (`SEED`). `make soak` attacks for 60 s beside at least 20,000 requests of others; this one
/// for less (`SOAK_SECONDS`, `SOAK_REQUESTS`).
#[test]
fn one_app_of_three_attacks_by_every_means_and_no_request_of_others_fails() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (seconds, wanted) = (number("SOAK_SECONDS", 10), number("SOAK_REQUESTS", 1_500) as usize);
    let seed = number("SEED", 1);
    println!("SEED={seed}");
    let served = start(2, "");
    let unharmed = Unharmed::of(&served);
    let (done, asked, attacks) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for app in ["honest", "other", "honest"] {
            scope.spawn(|| ask_on(&served, app, &done, &asked));
        }
        for attacker in 0..2 {
            let (served, done, attacks) = (&served, &done, &attacks);
            scope.spawn(move || {
                for round in 0.. {
                    if done.load(Ordering::Acquire) {
                        return;
                    }
                    let asked = format!("/liar?seed={}", seed * 1_000_000 + attacker * 100_000 + round);
                    provoke(served.http, &asked, Duration::from_millis(1_500));
                    attacks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let most = Duration::from_secs(seconds) * 6 + PATIENCE;
        while begun.elapsed().as_secs() < seconds || asked.load(Ordering::Relaxed) < wanted {
            std::thread::sleep(Duration::from_millis(50));
            let is_late = begun.elapsed() > most;
            if is_late {
                done.store(true, Ordering::Release);
            }
            assert!(!is_late, "{} requests of others in {most:?}", asked.load(Ordering::Relaxed));
        }
        done.store(true, Ordering::Release);
    });
    let (asked, attacks) = (asked.into_inner(), attacks.into_inner());
    println!("{asked} requests of others beside {attacks} attacks, none failed");
    assert!(asked >= wanted && attacks as u64 >= seconds / 2);
    unharmed.check(&served);
    // A master that is killed cannot end while one of them holds the pipe that it hears.
    for pid in served.hallway.children("hallway: app liar") {
        let _ = rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
    }
}
