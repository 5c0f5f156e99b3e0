//! In:     pieces of a body.
//! Out:    the same, compressed (RFC 1952, RFC 7932, RFC 8878).
//! Actors: the task of the request.
//! Never:  is anything held back of a body that comes bit by bit, or more compressed at a time than memory allows.

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use hallway_core::Fault;
use hallway_core::semantics::Coding;
use hallway_net::body::piece::Piece;
use hallway_net::file::read::read_part;
use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use zstd::stream::write::Encoder;

/// Bodies that one event loop compresses at a time; each takes some hundred KiB. What comes then is sent as it is.
const PACKERS_MAX: usize = 128;
/// How hard is tried, and how far back is looked (as a power of 2): where more would gain little and cost much.
const GZIP_LEVEL: u32 = 5;
const BROTLI_LEVEL: u32 = 4;
const BROTLI_WINDOW: u32 = 18;
const ZSTD_LEVEL: i32 = 3;
const ZSTD_WINDOW: u32 = 18;
/// Bytes that are given to a packer at a time.
const STRIDE_BYTES: u64 = 64 * 1024;

/// How many bodies are being compressed.
#[derive(Clone, Default)]
pub(crate) struct Packers(Rc<Cell<usize>>);

impl Packers {
    /// Whether one more body may be compressed.
    pub(crate) fn have_room(&self) -> bool {
        self.0.get() < PACKERS_MAX
    }
}

/// Compresses one body.
pub(crate) struct Packer {
    all: Packers,
    encoder: Option<Packing>,
    /// Whether what comes is sent on at once: its end is not known.
    streams: bool,
    rest: Option<(Piece, bool)>,
}

enum Packing {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(Encoder<'static, Vec<u8>>),
}

const FAILED: Fault = Fault::Internal("The answer could not be compressed.");

impl Packer {
    pub(crate) fn new(coding: Coding, streams: bool, all: &Packers) -> Option<Packer> {
        let encoder = match coding {
            Coding::Gzip => Packing::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            Coding::Brotli => {
                let room = STRIDE_BYTES as usize;
                Packing::Brotli(Box::new(CompressorWriter::new(Vec::new(), room, BROTLI_LEVEL, BROTLI_WINDOW)))
            }
            Coding::Zstd => {
                let mut encoder = Encoder::new(Vec::new(), ZSTD_LEVEL).ok()?;
                encoder.window_log(ZSTD_WINDOW).ok()?;
                Packing::Zstd(encoder)
            }
            Coding::Identity => return None,
        };
        all.0.set(all.0.get() + 1);
        Some(Packer { all: all.clone(), encoder: Some(encoder), streams, rest: None })
    }

    /// What is left of a piece that was too long for one stride.
    pub(crate) fn waiting(&mut self) -> Option<(Piece, bool)> {
        self.rest.take()
    }

    /// Compresses a piece, or its beginning.
    pub(crate) async fn pack(&mut self, (mut piece, last): (Piece, bool)) -> Result<(Piece, bool), Fault> {
        let stride = match &piece {
            Piece::File { file, range } if !range.is_empty() => {
                let bytes = read_part(file, range.clone()).await?;
                piece.take_front(bytes.len() as u64);
                Piece::from(bytes)
            }
            _ => piece.take_front(STRIDE_BYTES),
        };
        let is_end = last && piece.is_empty();
        if !piece.is_empty() {
            self.rest = Some((piece, last));
        }
        let packed = self.feed(stride.bytes(), is_end).map_err(|_| FAILED)?;
        Ok((packed.into(), is_end))
    }

    fn feed(&mut self, bytes: &[u8], is_end: bool) -> io::Result<Vec<u8>> {
        let Some(mut encoder) = self.encoder.take() else { return Ok(Vec::new()) };
        let sink: &mut dyn Write = match &mut encoder {
            Packing::Gzip(encoder) => encoder,
            Packing::Brotli(encoder) => encoder,
            Packing::Zstd(encoder) => encoder,
        };
        sink.write_all(bytes)?;
        if is_end {
            return match encoder {
                Packing::Gzip(encoder) => encoder.finish(),
                Packing::Brotli(encoder) => Ok(encoder.into_inner()),
                Packing::Zstd(encoder) => encoder.finish(),
            };
        }
        if self.streams && !bytes.is_empty() {
            sink.flush()?;
        }
        let packed = match &mut encoder {
            Packing::Gzip(encoder) => std::mem::take(encoder.get_mut()),
            Packing::Brotli(encoder) => std::mem::take(encoder.get_mut()),
            Packing::Zstd(encoder) => std::mem::take(encoder.get_mut()),
        };
        self.encoder = Some(encoder);
        Ok(packed)
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        self.all.0.set(self.all.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    async fn packed(coding: Coding, pieces: &[&[u8]]) -> Vec<u8> {
        let all = Packers::default();
        let mut packer = Packer::new(coding, true, &all).unwrap();
        let mut out = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let mut next = Some((Piece::from(piece.to_vec()), at + 1 == pieces.len()));
            while let Some(given) = next {
                out.extend_from_slice(packer.pack(given).await.unwrap().0.bytes());
                next = packer.waiting();
            }
        }
        drop(packer);
        assert_eq!(all.0.get(), 0);
        out
    }

    #[test]
    fn what_was_packed_can_be_unpacked() {
        let long = b"many words, many words. ".repeat(20_000);
        let pieces: [&[u8]; 4] = [b"a", b"", &long, b"z"];
        let plain = pieces.concat();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(&packed(Coding::Gzip, &pieces).await[..]).read_to_end(&mut out).unwrap();
            assert!(out == plain);
            out.clear();
            brotli::Decompressor::new(&packed(Coding::Brotli, &pieces).await[..], 4096).read_to_end(&mut out).unwrap();
            assert!(out == plain);
            assert!(zstd::decode_all(&packed(Coding::Zstd, &pieces).await[..]).unwrap() == plain);
        });
    }
}
