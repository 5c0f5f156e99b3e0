//! In:     `start_response`, `write`, pieces of the body.
//! Out:    frames of the answer, in the order in which PEP 3333 has them sent.
//! Actors: Python's main thread.
//! Never:  is a head sent before the first piece of the body, or the end; never twice.

use super::misuse;
use crate::lanes::{Lanes, Outbound};
use hallway_core::lane::{
    ANSWER_HEAD_BYTES_MAX, CREDIT_BYTES, PIECE_BYTES_MAX, mark_last, mark_length, put_abort, put_answer_line,
    put_answer_start, put_done, put_file, put_piece,
};
use pyo3::exceptions::{PyBrokenPipeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Room for the head of an answer, before it has to grow.
const USUAL_START_BYTES: usize = 512;

/// The answer to one request while it is made.
pub(super) struct Reply {
    ticket: u64,
    /// Which of the streams of this worker the answer is.
    stream: u16,
    lanes: Arc<Lanes>,
    outbound: Arc<Outbound>,
    /// Bytes of its body that were sent.
    sent_bytes: u64,
    /// The frame of the head; empty until `start_response`.
    start: Vec<u8>,
    is_started: bool,
    is_sent: bool,
    is_over: bool,
    /// Whether the edge knows that this worker's slot is free.
    is_freed: bool,
    /// Whether the client or the edge is gone.
    is_unheard: bool,
}

impl Reply {
    pub(super) fn new((ticket, stream): (u64, u16), (lanes, outbound): (Arc<Lanes>, Arc<Outbound>)) -> Self {
        let (is_started, is_sent, is_over, is_freed, is_unheard) = (false, false, false, false, false);
        let (sent_bytes, start) = (0, Vec::new());
        Reply { ticket, stream, lanes, outbound, sent_bytes, start, is_started, is_sent, is_over, is_freed, is_unheard }
    }

    /// Notes status and headers; checks all that the edge would have to refuse.
    fn begin(&mut self, status: &Bound<'_, PyString>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        // PEP 3333 wants a list; what other servers take is taken, too. A subclass may have its own iterator.
        let headers = match headers.cast_exact::<PyList>() {
            Ok(list) => list.clone(),
            Err(_) => headers.py().get_type::<PyList>().call1((headers,))?.cast_into()?,
        };
        let line = status.to_str()?;
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok()).filter(|code| *code >= 100);
        let (Some(code), Some(reason)) = (code, line.get(3..)) else {
            return Err(PyValueError::new_err(format!("the status must begin with three digits: {line:?}")));
        };
        let too_long = || PyValueError::new_err(format!("the headers are longer than {ANSWER_HEAD_BYTES_MAX} bytes"));
        let lines = u16::try_from(headers.len()).map_err(|_| too_long())?;
        let mut start = Vec::with_capacity(USUAL_START_BYTES);
        let reason = latin1_of(reason.trim(), "the status")?;
        if !hallway_core::fields::is_value(&reason) {
            return Err(PyValueError::new_err(format!("the status has a character that cannot be sent: {line:?}")));
        }
        put_answer_start(&mut start, (self.ticket, self.stream), (code, &reason), lines);
        for pair in headers.iter() {
            put_header(&mut start, &pair)?;
        }
        if start.len() > ANSWER_HEAD_BYTES_MAX {
            return Err(too_long());
        }
        self.start = start;
        self.is_started = true;
        Ok(())
    }

    /// Sends a piece of the body; the head before it, if that was not sent. `false` when nobody
    /// waits for it any more.
    pub(super) fn send(&mut self, py: Python<'_>, body: &[u8]) -> PyResult<bool> {
        self.send_frames(py, body, None)
    }

    /// Whether there is a head that was not sent.
    pub(super) fn holds_head(&self) -> bool {
        self.is_started && !self.is_sent
    }

    /// Sends the last piece, which may be empty, and with it the end. Where nothing was sent before,
    /// this is the whole body, and its length is told with the head. `frees` says whether the
    /// worker has nothing left to do for this request.
    pub(super) fn send_last(&mut self, py: Python<'_>, body: &[u8], frees: bool) -> PyResult<()> {
        if !self.is_sent {
            mark_length(&mut self.start, body.len() as u64);
        }
        self.is_freed = frees;
        self.send_frames(py, body, Some(frees)).map(drop)
    }

    /// `end` is nothing while more is to come, else whether the slot is free with it.
    fn send_frames(&mut self, py: Python<'_>, body: &[u8], end: Option<bool>) -> PyResult<bool> {
        if !self.is_started {
            return Err(misuse("the application did not call start_response before its body"));
        }
        if self.is_over {
            return Err(misuse("the answer has ended; nothing can be written to it any more"));
        }
        self.is_over = end.is_some();
        let mut rest = body;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(PIECE_BYTES_MAX));
            rest = after;
            self.send_one(py, piece, end.filter(|_| rest.is_empty()));
            if rest.is_empty() || self.is_unheard {
                return Ok(!self.is_unheard);
            }
        }
    }

    fn send_one(&mut self, py: Python<'_>, piece: &[u8], end: Option<bool>) {
        let mut head = std::mem::take(&mut self.start);
        if self.is_sent {
            self.is_unheard |= self.outbound.is_cancelled(self.ticket);
            head.clear();
            put_piece(&mut head, self.ticket);
        }
        let (mut piece, until) = (piece, self.sent_bytes + piece.len() as u64);
        if until > CREDIT_BYTES && !self.is_unheard {
            self.is_unheard |= !self.outbound.await_credit(py, (self.stream, self.ticket), until);
        }
        if self.is_unheard {
            if end.is_none() {
                return;
            }
            piece = b"";
        }
        self.sent_bytes += piece.len() as u64;
        if let Some(frees) = end {
            mark_last(&mut head, frees);
        }
        self.is_sent = true;
        self.is_unheard |= !self.outbound.send(py, &head, piece);
    }

    /// Sends a part of a file as the rest of the body; `false` when it has to be sent as bytes. Where
    /// nothing was sent before, this is the whole body, and its length is told with the head.
    pub(super) fn send_file(&mut self, py: Python<'_>, file: &OwnedFd, part: (u64, u64)) -> PyResult<bool> {
        if !self.is_started || self.is_over || !self.lanes.send_file(self.ticket, file.as_fd()) {
            return Ok(false);
        }
        if !self.is_sent {
            mark_length(&mut self.start, part.1);
            self.send_one(py, b"", None);
        }
        let mut frame = Vec::new();
        put_file(&mut frame, self.ticket, part);
        self.is_over = true;
        self.is_unheard |= !self.outbound.send(py, &frame, b"");
        Ok(true)
    }

    /// Says that the worker is done with this request: after an answer that was whole, that its slot
    /// is free; otherwise that there will be no answer, or no more of it.
    pub(super) fn finish(&mut self, py: Python<'_>) {
        let mut frame = Vec::new();
        match (self.is_over, self.is_freed) {
            (true, true) => return,
            (true, false) => put_done(&mut frame, self.ticket),
            (false, _) => put_abort(&mut frame, self.ticket),
        }
        (self.is_over, self.is_freed) = (true, true);
        self.outbound.send(py, &frame, b"");
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_unheard(&self) -> bool {
        self.is_unheard
    }
}

/// Appends one header as bytes of Latin-1.
fn put_header(start: &mut Vec<u8>, pair: &Bound<'_, PyAny>) -> PyResult<()> {
    let listed;
    let fields = match pair.cast::<PyTuple>() {
        Ok(tuple) => tuple,
        Err(_) if pair.is_instance_of::<PyList>() => {
            listed = pair.cast::<PyList>()?.to_tuple();
            &listed
        }
        _ => return Err(no_header(pair)?),
    };
    if fields.len() != 2 {
        return Err(no_header(pair)?);
    }
    let (name, value) = (fields.get_borrowed_item(0)?, fields.get_borrowed_item(1)?);
    let (Ok(name), Ok(value)) = (name.cast::<PyString>(), value.cast::<PyString>()) else {
        return Err(no_header(pair)?);
    };
    let (name, value) = (latin1_bytes(&name)?, latin1_bytes(&value)?);
    let is_sound = hallway_core::fields::is_token(&name) && hallway_core::fields::is_value(&value);
    if !is_sound {
        return Err(PyValueError::new_err(format!("a header has a character that cannot be sent: {}", pair.repr()?)));
    }
    put_answer_line(start, &name, &value);
    Ok(())
}

fn no_header(pair: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    Ok(PyTypeError::new_err(format!("a header must be a tuple of two strings, not {}", pair.repr()?)))
}

fn latin1_bytes<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    latin1_of(text.to_str()?, "a header")
}

fn latin1_of<'a>(utf8: &'a str, what: &str) -> PyResult<Cow<'a, [u8]>> {
    if utf8.is_ascii() {
        return Ok(Cow::Borrowed(utf8.as_bytes()));
    }
    let narrow = |character| u8::try_from(u32::from(character));
    let bytes: Result<Vec<u8>, _> = utf8.chars().map(narrow).collect();
    bytes
        .map(Cow::Owned)
        .map_err(|_| PyValueError::new_err(format!("{what} has a character outside Latin-1: {utf8:?}")))
}

/// What the application is given as `start_response`.
#[pyclass(frozen)]
pub(super) struct StartResponse {
    reply: Mutex<Reply>,
}

impl StartResponse {
    pub(super) fn new(reply: Reply) -> Self {
        StartResponse { reply: Mutex::new(reply) }
    }

    /// The answer, for this thread alone. Another thread of the application may hold it while it
    /// waits for the edge, so the interpreter's lock is let go while this one waits.
    pub(super) fn reply<'a>(&'a self, py: Python<'_>) -> MutexGuard<'a, Reply> {
        self.reply.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl StartResponse {
    /// PEP 3333 names what `response_headers` is, the servers of others call it `headers`.
    #[pyo3(signature = (status, headers = None, exc_info = None, *, response_headers = None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyString>,
        headers: Option<&Bound<'py, PyAny>>,
        exc_info: Option<&Bound<'py, PyAny>>,
        response_headers: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let headers =
            headers.or(response_headers).ok_or_else(|| PyTypeError::new_err("start_response takes headers"))?;
        let mut reply = slf.get().reply(py);
        match exc_info {
            Some(error) if reply.is_sent => {
                // Too late for another head: the application gets its own exception back.
                let error: (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>) = error.extract()?;
                return Err(PyErr::from_value(error.1));
            }
            None if reply.is_started => return Err(misuse("start_response was called twice without exc_info")),
            _ => {}
        }
        reply.begin(status, headers)?;
        drop(reply);
        slf.getattr(intern!(py, "write"))
    }

    /// The old way to send a body (PEP 3333, "The write() Callable").
    fn write(&self, py: Python<'_>, body: &Bound<'_, PyBytes>) -> PyResult<()> {
        if self.reply(py).send(py, body.as_bytes())? {
            return Ok(());
        }
        Err(PyBrokenPipeError::new_err("the client has left"))
    }
}
