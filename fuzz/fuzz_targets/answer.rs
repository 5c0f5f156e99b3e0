//! In:     any bytes as the head of a server's answer.
//! Out:    a head that reads the same once more when it is written, or a fault.
//! Actors: libFuzzer.
//! Never:  is a line written that was not read as one.

#![no_main]

use hallway_core::http1::{Asked, Ending, Found, Scan, parse_answer, put_informational};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, bool, bool, &[u8])| {
    let (is_head, upgrades, echoes_version, bytes) = input;
    let Found::Head(length) = Scan::default().feed(bytes) else { return };
    let asked = Asked { is_head, upgrades, echoes_version };
    let Ok(answer) = parse_answer(&bytes[..length], asked) else { return };
    assert!(answer.ending != Ending::Close || !answer.keep_alive);
    let mut written = Vec::new();
    put_informational(&mut written, answer.head.status, &answer.head.fields);
    assert_eq!(Scan::default().feed(&written), Found::Head(written.len()));
    if let Ok(again) = parse_answer(&written, asked) {
        let lines = |answer: &hallway_core::http1::ServerAnswer| -> Vec<(Vec<u8>, Vec<u8>)> {
            answer.head.fields.iter().map(|field| (field.raw_name.to_vec(), field.value.to_vec())).collect()
        };
        assert_eq!(lines(&answer), lines(&again));
    }
});
