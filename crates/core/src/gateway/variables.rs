//! In:     a request, what the edge knows of its client, where scripts are.
//! Out:    the variables of the common gateway interface (RFC 3875, 4.1).
//! Actors: none.
//! Never:  can two header lines become one variable that says something else than both.

use super::script::Named;
use crate::decimal::digits;
use crate::fields::Name;
use crate::head::{Framing, Head};
use crate::http1::Onward;
use crate::plan::Script;
use crate::route::{has_dot_segments, host_of, origin_form, percent_decode};

/// For whom the variables are.
#[derive(Clone, Copy, Debug)]
pub struct Gateway<'a> {
    /// The request as it goes on.
    pub onward: &'a Onward<'a>,
    /// Where scripts are, and which one runs, for a server that runs them by their names.
    pub script: Option<(&'a Script, &'a Named)>,
}

/// Gives every variable to `put`.
pub fn put_variables(head: &Head, gateway: Gateway<'_>, mut put: impl FnMut(&[u8], &[u8])) {
    let Gateway { onward, script } = gateway;
    let (facts, path) = (onward.facts, percent_decode(onward.path(head)));
    let prefix = percent_decode(&head.path()[..onward.prefix_bytes]);
    put(b"GATEWAY_INTERFACE", b"CGI/1.1");
    put(b"SERVER_SOFTWARE", b"hallway");
    put(b"SERVER_PROTOCOL", head.version.as_str().as_bytes());
    put(b"REQUEST_METHOD", head.method());
    put(b"QUERY_STRING", head.query());
    put_target(head, onward, script.is_some(), &mut put);
    put(b"REQUEST_SCHEME", if facts.addresses.https { b"https" } else { b"http" });
    if facts.addresses.https {
        put(b"HTTPS", b"on");
    }
    let host = onward.host.map_or(facts.host, str::as_bytes);
    put(b"SERVER_NAME", host_of(host));
    put(b"SERVER_ADDR", facts.addresses.local_name.as_bytes());
    put(b"SERVER_PORT", digits(u64::from(facts.addresses.local_port), &mut [0; 20]));
    put(b"REMOTE_ADDR", facts.addresses.peer_ip.as_bytes());
    put(b"REMOTE_PORT", digits(u64::from(facts.addresses.peer_port), &mut [0; 20]));
    match onward.framing {
        Framing::Length(bytes) => put(b"CONTENT_LENGTH", digits(bytes, &mut [0; 20])),
        Framing::None | Framing::Chunked => put(b"CONTENT_LENGTH", b""),
    }
    let content_type = match onward.replaces(b"content-type") {
        true => onward.facts.lines.and_then(|lines| lines.set(b"content-type")).or(onward.lines.set(b"content-type")),
        false => head.fields.get(Name::ContentType),
    };
    put(b"CONTENT_TYPE", content_type.unwrap_or_default());
    facts.put_variables(&mut put);
    match script {
        None => {
            put(b"SCRIPT_NAME", &prefix);
            put(b"PATH_INFO", &path);
        }
        Some((script, named)) => put_script(script, named, &mut put),
    }
    put_fields(head, onward, put);
}

/// The target as it came. Programs behind one script find their way by it: one with dot segments is told as it was
/// matched, or `/public/../admin` would be one thing here and another one there.
fn put_target(head: &Head, onward: &Onward<'_>, runs_scripts: bool, put: &mut impl FnMut(&[u8], &[u8])) {
    let raw = origin_form(head.raw_target());
    if !raw.starts_with(b"/") || (runs_scripts && has_dot_segments(&raw)) {
        let mut target = onward.path(head).to_vec();
        target.splice(..0, head.path()[..onward.prefix_bytes].iter().copied());
        if !head.query().is_empty() {
            target.push(b'?');
            target.extend_from_slice(head.query());
        }
        put(b"REQUEST_URI", &target);
    } else {
        put(b"REQUEST_URI", &raw);
    }
    put(b"RAW_URI", head.raw_target());
}

/// The script that runs, and what stands behind it.
fn put_script(script: &Script, named: &Named, put: &mut impl FnMut(&[u8], &[u8])) {
    let root = script.root.trim_end_matches('/').as_bytes();
    put(b"DOCUMENT_ROOT", root);
    put(b"DOCUMENT_URI", &named.name);
    put(b"SCRIPT_NAME", &named.name);
    put(b"SCRIPT_FILENAME", &[root, &named.name].concat());
    put(b"PATH_INFO", &named.info);
    // A file may be opened by it.
    if let Some(info) = named.plain_info() {
        put(b"PATH_TRANSLATED", &[root, info].concat());
    }
    // What PHP wants to be sure that a web server asks (cgi.force_redirect).
    put(b"REDIRECT_STATUS", b"200");
}

/// Header lines as `HTTP_NAME`; several of one name as one, as their grammar joins them (RFC 9110, 5.3).
fn put_fields(head: &Head, onward: &Onward<'_>, mut put: impl FnMut(&[u8], &[u8])) {
    let mut variables: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    onward.put_lines(head, |name, value| {
        if name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"content-length") {
            return;
        }
        let mut variable = b"HTTP_".to_vec();
        variable.extend(name.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }));
        match variables.iter_mut().find(|(known, _)| *known == variable) {
            Some((known, before)) => {
                before.extend_from_slice(if known == b"HTTP_COOKIE" { b"; " } else { b", " });
                before.extend_from_slice(value);
            }
            None => variables.push((variable, value.to_vec())),
        }
    });
    variables.iter().for_each(|(name, value)| put(name, value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Seen, name_script};
    use crate::http1::parse_head;
    use crate::plan::RequestLines;
    use crate::semantics::Addresses;
    use crate::semantics::ForwardedFacts;

    fn variables(raw: &str, script: Option<&Script>, prefix_bytes: usize) -> Vec<(String, String)> {
        let mut head = Head::default();
        parse_head(raw.as_bytes(), 999, &mut head).unwrap();
        let addresses =
            Addresses { peer_ip: "10.1.2.3", peer_port: 9, local_name: "10.0.0.1", local_port: 443, https: true };
        let facts = ForwardedFacts {
            addresses,
            host: b"shop:443",
            request_id: "id",
            user: Some("alice"),
            user_by_password: true,
            ..ForwardedFacts::default()
        };
        let onward = Onward {
            facts: &facts,
            prefix_bytes,
            host: None,
            lines: &RequestLines::default(),
            framing: head.framing,
            upgrades: false,
            expects_continue: false,
            is_raw: false,
        };
        let mut seen = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let named = script.map(|script| name_script(script, onward.path(&head), |_| Seen::Nothing).unwrap());
        let gateway = Gateway { onward: &onward, script: script.zip(named.as_ref()) };
        put_variables(&head, gateway, |name, value| seen.push((text(name), text(value))));
        seen
    }

    fn of<'v>(variables: &'v [(String, String)], name: &str) -> Option<&'v str> {
        let mut found = variables.iter().filter(|(known, _)| known == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} is there twice");
        first.map(|(_, value)| value.as_str())
    }

    #[test]
    fn scripts_are_found_in_paths() {
        let script = Script { root: "/srv/app/".into(), index: "index.php".into(), only: None };
        let front = Script { only: Some("index.php".into()), ..script.clone() };
        for (script, path, name, info) in [
            (&script, "/", "/index.php", ""),
            (&script, "/a/", "/a/index.php", ""),
            (&script, "/a/b.php", "/a/b.php", ""),
            (&script, "/a/b.php/c/d", "/a/b.php", "/c/d"),
            (&script, "/a/b.PHP/x%20y", "/a/b.PHP", "/x y"),
            (&script, "/.php", "/.php", ""),
            (&front, "/rooms/7", "/index.php", ""),
            (&front, "/tool.php/x", "/tool.php", "/x"),
        ] {
            let seen = variables(&format!("GET {path}?q=1 HTTP/1.1\r\nHost: shop\r\n\r\n"), Some(script), 0);
            assert_eq!(of(&seen, "SCRIPT_NAME"), Some(name), "{path}");
            assert_eq!(of(&seen, "SCRIPT_FILENAME"), Some(&*format!("/srv/app{name}")), "{path}");
            assert_eq!(of(&seen, "PATH_INFO"), Some(info), "{path}");
            assert_eq!(of(&seen, "REQUEST_URI"), Some(&*format!("{path}?q=1")), "{path}");
        }
    }

    #[test]
    fn what_stands_behind_a_script_is_told_and_opens_no_file() {
        let script = Script { root: "/srv".into(), index: "index.php".into(), only: None };
        for (info, decoded, translated) in [
            ("/x%20y", "/x y", Some("/srv/x y")),
            ("/a%2Fb", "/a/b", Some("/srv/a/b")),
            ("/..%2F..%2Fetc", "/../../etc", None),
            ("/a%5Cb", "/a\\b", None),
            ("/a%0Ab", "/a\nb", None),
            ("", "", None),
        ] {
            let raw = format!("GET /a.php{info} HTTP/1.1\r\nHost: shop\r\n\r\n");
            let seen = variables(&raw, Some(&script), 0);
            assert_eq!(of(&seen, "SCRIPT_FILENAME"), Some("/srv/a.php"), "{info}");
            assert_eq!((of(&seen, "PATH_INFO"), of(&seen, "PATH_TRANSLATED")), (Some(decoded), translated), "{info}");
        }
    }

    #[test]
    fn the_target_is_told_as_it_came() {
        let script = Script { root: "/srv".into(), index: "index.php".into(), only: Some("index.php".into()) };
        for (target, script, uri) in [
            ("/app/%7ea//b%2fc?x=%zz", None, "/app/%7ea//b%2fc?x=%zz"),
            ("/app/%7ea//b%c3?x", Some(&script), "/app/%7ea//b%c3?x"),
            ("http://shop/app/%7e?x", None, "/app/%7e?x"),
            ("/app/x/../y?z", None, "/app/x/../y?z"),
            ("/app/x/%2E%2e/%79?z", Some(&script), "/app/y?z"),
        ] {
            let seen = variables(&format!("GET {target} HTTP/1.1\r\nHost: shop\r\n\r\n"), script, 4);
            assert_eq!(of(&seen, "REQUEST_URI"), Some(uri), "{target}");
            assert_eq!(of(&seen, "RAW_URI"), Some(target));
        }
    }

    #[test]
    fn nothing_is_the_clients_that_is_the_gateways() {
        let raw = "POST /app/x HTTP/1.1\r\nHost: shop:443\r\nContent-Length: 3\r\nContent-Type: a/b\r\nProxy: evil\r\n\
                   X_Y: 1\r\nX-Y: 2\r\nX-Y: 3\r\nCookie: a=1\r\nCookie: b=2\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
        let seen = variables(raw, None, 4);
        for (name, value) in [
            ("SCRIPT_NAME", Some("/app")),
            ("PATH_INFO", Some("/x")),
            ("REQUEST_URI", Some("/app/x")),
            ("CONTENT_LENGTH", Some("3")),
            ("CONTENT_TYPE", Some("a/b")),
            ("HTTP_PROXY", None),
            ("HTTP_X_Y", Some("2, 3")),
            ("HTTP_COOKIE", Some("a=1; b=2")),
            ("HTTP_X_FORWARDED_FOR", Some("10.1.2.3")),
            ("HTTP_HOST", Some("shop:443")),
            ("HTTPS", Some("on")),
            ("SERVER_NAME", Some("shop")),
            ("REMOTE_ADDR", Some("10.1.2.3")),
            ("HTTP_CONTENT_LENGTH", None),
            ("REMOTE_USER", Some("alice")),
            ("AUTH_TYPE", Some("Basic")),
            ("HTTP_X_REAL_IP", Some("10.1.2.3")),
            ("HTTP_TRACEPARENT", Some("00-000000000000000000000000000000ff-ff00000000000000-01")),
        ] {
            assert_eq!(of(&seen, name), value, "{name}");
        }
    }
}
