//! Names functions of this program.
//!
//! In:     addresses; the symbols in the file of the program.
//! Out:    what the functions at these addresses are called.
//! Actors: none.
//! Never:  does a file that is no ELF of 64 bits, or has no symbols, cost more than the names.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The length of a symbol, and how many are read at a time.
const SYMBOL: usize = 24;
const SYMBOLS_AT_ONCE: usize = 4096;
/// Longest name that is read.
const NAME_BYTES_MAX: usize = 512;
/// Most sections that are looked at.
const SECTIONS_MAX: u64 = 1024;
/// The kind of section that has symbols, and the kind of symbol that is a function (elf(5)).
const SHT_SYMTAB: u32 = 2;
const STT_FUNC: u8 = 2;

/// Symbols of a program, and where that was put.
pub(super) struct Names {
    file: File,
    /// Added to each address that the file has.
    bias: u64,
    symbols: (u64, u64),
    strings: (u64, u64),
}

impl Names {
    /// The symbols of a file whose first instruction is at `entry` in memory.
    ///
    /// # Errors
    /// It cannot be read, or has none.
    pub(super) fn of(file: File, entry: u64) -> io::Result<Names> {
        let mut head = [0; 64];
        file.read_exact_at(&mut head, 0)?;
        // 64 bits, little-endian.
        if !head.starts_with(&[0x7f, b'E', b'L', b'F', 2, 1]) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (table, length, count) = (u64_at(&head, 40), u64::from(u16_at(&head, 58)), u64::from(u16_at(&head, 60)));
        let bias = entry.wrapping_sub(u64_at(&head, 24));
        let section = |number: u64| -> io::Result<[u8; 64]> {
            let mut section = [0; 64];
            file.read_exact_at(&mut section, table.saturating_add(number.saturating_mul(length)))?;
            Ok(section)
        };
        for number in 0..count.min(SECTIONS_MAX) {
            let symbols = section(number)?;
            if u32_at(&symbols, 4) == SHT_SYMTAB {
                let strings = section(u32_at(&symbols, 40).into())?;
                let place = |section: &[u8; 64]| (u64_at(section, 24), u64_at(section, 32));
                let (symbols, strings) = (place(&symbols), place(&strings));
                return Ok(Names { file, bias, symbols, strings });
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// The names of the functions at these addresses, where they are of this program.
    pub(super) fn at(&self, addresses: &[u64]) -> Vec<Option<String>> {
        let mut sought: Vec<(u64, usize)> = addresses.iter().map(|at| at.wrapping_sub(self.bias)).zip(0..).collect();
        sought.sort_unstable();
        let mut found = vec![None; addresses.len()];
        let (start, bytes) = self.symbols;
        let mut some = vec![0; SYMBOLS_AT_ONCE * SYMBOL];
        for at in (0..bytes).step_by(some.len()) {
            let length = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(some.len());
            if self.file.read_exact_at(&mut some[..length], start + at).is_err() {
                break;
            }
            for symbol in some[..length].chunks_exact(SYMBOL).filter(|symbol| symbol[4] & 0xf == STT_FUNC) {
                let (from, size) = (u64_at(symbol, 8), u64_at(symbol, 16));
                let first = sought.partition_point(|(address, _)| *address < from);
                let within = sought[first..].iter().take_while(|(address, _)| address - from < size);
                within.for_each(|(_, number)| found[*number] = Some(u64::from(u32_at(symbol, 0))));
            }
        }
        found.into_iter().map(|name| self.name(name?)).collect()
    }

    fn name(&self, at: u64) -> Option<String> {
        let (start, bytes) = self.strings;
        let mut name = vec![0; usize::try_from(bytes.checked_sub(at)?).ok()?.min(NAME_BYTES_MAX)];
        self.file.read_exact_at(&mut name, start.checked_add(at)?).ok()?;
        let end = name.iter().position(|byte| *byte == 0)?;
        let name = String::from_utf8_lossy(&name[..end]);
        Some(format!("{:#}", rustc_demangle::demangle(&name)))
    }
}

fn bytes_at<const LENGTH: usize>(from: &[u8], at: usize) -> [u8; LENGTH] {
    from.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; LENGTH])
}

fn u16_at(from: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes_at(from, at))
}

fn u32_at(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(from, at))
}

fn u64_at(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(from, at))
}
