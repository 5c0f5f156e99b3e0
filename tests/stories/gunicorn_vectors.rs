//! In:     the invalid requests that Gunicorn's source package ships as its own test vectors.
//! Out:    which of them hallway refuses.
//! Actors: one hallway; `make test` fetches the package.
//! Never:  does a request that Gunicorn refuses reach the app, but for those listed with the reason.

use super::client::Connection;
use super::stage::Stage;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const APP: &str = r#"
def app(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"taken"]
"#;

/// What Gunicorn refuses and hallway takes, with what allows it.
const TAKEN: &[(&str, &str)] = &[
    // Its request line has 4,100 octets; Gunicorn stops at 4,094.
    ("006", "RFC 9112, 3: \"It is RECOMMENDED that all HTTP senders and recipients support [...] 8000 octets\""),
    // Refused under a setting of that vector alone: at most two header lines.
    ("011", "RFC 9110, 5.4: \"HTTP does not place a predefined limit on the length of each field line\""),
    // Refused under a setting of that vector alone: header lines of at most 98 octets.
    ("012", "RFC 9110, 5.4: \"HTTP does not place a predefined limit on the length of each field line\""),
    // Raw UTF-8 in a path is encoded and served, the same as over HTTP/2, and as nginx and HAProxy take it.
    (
        "rfc9112_target_non_ascii_02",
        "RFC 9112, 3: \"Recipients of an invalid request-line SHOULD respond with [...] 400\"",
    ),
];

fn vectors(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gunicorn/tests/requests").join(kind);
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|_| panic!("the story needs {}: run `make test`, which fetches it", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .collect();
    found.sort();
    found
}

/// The bytes of a vector: line ends and other bytes are written as escapes there.
fn bytes_of(path: &Path) -> Vec<u8> {
    let text: Vec<u8> = fs::read(path).unwrap().into_iter().filter(|byte| *byte != b'\n').collect();
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let hex = |from: usize| {
            text.get(from..from + 2).and_then(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok())
        };
        let (byte, length) = match text.get(at..at + 2) {
            Some(b"\\r") => (b'\r', 2),
            Some(b"\\n") => (b'\n', 2),
            Some(b"\\t") => (b'\t', 2),
            Some(b"\\0") => (0, 2),
            Some(b"\\x") if hex(at + 2).is_some() => (hex(at + 2).unwrap(), 4),
            _ => (text[at], 1),
        };
        bytes.push(byte);
        at += length;
    }
    bytes
}

/// The statuses of all answers on one connection.
fn ask(hallway: &super::stage::Running, bytes: &[u8]) -> Vec<u16> {
    let mut connection = Connection::open(hallway.address);
    connection.send(bytes);
    // Nothing more will come: what is whole is answered, and what is not ends there.
    connection.shutdown();
    let mut answered = Vec::new();
    let _ = std::io::Read::read_to_end(connection.reader(), &mut answered);
    let text = String::from_utf8_lossy(&answered).into_owned();
    text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

#[test]
fn what_gunicorn_refuses_is_refused() {
    let hallway = Stage::with_app(APP).run(&["-w", "1", "app:app"]);
    let invalid = vectors("invalid");
    assert_eq!(invalid.len(), 81, "the vectors have changed: look at what is new");
    let mut taken = BTreeSet::new();
    for path in &invalid {
        let statuses = ask(&hallway, &bytes_of(path));
        // Several requests may stand in one vector, of which the last is the invalid one. The app answers
        // at once, so what is not answered is not whole, and was not given to it.
        if statuses.last().is_some_and(|status| *status < 400) {
            taken.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    let listed: BTreeSet<String> = TAKEN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(taken, listed);
}
