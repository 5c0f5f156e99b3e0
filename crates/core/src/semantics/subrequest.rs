//! Requests that are made on behalf of another one.
//!
//! In:     the head of a request, another target.
//! Out:    the head of a GET for that target, with what the client says of itself.
//! Actors: none.
//! Never:  says of the other target what is said of the body, the connection or the copy of the first.

use crate::fault::Fault;
use crate::fields::Name;
use crate::head::{Framing, Head};
use crate::route::settle_target;

/// The head of a GET for this target; the client's cookies, credentials and preferences go along.
///
/// # Errors
/// 400 for a target that is none.
pub fn subrequest_head(head: &Head, target: &[u8]) -> Result<Head, Fault> {
    let mut own = head.clone();
    own.set_method(b"GET");
    own.set_raw_target(target);
    settle_target(&mut own, target)?;
    own.fields.retain(|name| {
        let is_conditional = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"if-"));
        let is_of_body = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        !is_conditional
            && !is_of_body
            && !matches!(
                Name::of(name),
                Name::AcceptEncoding
                    | Name::Range
                    | Name::Expect
                    | Name::Te
                    | Name::Upgrade
                    | Name::Connection
                    | Name::TransferEncoding
            )
    });
    (own.framing, own.expects_continue) = (Framing::None, false);
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_asks_and_nothing_of_what_was_asked() {
        let mut head = Head::default();
        head.set_method(b"POST");
        head.set_host(b"shop.example");
        for (name, value) in [
            ("Cookie", "sid=1"),
            ("Authorization", "Bearer x"),
            ("Accept", "text/html"),
            ("Content-Type", "text/plain"),
            ("Content-Length", "5"),
            ("Content-Encoding", "gzip"),
            ("If-None-Match", "\"a\""),
            ("Range", "bytes=0-1"),
            ("Expect", "100-continue"),
            ("Upgrade", "websocket"),
            ("Connection", "upgrade"),
            ("Accept-Encoding", "gzip"),
        ] {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        (head.framing, head.expects_continue) = (Framing::Length(5), true);
        let own = subrequest_head(&head, b"/whoami?x=1").unwrap();
        assert_eq!((own.method(), own.path(), own.query()), (&b"GET"[..], &b"/whoami"[..], &b"x=1"[..]));
        assert_eq!((own.host(), own.framing, own.expects_continue), (&b"shop.example"[..], Framing::None, false));
        let names: Vec<&[u8]> = own.fields.iter().map(|field| field.raw_name).collect();
        assert_eq!(names, [&b"Cookie"[..], b"Authorization", b"Accept"]);
        assert!(subrequest_head(&head, b"no path").is_err());
    }
}
