//! In:     where a route sends its clients, or what it says to all; what its pattern found in their path.
//! Out:    the answer that hallway makes by itself.
//! Actors: none.
//! Never:  does a client's path lead to another host, or end a line.

use crate::head::Head;
use crate::method::Methods;
use crate::plan::LocationPart;
use crate::route::{Found, host_of};
use crate::semantics::AnswerHead;

/// An address of which parts are taken from a request. Those of the path are still encoded, without a byte
/// that could end a line.
pub fn fill(head: &Head, to: &[LocationPart], found: &Found<'_>) -> Vec<u8> {
    let mut filled: Vec<u8> = Vec::new();
    for part in to {
        match part {
            LocationPart::Text(text) => filled.extend_from_slice(text.as_bytes()),
            LocationPart::Capture(number) => {
                filled.extend_from_slice(found.captures().get(*number).unwrap_or(&&b""[..]))
            }
            LocationPart::Rest => filled.extend_from_slice(found.rest),
            LocationPart::Host => filled.extend_from_slice(host_of(head.host())),
            LocationPart::Path => filled.extend_from_slice(head.path()),
        }
    }
    filled
}

/// The redirect of a request. The query is kept, unless the address has its own.
pub fn redirect(head: &Head, status: u16, to: &[LocationPart], found: &Found<'_>) -> AnswerHead {
    let mut location = fill(head, to, found);
    // `//host/…` would be another host (RFC 3986, 4.2).
    let slashes = location.iter().take_while(|byte| **byte == b'/').count();
    location.drain(..slashes.saturating_sub(1));
    if !location.contains(&b'?') {
        put_query(&mut location, head);
    }
    let mut answer = AnswerHead::new(status);
    answer.fields.push(b"Location", &location);
    answer.length = Some(0);
    answer
}

/// Appends the query of a request, where it has one.
pub fn put_query(location: &mut Vec<u8>, head: &Head) {
    if !head.query().is_empty() {
        location.push(b'?');
        location.extend_from_slice(head.query());
    }
}

/// Sends a client to the same address, encrypted; on this port, where it is not the usual one.
pub fn to_https(head: &Head, port: Option<u16>) -> AnswerHead {
    // Other methods have bodies, which only 308 has sent again (RFC 9110, 15.4.9).
    let status = if matches!(head.method(), b"GET" | b"HEAD") { 301 } else { 308 };
    let mut location = [b"https://", host_of(head.host())].concat();
    if let Some(port) = port {
        location.extend_from_slice(format!(":{port}").as_bytes());
    }
    location.extend_from_slice(head.path());
    put_query(&mut location, head);
    // Nobody asked for it to hold for ever, which a browser would take it for: that is what HSTS says.
    let mut answer = AnswerHead::new(status).with("Cache-Control", "no-cache");
    answer.fields.push(b"Location", &location);
    answer.length = Some(0);
    answer
}

/// The answer that a route has for all.
pub fn respond(status: u16, media_type: &str) -> AnswerHead {
    if media_type.is_empty() {
        AnswerHead::new(status)
    } else {
        AnswerHead::new(status).with("Content-Type", media_type)
    }
}

/// The answer to `OPTIONS *`, which asks of the server as a whole (RFC 9110, 9.3.7).
pub fn options() -> AnswerHead {
    AnswerHead::new(204).with("Allow", &Methods::ALL.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;
    use crate::route::{Pattern, Tree};

    fn location(pattern: &str, path: &str, to: &[LocationPart]) -> String {
        let mut head = Head::default();
        parse_head(format!("GET {path} HTTP/1.1\r\nHost: Shop.example:8080\r\n\r\n").as_bytes(), 999, &mut head)
            .unwrap();
        let tree = Tree::new([&Pattern::parse(pattern).unwrap()]);
        let (_, found) = tree.find(head.path(), |_| true).unwrap();
        let answer = redirect(&head, 301, to, &found);
        let field = answer.fields.iter().next().unwrap();
        String::from_utf8(field.value.to_vec()).unwrap()
    }

    #[test]
    fn parts_of_the_path_go_along() {
        use LocationPart::{Capture, Host, Path, Rest, Text};
        let text = |text: &str| Text(text.into());
        assert_eq!(location("/old", "/old?x=1", &[text("/new")]), "/new?x=1");
        assert_eq!(location("/old", "/old?x=1", &[text("/new?y=2")]), "/new?y=2");
        assert_eq!(
            location("/u/{id}/*", "/u/a%20b/c/d?q", &[text("/v/"), Capture(0), text("-"), Rest]),
            "/v/a%20b-c/d?q"
        );
        assert_eq!(location("/*", "/a/b", &[text("https://"), Host, Path]), "https://Shop.example/a/b");
        assert_eq!(location("/*", "/%2F%2Fevil.example/", &[text("/"), Rest]), "/%2F%2Fevil.example/");
        assert_eq!(location("/x/*", "/x/evil.example", &[text("/"), text("/"), Rest]), "/evil.example");
    }
}
