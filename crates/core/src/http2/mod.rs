//! In:     pseudo header fields and fields of a request as an HTTP/2 engine read them.
//! Out:    the neutral head, or the fault that names what is wrong with it.
//! Actors: none.
//! Never:  does a request pass that the same rules refuse on HTTP/1.1.

mod heads;

pub use heads::Heads;

use crate::authority::is_authority;
use crate::fault::{Fault, HeadLimit};
use crate::fields::{Name, is_token, is_value};
use crate::head::{Framing, Head, Version};
use crate::http1::{METHOD_BYTES_MAX, decimal};
use crate::plan::Limits;
use crate::route;

/// The pseudo header fields of a request (RFC 9113, 8.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Pseudo<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`.
    pub path: &'a [u8],
    /// `:authority`, where there is one.
    pub authority: Option<&'a [u8]>,
}

/// What separates the parts of a cookie that came in several lines (RFC 9113, 8.2.3).
const COOKIES: &[u8] = b"; ";

/// Makes the head of a request; `has_body` says whether anything follows it.
///
/// # Errors
/// 400, 414, 417, 431 or 501, as on HTTP/1.1.
pub fn make_head<'a>(
    head: &mut Head,
    pseudo: Pseudo<'a>,
    lines: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    (has_body, limits): (bool, impl Into<Limits>),
) -> Result<(), Fault> {
    let limits = limits.into();
    let target_bytes_max = limits.target_bytes_max;
    head.clear();
    (head.version, head.keep_alive) = (Version::Http2, true);
    if pseudo.method.len() > METHOD_BYTES_MAX || !is_token(pseudo.method) {
        return Err(Fault::NotImplemented("This method is not known."));
    }
    head.set_method(pseudo.method);
    head.set_raw_target(pseudo.path.get(..target_bytes_max).unwrap_or(pseudo.path));
    if pseudo.path.len() > target_bytes_max {
        return Err(Fault::TargetTooLong);
    }
    if let Some(authority) = pseudo.authority {
        // Applications and servers of HTTP/1.1 know only Host, and expect it first (RFC 9112, 3.2).
        head.fields.push_known(Name::Host, b"Host", authority);
    }
    let host = put_lines(head, lines)?;
    let authority = match (pseudo.authority, host) {
        // What both say must be the same (RFC 9113, 8.3.1): each reader may take another.
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(&other) => {
            return Err(Fault::BadRequest("The Host is not the authority."));
        }
        (Some(authority), _) => authority.to_vec(),
        (None, Some(host)) => host,
        (None, None) => return Err(Fault::BadRequest("There is no authority.")),
    };
    if !is_authority(&authority) {
        return Err(Fault::BadRequest("The authority is not a host and port."));
    }
    head.set_host(&authority);
    check_limits(head, &limits)?;
    settle_body(head, has_body)?;
    if !pseudo.path.starts_with(b"/") && pseudo.path != b"*" {
        return Err(Fault::BadRequest("The path does not begin with a slash."));
    }
    route::settle_target(head, pseudo.path)
}

/// Takes the lines over; the value of `Host`, where there is one. Parts of a cookie become one line again.
fn put_lines<'a>(head: &mut Head, lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<Option<Vec<u8>>, Fault> {
    let mut host: Option<Vec<u8>> = None;
    let has_authority = head.fields.has(Name::Host);
    for (raw_name, value) in lines {
        // Blanks around a value are none of it (RFC 9113, 8.2.1): each reader might take them or not.
        let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        if !is_token(raw_name) || !is_value(value) || is_blank(value.first()) || is_blank(value.last()) {
            return Err(Fault::BadRequest("A header has a byte that does not belong there."));
        }
        match Name::of(raw_name) {
            Name::Host if host.is_some() => return Err(Fault::BadRequest("There is more than one Host.")),
            Name::Host => {
                host = Some(value.to_vec());
                if !has_authority {
                    head.fields.push_known(Name::Host, raw_name, value);
                }
            }
            Name::Cookie => head.fields.join(Name::Cookie, raw_name, COOKIES, value),
            name => head.fields.push_known(name, raw_name, value),
        }
    }
    Ok(host)
}

/// Appends a target as `:path` may have it: bytes that no URI has are percent-encoded (RFC 3986, 2).
pub fn put_path(out: &mut Vec<u8>, target: &[u8]) {
    for byte in target {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | ..=b' ' | 0x7f.. => {
                route::put_escaped(out, *byte);
            }
            _ => out.push(*byte),
        }
    }
}

/// Whether the head would be within the limits if it had come by HTTP/1.1: what the engine counts is more.
fn check_limits(head: &Head, limits: &Limits) -> Result<(), Fault> {
    let (mut bytes, mut longest) = (head.method().len() + head.raw_target().len() + REQUEST_LINE_BYTES, 0);
    for field in head.fields.iter() {
        let line = field.raw_name.len() + field.value.len() + LINE_BYTES;
        (bytes, longest) = (bytes + line, longest.max(line));
    }
    let beyond = if head.fields.len() > limits.lines_max {
        HeadLimit::Lines(limits.lines_max)
    } else if longest > limits.line_bytes_max {
        HeadLimit::Line(limits.line_bytes_max)
    } else if bytes > limits.head_bytes_max {
        HeadLimit::Bytes(limits.head_bytes_max)
    } else {
        return Ok(());
    };
    Err(Fault::HeadTooLarge(beyond))
}

/// What stands around name and value of a line; around method and target, with the empty line at the end.
const LINE_BYTES: usize = ": \r\n".len();
const REQUEST_LINE_BYTES: usize = "  HTTP/1.1\r\n\r\n".len();

/// How the body ends: with its stream; a declared length is a promise that the engine holds it to.
fn settle_body(head: &mut Head, has_body: bool) -> Result<(), Fault> {
    let (mut length, mut typed, mut expects) = (None, false, false);
    for field in head.fields.iter() {
        match field.name {
            Name::ContentLength if length.is_some() => {
                return Err(Fault::BadRequest("There is more than one Content-Length."));
            }
            Name::ContentLength => length = Some(decimal(field.value)?),
            Name::ContentType if std::mem::replace(&mut typed, true) => {
                return Err(Fault::BadRequest("There is more than one Content-Type."));
            }
            Name::Expect if !field.value.eq_ignore_ascii_case(b"100-continue") => {
                return Err(Fault::ExpectationFailed);
            }
            Name::Expect => expects = true,
            _ => {}
        }
    }
    head.framing = match (has_body, length) {
        (false, _) => Framing::None,
        (true, Some(bytes)) => Framing::Length(bytes),
        (true, None) => Framing::Chunked,
    };
    head.expects_continue = expects && has_body;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(path: &str, authority: Option<&str>, lines: &[(&str, &str)]) -> Result<Head, u16> {
        let mut head = Head::default();
        let pseudo = Pseudo { method: b"GET", path: path.as_bytes(), authority: authority.map(str::as_bytes) };
        let lines = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        make_head(&mut head, pseudo, lines, (false, 100)).map_err(Fault::status)?;
        Ok(head)
    }

    #[test]
    fn it_is_the_head_that_http1_would_have_made() {
        let head = made("/a/../b?x=1", Some("Shop.example:8443"), &[("cookie", "a=1"), ("cookie", "b=2")]).unwrap();
        assert_eq!((head.path(), head.query(), head.host()), (&b"/b"[..], &b"x=1"[..], &b"Shop.example:8443"[..]));
        assert_eq!(head.fields.get(Name::Host), Some(&b"Shop.example:8443"[..]));
        assert_eq!((head.framing, head.keep_alive), (Framing::None, true));
        assert_eq!(head.fields.get(Name::Cookie), Some(&b"a=1; b=2"[..]));
        let crumbs = vec![("cookie", "n=1234"); 300];
        let head =
            made("/", Some("h"), &[&[("x", "1")], &crumbs[..], &[("y", "2"), ("cookie", "last=1")]].concat()).unwrap();
        assert_eq!(head.fields.len(), 4, "lines are counted once they are whole");
        assert!(head.fields.get(Name::Cookie).unwrap().ends_with(b"n=1234; n=1234; last=1"));
        let first = head.fields.iter().next().unwrap();
        assert_eq!((first.raw_name, first.value), (&b"Host"[..], &b"h"[..]));
        assert_eq!(made("/", Some("h"), &[("host", "h")]).unwrap().fields.len(), 1);
        assert_eq!(made("/", None, &[("host", "h")]).unwrap().host(), b"h");
        assert_eq!(made("/", Some("h"), &[("host", "H")]).unwrap().host(), b"h");
    }

    #[test]
    fn an_authority_is_a_host_as_on_http1() {
        for authority in ["", ":80", "a%zz", "a:65536", "[::1", "user@a"] {
            assert_eq!(made("/", Some(authority), &[]).err(), Some(400), "{authority:?}");
            assert_eq!(made("/", None, &[("host", authority)]).err(), Some(400), "{authority:?}");
        }
        assert!(made("/", Some("a%41:"), &[]).is_ok());
    }

    #[test]
    fn limits_are_those_of_http1() {
        let limits = Limits { head_bytes_max: 400, line_bytes_max: 100, lines_max: 10, ..Limits::default() };
        let long = "v".repeat(100);
        for (name, value, count, beyond) in [
            ("x", &long[..95], 1, None),
            ("x", &long[..96], 1, Some(HeadLimit::Line(100))),
            ("x", "", 9, None),
            ("x", "", 10, Some(HeadLimit::Lines(10))),
            ("x", &long[..90], 4, Some(HeadLimit::Bytes(400))),
            ("x", &long[..84], 4, None),
        ] {
            let line = (name.as_bytes(), value.as_bytes());
            let (mut by_http2, mut by_http1) = (Head::default(), Head::default());
            let pseudo = Pseudo { method: b"GET", path: b"/", authority: Some(b"a") };
            let made = make_head(&mut by_http2, pseudo, vec![line; count].into_iter(), (false, limits));
            assert_eq!(made.err(), beyond.map(Fault::HeadTooLarge), "{count} of {}", value.len());
            let raw = format!("GET / HTTP/1.1\r\n{}Host: a\r\n\r\n", format!("{name}: {value}\r\n").repeat(count));
            let parsed = crate::http1::parse_head(raw.as_bytes(), limits, &mut by_http1);
            // How long a whole is, is looked at before it is parsed.
            let is_whole = raw.len() <= limits.head_bytes_max;
            assert_eq!(parsed.err().is_none() && is_whole, beyond.is_none(), "{count} of {}", value.len());
        }
    }

    #[test]
    fn targets_are_those_of_http1() {
        let head = made("/a<b>`?f={\"a\":1}", Some("h"), &[]).unwrap();
        assert_eq!((head.path(), head.query()), (&b"/a<b>`"[..], &b"f={\"a\":1}"[..]));
        let head = made("/caf\u{e9}?q=\u{fc}", Some("h"), &[]).unwrap();
        assert_eq!((head.path(), head.query()), (&b"/caf%C3%A9"[..], &b"q=%C3%BC"[..]));
        assert_eq!(head.raw_target(), "/caf\u{e9}?q=\u{fc}".as_bytes());
        for path in ["/a b", "/a\r\nb", "/a\0", "/a\x7f", "/a#b", ""] {
            assert_eq!(made(path, Some("h"), &[]).err(), Some(400), "{path:?}");
        }
        let mut out = Vec::new();
        put_path(&mut out, b"/a<b>?f={\"a\":1}&g=[x]%22");
        assert_eq!(out, b"/a%3Cb%3E?f=%7B%22a%22:1%7D&g=[x]%22");
    }

    #[test]
    fn what_means_two_things_is_refused() {
        assert_eq!(made("/", Some("a"), &[("host", "b")]).err(), Some(400));
        assert_eq!(made("/", None, &[]).err(), Some(400));
        assert_eq!(made("/", Some("a@b"), &[]).err(), Some(400));
        assert_eq!(made("/..", Some("a"), &[]).err(), Some(400));
        assert_eq!(made("http://b/", Some("a"), &[]).err(), Some(400));
        assert_eq!(made(&format!("/{}", "x".repeat(100)), Some("a"), &[]).err(), Some(414));
        assert_eq!(made("/", Some("a"), &[("content-length", "1"), ("content-length", "1")]).err(), Some(400));
        assert_eq!(made("/", Some("a"), &[("expect", "more")]).err(), Some(417));
        for value in ["a\0", " a", "a\t"] {
            assert_eq!(made("/", Some("a"), &[("x", value)]).err(), Some(400), "{value:?}");
        }
        assert_eq!(made("/", Some("a"), &vec![("x", "1"); 100]).err(), Some(431), "and the host");
        assert!(made("/", Some("a"), &vec![("x", "1"); 99]).is_ok());
    }
}
