use ndarray::{ArrayD, IxDyn, Slice};
use serde_json::Value;

use crate::zarr_codecs::{Codecs, LARGEST_CHUNK, Layout};
use crate::zarr_compression::Compression;
use crate::zarr_element::Element;

/// Chunks within the file of a larger one, found through an index of offsets and lengths.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    /// Elements of a chunk along each axis.
    pub chunk: Vec<usize>,
    /// Chunks in the file along each axis.
    pub counts: Vec<usize>,
    pub codecs: Codecs,
    index: Codecs,
    index_first: bool,
}

/// Where a chunk lies in its file, in bytes; `None` for one that is not stored.
pub(crate) type Place = Option<std::ops::Range<usize>>;

impl Shards {
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
        let codecs = Codecs::of_version_3(&settings["codecs"], &chunk)?;
        let plain =
            serde_json::json!([{ "name": "bytes", "configuration": { "endian": "little" } }]);
        let index = match &settings["index_codecs"] {
            Value::Null => &plain,
            codecs => codecs,
        };
        let index = Codecs::of_version_3(index, &[counts.iter().product(), 2])?;
        let fixed = |compression: &Compression| *compression == Compression::Crc32c;
        let is_plain = index.turns.is_empty() && matches!(index.layout, Layout::Elements { .. });
        if !is_plain || !index.compressions.iter().all(fixed) {
            return Err("a packed index of shards".to_owned());
        }
        let index_first = settings["index_location"].as_str() == Some("start");
        Ok(Self {
            chunk,
            counts,
            codecs,
            index,
            index_first,
        })
    }

    /// Bytes of the index.
    pub fn index_length(&self) -> usize {
        16 * self.counts.iter().product::<usize>() + 4 * self.index.compressions.len()
    }

    /// Where the index begins in a file of `length` bytes.
    ///
    /// # Errors
    /// A file that is shorter than its index.
    pub fn index_start(&self, length: usize) -> Result<usize, String> {
        match length.checked_sub(self.index_length()) {
            Some(_) if self.index_first => Ok(0),
            Some(start) => Ok(start),
            None => Err(format!("a shard of {length} bytes without its index")),
        }
    }

    /// The places of all chunks, by the index's bytes, in a file of `length` bytes.
    ///
    /// # Errors
    /// A damaged index.
    pub fn places(&self, index: &[u8], length: usize) -> Result<Vec<Place>, String> {
        let count = self.counts.iter().product();
        let entries = self.index.decode(index, &[count, 2], 0_u64)?;
        let entries = entries.rows().into_iter();
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

    /// All elements of a file of `shape`.
    ///
    /// # Errors
    /// What was found, in words.
    pub fn decode<T: Element>(
        &self,
        bytes: &[u8],
        shape: &[usize],
        fill: T,
    ) -> Result<ArrayD<T>, String> {
        let start = self.index_start(bytes.len())?;
        let index = &bytes[start..start + self.index_length()];
        let places = self.places(index, bytes.len())?;
        let mut whole = ArrayD::from_elem(IxDyn(shape), fill);
        for (position, place) in ndarray::indices(IxDyn(&self.counts))
            .into_iter()
            .zip(places)
        {
            let Some(place) = place else { continue };
            let chunk = self.codecs.decode(&bytes[place], &self.chunk, fill)?;
            let mut target = whole.slice_each_axis_mut(|axis| {
                let side = self.chunk[axis.axis.0];
                let first = position[axis.axis.0] * side;
                Slice::from(first..first + side)
            });
            target.assign(&chunk);
        }
        Ok(whole)
    }
}
