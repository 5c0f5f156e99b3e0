//! In:     any bytes as a chunked body, in pieces of any size.
//! Out:    the same body however they are cut, or a fault in each case.
//! Actors: libFuzzer.
//! Never:  is more made of the input than is in it.

#![no_main]

use hallway_core::http1::Chunked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (step, bytes) = (usize::from(input.0).max(1), input.2);
    let begin = || if input.1 { Chunked::of_server() } else { Chunked::default() };
    let mut whole = Vec::new();
    let at_once = begin().decode(bytes, &mut whole);
    assert!(whole.len() <= bytes.len());
    let (mut body, mut chunked, mut used, mut ended) = (Vec::new(), begin(), 0, false);
    let mut failed = false;
    for piece in bytes.chunks(step) {
        match chunked.decode(piece, &mut body) {
            Ok(progress) => {
                used += progress.used;
                ended = progress.ended;
                assert!(ended || progress.used == piece.len());
            }
            Err(_) => failed = true,
        }
        if failed || ended {
            break;
        }
    }
    match at_once {
        Ok(progress) => {
            assert!(!failed && body == whole && (used, ended) == (progress.used, progress.ended));
        }
        Err(_) => assert!(failed),
    }
});
