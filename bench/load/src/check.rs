//! In:     what an answer must be; status and body of every answer.
//! Out:    right, or why it is wrong.
//! Actors: none.
//! Never:  does an answer pass that differs in one byte from the first right one.

use sha2::{Digest, Sha256};

/// What every answer must be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    pub(crate) status: u16,
    pub(crate) bytes: Option<usize>,
    pub(crate) prefix: Option<String>,
    /// In lower-case hexadecimal.
    pub(crate) sha256: Option<String>,
}

/// The expectation, and the first body that met it: all others are compared with that one.
pub(crate) struct Check {
    expectation: Expectation,
    first: Option<Vec<u8>>,
}

impl Check {
    pub(crate) fn new(expectation: Expectation) -> Self {
        Self { expectation, first: None }
    }

    pub(crate) fn verify(&mut self, status: u16, body: &[u8]) -> Result<(), String> {
        if status != self.expectation.status {
            return Err(format!("status {status} instead of {}: {}", self.expectation.status, excerpt(body)));
        }
        match &self.first {
            Some(first) if first == body => Ok(()),
            Some(first) => Err(differs(first, body)),
            None => {
                meets(&self.expectation, body)?;
                self.first = Some(body.to_vec());
                Ok(())
            }
        }
    }
}

fn meets(expectation: &Expectation, body: &[u8]) -> Result<(), String> {
    if let Some(bytes) = expectation.bytes.filter(|bytes| *bytes != body.len()) {
        return Err(format!("{} bytes instead of {bytes}: {}", body.len(), excerpt(body)));
    }
    if let Some(prefix) = expectation.prefix.as_deref().filter(|prefix| !body.starts_with(prefix.as_bytes())) {
        return Err(format!("begins with {} instead of {prefix:?}", excerpt(body)));
    }
    let Some(sha256) = &expectation.sha256 else { return Ok(()) };
    let digest: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest == *sha256 { Ok(()) } else { Err(format!("SHA-256 {digest} instead of {sha256}: {}", excerpt(body))) }
}

fn differs(first: &[u8], body: &[u8]) -> String {
    let same = first.iter().zip(body).take_while(|(one, other)| one == other).count();
    let lengths = format!("{} bytes, the first had {}", body.len(), first.len());
    format!("differs from the first answer at byte {same} ({lengths}): {}", excerpt(&body[same..]))
}

fn excerpt(body: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&body[..body.len().min(80)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn check(bytes: Option<usize>, prefix: Option<&str>, sha256: Option<&str>) -> Check {
        let (prefix, sha256) = (prefix.map(str::to_owned), sha256.map(str::to_owned));
        Check::new(Expectation { status: 200, bytes, prefix, sha256 })
    }

    #[test]
    fn each_expectation_is_kept() {
        assert!(check(None, None, None).verify(500, b"abc").is_err());
        assert!(check(Some(3), Some("ab"), Some(ABC)).verify(200, b"abc").is_ok());
        assert!(check(Some(4), None, None).verify(200, b"abc").is_err());
        assert!(check(None, Some("b"), None).verify(200, b"abc").is_err());
        assert!(check(None, None, Some(ABC)).verify(200, b"abd").is_err());
    }

    #[test]
    fn later_bodies_are_compared_with_the_first() {
        let mut check = check(None, None, None);
        assert!(check.verify(200, b"abc").is_ok());
        assert!(check.verify(200, b"abc").is_ok());
        let fault = check.verify(200, b"abd").unwrap_err();
        assert!(fault.contains("at byte 2"), "{fault}");
        assert!(check.verify(200, b"").is_err());
    }

    #[test]
    fn a_wrong_body_never_becomes_the_first() {
        let mut check = check(Some(3), None, None);
        assert!(check.verify(200, b"four").is_err());
        assert!(check.verify(200, b"abc").is_ok());
    }
}
