//! In:     a connection with one parsed head.
//! Out:    the request's body decoded; the answer's head, body and end as bytes of HTTP/1.
//! Actors: the task of the connection.
//! Never:  is a connection used again whose request was not read to its end.

use crate::body::piece::Piece;
use crate::http::exchange::Wire;
use crate::http1::connection::Connection;
use crate::socket::stream::Stream;
use hallway_core::fields::Fields;
use hallway_core::head::{Framing, Version};
use hallway_core::http1::{
    AnswerBody, AnswerLine, CHUNK_END, Chunked, put_answer_head, put_chunk_start, put_informational, put_last_chunk,
};
use hallway_core::semantics::AnswerHead;
use hallway_core::{Fault, Head};

/// Pieces up to this length are copied behind the head; longer ones, and those that nothing stands beside, are written from
/// where they are.
const COPY_BYTES_MAX: usize = 8 * 1024;

/// What a client gets whose request a stop has ended.
const CUT: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// What is left of the request body.
enum Rest {
    Done,
    Length(u64),
    Chunked(Chunked),
}

/// One exchange on an HTTP/1 connection.
pub(super) struct Http1<'c> {
    connection: &'c mut Connection,
    rest: Rest,
    awaits_continue: bool,
    is_http10: bool,
    close: bool,
    body: AnswerBody,
    takes_trailers: bool,
    /// What stood behind the request's body.
    request_trailers: Fields,
    /// What is to stand behind the answer's.
    trailers: Fields,
    can_upgrade: bool,
    begun: bool,
    ended: bool,
}

impl<'c> Http1<'c> {
    pub(super) fn new(connection: &'c mut Connection, head: &Head) -> Self {
        let rest = match head.framing {
            Framing::None => Rest::Done,
            Framing::Length(bytes) => Rest::Length(bytes),
            Framing::Chunked => Rest::Chunked(Chunked::default()),
        };
        Http1 {
            connection,
            rest,
            awaits_continue: head.expects_continue,
            is_http10: head.version == Version::Http10,
            close: !head.keep_alive,
            body: AnswerBody::Absent,
            takes_trailers: head.takes_trailers(),
            request_trailers: Fields::default(),
            trailers: Fields::default(),
            can_upgrade: head.wants_upgrade(),
            begun: false,
            ended: false,
        }
    }

    /// Whether the connection can carry another request.
    pub(super) fn is_reusable(&self) -> bool {
        self.ended && !self.close && matches!(self.rest, Rest::Done)
    }

    /// Whether an answer that only its close could end was not whole.
    pub(super) fn is_cut_short(&self) -> bool {
        self.begun && !self.ended && self.body == AnswerBody::UntilClose
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn leaves_bytes(&self) -> bool {
        self.ended && (!matches!(self.rest, Rest::Done) || !self.connection.unused().is_empty())
    }

    /// What a client sent behind a head that cannot be read has no known end.
    pub(super) fn distrust_input(&mut self) {
        self.rest = Rest::Length(u64::MAX);
    }
}

impl Wire for Http1<'_> {
    async fn read_body(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault> {
        const CUT: Fault = Fault::BadRequest("The request body ends before its length.");
        if matches!(self.rest, Rest::Done) {
            return Ok(false);
        }
        if std::mem::take(&mut self.awaits_continue) && self.connection.unused().is_empty() {
            self.connection.flush_with(b"HTTP/1.1 100 Continue\r\n\r\n", b"").await?;
        }
        match &mut self.rest {
            Rest::Done => {}
            Rest::Length(left) => {
                let ready = self.connection.unused();
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(ready.len());
                let bytes = if take > 0 {
                    into.extend_from_slice(&ready[..take]);
                    self.connection.consume(take);
                    take
                } else {
                    self.connection.read_into(into, *left).await?
                };
                if bytes == 0 {
                    return Err(CUT);
                }
                *left -= bytes as u64;
                if *left == 0 {
                    self.rest = Rest::Done;
                }
            }
            Rest::Chunked(chunked) => {
                if self.connection.unused().is_empty() && self.connection.fill_body().await? == 0 {
                    return Err(CUT);
                }
                let progress = chunked.decode(self.connection.unused(), into)?;
                self.connection.consume(progress.used);
                if progress.ended {
                    self.request_trailers = chunked.trailers();
                    self.rest = Rest::Done;
                }
            }
        }
        Ok(true)
    }

    fn trailers(&mut self) -> Fields {
        std::mem::take(&mut self.request_trailers)
    }

    async fn inform(&mut self, status: u16, fields: &Fields) -> Result<(), Fault> {
        if self.is_http10 {
            return Ok(());
        }
        self.connection.prepare_out();
        put_informational(&mut self.connection.out, status, fields);
        self.connection.flush_with(b"", b"").await
    }

    fn can_upgrade(&self) -> bool {
        self.can_upgrade && !self.connection.is_draining()
    }

    async fn tunnel(&mut self, server: &mut Stream, before: Vec<u8>, silence_ms: u64) {
        self.close = true;
        self.connection.join(server, before, silence_ms).await;
    }

    fn trail(&mut self, trailers: Fields) {
        if self.takes_trailers {
            self.trailers = trailers;
        }
    }

    async fn gone(&mut self) {
        self.connection.await_end().await;
    }

    fn cut(&mut self) {
        if !self.begun {
            self.connection.say_at_once(CUT);
        }
    }

    fn begin(&mut self, answer: &AnswerHead, body: AnswerBody) {
        let ends_anyway = self.connection.is_draining() || body == AnswerBody::UntilClose;
        self.close |= ends_anyway || !matches!(self.rest, Rest::Done);
        (self.body, self.begun) = (body, true);
        let line = AnswerLine {
            status: answer.status,
            reason: &answer.reason,
            close: self.close,
            say_keep_alive: self.is_http10,
        };
        self.connection.prepare_out();
        put_answer_head(&mut self.connection.out, line, &answer.fields, body);
    }

    async fn send(&mut self, piece: &Piece, last: bool) -> Result<(), Fault> {
        let chunked = self.body == AnswerBody::Chunked;
        let mut tail = &b""[..];
        if chunked && !piece.is_empty() {
            put_chunk_start(&mut self.connection.out, piece.len());
            tail = CHUNK_END;
        }
        if let Piece::File { file, range } = piece {
            self.connection.send_file(file, range.clone()).await?;
            self.connection.out.extend_from_slice(tail);
            if chunked && last {
                put_last_chunk(&mut self.connection.out, &self.trailers);
            }
            self.connection.flush_with(b"", b"").await?;
            self.ended = last;
            return Ok(());
        }
        let piece = piece.bytes();
        let is_alone = self.connection.out.is_empty() && !chunked && !piece.is_empty();
        if piece.len() <= COPY_BYTES_MAX && !is_alone {
            let out = &mut self.connection.out;
            out.extend_from_slice(piece);
            out.extend_from_slice(tail);
            if chunked && last {
                put_last_chunk(out, &self.trailers);
            }
            self.connection.flush_with(b"", b"").await?;
        } else {
            self.connection.flush_with(piece, tail).await?;
            if chunked && last {
                put_last_chunk(&mut self.connection.out, &self.trailers);
                self.connection.flush_with(b"", b"").await?;
            }
        }
        self.ended = last;
        Ok(())
    }
}
