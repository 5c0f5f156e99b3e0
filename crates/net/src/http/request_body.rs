//! Request bodies, as a whole.
//!
//! In:     a request body, piece by piece.
//! Out:    the whole of it, in memory or in a file without a name.
//! Actors: the task of the connection; threads for files write what is past the memory limit.
//! Never:  does one body hold more memory than the limit and one batch.

use crate::body::replay::Spooled;
use crate::file::nameless::{is_full, nameless_file, write_at};
use crate::file::spool::{Room, Spool};
use crate::file::stored::StoredFile;
use crate::http::exchange::Wire;
use hallway_core::Fault;
use hallway_core::plan::Limits;
use std::sync::Arc;

/// Bytes gathered before a thread writes them to the file.
const BATCH_BYTES: usize = 64 * 1024;

/// Reads a whole body (RFC 9112, 6), at most `body_bytes_max` of it.
pub async fn gather<W: Wire>(spool: &Arc<Spool>, wire: &mut W, limits: &Limits) -> Result<Spooled, Fault> {
    let mut batch = Vec::new();
    let mut file: Option<SpoolFile> = None;
    while wire.read_body(&mut batch).await? {
        let spooled = file.as_ref().map_or(0, |file| file.bytes);
        if spooled + batch.len() as u64 > limits.body_bytes_max {
            return Err(Fault::BodyTooLarge);
        }
        let room = if file.is_some() { BATCH_BYTES } else { limits.body_memory_bytes };
        if batch.len() > room {
            batch = append(spool, &mut file, batch).await?;
        }
    }
    if file.is_some() {
        batch = append(spool, &mut file, batch).await?;
    }
    Ok(match file {
        None => Spooled::Memory(batch),
        Some(SpoolFile { file, bytes, .. }) => Spooled::File { file, bytes },
    })
}

/// A body that is being written.
struct SpoolFile {
    file: Arc<StoredFile>,
    room: Arc<Room>,
    bytes: u64,
}

/// Writes a batch on a thread; gives it back empty.
async fn append(spool: &Arc<Spool>, file: &mut Option<SpoolFile>, mut batch: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let room = file.as_ref().map_or_else(|| spool.room(), |file| file.room.clone());
    if !room.grow(batch.len() as u64) {
        spool.note_refused();
        return Err(Fault::SpoolFull);
    }
    let (known, threads) = (file.as_ref().map(|file| (file.file.clone(), file.bytes)), spool.threads().clone());
    let (bytes, own) = (batch.len() as u64, room.clone());
    let write = move || -> std::io::Result<(Arc<StoredFile>, Vec<u8>)> {
        let (file, at) = match known {
            Some(known) => known,
            None => (Arc::new(StoredFile::of_spool(nameless_file()?, &threads, move || own.shrink(u64::MAX))), 0),
        };
        write_at(&*file, &batch, at)?;
        batch.clear();
        Ok((file, batch))
    };
    let (written, batch) = match spool.threads().run(write).await {
        Ok(Ok(written)) => written,
        // A disk that is full has room again later.
        Ok(Err(error)) if is_full(&error) => return Err(Fault::SpoolFull),
        Ok(Err(_)) => return Err(Fault::Internal("The request body could not be written to a spool file.")),
        Err(_) => return Err(Fault::SpoolFull),
    };
    let file = file.get_or_insert(SpoolFile { file: written, room, bytes: 0 });
    file.bytes += bytes;
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::replay::Whole;
    use crate::fakes::{FakeWire, on_loop, until};

    fn limits() -> Limits {
        Limits { body_bytes_max: 300_000, body_memory_bytes: 1_000, ..Limits::default() }
    }

    fn wire(pieces: &[usize]) -> FakeWire {
        FakeWire(pieces.iter().zip(1u8..).map(|(bytes, fill)| Ok(vec![fill; *bytes])).collect())
    }

    async fn read(whole: &Whole) -> Vec<u8> {
        let mut read = Vec::new();
        while whole.read(read.len() as u64, &mut read).await.unwrap() > 0 {}
        read
    }

    #[test]
    fn a_short_body_stays_in_memory_and_a_long_one_goes_to_a_file() {
        on_loop(async |event_loop| {
            let spool = &event_loop.spool;
            let table: [(&[usize], bool); 5] = [
                (&[], false),
                (&[1_000], false),
                (&[600, 400], false),
                (&[600, 401], true),
                (&[100_000, 1, 199_999], true),
            ];
            for (pieces, is_file) in table {
                let gathered = gather(spool, &mut wire(pieces), &limits()).await.unwrap();
                assert_eq!(matches!(gathered, Spooled::File { .. }), is_file, "{pieces:?}");
                let expected: Vec<u8> = pieces.iter().zip(1u8..).flat_map(|(bytes, fill)| vec![fill; *bytes]).collect();
                assert!(read(&gathered.into()).await == expected, "{pieces:?}");
            }
        });
    }

    #[test]
    fn a_body_beyond_its_limit_is_refused_and_gives_its_room_back() {
        on_loop(async |event_loop| {
            let spool = &event_loop.spool;
            for pieces in [&[300_001][..], &[200_000, 100_001], &[999, 299_000, 2]] {
                assert_eq!(gather(spool, &mut wire(pieces), &limits()).await.err(), Some(Fault::BodyTooLarge));
            }
            until(|| spool.status()["bytes"] == 0).await;
        });
    }

    #[test]
    fn where_the_spool_is_full_an_upload_is_refused() {
        on_loop(async |event_loop| {
            let spool = Spool::new(1, Some(5_000));
            let short = gather(&spool, &mut wire(&[4_000]), &limits()).await.unwrap();
            assert_eq!(gather(&spool, &mut wire(&[1_001]), &limits()).await.err(), Some(Fault::SpoolFull));
            assert_eq!(spool.status()["uploads_refused"], 1);
            assert!(gather(&spool, &mut wire(&[1_000]), &limits()).await.is_ok(), "memory needs no room there");
            drop(short);
            until(|| spool.status()["bytes"] == 0).await;
            assert!(gather(&spool, &mut wire(&[5_000]), &limits()).await.is_ok());
            drop(event_loop);
        });
    }

    #[test]
    fn a_client_that_breaks_off_leaves_nothing() {
        on_loop(async |event_loop| {
            let spool = &event_loop.spool;
            let mut wire = wire(&[100_000]);
            wire.0.push_back(Err(Fault::ClientGone));
            assert_eq!(gather(spool, &mut wire, &limits()).await.err(), Some(Fault::ClientGone));
            until(|| spool.status()["bytes"] == 0).await;
        });
    }
}
