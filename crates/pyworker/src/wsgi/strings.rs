//! In:     bytes of requests.
//! Out:    Python strings, the same object again for what repeats.
//! Actors: Python's main thread.
//! Never:  does a client decide how much is remembered.

use foldhash::fast::RandomState;
use hallway_core::decimal::digits;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Values longer than this are made anew each time.
const VALUE_BYTES_MAX: usize = 128;
const NAMES_MAX: usize = 512;
const VALUES_MAX: usize = 1024;
/// A value as it came, and as Python has it.
type Value = (Box<[u8]>, Py<PyString>);

/// The key of a header in the environ, and whether its values are worth remembering.
pub(super) struct Key {
    pub(super) text: Py<PyString>,
    pub(super) repeats: bool,
}

/// Strings that requests have in common.
pub(super) struct Strings {
    // Bounded, so that names that were chosen to collide cost no more than a walk of these.
    keys: HashMap<Vec<u8>, Key, RandomState>,
    /// Each value has one place; the last one that belongs there has it. So what comes often is
    /// there, whatever else comes by.
    values: Vec<Option<Value>>,
    hash: RandomState,
}

impl Strings {
    pub(super) fn new() -> Self {
        let values = std::iter::repeat_with(|| None).take(VALUES_MAX).collect();
        Strings { keys: HashMap::default(), values, hash: RandomState::default() }
    }

    /// The environ's key for a header: `HTTP_ACCEPT`, or `CONTENT_TYPE` without a prefix.
    pub(super) fn key(&mut self, py: Python<'_>, raw_name: &[u8]) -> Key {
        if let Some(key) = self.keys.get(raw_name) {
            return Key { text: key.text.clone_ref(py), repeats: key.repeats };
        }
        let upper: String = raw_name
            .iter()
            .map(|byte| if *byte == b'-' { '_' } else { char::from(byte.to_ascii_uppercase()) })
            .collect();
        let text = if upper == "CONTENT_TYPE" { upper } else { format!("HTTP_{upper}") };
        let repeats = !matches!(
            &*text,
            "HTTP_X_REQUEST_ID" | "HTTP_X_REQUEST_START" | "HTTP_TRACEPARENT" | "HTTP_COOKIE" | "HTTP_REFERER"
        );
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
        let place = self.hash.hash_one(raw) as usize % VALUES_MAX;
        match &self.values[place] {
            Some((known, value)) if **known == *raw => value.bind(py).clone(),
            _ => {
                let value = latin1(py, raw);
                self.values[place] = Some((raw.into(), value.clone().unbind()));
                value
            }
        }
    }

    /// A number in decimal, which probably comes again.
    pub(super) fn number<'py>(&mut self, py: Python<'py>, number: u64) -> Bound<'py, PyString> {
        self.value(py, digits(number, &mut [0; 20]))
    }
}

/// Bytes as PEP 3333 has them in strings: each byte one character.
pub(super) fn latin1<'py>(py: Python<'py>, raw: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(raw) {
        Ok(text) if text.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &raw.iter().map(|byte| char::from(*byte)).collect::<String>()),
    }
}
