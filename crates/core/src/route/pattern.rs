//! In:     the text of a route's path: `/a/{name}/*`.
//! Out:    its segments, in the one spelling in which request paths are matched.
//! Actors: none.
//! Never:  is a pattern taken that no request path could ever match.

use super::path::{normalise, percent_decode};
use super::tree::CAPTURES_MAX;

/// A route's path, read and checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    /// Its segments from the left; `/` alone is one empty segment.
    pub segments: Vec<Segment>,
    /// Whether it ends in `/*`: what the segments spell, and all below.
    pub below: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Segment {
    /// These bytes; only a last one is empty.
    Literal(Vec<u8>),
    /// Any one segment that is not empty, under this name.
    Capture(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, and the mend.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let rest = text.strip_prefix('/').ok_or_else(|| format!("a path begins with a slash; write '/{text}'"))?;
        let (rest, below) = match rest.strip_suffix('*') {
            Some("") => return Ok(Pattern { segments: Vec::new(), below: true }),
            Some(before) if before.ends_with('/') => (&before[..before.len() - 1], true),
            Some(before) => return Err(format!("'*' stands alone behind the last slash; write '/{before}/*'")),
            None => (rest, false),
        };
        let mut segments = Vec::new();
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() && (below || parts.peek().is_some()) {
                return Err("two slashes are merged before a path is matched; write one".into());
            }
            segments.push(segment(part)?);
        }
        let names: Vec<&String> = segments.iter().filter_map(Segment::name).collect();
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return Err(format!("'{{{}}}' is there twice; give each its own name", twice.1));
        }
        if names.len() > CAPTURES_MAX {
            return Err(format!("a path has at most {CAPTURES_MAX} captures"));
        }
        Ok(Pattern { segments, below })
    }

    /// The names of its captures, from the left.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name).map(String::as_str)
    }
}

impl Segment {
    fn name(&self) -> Option<&String> {
        match self {
            Segment::Capture(name) => Some(name),
            Segment::Literal(_) => None,
        }
    }
}

fn segment(text: &str) -> Result<Segment, String> {
    if let Some(name) = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
        let mut letters = name.chars();
        let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !begins || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            return Err(format!("'{text}' is no capture; write a name of letters, digits and '_', as in '{{id}}'"));
        }
        return Ok(Segment::Capture(name.into()));
    }
    if text.contains(['{', '}']) {
        return Err(format!("a capture is a whole segment; '{text}' has more beside it"));
    }
    if text.contains('*') {
        return Err("'*' stands alone, and only at the end; write '{name}' for one segment".into());
    }
    if let Some(odd) = text.chars().find(|letter| matches!(letter, '?' | '#' | '\\') || letter.is_control()) {
        return Err(match odd {
            '?' => "a path has no query; write it as the condition query = { … }".into(),
            _ => format!("no request path has {odd:?} in it; write it as %XX"),
        });
    }
    let spelled = format!("/{}", encoded(text));
    if matches!(&*percent_decode(&spelled.as_bytes()[1..]), b"." | b"..") {
        return Err(format!("'{text}' is resolved before a path is matched; write the path that it leads to"));
    }
    let normal = normalise(spelled.as_bytes()).map_err(|fault| format!("'{text}' in a path: {}", fault.detail()))?;
    Ok(Segment::Literal(normal[1..].to_vec()))
}

/// What a client has to encode, encoded: so that `/café` may be written as it is read.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (0x21..=0x7e).contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.into())
    }

    #[test]
    fn patterns_are_read() {
        let read = |text| Pattern::parse(text).unwrap();
        assert_eq!(read("/*"), Pattern { segments: vec![], below: true });
        assert_eq!(read("/"), Pattern { segments: vec![literal("")], below: false });
        assert_eq!(read("/a/"), Pattern { segments: vec![literal("a"), literal("")], below: false });
        let user = Segment::Capture("user".into());
        assert_eq!(read("/~x/{user}/*"), Pattern { segments: vec![literal("~x"), user], below: true });
        assert_eq!(read("/%7ea b/caf\u{e9}").segments, [literal("~a%20b"), literal("caf%C3%A9")]);
        assert_eq!(read("/{a}/{b}").names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for (text, mend) in [
            ("a", "write '/a'"),
            ("/a*", "write '/a/*'"),
            ("/a/*/b", "only at the end"),
            ("/a//b", "write one"),
            ("/a//*", "write one"),
            ("/a/../b", "resolved"),
            ("/a/%2e%2E/b", "resolved"),
            ("/x{id}", "whole segment"),
            ("/{}", "write a name"),
            ("/{1a}", "write a name"),
            ("/{a}/{a}", "twice"),
            ("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "at most 8"),
            ("/a?x=1", "condition"),
            ("/a%zz", "percent"),
            ("/a\\b", "%XX"),
        ] {
            let said = Pattern::parse(text).unwrap_err();
            assert!(said.contains(mend), "{text}: {said}");
        }
    }
}
