//! In:     a name or a key.
//! Out:    its hash.
//! Actors: none.
//! Never:  does a hash change from one version to the next: where keys are would change with it.

use sha1::{Digest, Sha1};

/// How names and keys are hashed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Hash {
    /// XXH3, 64 bits.
    #[default]
    Xxh3,
    /// The first seven hexadecimal digits of SHA-1: 28 bits.
    Sha1Digits7,
}

impl Hash {
    /// Both, by their names on the command line.
    pub const NAMES: [(&'static str, Hash); 2] = [("xxh3", Hash::Xxh3), ("sha1-28", Hash::Sha1Digits7)];

    /// The hash of a name or key.
    pub fn of(self, bytes: &[u8]) -> u64 {
        match self {
            Hash::Xxh3 => xxhash_rust::xxh3::xxh3_64(bytes),
            Hash::Sha1Digits7 => {
                let digest: [u8; 20] = Sha1::digest(bytes).into();
                u64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) >> 4)
            }
        }
    }

    /// Bits of a hash.
    pub fn bits(self) -> u32 {
        match self {
            Hash::Xxh3 => 64,
            Hash::Sha1Digits7 => 28,
        }
    }

    /// The highest hash there is.
    pub fn max(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }
}
