//! In:     bytes of a chunked body as they arrive.
//! Out:    the body's own bytes, and where it ends.
//! Actors: none.
//! Never:  do extensions or trailers grow past their limit, or a size past 64 bits.

use crate::fault::{Fault, HeadLimit};
use crate::fields::{Fields, Name, is_token, is_value};

/// Extensions of one chunk, and all trailer lines together.
const EXTENSION_BYTES_MAX: usize = 256;
const TRAILER_BYTES_MAX: usize = 8 * 1024;
const SIZE_DIGITS_MAX: u8 = 15;

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that belong to this body.
    pub used: usize,
    /// Whether the body has ended.
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size {
        digits: u8,
    },
    /// Behind the size, where blanks stand that should not.
    AfterSize {
        blanks: usize,
    },
    Extension {
        part: Part,
        bytes: usize,
    },
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    Trailer,
    TrailerLineFeed,
    Ended,
}

/// Where in an extension (RFC 9112, 7.1.1): `; name`, `; name=token`, `; name="text"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    Escaped,
    /// A text has just ended.
    Closed,
    AfterValue,
}

/// What is wrong with a body. A server and a client are told of in different words.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Size,
    SizeTooLarge,
    Extension,
    SizeEnd,
    DataEnd,
    Trailer,
    TrailerOfHead,
    TrailersTooLong,
}

/// The chunked coding, decoded (RFC 9112, 7.1). Trailer lines are checked and kept apart: no field
/// of theirs may be merged into the head without its definition saying so (RFC 9110, 6.5.1).
#[derive(Debug)]
pub struct Chunked {
    at: At,
    left: u64,
    line: Vec<u8>,
    trailer_bytes: usize,
    trailers: Fields,
    /// Whose body it is. Servers that pad the size with blanks, or write what they like behind its semicolon, are common
    /// enough to be borne, as others do: where a chunk ends they say all the same.
    is_servers: bool,
}

impl Default for Chunked {
    fn default() -> Self {
        Chunked {
            at: At::Size { digits: 0 },
            left: 0,
            line: Vec::new(),
            trailer_bytes: 0,
            trailers: Fields::default(),
            is_servers: false,
        }
    }
}

impl Chunked {
    /// The body of a server's answer.
    pub fn of_server() -> Chunked {
        Chunked { is_servers: true, ..Chunked::default() }
    }

    /// Decodes `input` onto the end of `body` until it is used up or the body ends.
    ///
    /// # Errors
    /// 400 for anything but the grammar of RFC 9112, 7.1; 431 for too long trailers; 502 for both in an answer.
    pub fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<Progress, Fault> {
        let mut used = 0;
        while used < input.len() && self.at != At::Ended {
            if self.at == At::Data {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len() - used);
                body.extend_from_slice(&input[used..used + take]);
                used += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.at = At::DataReturn;
                }
                continue;
            }
            self.at = self.step(input[used]).map_err(|wrong| self.fault(wrong))?;
            used += 1;
        }
        Ok(Progress { used, ended: self.at == At::Ended })
    }

    /// The trailer lines, once the body has ended.
    pub fn trailers(&mut self) -> Fields {
        std::mem::take(&mut self.trailers)
    }

    /// One byte of the coding itself.
    fn step(&mut self, byte: u8) -> Result<At, Wrong> {
        match (self.at, byte) {
            (At::Size { digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(Wrong::SizeTooLarge);
                }
                let value = (byte as char).to_digit(16).unwrap_or_default();
                self.left = self.left * 16 + u64::from(value);
                Ok(At::Size { digits: digits + 1 })
            }
            (At::Size { digits: 0 }, _) => Err(Wrong::Size),
            (At::Size { .. } | At::AfterSize { .. }, b';') => Ok(At::Extension { part: Part::BeforeName, bytes: 0 }),
            (At::Size { .. }, b' ' | b'\t') => Ok(At::AfterSize { blanks: 1 }),
            (At::AfterSize { blanks }, b' ' | b'\t') if blanks < EXTENSION_BYTES_MAX => {
                Ok(At::AfterSize { blanks: blanks + 1 })
            }
            (At::Size { .. }, b'\r') => Ok(At::SizeLineFeed),
            (At::AfterSize { .. }, b'\r') if self.is_servers => Ok(At::SizeLineFeed),
            (At::Size { .. } | At::AfterSize { .. }, _) => Err(Wrong::Size),
            (At::Extension { part, bytes }, _) => self.extension(part, bytes, byte),
            (At::SizeLineFeed, b'\n') if self.left == 0 => Ok(At::Trailer),
            (At::SizeLineFeed, b'\n') => Ok(At::Data),
            (At::SizeLineFeed, _) => Err(Wrong::SizeEnd),
            (At::DataReturn, b'\r') => Ok(At::DataLineFeed),
            (At::DataLineFeed, b'\n') => Ok(At::Size { digits: 0 }),
            (At::Trailer, b'\r') => Ok(At::TrailerLineFeed),
            (At::Trailer, _) => self.keep_trailer(byte),
            (At::TrailerLineFeed, b'\n') => self.end_trailer(),
            (At::TrailerLineFeed, _) => Err(Wrong::Trailer),
            (At::DataReturn | At::DataLineFeed | At::Data | At::Ended, _) => Err(Wrong::DataEnd),
        }
    }

    /// One byte of an extension; what it means is nobody's here.
    fn extension(&self, part: Part, bytes: usize, byte: u8) -> Result<At, Wrong> {
        if bytes >= EXTENSION_BYTES_MAX {
            return Err(Wrong::Extension);
        }
        if self.is_servers {
            return match byte {
                b'\r' => Ok(At::SizeLineFeed),
                _ if is_value(&[byte]) => Ok(At::Extension { part, bytes: bytes + 1 }),
                _ => Err(Wrong::Extension),
            };
        }
        let part = match (part, byte) {
            (Part::BeforeName | Part::BeforeValue, b' ' | b'\t') => part,
            (Part::BeforeName | Part::Name, _) if is_token(&[byte]) => Part::Name,
            (Part::BeforeValue, b'"') => Part::Quoted,
            (Part::BeforeValue | Part::Value, _) if is_token(&[byte]) => Part::Value,
            (Part::Quoted, b'"') => Part::Closed,
            (Part::Quoted, b'\\') => Part::Escaped,
            (Part::Quoted | Part::Escaped, _) if is_value(&[byte]) => Part::Quoted,
            (Part::Name | Part::Value | Part::Closed, b'\r') => return Ok(At::SizeLineFeed),
            (Part::Name | Part::AfterName, b'=') => Part::BeforeValue,
            (Part::Name | Part::AfterName, b' ' | b'\t') => Part::AfterName,
            (Part::Value | Part::Closed | Part::AfterValue, b' ' | b'\t') => Part::AfterValue,
            (Part::Name | Part::AfterName | Part::Value | Part::Closed | Part::AfterValue, b';') => Part::BeforeName,
            _ => return Err(Wrong::Extension),
        };
        Ok(At::Extension { part, bytes: bytes + 1 })
    }

    fn keep_trailer(&mut self, byte: u8) -> Result<At, Wrong> {
        // At once: whoever wrote it may be waiting for the answer now.
        if !is_value(&[byte]) {
            return Err(Wrong::Trailer);
        }
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(Wrong::TrailersTooLong);
        }
        self.line.push(byte);
        Ok(At::Trailer)
    }

    fn end_trailer(&mut self) -> Result<At, Wrong> {
        if self.line.is_empty() {
            return Ok(At::Ended);
        }
        let colon = memchr::memchr(b':', &self.line).unwrap_or(0);
        let mut raw_name = &self.line[..colon];
        if self.is_servers {
            // As in a head (RFC 9112, 5.1).
            raw_name = raw_name.trim_ascii_end();
        }
        if !is_token(raw_name) {
            return Err(Wrong::Trailer);
        }
        let name = Name::of(raw_name);
        // Whoever merges trailers into the head would read another request than this one.
        if matches!(name, Name::ContentLength | Name::TransferEncoding | Name::Host) {
            return Err(Wrong::TrailerOfHead);
        }
        if !is_of_connection(name) {
            self.trailers.push_known(name, raw_name, self.line[colon + 1..].trim_ascii());
        }
        self.line.clear();
        Ok(At::Trailer)
    }

    fn fault(&self, wrong: Wrong) -> Fault {
        if self.is_servers {
            return Fault::BadAnswer(match wrong {
                Wrong::Size => "A chunk of the server's answer does not begin with its size.",
                Wrong::SizeTooLarge => "A chunk size of the server's answer is too large.",
                Wrong::Extension => "A chunk extension of the server's answer is too long or has a control byte.",
                Wrong::SizeEnd => "The line of a chunk size of the server's answer does not end with CR LF.",
                Wrong::DataEnd => "A chunk of the server's answer does not end where its size says.",
                Wrong::Trailer => "A trailer line of the server's answer is malformed.",
                Wrong::TrailerOfHead => "A trailer line of the server's answer says what only the head may say.",
                Wrong::TrailersTooLong => "The trailers of the server's answer are too long.",
            });
        }
        Fault::BadRequest(match wrong {
            Wrong::Size | Wrong::SizeEnd | Wrong::DataEnd => "The chunked body is malformed.",
            Wrong::SizeTooLarge => "A chunk size is too large.",
            Wrong::Extension => "A chunk extension is malformed.",
            Wrong::Trailer => "A trailer line is malformed.",
            Wrong::TrailerOfHead => "A trailer line says what only the head may say.",
            Wrong::TrailersTooLong => return Fault::HeadTooLarge(HeadLimit::Trailers),
        })
    }
}

/// Fields that are only for the connection they come by (RFC 9110, 7.6.1), wherever they stand.
fn is_of_connection(name: Name) -> bool {
    matches!(
        name,
        Name::Connection | Name::KeepAlive | Name::ProxyConnection | Name::Te | Name::Trailer | Name::Upgrade
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_by(step: usize, wire: &[u8]) -> Result<(Vec<u8>, usize, bool), Fault> {
        let (mut chunked, mut body, mut used) = (Chunked::default(), Vec::new(), 0);
        for piece in wire.chunks(step) {
            let progress = chunked.decode(piece, &mut body)?;
            used += progress.used;
            if progress.ended {
                return Ok((body, used, true));
            }
        }
        Ok((body, used, false))
    }

    #[test]
    fn decodes_whatever_the_pieces() {
        let wire = b"5\r\nhello\r\nA;x=\"y\"\r\n, chunked!\r\n0\r\nX-Sum: 1\r\n\r\nNEXT";
        for step in 1..wire.len() {
            let (body, used, ended) = decode_by(step, wire).unwrap();
            assert_eq!((&body[..], used, ended), (&b"hello, chunked!"[..], wire.len() - 4, true), "step {step}");
        }
        let mut chunked = Chunked::default();
        chunked.decode(b"0\r\nX-Sum: 1 \r\nConnection: x\r\n\r\n", &mut Vec::new()).unwrap();
        let trailers = chunked.trailers();
        assert_eq!((trailers.len(), trailers.named(b"x-sum")), (1, Some(&b"1"[..])));
    }

    #[test]
    fn refuses_what_is_not_the_grammar() {
        for wire in [
            "g\r\n",
            "\r\n",
            "-1\r\n",
            "0x5\r\nhello",
            "5 \r\nhello",
            "5\nhello\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n0\r\n\r\n",
            "5;\n\r\n",
            "5;a\x01\r\n",
            "10000000000000000\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\n: empty\r\n\r\n",
            "0\r\nContent-Length: 9\r\n\r\n",
            "0\r\nhost: other\r\n\r\n",
            "0\r\na : b\r\n\r\n",
            "0\r\na: b\n\r\n",
            "5;\r\nhello",
            "5; \r\nhello",
            "5;;a\r\nhello",
            "5;a;\r\nhello",
            "5;=b\r\nhello",
            "5;a=\r\nhello",
            "5;a=b=c\r\nhello",
            "5;bad[=x\r\nhello",
            "5;a=x y\r\nhello",
            "5;a=\"x\r\nhello",
            "5;a=\"x\"y\r\nhello",
            "5;a \r\nhello",
            "5 \t\r\nhello",
        ] {
            assert!(decode_by(1, wire.as_bytes()).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_one_is_refused_with_its_first_wrong_byte() {
        for wire in ["0\r\na: b\n", "0\r\n\n", "0\r\na\rb", "0\r\na: \0", "5;\n", "5;a=\"\n", "5\rh", "5\r\nhello\n"] {
            let (last, before) = wire.as_bytes().split_last().unwrap();
            let mut chunked = Chunked::default();
            assert!(chunked.decode(before, &mut Vec::new()).is_ok(), "{wire:?}");
            assert!(chunked.decode(&[*last], &mut Vec::new()).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn extensions_are_what_the_grammar_says() {
        for wire in [
            "5;a\r\nhello",
            "5;a=b\r\nhello",
            "5;a;b=c;d=\"e;f\\\"\t\"\r\nhello",
            "5 ; a = b ;c\r\nhello",
            "5;a=\"\"\r\nhello",
            "5;a=\"\u{e9}\"\r\nhello",
        ] {
            assert_eq!(decode_by(1, wire.as_bytes()).unwrap().0, b"hello", "{wire:?}");
        }
    }

    #[test]
    fn servers_are_borne_with_where_a_chunk_ends_all_the_same() {
        for wire in ["5 \t \r\nhello\r\n0  \r\n\r\n", "5;\r\nhello\r\n0;bad[=\r\nX-Sum : 1\r\n\r\n"] {
            let (mut chunked, mut body) = (Chunked::of_server(), Vec::new());
            let progress = chunked.decode(wire.as_bytes(), &mut body).unwrap();
            assert_eq!((&body[..], progress.ended), (&b"hello"[..], true), "{wire:?}");
            assert_eq!(chunked.trailers().named(b"x-sum"), wire.contains("Sum").then_some(&b"1"[..]));
        }
        let mut seen = std::collections::BTreeSet::new();
        for wire in [
            " 5\r\n",
            "5\nhello",
            "10000000000000000\r\n",
            "5;\n",
            "5\rh",
            "5\r\nhelloX",
            "0\r\nno colon\r\n",
            "0\r\nContent-Length: 1\r\n",
            &format!("0\r\na: {}", "x".repeat(TRAILER_BYTES_MAX)),
        ] {
            let fault = Chunked::of_server().decode(wire.as_bytes(), &mut Vec::new()).unwrap_err();
            assert_eq!(fault.status(), 502, "{wire:?}");
            seen.insert(fault.detail());
        }
        assert_eq!(seen.len(), 8, "each has words of its own: {seen:?}");
    }

    #[test]
    fn trailers_and_extensions_are_bounded() {
        let long_trailer = format!("0\r\na: {}\r\n\r\n", "x".repeat(TRAILER_BYTES_MAX));
        assert_eq!(decode_by(100, long_trailer.as_bytes()), Err(Fault::HeadTooLarge(HeadLimit::Trailers)));
        let long_extension = format!("5;{}\r\nhello", "x".repeat(EXTENSION_BYTES_MAX + 1));
        assert!(decode_by(100, long_extension.as_bytes()).is_err());
        let blanks = format!("5{}", " \t".repeat(EXTENSION_BYTES_MAX));
        assert!(decode_by(100, blanks.as_bytes()).is_err());
        assert!(Chunked::of_server().decode(blanks.as_bytes(), &mut Vec::new()).is_err());
    }
}
