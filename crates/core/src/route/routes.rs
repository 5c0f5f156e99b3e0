//! In:     the routes of one site; a request.
//! Out:    the route that answers it; or the methods it should have had.
//! Actors: none.
//! Never:  does the order in which routes were written decide.

use super::condition::{Conditions, Verdict, is_client};
use super::pattern::{Pattern, Segment};
use super::tree::{Found, Tree};
use crate::head::Head;
use crate::method::Methods;
use crate::network::Network;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::net::IpAddr;

/// The routes of one site, ready to be asked.
#[derive(Clone, Debug)]
pub struct Routes {
    tree: Tree,
    candidates: Vec<Candidate>,
}

/// A route, for one of its networks where it has some.
#[derive(Clone, Debug)]
struct Candidate {
    route: usize,
    pattern: Pattern,
    conditions: Conditions,
    network: Option<Network>,
}

/// What answers a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Picked<'p> {
    /// The route with this number, and what its pattern found.
    Route(usize, Found<'p>),
    /// There are routes, for these methods only.
    OtherMethods(Methods),
    /// There is none.
    Nothing,
}

/// Two routes that nothing tells apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clash(pub usize, pub usize);

impl Routes {
    /// Sorts routes by what they ask for.
    ///
    /// # Errors
    /// Pairs that one request could mean both of.
    pub fn new(routes: impl IntoIterator<Item = (Pattern, Conditions)>) -> Result<Routes, Vec<Clash>> {
        let mut candidates = Vec::new();
        for (route, (pattern, conditions)) in routes.into_iter().enumerate() {
            let networks: Vec<Option<Network>> = match &conditions.clients[..] {
                [] => vec![None],
                several => several.iter().copied().map(Some).collect(),
            };
            for network in networks {
                let (pattern, conditions) = (pattern.clone(), conditions.clone());
                candidates.push(Candidate { route, pattern, conditions, network });
            }
        }
        // More conditions, then the kinds in their order, then the narrower network.
        candidates.sort_by(|a, b| shape(&a.pattern).cmp(&shape(&b.pattern)).then_with(|| rank(a).cmp(&rank(b))));
        let clashes: Vec<Clash> = clashes(&candidates);
        if clashes.is_empty() {
            Ok(Routes { tree: Tree::new(candidates.iter().map(|one| &one.pattern)), candidates })
        } else {
            Err(clashes)
        }
    }

    /// The route for this request.
    pub fn pick<'p>(&self, head: &'p Head, client: Option<IpAddr>) -> Picked<'p> {
        let mut methods = Methods::default();
        let found = self.tree.find(head.path(), |at| {
            let candidate = &self.candidates[at];
            if !is_client(candidate.network, client) {
                return false;
            }
            let verdict = candidate.conditions.verdict(head);
            if verdict == Verdict::OtherMethod {
                candidate.conditions.methods.iter().for_each(|method| methods.add(method));
            }
            verdict == Verdict::Holds
        });
        match found {
            Some((at, found)) => Picked::Route(self.candidates[at].route, found),
            None if methods.is_empty() => Picked::Nothing,
            None => Picked::OtherMethods(methods),
        }
    }

    /// The routes in the order in which they are tried: the most specific first.
    pub fn in_order(&self) -> Vec<usize> {
        let mut seen = HashSet::new();
        self.candidates.iter().map(|candidate| candidate.route).filter(|route| seen.insert(*route)).collect()
    }
}

type Rank = (Reverse<usize>, Reverse<[usize; 4]>, Reverse<u32>);

fn rank(candidate: &Candidate) -> Rank {
    let kinds = candidate.conditions.kinds();
    (Reverse(kinds.iter().sum()), Reverse(kinds), Reverse(candidate.network.map_or(0, |network| network.length())))
}

/// A pattern without the names of its captures, so ordered that what is more specific comes first:
/// at each segment a literal, then a capture, then `*`; an end before that.
fn shape(pattern: &Pattern) -> Vec<(u8, &[u8])> {
    let segments = pattern.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => (1, text.as_slice()),
        Segment::Capture(_) => (2, &b""[..]),
    });
    segments.chain([(if pattern.below { 3 } else { 0 }, &b""[..])]).collect()
}

/// More are not told of at once: of many that are all alike each two would be one.
const CLASHES_MAX: usize = 100;

/// Only neighbours in the order can be alike.
fn clashes(sorted: &[Candidate]) -> Vec<Clash> {
    let mut clashes = Vec::new();
    let is_alike = |a: &Candidate, b: &Candidate| shape(&a.pattern) == shape(&b.pattern) && rank(a) == rank(b);
    for alike in sorted.chunk_by(is_alike) {
        for (at, one) in alike.iter().enumerate() {
            let same_client = |other: &&Candidate| other.network == one.network && other.route != one.route;
            for other in alike[at + 1..].iter().filter(same_client) {
                let clash = Clash(one.route.min(other.route), one.route.max(other.route));
                if one.conditions.can_hold_with(&other.conditions) && !clashes.contains(&clash) {
                    clashes.push(clash);
                    if clashes.len() == CLASHES_MAX {
                        return clashes;
                    }
                }
            }
        }
    }
    clashes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;
    use crate::route::Wanted;

    fn route(path: &str) -> (Pattern, Conditions) {
        (Pattern::parse(path).unwrap(), Conditions::default())
    }

    fn with(path: &str, set: impl Fn(&mut Conditions)) -> (Pattern, Conditions) {
        let mut conditions = Conditions::default();
        set(&mut conditions);
        (Pattern::parse(path).unwrap(), conditions)
    }

    fn picked(routes: &Routes, raw: &str, client: &str) -> Result<usize, String> {
        let mut head = Head::default();
        parse_head(format!("{raw} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes(), 999, &mut head).unwrap();
        match routes.pick(&head, client.parse().ok()) {
            Picked::Route(route, _) => Ok(route),
            Picked::OtherMethods(methods) => Err(methods.to_string()),
            Picked::Nothing => Err("nothing".into()),
        }
    }

    #[test]
    fn more_conditions_first_then_kinds_then_the_narrower_network() {
        let routes = Routes::new([
            route("/a"),
            with("/a", |it| it.clients = vec!["10.0.0.0/8".parse().unwrap()]),
            with("/a", |it| it.clients = vec!["192.0.2.1".parse().unwrap(), "10.1.0.0/16".parse().unwrap()]),
            with("/a", |it| it.methods = vec!["POST".into()]),
            with("/a", |it| {
                it.query = vec![("x".into(), Wanted::Present)];
                it.methods = vec!["POST".into()];
            }),
        ])
        .unwrap();
        assert_eq!(picked(&routes, "GET /a", "8.8.8.8"), Ok(0));
        assert_eq!(picked(&routes, "GET /a", "10.2.0.1"), Ok(1));
        assert_eq!(picked(&routes, "GET /a", "10.1.0.1"), Ok(2));
        assert_eq!(picked(&routes, "POST /a", "10.1.0.1"), Ok(3), "the method is asked before the client");
        assert_eq!(picked(&routes, "POST /a?x", "10.1.0.1"), Ok(4));
    }

    #[test]
    fn a_failed_condition_falls_through_and_methods_alone_are_405() {
        let get = |path: &str| with(path, |it| it.methods = vec!["GET".into()]);
        let put = |path: &str| with(path, |it| it.methods = vec!["PUT".into()]);
        let routes = Routes::new([get("/a"), put("/a"), put("/b"), get("/{x}"), route("/c/*")]).unwrap();
        assert_eq!(picked(&routes, "POST /a", ""), Err("GET, HEAD, PUT".into()));
        assert_eq!(picked(&routes, "HEAD /b", ""), Ok(3));
        assert_eq!(picked(&routes, "GET /b/c", ""), Err("nothing".into()));
    }

    #[test]
    fn what_nothing_tells_apart_is_refused() {
        let header = |name: &'static str| with("/a/{y}", move |it| it.headers = vec![(name.into(), Wanted::Present)]);
        let network = |text: &'static str| with("/n", move |it| it.clients = vec![text.parse().unwrap()]);
        let clashes = Routes::new([
            route("/a/{x}"),
            route("/a/{y}"),
            header("x-a"),
            header("x-b"),
            network("10.0.0.0/8"),
            network("10.0.0.0/9"),
        ])
        .unwrap_err();
        assert_eq!(clashes, [Clash(2, 3), Clash(0, 1)]);
    }

    #[test]
    fn of_many_that_are_alike_some_pairs_are_told() {
        let many = std::iter::repeat_with(|| route("/a")).take(5_000);
        assert_eq!(Routes::new(many).unwrap_err().len(), CLASHES_MAX);
    }

    #[test]
    fn the_order_is_that_of_matching() {
        let paths = ["/*", "/a/{x}", "/a/b", "/a", "/a/*", "/", "/{y}"];
        let routes = Routes::new(paths.iter().map(|path| route(path))).unwrap();
        let order: Vec<&str> = routes.in_order().into_iter().map(|route| paths[route]).collect();
        assert_eq!(order, ["/", "/a", "/a/b", "/a/{x}", "/a/*", "/{y}", "/*"]);
    }
}
