use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::storage::StoredFile;

/// Bytes read at once.
const BLOCK: u64 = 64 << 10;

/// A stretch of a file, read block by block. The file is opened for each block, so that a reader
/// may wait for hours without holding one of the few files that the system lets a process open.
#[derive(Debug)]
pub(crate) struct PackedBytes {
    path: PathBuf,
    begin: u64,
    length: u64,
    /// Place of the block's first byte, from `begin`.
    at: u64,
    block: Vec<u8>,
    used: usize,
}

impl PackedBytes {
    pub fn new(path: PathBuf, begin: u64, length: u64) -> Self {
        Self {
            path,
            begin,
            length,
            at: 0,
            block: Vec::new(),
            used: 0,
        }
    }

    fn place(&self) -> u64 {
        self.at + self.used as u64
    }
}

impl BufRead for PackedBytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.block.len() {
            self.at = self.place();
            self.used = 0;
            let count = BLOCK.min(self.length.saturating_sub(self.at));
            self.block.resize(count as usize, 0);
            if count > 0 {
                let mut file = StoredFile::open(&self.path)?;
                file.seek(SeekFrom::Start(self.begin + self.at))?;
                file.read_exact(&mut self.block)?;
            }
        }
        Ok(&self.block[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used = (self.used + amount).min(self.block.len());
    }
}

impl Read for PackedBytes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(out.len());
        out[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Seek for PackedBytes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.place().checked_add_signed(offset),
        };
        let place = place.ok_or(io::ErrorKind::InvalidInput)?;
        self.at = place;
        self.block.clear();
        self.used = 0;
        Ok(place)
    }
}
