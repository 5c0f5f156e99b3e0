//! In:     servers that answer with errors.
//! Out:    who is asked instead, who is left alone for a while, and what people see of it.
//! Actors: one hallway, servers in Python.
//! Never:  is an answer taken for a failure that nobody said is one, or a request sent twice that may not be.

use super::client::{get, post, request};
use super::served::Served;
use super::stage::{Stage, wait_until};
use super::upstream::Upstream;

fn served(servers: &[&Upstream], settings: &str, route: &str) -> Served {
    let urls: Vec<String> = servers.iter().map(|server| format!("\"http://{}\"", server.at)).collect();
    let file = format!(
        r#"
        [server]
        http = "HTTP"
        threads = 1
        [log]
        access = {{ format = "$request_uri $status $upstream_addr $upstream_status" }}
        [pool.all]
        servers = [{}]
        {settings}
        [site."*"]
        errors = {{ 503 = "sorry.html" }}
        routes = [{{ path = "/*", pool = "all"{route} }}]
        "#,
        urls.join(", ")
    );
    Served::start(Stage::new().file("sorry.html", "<h1>sorry</h1>"), &file)
}

fn asked(server: &Upstream) -> u32 {
    let counted = get(server.address(), "/count").text();
    counted.rsplit(' ').next().unwrap().trim_end_matches('}').parse().unwrap()
}

#[test]
fn another_server_is_asked_after_an_error_that_is_named() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    get(one.address(), "/sicken");
    let served = served(&[&one, &two], "retry = { on = [503], budget = \"100%\" }", "");
    for _ in 0..10 {
        assert_eq!(get(served.http, "/mood").text(), "two 200");
        assert_eq!(
            get(served.http, "/mood?is=500").status / 100 * 100 % 300,
            200,
            "one that is not named is an answer"
        );
    }
    // What may not be repeated is not: the server that failed may have done half of it.
    let before = asked(&one) + asked(&two);
    let statuses: Vec<u16> = (0..4).map(|_| post(served.http, "/mood", b"x").status).collect();
    assert_eq!(asked(&one) + asked(&two), before + 6, "{statuses:?}, and two that count");
    assert!(statuses.contains(&503) && statuses.contains(&200), "{statuses:?}");
    let both = format!("/mood 200 {}, {} 503, 200", one.at, two.at);
    wait_until(|| served.hallway.written().contains(&both).then_some(()));
    let told = format!("server {}: it answered 503; it goes to another one", one.at);
    wait_until(|| served.hallway.said().contains(&told).then_some(()));
    // The last word is a server's own, not hallway's; also where the other one cannot be asked.
    get(two.address(), "/sicken");
    let last = get(served.http, "/mood");
    assert_eq!((last.status, last.header("retry-after")), (503, Some("7")));
    assert!(last.text().ends_with(" 503"), "{}", last.text());
    two.kill();
    for _ in 0..4 {
        let last = get(served.http, "/mood");
        assert_eq!((last.status, last.text().as_str()), (503, "one 503"));
    }
}

#[test]
fn a_server_that_answers_errors_loses_its_place_where_that_is_said() {
    let (one, two) = (Upstream::start("one"), Upstream::start("two"));
    get(one.address(), "/sicken");
    let quiet = served(&[&one, &two], "", "");
    let statuses: Vec<u16> = (0..20).map(|_| get(quiet.http, "/mood?is=500").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 10, "nothing was said: {statuses:?}");
    let strict = served(&[&one, &two], "eject = { after = 2, for = \"60s\", on = [500] }", "");
    let statuses: Vec<u16> = (0..20).map(|_| get(strict.http, "/mood?is=500").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 2, "{statuses:?}");
    let out = format!("server {} is out for 60 s: it answered 500", one.at);
    wait_until(|| strict.hallway.said().contains(&out).then_some(()));
    // One that is well again comes back with the first good answer after that.
    let brief = served(&[&one, &two], "eject = { after = 1, for = \"100ms\", max = \"100ms\", on = [500] }", "");
    wait_until(|| brief.hallway.said().contains("is out for").then_some(()).or_else(|| drop_answer(&brief)));
    get(one.address(), "/heal");
    wait_until(|| (get(brief.http, "/mood?is=500").text() == "one 200").then_some(()));
    wait_until(|| brief.hallway.said().contains(&format!("server {} is back", one.at)).then_some(()));
}

fn drop_answer(served: &Served) -> Option<()> {
    get(served.http, "/mood?is=500");
    None
}

#[test]
fn pages_stand_for_errors_of_servers_where_that_is_said() {
    let one = Upstream::start("one");
    get(one.address(), "/sicken");
    let person = "Accept: text/html\r\n";
    let plain = served(&[&one], "", "");
    assert_eq!(request(plain.http, "GET", "/mood", person).text(), "one 503", "nothing was said");
    let served = served(&[&one], "", ", intercept_errors = true");
    let page = request(served.http, "GET", "/mood", person);
    assert_eq!((page.status, page.text().as_str()), (503, "<h1>sorry</h1>"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((page.header("retry-after"), page.header("set-cookie")), (Some("7"), Some("a=1")));
    assert_eq!(request(served.http, "HEAD", "/mood", person).header("content-length"), Some("14"));
    assert_eq!(request(served.http, "GET", "/mood", "Accept: application/json\r\n").text(), "one 503");
    assert_eq!(request(served.http, "GET", "/mood?is=500", person).text(), "one 500", "there is no page for it");
    get(one.address(), "/heal");
    assert_eq!(request(served.http, "GET", "/mood", person).text(), "one 200");
    let file = std::fs::read_to_string(served.path("hallway.toml")).unwrap();
    std::fs::write(served.path("hallway.toml"), file.replace("errors = { 503", "cors = false # { 503")).unwrap();
    let (_, said) = served.order(&["check"]);
    assert!(said.contains("this site has no pages to show instead"), "{said}");
}
