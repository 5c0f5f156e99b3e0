//! In:     the example, its rooms, its page.
//! Out:    the rooms as JSON, and the page in a real browser with its style.
//! Actors: one hallway, one headless Chromium.
//! Never:  is the page called shown because its HTML came.

use super::client::get;
use super::stage::{Running, Stage, python};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn example() -> Running {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rentomatic");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
    command.args(["run", "--bind", "127.0.0.1:0", "-w", "2", "--python"]).arg(python()).arg("--chdir").arg(&root);
    let files = root.join("rentomatic/web/static");
    command.arg("--static").arg(format!("/static={}", files.display())).arg("wsgi:app");
    command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PORT");
    Running::start(command, None)
}

#[test]
fn the_rooms_are_there() {
    let hallway = example();
    let answer = get(hallway.address, "/rooms?status=available");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let text = answer.text();
    assert!(text.matches("\"status\":\"available\"").count() > 5, "{text}");
    assert!(!text.contains("\"status\":\"rented\""), "{text}");
    let wrong = get(hallway.address, "/rooms?status=lost");
    assert!(wrong.status == 400 && wrong.text().contains("\"parameter\":\"status\""), "{}", wrong.text());
    assert_eq!(get(hallway.address, "/health").text().trim(), r#"{"status":"ok"}"#);
}

#[test]
fn the_page_shows_in_a_browser_with_its_style() {
    let hallway = example();
    let css = get(hallway.address, "/static/style.css");
    assert!(css.header("etag").is_some(), "the style comes from hallway, not from the app: {}", css.head);
    let stage = Stage::new();
    let picture = stage.dir.join("page.png");
    let profile = stage.dir.join("profile");
    let dom = Command::new(browser())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"])
        .args(["--window-size=1280,900", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("http://{}/", hallway.address))
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&dom.stdout);
    assert!(dom.contains("data-rooms=\"live\""), "the script has fetched the rooms: {dom}");
    assert_eq!(pixel(&picture, 5, 30), [0x0b, 0x5d, 0x5b], "the header has the colour of the style sheet");
}

/// Debian's Chromium, which `make test` installs.
fn browser() -> PathBuf {
    let path = Path::new("/usr/bin/chromium");
    assert!(path.exists(), "the page is looked at in {}: run `make test`, which installs it", path.display());
    path.to_owned()
}

fn pixel(picture: &Path, x: usize, y: usize) -> [u8; 3] {
    let mut reader = png::Decoder::new(std::io::BufReader::new(File::open(picture).unwrap())).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let at = y * info.line_size + x * info.color_type.samples();
    [bytes[at], bytes[at + 1], bytes[at + 2]]
}
