//! In:     the conditions of a route, a request.
//! Out:    whether they hold; which of two routes asks for more; whether both can hold at once.
//! Actors: none.
//! Never:  does a condition read anything but the head and the client's address.

use super::path::percent_decode;
use crate::head::Head;
use crate::network::Network;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;

/// What a request has to be beside its path. Every kind that is not empty has to hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Conditions {
    /// One of these methods; GET includes HEAD.
    pub methods: Vec<String>,
    /// All of these header fields.
    pub headers: Vec<(String, Wanted)>,
    /// All of these parameters of the query.
    pub query: Vec<(String, Wanted)>,
    /// The client is in one of these networks.
    pub clients: Vec<Network>,
}

/// What a field or a parameter has to be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Wanted {
    /// There.
    Present,
    /// Not there.
    Absent,
    /// There with this value, at least once.
    Is(String),
}

/// Whether conditions hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// All of them.
    Holds,
    /// All but the method.
    OtherMethod,
    /// Not.
    Fails,
}

impl Conditions {
    /// Whether this request has what is asked for. The client's network is not asked here: where
    /// several are given, each is a candidate of its own.
    pub fn verdict(&self, head: &Head) -> Verdict {
        let held = self.headers.iter().all(|(name, wanted)| wanted.holds(header_values(head, name)))
            && self.query.iter().all(|(name, wanted)| wanted.holds(query_values(head.query(), name)));
        match (held, self.methods.is_empty() || self.takes(head.method())) {
            (true, true) => Verdict::Holds,
            (true, false) => Verdict::OtherMethod,
            (false, _) => Verdict::Fails,
        }
    }

    fn takes(&self, method: &[u8]) -> bool {
        self.methods.iter().any(|one| one.as_bytes() == method || (one == "GET" && method == b"HEAD"))
    }

    /// How many there are of each kind: methods, headers, query, client.
    pub fn kinds(&self) -> [usize; 4] {
        let one = |is_empty: bool| usize::from(!is_empty);
        [one(self.methods.is_empty()), self.headers.len(), self.query.len(), one(self.clients.is_empty())]
    }

    /// Whether one request can have what both ask for, as far as methods, headers and query say.
    pub fn can_hold_with(&self, other: &Conditions) -> bool {
        let either_takes = |a: &Conditions, b: &Conditions| a.methods.iter().any(|method| b.takes(method.as_bytes()));
        let methods = self.methods.is_empty()
            || other.methods.is_empty()
            || either_takes(self, other)
            || either_takes(other, self);
        methods
            && agree(&self.headers, &other.headers, |a, b| a.eq_ignore_ascii_case(b))
            && agree(&self.query, &other.query, |a, b| a == b)
    }
}

/// Whether no name is asked to be two things. (A request can repeat a name with both values; which of the
/// two routes it gets then is of no interest to anybody.)
fn agree(these: &[(String, Wanted)], those: &[(String, Wanted)], is_same: impl Fn(&str, &str) -> bool) -> bool {
    these.iter().all(|(name, wanted)| {
        those.iter().filter(|(other, _)| is_same(name, other)).all(|(_, other)| match (wanted, other) {
            (Wanted::Is(value), Wanted::Is(other)) => value == other,
            (Wanted::Absent, other) => *other == Wanted::Absent,
            (wanted, Wanted::Absent) => *wanted == Wanted::Absent,
            (Wanted::Present, _) | (_, Wanted::Present) => true,
        })
    })
}

impl Wanted {
    fn holds<'a>(&self, mut values: impl Iterator<Item = Cow<'a, [u8]>>) -> bool {
        match self {
            Wanted::Present => values.next().is_some(),
            Wanted::Absent => values.next().is_none(),
            Wanted::Is(value) => values.any(|one| *one == *value.as_bytes()),
        }
    }
}

fn header_values<'a>(head: &'a Head, name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let fields = head.fields.iter().filter(move |field| field.raw_name.eq_ignore_ascii_case(name.as_bytes()));
    fields.map(|field| Cow::Borrowed(field.value))
}

/// The values of a parameter, decoded as forms are (`+` is a space).
pub fn query_values<'a>(query: &'a [u8], name: &'a str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).filter_map(move |pair| {
        let (key, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        (*form_decode(key) == *name.as_bytes()).then(|| form_decode(value))
    })
}

fn form_decode(part: &[u8]) -> Cow<'_, [u8]> {
    if !part.contains(&b'+') {
        return percent_decode(part);
    }
    let spaced: Vec<u8> = part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).into_owned())
}

/// Whether the client is in the network that a candidate is for.
pub(super) fn is_client(network: Option<Network>, client: Option<IpAddr>) -> bool {
    network.is_none_or(|network| client.is_some_and(|client| network.holds(client)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    fn head(raw: &str) -> Head {
        let mut head = Head::default();
        parse_head(format!("{raw}\r\nHost: h\r\n\r\n").as_bytes(), 999, &mut head).unwrap();
        head
    }

    fn is(value: &str) -> Wanted {
        Wanted::Is(value.into())
    }

    #[test]
    fn conditions_hold_or_not() {
        let get = Conditions { methods: vec!["GET".into()], ..Conditions::default() };
        assert_eq!(get.verdict(&head("HEAD / HTTP/1.1")), Verdict::Holds);
        assert_eq!(get.verdict(&head("POST / HTTP/1.1")), Verdict::OtherMethod);
        let beta = Conditions { headers: vec![("x-beta".into(), is("1"))], ..Conditions::default() };
        assert_eq!(beta.verdict(&head("GET / HTTP/1.1\r\nX-Beta: 2\r\nX-BETA: 1")), Verdict::Holds);
        assert_eq!(beta.verdict(&head("GET / HTTP/1.1\r\nX-Beta: 2")), Verdict::Fails);
        let query = |wanted| Conditions { query: vec![("a b".into(), wanted)], ..Conditions::default() };
        assert_eq!(query(is("c&d")).verdict(&head("GET /?x&a+b=1&a%20b=c%26d HTTP/1.1")), Verdict::Holds);
        assert_eq!(query(Wanted::Present).verdict(&head("GET /?a+b HTTP/1.1")), Verdict::Holds);
        assert_eq!(query(Wanted::Absent).verdict(&head("GET /?a HTTP/1.1")), Verdict::Holds);
    }

    #[test]
    fn two_that_can_both_hold() {
        let methods = |names: &[&str]| Conditions {
            methods: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Conditions::default()
        };
        assert!(methods(&["GET", "POST"]).can_hold_with(&methods(&["HEAD"])));
        assert!(!methods(&["GET"]).can_hold_with(&methods(&["POST"])));
        let header = |name: &str, wanted| Conditions { headers: vec![(name.into(), wanted)], ..Conditions::default() };
        assert!(!header("X-A", is("1")).can_hold_with(&header("x-a", is("2"))));
        assert!(header("X-A", is("1")).can_hold_with(&header("X-B", is("2"))));
        assert!(header("X-A", is("1")).can_hold_with(&header("X-A", Wanted::Present)));
        assert!(!header("X-A", Wanted::Absent).can_hold_with(&header("X-A", Wanted::Present)));
    }
}
