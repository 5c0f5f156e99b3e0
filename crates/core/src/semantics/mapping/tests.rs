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
    assert_eq!(told(&strip, "Link", "</x>"), "</x>");
}

#[test]
fn servers_name_themselves_as_they_can() {
    let (strip, rewrite, plain) = (mapping("", "/cut"), mapping("/new/bob", "/old/bob"), mapping("", ""));
    for (mapping, value, expected) in [
        // The client's word for its name and a port of its own; a scheme that it does not know better.
        (&strip, "http://shop.example:9000/login", "/cut/login"),
        (&strip, "//shop.example:9000/login", "/cut/login"),
        (&rewrite, "http://Shop.Example:9000/new/bob/x", "/old/bob/x"),
        (&plain, "http://shop.example:9000/x", "/x"),
        (&strip, "http://shop.example:9001/login", "http://shop.example:9001/login"),
        (&strip, "http://shop.example/login", "http://shop.example/cut/login"),
        (&strip, "http://shop.example:80/login", "http://shop.example:80/cut/login"),
        (&strip, "http://shop.example:443/login", "http://shop.example:443/cut/login"),
    ] {
        assert_eq!(told(mapping, "Location", value), expected, "{value} by {:?}", mapping.outer.escape_ascii());
    }
    // Behind a port of its own another one is another site's.
    let by_port = Mapping { asked: [b"shop.example:8443", b""], ..strip };
    for (value, expected) in [
        ("https://shop.example:8443/x", "https://shop.example:8443/cut/x"),
        ("https://shop.example/x", "https://shop.example/x"),
        ("http://shop.example/x", "http://shop.example/x"),
        ("http://shop.example:9000/x", "/cut/x"),
    ] {
        assert_eq!(told(&by_port, "Location", value), expected, "{value}");
    }
}

#[test]
fn refresh_is_read_as_browsers_do() {
    let strip = mapping("", "/cut");
    for (value, expected) in [
        ("5", "5"),
        ("5; url='/x'", "5; url=/cut/x"),
        ("5;URL = /x ", "5;URL = /cut/x"),
        ("5, url=/x", "5, url=/cut/x"),
        ("0; /x?url=/y", "0; /cut/x?url=/y"),
        ("0 /x", "0 /cut/x"),
        ("0; url=\"/x", "0; url=/cut/x"),
        ("0; url=\"/x\" y", "0; url=/cut/x"),
        ("0; url=", "0; url="),
        ("0; url=https://login.example/x", "0; url=https://login.example/x"),
        ("", ""),
    ] {
        assert_eq!(told(&strip, "Refresh", value), expected, "{value}");
    }
}

#[test]
fn a_destination_is_a_place_of_the_server() {
    let (strip, rewrite, plain) = (mapping("", "/cut"), mapping("/new/bob", "/old/bob"), mapping("", ""));
    let open = Mapping { client_https: false, ..plain };
    for (mapping, value, expected) in [
        (&plain, "https://shop.example/dav/b?x", "/dav/b?x"),
        (&plain, "https://Shop.Example:443/dav/b", "/dav/b"),
        (&plain, "/dav/b", "/dav/b"),
        (&plain, "https://other.example/dav/b", "https://other.example/dav/b"),
        (&open, "http://shop.example/dav/b", "http://shop.example/dav/b"),
        (&strip, "https://shop.example/cut/b", "/b"),
        (&strip, "https://shop.example/cut", "/"),
        (&strip, "/cut/b", "/b"),
        (&strip, "https://shop.example/cutter/b", "https://shop.example/cutter/b"),
        (&strip, "https://shop.example/elsewhere", "https://shop.example/elsewhere"),
        (&strip, "b", "b"),
        (&rewrite, "https://shop.example/old/bob/x", "/new/bob/x"),
        (&rewrite, "https://shop.example/old/eve/x", "https://shop.example/old/eve/x"),
        (&mapping("/app", ""), "https://shop.example/x", "/app/x"),
    ] {
        let mut head = Head::default();
        let raw = format!("MOVE /a HTTP/1.1\r\nHost: shop.example\r\nDestination: {value}\r\nDepth: 0\r\n\r\n");
        crate::http1::parse_head(raw.as_bytes(), 99, &mut head).unwrap();
        assert!(names_destination(&head));
        map_inward(&mut head, mapping);
        let (told, depth) = (head.fields.named(b"destination"), head.fields.named(b"depth"));
        assert_eq!((told, depth), (Some(expected.as_bytes()), Some(&b"0"[..])), "{value}");
    }
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

#[test]
fn what_is_left_of_a_path_names_no_other_host() {
    let (rewrite, plain, cut) = (mapping("/app", ""), mapping("", ""), mapping("/app", "/shop"));
    for (mapping, value, expected) in [
        (&rewrite, "/app//evil.example/x", "/.//evil.example/x"),
        (&rewrite, "/app/\\evil.example", "/./\\evil.example"),
        (&rewrite, "/app/\t/evil.example", "/./\t/evil.example"),
        (&rewrite, "http://10.0.0.1:9000/app//evil.example", "/.//evil.example"),
        (&plain, "http://10.0.0.1:9000//evil.example", "/.//evil.example"),
        (&plain, "//10.0.0.1:9000/\\evil.example", "/./\\evil.example"),
        (&cut, "/app//evil.example", "/shop//evil.example"),
        (&rewrite, "https://shop.example/app//evil.example", "https://shop.example//evil.example"),
        (&rewrite, "//shop.example/app/x", "//shop.example/x"),
        (&rewrite, "/app/x//y", "/x//y"),
    ] {
        assert_eq!(told(mapping, "Location", value), expected, "{value}");
        assert_eq!(told(mapping, "Content-Location", value), expected, "{value}");
        assert_eq!(told(mapping, "Refresh", &format!("0; url={value}")), format!("0; url={expected}"), "{value}");
    }
}
