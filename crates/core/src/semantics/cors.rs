//! In:     a request of a page of some origin, what the route allows such pages.
//! Out:    the answer to a browser that asks first; the lines by which a page may read an answer.
//! Actors: none.
//! Never:  is any origin but a named one told that it may send along what makes its user known.

use crate::fields::list_members;
use crate::head::Head;
use crate::plan::Cors;
use crate::semantics::AnswerHead;

/// Answers a browser that asks whether a page may send a request (Fetch standard, "CORS-preflight request").
/// Nothing for other requests.
pub fn preflight(head: &Head, cors: &Cors) -> Option<AnswerHead> {
    let asked = |name: &[u8]| head.fields.named(name);
    let (origin, method) = (asked(b"origin")?, asked(b"access-control-request-method")?);
    if head.method() != b"OPTIONS" {
        return None;
    }
    let mut answer =
        AnswerHead::new(204).with("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    answer.length = Some(0);
    if !put_origin(&mut answer, origin, cors) {
        return Some(answer);
    }
    let is_simple = matches!(method, b"GET" | b"HEAD" | b"POST");
    if is_simple || cors.methods.iter().any(|one| one.as_bytes() == method) {
        answer.fields.push(b"Access-Control-Allow-Methods", method);
    }
    if let Some(headers) = asked(b"access-control-request-headers") {
        let any = cors.headers.iter().any(|one| one == "*");
        let is_allowed = |name: &&[u8]| any || cors.headers.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name));
        let allowed: Vec<&[u8]> = list_members(headers).filter(is_allowed).collect();
        if !allowed.is_empty() {
            answer.fields.push(b"Access-Control-Allow-Headers", &allowed.join(&b", "[..]));
        }
    }
    if cors.max_age_s > 0 {
        answer = answer.with("Access-Control-Max-Age", &cors.max_age_s.to_string());
    }
    Some(answer)
}

/// Says on an answer whether the page that asked may read it.
pub fn allow_origin(answer: &mut AnswerHead, head: &Head, cors: &Cors) {
    // What an application says of this by itself would contradict the route.
    answer.fields.retain(|name| !starts_with(name, b"access-control-allow-"));
    // What is open says so to all: a cache may give it to a page although nobody's page asked first.
    let origin = if is_open(cors) {
        b"*"
    } else {
        answer.fields.push(b"Vary", b"Origin");
        let Some(origin) = head.fields.named(b"origin") else { return };
        origin
    };
    if put_origin(answer, origin, cors) && !cors.expose.is_empty() {
        answer.fields.push(b"Access-Control-Expose-Headers", cors.expose.join(", ").as_bytes());
    }
}

/// Whether the answer is the same for all origins.
fn is_open(cors: &Cors) -> bool {
    !cors.credentials && cors.origins.iter().any(|one| one == "*")
}

fn put_origin(answer: &mut AnswerHead, origin: &[u8], cors: &Cors) -> bool {
    if is_open(cors) {
        answer.fields.push(b"Access-Control-Allow-Origin", b"*");
        return true;
    }
    let is_allowed = cors.origins.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(origin));
    if is_allowed {
        answer.fields.push(b"Access-Control-Allow-Origin", origin);
        if cors.credentials {
            answer.fields.push(b"Access-Control-Allow-Credentials", b"true");
        }
    }
    is_allowed
}

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    fn head(method: &str, lines: &str) -> Head {
        let mut head = Head::default();
        parse_head(format!("{method} / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes(), 99, &mut head).unwrap();
        head
    }

    fn said(answer: &AnswerHead) -> Vec<String> {
        let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        answer.fields.iter().map(|field| format!("{}: {}", shown(field.raw_name), shown(field.value))).collect()
    }

    fn cors() -> Cors {
        Cors {
            origins: vec!["https://a.example".into()],
            methods: vec!["PUT".into()],
            headers: vec!["X-One".into()],
            expose: vec!["X-Two".into()],
            credentials: true,
            max_age_s: 600,
        }
    }

    #[test]
    fn a_browser_that_asks_first() {
        let asks = "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n\
                    Access-Control-Request-Headers: x-one, x-other\r\n";
        let answer = preflight(&head("OPTIONS", asks), &cors()).unwrap();
        let expected = [
            "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            "Access-Control-Allow-Origin: https://a.example",
            "Access-Control-Allow-Credentials: true",
            "Access-Control-Allow-Methods: PUT",
            "Access-Control-Allow-Headers: x-one",
            "Access-Control-Max-Age: 600",
        ];
        assert_eq!(said(&answer), expected);
        let evil = asks.replace("a.example", "a.example.evil");
        assert_eq!(said(&preflight(&head("OPTIONS", &evil), &cors()).unwrap()).len(), 1);
        assert!(preflight(&head("OPTIONS", "Origin: https://a.example\r\n"), &cors()).is_none(), "an app's own");
        assert!(preflight(&head("GET", asks), &cors()).is_none());
    }

    #[test]
    fn only_named_origins_read_answers() {
        let mut answer = AnswerHead::new(200).with("access-control-allow-origin", "*");
        allow_origin(&mut answer, &head("GET", "Origin: https://a.example\r\n"), &cors());
        let expected = [
            "Vary: Origin",
            "Access-Control-Allow-Origin: https://a.example",
            "Access-Control-Allow-Credentials: true",
            "Access-Control-Expose-Headers: X-Two",
        ];
        assert_eq!(said(&answer), expected);
        let mut answer = AnswerHead::new(200);
        allow_origin(&mut answer, &head("GET", "Origin: null\r\n"), &cors());
        assert_eq!(said(&answer), ["Vary: Origin"]);
        let open = Cors { origins: vec!["*".into()], ..Cors::default() };
        let mut answer = AnswerHead::new(200);
        allow_origin(&mut answer, &head("GET", "Origin: https://any\r\n"), &open);
        assert_eq!(said(&answer), ["Access-Control-Allow-Origin: *"]);
        let mut answer = AnswerHead::new(200);
        allow_origin(&mut answer, &head("GET", ""), &open);
        assert_eq!(said(&answer), ["Access-Control-Allow-Origin: *"], "a cache may give it to a page");
    }
}
