//! In:     the text of a route's path: `/a/{name}/*`.
//! Out:    its segments, in the one spelling in which request paths are matched.
//! Actors: none.
//! Never:  is a pattern taken that no request path could ever match.

use super::path::{normalise, percent_decode};

/// Most captures of a pattern: what they find is kept for each request.
pub const CAPTURES_MAX: usize = 8;

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
        if let Some(mend) = mend_foreign(text) {
            return Err(mend);
        }
        let rest = text.strip_prefix('/').ok_or_else(|| format!("a path begins with a slash; write '/{text}'"))?;
        let (rest, below) = match rest.strip_suffix('*') {
            Some("") => return Ok(Pattern { segments: Vec::new(), below: true }),
            Some(before) if before.ends_with('/') => (&before[..before.len() - 1], true),
            Some(before) => {
                let before = before.trim_end_matches(['*', '/']);
                let slash = if before.is_empty() { "" } else { "/" };
                return Err(format!("'*' stands alone behind the last slash; write '{slash}{before}/*'"));
            }
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

/// What to write instead of the path of another server or framework: an expression, the ending of a name, a modifier.
fn mend_foreign(text: &str) -> Option<String> {
    // nginx: an exact path, and one whose prefix beats expressions.
    for (modifier, below) in [("= ", ""), ("^~ ", "/*")] {
        if let Some(path) = text.strip_prefix(modifier).filter(|path| path.trim_start().starts_with('/')) {
            return Some(format!("write '{}{below}'", path.trim().trim_end_matches('/')));
        }
    }
    let plain = text.trim_start_matches(['~', '^']);
    let plain = plain.strip_prefix("* ").unwrap_or(plain).trim_start_matches([' ', '^']);
    let is_ending = |text: &str| {
        let text = text.strip_suffix('$').unwrap_or(text).trim_start_matches(['\\', '.', '*', '/']);
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"()|?:".contains(&byte))
    };
    let begins_foreign = text.starts_with(['^', '~']) || text.starts_with("/^");
    let names_ending = ["\\.", "*.", "/*.", ".*\\."].iter().any(|start| plain.starts_with(start)) && is_ending(plain);
    if names_ending {
        return Some(
            "a path says how it begins, not how it ends; write where such files are, as in '/images/*'".into(),
        );
    }
    let signs =
        ["\\d", "\\w", "\\.", "\\/", "\\-", "(?", "[^", "[0-9", "[a-z", "[A-Z", ".*", ".+", "]+", "]*", ")*", ")?"];
    let is_choice = text.contains('(') && text.contains('|') && text.contains(')');
    if !(begins_foreign || is_choice || signs.iter().any(|sign| text.contains(sign))) {
        return None;
    }
    let plain = plain.trim_start_matches(['/', '^']);
    let is_plain = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte));
    let first: Vec<&str> = plain.split('/').take_while(is_plain).filter(|part| !part.is_empty()).collect();
    let before = first.iter().map(|part| format!("/{part}")).collect::<String>();
    Some(format!(
        "a path is no regular expression; '{{name}}' is one segment, '*' at the end is all below, as in '{before}/{{name}}' \
         or '{before}/*'"
    ))
}

fn segment(text: &str) -> Result<Segment, String> {
    if let Some(name) = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
        let mut letters = name.chars();
        let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !begins || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            let plain = name.trim_matches(['.', '*']).split(':').next().unwrap_or_default();
            let is_name = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let like = if is_name && !plain.as_bytes()[0].is_ascii_digit() { plain } else { "id" };
            return Err(format!("'{text}' is no capture; write a name of letters, digits and '_', as in '{{{like}}}'"));
        }
        return Ok(Segment::Capture(name.into()));
    }
    if let Some(name) = text.strip_prefix('<').and_then(|inner| inner.strip_suffix('>')) {
        return Err(format!("a capture is written in braces: '{{{}}}'", name.rsplit(':').next().unwrap_or(name)));
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
        assert_eq!(read("/v1.2/(a)+b/$x").segments, [literal("v1.2"), literal("(a)+b"), literal("$x")]);
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
            ("/a/**", "write '/a/*'"),
            ("/**", "write '/*'"),
            // Of other servers and frameworks.
            (
                "^/api/",
                "no regular expression; '{name}' is one segment, '*' at the end is all below, as in '/api/{name}'",
            ),
            ("~ ^/user/(\\d+)$", "as in '/user/{name}' or '/user/*'"),
            ("/user/(?P<id>[0-9]+)/", "or '/user/*'"),
            ("/(a|b)/c", "no regular expression"),
            ("/v[0-9]+/x", "no regular expression"),
            ("/a/.*", "as in '/a/{name}' or '/a/*'"),
            ("~* \\.(jpg|png)$", "not how it ends"),
            ("\\.php$", "not how it ends"),
            ("*.php", "not how it ends"),
            ("/*.php", "not how it ends"),
            ("= /exact", "write '/exact'"),
            ("^~ /images/", "write '/images/*'"),
            ("/users/<int:id>", "braces: '{id}'"),
            ("/users/{id:int}", "as in '{id}'"),
            ("/files/{path...}", "as in '{path}'"),
        ] {
            let said = Pattern::parse(text).unwrap_err();
            assert!(said.contains(mend), "{text}: {said}");
        }
    }
}
