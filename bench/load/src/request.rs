//! In:     method, path, host and the length of a body.
//! Out:    the bytes of the one request that is sent again and again.
//! Actors: none.
//! Never:  does a name with a space, a line break or another control byte get into the request.

/// What is asked, again and again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestForm {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) body_bytes: usize,
}

impl RequestForm {
    /// The request as it goes over the wire. A method that has a body always states its length.
    pub(crate) fn wire(&self) -> Result<Vec<u8>, String> {
        for text in [&self.method, &self.path, &self.host] {
            if text.is_empty() || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
                return Err(format!("{text:?} cannot stand in a request"));
            }
        }
        let mut wire = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.path, self.host).into_bytes();
        if self.body_bytes > 0 || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            let fields = format!("Content-Type: application/octet-stream\r\nContent-Length: {}\r\n", self.body_bytes);
            wire.extend_from_slice(fields.as_bytes());
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend(body(self.body_bytes));
        Ok(wire)
    }
}

/// The body: the letters a to z from the C standard's example generator, seed 1. It has no short
/// period, so a byte lost or a piece sent twice changes what follows. The driver makes the same bytes.
fn body(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
        b'a' + ((state >> 16) % 26) as u8
    };
    (0..bytes).map(|_| letter()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(method: &str, path: &str, body_bytes: usize) -> RequestForm {
        RequestForm { method: method.into(), path: path.into(), host: "here".into(), body_bytes }
    }

    #[test]
    fn a_get_has_no_body_and_no_length() {
        let wire = form("GET", "/a?b=c", 0).wire().unwrap();
        assert_eq!(wire, b"GET /a?b=c HTTP/1.1\r\nHost: here\r\n\r\n");
    }

    #[test]
    fn a_post_states_its_length_even_when_empty() {
        let wire = String::from_utf8(form("POST", "/", 0).wire().unwrap()).unwrap();
        assert!(wire.ends_with("Content-Length: 0\r\n\r\n"), "{wire}");
        let wire = String::from_utf8(form("POST", "/", 8).wire().unwrap()).unwrap();
        assert!(wire.ends_with("Content-Length: 8\r\n\r\nqmzrhlaj"), "{wire}");
    }

    #[test]
    fn a_line_break_is_refused() {
        assert!(form("GET", "/ HTTP/1.1\r\nX: y", 0).wire().is_err());
        assert!(form("", "/", 0).wire().is_err());
    }
}
