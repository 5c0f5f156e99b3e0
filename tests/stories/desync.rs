//! In:     a server that answers with more, less or other than it should; a client that says two things at once.
//! Out:    what other clients and the server see of that.
//! Actors: one hallway; a server of the story's own that writes whatever bytes it is to; raw clients.
//! Never:  does a byte of one exchange cross to another.

use super::client::{Connection, get};
use super::served::Served;
use super::stage::{Stage, wait_until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the server was asked, head after head.
type Heard = Arc<Mutex<Vec<String>>>;

/// A server that answers each path with its bytes, and stays on the connection.
fn hostile() -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, heard) = (listener.local_addr().unwrap(), Heard::default());
    let all = heard.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let heard = all.clone();
            thread::spawn(move || serve(stream, &heard));
        }
    });
    (at, heard)
}

fn serve(stream: TcpStream, heard: &Heard) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(reader.read_line(&mut head), Ok(bytes) if bytes > 0) {
                return;
            }
        }
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        if head.contains("Transfer-Encoding: chunked") && !read_chunks(&mut reader, &mut body) {
            return;
        }
        // What is no request (the rest of a body that this server does not understand) is answered, too.
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        heard.lock().unwrap().push(head + &String::from_utf8_lossy(&body));
        let (bytes, then) = answer(&path);
        let _ = writer.write_all(&bytes);
        if let Some(later) = then {
            thread::sleep(Duration::from_millis(100));
            let _ = writer.write_all(&later);
        }
        if path.contains("close") {
            return;
        }
    }
}

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";

/// Reads a chunked body; `false` where it breaks off.
fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> bool {
    loop {
        let mut line = String::new();
        if !matches!(reader.read_line(&mut line), Ok(bytes) if bytes > 0) {
            return false;
        }
        let Ok(size) = usize::from_str_radix(line.trim_end(), 16) else { return false };
        let mut chunk = vec![0; size + 2];
        if reader.read_exact(&mut chunk).is_err() {
            return false;
        }
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return true;
        }
    }
}

/// What is answered at once, and what a moment later, when nobody has asked.
fn answer(path: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
    let text = match path {
        "/two-at-once" => format!("{good}{EVIL}"),
        "/two-in-a-row" => return (good.into(), Some(EVIL.into())),
        "/longer-than-said" => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodEVILEVIL".into(),
        "/head-with-body" => format!("{good}{EVIL}"),
        "/204-with-body" => format!("HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\ngood{EVIL}"),
        "/304-with-body" => format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\ngood{EVIL}"),
        "/chunked-and-length" => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}")
        }
        "/two-lengths" => format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\ngood{EVIL}"),
        "/list-of-lengths" => format!("HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\ngood{EVIL}"),
        "/plus-length" => format!("HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\ngood{EVIL}"),
        "/hidden-chunked" => format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n{EVIL}"),
        "/twice-chunked" => {
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}"
            )
        }
        "/bad-chunk" => format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{EVIL}"),
        "/long-chunk" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngoodEVIL\r\n0\r\n\r\n".into(),
        "/bare-line-feed" => format!("HTTP/1.1 200 OK\nContent-Length: 4\n\ngood{EVIL}"),
        "/folded" => format!("HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 4\r\n\r\n{EVIL}"),
        "/space-before-colon" => format!("HTTP/1.1 200 OK\r\nContent-Length : 4\r\nX-Bad\t: 1\r\n\r\ngood{EVIL}"),
        "/padded-size" => {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2  \r\ngo\r\n2 \t\r\nod\r\n0   \r\n\r\n".into()
        }
        "/odd-extension" => {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n4;\r\ngood\r\n0;bad[=\r\nX-Sum : 1\r\n\r\n".into()
        }
        "/later-version" => "HTTP/1.2 200 OK\r\nContent-Length: 4\r\n\r\ngood".into(),
        "/no-colon" => format!("HTTP/1.1 200 OK\r\nhere is no colon\r\n\r\n{EVIL}"),
        "/name" => format!("HTTP/1.1 200 OK\r\nX Bad: 1\r\n\r\n{EVIL}"),
        "/nul" => format!("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 4\r\n\r\ngood{EVIL}"),
        "/return" => format!("HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: evil=1\r\nContent-Length: 4\r\n\r\ngood{EVIL}"),
        "/unasked-upgrade" => {
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n{EVIL}")
        }
        "/hints-for-ever" => "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000),
        "/head-for-ever" => format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(20_000)),
        "/many-lines" => format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(500)),
        "/other-protocol" => "SSH-2.0-OpenSSH_9.2\r\n\r\n".into(),
        "/http9" => "HTTP/9.9 200 OK\r\nContent-Length: 4\r\n\r\ngood".into(),
        "/status-0" => "HTTP/1.1 000 OK\r\nContent-Length: 4\r\n\r\ngood".into(),
        "/cut-chunk-close" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ngood".into(),
        "/nothing-close" => String::new(),
        "/half-head-close" => "HTTP/1.1 200 OK\r\nContent-Le".into(),
        _ => good.into(),
    };
    (text.into_bytes(), None)
}

fn served(at: SocketAddr, settings: &str) -> Served {
    let file = format!(
        "[server]\nhttp = \"HTTP\"\nthreads = 1\n[pool.all]\nservers = [\"http://{at}\"]\neject = {{ after = 0 }}\n\
         answer_timeout = \"2s\"\n{settings}\n[site.\"*\"]\nroutes = [{{ path = \"/*\", pool = \"all\" }}]\n"
    );
    Served::start(Stage::new(), &file)
}

#[test]
fn nothing_crosses_from_a_hostile_server() {
    let (at, heard) = hostile();
    let served = served(at, "");
    let refused = 502;
    for (path, method, status) in [
        ("/two-at-once", "GET", 200),
        ("/two-in-a-row", "GET", 200),
        ("/longer-than-said", "GET", 200),
        ("/head-with-body", "HEAD", 200),
        ("/204-with-body", "GET", 204),
        ("/304-with-body", "GET", 304),
        ("/chunked-and-length", "GET", refused),
        ("/two-lengths", "GET", refused),
        ("/list-of-lengths", "GET", refused),
        ("/plus-length", "GET", refused),
        ("/hidden-chunked", "GET", refused),
        ("/twice-chunked", "GET", refused),
        ("/bare-line-feed", "GET", refused),
        ("/folded", "GET", refused),
        ("/space-before-colon", "GET", 200),
        ("/padded-size", "GET", 200),
        ("/odd-extension", "GET", 200),
        ("/later-version", "GET", 200),
        ("/nul", "GET", refused),
        ("/return", "GET", refused),
        ("/unasked-upgrade", "GET", refused),
        ("/head-for-ever", "GET", refused),
        ("/many-lines", "GET", refused),
        ("/other-protocol", "GET", refused),
        ("/http9", "GET", refused),
        ("/status-0", "GET", refused),
        ("/nothing-close", "GET", refused),
        ("/half-head-close", "GET", refused),
    ] {
        let mut client = Connection::open(served.http);
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = client.answer_to(method);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(!answer.text().contains("EVIL") && !answer.head.contains("evil"), "{path}: {answer:?}");
        if status == 200 && method == "GET" {
            assert_eq!(answer.text(), "good", "{path}");
        }
        // The same client and another one ask on, at once and once what came unasked has come.
        // (What comes behind a further request is that one's answer: nothing tells.)
        let pauses: &[u64] = if path == "/two-in-a-row" { &[150, 0] } else { &[0, 150] };
        for pause_ms in pauses.iter().copied() {
            thread::sleep(Duration::from_millis(pause_ms));
            client.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(client.answer().text(), "good", "behind {path}");
            assert_eq!(get(served.http, "/other").text(), "good", "behind {path}");
        }
    }
    for (path, begins) in [("/bad-chunk", ""), ("/long-chunk", ""), ("/cut-chunk-close", "good")] {
        let mut client = Connection::open(served.http);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let mut rest = Vec::new();
        let _ = client.reader().read_to_end(&mut rest);
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.ends_with("0\r\n\r\n"), "{path} is not taken for whole: {rest:?}");
        assert!(rest.contains(begins) && !rest.contains("EVIL"), "{path}: {rest:?}");
        assert_eq!(get(served.http, "/other").text(), "good", "behind {path}");
    }
    let mut client = Connection::open(served.http);
    client.send("GET /hints-for-ever HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut last = client.answer();
    for _ in 0..100 {
        if last.status != 103 {
            break;
        }
        last = client.answer();
    }
    assert_eq!(last.status, 502);
    assert!(heard.lock().unwrap().iter().all(|head| head.starts_with("GET /") || head.starts_with("HEAD /")));
}

#[test]
fn what_is_wrong_with_an_answer_is_told_with_its_line() {
    let (at, _) = hostile();
    let served = served(at, "");
    for (path, line) in [
        ("/no-colon", "A header line of the server's answer has no colon: 'here is no colon'"),
        ("/name", "A header name of the server's answer has a byte that does not belong there: 'X Bad: 1'"),
        ("/nul", "A header value of the server's answer has a control byte: 'X: a\\x00b'"),
        ("/return", "A line of the server's answer has a CR in it: 'X: a\\rSet-Cookie: evil=1'"),
        ("/folded", "A header line of the server's answer is folded: ' Content-Length: 4'"),
        ("/http9", "The server answers in another version than HTTP/1: 'HTTP/9.9 200 OK'"),
        ("/other-protocol", "The server's answer is not HTTP/1: 'SSH-2.0-OpenSSH_9.2'"),
        ("/bare-line-feed", "A line of the server's answer does not end with CR LF: 'HTTP/1.1 200 OK\\n'"),
        ("/two-lengths", "The server's answer has two lengths: 'Content-Length: 40'"),
        ("/bad-chunk", "its answer is cut: A chunk of the server's answer does not begin with its size"),
        ("/long-chunk", "its answer is cut: A chunk of the server's answer does not end where its size says"),
    ] {
        let mut client = Connection::open(served.http);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        let _ = client.reader().read_to_end(&mut Vec::new());
        let asked = format!("GET {path} (");
        let told = wait_until(|| served.hallway.said().lines().find(|told| told.contains(&asked)).map(str::to_owned));
        assert!(told.contains(line), "{path}: {told}");
    }
}

#[test]
fn nothing_is_smuggled_to_a_server() {
    smuggle("");
    smuggle("buffer_requests = false");
}

fn smuggle(settings: &str) {
    let (at, heard) = hostile();
    let served = served(at, settings);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    for framing in [
        format!("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Content-Length: 5\r\nContent-Length: 0\r\n\r\n12345{smuggled}"),
        format!("Transfer-Encoding: xchunked\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n{smuggled}"),
        format!("Connection: content-length\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!(
            "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n",
            smuggled.len()
        ),
    ] {
        let mut client = Connection::open(served.http);
        let _ = client.try_send(format!("POST /outer HTTP/1.1\r\nHost: h\r\n{framing}").as_bytes());
        client.answer();
        assert_eq!(get(served.http, "/other").text(), "good", "behind {framing:?}");
    }
    // Whatever the server heard, none of its requests begins with what a client hid in another one.
    let heard = heard.lock().unwrap();
    assert!(!heard.iter().any(|head| head.starts_with("GET /smuggled")), "{heard:?}");
    let others = heard.iter().filter(|head| head.contains("GET /other")).count();
    assert!(others >= 14, "{others} of {heard:?}");
}
