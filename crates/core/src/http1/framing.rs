//! In:     the fields of a parsed head.
//! Out:    how its body ends, whether the connection lives on, whether 100 is awaited.
//! Actors: none.
//! Never:  is a request with two possible lengths given one of them; it is refused.

use crate::fault::Fault;
use crate::fields::{Name, list_members};
use crate::head::{Framing, Head, Version};

/// Settles framing and persistence (RFC 9112, 6.3 and 9.3; RFC 9110, 10.1.1).
pub(super) fn settle(head: &mut Head) -> Result<(), Fault> {
    let (mut length, mut chunked) = (None, false);
    let (mut close, mut keep_alive, mut typed) = (false, false, false);
    for field in head.fields.iter() {
        match field.name {
            Name::ContentLength if length.is_some() => {
                return Err(Fault::BadRequest("There is more than one Content-Length."));
            }
            Name::ContentLength => length = Some(decimal(field.value)?),
            Name::TransferEncoding if chunked => {
                return Err(Fault::BadRequest("There is more than one Transfer-Encoding."));
            }
            Name::TransferEncoding if field.value.eq_ignore_ascii_case(b"chunked") => chunked = true,
            Name::TransferEncoding => return Err(refuse_coding(field.value)),
            Name::Connection => {
                for option in list_members(field.value) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            Name::Expect if !field.value.eq_ignore_ascii_case(b"100-continue") => {
                return Err(Fault::ExpectationFailed);
            }
            // What is not a list may be there once only (RFC 9110, 5.3): of two, each reader may take another.
            Name::ContentType if std::mem::replace(&mut typed, true) => {
                return Err(Fault::BadRequest("There is more than one Content-Type."));
            }
            // Some readers take an underscore for a hyphen: then these would frame the body.
            Name::Other if is_framing_alias(field.raw_name) => {
                return Err(Fault::BadRequest("A header looks like one that says where the body ends."));
            }
            Name::Expect => head.expects_continue = head.version == Version::Http11,
            _ => {}
        }
    }
    head.framing = match (chunked, length) {
        (true, Some(_)) => {
            return Err(Fault::BadRequest("There are both Content-Length and Transfer-Encoding."));
        }
        (true, None) if head.version == Version::Http10 => {
            return Err(Fault::BadRequest("HTTP/1.0 has no Transfer-Encoding."));
        }
        (true, None) => Framing::Chunked,
        (false, Some(0) | None) => Framing::None,
        (false, Some(bytes)) => Framing::Length(bytes),
    };
    head.keep_alive = !close && (head.version == Version::Http11 || keep_alive);
    head.expects_continue &= head.framing != Framing::None;
    Ok(())
}

fn is_framing_alias(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content_length") || name.eq_ignore_ascii_case(b"transfer_encoding")
}

/// Codings other than exactly one `chunked`: 501 where the body could be delimited, else 400.
fn refuse_coding(value: &[u8]) -> Fault {
    let mut codings = list_members(value);
    let last_is_chunked = codings.next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
    let chunked_once = !codings.any(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    if last_is_chunked && chunked_once && !value.starts_with(b",") && !value.ends_with(b",") {
        Fault::NotImplemented("The only transfer coding taken here is chunked.")
    } else {
        Fault::BadRequest("The Transfer-Encoding does not say where the body ends.")
    }
}

/// A Content-Length: digits only, no sign, no list (RFC 9110, 8.6).
pub(crate) fn decimal(value: &[u8]) -> Result<u64, Fault> {
    let malformed = Fault::BadRequest("The Content-Length is not a number.");
    if value.is_empty() || value.len() > 18 {
        return Err(malformed);
    }
    value.iter().try_fold(0u64, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum * 10 + u64::from(byte - b'0')),
        _ => Err(malformed),
    })
}
