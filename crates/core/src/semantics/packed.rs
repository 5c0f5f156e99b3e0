//! In:     the head of an answer, what its client can unpack, what its route allows.
//! Out:    the coding in which it is sent, and the head changed for it.
//! Actors: none.
//! Never:  does a cache give somebody a coding that he cannot read, or is a strong tag kept for other bytes.

use crate::fields::{Name, list_members};
use crate::head::Head;
use crate::semantics::{AnswerHead, Coding, choose_coding};

/// What is shorter than this would hardly become shorter; nginx and Caddy have like bounds.
const BYTES_MIN: u64 = 512;

/// Changes the head of an answer that is to be compressed; in which coding, where it is.
pub fn pack(answer: &mut AnswerHead, head: &Head, codings: &[Coding]) -> Option<Coding> {
    if codings.is_empty() || !can_be_packed(answer) {
        return None;
    }
    // It depends on what the client says, also where this one cannot unpack anything.
    put_vary(answer);
    let coding = choose_coding(head, codings.iter().copied());
    if coding == Coding::Identity {
        return None;
    }
    let tag = answer.fields.named(b"etag").map(<[u8]>::to_vec);
    answer.fields.retain(|name| !name.eq_ignore_ascii_case(b"etag") && !name.eq_ignore_ascii_case(b"accept-ranges"));
    if let Some(tag) = tag {
        // Other bytes, the same meaning (RFC 9110, 8.8.1).
        let weak = if tag.starts_with(b"W/") { tag } else { [b"W/", &tag[..]].concat() };
        answer.fields.push(b"ETag", &weak);
    }
    answer.fields.push(b"Content-Encoding", coding.token().as_bytes());
    answer.length = None;
    Some(coding)
}

fn can_be_packed(answer: &AnswerHead) -> bool {
    let says = |name: &[u8], member: &[u8]| {
        let mut lines = answer.fields.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(name));
        lines.any(|field| list_members(field.value).any(|one| one.eq_ignore_ascii_case(member)))
    };
    let has = |name: &[u8]| answer.fields.iter().any(|field| field.raw_name.eq_ignore_ascii_case(name));
    let has_body = answer.status >= 200 && !matches!(answer.status, 204 | 206 | 304);
    has_body
        && answer.length.is_none_or(|bytes| bytes >= BYTES_MIN)
        && !has(b"content-encoding")
        && !has(b"content-range")
        && !says(b"cache-control", b"no-transform")
        && answer.fields.get(Name::ContentType).is_some_and(is_text)
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

fn put_vary(answer: &mut AnswerHead) {
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
        (pack(&mut answer, &head, &ALL), answer)
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
