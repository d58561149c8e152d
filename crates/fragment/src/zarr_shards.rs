//! Indices of shards: where the chunks within a larger chunk's file lie.

use serde_json::Value;

use crate::zarr_compression::{Compression, LARGEST_CHUNK};
use crate::zarr_element::Element;

/// Offsets and lengths of the chunks in one file, which stand at its start or its end.
#[derive(Clone, Debug)]
pub(crate) struct ShardIndex {
    /// Elements of a chunk along each axis.
    pub chunk: Vec<usize>,
    /// Chunks in the file along each axis.
    pub counts: Vec<usize>,
    /// Whether the most significant byte of its numbers comes first.
    big: bool,
    /// Checksums behind it, of four bytes each.
    checksums: usize,
    /// Whether it stands at the file's start.
    first: bool,
}

/// Where a chunk lies in its file, in bytes; `None` for one that is not stored.
pub(crate) type Place = Option<std::ops::Range<usize>>;

impl ShardIndex {
    /// By the settings of `sharding_indexed`, in a file of `whole` elements along each axis.
    ///
    /// # Errors
    /// What is not read.
    pub fn new(settings: &Value, whole: &[usize]) -> Result<Self, String> {
        let odd = || format!("shards of {}", settings["chunk_shape"]);
        let chunk: Vec<usize> = settings["chunk_shape"]
            .as_array()
            .ok_or_else(odd)?
            .iter()
            .map(|side| side.as_u64().map_or(0, |side| side as usize))
            .collect();
        let divides = |(&side, &whole): (&usize, &usize)| side > 0 && whole % side == 0;
        if chunk.len() != whole.len() || !chunk.iter().zip(whole).all(divides) {
            return Err(odd());
        }
        let counts: Vec<usize> = whole.iter().zip(&chunk).map(|(a, b)| a / b).collect();
        if counts.iter().product::<usize>() > LARGEST_CHUNK / 16 {
            return Err(odd());
        }
        let (big, checksums) = index_codecs(&settings["index_codecs"])?;
        Ok(Self {
            chunk,
            counts,
            big,
            checksums,
            first: settings["index_location"].as_str() == Some("start"),
        })
    }

    /// Its length in bytes.
    pub fn length(&self) -> usize {
        16 * self.counts.iter().product::<usize>() + 4 * self.checksums
    }

    /// Where it begins in a file of `length` bytes.
    ///
    /// # Errors
    /// A file that is shorter than its index.
    pub fn start(&self, length: usize) -> Result<usize, String> {
        match length.checked_sub(self.length()) {
            Some(_) if self.first => Ok(0),
            Some(start) => Ok(start),
            None => Err(format!("a shard of {length} bytes without its index")),
        }
    }

    /// The places of all chunks, by the index's bytes, in a file of `length` bytes.
    ///
    /// # Errors
    /// A damaged index.
    pub fn places(&self, index: &[u8], length: usize) -> Result<Vec<Place>, String> {
        let numbers = 16 * self.counts.iter().product::<usize>();
        let mut unpacked: Option<Vec<u8>> = None;
        for checked in (0..self.checksums).rev() {
            let packed = unpacked.as_deref().unwrap_or(index);
            unpacked = Some(Compression::Crc32c.unpack(packed, numbers + 4 * checked)?);
        }
        let bytes = unpacked.as_deref().unwrap_or(index);
        if bytes.len() != numbers {
            return Err(format!("an index of {} bytes, not {numbers}", bytes.len()));
        }
        let entries = u64::all(bytes, self.big);
        let (entries, _) = entries.as_chunks::<2>();
        let entries = entries.iter();
        entries
            .map(|entry| match (entry[0], entry[1]) {
                (u64::MAX, u64::MAX) => Ok(None),
                (offset, bytes) => match offset.checked_add(bytes) {
                    Some(end) if end <= length as u64 => Ok(Some(offset as usize..end as usize)),
                    _ => Err(format!(
                        "a shard of {length} bytes whose index names {bytes} bytes from {offset}"
                    )),
                },
            })
            .collect()
    }
}

/// Whether an index is big-endian, and how many checksums stand behind it.
///
/// # Errors
/// An index that is packed.
fn index_codecs(codecs: &Value) -> Result<(bool, usize), String> {
    let Some(codecs) = codecs.as_array() else {
        return match codecs.is_null() {
            true => Ok((false, 0)),
            false => Err("no codecs".to_owned()),
        };
    };
    let packed = || "a packed index of shards".to_owned();
    let name = |codec: &Value| {
        let name = codec["name"].as_str().or(codec.as_str());
        name.unwrap_or_default().to_owned()
    };
    let (first, checksums) = codecs.split_first().ok_or_else(packed)?;
    let is_checksum = |codec: &Value| Compression::named(&name(codec)) == Some(Compression::Crc32c);
    if !["bytes", "endian"].contains(&&*name(first)) || !checksums.iter().all(is_checksum) {
        return Err(packed());
    }
    let big = first["configuration"]["endian"].as_str() == Some("big");
    Ok((big, checksums.len()))
}
