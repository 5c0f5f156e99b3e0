//! In:     a name server that fails in part, for a moment or for good.
//! Out:    servers that are followed as far as anybody says where they are.
//! Actors: one hallway, servers in Python, a name server in Python.
//! Never:  is a server lost because a name server stumbles.

use super::client::get;
use super::served::Served;
use super::stage::{Stage, python, wait_until};
use super::upstream::Upstream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A name server, and the file with what it says.
struct Names {
    server: Upstream,
    file: PathBuf,
}

impl Names {
    fn start(stage: &Stage, says: &str) -> Names {
        let file = stage.dir.join("names.json");
        std::fs::write(&file, says).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/name_server.py");
        Names { server: Upstream::launch(Command::new(python()).arg("-B").arg(script).arg(&file)), file }
    }

    fn say(&self, says: &str) {
        // As a whole: it is read for each question.
        let new = self.file.with_extension("new");
        std::fs::write(&new, says).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }
}

fn served(stage: Stage, names: &Names, url: &str) -> Served {
    let file = format!(
        "[server]\nhttp = \"HTTP\"\nthreads = 1\nresolver = \"{}\"\n[pool.all]\nservers = [\"{url}\"]\n\
         [site.\"*\"]\nroutes = [{{ path = \"/*\", pool = \"all\" }}]\n",
        names.server.at
    );
    Served::start(stage, &file)
}

/// Two servers at one port.
fn two() -> (Upstream, Upstream, u16) {
    let one = Upstream::start_with(&["one", "127.0.0.1:0"]);
    let port = one.address().port();
    let two = Upstream::start_with(&["two", &format!("127.0.0.2:{port}")]);
    (one, two, port)
}

#[test]
fn one_kind_of_record_that_fails_does_not_end_the_other() {
    let stage = Stage::new();
    let (_one, _two, port) = two();
    let names = Names::start(&stage, r#"{"app.internal": {"A": ["127.0.0.1"], "AAAA": "REFUSED"}}"#);
    let served = served(stage, &names, &format!("http://app.internal:{port}"));
    wait_until(|| (get(served.http, "/who").text() == "one").then_some(()));
    wait_until(|| served.hallway.said().contains("AAAA: the name server answers REFUSED").then_some(()));
    for (says, who) in [
        (r#"{"app.internal": {"A": ["127.0.0.2"], "AAAA": "REFUSED"}}"#, "two"),
        (r#"{"app.internal": {"A": ["127.0.0.1"], "AAAA": "SERVFAIL"}}"#, "one"),
    ] {
        names.say(says);
        wait_until(|| (get(served.http, "/who").text() == who).then_some(()));
    }
    // One whose addresses were known, and are not told any more, stays beside those that are.
    names.say(r#"{"app.internal": {"A": "SERVFAIL", "AAAA": ["::1"]}}"#);
    wait_until(|| served.hallway.said().contains(&format!("is at 127.0.0.1:{port}, [::1]:{port}")).then_some(()));
    wait_until(|| served.hallway.said().contains(" A: the name server answers SERVFAIL").then_some(()));
    assert_eq!(get(served.http, "/who").text(), "one");
}

#[test]
fn a_name_that_is_gone_for_a_moment_takes_no_server_out() {
    let stage = Stage::new();
    let (_one, _two, port) = two();
    let names = Names::start(&stage, r#"{"app.internal": {"A": ["127.0.0.1"]}}"#);
    let served = served(stage, &names, &format!("http://app.internal:{port}"));
    wait_until(|| (get(served.http, "/who").text() == "one").then_some(()));
    for says in ["{}", r#"{"app.internal": {"A": []}}"#] {
        let before = served.hallway.said().matches("has no address; its servers stay").count();
        names.say(says);
        let has_said = || served.hallway.said().matches("has no address; its servers stay").count() > before;
        wait_until(|| has_said().then_some(()));
        assert_eq!(get(served.http, "/who").text(), "one", "{says}");
        names.say(r#"{"app.internal": {"A": ["127.0.0.2"]}}"#);
        wait_until(|| (get(served.http, "/who").text() == "two").then_some(()));
        names.say(r#"{"app.internal": {"A": ["127.0.0.1"]}}"#);
        wait_until(|| (get(served.http, "/who").text() == "one").then_some(()));
    }
    // What stays gone is believed.
    names.say("{}");
    wait_until(|| (get(served.http, "/who").status == 503).then_some(()));
    wait_until(|| served.hallway.said().contains("no address: its servers are taken out").then_some(()));
}

#[test]
fn one_target_of_a_service_that_fails_does_not_end_the_others() {
    let stage = Stage::new();
    let (_one, _two, port) = two();
    let service = |a: &str, b: &str| {
        format!(
            r#"{{"_web._tcp.internal": {{"SRV": ["1 1 {port} a.internal", "1 1 {port} b.internal"]}},
                "a.internal": {{"A": {a}}}, "b.internal": {{"A": {b}, "AAAA": "SERVFAIL"}}}}"#
        )
    };
    let names = Names::start(&stage, &service(r#"["127.0.0.1"]"#, r#""SERVFAIL""#));
    let served = served(stage, &names, "http://_web._tcp.internal");
    wait_until(|| (get(served.http, "/who").text() == "one").then_some(()));
    wait_until(|| served.hallway.said().contains("b.internal. A: the name server answers SERVFAIL").then_some(()));
    names.say(&service(r#"["127.0.0.1"]"#, r#"["127.0.0.2"]"#));
    wait_until(|| (get(served.http, "/who").text() == "two").then_some(()));
    // Known ones go on where their own name fails.
    names.say(&service(r#"["127.0.0.1"]"#, r#""REFUSED""#));
    wait_until(|| served.hallway.said().contains("b.internal. A: the name server answers REFUSED").then_some(()));
    let seen: Vec<String> = (0..4).map(|_| get(served.http, "/who").text()).collect();
    assert!(seen.contains(&"one".to_owned()) && seen.contains(&"two".to_owned()), "{seen:?}");
}
