//! In:     any bytes as the records of a FastCGI server, in pieces of any size.
//! Out:    the same answer however they are cut, or a fault in each case.
//! Actors: libFuzzer.
//! Never:  is more made of the input than is in it.

#![no_main]

use hallway_core::gateway::{Decoder, parse_gateway_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = (usize::from(input.0).max(1), input.1);
    let (mut whole, mut decoder) = (Vec::new(), Decoder::default());
    let at_once = decoder.decode(bytes, &mut whole);
    assert!(whole.len() <= bytes.len());
    let complaints = decoder.complaints();
    let (mut body, mut decoder, mut used, mut ended, mut failed) = (Vec::new(), Decoder::default(), 0, false, false);
    for piece in bytes.chunks(size) {
        match decoder.decode(piece, &mut body) {
            Ok(step) => (used, ended) = (used + step.used, step.ended),
            Err(_) => failed = true,
        }
        if failed || ended {
            break;
        }
    }
    match at_once {
        Ok(step) => {
            assert!(!failed && body == whole && (used, ended) == (step.used, step.ended));
            assert_eq!(decoder.complaints(), complaints);
        }
        Err(_) => assert!(failed),
    }
    if let Ok(Some((head, length))) = parse_gateway_head(&whole) {
        assert!(length <= whole.len() && (200..=999).contains(&head.status));
    }
});
