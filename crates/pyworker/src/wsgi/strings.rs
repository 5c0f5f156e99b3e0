//! In:     bytes of requests.
//! Out:    Python strings, the same object again for what repeats.
//! Actors: Python's main thread.
//! Never:  does a client decide how much is remembered.

use pyo3::prelude::*;
use pyo3::types::PyString;
use std::collections::HashMap;

/// Values longer than this are made anew each time.
const VALUE_BYTES_MAX: usize = 128;
const NAMES_MAX: usize = 512;
const VALUES_MAX: usize = 1024;

/// The key of a header in the environ, and whether its values are worth remembering.
pub(super) struct Key {
    pub(super) text: Py<PyString>,
    pub(super) repeats: bool,
}

/// Strings that requests have in common.
#[derive(Default)]
pub(super) struct Strings {
    keys: HashMap<Vec<u8>, Key>,
    values: HashMap<Vec<u8>, Py<PyString>>,
}

impl Strings {
    /// The environ's key for a header: `HTTP_ACCEPT`, or `CONTENT_TYPE` without a prefix. It is
    /// given to `with` together with this store, so that it need not be cloned.
    pub(super) fn key(&mut self, py: Python<'_>, raw_name: &[u8]) -> Key {
        if let Some(key) = self.keys.get(raw_name) {
            return Key { text: key.text.clone_ref(py), repeats: key.repeats };
        }
        let upper: String = raw_name
            .iter()
            .map(|byte| if *byte == b'-' { '_' } else { char::from(byte.to_ascii_uppercase()) })
            .collect();
        let text = if upper == "CONTENT_TYPE" { upper } else { format!("HTTP_{upper}") };
        let repeats = !matches!(&*text, "HTTP_X_REQUEST_ID" | "HTTP_X_REQUEST_START" | "HTTP_COOKIE" | "HTTP_REFERER");
        if self.keys.len() >= NAMES_MAX {
            // Interned strings may live for ever, and a client chooses these names.
            return Key { text: PyString::new(py, &text).unbind(), repeats };
        }
        let text = PyString::intern(py, &text).unbind();
        self.keys.insert(raw_name.to_vec(), Key { text: text.clone_ref(py), repeats });
        Key { text, repeats }
    }

    /// A string that probably comes again.
    pub(super) fn value<'py>(&mut self, py: Python<'py>, raw: &[u8]) -> Bound<'py, PyString> {
        if raw.len() > VALUE_BYTES_MAX {
            return latin1(py, raw);
        }
        if let Some(value) = self.values.get(raw) {
            return value.bind(py).clone();
        }
        let value = latin1(py, raw);
        if self.values.len() < VALUES_MAX {
            self.values.insert(raw.to_vec(), value.clone().unbind());
        }
        value
    }
}

/// Bytes as PEP 3333 has them in strings: each byte one character.
pub(super) fn latin1<'py>(py: Python<'py>, raw: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(raw) {
        Ok(text) if raw.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &raw.iter().map(|byte| char::from(*byte)).collect::<String>()),
    }
}
