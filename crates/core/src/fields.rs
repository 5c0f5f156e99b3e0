//! In:     header names and values, one line at a time, in the order of the wire.
//! Out:    one packed, ordered list that every protocol and every lane can read.
//! Actors: none.
//! Never:  is a line reordered, merged or dropped here; who drops says so where it decides.

/// The names that hallway itself acts on. Everything else is `Other` and passes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Name {
    Other,
    Accept,
    AcceptEncoding,
    Connection,
    ContentLength,
    ContentLocation,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    IfMatch,
    IfModifiedSince,
    IfNoneMatch,
    IfRange,
    IfUnmodifiedSince,
    KeepAlive,
    Location,
    Proxy,
    ProxyConnection,
    Range,
    Referer,
    Refresh,
    Server,
    SetCookie,
    Te,
    TraceParent,
    TraceState,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XRequestId,
    XRequestStart,
}

impl Name {
    /// Which name this is; case does not count (RFC 9110, 5.1).
    pub fn of(raw: &[u8]) -> Name {
        let found = match raw.len() {
            2 => is(raw, b"te", Name::Te),
            4 => is(raw, b"host", Name::Host).or_else(|| is(raw, b"date", Name::Date)),
            5 => is(raw, b"proxy", Name::Proxy).or_else(|| is(raw, b"range", Name::Range)),
            6 => is(raw, b"cookie", Name::Cookie)
                .or_else(|| is(raw, b"accept", Name::Accept))
                .or_else(|| is(raw, b"server", Name::Server))
                .or_else(|| is(raw, b"expect", Name::Expect)),
            7 => is(raw, b"referer", Name::Referer)
                .or_else(|| is(raw, b"upgrade", Name::Upgrade))
                .or_else(|| is(raw, b"trailer", Name::Trailer))
                .or_else(|| is(raw, b"refresh", Name::Refresh)),
            8 => is(raw, b"if-match", Name::IfMatch)
                .or_else(|| is(raw, b"if-range", Name::IfRange))
                .or_else(|| is(raw, b"location", Name::Location)),
            9 => is(raw, b"forwarded", Name::Forwarded),
            10 => is(raw, b"user-agent", Name::UserAgent)
                .or_else(|| is(raw, b"connection", Name::Connection))
                .or_else(|| is(raw, b"keep-alive", Name::KeepAlive))
                .or_else(|| is(raw, b"tracestate", Name::TraceState))
                .or_else(|| is(raw, b"set-cookie", Name::SetCookie)),
            11 => is(raw, b"traceparent", Name::TraceParent),
            12 => is(raw, b"content-type", Name::ContentType).or_else(|| is(raw, b"x-request-id", Name::XRequestId)),
            13 => is(raw, b"if-none-match", Name::IfNoneMatch),
            14 => is(raw, b"content-length", Name::ContentLength),
            15 => is(raw, b"accept-encoding", Name::AcceptEncoding)
                .or_else(|| is(raw, b"x-forwarded-for", Name::XForwardedFor))
                .or_else(|| is(raw, b"x-request-start", Name::XRequestStart)),
            16 => is(raw, b"x-forwarded-host", Name::XForwardedHost)
                .or_else(|| is(raw, b"x-forwarded-port", Name::XForwardedPort))
                .or_else(|| is(raw, b"proxy-connection", Name::ProxyConnection))
                .or_else(|| is(raw, b"content-location", Name::ContentLocation)),
            17 => is(raw, b"x-forwarded-proto", Name::XForwardedProto)
                .or_else(|| is(raw, b"if-modified-since", Name::IfModifiedSince))
                .or_else(|| is(raw, b"transfer-encoding", Name::TransferEncoding)),
            19 => is(raw, b"if-unmodified-since", Name::IfUnmodifiedSince),
            _ => None,
        };
        found.unwrap_or(Name::Other)
    }
}

/// The name, where `raw` is this known one, which is written in small letters. The length is known to the compiler, so
/// it compares many bytes at once.
#[inline(always)]
fn is<const N: usize>(raw: &[u8], known: &[u8; N], name: Name) -> Option<Name> {
    let raw: &[u8; N] = raw.try_into().ok()?;
    // A letter and its small one differ in this bit; a hyphen has it set, so that it has to be the same.
    let differs = |at: usize| (raw[at] | if known[at] == b'-' { 0 } else { 0x20 }) ^ known[at];
    ((0..N).fold(0, |all, at| all | differs(at)) == 0).then_some(name)
}

/// One header line, borrowed from its list.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Which of the names hallway knows.
    pub name: Name,
    /// The name as it was written.
    pub raw_name: &'a [u8],
    /// The value without the white space around it.
    pub value: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Line {
    at: u32,
    name_len: u16,
    value_len: u32,
    name: Name,
}

/// Room of a list that begins.
const FIRST_BYTES: usize = 384;
const FIRST_LINES: usize = 12;

/// An ordered header list packed into two allocations, which a connection keeps and reuses.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

impl Fields {
    /// Appends a line. A name or value too long for the list (64 KiB, 4 GiB) cannot come from a
    /// parsed head, whose limits are far lower; such a line is left out.
    pub fn push(&mut self, raw_name: &[u8], value: &[u8]) {
        self.push_known(Name::of(raw_name), raw_name, value);
    }

    /// Appends a line whose name was classified before.
    pub fn push_known(&mut self, name: Name, raw_name: &[u8], value: &[u8]) {
        let (Ok(at), Ok(name_len), Ok(value_len)) =
            (u32::try_from(self.bytes.len()), u16::try_from(raw_name.len()), u32::try_from(value.len()))
        else {
            return;
        };
        if self.lines.capacity() == 0 {
            // What most heads need, at once.
            self.reserve(FIRST_BYTES, FIRST_LINES);
        }
        self.bytes.extend_from_slice(raw_name);
        self.bytes.extend_from_slice(value);
        self.lines.push(Line { at, name_len, value_len, name });
    }

    /// Appends to the first line of this name, behind a separator; where there is none, a line.
    pub fn join(&mut self, name: Name, raw_name: &[u8], separator: &[u8], value: &[u8]) {
        let Some(line) = self.lines.iter_mut().find(|line| line.name == name) else {
            return self.push_known(name, raw_name, value);
        };
        let whole = line.at as usize..line.at as usize + usize::from(line.name_len) + line.value_len as usize;
        let added = separator.len() + value.len();
        let (Ok(at), Some(value_len)) = (
            u32::try_from(self.bytes.len()),
            u32::try_from(added).ok().and_then(|added| line.value_len.checked_add(added)),
        ) else {
            return;
        };
        line.value_len = value_len;
        if whole.end != self.bytes.len() {
            // Other lines stand behind it.
            line.at = at;
            self.bytes.extend_from_within(whole);
        }
        self.bytes.extend_from_slice(separator);
        self.bytes.extend_from_slice(value);
    }

    /// Makes room for so many bytes and lines at once.
    pub fn reserve(&mut self, bytes: usize, lines: usize) {
        self.bytes.reserve(bytes);
        self.lines.reserve(lines);
    }

    /// Forgets every line and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    /// Keeps the lines for which this holds of their name.
    pub fn retain(&mut self, keeps: impl Fn(&[u8]) -> bool) {
        let bytes = &self.bytes;
        self.lines.retain(|line| keeps(&bytes[line.at as usize..line.at as usize + usize::from(line.name_len)]));
    }

    /// The lines in their order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.lines.iter().map(|line| {
            let name_end = line.at as usize + usize::from(line.name_len);
            let value_end = name_end + line.value_len as usize;
            Field {
                name: line.name,
                raw_name: &self.bytes[line.at as usize..name_end],
                value: &self.bytes[name_end..value_end],
            }
        })
    }

    /// The first value under `name`.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.iter().find(|field| field.name == name).map(|field| field.value)
    }

    /// The first value of a name that hallway does not act on itself.
    pub fn named(&self, raw_name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|field| field.raw_name.eq_ignore_ascii_case(raw_name)).map(|field| field.value)
    }

    /// Whether a line has this name.
    pub fn has(&self, name: Name) -> bool {
        self.any(|one| one == name)
    }

    /// Bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether any line has such a name.
    pub fn any(&self, is_meant: impl Fn(Name) -> bool) -> bool {
        self.lines.iter().any(|line| is_meant(line.name))
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// The members of a comma-separated list (RFC 9110, 5.6.1), empty ones left out.
pub fn list_members(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// A token of RFC 9110, 5.6.2: what a method or a field name may be made of.
pub fn is_token(raw: &[u8]) -> bool {
    !raw.is_empty() && raw.iter().all(|byte| IS_TOKEN[usize::from(*byte)])
}

/// `tchar` of RFC 9110, 5.6.2.
const IS_TOKEN: [bool; 256] = letters_digits_and(b"!#$%&'*+-.^_`|~");

/// A table to look bytes up in: every byte of every name is asked.
pub(crate) const fn letters_digits_and(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
}

/// A field value of RFC 9110, 5.5: visible bytes, spaces and tabs, nothing that could end the line.
pub fn is_value(raw: &[u8]) -> bool {
    // To the end in any case: without an early way out the compiler looks at many bytes at once.
    raw.iter().fold(true, |so_far, byte| so_far & (*byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_whatever_their_case() {
        for (raw, name) in [
            ("HOST", Name::Host),
            ("content-LENGTH", Name::ContentLength),
            ("Transfer-Encoding", Name::TransferEncoding),
            ("If-Modified-Since", Name::IfModifiedSince),
            ("X-Custom", Name::Other),
            ("set\rcookie", Name::Other),
            ("set\u{d}cookie", Name::Other),
            ("set-cookie\0", Name::Other),
            ("\u{14}e", Name::Other),
            ("sET-cOOKIE", Name::SetCookie),
            ("X-FORWARDED-proto", Name::XForwardedProto),
            ("", Name::Other),
        ] {
            assert_eq!(Name::of(raw.as_bytes()), name, "{raw}");
        }
    }

    #[test]
    fn a_line_can_be_joined_wherever_it_stands() {
        let mut fields = Fields::default();
        fields.join(Name::Cookie, b"cookie", b"; ", b"a=1");
        fields.join(Name::Cookie, b"cookie", b"; ", b"b=2");
        fields.push(b"X", b"x");
        fields.join(Name::Cookie, b"cookie", b"; ", b"");
        fields.join(Name::Cookie, b"cookie", b"; ", b"c=3");
        let seen: Vec<_> = fields.iter().map(|field| (field.raw_name, field.value)).collect();
        assert_eq!(seen, [(&b"cookie"[..], &b"a=1; b=2; ; c=3"[..]), (b"X", b"x")]);
    }

    #[test]
    fn lines_keep_their_order_and_their_repeats() {
        let mut fields = Fields::default();
        fields.push(b"A", b"1");
        fields.push(b"Host", b"h");
        fields.push(b"A", b"");
        let seen: Vec<_> = fields.iter().map(|f| (f.raw_name.to_vec(), f.value.to_vec())).collect();
        assert_eq!(seen, [(b"A".to_vec(), b"1".to_vec()), (b"Host".to_vec(), b"h".to_vec()), (b"A".to_vec(), vec![])]);
        assert_eq!(fields.get(Name::Host), Some(&b"h"[..]));
    }
}
