//! In:     files that an app returns through `wsgi.file_wrapper`.
//! Out:    their bytes, sent by the kernel where they are plain files.
//! Actors: one hallway with one worker.
//! Never:  is something else sent than what the app would have read.

use super::client::{Connection, get, request};
use super::stage::{Stage, python, wait_until};

const APP: &str = r#"
import gzip, io, os

def app(environ, start_response):
    wrap = environ["wsgi.file_wrapper"]
    path = environ["PATH_INFO"]
    headers = [("Content-Type", "application/octet-stream")]
    write = start_response("200 OK", headers) if path != "/declared" else \
        start_response("200 OK", headers + [("Content-Length", "1000")])
    if path == "/written":
        write(b"before ")
    if path == "/memory":
        return wrap(io.BytesIO(b"m" * 100_000), 5000)
    if path == "/gzip":
        return wrap(gzip.open("large.gz"))
    if path == "/pipe":
        reads, writes = os.pipe()
        os.write(writes, b"piped")
        os.close(writes)
        return wrap(os.fdopen(reads, "rb"))
    file = open("large", "rb")
    if path == "/raw":
        file = open("large", "rb", buffering=0)
    if path == "/made":
        return wrap(open("/proc/cpuinfo", "rb"))
    if path == "/rest":
        assert file.read(10) == b"0123456789"
    if path == "/closed":
        class Told:
            read = file.read
            def close(self):
                file.close()
                open("closed", "w").close()
        return wrap(Told())
    if path == "/iterated":
        return iter(wrap(file))
    return wrap(file)
"#;

#[test]
fn files_go_by_their_descriptors() {
    let large = "0123456789abcdef".repeat(200_000);
    let stage = Stage::with_app(APP).file("large", &large);
    let zip = "import gzip; gzip.open('large.gz', 'wb').write(b'unzipped ' * 50_000)";
    assert!(std::process::Command::new(python()).args(["-c", zip]).current_dir(&stage.dir).status().unwrap().success());
    let hallway = stage.run(&["-w", "1", "app:app"]);
    let ask = |path: &str| get(hallway.address, path);
    for path in ["/plain", "/raw", "/iterated", "/closed"] {
        assert!(ask(path).text() == large, "{path}");
    }
    assert_eq!(ask("/plain").header("content-length"), Some("3200000"));
    assert!(ask("/rest").text() == large[10..]);
    assert_eq!(ask("/declared").text(), large[..1000]);
    assert!(ask("/written").text() == format!("before {large}"));
    assert_eq!(ask("/memory").text(), "m".repeat(100_000));
    assert_eq!(ask("/gzip").text(), "unzipped ".repeat(50_000));
    assert_eq!(ask("/pipe").text(), "piped");
    assert!(ask("/made").text().contains("processor"), "what has no length is read");
    assert_eq!(request(hallway.address, "HEAD", "/plain", "").header("content-length"), Some("3200000"));
    assert!(hallway.stage.as_ref().unwrap().dir.join("closed").exists(), "close() was called");
    // The worker is free although nobody has read yet, and its descriptors are closed in the end.
    let edge = hallway.wait_for_child("hallway: edge", &[]);
    let open_files = || std::fs::read_dir(format!("/proc/{edge}/fd")).unwrap().count();
    let before = open_files();
    let mut slow: Vec<Connection> = (0..10).map(|_| Connection::open(hallway.address)).collect();
    for connection in &mut slow {
        connection.send("GET /plain HTTP/1.1\r\nHost: s\r\n\r\n");
    }
    assert_eq!(ask("/pipe").text(), "piped");
    for connection in &mut slow {
        assert!(connection.answer().text() == large);
    }
    drop(slow);
    for _ in 0..20 {
        ask("/plain");
    }
    wait_until(|| (open_files() <= before).then_some(()));
    assert!(!hallway.said().contains("Traceback"), "{}", hallway.said());
}
