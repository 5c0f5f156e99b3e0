//! In:     a number.
//! Out:    its decimal digits, without an allocation.
//! Actors: none.
//! Never:  is a number written in another base, or with a sign.

/// `00` to `99`: two digits for one division.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The digits of `number`, at the end of `room`.
pub fn digits(number: u64, room: &mut [u8; 20]) -> &[u8] {
    let (mut at, mut rest) = (room.len(), number);
    while rest >= 10 {
        at -= 2;
        room[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest > 0 || number == 0 {
        at -= 1;
        room[at] = b'0' + rest as u8;
    }
    &room[at..]
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_those_of_the_standard_library() {
        let around = (0..20).map(|power| 10_u64.pow(power)).flat_map(|number| [number - 1, number, number + 7]);
        for number in (0..2000).chain(around).chain([u64::MAX, u64::from(u32::MAX)]) {
            assert_eq!(super::digits(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
