//! In:     a number.
//! Out:    its decimal digits, without an allocation.
//! Actors: none.
//! Never:  is a number written in another base, or with a sign.

/// The digits of `number`, at the end of `room`.
pub fn digits(number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    let mut rest = number;
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &room[at..];
        }
    }
}
