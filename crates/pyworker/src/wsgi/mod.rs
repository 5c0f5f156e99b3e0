//! In:     one request frame at a time.
//! Out:    the WSGI application called with it (PEP 3333), its answer sent.
//! Actors: Python's main thread.
//! Never:  does an exception of the application end the worker, or `close()` stay uncalled.

mod environ;
mod file_wrapper;
mod reply;
mod strings;

use crate::lanes::{Lanes, Outbound};
use environ::EnvironMaker;
use file_wrapper::FileWrapper;
use hallway_core::lane::{PIECE_BYTES_MAX, RequestFrame};
use pyo3::exceptions::{PyBrokenPipeError, PyException, PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use reply::{Reply, StartResponse};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// What there are several of: what environs say of that.
#[derive(Clone, Copy)]
pub(crate) struct Multiples {
    pub(crate) threads: bool,
    pub(crate) processes: bool,
}

/// One request, ready to be answered.
pub(crate) struct Call<'py> {
    environ: PyResult<Bound<'py, PyDict>>,
    start: Bound<'py, StartResponse>,
    /// The file of its body, where it has one.
    spooled: Option<Bound<'py, PyAny>>,
}

/// Calls one application.
pub(crate) struct Caller {
    app: Py<PyAny>,
    environs: Mutex<EnvironMaker>,
}

impl Caller {
    pub(crate) fn new(py: Python<'_>, app: Bound<'_, PyAny>, kind: Multiples) -> PyResult<Self> {
        if !app.is_callable() {
            return Err(PyTypeError::new_err(format!("the application is not callable: {}", app.repr()?)));
        }
        Ok(Caller { app: app.unbind(), environs: Mutex::new(EnvironMaker::new(py, kind)?) })
    }

    /// Makes of a frame what the application is called with, whose answer is this stream of the lanes. After this the frame
    /// is not needed.
    ///
    /// # Errors
    /// When Python has no memory.
    pub(crate) fn prepare<'py>(
        &self,
        py: Python<'py>,
        frame: &RequestFrame<'_>,
        file: Option<OwnedFd>,
        (stream, lanes): (u16, (Arc<Lanes>, Arc<Outbound>)),
    ) -> PyResult<Call<'py>> {
        let start = Bound::new(py, StartResponse::new(Reply::new((frame.ticket, stream), lanes)))?;
        let environ = self.environs.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).make(py, frame, file);
        let spooled = match &environ {
            Ok(environ) if frame.body_in_file => environ.get_item(intern!(py, "wsgi.input"))?,
            _ => None,
        };
        Ok(Call { environ, start, spooled })
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Only for what must end the worker: `SystemExit`, `KeyboardInterrupt` and their like.
    pub(crate) fn call(&self, py: Python<'_>, call: Call<'_>) -> PyResult<()> {
        let Call { environ, start, spooled } = call;
        let said = environ.as_ref().ok().cloned();
        let outcome = environ.and_then(|environ| self.run(py, environ, &start));
        if let Some(file) = spooled {
            // What the application keeps of it (a traceback, a cycle) does not keep the disk full.
            let _ = file.call_method0(intern!(py, "close"));
        }
        start.get().reply(py).finish(py);
        let Err(error) = outcome else { return Ok(()) };
        let is_unheard = start.get().reply(py).is_unheard() && error.is_instance_of::<PyBrokenPipeError>(py);
        if !is_unheard {
            tell(py, said.as_ref(), &error);
        }
        if error.is_instance_of::<PyException>(py) { Ok(()) } else { Err(error) }
    }

    fn run(&self, py: Python<'_>, environ: Bound<'_, PyDict>, start: &Bound<'_, StartResponse>) -> PyResult<()> {
        let body = self.app.bind(py).call1((environ, start))?;
        let is_plain = body.is_exact_instance_of::<PyList>() || body.is_exact_instance_of::<PyTuple>();
        // Those have no close(), and Python makes an exception to say so.
        let close = if is_plain { None } else { body.getattr_opt(intern!(py, "close"))? };
        let sent = send_body(py, start.get(), &body, close.is_none());
        // PEP 3333: close() is called however the request ends. The answer does not wait for it, but
        // the worker's next request does.
        if let Some(close) = close {
            let closed = close.call0();
            sent?;
            closed?;
            return Ok(());
        }
        sent
    }
}

/// Writes the request and the traceback of what went wrong with it through Python's own stream, as
/// one text, so that those of several threads do not mix.
fn tell(py: Python<'_>, environ: Option<&Bound<'_, PyDict>>, error: &PyErr) {
    let said = |key| environ.and_then(|environ| environ.get_item(key).ok().flatten()).map(|text| text.to_string());
    let part = |key| said(key).unwrap_or_default();
    let (method, path) = (part("REQUEST_METHOD"), part("SCRIPT_NAME") + &part("PATH_INFO"));
    let written = py.import("traceback").and_then(|traceback| {
        let whole = (error.get_type(py), error.value(py), error.traceback(py));
        let lines = traceback.call_method1("format_exception", whole)?;
        let trace: Vec<String> = lines.extract()?;
        let text = format!("hallway: {method} {path} ({}) failed:\n{}", part("HTTP_X_REQUEST_ID"), trace.concat());
        py.import("sys")?.getattr("stderr")?.call_method1("write", (text,))
    });
    if written.is_err() {
        // The application has taken Python's stream away; the process's own is left.
        let _ = writeln!(std::io::stderr(), "hallway: {method} {path} failed: {error}");
    }
}

/// Sends what the application returned, until nobody waits for it any more.
fn send_body(py: Python<'_>, start: &StartResponse, body: &Bound<'_, PyAny>, frees: bool) -> PyResult<()> {
    if let Some(whole) = whole_body(body)? {
        return start.reply(py).send_last(py, whole.as_bytes(), frees);
    }
    if let Ok(wrapper) = body.cast_exact::<FileWrapper>()
        && let Some((file, part)) = wrapper.get().part(py)?
        && start.reply(py).send_file(py, &file, part)?
    {
        return Ok(());
    }
    for piece in body.try_iter()? {
        let piece = piece?;
        let piece = bytes_of(&piece)?;
        let mut reply = start.reply(py);
        // An empty piece says nothing, but the first one that the head may go (as wsgiref's handlers have it).
        if (!piece.as_bytes().is_empty() || reply.holds_head()) && !reply.send(py, piece.as_bytes())? {
            return Ok(());
        }
    }
    start.reply(py).send_last(py, b"", frees)
}

/// The body in one piece, where the application gave a list or tuple that is short enough: then
/// its length is known before anything is sent.
fn whole_body<'py>(body: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let pieces: Vec<Bound<'py, PyAny>> = if let Ok(list) = body.cast_exact::<PyList>() {
        if list.len() == 1 {
            return Ok(Some(bytes_of(&list.get_item(0)?)?.clone()));
        }
        list.iter().collect()
    } else if let Ok(tuple) = body.cast_exact::<PyTuple>() {
        tuple.iter().collect()
    } else {
        return Ok(None);
    };
    match &pieces[..] {
        [] => Ok(Some(PyBytes::new(body.py(), b""))),
        [only] => Ok(Some(bytes_of(only)?.clone())),
        several => {
            let mut whole = Vec::new();
            for piece in several {
                whole.extend_from_slice(bytes_of(piece)?.as_bytes());
                if whole.len() > PIECE_BYTES_MAX {
                    return Ok(None);
                }
            }
            Ok(Some(PyBytes::new(body.py(), &whole)))
        }
    }
}

fn bytes_of<'a, 'py>(piece: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyBytes>> {
    piece.cast::<PyBytes>().map_err(|_| {
        let kind = piece.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
        PyTypeError::new_err(format!("the application's body must be bytes, not {kind}"))
    })
}

/// What an application did against PEP 3333.
fn misuse(what: &'static str) -> PyErr {
    PyRuntimeError::new_err(what)
}
