//! Request bodies that can be sent again.
//!
//! In:     a body that was gathered.
//! Out:    its bytes, from any place on, as often as they are wanted.
//! Actors: the task of the request; threads for files read what is in one.
//! Never:  is a part of it read into memory that nobody asked for.

use crate::file::read::read_part;
use crate::file::stored::StoredFile;
use hallway_core::Fault;
use std::rc::Rc;
use std::sync::Arc;

/// A whole request body.
pub enum Spooled {
    /// In memory.
    Memory(Vec<u8>),
    /// In a file without a name.
    File {
        /// The file.
        file: Arc<StoredFile>,
        /// Its length.
        bytes: u64,
    },
}

/// A request's body that is here as a whole; it can be sent again.
#[derive(Clone)]
pub enum Whole {
    /// In memory.
    Memory(Rc<Vec<u8>>),
    /// In a file without a name.
    File {
        /// The file.
        file: Arc<StoredFile>,
        /// Its length.
        bytes: u64,
    },
}

impl Whole {
    /// How long it is.
    pub fn bytes(&self) -> u64 {
        match self {
            Whole::Memory(bytes) => bytes.len() as u64,
            Whole::File { bytes, .. } => *bytes,
        }
    }

    /// Appends a part of it from here on; how much. Nothing at its end.
    pub async fn read(&self, at: u64, into: &mut Vec<u8>) -> Result<u64, Fault> {
        match self {
            _ if at == self.bytes() => Ok(0),
            Whole::Memory(bytes) => {
                into.extend_from_slice(&bytes[at as usize..]);
                Ok(bytes.len() as u64 - at)
            }
            Whole::File { file, bytes } => {
                let part = read_part(file, at..*bytes).await?;
                into.extend_from_slice(&part);
                Ok(part.len() as u64)
            }
        }
    }
}

impl From<Spooled> for Whole {
    fn from(spooled: Spooled) -> Whole {
        match spooled {
            Spooled::Memory(bytes) => Whole::Memory(Rc::new(bytes)),
            Spooled::File { file, bytes } => Whole::File { file, bytes },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{on_loop, stored};

    #[test]
    fn a_body_is_read_as_often_as_it_is_wanted() {
        on_loop(async |event_loop| {
            let bytes: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8).collect();
            let file = stored(&event_loop, &bytes);
            let length = bytes.len() as u64;
            for whole in [Whole::from(Spooled::Memory(bytes.clone())), Spooled::File { file, bytes: length }.into()] {
                for begin in [0, 1, length - 1] {
                    let (mut at, mut read) = (begin, Vec::new());
                    loop {
                        let more = whole.read(at, &mut read).await.unwrap();
                        at += more;
                        if more == 0 {
                            break;
                        }
                    }
                    assert!(at == whole.bytes() && read == bytes[begin as usize..], "from {begin}");
                }
            }
            let none = Whole::from(Spooled::Memory(Vec::new()));
            assert_eq!((none.bytes(), none.read(0, &mut Vec::new()).await), (0, Ok(0)));
        });
    }

    #[test]
    fn a_file_that_lost_its_end_is_no_whole_body() {
        on_loop(async |event_loop| {
            let whole = Whole::File { file: stored(&event_loop, b"abc"), bytes: 5 };
            let mut read = Vec::new();
            assert_eq!(whole.read(0, &mut read).await, Ok(3));
            assert!(whole.read(3, &mut read).await.is_err());
        });
    }
}
