//! In:     a request.
//! Out:    what its cookies say.
//! Actors: none.
//! Never:  is a value unquoted or decoded: servers set it as they like.

use crate::head::Head;

/// The value of a cookie (RFC 6265, 5.4), the first of its name.
pub fn cookie<'h>(head: &'h Head, name: &[u8]) -> Option<&'h [u8]> {
    let lines = head.fields.iter().filter(|field| field.raw_name.eq_ignore_ascii_case(b"cookie"));
    let pairs = lines.flat_map(|field| field.value.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let mut values = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="));
    values.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::parse_head;

    #[test]
    fn the_first_of_its_name() {
        let raw = b"GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; sid=x=y ;b=2\r\nCookie: sid=z; c=\r\n\r\n";
        let mut head = Head::default();
        parse_head(raw, 99, &mut head).unwrap();
        assert_eq!(cookie(&head, b"sid"), Some(&b"x=y"[..]));
        assert_eq!((cookie(&head, b"c"), cookie(&head, b"i")), (Some(&b""[..]), None));
    }
}
