//! In:     the `Authorization` of a request.
//! Out:    a name and a password (RFC 7617).
//! Actors: none.
//! Never:  is a password kept longer than it is looked at.

use crate::head::Head;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest name and password together.
const BYTES_MAX: usize = 1024;

/// The name and the password that a client sent in this field; nothing where it sent none, or not in this form.
pub fn basic_credentials(head: &Head, name: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut lines = head.fields.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(name));
    let (line, more) = (lines.next()?.value, lines.next());
    let (scheme, rest) = line.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") || more.is_some() || rest.len() > BYTES_MAX {
        return None;
    }
    let pair = STANDARD.decode(rest.trim_ascii()).ok()?;
    let at = memchr::memchr(b':', &pair)?;
    let name = std::str::from_utf8(&pair[..at]).ok()?;
    let is_plain = !name.chars().any(char::is_control);
    is_plain.then(|| (name.to_owned(), pair[at + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, Vec<u8>)> {
        let mut head = Head::default();
        head.fields.push(b"Authorization", value.as_bytes());
        basic_credentials(&head, b"authorization")
    }

    #[test]
    fn name_and_password() {
        assert_eq!(read("Basic YTpiOmM="), Some(("a".into(), b"b:c".to_vec())));
        assert_eq!(read("basic  YTo="), Some(("a".into(), Vec::new())));
        for value in ["Bearer YTpi", "Basic", "Basic %%", "Basic YWI=", "Basic CjpiCg=="] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
