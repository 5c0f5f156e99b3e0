//! In:     the patterns of one site's routes; the path of a request.
//! Out:    the routes whose pattern has the path, the most specific first, until one is accepted.
//! Actors: none.
//! Never:  does it matter in which order routes were written, or how many there are.

use super::pattern::{CAPTURES_MAX, Pattern, Segment};
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// The routes of one site by the segments of their patterns. A walk looks each segment of the path
/// up once for each node that has it, so it costs what the path costs, however many routes there are.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literals: HashMap<Box<[u8]>, usize, RandomState>,
    capture: Option<usize>,
    /// Routes whose pattern ends here.
    ends: Vec<usize>,
    /// Routes whose pattern ends here in `/*`.
    below: Vec<usize>,
}

/// What a pattern's captures and its `*` stand for in one path.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Found<'p> {
    captures: [&'p [u8]; CAPTURES_MAX],
    count: usize,
    /// What the `*` of the pattern stands for; nothing for one without.
    pub rest: &'p [u8],
}

impl<'p> Found<'p> {
    /// How many bytes of the path stand before what the `*` stands for, without the slash between; all of
    /// them for a pattern without one.
    pub fn before(&self, path: &[u8]) -> usize {
        let end = path.len().saturating_sub(self.rest.len());
        if path[..end].ends_with(b"/") { end - 1 } else { end }
    }

    /// The captured segments, from the left, still percent-encoded.
    pub fn captures(&self) -> &[&'p [u8]] {
        &self.captures[..self.count]
    }
}

impl Tree {
    /// The tree of these patterns; a route is known by its place among them. Routes with the same
    /// pattern are tried in the order of their places.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Tree {
        let mut tree = Tree { nodes: vec![Node::default()] };
        for (route, pattern) in patterns.into_iter().enumerate() {
            let mut at = 0;
            for segment in &pattern.segments {
                at = tree.child(at, segment);
            }
            let node = &mut tree.nodes[at];
            if pattern.below { node.below.push(route) } else { node.ends.push(route) }
        }
        tree
    }

    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let fresh = self.nodes.len();
        let node = &mut self.nodes[at];
        let child = match segment {
            Segment::Literal(text) => *node.literals.entry(text.as_slice().into()).or_insert(fresh),
            Segment::Capture(_) => *node.capture.get_or_insert(fresh),
        };
        if child == fresh {
            self.nodes.push(Node::default());
        }
        child
    }

    /// The first route that `accepts`, of those that have this path: segment by segment from the
    /// left a literal before a capture before `*`, and an exact end before `*`. `path` is
    /// normalised and begins with a slash.
    pub fn find<'p>(&self, path: &'p [u8], mut accepts: impl FnMut(usize) -> bool) -> Option<(usize, Found<'p>)> {
        let mut found = Found::default();
        let rest = path.strip_prefix(b"/")?;
        let route = self.walk(0, Some(rest), &mut found, &mut accepts)?;
        Some((route, found))
    }

    /// `rest` is what follows behind the slash after this node; nothing where the path has ended.
    fn walk<'p>(
        &self,
        at: usize,
        rest: Option<&'p [u8]>,
        found: &mut Found<'p>,
        accepts: &mut impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let node = &self.nodes[at];
        let Some(rest) = rest else {
            found.rest = b"";
            let mut candidates = node.ends.iter().chain(&node.below).copied();
            return candidates.find(|route| accepts(*route));
        };
        let (segment, after) = match memchr::memchr(b'/', rest) {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        if let Some(child) = node.literals.get(segment)
            && let Some(route) = self.walk(*child, after, found, accepts)
        {
            return Some(route);
        }
        if let Some(child) = node.capture.filter(|_| !segment.is_empty()) {
            let count = found.count;
            if let Some(place) = found.captures.get_mut(count) {
                (*place, found.count) = (segment, count + 1);
            }
            if let Some(route) = self.walk(child, after, found, accepts) {
                return Some(route);
            }
            found.count = count;
        }
        found.rest = rest;
        node.below.iter().copied().find(|route| accepts(*route))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(patterns: &[&str]) -> Tree {
        let read: Vec<Pattern> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Tree::new(&read)
    }

    fn found<'a>(patterns: &[&'a str], path: &str) -> Option<(&'a str, String)> {
        let tree = tree(patterns);
        let (route, found) = tree.find(path.as_bytes(), |_| true)?;
        let mut parts: Vec<String> =
            found.captures().iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        parts.push(String::from_utf8_lossy(found.rest).into_owned());
        Some((patterns[route], parts.join("|")))
    }

    #[test]
    fn the_most_specific_wins_whatever_the_order() {
        let mut patterns = vec!["/*", "/a/*", "/a/{x}", "/a/b", "/a", "/{y}/b/c", "/a/{x}/c", "/"];
        for _ in 0..patterns.len() {
            patterns.rotate_left(1);
            for (path, pattern, parts) in [
                ("/", "/", ""),
                ("/z", "/*", "z"),
                ("/a", "/a", ""),
                ("/a/", "/a/*", ""),
                ("/a/b", "/a/b", ""),
                ("/a/q", "/a/{x}", "q|"),
                ("/a/q/", "/a/*", "q/"),
                ("/a/b/c", "/a/{x}/c", "b|"),
                ("/z/b/c", "/{y}/b/c", "z|"),
                ("/a/b/d/e", "/a/*", "b/d/e"),
                ("/ab", "/*", "ab"),
            ] {
                assert_eq!(found(&patterns, path), Some((pattern, parts.into())), "{path} in {patterns:?}");
            }
        }
    }

    #[test]
    fn a_pattern_with_a_star_is_itself_and_all_below() {
        for (path, hit) in [("/x", true), ("/x/", true), ("/x/a/b", true), ("/xy", false), ("/", false)] {
            assert_eq!(found(&["/x/*"], path).is_some(), hit, "{path}");
        }
        assert_eq!(found(&["/x/"], "/x"), None);
        assert_eq!(found(&["/{a}"], "/"), None);
        assert_eq!(found(&["/*"], "*"), None);
    }

    #[test]
    fn what_stands_before_the_star() {
        for (pattern, path, before) in [
            ("/api/*", "/api/x/y", "/api"),
            ("/api/*", "/api/", "/api"),
            ("/api/*", "/api", "/api"),
            ("/*", "/x", ""),
            ("/*", "/", ""),
            ("/{a}/b/*", "/1/b/c", "/1/b"),
        ] {
            let tree = tree(&[pattern]);
            let (_, found) = tree.find(path.as_bytes(), |_| true).unwrap();
            assert_eq!(&path[..found.before(path.as_bytes())], before, "{path} in {pattern}");
        }
    }

    #[test]
    fn one_that_is_not_accepted_makes_way_for_the_next() {
        let tree = tree(&["/a/b", "/a/{x}", "/a/*", "/*", "/a/b"]);
        let mut seen = Vec::new();
        let none = tree.find(b"/a/b", |route| {
            seen.push(route);
            false
        });
        assert_eq!((none, seen), (None, vec![0, 4, 1, 2, 3]));
        let (route, found) = tree.find(b"/a/b", |route| route == 3).unwrap();
        assert_eq!((route, found.captures().len(), found.rest), (3, 0, &b"a/b"[..]));
    }
}
