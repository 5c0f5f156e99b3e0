//! In:     what the file system says of a file, when; its content, where that was read.
//! Out:    the validators that hold for it.
//! Actors: none.
//! Never:  is a time taken for a state that may still change within it, or that tools set to the same for all files.

use xxhash_rust::xxh3::xxh3_128;

const SECOND_NS: u64 = 1_000_000_000;
/// For how long after a change a file may change again without another time of its own: clocks of file systems tick
/// some hundred times a second, those of servers differ.
const TICK_NS: u64 = SECOND_NS;
/// The same where times have no parts of a second.
const COARSE_TICK_NS: u64 = 2 * SECOND_NS;

/// What the file system says of a file, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Which file it is, of those on its disk.
    pub number: u64,
    /// Its length.
    pub bytes: u64,
    /// When it was last written, or what a tool has set.
    pub modified_ns: u64,
    /// When anything of it changed; nobody can set that.
    pub changed_ns: u64,
}

/// What a state vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Whether a further change would show. What was seen before that is looked at again.
    pub is_settled: bool,
    /// `Last-Modified` in seconds since 1970, where it may be said.
    pub modified_s: Option<u64>,
}

impl State {
    /// What may be said of a file in this state.
    pub fn vouch(self, now_ns: u64) -> Vouched {
        let (modified_s, now_s) = (self.modified_ns / SECOND_NS, now_ns / SECOND_NS);
        let tick_ns = if self.changed_ns.is_multiple_of(SECOND_NS) { COARSE_TICK_NS } else { TICK_NS };
        let is_settled = self.changed_ns.saturating_add(tick_ns) <= now_ns && modified_s != now_s;
        let modified_s = match modified_s {
            // What Nix and others set for all files, and what is no time for it (RFC 9110, 8.8.2.1).
            0 | 1 => None,
            later if later > now_s => None,
            // It may change in this second once more: whoever has it of now must not take it for that one.
            same if same == now_s => Some(same - 1),
            before => Some(before),
        };
        Vouched { is_settled, modified_s }
    }

    /// The entity tag of a file whose content was not read: when anything of it changed, as tools set the time of the
    /// last write. It is weak, and never that of later, while a further change might not show.
    pub fn tag(self, is_settled: bool) -> String {
        let State { number, bytes, changed_ns, .. } = self;
        if is_settled {
            format!("\"{number:x}-{changed_ns:x}-{bytes:x}\"")
        } else {
            format!("W/\"{number:x}-{changed_ns:x}-{bytes:x}-now\"")
        }
    }
}

/// The entity tag of a content: the same on all machines, whatever times they have for it.
pub fn content_tag(content: &[u8]) -> String {
    format!("\"{:032x}\"", xxh3_128(content))
}
