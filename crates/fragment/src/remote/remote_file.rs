use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use moka::sync::Cache;

use super::client::{About, Answer};
use super::trouble::Trouble;
use super::{Address, REMOTE};

/// Files are fetched and kept in blocks of so many bytes.
const BLOCK: u64 = 64 << 10;
/// Neighbouring blocks that are fetched together, in bytes.
const TOGETHER: u64 = 8 << 20;
/// Blocks kept in memory, in bytes.
const KEPT: u64 = 128 << 20;

type Bytes = Arc<Vec<u8>>;

static BLOCKS: LazyLock<Cache<(String, u64), Bytes>> = LazyLock::new(|| {
    Cache::builder()
        .max_capacity(KEPT)
        .weigher(|_, block: &Bytes| block.len() as u32 + 256)
        .build()
});

/// What is known of each file that was opened: its length, and what tells this state of it from
/// others.
static KNOWN: LazyLock<Cache<String, Arc<About>>> = LazyLock::new(|| Cache::new(1 << 16));

/// A file on a server, of which only those blocks are fetched that are read.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    address: Address,
    about: Arc<About>,
    /// Where its blocks are kept on disk; nowhere where the server does not tell one state of the file
    /// from the next.
    volume: Option<String>,
    at: u64,
}

impl RemoteFile {
    /// Fetches the first block, which says how long the file is.
    ///
    /// # Errors
    /// `NotFound` where the server says that there is none; what it or the line does wrong.
    pub fn open(address: &Address) -> io::Result<Self> {
        let key = address.to_string();
        let about = match KNOWN.get(&key) {
            Some(about) => about,
            None => {
                let answer = REMOTE.client.get(address, Some(0..BLOCK), BLOCK, &[]);
                let answer = answer.map_err(|trouble| trouble.about(address))?;
                let answer = answer.ok_or_else(|| Trouble::Status(404).about(address))?;
                let about = Arc::new(answer.about.clone());
                let file = Self::new(address, about.clone());
                file.keep(answer);
                KNOWN.insert(key, about.clone());
                about
            }
        };
        Ok(Self::new(address, about))
    }

    fn new(address: &Address, about: Arc<About>) -> Self {
        Self {
            address: address.clone(),
            volume: about.identity(address),
            about,
            at: 0,
        }
    }

    pub fn length(&self) -> u64 {
        self.about.length
    }

    /// Fetches what is not at hand of `range`, neighbouring blocks together.
    ///
    /// # Errors
    /// What the server or the line does wrong; a file that has changed meanwhile.
    pub fn fetch(&self, range: Range<u64>) -> io::Result<()> {
        let end = range.end.min(self.length()).div_ceil(BLOCK);
        let mut missing: Option<Range<u64>> = None;
        for block in range.start / BLOCK..end {
            let is_missing = self.at_hand(block).is_none();
            missing = match missing {
                Some(run) if is_missing && (run.end - run.start) * BLOCK < TOGETHER => {
                    Some(run.start..block + 1)
                }
                Some(run) => {
                    self.fetch_blocks(run)?;
                    is_missing.then_some(block..block + 1)
                }
                None => is_missing.then_some(block..block + 1),
            };
        }
        missing.map_or(Ok(()), |run| self.fetch_blocks(run))
    }

    fn fetch_blocks(&self, blocks: Range<u64>) -> io::Result<()> {
        let range = blocks.start * BLOCK..(blocks.end * BLOCK).min(self.length());
        let limit = range.end - range.start;
        let answer = REMOTE.client.get(&self.address, Some(range), limit, &[]);
        let answer = answer.map_err(|trouble| trouble.about(&self.address))?;
        match answer {
            Some(answer) if answer.about == *self.about => {
                self.keep(answer);
                Ok(())
            }
            _ => {
                let text = "a file that has changed while it was read".to_owned();
                Err(Trouble::Answer(text).about(&self.address))
            }
        }
    }

    /// Keeps the whole blocks of an answer.
    fn keep(&self, answer: Answer) {
        let first = answer.start / BLOCK;
        for (number, bytes) in (first..).zip(answer.bytes.chunks(BLOCK as usize)) {
            BLOCKS.insert(self.key(number), Arc::new(bytes.to_vec()));
            if let Some(volume) = &self.volume {
                REMOTE.cache.put(volume, &number.to_string(), bytes);
            }
        }
    }

    fn key(&self, number: u64) -> (String, u64) {
        let name = self.volume.clone();
        (name.unwrap_or_else(|| self.address.to_string()), number)
    }

    fn at_hand(&self, number: u64) -> Option<Bytes> {
        if let Some(block) = BLOCKS.get(&self.key(number)) {
            return Some(block);
        }
        let bytes = REMOTE
            .cache
            .get(self.volume.as_ref()?, &number.to_string())?;
        let block = Arc::new(bytes);
        BLOCKS.insert(self.key(number), block.clone());
        Some(block)
    }

    fn block(&self, number: u64) -> io::Result<Bytes> {
        if let Some(block) = self.at_hand(number) {
            return Ok(block);
        }
        let start = number * BLOCK;
        self.fetch(start..start + 1)?;
        let gone = || io::Error::other(format!("{}: a block that was just fetched", self.address));
        self.at_hand(number).ok_or_else(gone)
    }
}

impl Read for RemoteFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length() || out.is_empty() {
            return Ok(0);
        }
        let block = self.block(self.at / BLOCK)?;
        let rest = block.get((self.at % BLOCK) as usize..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for RemoteFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.length().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
