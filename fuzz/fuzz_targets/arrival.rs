//! In:     any bytes as the beginning of a connection from a proxy, and as frames of HTTP/2.
//! Out:    the same, however they arrive.
//! Actors: libFuzzer.
//! Never:  does the way in which bytes come in pieces change what they say, or a header name more than was sent.

#![no_main]

use hallway_core::fields::{is_token, is_value};
use hallway_core::http2::{Heads, Pseudo, make_head};
use hallway_core::proxy_protocol::{Preface, read_preface};
use hallway_core::semantics::basic_credentials;
use hallway_core::{Fault, Head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = read_preface(bytes);
    if let Preface::Header(length, _) = whole {
        assert!(length <= bytes.len());
    }
    for end in 0..bytes.len() {
        match read_preface(&bytes[..end]) {
            Preface::Partial => {}
            Preface::Begun(length) => assert!(length > end),
            // What was decided is not decided anew.
            decided => assert_eq!(decided, whole, "{end}"),
        }
    }
    let (mut at_once, mut by_byte) = (Heads::default(), Heads::default());
    at_once.follow(bytes);
    bytes.iter().for_each(|byte| by_byte.follow(&[*byte]));
    assert_eq!(at_once.is_open(), by_byte.is_open());
    let mut parts = bytes.split(|byte| *byte == b'\n');
    let (method, path, authority) = (parts.next(), parts.next(), parts.next());
    let (Some(method), Some(path)) = (method, path) else { return };
    let lines: Vec<(&[u8], &[u8])> = parts
        .filter_map(|line| line.iter().position(|byte| *byte == b':').map(|at| (&line[..at], &line[at + 1..])))
        .collect();
    let mut head = Head::default();
    let made: Result<(), Fault> =
        make_head(&mut head, Pseudo { method, path, authority }, lines.into_iter(), (true, 8192));
    if made.is_ok() {
        assert!(is_token(head.method()) && (head.path().starts_with(b"/") || head.path() == b"*"));
        assert!(!head.path().split(|byte| *byte == b'/').any(|segment| segment == b".." || segment == b"."));
        assert!(head.fields.iter().all(|field| is_token(field.raw_name) && is_value(field.value)));
        let _ = basic_credentials(&head, b"authorization");
    }
});
