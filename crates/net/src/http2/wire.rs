//! In:     a stream of an HTTP/2 connection with one request.
//! Out:    the request's body; the answer's head, body and end as frames.
//! Actors: the task of the request; the task of the connection sends.
//! Never:  is an answer that was cut taken for a whole one.

use crate::body::piece::Piece;
use crate::file::read::read_part;
use crate::file::stored::StoredFile;
use crate::http::exchange::Wire;
use crate::http2::Talk;
use crate::runtime::deadline::{Deadline, SWEEP};
use crate::socket::linger::{LINGER_BYTES_MAX, LINGER_MS};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use hallway_core::Fault;
use hallway_core::fields::{Field, Fields, Name};
use hallway_core::http1::AnswerBody;
use hallway_core::semantics::AnswerHead;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Poll, ready};

/// Bytes of a file that are read at a time, where there is room for them.
const FILE_BYTES: usize = 32 * 1024;

/// One exchange on a stream.
pub(super) struct Http2<'t> {
    talk: &'t Talk,
    deadline: Deadline,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    awaits_continue: bool,
    /// The head of the answer, until it is sent.
    head: Option<Response<()>>,
    /// The way for its body, once the head was sent.
    send: Option<SendStream<Bytes>>,
    ended: bool,
    /// What stood behind the request's body.
    request_trailers: Fields,
    /// What is to stand behind the answer's.
    trailers: Fields,
}

impl<'t> Http2<'t> {
    pub(super) fn new(talk: &'t Talk, body: RecvStream, respond: SendResponse<Bytes>, awaits_continue: bool) -> Self {
        let deadline = Deadline::new(&talk.event_loop.deadlines);
        let (request_trailers, trailers) = (Fields::default(), Fields::default());
        let (head, send, ended) = (None, None, false);
        Http2 { talk, deadline, body, respond, awaits_continue, head, send, ended, request_trailers, trailers }
    }

    /// Ends the stream of a request that is none.
    pub(super) fn refuse(&mut self) {
        self.respond.send_reset(Reason::PROTOCOL_ERROR);
        self.ended = true;
    }

    /// Ends the stream, if it has not ended; whether it was answered.
    pub(super) fn end(&mut self) -> bool {
        if !self.ended {
            match &mut self.send {
                Some(send) => send.send_reset(Reason::INTERNAL_ERROR),
                None => self.respond.send_reset(Reason::INTERNAL_ERROR),
            }
        }
        self.ended
    }

    /// Takes what the client still sends of a request that was answered, for a while: who has gone on sending has read the
    /// answer by then. What comes together with the reset that asks it to stop (RFC 9113, 8.1), some drop, as curl 7.88 does.
    pub(super) async fn take_rest(mut self) {
        let due_ms = self.due_ms(LINGER_MS);
        let (talk, body, mut taken) = (self.talk, &mut self.body, 0);
        let rest = poll_fn(|task| {
            while let Some(Ok(bytes)) = ready!(body.poll_data(task)) {
                talk.meter.note_payload(bytes.len() as u64);
                taken += bytes.len();
                if taken > LINGER_BYTES_MAX || talk.event_loop.draining.get() {
                    break;
                }
                let _ = body.flow_control().release_capacity(bytes.len());
            }
            Poll::Ready(())
        });
        let _ = self.deadline.until(due_ms, rest).await;
    }

    fn due_ms(&self, wait_ms: u64) -> u64 {
        self.talk.event_loop.clock.coarse_ms() + wait_ms + SWEEP.as_millis() as u64
    }

    /// Sends the head, and says whether a body follows.
    fn send_head(&mut self, is_all: bool) -> Result<(), Fault> {
        if let Some(head) = self.head.take() {
            self.send = Some(self.respond.send_response(head, is_all).map_err(|_| Fault::ClientGone)?);
        }
        Ok(())
    }

    /// Sends the last piece, and what stands behind the body (RFC 9113, 8.1).
    async fn send_with_trailers(&mut self, piece: &Piece) -> Result<(), Fault> {
        self.send_head(false)?;
        match piece {
            Piece::File { file, range } if !range.is_empty() => self.send_file(file, range.clone(), false).await?,
            _ => self.send_bytes(piece.to_bytes(), false).await?,
        }
        let mut lines = HeaderMap::new();
        put_lines(&mut lines, &std::mem::take(&mut self.trailers));
        let send = self.send.as_mut().ok_or(Fault::ClientGone)?;
        send.send_trailers(lines).map_err(|_| Fault::ClientGone)?;
        self.ended = true;
        Ok(())
    }

    /// Takes what stands behind the request's body, which has ended.
    async fn take_trailers(&mut self) -> Result<(), Fault> {
        let body = &mut self.body;
        let due_ms = self.talk.event_loop.clock.coarse_ms() + self.talk.event_loop.limits.get().body_timeout_ms;
        match self.deadline.until(due_ms, poll_fn(|task| body.poll_trailers(task))).await {
            Ok(Ok(trailers)) => {
                for (name, value) in trailers.iter().flatten() {
                    self.request_trailers.push(name.as_str().as_bytes(), value.as_bytes());
                }
                Ok(())
            }
            Ok(Err(_)) => Err(Fault::ClientGone),
            Err(_) => Err(Fault::RequestTimeout("The request body stopped coming.")),
        }
    }

    /// Waits until the client's window and our own take some of so many bytes; how many.
    async fn room(&mut self, wanted: usize) -> Result<usize, Fault> {
        let due_ms = self.due_ms(self.talk.event_loop.limits.get().write_timeout_ms);
        let Some(send) = &mut self.send else { return Err(Fault::ClientGone) };
        send.reserve_capacity(wanted);
        if send.capacity() > 0 {
            return Ok(send.capacity().min(wanted));
        }
        loop {
            match self.deadline.until(due_ms, poll_fn(|task| send.poll_capacity(task))).await {
                // The client has made its window smaller.
                Ok(Some(Ok(0))) => {}
                Ok(Some(Ok(room))) => return Ok(room.min(wanted)),
                _ => return Err(Fault::ClientGone),
            }
        }
    }

    fn put(&mut self, bytes: Bytes, last: bool) -> Result<(), Fault> {
        self.talk.meter.note_payload(bytes.len() as u64);
        let send = self.send.as_mut().ok_or(Fault::ClientGone)?;
        send.send_data(bytes, last).map_err(|_| Fault::ClientGone)
    }

    /// Sends bytes of the body as the client takes them.
    async fn send_bytes(&mut self, mut bytes: Bytes, last: bool) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let room = self.room(bytes.len()).await?;
            let part = bytes.split_to(room);
            let is_last = last && bytes.is_empty();
            self.put(part, is_last)?;
            if is_last {
                return Ok(());
            }
        }
        if last { self.put(bytes, true) } else { Ok(()) }
    }

    /// The same for a part of a file: nothing is read of it before there is room for it.
    async fn send_file(&mut self, file: &Arc<StoredFile>, range: Range<u64>, last: bool) -> Result<(), Fault> {
        let mut at = range.start;
        while at < range.end {
            let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(FILE_BYTES);
            let room = self.room(wanted).await? as u64;
            let bytes = read_part(file, at..at + room).await?;
            at += bytes.len() as u64;
            self.put(bytes.into(), last && at == range.end)?;
        }
        Ok(())
    }
}

impl Wire for Http2<'_> {
    async fn read_body(&mut self, into: &mut Vec<u8>) -> Result<bool, Fault> {
        if self.body.is_end_stream() {
            return Ok(false);
        }
        if std::mem::take(&mut self.awaits_continue) {
            let mut more = Response::new(());
            *more.status_mut() = StatusCode::CONTINUE;
            self.respond.send_informational(more).map_err(|_| Fault::ClientGone)?;
        }
        let due_ms = self.due_ms(self.talk.event_loop.limits.get().body_timeout_ms);
        let body = &mut self.body;
        match self.deadline.until(due_ms, poll_fn(|task| body.poll_data(task))).await {
            Ok(Some(Ok(bytes))) => {
                into.extend_from_slice(&bytes);
                self.talk.meter.note_payload(bytes.len() as u64);
                body.flow_control().release_capacity(bytes.len()).map_err(|_| Fault::ClientGone)?;
                Ok(true)
            }
            Ok(None) => {
                self.take_trailers().await?;
                Ok(false)
            }
            Ok(Some(Err(_))) => Err(Fault::ClientGone),
            Err(_) => Err(Fault::RequestTimeout("The request body stopped coming.")),
        }
    }

    fn trailers(&mut self) -> Fields {
        std::mem::take(&mut self.request_trailers)
    }

    async fn inform(&mut self, status: u16, fields: &Fields) -> Result<(), Fault> {
        let mut more = Response::new(());
        *more.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::PROCESSING);
        put_lines(more.headers_mut(), fields);
        self.respond.send_informational(more).map_err(|_| Fault::ClientGone)
    }

    fn trail(&mut self, trailers: Fields) {
        self.trailers = trailers;
    }

    async fn gone(&mut self) {
        poll_fn(|task| {
            let reset = ready!(self.respond.poll_reset(task));
            drop(reset);
            Poll::Ready(())
        })
        .await;
    }

    fn begin(&mut self, answer: &AnswerHead, body: AnswerBody) {
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let lines = head.headers_mut();
        lines.reserve(answer.fields.len() + 1);
        put_lines(lines, &answer.fields);
        if let AnswerBody::Length(bytes) = body {
            lines.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        self.head = Some(head);
    }

    async fn send(&mut self, piece: &Piece, last: bool) -> Result<(), Fault> {
        if last && !self.trailers.is_empty() {
            return self.send_with_trailers(piece).await;
        }
        let is_all = last && piece.is_empty();
        let is_first = self.head.is_some();
        self.send_head(is_all)?;
        match piece {
            Piece::File { file, range } if !range.is_empty() => self.send_file(file, range.clone(), last).await?,
            _ if is_all && is_first => {}
            _ => self.send_bytes(piece.to_bytes(), last).await?,
        }
        self.ended = last;
        Ok(())
    }
}

/// Takes lines over into the types of the engine.
fn put_lines(lines: &mut HeaderMap, fields: &Fields) {
    for field in fields.iter().filter(|field| !is_of_connection(field.name)) {
        if let (Some(name), Ok(mut value)) = (name_of(&field), HeaderValue::from_bytes(field.value)) {
            // No other answer has it: it would only push others out of the client's table (RFC 7541, 7.1.3).
            value.set_sensitive(field.name == Name::XRequestId);
            lines.append(name, value);
        }
    }
}

/// What every answer has is known already.
fn name_of(field: &Field<'_>) -> Option<HeaderName> {
    static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    Some(match field.name {
        Name::ContentType => header::CONTENT_TYPE,
        Name::Date => header::DATE,
        Name::Server => header::SERVER,
        Name::XRequestId => X_REQUEST_ID.clone(),
        _ => return HeaderName::from_bytes(field.raw_name).ok(),
    })
}

/// Fields that HTTP/2 does not have (RFC 9113, 8.2.2).
fn is_of_connection(name: Name) -> bool {
    matches!(name, Name::Connection | Name::KeepAlive | Name::ProxyConnection | Name::TransferEncoding | Name::Upgrade)
}
