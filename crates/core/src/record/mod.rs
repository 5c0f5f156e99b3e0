//! In:     the facts of one finished trip; how much apps print.
//! Out:    its line in the access log; whether what they print goes to the log.
//! Actors: none.
//! Never:  does a client's byte end a line or a quoted string of the log.

mod allowance;
mod style;

use crate::fields::Name;
use crate::head::Head;
use crate::plan::LogFormat;
use std::io::Write;

pub use allowance::{Allowance, Dropped};
pub use style::{Part, StyleFault, VARIABLES, Variable, read_style};

/// The form of log lines, ready to be used.
#[derive(Clone, Debug)]
pub enum Style {
    /// NCSA combined.
    Combined,
    /// One JSON object a line.
    Json,
    /// The operator's own.
    Own(Vec<Part>),
}

impl Style {
    /// From the plan.
    ///
    /// # Errors
    /// What a validated plan does not have: a form that cannot be read.
    pub fn of(format: &LogFormat) -> Result<Style, StyleFault> {
        Ok(match format {
            LogFormat::Combined => Style::Combined,
            LogFormat::Json => Style::Json,
            LogFormat::Own(text) => Style::Own(read_style(text)?),
        })
    }
}

/// What is known of a trip when it has ended. Times are microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The head, where one could be read.
    pub head: Option<&'a Head>,
    /// The client's address.
    pub peer_ip: &'a str,
    /// Who asked, where a password said so; else empty.
    pub user: &'a str,
    /// The request's own id.
    pub request_id: &'a str,
    /// When the request arrived, milliseconds since 1970.
    pub unix_ms: u64,
    /// What was answered; 499 if the client left before.
    pub status: u16,
    /// Body bytes that were sent.
    pub body_bytes: u64,
    /// From the first byte of the head to the last of the answer.
    pub total_us: u64,
    /// Whether the client's connection is encrypted.
    pub https: bool,
    /// What was agreed on with the client, where its connection to hallway is encrypted.
    pub tls: Option<TlsFacts<'a>>,
    /// The application that had the request; empty where none had it.
    pub app: &'a str,
    /// Whether the answer was begun and could not be finished.
    pub cut: bool,
    /// What the lane saw, if the application had the request.
    pub lane: Option<LaneFacts>,
    /// How long it waited for a server that has room, where it had to.
    pub queue_us: Option<u64>,
    /// Each time it was sent to a server of a pool.
    pub tries: &'a [TryFacts<'a>],
}

/// One time that a request was sent to a server of a pool.
#[derive(Clone, Copy, Debug)]
pub struct TryFacts<'a> {
    /// The server's address.
    pub server: &'a str,
    /// What it answered; where it did not, the status that says so.
    pub status: u16,
    /// Until the first byte of its answer came, or it was given up.
    pub head_us: u64,
    /// Until the last byte of its answer went on, or it was given up.
    pub total_us: u64,
}

/// What client and server agreed on.
#[derive(Clone, Copy, Debug)]
pub struct TlsFacts<'a> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'a str,
    /// The cipher suite as IANA names it.
    pub cipher: &'a str,
    /// The name that the client asked for; may be empty.
    pub server_name: &'a str,
    /// Whether the client showed a certificate, which was verified.
    pub shows_certificate: bool,
}

/// What the lane saw of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct LaneFacts {
    /// Waiting for a worker.
    pub queue_us: u64,
    /// From the worker's start to the first byte of its answer.
    pub app_us: u64,
    /// The worker's process.
    pub worker_pid: u32,
}

/// Appends one line.
pub fn put_line(out: &mut Vec<u8>, style: &Style, facts: &Facts<'_>) {
    match style {
        Style::Combined => put_combined(out, facts),
        Style::Json => put_json(out, facts),
        Style::Own(parts) => style::put_styled(out, parts, facts),
    }
    out.push(b'\n');
}

/// Appends the request line as it was read; `-` where there was none.
fn put_request_line(out: &mut Vec<u8>, head: Option<&Head>, escape: fn(&mut Vec<u8>, &[u8])) {
    let Some(head) = head.filter(|head| !head.method().is_empty()) else {
        out.push(b'-');
        return;
    };
    escape(out, head.method());
    out.push(b' ');
    escape(out, head.raw_target());
    out.push(b' ');
    out.extend_from_slice(head.version.as_str().as_bytes());
}

// Writing to a Vec cannot fail, so the results of `write!` are left unread below.

/// NCSA combined: `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent
/// "$http_referer" "$http_user_agent"`.
fn put_combined(out: &mut Vec<u8>, facts: &Facts<'_>) {
    let when = Calendar::of(facts.unix_ms / 1000);
    let peer = if facts.peer_ip.is_empty() { "unix:" } else { facts.peer_ip };
    let _ = write!(out, "{peer} - ");
    if facts.user.is_empty() {
        out.push(b'-')
    } else {
        escape_quoted(out, facts.user.as_bytes())
    }
    let _ = write!(out, " [{:02}/{}/{:04}", when.day, MONTHS[when.month - 1], when.year);
    let _ = write!(out, ":{:02}:{:02}:{:02} +0000] \"", when.hour, when.minute, when.second);
    put_request_line(out, facts.head, escape_quoted);
    let _ = write!(out, "\" {} {} \"", facts.status, facts.body_bytes);
    put_field(out, facts.head, Name::Referer);
    out.extend_from_slice(b"\" \"");
    put_field(out, facts.head, Name::UserAgent);
    out.push(b'"');
}

fn put_field(out: &mut Vec<u8>, head: Option<&Head>, name: Name) {
    match head.and_then(|head| head.fields.get(name)) {
        Some(value) => escape_quoted(out, value),
        None => out.push(b'-'),
    }
}

/// Appends a moment as RFC 3339 has it, with milliseconds.
pub fn put_moment(out: &mut Vec<u8>, unix_ms: u64) {
    let when = Calendar::of(unix_ms / 1000);
    let _ = write!(out, "{:04}-{:02}-{:02}T", when.year, when.month, when.day);
    let _ = write!(out, "{:02}:{:02}:{:02}.{:03}Z", when.hour, when.minute, when.second, unix_ms % 1000);
}

fn put_json(out: &mut Vec<u8>, facts: &Facts<'_>) {
    out.extend_from_slice(b"{\"time\":\"");
    put_moment(out, facts.unix_ms);
    let peer = if facts.peer_ip.is_empty() { "unix:" } else { facts.peer_ip };
    let _ = write!(out, "\",\"remote_addr\":\"{peer}\"");
    out.extend_from_slice(b",\"request\":\"");
    put_request_line(out, facts.head, escape_json);
    let _ = write!(out, "\",\"status\":{},\"body_bytes_sent\":{}", facts.status, facts.body_bytes);
    let _ = write!(out, ",\"request_time\":{}", Seconds(facts.total_us));
    if facts.cut {
        out.extend_from_slice(b",\"cut\":true");
    }
    for (key, name) in [("host", Name::Host), ("http_referer", Name::Referer), ("http_user_agent", Name::UserAgent)] {
        if let Some(value) = facts.head.and_then(|head| head.fields.get(name)) {
            let _ = write!(out, ",\"{key}\":\"");
            escape_json(out, value);
            out.push(b'"');
        }
    }
    if let Some(lane) = facts.lane {
        let (queue, app) = (Seconds(lane.queue_us), Seconds(lane.app_us));
        let _ = write!(out, ",\"queue_time\":{queue},\"app_time\":{app},\"worker_pid\":{}", lane.worker_pid);
    }
    if let Some(queue_us) = facts.queue_us {
        let _ = write!(out, ",\"queue_time\":{}", Seconds(queue_us));
    }
    if !facts.tries.is_empty() {
        out.extend_from_slice(b",\"upstream\":[");
        for (at, one) in facts.tries.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",{\"addr\":\"" } else { b"{\"addr\":\"" });
            escape_json(out, one.server.as_bytes());
            let (head, total) = (Seconds(one.head_us), Seconds(one.total_us));
            let _ = write!(out, "\",\"status\":{},\"header_time\":{head},\"response_time\":{total}}}", one.status);
        }
        out.push(b']');
    }
    let _ = write!(out, ",\"request_id\":\"{}\"}}", facts.request_id);
}

/// Seconds with microseconds behind the point.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// As nginx escapes: `"`, `\` and everything that is not printable ASCII as `\xXX`.
fn escape_quoted(out: &mut Vec<u8>, raw: &[u8]) {
    for byte in raw {
        match byte {
            b'"' | b'\\' | 0..=31 | 127.. => {
                let _ = write!(out, "\\x{byte:02X}");
            }
            _ => out.push(*byte),
        }
    }
}

/// JSON strings (RFC 8259, 7). What is UTF-8 is written as it is, but for controls and what a reader would take for the
/// end of a line, or not show where it stands; a byte that belongs to no character, as its Latin-1 character.
fn escape_json(out: &mut Vec<u8>, raw: &[u8]) {
    // Nearly always there is nothing to do.
    if raw.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(raw);
        return;
    }
    for chunk in raw.utf8_chunks() {
        let valid = chunk.valid();
        let mut from = 0;
        for (at, letter) in valid.char_indices().filter(|(_, letter)| misleads(*letter) || matches!(letter, '"' | '\\'))
        {
            out.extend_from_slice(&valid.as_bytes()[from..at]);
            from = at + letter.len_utf8();
            match letter {
                '"' | '\\' => out.extend([b'\\', letter as u8]),
                _ => drop(write!(out, "\\u{:04x}", letter as u32)),
            }
        }
        out.extend_from_slice(&valid.as_bytes()[from..]);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\u{byte:04x}");
        }
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in UTC.
struct Calendar {
    year: u64,
    month: usize,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Calendar {
    /// From seconds since 1970; counts years from March, so that a leap day is a year's last.
    fn of(unix_s: u64) -> Calendar {
        let (days, second) = (unix_s / 86_400, unix_s % 86_400);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Calendar {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month: month as usize,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

/// Whether a letter ends a line for some readers (Unicode, 5.8), or turns the order in which others are shown (UAX 9).
fn misleads(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    fn line(format: &LogFormat, raw: &[u8]) -> String {
        let mut head = Head::default();
        parse_head(raw, 99, &mut head).unwrap();
        let facts = Facts {
            head: Some(&head),
            peer_ip: "10.0.0.1",
            request_id: "id1",
            unix_ms: 1_709_210_096_007,
            status: 200,
            body_bytes: 5,
            total_us: 1_250_000,
            https: false,
            tls: None,
            user: "",
            app: "shop",
            cut: false,
            tries: &[],
            queue_us: None,
            lane: Some(LaneFacts { queue_us: 7, app_us: 1_200_000, worker_pid: 42 }),
        };
        let mut out = Vec::new();
        put_line(&mut out, &Style::of(format).unwrap(), &facts);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn combined_is_what_every_log_reader_knows() {
        let raw = b"GET /a?b=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: curl\"\\\xff\r\n\r\n";
        let expected =
            "10.0.0.1 - - [29/Feb/2024:12:34:56 +0000] \"GET /a?b=1 HTTP/1.1\" 200 5 \"-\" \"curl\\x22\\x5C\\xFF\"\n";
        assert_eq!(line(&LogFormat::Combined, raw), expected);
    }

    #[test]
    fn forms_of_nginx_work_as_written() {
        let raw = b"GET /a%20b?c HTTP/1.1\r\nHost: Shop.example:8080\r\nReferer: \"x\r\n\r\n";
        let own = |text: &str| line(&LogFormat::Own(text.into()), raw);
        let text = own("[$time_local] $host to: $upstream_addr: $request $status");
        let expected = "[29/Feb/2024:12:34:56 +0000] shop.example to: shop[42]: GET /a%20b?c HTTP/1.1 200\n";
        assert_eq!(text, expected);
        assert_eq!(own("$remote_addr|$remote_user|$uri|$args|$request_time"), "10.0.0.1|-|/a%20b|c|1.250\n");
        assert_eq!(own("$http_referer|$http_none|$queue_time|$upstream_response_time"), "\\x22x|-|0.000007|1.200\n");
        assert_eq!(own("$msec $time_iso8601 $scheme"), "1709210096.007 2024-02-29T12:34:56+00:00 http\n");
        let combined = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                        \"$http_referer\" \"$http_user_agent\"";
        assert_eq!(own(combined), line(&LogFormat::Combined, raw), "nginx's own definition of combined");
    }

    #[test]
    fn every_try_is_told() {
        let mut head = Head::default();
        parse_head(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", 99, &mut head).unwrap();
        let one = |server, status, head_us| TryFacts { server, status, head_us, total_us: head_us + 1_000 };
        let tries = [one("10.0.0.1:80", 502, 1_000), one("unix:/a\"b", 200, 4_000)];
        let facts = Facts {
            head: Some(&head),
            peer_ip: "10.0.0.9",
            user: "",
            request_id: "id1",
            unix_ms: 0,
            status: 200,
            body_bytes: 5,
            total_us: 9_000,
            https: false,
            tls: None,
            app: "",
            cut: false,
            lane: None,
            queue_us: Some(31),
            tries: &tries,
        };
        let told = |format: &LogFormat| {
            let mut out = Vec::new();
            put_line(&mut out, &Style::of(format).unwrap(), &facts);
            String::from_utf8(out).unwrap()
        };
        let own = "$remote_addr to: $upstream_addr: $request $status|$upstream_status|$upstream_response_time|$upstream_header_time";
        let expected =
            "10.0.0.9 to: 10.0.0.1:80, unix:/a\\x22b: GET /a HTTP/1.1 200|502, 200|0.002, 0.005|0.001, 0.004\n";
        assert_eq!(told(&LogFormat::Own(own.into())), expected);
        assert!(told(&LogFormat::Json).contains(
            r#""upstream":[{"addr":"10.0.0.1:80","status":502,"header_time":0.001000,"response_time":0.002000},{"addr":"unix:/a\"b","#
        ));
    }

    #[test]
    fn json_is_json() {
        let raw = b"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: a\"\\\t\xff\r\n\r\n";
        let text = line(&LogFormat::Json, raw);
        assert!(text.contains(r#""http_user_agent":"a\"\\\u0009\u00ff""#), "{text}");
        assert!(text.starts_with(r#"{"time":"2024-02-29T12:34:56.007Z","remote_addr":"10.0.0.1","#), "{text}");
        // What splits a line for some who read it, or shows it in another order.
        let raw = "GET / HTTP/1.1\r\nHost: h\r\nReferer: a\u{2028}b\u{2029}c\u{202e}d\u{2066}e\r\n\r\n";
        let text = line(&LogFormat::Json, raw.as_bytes());
        assert!(text.contains(r#""http_referer":"a\u2028b\u2029c\u202ed\u2066e""#), "{text}");
        // What is UTF-8 stays; what is none, and what is cut in the middle, is valid JSON all the same.
        let raw = "GET / HTTP/1.1\r\nHost: h\r\nReferer: caf\u{e9} \u{1f600}\u{85}\"\r\nUser-Agent: \u{65e5}\u{672c}";
        let text = line(&LogFormat::Json, &[raw.as_bytes(), b"\xe6\x97\xff\xed\xa0\x80\r\n\r\n"].concat());
        assert!(text.contains("\"http_referer\":\"caf\u{e9} \u{1f600}\\u0085\\\"\""), "{text}");
        assert!(
            text.contains("\"http_user_agent\":\"\u{65e5}\u{672c}\\u00e6\\u0097\\u00ff\\u00ed\\u00a0\\u0080\""),
            "{text}"
        );
        assert!(text.contains(r#""queue_time":0.000007,"app_time":1.200000,"worker_pid":42"#), "{text}");
    }
}
