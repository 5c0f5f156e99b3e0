//! In:     a fault, and what the client says it can read.
//! Out:    the answer that explains it: a page for people, problem details for programs (RFC 9457).
//! Actors: none.
//! Never:  does an explanation hold anything of the request or of the inside of the server.

use crate::fault::{Fault, reason_phrase};
use crate::fields::Name;
use crate::head::Head;
use crate::semantics::AnswerHead;

/// The answer to a request that failed, by whose id the operator finds it in the log. Without a head (it could not be
/// read) it is for programs. `pages` are a site's own, by status.
pub fn explain_fault(
    fault: Fault,
    (head, request_id): (Option<&Head>, &str),
    pages: &[(u16, String)],
) -> (AnswerHead, Vec<u8>) {
    let status = fault.status();
    let title = reason_phrase(status);
    let detail = &*fault.told();
    // Words of others are shown only where nothing in them could be taken for anything else.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(&byte);
    let request_id = if request_id.bytes().all(is_plain) { request_id } else { "" };
    let wants_html = head.and_then(|head| head.fields.get(Name::Accept)).is_some_and(prefers_html);
    let (media_type, body) = if wants_html {
        let own = pages.iter().find(|(of, _)| *of == status).map(|(_, page)| page.clone());
        ("text/html; charset=utf-8", own.unwrap_or_else(|| page((status, title), detail, request_id)))
    } else {
        let id = if request_id.is_empty() { String::new() } else { format!(",\"request_id\":\"{request_id}\"") };
        let body = format!("{{\"title\":\"{title}\",\"status\":{status},\"detail\":\"{detail}\"{id}}}\n");
        ("application/problem+json", body)
    };
    let mut answer = AnswerHead::new(status).with("Content-Type", media_type).with("Vary", "Accept");
    // 404 and others would be kept without a word (RFC 9110, 15.1), and nobody knows for how long this one holds.
    answer = answer.with("Cache-Control", "no-store");
    if let Fault::MethodNotAllowed(allow) = fault {
        answer = answer.with("Allow", &allow.to_string());
    }
    if let Fault::RangeNotSatisfiable(bytes) = fault {
        answer = answer.with("Content-Range", &format!("bytes */{bytes}"));
    }
    if let Some(seconds) = fault.retry_after_s() {
        answer = answer.with("Retry-After", &seconds.to_string());
    }
    answer.length = Some(body.len() as u64);
    (answer, body.into_bytes())
}

/// A site's own page for people, instead of what a server or an app answered as an error. What the answer says to
/// browsers beside its body stays.
pub fn intercept(answer: &AnswerHead, head: &Head, pages: &[(u16, String)]) -> Option<(AnswerHead, Vec<u8>)> {
    const STAYS: [&[u8]; 5] = [b"www-authenticate", b"retry-after", b"allow", b"set-cookie", b"cache-control"];
    if answer.status < 400 || !head.fields.get(Name::Accept).is_some_and(prefers_html) {
        return None;
    }
    let (_, page) = pages.iter().find(|(of, _)| *of == answer.status)?;
    let mut own = answer.clone();
    own.fields.retain(|name| STAYS.iter().any(|stays| stays.eq_ignore_ascii_case(name)));
    own = own.with("Content-Type", "text/html; charset=utf-8").with("Vary", "Accept");
    (own.length, own.is_counted) = (Some(page.len() as u64), false);
    Some((own, page.clone().into_bytes()))
}

/// Whether a page can stand for what is not there: a person asks, or the path does not name a file.
pub fn wants_page(head: &Head) -> bool {
    let last = head.path().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    head.fields.get(Name::Accept).is_some_and(prefers_html) || !last.contains(&b'.')
}

/// Browsers name text/html; programs that name it and JSON get what they name first.
fn prefers_html(accept: &[u8]) -> bool {
    let position = |media_type: &[u8]| memchr::memmem::find(accept, media_type);
    match (position(b"text/html"), position(b"json")) {
        (Some(html), Some(json)) => html < json,
        (html, _) => html.is_some(),
    }
}

fn page((status, title): (u16, &str), detail: &str, request_id: &str) -> String {
    let id =
        if request_id.is_empty() { String::new() } else { format!("<p><small>Request {request_id}</small></p>\n") };
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{status} {title}</title>\n\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;padding:0 1.5rem;\
         color:#222;background:#fafafa}}h1{{font-size:1.4rem;margin:0}}p{{color:#555}}\
         @media(prefers-color-scheme:dark){{body{{color:#eee;background:#181818}}p{{color:#aaa}}}}</style>\n\
         <h1>{status} {title}</h1>\n<p>{detail}</p>\n{id}</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_a_page_and_programs_get_json() {
        let mut head = Head::default();
        head.fields.push(b"Accept", b"text/html,application/xhtml+xml,*/*;q=0.8");
        let (answer, body) = explain_fault(Fault::QueueFull, (Some(&head), "1a-2b"), &[]);
        assert_eq!(answer.fields.get(Name::ContentType), Some(&b"text/html; charset=utf-8"[..]));
        assert!(
            body.starts_with(b"<!doctype html>") && body.ends_with(b"<p><small>Request 1a-2b</small></p>\n</html>\n")
        );
        assert_eq!(answer.length, Some(body.len() as u64));
        let (_, body) = explain_fault(Fault::QueueFull, (Some(&head), "<b>"), &[]);
        assert!(!body.ends_with(b"</small></p>\n</html>\n"), "no word of anybody becomes a part of the page");
        let (answer, body) = explain_fault(Fault::QueueFull, (None, "1a-2b"), &[(503, "own".into())]);
        assert_eq!(answer.status, 503);
        assert!(answer.fields.iter().any(|field| field.raw_name == b"Retry-After"));
        assert!(body.starts_with(b"{\"title\":\"Service Unavailable\",\"status\":503,"));
        assert!(body.ends_with(b",\"request_id\":\"1a-2b\"}\n"));
        let (_, body) = explain_fault(Fault::QueueFull, (None, "a\"b"), &[]);
        assert!(body.ends_with(b"in a moment.\"}\n"));
        let (answer, body) =
            explain_fault(Fault::QueueFull, (Some(&head), "1a-2b"), &[(404, "none".into()), (503, "own".into())]);
        assert_eq!((answer.status, &body[..]), (503, &b"own"[..]));
    }

    #[test]
    fn a_sites_page_stands_for_an_error_of_a_server() {
        let (pages, mut head) = ([(503, "own".to_owned())], Head::default());
        let mut answer = AnswerHead::new(503).with("Content-Encoding", "gzip").with("Retry-After", "9");
        answer.length = Some(99);
        assert!(intercept(&answer, &head, &pages).is_none(), "programs get what the server says");
        head.fields.push(b"Accept", b"text/html");
        let (own, page) = intercept(&answer, &head, &pages).unwrap();
        let names: Vec<String> =
            own.fields.iter().map(|field| String::from_utf8_lossy(field.raw_name).into_owned()).collect();
        assert_eq!((own.status, own.length, &page[..]), (503, Some(3), &b"own"[..]));
        assert_eq!(names, ["Retry-After", "Content-Type", "Vary"]);
        for status in [200, 500] {
            assert!(intercept(&AnswerHead { status, ..answer.clone() }, &head, &pages).is_none());
        }
    }
}
