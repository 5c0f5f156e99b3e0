//! In:     a request frame, and the file of its body where it has one.
//! Out:    the environ of PEP 3333.
//! Actors: Python's main thread.
//! Never:  does a client's header set a key other than its own `HTTP_…`.

use super::Multiples;
use super::file_wrapper::FileWrapper;
use super::strings::{Strings, latin1};
use hallway_core::head::Version;
use hallway_core::lane::RequestFrame;
use hallway_core::route::{origin_form, percent_decode};
use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use std::os::fd::{IntoRawFd, OwnedFd};

/// Makes environs; what is the same in all of them is made once.
pub(super) struct EnvironMaker {
    /// The keys that every environ has with the same value.
    base: Py<PyDict>,
    keys: Keys,
    strings: Strings,
    bytes_io: Py<PyAny>,
    open: Py<PyAny>,
}

macro_rules! keys {
    ($($field:ident = $text:literal),* $(,)?) => {
        struct Keys { $($field: Py<PyString>),* }
        impl Keys {
            fn new(py: Python<'_>) -> Self {
                Keys { $($field: PyString::intern(py, $text).unbind()),* }
            }
        }
    };
}

keys! {
    request_method = "REQUEST_METHOD",
    script_name = "SCRIPT_NAME",
    path_info = "PATH_INFO",
    query_string = "QUERY_STRING",
    request_uri = "REQUEST_URI",
    raw_uri = "RAW_URI",
    remote_addr = "REMOTE_ADDR",
    remote_port = "REMOTE_PORT",
    server_name = "SERVER_NAME",
    server_port = "SERVER_PORT",
    server_protocol = "SERVER_PROTOCOL",
    url_scheme = "wsgi.url_scheme",
    input = "wsgi.input",
    content_length = "CONTENT_LENGTH",
    cookie = "HTTP_COOKIE",
}

impl EnvironMaker {
    pub(super) fn new(py: Python<'_>, kind: Multiples) -> PyResult<Self> {
        let base = PyDict::new(py);
        base.set_item("wsgi.version", (1, 0))?;
        base.set_item("wsgi.errors", py.import("sys")?.getattr("stderr")?)?;
        base.set_item("wsgi.multithread", kind.threads)?;
        base.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        base.set_item("wsgi.multiprocess", kind.processes)?;
        base.set_item("wsgi.run_once", false)?;
        // The input ends where the body does: no reader has to count.
        base.set_item("wsgi.input_terminated", true)?;
        base.set_item("SCRIPT_NAME", "")?;
        base.set_item("QUERY_STRING", "")?;
        base.set_item("SERVER_PROTOCOL", "HTTP/1.1")?;
        base.set_item("wsgi.url_scheme", "http")?;
        base.set_item("SERVER_SOFTWARE", concat!("hallway/", env!("CARGO_PKG_VERSION")))?;
        let keys = Keys::new(py);
        reserve(&base, &keys)?;
        let io = py.import("io")?;
        Ok(EnvironMaker {
            base: base.unbind(),
            keys,
            strings: Strings::new(),
            bytes_io: io.getattr("BytesIO")?.unbind(),
            open: io.getattr("open")?.unbind(),
        })
    }

    /// The environ of one request.
    pub(super) fn make<'py>(
        &mut self,
        py: Python<'py>,
        frame: &RequestFrame<'_>,
        file: Option<OwnedFd>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.base.bind(py).copy()?;
        let (keys, strings) = (&self.keys, &mut self.strings);
        let addresses = &frame.addresses;
        environ.set_item(&keys.request_method, strings.value(py, frame.method))?;
        if !frame.script.is_empty() {
            environ.set_item(&keys.script_name, latin1(py, &percent_decode(frame.script)))?;
        }
        let path = latin1(py, &percent_decode(frame.path));
        environ.set_item(&keys.path_info, &path)?;
        if !frame.query.is_empty() {
            environ.set_item(&keys.query_string, latin1(py, frame.query))?;
        }
        let is_path = frame.raw_target == frame.path && !frame.path.contains(&b'%');
        let raw = if is_path { path } else { latin1(py, frame.raw_target) };
        // With a scheme and a host before it, it is what CGI makes of it only without them.
        match frame.raw_target.starts_with(b"/") {
            true => environ.set_item(&keys.request_uri, &raw)?,
            false => environ.set_item(&keys.request_uri, latin1(py, &origin_form(frame.raw_target)))?,
        }
        environ.set_item(&keys.raw_uri, raw)?;
        environ.set_item(&keys.remote_addr, strings.value(py, addresses.peer_ip.as_bytes()))?;
        match addresses.peer_port {
            0 => environ.del_item(&keys.remote_port)?,
            port => environ.set_item(&keys.remote_port, strings.number(py, port.into()))?,
        }
        environ.set_item(&keys.server_name, strings.value(py, addresses.local_name.as_bytes()))?;
        environ.set_item(&keys.server_port, strings.number(py, addresses.local_port.into()))?;
        // What most requests have is in the base.
        match frame.version {
            Version::Http10 => environ.set_item(&keys.server_protocol, intern!(py, "HTTP/1.0"))?,
            Version::Http11 => {}
            Version::Http2 => environ.set_item(&keys.server_protocol, intern!(py, "HTTP/2.0"))?,
        }
        if addresses.https {
            environ.set_item(&keys.url_scheme, intern!(py, "https"))?;
        }
        if frame.body_bytes > 0 || matches!(frame.method, b"POST" | b"PUT" | b"PATCH") {
            environ.set_item(&keys.content_length, strings.number(py, frame.body_bytes))?;
        }
        for (name, value) in frame.variables {
            // Text of hallway's own, as its bytes.
            environ.set_item(latin1(py, name), strings.value(py, value))?;
        }
        self.put_headers(py, frame, &environ)?;
        environ.set_item(&self.keys.input, self.input(py, frame, file)?)?;
        Ok(environ)
    }

    /// Header lines with the same name are one value (RFC 9110, 5.3), cookies with their own separator.
    fn put_headers(&mut self, py: Python<'_>, frame: &RequestFrame<'_>, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        self.strings.begin();
        for (name, raw) in frame.lines {
            let key = self.strings.key(py, name);
            let value = if key.repeats { self.strings.value(py, raw) } else { latin1(py, raw) };
            // Nearly every name comes once: it is not looked up then.
            let before = if key.may_be_had { environ.get_item(&key.text)? } else { None };
            match before {
                None => environ.set_item(&key.text, value)?,
                Some(before) => {
                    let is_cookie = key.text.bind(py).as_any().eq(&self.keys.cookie)?;
                    let separator = if is_cookie { "; " } else { "," };
                    environ.set_item(&key.text, format!("{before}{separator}{value}"))?;
                }
            }
        }
        Ok(())
    }

    fn input<'py>(
        &self,
        py: Python<'py>,
        frame: &RequestFrame<'_>,
        file: Option<OwnedFd>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match file {
            Some(file) if frame.body_in_file => self.open.bind(py).call1((file.into_raw_fd(), "rb", PIECE)),
            None if frame.body_in_file => {
                Err(PyOSError::new_err("the request body's file did not arrive: this process has too many files open"))
            }
            _ => self.bytes_io.bind(py).call1((PyBytes::new(py, frame.body),)),
        }
    }
}

/// Puts what every request sets into the base, with nothing in it, and lets it grow once beyond that: a copy of it has
/// room for the headers then, and need not grow, which costs as much as half of the keys.
fn reserve(base: &Bound<'_, PyDict>, keys: &Keys) -> PyResult<()> {
    let py = base.py();
    for key in [
        &keys.request_method,
        &keys.path_info,
        &keys.request_uri,
        &keys.raw_uri,
        &keys.remote_addr,
        &keys.remote_port,
        &keys.server_name,
        &keys.server_port,
        &keys.input,
    ] {
        base.set_item(key, py.None())?;
    }
    // CPython's dictionary has room for 21 keys, or for 42.
    let spare = base.len()..USUAL_KEYS;
    spare.clone().try_for_each(|number| base.set_item(number, py.None()))?;
    spare.into_iter().try_for_each(|number| base.del_item(number))
}

/// As many as most requests have.
const USUAL_KEYS: usize = 22;

/// Bytes that Python reads of a body's file at a time.
const PIECE: usize = 64 * 1024;
