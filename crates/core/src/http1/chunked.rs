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
    Size { digits: u8 },
    Extension { bytes: usize },
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    Trailer,
    TrailerLineFeed,
    Ended,
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
}

impl Default for Chunked {
    fn default() -> Self {
        Chunked { at: At::Size { digits: 0 }, left: 0, line: Vec::new(), trailer_bytes: 0, trailers: Fields::default() }
    }
}

impl Chunked {
    /// Decodes `input` onto the end of `body` until it is used up or the body ends.
    ///
    /// # Errors
    /// 400 for anything but the grammar of RFC 9112, 7.1; 431 for too long trailers.
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
            self.at = self.step(input[used])?;
            used += 1;
        }
        Ok(Progress { used, ended: self.at == At::Ended })
    }

    /// The trailer lines, once the body has ended.
    pub fn trailers(&mut self) -> Fields {
        std::mem::take(&mut self.trailers)
    }

    /// One byte of the coding itself.
    fn step(&mut self, byte: u8) -> Result<At, Fault> {
        const MALFORMED: Fault = Fault::BadRequest("The chunked body is malformed.");
        match (self.at, byte) {
            (At::Size { digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(Fault::BadRequest("A chunk size is too large."));
                }
                let value = (byte as char).to_digit(16).unwrap_or_default();
                self.left = self.left * 16 + u64::from(value);
                Ok(At::Size { digits: digits + 1 })
            }
            (At::Size { digits: 0 }, _) => Err(MALFORMED),
            (At::Size { .. }, b';') => Ok(At::Extension { bytes: 0 }),
            (At::Size { .. } | At::Extension { .. }, b'\r') => Ok(At::SizeLineFeed),
            (At::Extension { bytes }, _) if bytes < EXTENSION_BYTES_MAX && is_value(&[byte]) => {
                Ok(At::Extension { bytes: bytes + 1 })
            }
            (At::SizeLineFeed, b'\n') if self.left == 0 => Ok(At::Trailer),
            (At::SizeLineFeed, b'\n') => Ok(At::Data),
            (At::DataReturn, b'\r') => Ok(At::DataLineFeed),
            (At::DataLineFeed, b'\n') => Ok(At::Size { digits: 0 }),
            (At::Trailer, b'\r') => Ok(At::TrailerLineFeed),
            (At::Trailer, _) => self.keep_trailer(byte),
            (At::TrailerLineFeed, b'\n') => self.end_trailer(),
            _ => Err(MALFORMED),
        }
    }

    fn keep_trailer(&mut self, byte: u8) -> Result<At, Fault> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(Fault::HeadTooLarge(HeadLimit::Trailers));
        }
        self.line.push(byte);
        Ok(At::Trailer)
    }

    fn end_trailer(&mut self) -> Result<At, Fault> {
        if self.line.is_empty() {
            return Ok(At::Ended);
        }
        let colon = memchr::memchr(b':', &self.line).unwrap_or(0);
        if !is_token(&self.line[..colon]) || !is_value(&self.line[colon + 1..]) {
            return Err(Fault::BadRequest("A trailer line is malformed."));
        }
        // Whoever merges trailers into the head would read another request than this one.
        if matches!(Name::of(&self.line[..colon]), Name::ContentLength | Name::TransferEncoding | Name::Host) {
            return Err(Fault::BadRequest("A trailer line says what only the head may say."));
        }
        let name = Name::of(&self.line[..colon]);
        if !is_of_connection(name) {
            self.trailers.push_known(name, &self.line[..colon], self.line[colon + 1..].trim_ascii());
        }
        self.line.clear();
        Ok(At::Trailer)
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
        ] {
            assert!(decode_by(1, wire.as_bytes()).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn trailers_and_extensions_are_bounded() {
        let long_trailer = format!("0\r\na: {}\r\n\r\n", "x".repeat(TRAILER_BYTES_MAX));
        assert_eq!(decode_by(100, long_trailer.as_bytes()), Err(Fault::HeadTooLarge(HeadLimit::Trailers)));
        let long_extension = format!("5;{}\r\nhello", "x".repeat(EXTENSION_BYTES_MAX + 1));
        assert!(decode_by(100, long_extension.as_bytes()).is_err());
    }
}
