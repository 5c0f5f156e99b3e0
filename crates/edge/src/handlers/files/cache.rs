//! In:     documents that were asked for.
//! Out:    the same again, looked at anew when they were not for a tenth of a second.
//! Actors: the event loop that owns the shelf.
//! Never:  does it hold more than its bounds, whatever clients ask for.

use crate::handlers::files::document::{Content, Document};
use hallway_net::runtime::event_loop::EventLoop;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Between two lines about the same file that may not be read.
const BETWEEN_WORDS_MS: u64 = 60_000;
/// Lines in that time: clients choose the names.
const WORDS_MAX: u32 = 20;
/// How old a look at a file may be.
const FRESH_MS: u64 = 100;
/// After how long an unused one is let go.
const UNUSED_MS: u64 = 10_000;
/// Documents, descriptors and bytes in memory of one event loop.
const DOCUMENTS_MAX: usize = 1024;
const FILES_MAX: usize = 64;
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Documents of one event loop by route and path of their requests.
pub(crate) struct FileCache {
    pub(super) event_loop: Rc<EventLoop>,
    held: RefCell<Held>,
    /// Of which files the operator was told that they may not be read.
    told: RefCell<Told>,
}

#[derive(Default)]
struct Told {
    since_ms: Option<u64>,
    words: u32,
    last: Vec<u8>,
}

#[derive(Default)]
struct Held {
    documents: HashMap<Vec<u8>, Slot>,
    /// Route and path of the request at hand, as one key.
    key: Vec<u8>,
    files: usize,
    bytes: usize,
    tidied_ms: u64,
}

struct Slot {
    document: Arc<Document>,
    looked_ms: u64,
    used_ms: u64,
}

/// What the shelf knows of a path.
pub(super) enum Known {
    Fresh(Arc<Document>),
    Stale(Arc<Document>),
    Not,
}

impl FileCache {
    /// That of an event loop, empty.
    pub(crate) fn new(event_loop: Rc<EventLoop>) -> FileCache {
        FileCache { event_loop, held: RefCell::default(), told: RefCell::default() }
    }

    pub(super) fn find(&self, path: (u64, &[u8]), now_ms: u64) -> Known {
        let held = &mut *self.held.borrow_mut();
        held.key.clear();
        put_key(&mut held.key, path);
        match held.documents.get_mut(&held.key) {
            None => Known::Not,
            Some(slot) => {
                slot.used_ms = now_ms;
                if now_ms < slot.looked_ms + FRESH_MS {
                    Known::Fresh(slot.document.clone())
                } else {
                    Known::Stale(slot.document.clone())
                }
            }
        }
    }

    pub(super) fn keep(&self, path: (u64, &[u8]), document: Arc<Document>, now_ms: u64) -> Arc<Document> {
        let mut held = self.held.borrow_mut();
        let mut key = Vec::new();
        put_key(&mut key, path);
        held.remove(&key);
        let (files, bytes) = weight(&document);
        if !held.has_room(files, bytes) {
            // Those that nobody asked for since the last second go first; then all others.
            held.retain(|slot| slot.used_ms + 1000 > now_ms);
            if !held.has_room(files, bytes) {
                held.retain(|_| false);
            }
        }
        if held.has_room(files, bytes) {
            (held.files, held.bytes) = (held.files + files, held.bytes + bytes);
            let slot = Slot { document: document.clone(), looked_ms: now_ms, used_ms: now_ms };
            held.documents.insert(key, slot);
        }
        document
    }

    /// Whether the operator may be told of this file now.
    pub(super) fn may_tell(&self, path: &[u8], now_ms: u64) -> bool {
        let told = &mut *self.told.borrow_mut();
        if told.since_ms.is_none_or(|since_ms| now_ms >= since_ms + BETWEEN_WORDS_MS) {
            *told = Told { since_ms: Some(now_ms), ..Told::default() };
        }
        if told.words == WORDS_MAX || (told.words > 0 && told.last == path) {
            return false;
        }
        told.words += 1;
        path.clone_into(&mut told.last);
        true
    }

    /// Lets go of what nobody has asked for in a while: a file that was deleted keeps its place on
    /// the disk for as long as it is open here.
    pub(crate) fn tidy(&self, now_ms: u64) {
        let mut held = self.held.borrow_mut();
        if held.tidied_ms + UNUSED_MS < now_ms {
            held.tidied_ms = now_ms;
            held.retain(|slot| slot.used_ms + UNUSED_MS > now_ms);
        }
    }

    /// Lets go of everything.
    pub(crate) fn clear(&self) {
        self.held.borrow_mut().retain(|_| false);
    }

    pub(super) fn drop(&self, path: (u64, &[u8])) {
        let mut key = Vec::new();
        put_key(&mut key, path);
        self.held.borrow_mut().remove(&key);
    }
}

impl Held {
    fn has_room(&self, files: usize, bytes: usize) -> bool {
        self.documents.len() < DOCUMENTS_MAX && self.files + files <= FILES_MAX && self.bytes + bytes <= BYTES_MAX
    }

    fn remove(&mut self, path: &[u8]) {
        if let Some(slot) = self.documents.remove(path) {
            let (files, bytes) = weight(&slot.document);
            (self.files, self.bytes) = (self.files - files, self.bytes - bytes);
        }
    }

    fn retain(&mut self, keeps: impl Fn(&Slot) -> bool) {
        let gone: Vec<Vec<u8>> =
            self.documents.iter().filter(|(_, slot)| !keeps(slot)).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.remove(&path);
        }
    }
}

fn put_key(key: &mut Vec<u8>, (scope, path): (u64, &[u8])) {
    key.extend_from_slice(&scope.to_le_bytes());
    key.extend_from_slice(path);
}

/// Descriptors and bytes that a document holds.
fn weight(document: &Document) -> (usize, usize) {
    document.variants.iter().fold((0, 0), |(files, bytes), variant| match &variant.content {
        Content::File(_) => (files + 1, bytes),
        Content::Memory(content) => (files, bytes + content.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(bytes: usize) -> Arc<Document> {
        Arc::new(Document::of_bytes(vec![0; bytes]))
    }

    #[test]
    fn words_are_few_whatever_is_asked_for() {
        let shelf = FileCache::new(EventLoop::alone().unwrap());
        let told = |from_ms: u64| {
            let asked = (from_ms..from_ms + 60_000).step_by(10);
            asked.filter(|now_ms| shelf.may_tell(format!("/{}", now_ms % 70).as_bytes(), *now_ms)).count()
        };
        assert_eq!([told(0), told(60_000)], [20, 20]);
        let other = FileCache::new(EventLoop::alone().unwrap());
        let told = [0, 1, 59_999, 60_000].map(|now_ms| other.may_tell(b"/a", now_ms));
        assert_eq!(told, [true, false, false, true]);
        assert!(other.may_tell(b"/b", 60_001));
    }

    #[test]
    fn it_keeps_its_bounds_and_what_is_used() {
        let shelf = FileCache::new(EventLoop::alone().unwrap());
        shelf.keep((7, b"hot"), document(1000), 0);
        for at in 0..3000u64 {
            let now_ms = at * 10;
            shelf.keep((7, format!("cold {at}").as_bytes()), document(20_000), now_ms);
            assert!(!matches!(shelf.find((7, b"hot"), now_ms), Known::Not), "round {at}");
            let held = shelf.held.borrow();
            assert!(held.bytes <= BYTES_MAX && held.documents.len() <= DOCUMENTS_MAX);
        }
        shelf.keep((7, b"too large"), document(BYTES_MAX + 1), 30_000);
        assert!(matches!(shelf.find((7, b"too large"), 30_000), Known::Not));
        let held = shelf.held.borrow();
        let weighed: usize = held.documents.values().map(|slot| weight(&slot.document).1).sum();
        assert_eq!(held.bytes, weighed);
    }

    #[test]
    fn a_look_holds_for_a_tenth_of_a_second() {
        let shelf = FileCache::new(EventLoop::alone().unwrap());
        shelf.keep((7, b"a"), document(1), 1000);
        assert!(matches!(shelf.find((7, b"a"), 1099), Known::Fresh(_)));
        assert!(matches!(shelf.find((7, b"a"), 1100), Known::Stale(_)));
        shelf.drop((7, b"a"));
        assert!(matches!(shelf.find((7, b"a"), 1100), Known::Not));
        shelf.keep((7, b"a"), document(1), 1100);
        shelf.keep((7, b"b"), document(1), 9000);
        shelf.tidy(12_000);
        assert!(
            matches!(shelf.find((7, b"a"), 12_000), Known::Not)
                && matches!(shelf.find((7, b"b"), 12_000), Known::Stale(_))
        );
    }
}
