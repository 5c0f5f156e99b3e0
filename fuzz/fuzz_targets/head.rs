//! In:     any bytes as the beginning of a connection.
//! Out:    a head that keeps its promises, or a fault.
//! Actors: libFuzzer.
//! Never:  does a head that is taken hold what cannot go on: control bytes, two lengths, an odd path.

#![no_main]

use hallway_core::fields::{is_token, is_value};
use hallway_core::head::{Framing, Version};
use hallway_core::http1::{Found, Scan, parse_head};
use hallway_core::semantics::{Validators, check_preconditions, select_ranges};
use hallway_core::{Head, Name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut scan = Scan::default();
    let found = scan.feed(bytes);
    // However the bytes arrive, the same is found.
    let mut slow = Scan::default();
    let stepwise = (0..=bytes.len()).map(|end| slow.feed(&bytes[..end])).find(|found| *found != Found::More);
    assert_eq!(stepwise.unwrap_or(Found::More), found);
    let Found::Head(length) = found else { return };
    let mut head = Head::default();
    if parse_head(&bytes[..length], 8192, &mut head).is_err() {
        return;
    }
    assert!(is_token(head.method()));
    assert!(head.path().starts_with(b"/") || head.path() == b"*");
    assert!(!head.path().split(|byte| *byte == b'/').any(|segment| segment == b".." || segment == b"."));
    assert!(head.fields.iter().all(|field| is_token(field.raw_name) && is_value(field.value)));
    let lengths = head.fields.iter().filter(|field| field.name == Name::ContentLength).count();
    let codings = head.fields.iter().filter(|field| field.name == Name::TransferEncoding).count();
    assert!(lengths + codings <= 1);
    assert!(head.framing != Framing::Chunked || head.version == Version::Http11);
    // What reads single fields takes any of them.
    let _ = check_preconditions(&head, Validators { etag: "\"a\"", modified_s: Some(7), changed_s: 8 });
    for field in head.fields.iter() {
        let _ = select_ranges(field.value, 1000);
    }
});
