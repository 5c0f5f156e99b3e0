//! In:     a request's variables and body; records of a FastCGI server.
//! Out:    records; what the server answers, and what it complains of.
//! Actors: none.
//! Never:  does a record that is not of this request count.

use super::variables::{Gateway, put_variables};
use crate::fault::Fault;
use crate::head::Head;

/// Parts of the protocol (FastCGI 1.0, 8).
const VERSION: u8 = 1;
const BEGIN_REQUEST: u8 = 1;
const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;
const RESPONDER: u8 = 1;
/// There is one request on a connection.
const ID: u16 = 1;
const HEADER_BYTES: usize = 8;
/// What one record may carry.
const RECORD_BYTES_MAX: usize = 65_535;
/// Complaints that are kept of one answer.
const STDERR_BYTES_MAX: usize = 8 * 1024;

fn put_record(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    let length = (content.len() as u16).to_be_bytes();
    out.extend_from_slice(&[VERSION, kind, 0, ID as u8, length[0], length[1], 0, 0]);
    out.extend_from_slice(content);
}

/// Appends the records of a request up to where its body begins. The server closes after its answer: a process of
/// PHP belongs to a connection for as long as that is open.
pub fn put_begin(out: &mut Vec<u8>, head: &Head, gateway: Gateway<'_>) {
    put_record(out, BEGIN_REQUEST, &[0, RESPONDER, 0, 0, 0, 0, 0, 0]);
    let mut params = Vec::with_capacity(1024);
    put_variables(head, gateway, |name, value| {
        for length in [name.len(), value.len()] {
            // One byte, or four with the highest bit set.
            match u8::try_from(length) {
                Ok(short) if short < 128 => params.push(short),
                _ => params.extend_from_slice(&(length as u32 | 1 << 31).to_be_bytes()),
            }
        }
        params.extend_from_slice(name);
        params.extend_from_slice(value);
    });
    params.chunks(RECORD_BYTES_MAX).for_each(|part| put_record(out, PARAMS, part));
    put_record(out, PARAMS, &[]);
}

/// Appends a part of the body.
pub fn put_stdin(out: &mut Vec<u8>, bytes: &[u8]) {
    bytes.chunks(RECORD_BYTES_MAX).for_each(|part| put_record(out, STDIN, part));
}

/// Appends the end of the body.
pub fn put_stdin_end(out: &mut Vec<u8>) {
    put_record(out, STDIN, &[]);
}

/// How far a call came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// Bytes of the input that were used.
    pub used: usize,
    /// Whether the answer has ended.
    pub ended: bool,
}

/// The records of an answer, taken apart.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// What is left of the record that has begun.
    content_bytes: usize,
    padding_bytes: usize,
    /// The last record has begun.
    is_last: bool,
    stderr: Vec<u8>,
}

impl Decoder {
    /// What the server complained of since the last call.
    pub fn complaints(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.stderr)
    }

    /// Takes what is answered out of `input`, onto `out`.
    ///
    /// # Errors
    /// 502 for what is no record.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Step, Fault> {
        let mut used = 0;
        loop {
            if self.header_bytes < HEADER_BYTES {
                let take = (HEADER_BYTES - self.header_bytes).min(input.len() - used);
                self.header[self.header_bytes..self.header_bytes + take].copy_from_slice(&input[used..used + take]);
                (self.header_bytes, used) = (self.header_bytes + take, used + take);
                if self.header_bytes < HEADER_BYTES {
                    return Ok(Step { used, ended: false });
                }
                self.begin()?;
            }
            let take = self.content_bytes.min(input.len() - used);
            let content = &input[used..used + take];
            match self.header[1] {
                STDOUT => out.extend_from_slice(content),
                STDERR => {
                    let room = STDERR_BYTES_MAX.saturating_sub(self.stderr.len());
                    self.stderr.extend_from_slice(&content[..take.min(room)]);
                }
                _ => {}
            }
            (self.content_bytes, used) = (self.content_bytes - take, used + take);
            let take = if self.content_bytes == 0 { self.padding_bytes.min(input.len() - used) } else { 0 };
            (self.padding_bytes, used) = (self.padding_bytes - take, used + take);
            if self.content_bytes + self.padding_bytes > 0 {
                return Ok(Step { used, ended: false });
            }
            if self.is_last {
                return Ok(Step { used, ended: true });
            }
            self.header_bytes = 0;
        }
    }

    fn begin(&mut self) -> Result<(), Fault> {
        let [version, kind, id_high, id_low, high, low, padding, _] = self.header;
        let is_known = matches!(kind, STDOUT | STDERR | END_REQUEST);
        if version != VERSION || !is_known || u16::from_be_bytes([id_high, id_low]) != ID {
            return Err(Fault::BadAnswer("The server's answer is not FastCGI."));
        }
        self.content_bytes = usize::from(u16::from_be_bytes([high, low]));
        self.padding_bytes = usize::from(padding);
        self.is_last = kind == END_REQUEST;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> Vec<u8> {
        let mut wire = Vec::new();
        put_record(&mut wire, STDOUT, b"Status: 200\r\n\r\nhel");
        put_record(&mut wire, STDERR, b"PHP Warning: x");
        // One with padding.
        wire.extend_from_slice(&[1, STDOUT, 0, 1, 0, 2, 3, 0]);
        wire.extend_from_slice(b"loppp");
        put_record(&mut wire, STDOUT, b"");
        put_record(&mut wire, END_REQUEST, &[0; 8]);
        wire
    }

    #[test]
    fn decodes_whatever_the_pieces() {
        let wire = wire();
        for step in 1..wire.len() {
            let (mut decoder, mut out, mut ended) = (Decoder::default(), Vec::new(), false);
            for piece in wire.chunks(step) {
                assert!(!ended);
                let done = decoder.decode(piece, &mut out).unwrap();
                assert_eq!(done.used, piece.len());
                ended = done.ended;
            }
            assert!(ended);
            assert_eq!(out, b"Status: 200\r\n\r\nhello", "step {step}");
            assert_eq!(decoder.complaints(), b"PHP Warning: x");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for wire in [&b"HTTP/1.1 200 OK\r\n"[..], &[2, STDOUT, 0, 1, 0, 0, 0, 0], &[1, STDOUT, 0, 2, 0, 0, 0, 0]] {
            assert!(Decoder::default().decode(wire, &mut Vec::new()).is_err());
        }
        let mut extra = wire();
        let whole = extra.len();
        extra.extend_from_slice(b"more");
        let step = Decoder::default().decode(&extra, &mut Vec::new()).unwrap();
        assert_eq!(step, Step { used: whole, ended: true });
    }
}
