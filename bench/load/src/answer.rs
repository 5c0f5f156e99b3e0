//! In:     bytes of a connection as they come, and whether it has ended.
//! Out:    one whole answer: status, body without its framing, whether the connection closes.
//! Actors: none: the connection reads the socket.
//! Never:  does an answer with two lengths, a broken chunk or bytes behind its end count as read.

const HEADERS_MAX: usize = 64;
const ROOM_BYTES: usize = 64 * 1024;

/// Reads one answer after the other from one connection.
pub(crate) struct AnswerReader {
    /// Answers to HEAD have no body, whatever their head says.
    bodiless: bool,
    bytes: Vec<u8>,
    head: Option<Head>,
    /// Where in `bytes` the part begins that is not read yet.
    at: usize,
    /// What chunks held so far.
    chunks: Vec<u8>,
}

/// One whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    pub(crate) closes: bool,
}

#[derive(Clone, Copy)]
struct Head {
    status: u16,
    framing: Framing,
    closes: bool,
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl AnswerReader {
    pub(crate) fn new(bodiless: bool) -> Self {
        Self { bodiless, bytes: Vec::new(), head: None, at: 0, chunks: Vec::new() }
    }

    /// Where the next bytes of the connection go: behind those that are there.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        self.bytes.reserve(ROOM_BYTES);
        &mut self.bytes
    }

    /// Forgets the answer. To be called before each request.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.chunks.clear();
        self.head = None;
        self.at = 0;
    }

    /// The answer, once it is whole. `ended` says that no more bytes will come.
    pub(crate) fn read(&mut self, ended: bool) -> Result<Option<Answer<'_>>, String> {
        let Some(head) = self.read_head()? else { return Ok(None) };
        let begin = self.at;
        let (body, end) = match head.framing {
            Framing::Length(length) => match self.bytes.get(begin..begin.saturating_add(length)) {
                Some(body) => (body, begin + length),
                None => return Ok(None),
            },
            Framing::Chunked => match self.read_chunks()? {
                Some(end) => (&self.chunks[..], end),
                None => return Ok(None),
            },
            Framing::UntilClose if ended => (&self.bytes[begin..], self.bytes.len()),
            Framing::UntilClose => return Ok(None),
        };
        match self.bytes.len() - end {
            0 => Ok(Some(Answer { status: head.status, body, closes: head.closes || ended })),
            more => Err(format!("{more} bytes came behind the end of the answer")),
        }
    }

    /// The head, read once for each answer. Interim answers (1xx) are passed over.
    fn read_head(&mut self) -> Result<Option<Head>, String> {
        while self.head.is_none() {
            let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut answer = httparse::Response::new(&mut fields);
            match answer.parse(&self.bytes[self.at..]) {
                Ok(httparse::Status::Complete(length)) => {
                    let head = judge(&answer, self.bodiless)?;
                    self.at += length;
                    self.head = (head.status >= 200).then_some(head);
                }
                Ok(httparse::Status::Partial) => return Ok(None),
                Err(fault) => return Err(format!("not an HTTP/1 answer: {fault}")),
            }
        }
        Ok(self.head)
    }

    /// Takes whole chunks off the bytes; after the last one and its trailer says where the answer ends.
    fn read_chunks(&mut self) -> Result<Option<usize>, String> {
        loop {
            let rest = &self.bytes[self.at..];
            let (line, size) = match httparse::parse_chunk_size(rest) {
                Ok(httparse::Status::Complete((line, size))) => (line, size),
                Ok(httparse::Status::Partial) => return Ok(None),
                Err(_) => return Err("a chunk's size is not a number".into()),
            };
            if size == 0 {
                return Ok(trailer_bytes(&rest[line..])?.map(|trailer| self.at + line + trailer));
            }
            let size = usize::try_from(size).map_err(|_| "a chunk is too long".to_owned())?;
            let end = line.saturating_add(size);
            let Some(close) = rest.get(end..end.saturating_add(2)) else { return Ok(None) };
            if close != b"\r\n" {
                return Err("a chunk is longer than its size says".into());
            }
            self.chunks.extend_from_slice(&rest[line..end]);
            self.at += end + 2;
        }
    }
}

fn judge(answer: &httparse::Response<'_, '_>, bodiless: bool) -> Result<Head, String> {
    let status = answer.code.unwrap_or(0);
    let old = answer.version != Some(1);
    let (mut length, mut chunked, mut closes) = (None, false, old);
    for field in answer.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let stated = read_length(field.value).ok_or("Content-Length is not a number")?;
            if length.is_some_and(|before| before != stated) {
                return Err("the answer has two lengths".into());
            }
            length = Some(stated);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if !field.value.eq_ignore_ascii_case(b"chunked") || chunked {
                return Err("a transfer coding other than chunked".into());
            }
            chunked = true;
        } else if field.name.eq_ignore_ascii_case("connection") {
            closes = says(field.value, "close") || (old && !says(field.value, "keep-alive"));
        }
    }
    let framing = match (length, chunked) {
        (Some(_), true) => return Err("the answer is chunked and states a length".into()),
        _ if bodiless || status < 200 || status == 204 || status == 304 => Framing::Length(0),
        (Some(length), false) => Framing::Length(length),
        (None, true) => Framing::Chunked,
        (None, false) => Framing::UntilClose,
    };
    Ok(Head { status, framing, closes })
}

fn read_length(value: &[u8]) -> Option<usize> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(value).ok()?.parse().ok() } else { None }
}

fn says(value: &[u8], word: &str) -> bool {
    value.split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// How long the trailer section is, with the empty line that ends it.
fn trailer_bytes(rest: &[u8]) -> Result<Option<usize>, String> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(rest, &mut fields) {
        Ok(httparse::Status::Complete((length, _))) => Ok(Some(length)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(fault) => Err(format!("broken trailer: {fault}")),
    }
}

#[cfg(test)]
mod tests;
