//! Numbers of requests that workers have.
//!
//! In:     the loop, a serial number, a place in the table of that loop.
//! Out:    one number that no other request has for a long time.
//! Actors: none.
//! Never:  is a number trusted that a worker names: what it says must be found there.

/// Bits of a ticket: the loop, a serial number, the key in its table.
const KEY_BITS: u32 = 20;
const THREAD_SHIFT: u32 = 56;

/// The ticket of a place in the table of a loop; nothing where there is no such place.
pub(super) fn ticket(thread: u16, serial: u64, key: usize) -> Option<u64> {
    let key = u64::try_from(key).ok().filter(|key| key >> KEY_BITS == 0)?;
    let serial = (serial << KEY_BITS) & ((1 << THREAD_SHIFT) - 1);
    Some((u64::from(thread) << THREAD_SHIFT) | serial | key)
}

/// Where it is in the table of its loop.
pub(super) fn key_of(ticket: u64) -> usize {
    (ticket & ((1 << KEY_BITS) - 1)) as usize
}

/// Which loop it belongs to.
pub(super) fn thread_of(ticket: u64) -> usize {
    (ticket >> THREAD_SHIFT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_found_again() {
        for (thread, serial, key) in [(0, 1, 0), (7, u64::MAX, 999_999), (255, 1 << 36, 1), (3, 0, (1 << KEY_BITS) - 1)]
        {
            let made = ticket(thread, serial, key).unwrap();
            assert_eq!((thread_of(made), key_of(made)), (usize::from(thread), key));
        }
        assert_eq!(ticket(0, 0, 1 << KEY_BITS), None);
        assert_ne!(ticket(1, 5, 9), ticket(1, 6, 9), "a place that is used again has another ticket");
    }
}
