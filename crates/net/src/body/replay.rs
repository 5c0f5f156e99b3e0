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
