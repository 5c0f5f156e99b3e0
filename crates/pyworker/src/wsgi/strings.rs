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
    /// Whether this request may have had it before, in any spelling of its name.
    pub(super) may_be_had: bool,
}

/// Lines of a request whose names are expected where they were before.
const LINES_MAX: usize = 64;

/// What is remembered of a header's name.
struct Known {
    /// As it came.
    name: Vec<u8>,
    text: Py<PyString>,
    repeats: bool,
    /// Where `last` has the text.
    place: usize,
}

/// Strings that requests have in common.
pub(super) struct Strings {
    // Bounded, so that names that were chosen to collide cost no more than a walk of these.
    known: Vec<Known>,
    /// Where `known` has a name.
    places: HashMap<Vec<u8>, usize, RandomState>,
    /// Where `known` has the name of each line of the request before: a client asks with the same ones in the same order.
    expected: Vec<usize>,
    /// The line that comes next.
    line: usize,
    /// Each value has one place; the last one that belongs there has it. So what comes often is
    /// there, whatever else comes by.
    values: Vec<Option<Value>>,
    hash: RandomState,
    /// The number of this request, and for each text of a key that of the last one that had it.
    asked: u64,
    last: Vec<u64>,
    /// Whether this request has had a name that is not remembered.
    is_unsure: bool,
}

impl Strings {
    pub(super) fn new() -> Self {
        let values = std::iter::repeat_with(|| None).take(VALUES_MAX).collect();
        let (places, hash) = (HashMap::default(), RandomState::default());
        let (known, expected, last) = (Vec::new(), Vec::new(), Vec::new());
        Strings { known, places, expected, line: 0, values, hash, asked: 0, last, is_unsure: false }
    }

    /// Another request begins.
    pub(super) fn begin(&mut self) {
        (self.asked, self.line, self.is_unsure) = (self.asked + 1, 0, false);
    }

    /// The environ's key for a header: `HTTP_ACCEPT`, or `CONTENT_TYPE` without a prefix.
    pub(super) fn key(&mut self, py: Python<'_>, raw_name: &[u8]) -> Key {
        if let Some(key) = self.find(raw_name).and_then(|at| self.known.get(at)) {
            let last = self.last.get_mut(key.place).map(|last| std::mem::replace(last, self.asked));
            let may_be_had = self.is_unsure || last == Some(self.asked);
            return Key { text: key.text.clone_ref(py), repeats: key.repeats, may_be_had };
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
        if self.known.len() >= NAMES_MAX {
            // Interned strings may live for ever, and a client chooses these names.
            self.is_unsure = true;
            return Key { text: PyString::new(py, &text).unbind(), repeats, may_be_had: true };
        }
        let text = PyString::intern(py, &text).unbind();
        // Another spelling of the same name has the same place.
        let same = self.known.iter().find(|known| known.text.is(&text)).map(|known| known.place);
        let place = same.unwrap_or(self.last.len());
        if same.is_none() {
            self.last.push(0);
        }
        self.last[place] = self.asked;
        self.places.insert(raw_name.to_vec(), self.known.len());
        self.known.push(Known { name: raw_name.to_vec(), text: text.clone_ref(py), repeats, place });
        Key { text, repeats, may_be_had: true }
    }

    /// Where `known` has the name of this line.
    fn find(&mut self, raw_name: &[u8]) -> Option<usize> {
        let line = self.line;
        self.line += 1;
        let expected = self.expected.get(line).copied();
        if expected.and_then(|at| self.known.get(at)).is_some_and(|known| known.name == raw_name) {
            return expected;
        }
        let found = self.places.get(raw_name).copied()?;
        if line < LINES_MAX {
            let lines = self.expected.len().max(line + 1);
            self.expected.resize(lines, found);
            self.expected[line] = found;
        }
        Some(found)
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
