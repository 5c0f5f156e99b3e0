//! In:     answers of servers, by the ways that lead to them.
//! Out:    what clients are told.
//! Actors: none.
//! Never:  does a case leave open who is asked by which name.

use super::*;

fn mapping<'a>(inner: &'a str, outer: &'a str) -> Mapping<'a> {
    Mapping {
        inner: inner.as_bytes(),
        outer: outer.as_bytes(),
        before: b"",
        own: &[(b"app.internal", 9000), (b"10.0.0.1", 9000)],
        told_host: None,
        is_https: false,
        asked: [b"shop.example", b""],
        client_https: true,
    }
}

fn told(mapping: &Mapping<'_>, name: &str, value: &str) -> String {
    let mut fields = Fields::default();
    fields.push(b"X-Before", b"1");
    fields.push(name.as_bytes(), value.as_bytes());
    map_outward(&mut fields, mapping);
    assert_eq!((fields.len(), fields.named(b"x-before")), (2, Some(&b"1"[..])));
    String::from_utf8(fields.named(name.as_bytes()).unwrap().to_vec()).unwrap()
}

#[test]
fn addresses_of_the_server_are_those_that_clients_know() {
    let (strip, rewrite, plain) = (mapping("", "/cut"), mapping("/new/bob", "/old/bob"), mapping("", ""));
    for (mapping, value, expected) in [
        (&strip, "/login?next=/x#y", "/cut/login?next=/x#y"),
        (&strip, "/", "/cut/"),
        (&strip, "http://app.internal:9000/login", "/cut/login"),
        (&strip, "HTTP://10.0.0.1:9000", "/cut/"),
        (&strip, "http://10.0.0.1:9000?q", "/cut/?q"),
        (&strip, "//app.internal:9000/a", "/cut/a"),
        (&strip, "https://shop.example/login", "https://shop.example/cut/login"),
        (&strip, "https://SHOP.example:443/login", "https://SHOP.example:443/cut/login"),
        (&strip, "/cut/login", "/cut/login"),
        (&strip, "/cut", "/cut"),
        (&strip, "/cutter", "/cut/cutter"),
        (&strip, "https://shop.example/cut/login", "https://shop.example/cut/login"),
        (&strip, "login", "login"),
        (&strip, "../x", "../x"),
        (&strip, "?q=//a", "?q=//a"),
        (&strip, "https://login.example/cut", "https://login.example/cut"),
        (&strip, "http://app.internal:9001/x", "http://app.internal:9001/x"),
        (&strip, "https://app.internal/x", "https://app.internal/x"),
        (&strip, "mailto:a@b", "mailto:a@b"),
        (&rewrite, "/new/bob/x", "/old/bob/x"),
        (&rewrite, "/new/bob", "/old/bob"),
        (&rewrite, "/new/bobby", "/new/bobby"),
        (&rewrite, "/elsewhere", "/elsewhere"),
        (&rewrite, "http://10.0.0.1:9000/new/bob/x", "/old/bob/x"),
        (&rewrite, "http://10.0.0.1:9000/elsewhere", "/elsewhere"),
        (&plain, "http://10.0.0.1:9000/x", "/x"),
        (&plain, "/x", "/x"),
        (&plain, "https://shop.example/x", "https://shop.example/x"),
        (&mapping("/app", ""), "/app/x", "/x"),
        (&mapping("/app", ""), "/app", "/"),
    ] {
        for name in ["Location", "Content-Location"] {
            assert_eq!(told(mapping, name, value), expected, "{value} by {:?}", mapping.outer.escape_ascii());
        }
    }
    assert_eq!(told(&strip, "Refresh", "5; URL=/x"), "5; URL=/cut/x");
    assert_eq!(told(&strip, "Refresh", "0;url=\"http://10.0.0.1:9000/x\""), "0;url=/cut/x");
    assert_eq!(told(&strip, "Refresh", "5"), "5");
    assert_eq!(told(&strip, "Link", "</x>"), "</x>");
}

#[test]
fn a_host_that_the_server_is_told_is_its_own() {
    let told_host = |host: &'static str| Mapping { told_host: Some(host.as_bytes()), ..mapping("", "/cut") };
    for (host, value, expected) in [
        ("inner.example", "http://inner.example/x", "/cut/x"),
        ("inner.example", "https://inner.example/x", "/cut/x"),
        ("inner.example", "http://other.example/x", "http://other.example/x"),
        ("inner.example:99", "http://inner.example:99/x", "/cut/x"),
        ("inner.example:99", "http://inner.example/x", "http://inner.example/x"),
    ] {
        assert_eq!(told(&told_host(host), "Location", value), expected, "{host}: {value}");
    }
    // The server wants its clients to come encrypted: who did not must not be sent in a circle.
    let unencrypted = Mapping { client_https: false, ..told_host("inner.example") };
    let value = "https://inner.example/x";
    assert_eq!(told(&unencrypted, "Location", value), value);
}

#[test]
fn a_server_that_is_told_all_of_the_prefix_has_it_there() {
    let behind = Mapping { before: b"/outer", ..mapping("", "/cut") };
    for (value, expected) in [
        ("/outer/cut/x", "/outer/cut/x"),
        ("/outer/cut", "/outer/cut"),
        ("https://shop.example/outer/cut/x", "https://shop.example/outer/cut/x"),
        ("/cut/x", "/cut/x"),
        ("/x", "/cut/x"),
        ("/outer/x", "/cut/outer/x"),
        ("/outer/cutting", "/cut/outer/cutting"),
    ] {
        assert_eq!(told(&behind, "Location", value), expected, "{value}");
    }
    assert_eq!(told(&behind, "Set-Cookie", "a=1; Path=/outer/cut"), "a=1; Path=/outer/cut");
    // Where nothing was taken off before it is a path like any other.
    assert_eq!(told(&mapping("", "/cut"), "Location", "/outer/cut/x"), "/cut/outer/cut/x");
}

#[test]
fn cookies_are_for_what_clients_ask() {
    let (strip, rewrite, plain) = (mapping("", "/cut"), mapping("/new/bob", "/old/bob"), mapping("", ""));
    for (mapping, value, expected) in [
        (&strip, "a=1; Path=/; HttpOnly", "a=1; Path=/cut; HttpOnly"),
        (&strip, "a=1;path=/deep/", "a=1; Path=/cut/deep"),
        (&strip, "a=1; Path=/cut", "a=1; Path=/cut"),
        (&strip, "a=1; Secure", "a=1; Secure"),
        (&strip, "a=Path=/x", "a=Path=/x"),
        (&strip, "__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
        (&strip, "__Secure-a=1; Path=/; Secure", "__Secure-a=1; Path=/cut; Secure"),
        (&strip, "a=1; Domain=app.internal; Path=/", "a=1; Domain=shop.example; Path=/cut"),
        (&strip, "a=1; domain=.internal", "a=1; Domain=shop.example"),
        (&strip, "a=1; Domain=shop.example", "a=1; Domain=shop.example"),
        (&strip, "a=1; Domain=.example", "a=1; Domain=.example"),
        (&strip, "a=1; Domain=other.test", "a=1; Domain=other.test"),
        (&rewrite, "a=1; Path=/new/bob", "a=1; Path=/old/bob"),
        (&rewrite, "a=1; Path=/new/bob/x", "a=1; Path=/old/bob/x"),
        (&rewrite, "a=1; Path=/new", "a=1; Path=/old/bob"),
        (&rewrite, "a=1; Path=/", "a=1; Path=/"),
        (&rewrite, "a=1; Path=/other", "a=1; Path=/other"),
        (&plain, "a=1; Path=/; Domain=10.0.0.1", "a=1; Path=/; Domain=shop.example"),
        (&mapping("/app", ""), "a=1; Path=/app", "a=1; Path=/"),
    ] {
        assert_eq!(told(mapping, "Set-Cookie", value), expected, "{value}");
    }
    let by_address = Mapping { asked: [b"127.0.0.1:8080", b""], ..strip };
    assert_eq!(told(&by_address, "Set-Cookie", "a=1; Domain=app.internal; Secure"), "a=1; Secure");
}
