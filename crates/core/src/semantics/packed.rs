//! In:     the head of an answer, what its client can unpack, what its route allows.
//! Out:    the coding in which it is sent, and the head changed for it.
//! Actors: none.
//! Never:  does a cache give somebody a coding that he cannot read, or is a strong tag kept for other bytes.

use crate::fields::{Name, list_members};
use crate::head::Head;
use crate::semantics::{AnswerHead, Coding, choose_coding};

/// What is shorter than this would hardly become shorter; nginx and Caddy have like bounds.
const BYTES_MIN: u64 = 512;

/// What says which bytes a body has.
const OF_BYTES: [&[u8]; 6] = [b"etag", b"accept-ranges", b"content-md5", b"digest", b"content-digest", b"repr-digest"];

/// Changes the head of an answer that is to be compressed; in which coding, where it is and there is room for it.
pub fn pack(answer: &mut AnswerHead, head: &Head, codings: &[Coding], has_room: bool) -> Option<Coding> {
    if codings.is_empty() {
        return None;
    }
    if depends_on_another(answer, head) {
        // The same as the answer that it stands for, or belongs to, says (RFC 9110, 15.4.5).
        vary_by_coding(answer);
        if answer.status == 304 {
            weaken_as_before(answer, head, codings);
        }
    }
    if !has_packable_body(answer) {
        return None;
    }
    // It depends on what the client says, also where this one cannot unpack anything.
    vary_by_coding(answer);
    let coding = choose_coding(head, codings.iter().copied());
    if coding == Coding::Identity || !has_room {
        return None;
    }
    let weak = weakened(answer);
    answer.fields.retain(|name| !OF_BYTES.iter().any(|of| of.eq_ignore_ascii_case(name)));
    if let Some(weak) = weak {
        answer.fields.push(b"ETag", &weak);
    }
    answer.fields.push(b"Content-Encoding", coding.token().as_bytes());
    answer.length = None;
    Some(coding)
}

/// Whether a file of this type and length is compressed, where its route says so.
pub fn is_packable(media_type: &[u8], bytes: u64) -> bool {
    bytes >= BYTES_MIN && is_text(media_type)
}

/// Whether an answer belongs to another one that is compressed for some clients: as far as can be told by what a 304,
/// a part or an answer to HEAD says of that.
fn depends_on_another(answer: &AnswerHead, head: &Head) -> bool {
    let may_be = |media_type: &[u8]| is_text(media_type) || media_type.starts_with(b"multipart/byteranges");
    let may_be_text = || answer.fields.get(Name::ContentType).is_none_or(may_be);
    let may_be_packed = || answer.would_be_packed.unwrap_or_else(may_be_text) && is_plain(answer);
    match answer.status {
        206 | 304 => may_be_packed(),
        // By which tag was meant, of which length, depends on the coding.
        412 | 416 => true,
        // An application that sends nothing to HEAD has not said how long its answer to GET is.
        _ => head.is_head() && answer.is_counted && answer.length == Some(0) && may_be_packed(),
    }
}

/// Whether it is in no coding yet, and may be in one.
fn is_plain(answer: &AnswerHead) -> bool {
    let says = |name: &[u8], member: &[u8]| {
        let mut lines = answer.fields.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(name));
        lines.any(|field| list_members(field.value).any(|one| one.eq_ignore_ascii_case(member)))
    };
    let has = |name: &[u8]| answer.fields.iter().any(|field| field.raw_name.eq_ignore_ascii_case(name));
    !has(b"content-encoding") && !says(b"cache-control", b"no-transform")
}

fn has_packable_body(answer: &AnswerHead) -> bool {
    let has_body = answer.status >= 200 && !matches!(answer.status, 204 | 206 | 304);
    has_body
        && answer.length.is_none_or(|bytes| bytes >= BYTES_MIN)
        && answer.fields.get(Name::ContentType).is_some_and(is_text)
        && answer.fields.named(b"content-range").is_none()
        && is_plain(answer)
}

/// Other bytes, the same meaning (RFC 9110, 8.8.1).
fn weakened(answer: &AnswerHead) -> Option<Vec<u8>> {
    let tag = answer.fields.named(b"etag")?;
    Some(if tag.starts_with(b"W/") { tag.to_vec() } else { [b"W/", tag].concat() })
}

/// A 304 has the tag that the client knows: that of the file, or that of the same compressed.
fn weaken_as_before(answer: &mut AnswerHead, head: &Head, codings: &[Coding]) {
    let Some(weak) = weakened(answer) else { return };
    let knows = |tag: &[u8]| {
        let mut lines = head.fields.iter().filter(|field| field.name == Name::IfNoneMatch);
        lines.any(|field| list_members(field.value).any(|one| one == tag))
    };
    let would_be = || answer.would_be_packed == Some(true);
    let is_weak = if knows(&weak[2..]) {
        false
    } else {
        knows(&weak) || would_be() && choose_coding(head, codings.iter().copied()) != Coding::Identity
    };
    if is_weak {
        answer.fields.retain(|name| !name.eq_ignore_ascii_case(b"etag"));
        answer.fields.push(b"ETag", &weak);
    }
}

/// Whether bodies of this type become shorter; pictures, films and archives are packed already.
fn is_text(media_type: &[u8]) -> bool {
    const KNOWN: [&str; 13] = [
        "application/json",
        "application/javascript",
        "application/xml",
        "application/wasm",
        "application/manifest+json",
        "application/x-javascript",
        "application/vnd.ms-fontobject",
        "application/x-ndjson",
        "application/rtf",
        "font/ttf",
        "font/otf",
        "image/bmp",
        "image/x-icon",
    ];
    let name = media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    // Events are read one by one as they come.
    if name == b"text/event-stream" {
        return false;
    }
    name.starts_with(b"text/")
        || name.ends_with(b"+json")
        || name.ends_with(b"+xml")
        || KNOWN.iter().any(|known| known.as_bytes() == name)
}

/// Says that the answer depends on what the client can unpack.
pub fn vary_by_coding(answer: &mut AnswerHead) {
    let names =
        |value: &[u8]| list_members(value).any(|one| one == b"*" || one.eq_ignore_ascii_case(b"accept-encoding"));
    let mut lines = answer.fields.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(b"vary"));
    let is_said = lines.any(|field| names(field.value));
    drop(lines);
    if !is_said {
        answer.fields.push(b"Vary", b"Accept-Encoding");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    fn packed(answer: AnswerHead, accept: &str) -> (Option<Coding>, AnswerHead) {
        let (mut head, mut answer) = (Head::default(), answer);
        let raw = format!("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {accept}\r\n\r\n");
        parse_head(raw.as_bytes(), 99, &mut head).unwrap();
        (pack(&mut answer, &head, &ALL, true), answer)
    }

    fn html() -> AnswerHead {
        AnswerHead { length: Some(9999), ..AnswerHead::new(200).with("Content-Type", "text/html; charset=utf-8") }
    }

    #[test]
    fn text_is_packed_with_all_that_belongs_to_it() {
        let (coding, answer) = packed(html().with("ETag", "\"a\""), "gzip");
        assert_eq!((coding, answer.length), (Some(Coding::Gzip), None));
        let lines: Vec<&[u8]> = answer.fields.iter().map(|field| field.value).collect();
        let expected: [&[u8]; 4] = [b"text/html; charset=utf-8", b"Accept-Encoding", b"W/\"a\"", b"gzip"];
        assert_eq!(lines, expected);
        let (coding, answer) = packed(html(), "identity");
        assert_eq!((coding, answer.length, answer.fields.len()), (None, Some(9999), 2), "but it varies");
    }

    fn asked(lines: &str, answer: AnswerHead) -> AnswerHead {
        let (mut head, mut answer) = (Head::default(), answer);
        let method = if lines.is_empty() { "HEAD" } else { "GET" };
        let raw = format!("{method} / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        parse_head(raw.as_bytes(), 99, &mut head).unwrap();
        assert_eq!(pack(&mut answer, &head, &ALL, true), None);
        answer
    }

    #[test]
    fn what_belongs_to_a_packed_answer_varies_with_it() {
        let varies = |answer: &AnswerHead| answer.fields.named(b"vary") == Some(b"Accept-Encoding");
        let gzip = "Accept-Encoding: gzip\r\n";
        let part = |kind: &str| AnswerHead::new(206).with("Content-Range", "bytes 0-1/9").with("Content-Type", kind);
        for (answer, is) in [
            (AnswerHead::new(304), true),
            (AnswerHead { would_be_packed: Some(true), ..AnswerHead::new(304) }, true),
            (AnswerHead { would_be_packed: Some(false), ..AnswerHead::new(304) }, false),
            (AnswerHead::new(304).with("Content-Type", "image/png"), false),
            (AnswerHead::new(304).with("Content-Encoding", "br"), false),
            (AnswerHead::new(304).with("Cache-Control", "no-transform"), false),
            (part("text/plain"), true),
            (part("multipart/byteranges; boundary=x"), true),
            (part("video/mp4"), false),
            (AnswerHead::new(412), true),
            (AnswerHead::new(416).with("Content-Range", "bytes */9"), true),
            (AnswerHead::new(204), false),
            (AnswerHead::new(301), false),
        ] {
            for lines in [gzip, "X: 1\r\n"] {
                assert_eq!(varies(&asked(lines, answer.clone())), is, "{lines} {answer:?}");
            }
        }
        let silent = AnswerHead { length: Some(0), is_counted: true, ..html() };
        assert!(varies(&asked("", silent.clone())), "to HEAD it says nothing of its length");
        assert!(!varies(&asked(gzip, silent)), "an empty page is one for all");
        let mut crowded = html();
        let mut head = Head::default();
        parse_head(format!("GET / HTTP/1.1\r\nHost: h\r\n{gzip}\r\n").as_bytes(), 99, &mut head).unwrap();
        assert!(pack(&mut crowded, &head, &ALL, false).is_none() && varies(&crowded), "another one may be packed");
        assert_eq!(crowded.length, Some(9999));
    }

    #[test]
    fn a_304_has_the_tag_that_its_client_knows() {
        let text = AnswerHead { would_be_packed: Some(true), ..AnswerHead::new(304).with("ETag", "\"a\"") };
        let unknown = AnswerHead::new(304).with("ETag", "\"a\"");
        let gzip = "Accept-Encoding: gzip\r\n";
        for (answer, lines, tag) in [
            (&text, format!("{gzip}If-None-Match: W/\"a\"\r\n"), "W/\"a\""),
            (&text, format!("{gzip}If-None-Match: \"a\"\r\n"), "\"a\""),
            (&text, format!("{gzip}If-Modified-Since: x\r\n"), "W/\"a\""),
            (&text, "If-Modified-Since: x\r\n".into(), "\"a\""),
            (&unknown, format!("{gzip}If-None-Match: \"b\", W/\"a\"\r\n"), "W/\"a\""),
            (&unknown, format!("{gzip}If-None-Match: \"a\"\r\n"), "\"a\""),
            (&unknown, format!("{gzip}If-Modified-Since: x\r\n"), "\"a\""),
        ] {
            assert_eq!(asked(&lines, answer.clone()).fields.named(b"etag"), Some(tag.as_bytes()), "{lines}");
        }
    }

    #[test]
    fn digests_of_other_bytes_go() {
        let digests = html().with("Digest", "x").with("Content-MD5", "x").with("Repr-Digest", "x");
        let (_, answer) = packed(digests.with("Content-Digest", "x"), "gzip");
        assert_eq!(answer.fields.len(), 3, "{answer:?}");
    }

    #[test]
    fn what_is_packed_short_or_partial_is_not() {
        for answer in [
            AnswerHead { length: Some(100), ..html() },
            html().with("Content-Encoding", "br"),
            html().with("Cache-Control", "public, no-transform"),
            AnswerHead { status: 206, ..html() },
            AnswerHead { length: Some(9999), ..AnswerHead::new(200).with("Content-Type", "image/png") },
            AnswerHead::new(200).with("Content-Type", "text/event-stream"),
            AnswerHead::new(200),
        ] {
            assert_eq!(packed(answer.clone(), "gzip").0, None, "{answer:?}");
        }
    }
}
