//! The bytes of a snapshot. Numbers little-endian: magic (8), generation (4), partition (4), position (8), number of
//! rows (8); per row length of key (4), length of value (4), key, value; CRC32C of all before it (4).
//!
//! Always true here: what is decoded was compared with its checksum; memory is taken as bytes arrive, whatever a length
//! says; what is wrong with the bytes is told apart from what is wrong with reading them.

use std::io::{self, Read, Write};

use bytes::Bytes;

use crate::SavedState;

const MAGIC: [u8; 8] = *b"flagsnp1";

/// Writes a snapshot; gives its checksum, which tells contents apart.
pub(super) fn encode(
    out: &mut (impl Write + ?Sized),
    generation: u32,
    partition: u32,
    state: &SavedState,
) -> io::Result<u32> {
    let mut out = Summing { inner: out, crc: 0 };
    out.write_all(&MAGIC)?;
    out.write_all(&generation.to_le_bytes())?;
    out.write_all(&partition.to_le_bytes())?;
    out.write_all(&state.position.to_le_bytes())?;
    out.write_all(&(state.rows.len() as u64).to_le_bytes())?;
    for (key, value) in &state.rows {
        for part in [key, value] {
            let len = u32::try_from(part.len()).map_err(|_| io::Error::other("row is over 4 GiB"))?;
            out.write_all(&len.to_le_bytes())?;
        }
        out.write_all(key)?;
        out.write_all(value)?;
    }
    let crc = out.crc;
    out.inner.write_all(&crc.to_le_bytes())?;
    Ok(crc)
}

/// Reads a snapshot back, and its checksum; damage is an error of kind `InvalidData` or `UnexpectedEof`.
pub(super) fn decode(input: impl Read, generation: u32, partition: u32) -> io::Result<(SavedState, u32)> {
    let mut input = Summing { inner: input, crc: 0 };
    if input.number::<8>()? != MAGIC {
        return Err(damage("it does not begin as a snapshot does"));
    }
    let of = (u32::from_le_bytes(input.number()?), u32::from_le_bytes(input.number()?));
    if of != (generation, partition) {
        return Err(damage(format!("it is of generation {}, partition {}", of.0, of.1)));
    }
    let position = u64::from_le_bytes(input.number()?);
    let count = u64::from_le_bytes(input.number()?);
    let mut rows = Vec::new();
    for _ in 0..count {
        let (key, value) = (u32::from_le_bytes(input.number()?), u32::from_le_bytes(input.number()?));
        let mut row = input.bytes(u64::from(key) + u64::from(value))?;
        rows.push((row.split_to(key as usize), row));
    }
    let is = input.crc;
    let there = u32::from_le_bytes(input.number()?);
    if there != is {
        return Err(damage(format!("its checksum is {is:08x}, should be {there:08x}")));
    }
    if input.inner.read(&mut [0])? != 0 {
        return Err(damage("something follows its end"));
    }
    Ok((SavedState { position, rows }, is))
}

/// A reader or writer that adds up the checksum of what passes.
struct Summing<I> {
    inner: I,
    crc: u32,
}

impl<W: Write + ?Sized> Summing<&mut W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Summing<R> {
    fn number<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(bytes)
    }

    /// Reads `len` bytes without trusting it: memory is taken as bytes arrive.
    fn bytes(&mut self, len: u64) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(len.min(64 * 1024) as usize);
        if self.inner.by_ref().take(len).read_to_end(&mut bytes)? as u64 != len {
            return Err(damage("it ends within a row"));
        }
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        Ok(Bytes::from(bytes))
    }
}

pub(super) fn damage(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Whether the bytes are wrong, and not the reading of them.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
