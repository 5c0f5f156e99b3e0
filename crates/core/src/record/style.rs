//! In:     the form of a log line in nginx's words: `'$remote_addr to: $upstream_addr: $request $status'`.
//! Out:    its parts, ready to be filled with the facts of a trip.
//! Actors: none.
//! Never:  is a name taken that is no variable, or can a client's byte end a line.

use super::{Calendar, Facts, MONTHS, Seconds, TryFacts, escape_quoted, put_request_line};
use crate::route::host_of;
use std::fmt;
use std::io::Write;

/// A part of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// As it stands.
    Text(String),
    /// What is known under this name.
    Variable(Variable),
    /// A header of the request: `$http_user_agent`.
    Header(String),
}

macro_rules! variables {
    ($($name:literal => $variable:ident: $about:literal,)*) => {
        /// What a line can tell; the names are nginx's where it has one.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Variable { $(#[doc = $about] $variable),* }

        /// Every variable: its name, and what it is.
        pub const VARIABLES: &[(&str, &str)] = &[$(($name, $about)),*];

        impl Variable {
            fn of(name: &str) -> Option<Variable> {
                match name {
                    $($name => Some(Variable::$variable),)*
                    _ => None,
                }
            }
        }
    };
}

variables! {
    "remote_addr" => RemoteAddr: "the client's address",
    "remote_user" => RemoteUser: "the user of basic authentication",
    "time_local" => TimeLocal: "when it arrived: 29/Feb/2024:12:34:56 +0000",
    "time_iso8601" => TimeIso: "when it arrived: 2024-02-29T12:34:56+00:00",
    "msec" => Msec: "when it arrived, in seconds since 1970 with milliseconds",
    "request" => Request: "the request line",
    "request_method" => Method: "the method",
    "request_uri" => Target: "the target as it was sent",
    "uri" => Path: "the path as it was matched",
    "args" => Query: "the query",
    "query_string" => QueryString: "the query",
    "server_protocol" => Protocol: "HTTP/1.1",
    "scheme" => Scheme: "http or https",
    "host" => Host: "the host that was asked, in lower case, without its port",
    "ssl_protocol" => TlsVersion: "TLSv1.2 or TLSv1.3",
    "ssl_cipher" => TlsCipher: "the cipher suite",
    "ssl_server_name" => TlsName: "the name that the client asked for before it was encrypted",
    "ssl_client_verify" => TlsClient: "SUCCESS where the client showed a certificate, else NONE",
    "status" => Status: "the status; 499 for a client that left",
    "body_bytes_sent" => BodyBytes: "bytes of the body that were sent",
    "request_time" => RequestTime: "seconds from its arrival to the last byte of the answer, with milliseconds",
    "request_id" => RequestId: "its own id",
    "upstream_addr" => UpstreamAddr: "the servers that it was sent to, 10.0.0.1:80, 10.0.0.2:80; or the app and its worker, shop[4711]",
    "upstream_status" => UpstreamStatus: "what each of them answered",
    "upstream_response_time" => UpstreamTime: "seconds until the last byte of each; of an app, until its first",
    "upstream_header_time" => UpstreamHeadTime: "seconds until the first byte of each",
    "queue_time" => QueueTime: "seconds that it waited for a worker, or for a server with room",
    "app_time" => AppTime: "seconds that the app took to its first byte",
    "worker_pid" => WorkerPid: "the worker's process",
}

/// Why a form cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StyleFault {
    /// There is no variable of this name.
    Unknown(String),
    /// What else is wrong.
    Malformed(&'static str),
}

impl fmt::Display for StyleFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StyleFault::Unknown(name) => write!(out, "there is no variable '${name}'"),
            StyleFault::Malformed(why) => out.write_str(why),
        }
    }
}

/// Reads a form; `${name}` is `$name`.
///
/// # Errors
/// The name of a variable that is not known, or what else is wrong.
pub fn read_style(text: &str) -> Result<Vec<Part>, StyleFault> {
    if text.chars().any(char::is_control) {
        return Err(StyleFault::Malformed("a log line has no control characters"));
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if !before.is_empty() {
            parts.push(Part::Text(before.into()));
        }
        let (name, behind) = match after.strip_prefix('{') {
            Some(inner) => inner.split_once('}').ok_or(StyleFault::Malformed("'${' has no '}'"))?,
            None => {
                let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
                after.split_at(after.find(|letter| !is_name(letter)).unwrap_or(after.len()))
            }
        };
        parts.push(match (Variable::of(name), name.strip_prefix("http_")) {
            (Some(variable), _) => Part::Variable(variable),
            (None, Some(header)) if !header.is_empty() => Part::Header(header.replace('_', "-")),
            _ => return Err(StyleFault::Unknown(name.into())),
        });
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    if parts.iter().all(|part| matches!(part, Part::Text(_))) {
        return Err(StyleFault::Malformed("it has no variable, so that all lines would be the same"));
    }
    Ok(parts)
}

/// Appends a line in this form, without its end.
pub(super) fn put_styled(out: &mut Vec<u8>, parts: &[Part], facts: &Facts<'_>) {
    for part in parts {
        match part {
            Part::Text(text) => out.extend_from_slice(text.as_bytes()),
            Part::Variable(variable) => put_variable(out, *variable, facts),
            Part::Header(name) => {
                let mut fields = facts.head.into_iter().flat_map(|head| head.fields.iter());
                let field = fields.find(|field| field.raw_name.eq_ignore_ascii_case(name.as_bytes()));
                put_text(out, field.map_or(b"", |field| field.value));
            }
        }
    }
}

// Writing to a Vec cannot fail, so the results of `write!` are left unread below.
fn put_variable(out: &mut Vec<u8>, variable: Variable, facts: &Facts<'_>) {
    let (head, lane) = (facts.head, facts.lane);
    let when = || Calendar::of(facts.unix_ms / 1000);
    match variable {
        Variable::RemoteAddr => {
            put_text(out, if facts.peer_ip.is_empty() { b"unix:" } else { facts.peer_ip.as_bytes() })
        }
        Variable::RemoteUser => put_text(out, facts.user.as_bytes()),
        Variable::TimeLocal => {
            let when = when();
            let _ = write!(out, "{:02}/{}/{:04}", when.day, MONTHS[when.month - 1], when.year);
            let _ = write!(out, ":{:02}:{:02}:{:02} +0000", when.hour, when.minute, when.second);
        }
        Variable::TimeIso => {
            let when = when();
            let _ = write!(out, "{:04}-{:02}-{:02}", when.year, when.month, when.day);
            let _ = write!(out, "T{:02}:{:02}:{:02}+00:00", when.hour, when.minute, when.second);
        }
        Variable::Msec => drop(write!(out, "{}.{:03}", facts.unix_ms / 1000, facts.unix_ms % 1000)),
        Variable::Request => put_request_line(out, head, escape_quoted),
        Variable::Method => put_text(out, head.map_or(b"", |head| head.method())),
        Variable::Target => put_text(out, head.map_or(b"", |head| head.raw_target())),
        Variable::Path => put_text(out, head.map_or(b"", |head| head.path())),
        Variable::Query | Variable::QueryString => put_text(out, head.map_or(b"", |head| head.query())),
        Variable::Protocol => put_text(out, head.map_or("", |head| head.version.as_str()).as_bytes()),
        Variable::Scheme => put_text(out, if facts.https { b"https" } else { b"http" }),
        Variable::Host => {
            let from = out.len();
            put_text(out, head.map_or(b"", |head| host_of(head.host())));
            out[from..].make_ascii_lowercase();
        }
        Variable::TlsVersion => put_text(out, facts.tls.map_or("", |tls| tls.version).as_bytes()),
        Variable::TlsCipher => put_text(out, facts.tls.map_or("", |tls| tls.cipher).as_bytes()),
        Variable::TlsName => put_text(out, facts.tls.map_or("", |tls| tls.server_name).as_bytes()),
        Variable::TlsClient => {
            let verify = |tls: super::TlsFacts<'_>| if tls.shows_certificate { "SUCCESS" } else { "NONE" };
            put_text(out, facts.tls.map_or("", verify).as_bytes());
        }
        Variable::Status => drop(write!(out, "{}", facts.status)),
        Variable::BodyBytes => drop(write!(out, "{}", facts.body_bytes)),
        Variable::RequestTime => put_seconds(out, Some(facts.total_us)),
        Variable::RequestId => put_text(out, facts.request_id.as_bytes()),
        Variable::UpstreamAddr if !facts.tries.is_empty() => {
            put_each(out, facts, |out, one| escape_quoted(out, one.server.as_bytes()));
        }
        Variable::UpstreamStatus if !facts.tries.is_empty() => {
            put_each(out, facts, |out, one| drop(write!(out, "{}", one.status)));
        }
        Variable::UpstreamTime if !facts.tries.is_empty() => {
            put_each(out, facts, |out, one| put_seconds(out, Some(one.total_us)));
        }
        Variable::UpstreamHeadTime if !facts.tries.is_empty() => {
            put_each(out, facts, |out, one| put_seconds(out, Some(one.head_us)));
        }
        Variable::UpstreamAddr => match lane {
            Some(lane) => drop(write!(out, "{}[{}]", facts.app, lane.worker_pid)),
            None => out.push(b'-'),
        },
        Variable::UpstreamStatus => match lane {
            Some(_) => drop(write!(out, "{}", facts.status)),
            None => out.push(b'-'),
        },
        Variable::UpstreamTime | Variable::UpstreamHeadTime => put_seconds(out, lane.map(|lane| lane.app_us)),
        Variable::QueueTime => put_microseconds(out, lane.map(|lane| lane.queue_us).or(facts.queue_us)),
        Variable::AppTime => put_microseconds(out, lane.map(|lane| lane.app_us)),
        Variable::WorkerPid => match lane {
            Some(lane) => drop(write!(out, "{}", lane.worker_pid)),
            None => out.push(b'-'),
        },
    }
}

/// Something of each try, as nginx lists them.
fn put_each(out: &mut Vec<u8>, facts: &Facts<'_>, put: impl Fn(&mut Vec<u8>, &TryFacts<'_>)) {
    for (at, one) in facts.tries.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        put(out, one);
    }
}

/// What there is, escaped as nginx does; `-` where there is nothing.
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() { out.push(b'-') } else { escape_quoted(out, text) }
}

/// As nginx writes times: with three digits behind the point.
fn put_seconds(out: &mut Vec<u8>, microseconds: Option<u64>) {
    match microseconds {
        Some(us) => drop(write!(out, "{}.{:03}", us / 1_000_000, us / 1000 % 1000)),
        None => out.push(b'-'),
    }
}

fn put_microseconds(out: &mut Vec<u8>, microseconds: Option<u64>) {
    match microseconds {
        Some(us) => drop(write!(out, "{}", Seconds(us))),
        None => out.push(b'-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let parts = read_style("[$time_local] ${host}s to: $http_user_agent$status!").unwrap();
        let text = |text: &str| Part::Text(text.into());
        let expected = [
            text("["),
            Part::Variable(Variable::TimeLocal),
            text("] "),
            Part::Variable(Variable::Host),
            text("s to: "),
            Part::Header("user-agent".into()),
            Part::Variable(Variable::Status),
            text("!"),
        ];
        assert_eq!(parts, expected);
        for (text, said) in [
            ("$remote_adr", "no variable '$remote_adr'"),
            ("${status", "no '}'"),
            ("status", "no variable, so"),
            ("$status\n", "control characters"),
            ("$ x", "no variable '$'"),
        ] {
            assert!(read_style(text).unwrap_err().to_string().contains(said), "{text}");
        }
    }
}
