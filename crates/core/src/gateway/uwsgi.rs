//! In:     a request's variables.
//! Out:    the packet of the uwsgi protocol that begins a request; its body follows as it is.
//! Actors: none.
//! Never:  is a packet longer than its length can say.

use super::variables::{Gateway, put_variables};
use crate::fault::{Fault, HeadLimit};
use crate::head::Head;

/// Appends the packet (modifier 0: a WSGI request).
///
/// # Errors
/// 431 where the head is longer than a packet can be.
pub fn put_uwsgi(out: &mut Vec<u8>, head: &Head, gateway: Gateway<'_>) -> Result<(), Fault> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut fits = true;
    put_variables(head, gateway, |name, value| {
        for part in [name, value] {
            match u16::try_from(part.len()) {
                Ok(length) => out.extend_from_slice(&length.to_le_bytes()),
                Err(_) => fits = false,
            }
            out.extend_from_slice(part);
        }
    });
    match u16::try_from(out.len() - start - 4) {
        Ok(length) if fits => {
            out[start + 1..start + 3].copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        _ => Err(Fault::HeadTooLarge(HeadLimit::Handed)),
    }
}
