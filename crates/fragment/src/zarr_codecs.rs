//! The codecs of a chunk, by the metadata of Zarr 2 and 3.

use ndarray::{ArrayD, IxDyn, Slice};
use serde_json::Value;

use crate::zarr_compression::Compression;
use crate::zarr_element::Element;
use crate::zarr_shards::ShardIndex;

/// How the voxels of a chunk become bytes: axes turned, elements or smaller chunks laid one after
/// the other, packed. Reading goes backwards.
#[derive(Clone, Debug)]
pub(crate) struct Codecs {
    /// Turns of the axes, each as Zarr's `transpose` gives it.
    pub turns: Vec<Vec<usize>>,
    pub layout: Layout,
    pub compressions: Vec<Compression>,
}

/// What a chunk's unpacked bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// Elements, the last axis fastest.
    Elements {
        /// Whether the most significant byte comes first.
        big: bool,
    },
    /// Smaller chunks with an index.
    Shards(Box<Shards>),
}

/// Chunks within the file of a larger one, found through an index of offsets and lengths.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    pub index: ShardIndex,
    pub codecs: Codecs,
}

impl Codecs {
    /// Those of Zarr 2: `filters`, `compressor` and `order`.
    ///
    /// # Errors
    /// What is not read, by name.
    pub fn of_version_2(metadata: &Value, big: bool) -> Result<Self, String> {
        let rank = metadata["shape"].as_array().map_or(0, Vec::len);
        let turns = match metadata["order"].as_str() {
            Some("C") | None => Vec::new(),
            Some("F") => vec![(0..rank).rev().collect()],
            Some(order) => return Err(format!("the order {order}")),
        };
        let filters = metadata["filters"].as_array().into_iter().flatten();
        let all = filters.chain(Some(&metadata["compressor"]).filter(|entry| !entry.is_null()));
        let compressions = all
            .map(|entry| {
                let name = entry["id"].as_str().unwrap_or_default();
                Compression::named(name).ok_or_else(|| format!("the codec {name:?}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            turns,
            layout: Layout::Elements { big },
            compressions,
        })
    }

    /// Those of Zarr 3, of chunks of `chunk` elements along each axis.
    ///
    /// # Errors
    /// What is not read, by name.
    pub fn of_version_3(codecs: &Value, chunk: &[usize]) -> Result<Self, String> {
        let entries = codecs.as_array().ok_or("no codecs")?;
        let (mut turns, mut layout, mut compressions) = (Vec::new(), None, Vec::new());
        for entry in entries {
            let name = entry["name"]
                .as_str()
                .or(entry.as_str())
                .unwrap_or_default();
            let settings = &entry["configuration"];
            match (name, layout.is_some()) {
                ("transpose", false) => turns.push(turn(&settings["order"], chunk.len())?),
                ("bytes" | "endian", false) => {
                    let big = settings["endian"].as_str() == Some("big");
                    layout = Some(Layout::Elements { big });
                }
                ("sharding_indexed", false) => {
                    let turned = turns.iter().fold(chunk.to_vec(), |shape, turn| {
                        turn.iter().map(|&axis| shape[axis]).collect()
                    });
                    let index = ShardIndex::new(settings, &turned)?;
                    let codecs = Self::of_version_3(&settings["codecs"], &index.chunk)?;
                    let shards = Shards { index, codecs };
                    layout = Some(Layout::Shards(Box::new(shards)));
                }
                (name, true) => match Compression::named(name) {
                    Some(compression) => compressions.push(compression),
                    None => return Err(format!("the codec {name:?}")),
                },
                (name, false) => return Err(format!("the codec {name:?}")),
            }
        }
        Ok(Self {
            turns,
            layout: layout.ok_or("codecs that do not say how elements become bytes")?,
            compressions,
        })
    }

    /// The smaller chunks, where each can be found without unpacking the whole file.
    pub fn open_shards(&self) -> Option<&Shards> {
        match &self.layout {
            Layout::Shards(shards) if self.turns.is_empty() && self.compressions.is_empty() => {
                Some(shards)
            }
            _ => None,
        }
    }

    /// The elements of a chunk of `shape`; those that are not stored are `fill`.
    ///
    /// # Errors
    /// What was found, in words.
    pub fn decode<T: Element>(
        &self,
        bytes: &[u8],
        shape: &[usize],
        fill: T,
    ) -> Result<ArrayD<T>, String> {
        let turned = self.turns.iter().fold(shape.to_vec(), |shape, turn| {
            turn.iter().map(|&axis| shape[axis]).collect()
        });
        let length = turned.iter().product::<usize>() * T::WIDTH;
        let array = match &self.layout {
            Layout::Elements { big } => {
                let unpacked = self.unpack(bytes, length)?;
                let bytes = unpacked.as_deref().unwrap_or(bytes);
                if bytes.len() != length {
                    return Err(format!("{} bytes of {length}", bytes.len()));
                }
                ArrayD::from_shape_vec(IxDyn(&turned), T::all(bytes, *big))
                    .map_err(|error| error.to_string())?
            }
            Layout::Shards(shards) => {
                let most = 2 * length + shards.index.length();
                let unpacked = self.unpack(bytes, most)?;
                shards.decode(unpacked.as_deref().unwrap_or(bytes), &turned, fill)?
            }
        };
        Ok(self.turns.iter().rev().fold(array, |array, turn| {
            let mut back = vec![0; turn.len()];
            turn.iter()
                .enumerate()
                .for_each(|(at, &axis)| back[axis] = at);
            array.permuted_axes(IxDyn(&back))
        }))
    }

    /// `None` where nothing is packed.
    fn unpack(&self, bytes: &[u8], length: usize) -> Result<Option<Vec<u8>>, String> {
        let mut unpacked: Option<Vec<u8>> = None;
        for (index, compression) in self.compressions.iter().enumerate().rev() {
            // What is packed twice may be a little longer in between.
            let limit = match index {
                0 => length,
                _ => length + length / 8 + 4096,
            };
            let packed = unpacked.as_deref().unwrap_or(bytes);
            unpacked = Some(compression.unpack(packed, limit)?);
        }
        Ok(unpacked)
    }
}

impl Shards {
    /// All elements of a file of `shape`.
    ///
    /// # Errors
    /// What was found, in words.
    fn decode<T: Element>(
        &self,
        bytes: &[u8],
        shape: &[usize],
        fill: T,
    ) -> Result<ArrayD<T>, String> {
        let start = self.index.start(bytes.len())?;
        let index = &bytes[start..start + self.index.length()];
        let places = self.index.places(index, bytes.len())?;
        let mut whole = ArrayD::from_elem(IxDyn(shape), fill);
        for (position, place) in ndarray::indices(IxDyn(&self.index.counts))
            .into_iter()
            .zip(places)
        {
            let Some(place) = place else { continue };
            let chunk = self.codecs.decode(&bytes[place], &self.index.chunk, fill)?;
            let mut target = whole.slice_each_axis_mut(|axis| {
                let side = self.index.chunk[axis.axis.0];
                let first = position[axis.axis.0] * side;
                Slice::from(first..first + side)
            });
            target.assign(&chunk);
        }
        Ok(whole)
    }
}

/// The order of `transpose`: a list of axes, or `C` or `F` as drafts of Zarr 3 had it.
fn turn(order: &Value, rank: usize) -> Result<Vec<usize>, String> {
    let turn: Vec<usize> = match (order.as_str(), order.as_array()) {
        (Some("C"), _) => (0..rank).collect(),
        (Some("F"), _) => (0..rank).rev().collect(),
        (_, Some(axes)) => axes
            .iter()
            .map(|axis| axis.as_u64().map_or(usize::MAX, |axis| axis as usize))
            .collect(),
        _ => Vec::new(),
    };
    let mut sorted = turn.clone();
    sorted.sort_unstable();
    match sorted.into_iter().eq(0..rank) {
        true => Ok(turn),
        false => Err(format!("a transposition to {order}")),
    }
}
