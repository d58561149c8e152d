//! The directories of a TIFF file, as they stand: nothing of the pixels is read here. (The `tiff`
//! crate interprets the first directory before one can ask what is in it, and knows no stack whose
//! pages share one.)

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::Error;
use crate::storage::StoredFile;

pub(crate) const IMAGE_WIDTH: u16 = 256;
pub(crate) const IMAGE_LENGTH: u16 = 257;
pub(crate) const NEW_SUBFILE_TYPE: u16 = 254;
pub(crate) const IMAGE_DESCRIPTION: u16 = 270;

/// Entries of a directory that are kept; a damaged one may speak of 65,535.
const MOST_ENTRIES: u64 = 4096;
/// Characters of an image's description that are read.
const LONGEST_TEXT: u64 = 16 << 20;

/// A directory's tags, each with its numbers; texts as bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    tags: BTreeMap<u16, Vec<u64>>,
    /// Where in the file the entries' values stand, or what points to them.
    places: BTreeMap<u16, u64>,
}

impl Directory {
    /// A tag's numbers, none without it.
    pub fn values(&self, tag: u16) -> &[u64] {
        self.tags.get(&tag).map_or(&[], Vec::as_slice)
    }

    /// A tag's first number.
    pub fn value(&self, tag: u16) -> Option<u64> {
        self.values(tag).first().copied()
    }

    /// The byte at which a tag's value begins within the directory, or the pointer to its values.
    pub fn place(&self, tag: u16) -> Option<u64> {
        self.places.get(&tag).copied()
    }

    /// Gives a tag one number.
    pub fn set(&mut self, tag: u16, value: u64) {
        self.tags.insert(tag, vec![value]);
    }

    /// A tag's numbers, taken out.
    pub fn take(&mut self, tag: u16) -> Vec<u64> {
        self.tags.remove(&tag).unwrap_or_default()
    }

    /// A text, up to its end mark.
    pub fn text(&self, tag: u16) -> String {
        let bytes = self.values(tag).iter().map(|&value| value as u8);
        let bytes: Vec<u8> = bytes.take_while(|&byte| byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// All directories of a file's main chain, in their order.
#[derive(Debug)]
pub(crate) struct TiffPages {
    pub big_endian: bool,
    pub length: u64,
    pub pages: Vec<Directory>,
}

impl TiffPages {
    /// Reads every directory.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Tiff`] for what is no TIFF, for arrays beyond the file's end, for
    /// directories that run in a circle or take more than the file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Tiff {
            path: path.to_owned(),
            reason,
        };
        let file = StoredFile::open(path).map_err(Error::io(path))?;
        let length = file.length().map_err(Error::io(path))?;
        let mut reader = Reader {
            file: BufReader::with_capacity(4096, file),
            length,
            budget: length,
            big_endian: false,
            big: false,
        };
        let mut next = reader.header().map_err(|error| wrong(error.to_string()))?;
        let mut seen = HashSet::new();
        let mut pages = Vec::new();
        while next != 0 {
            if !seen.insert(next) {
                return Err(wrong("its directories run in a circle".to_owned()));
            }
            let (page, following) = reader
                .directory(next)
                .map_err(|error| wrong(format!("directory {}: {error}", pages.len() + 1)))?;
            pages.push(page);
            next = following;
        }
        if pages.is_empty() {
            return Err(wrong("it has no directory".to_owned()));
        }
        Ok(Self {
            big_endian: reader.big_endian,
            length,
            pages,
        })
    }
}

struct Reader {
    file: BufReader<StoredFile>,
    length: u64,
    /// Bytes of directories that may still be read: as many as the file has, so that arrays that
    /// many directories point to are not read as many times.
    budget: u64,
    big_endian: bool,
    big: bool,
}

impl Reader {
    fn header(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 4];
        self.file
            .read_exact(&mut bytes)
            .map_err(|_| invalid("it is shorter than a header"))?;
        self.big_endian = match &bytes[..2] {
            b"II" => false,
            b"MM" => true,
            _ => return Err(invalid("it does not begin with II or MM")),
        };
        self.big = match self.number(&bytes[2..4]) {
            42 => false,
            43 => true,
            other => {
                return Err(invalid(format!(
                    "its version is {other}, neither 42 nor 43"
                )));
            }
        };
        match self.big {
            true => self.at(8, 8),
            false => self.at(4, 4),
        }
        .map(|bytes| self.number(&bytes))
    }

    fn directory(&mut self, place: u64) -> io::Result<(Directory, u64)> {
        let (head, entry) = if self.big { (8, 20) } else { (2, 12) };
        let count = self.at(place, head).map(|bytes| self.number(&bytes))?;
        if count == 0 || count > MOST_ENTRIES {
            return Err(invalid(format!("{count} entries")));
        }
        let link = if self.big { 8 } else { 4 };
        let bytes = self.at(place.saturating_add(head), count * entry)?;
        let end = place + head + count * entry;
        // Some writers leave the link out at the file's end.
        let next = match self.at(end, link) {
            Ok(bytes) => self.number(&bytes),
            Err(_) if end <= self.length => 0,
            Err(error) => return Err(error),
        };
        let mut directory = Directory::default();
        // Tag, kind and count stand before the value.
        let before_value = 4 + link;
        for (number, bytes) in bytes.chunks_exact(entry as usize).enumerate() {
            let tag = self.number(&bytes[..2]) as u16;
            if let Some(values) = self.entry(tag, &bytes[2..])? {
                directory.tags.insert(tag, values);
                let begin = place + head + number as u64 * entry;
                directory.places.insert(tag, begin + before_value);
            }
        }
        Ok((directory, next))
    }

    /// The numbers of one entry: none for kinds that nothing here reads.
    fn entry(&mut self, tag: u16, entry: &[u8]) -> io::Result<Option<Vec<u64>>> {
        let size = match self.number(&entry[..2]) {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            12 | 16 | 17 | 18 => 8,
            _ => return Ok(None),
        };
        let (count, inline) = entry[2..].split_at(if self.big { 8 } else { 4 });
        let mut count = self.number(count);
        if !read_tags(tag) {
            return Ok(None);
        }
        if tag == IMAGE_DESCRIPTION {
            count = count.min(LONGEST_TEXT);
        }
        let bytes = count
            .checked_mul(size)
            .filter(|&bytes| bytes <= self.length)
            .ok_or_else(|| {
                invalid(format!(
                    "tag {tag} with {count} values, more than the file can hold"
                ))
            })?;
        let bytes = match bytes <= inline.len() as u64 {
            true => inline[..bytes as usize].to_vec(),
            false => {
                let place = self.number(inline);
                self.at(place, bytes)
                    .map_err(|error| invalid(format!("tag {tag}: {error}")))?
            }
        };
        let values = bytes.chunks_exact(size as usize);
        Ok(Some(values.map(|bytes| self.number(bytes)).collect()))
    }

    fn at(&mut self, place: u64, count: u64) -> io::Result<Vec<u8>> {
        if place.checked_add(count).is_none_or(|end| end > self.length) {
            return Err(invalid(format!(
                "{count} bytes at {place}, beyond the file's {}",
                self.length
            )));
        }
        self.budget = self
            .budget
            .checked_sub(count)
            .ok_or_else(|| invalid("directories that take more than the file"))?;
        self.file.seek(SeekFrom::Start(place))?;
        let mut bytes = vec![0; count as usize];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        match self.big_endian {
            true => bytes.iter().fold(0, add),
            false => bytes.iter().rev().fold(0, add),
        }
    }
}

/// Tags that describe pixels or pages; others (colour profiles, private ones) stay unread.
fn read_tags(tag: u16) -> bool {
    matches!(
        tag,
        254..=259 | 262 | 266 | 270 | 273 | 274 | 277..=279 | 284 | 317 | 320 | 322..=325 | 338 | 339 | 347
    )
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}
