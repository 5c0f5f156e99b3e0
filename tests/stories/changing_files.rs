//! In:     files that change while they are served, by all means that tools have; files with odd times and names.
//! Out:    validators that tell one content from another; types, links and refusals that are true.
//! Actors: hallway; the story, which writes.
//! Never:  has a client the old content taken for the new one.

use super::client::{Answer, get, request};
use super::served::Served;
use super::stage::{Stage, wait_until};
use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FILE: &str = r#"
[server]
http = "HTTP"
threads = 1
[site."*"]
routes = [
  { path = "/*", files = { dir = "DIR/files", list = true } },
  { path = "/pages/*", files = { dir = "DIR/files", fallback = "index.html" } },
]
"#;

const THEN: u64 = 1_500_000_000;
const LATER: &str = "Sun, 13 Sep 2020 12:26:40 GMT";
/// What is kept in memory, and what is not.
const SIZES: [usize; 2] = [1_000, 100_000];

fn set_time(path: &Path, seconds: u64) {
    File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

/// Puts a file in the place of another at once, as `rsync` and `install` do.
fn put(path: &Path, content: &str, seconds: Option<u64>) {
    let next = path.with_extension("next");
    fs::write(&next, content).unwrap();
    if let Some(seconds) = seconds {
        set_time(&next, seconds);
    }
    fs::rename(next, path).unwrap();
}

fn shown(served: &Served, path: &str, content: &str) -> Answer {
    wait_until(|| Some(get(served.http, path)).filter(|answer| answer.text() == content))
}

#[test]
fn another_content_has_another_tag_whatever_its_time_and_size() {
    let served = Served::start(Stage::new().file("files/index.html", ""), FILE);
    for size in SIZES {
        for seconds in [0, 1, THEN] {
            let file = served.path("files").join(format!("{size}-{seconds}.txt"));
            let path = format!("/{size}-{seconds}.txt");
            let (old, new) = ("a".repeat(size), "b".repeat(size));
            put(&file, &old, Some(seconds));
            let before = shown(&served, &path, &old);
            let tag = before.header("etag").unwrap();
            put(&file, &new, Some(seconds));
            let after = shown(&served, &path, &new);
            assert_ne!(after.header("etag"), Some(tag), "{path}");
            let ask = |fields: &str| request(served.http, "GET", &path, fields);
            let answer = ask(&format!("If-None-Match: {tag}\r\n"));
            assert_eq!((answer.status, answer.text() == new), (200, true), "{path}");
            let answer = ask(&format!("Range: bytes=5-9\r\nIf-Range: {tag}\r\n"));
            assert_eq!((answer.status, answer.text() == new), (200, true), "{path}");
            let date = after.header("last-modified");
            assert_eq!(date.is_some(), seconds == THEN, "a time that is set for all says nothing: {date:?}");
            if date.is_none() {
                assert_eq!(ask(&format!("If-Modified-Since: {LATER}\r\n")).status, 200, "{path}");
                let dated = format!("Range: bytes=5-9\r\nIf-Range: {LATER}\r\n");
                assert_eq!(ask(&dated).status, 200, "{path}");
            }
        }
    }
}

/// Written over and over, faster than clocks tick: a strong tag never stands for two contents.
#[test]
fn what_changes_all_the_time_is_never_taken_for_what_it_was() {
    let served = Served::start(Stage::new().file("files/index.html", ""), FILE);
    for size in SIZES {
        let (file, path) = (served.path("files").join(format!("{size}.txt")), format!("/{size}.txt"));
        let mut contents: HashMap<String, String> = HashMap::new();
        for round in 0..20 {
            let content = ["a", "b", "c"][round % 3].repeat(size);
            fs::write(&file, &content).unwrap();
            let answer = shown(&served, &path, &content);
            // The Date is that of the request; its second may be over when the file is looked at.
            let modified = answer.header("last-modified").filter(|modified| answer.header("date") == Some(modified));
            let is_over = |second: &str| second != httpdate::fmt_http_date(std::time::SystemTime::now());
            assert!(modified.is_none_or(is_over), "it may change in this second once more");
            let tag = answer.header("etag").unwrap().to_owned();
            if !tag.starts_with("W/") {
                let known = contents.entry(tag.clone()).or_insert_with(|| content.clone());
                assert!(*known == content, "{tag} stands for two contents");
            }
        }
        let resting =
            wait_until(|| Some(get(served.http, &path)).filter(|one| !one.header("etag").unwrap().starts_with("W/")));
        let tag = resting.header("etag").unwrap();
        let part = request(served.http, "GET", &path, &format!("Range: bytes=5-9\r\nIf-Range: {tag}\r\n"));
        assert_eq!((part.status, part.body.len()), (206, 5), "once it rests, parts of it can be had");
        let unchanged = request(served.http, "GET", &path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!(unchanged.status, 304);
    }
}

/// The release before is put back, with its old time: whoever has the newer one must get the older.
#[test]
fn what_is_put_back_is_not_unchanged() {
    let served = Served::start(Stage::new().file("files/index.html", ""), FILE);
    let (file, path) = (served.path("files/a.txt"), "/a.txt");
    put(&file, "newer", Some(1_600_000_000));
    let newer = shown(&served, path, "newer");
    assert_eq!(newer.header("last-modified"), Some(LATER));
    put(&file, "older", Some(THEN));
    shown(&served, path, "older");
    let since = |date: &str| request(served.http, "GET", path, &format!("If-Modified-Since: {date}\r\n"));
    assert_eq!(since(LATER).text(), "older");
    let own = get(served.http, path).header("last-modified").unwrap().to_owned();
    assert_eq!(since(&own).status, 304);
    // Ahead of its time; beyond all calendars.
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    put(&file, "ahead", Some(now_s + 100_000));
    assert_eq!(shown(&served, path, "ahead").header("last-modified"), None, "RFC 9110, 8.8.2.1");
}

#[test]
fn types_and_charsets_are_true() {
    let stage = Stage::new()
        .file("files/utf8.html", "gr\u{fc}n")
        .file("files/index.html", "")
        .file("files/a.rpm", "x")
        .file("files/a.ts", "x");
    let dir = stage.dir.join("files");
    fs::write(dir.join("latin1.html"), b"gr\xfcn").unwrap();
    fs::write(dir.join("long.txt"), [b"gr\xfcn".as_slice(), &[b'x'; 100_000]].concat()).unwrap();
    fs::write(dir.join("utf16.txt"), b"\xff\xfeg\0").unwrap();
    fs::write(dir.join("a.svgz"), b"\x1f\x8bpacked").unwrap();
    let served = Served::start(stage, FILE);
    for (name, kind, coding) in [
        ("utf8.html", "text/html; charset=utf-8", None),
        ("latin1.html", "text/html", None),
        ("long.txt", "text/plain", None),
        ("utf16.txt", "text/plain", None),
        ("a.rpm", "application/x-redhat-package-manager", None),
        ("a.ts", "video/mp2t", None),
        ("a.svgz", "image/svg+xml", Some("gzip")),
    ] {
        let answer = get(served.http, &format!("/{name}"));
        assert_eq!((answer.header("content-type"), answer.header("content-encoding")), (Some(kind), coding), "{name}");
    }
}

#[test]
fn what_every_site_may_have_is_served_and_other_dot_names_are_not() {
    let stage = Stage::new()
        .file("files/.well-known/security.txt", "Contact: x")
        .file("files/.well-known/acme-challenge/token", "proof")
        .file("files/.well-known/.secret", "never")
        .file("files/.git/config", "never")
        .file("files/sub/.well-known/a", "never")
        .file("files/index.html", "page");
    let served = Served::start(stage, FILE);
    for prefix in ["", "/pages"] {
        for (path, text) in [
            ("/.well-known/security.txt", Some("Contact: x")),
            ("/%2ewell-known/acme-challenge/token", Some("proof")),
            ("/.well-known/none", None),
            ("/.well-known/.secret", None),
        ] {
            let answer = get(served.http, &format!("{prefix}{path}"));
            assert_eq!((answer.status == 200).then(|| answer.text()).as_deref(), text, "{prefix}{path}");
        }
    }
    for path in ["/.git/config", "/sub/.well-known/a", "/.well-known/../.git/config"] {
        assert_eq!(get(served.http, path).status, 404, "{path}");
    }
}

/// Every link of a list leads to the file that it names.
#[test]
fn links_of_a_list_lead_to_files() {
    let stage = Stage::new()
        .file("files/list/a\\b.txt", "a backslash")
        .file("files/index.html", "")
        .file("files/list/..\\up", "not up");
    let stage = stage.file("files/list/50% & <b>?#.txt", "all kinds").file("files/list/x\\y/z", "inside");
    fs::write(
        stage.dir.join("files/list").join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"gr\xfcn")),
        "latin",
    )
    .unwrap();
    let file = File::options().write(true).open(stage.dir.join("files/list/a\\b.txt")).unwrap();
    let _ = file.set_modified(UNIX_EPOCH + Duration::from_secs(300_000_000_000));
    let served = Served::start(stage, FILE);
    let page = get(served.http, "/list/").text();
    let links: Vec<&str> = page.split("href=\"./").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links.len(), 4, "{page}");
    let texts: Vec<String> = links.iter().map(|link| get(served.http, &format!("/list/{link}")).text()).collect();
    for text in ["a backslash", "all kinds", "latin"] {
        assert!(texts.iter().any(|one| one == text), "{text}: {links:?} {texts:?}");
    }
    assert_eq!(get(served.http, "/list/x%5Cy/z").text(), "inside");
    assert_eq!(get(served.http, "/list/a\\b.txt").status, 400);
}

#[test]
fn what_may_not_be_read_is_said() {
    let is_root = rustix::process::geteuid().is_root();
    let stage =
        Stage::new().file("files/secret.txt", "x").file("files/closed/a.txt", "x").file("files/index.html", "page");
    let mode = |name: &str, mode| fs::set_permissions(stage.dir.join(name), Permissions::from_mode(mode)).unwrap();
    mode("files/secret.txt", 0o600);
    mode("files/closed", 0o700);
    let file = match is_root {
        true => FILE.replace("threads = 1", "threads = 1\nuser = \"nobody\""),
        false => {
            mode("files/secret.txt", 0);
            mode("files/closed", 0);
            FILE.to_owned()
        }
    };
    let mut served = Served::start(stage, &file);
    for path in ["/secret.txt", "/closed/a.txt", "/closed/", "/pages/secret.txt"] {
        assert_eq!(get(served.http, path).status, 403, "{path}");
    }
    let (secret, closed) = (served.path("files/secret.txt"), served.path("files/closed"));
    let user = if is_root { "nobody" } else { "'" };
    served.hallway.wait_for_line(|line| {
        line.contains(&format!("GET /secret.txt: {}: permission denied", secret.display())) && line.contains(user)
    });
    served.hallway.wait_for_line(|line| line.contains(&format!("who may not enter {}", closed.display())));
    assert_eq!(get(served.http, "/none.txt").status, 404);
    for _ in 0..50 {
        get(served.http, "/secret.txt");
    }
    assert!(served.hallway.said().matches("GET /secret.txt:").count() < 5, "a line for each would fill disks");
    fs::set_permissions(closed, Permissions::from_mode(0o700)).unwrap();
}
