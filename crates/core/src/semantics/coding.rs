//! In:     `Accept-Encoding`; the codings there are.
//! Out:    which one to send (RFC 9110, 12.5.3).
//! Actors: none.
//! Never:  is a coding sent that the client did not name, or named with a weight of 0.

use crate::fields::{Name, list_members};
use crate::head::Head;
use serde::{Deserialize, Serialize};

/// A content coding (RFC 9110, 8.4.1; RFC 7932; RFC 8878), the best first.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Coding {
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
    /// As it is.
    Identity,
}

impl Coding {
    /// All that can be stored beside a file.
    pub const STORED: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// As `Content-Encoding` says it.
    pub fn token(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
            Coding::Identity => "identity",
        }
    }

    /// The ending of a file that holds another one in this coding.
    pub fn ending(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
            Coding::Identity => "",
        }
    }
}

/// The coding that the client likes best of those there are; of two that it likes alike, the better one.
pub fn choose_coding(head: &Head, there_are: impl Iterator<Item = Coding>) -> Coding {
    let weighed = there_are.filter(|coding| *coding != Coding::Identity).map(|coding| (weight(head, coding), coding));
    weighed
        .filter(|(weight, _)| *weight > 0)
        .max_by_key(|(weight, coding)| (*weight, std::cmp::Reverse(*coding)))
        .filter(|(best, _)| *best >= weight(head, Coding::Identity) || !names_identity(head))
        .map_or(Coding::Identity, |(_, coding)| coding)
}

/// What the client says a coding is worth, in thousandths.
fn weight(head: &Head, coding: Coding) -> u16 {
    let mut by_star = 0;
    for field in head.fields.iter().filter(|field| field.name == Name::AcceptEncoding) {
        for member in list_members(field.value) {
            let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let is_alias = coding == Coding::Gzip && name.eq_ignore_ascii_case(b"x-gzip");
            let is_it = name.eq_ignore_ascii_case(coding.token().as_bytes()) || is_alias;
            if !is_it && name != b"*" {
                continue;
            }
            let quality = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
            let thousandths = quality.map_or(1000, thousandths);
            if is_it {
                return thousandths;
            }
            by_star = thousandths;
        }
    }
    by_star
}

fn names_identity(head: &Head) -> bool {
    let named = |value: &[u8]| list_members(value).any(|member| member.starts_with(b"identity"));
    head.fields.iter().any(|field| field.name == Name::AcceptEncoding && named(field.value))
}

/// `0`, `1`, `0.5`, `0.123`; what is none of these counts as 0.
fn thousandths(raw: &[u8]) -> u16 {
    let text = std::str::from_utf8(raw).unwrap_or_default();
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) && text.len() <= 5 => (value * 1000.0).round() as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    #[test]
    fn the_best_that_is_liked_best() {
        for (accept, is) in [
            ("", Coding::Identity),
            ("Accept-Encoding: gzip, deflate, br, zstd\r\n", Coding::Brotli),
            ("Accept-Encoding: gzip\r\n", Coding::Gzip),
            ("Accept-Encoding: GZIP;q=0.5, br;q=0.1\r\n", Coding::Gzip),
            ("Accept-Encoding: br;q=0, gzip;q=0\r\n", Coding::Identity),
            ("Accept-Encoding: *\r\n", Coding::Brotli),
            ("Accept-Encoding: *;q=0.5, br;q=0\r\n", Coding::Zstd),
            ("Accept-Encoding: identity\r\n", Coding::Identity),
            ("Accept-Encoding: identity;q=1, gzip;q=0.5\r\n", Coding::Identity),
            ("Accept-Encoding: identity;q=0.5, gzip\r\n", Coding::Gzip),
            ("Accept-Encoding: gzip;q=nonsense\r\n", Coding::Identity),
            ("Accept-Encoding: zstd\r\nAccept-Encoding: x-gzip;q=0.2\r\n", Coding::Zstd),
        ] {
            let mut head = Head::default();
            parse_head(format!("GET / HTTP/1.1\r\nHost: h\r\n{accept}\r\n").as_bytes(), 99, &mut head).unwrap();
            assert_eq!(choose_coding(&head, Coding::STORED.into_iter()), is, "{accept}");
        }
        let mut head = Head::default();
        parse_head(b"GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n", 99, &mut head).unwrap();
        assert_eq!(choose_coding(&head, [Coding::Identity, Coding::Gzip].into_iter()), Coding::Identity);
    }
}
