use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use ndarray::{Array2, Array3, ArrayD, ArrayView3, ArrayViewMut3, Axis, Ix3, IxDyn, Zip, s};
use rayon::prelude::*;
use serde::Serialize;

use crate::chunk_cache::{ChunkCache, Decoded};
use crate::cut_to_sixteen::cut_to_sixteen;
use crate::float_range::FloatRange;
use crate::missing_chunks::{MissingChunks, columns_of};
use crate::remarks::remark;
use crate::remote::{in_parallel, is_remote};
use crate::zarr_array::{BadChunk, ZarrArray};
use crate::zarr_axes::Axes;
use crate::zarr_element::{Element, ElementType};
use crate::zarr_levels::Levels;
use crate::{Error, Region, Volume};

/// How large a voxel is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VoxelSize {
    /// Along (z, y, x).
    pub size: [f64; 3],
    /// What it is measured in, as micrometer.
    pub unit: Option<String>,
}

/// 8-bit voxels are scaled so that white stays white.
const EIGHT_TO_SIXTEEN: u16 = 257;

/// A volume, or an image, in a Zarr folder of version 2 or 3: an array, or a level of an OME-Zarr
/// image. Whatever the order of the axes, it is read as (z, y, x). Chunks are decoded once and
/// kept as long as the [cache](ChunkCache) has room.
#[derive(Clone)]
pub(crate) struct ZarrVolume {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    array: ZarrArray,
    axes: Axes,
    levels: Vec<String>,
    /// Which of them this is.
    level: usize,
    finest: [usize; 2],
    voxel_size: Option<VoxelSize>,
    words: Vec<String>,
    /// Which float is white, of floats.
    float_range: FloatRange,
    cache: ChunkCache,
}

impl std::fmt::Debug for ZarrVolume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ZarrVolume({}, {:?})",
            self.inner.path.display(),
            self.shape()
        )
    }
}

impl Volume for ZarrVolume {
    fn shape(&self) -> [usize; 3] {
        self.inner.axes.shape(&self.inner.array.metadata.shape)
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        let mut voxels = Array3::zeros(region.shape());
        self.read_into(region, voxels.view_mut())?;
        Ok(voxels)
    }
}

impl ZarrVolume {
    /// Reads the metadata of level `level` of the image at `path`, 0 being the finest.
    ///
    /// # Errors
    /// [`Error::Zarr`], [`Error::ZarrContent`]; [`Error::PixelType`] for other voxels than u16, u8
    /// and floats; [`Error::LayerContent`] for floats of neither 0 to 1 nor 0 to 65535.
    pub fn open(path: &Path, level: usize) -> Result<Self, Error> {
        let volume = Self::open_any(path, level, false)?;
        match volume.element() {
            ElementType::Unsigned(1 | 2) => Ok(volume),
            ElementType::Float(_) => volume.with_float_range(),
            other => Err(Error::PixelType {
                path: path.to_owned(),
                found: other.to_string(),
            }),
        }
    }

    /// Finds out which float is white by the largest values in each row of chunks along depth: a
    /// chunk in the middle, and one each an eighth from the top and from the bottom.
    fn with_float_range(self) -> Result<Self, Error> {
        let (shape, sides) = (self.shape(), self.unit());
        let [_, height, width] = shape;
        let rows = [height / 2, height / 8, height - 1 - height / 8];
        let places: Vec<[usize; 3]> = (0..shape[0].div_ceil(sides[0]))
            .flat_map(|z| rows.map(|y| [z, y / sides[1], width / 2 / sides[2]]))
            .collect();
        let largest = places
            .into_par_iter()
            .map(|unit| largest_float(&self.inner.array, &self.position(unit)))
            .try_reduce(|| 0.0, |one, other| Ok(f32::max(one, other)))
            .map_err(|bad| Error::from(&bad))?;
        let (range, remark) = FloatRange::of_largest(largest, &self.inner.path)?;
        let mut inner = Arc::into_inner(self.inner).expect("a volume that was just opened");
        inner.float_range = range;
        inner.words.push(remark);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The image at `path`, of booleans, integers, or floats, which are rounded: one layer.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::Zarr`] for a volume of several layers.
    pub fn open_image(path: &Path) -> Result<Self, Error> {
        let image = Self::open_any(path, 0, true)?;
        for word in image.words() {
            remark(path, word);
        }
        let [depth, _, _] = image.shape();
        match depth {
            1 => Ok(image),
            _ => Err(Error::Zarr {
                path: path.to_owned(),
                reason: format!("a volume of {depth} layers where an image was due"),
            }),
        }
    }

    /// As [`open`](Self::open), of elements of any type.
    fn open_any(path: &Path, level: usize, may_be_empty: bool) -> Result<Self, Error> {
        let levels = Levels::find(path)?;
        let (chosen, metadata) = levels.choose(path, level)?;
        let names = levels.axes.as_ref().or(metadata.names.as_ref());
        let axes = Axes::find(names.map(Vec::as_slice), &metadata.shape);
        let axes = axes.map_err(|found| Error::ZarrContent {
            path: path.to_owned(),
            found,
            expected: "axes z, y and x in any order, and others of length 1".to_owned(),
            hint: "export one channel at one time, its axes named".to_owned(),
        })?;
        check_fill(&chosen.folder, metadata.element, metadata.fill)?;
        let [_, height, width] = match level {
            0 => axes.shape(&metadata.shape),
            _ => axes.shape(&levels.choose(path, 0)?.1.shape),
        };
        let voxel_size = chosen.scale.as_ref().map(|scale| VoxelSize {
            size: axes.values(scale),
            unit: levels.unit.clone(),
        });
        let (array, word) = ZarrArray::open(&chosen.folder, metadata, may_be_empty)?;
        let words = levels.words.iter().cloned();
        let words = words.chain(axes.word.clone()).chain(word).collect();
        let inner = Inner {
            path: path.to_owned(),
            array,
            axes,
            levels: levels
                .levels
                .iter()
                .map(|level| level.name.clone())
                .collect(),
            level,
            finest: [height, width],
            voxel_size,
            words,
            float_range: FloatRange::UNKNOWN,
            cache: ChunkCache::new(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Names of all levels, the finest first.
    pub fn levels(&self) -> &[String] {
        &self.inner.levels
    }

    /// Height and width of the finest level, in pixels.
    pub fn finest_size(&self) -> [usize; 2] {
        self.inner.finest
    }

    /// Size of a voxel, where the metadata say it.
    pub fn voxel_size(&self) -> Option<&VoxelSize> {
        self.inner.voxel_size.as_ref()
    }

    /// Of a volume on a server: what tells its state from a later one, where the server says it.
    pub fn identity(&self) -> Option<&str> {
        self.inner.array.identity()
    }

    /// Bits of a stored voxel.
    pub fn bits(&self) -> u8 {
        self.element().bits()
    }

    /// The coarsest level, unless this is it.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn coarsest(&self) -> Result<Option<Self>, Error> {
        let last = self.levels().len() - 1;
        if self.inner.level == last {
            return Ok(None);
        }
        let coarsest = Self::open(&self.inner.path, last)?;
        Ok((coarsest.shape() != self.shape()).then_some(coarsest))
    }

    /// What was decided where the metadata do not say it, or say it wrong.
    pub fn words(&self) -> &[String] {
        &self.inner.words
    }

    /// All of an image, (y, x), the values as they are stored; what is below 0 or above 65535 is cut off.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_values(&self) -> Result<Array2<u16>, Error> {
        let [_, height, width] = self.shape();
        let mut values = Array3::zeros((1, height, width));
        let all = Region::new(0..1, 0..height, 0..width);
        self.read_scaled(&all, values.view_mut(), 1)?;
        Ok(values.index_axis_move(Axis(0), 0))
    }

    /// Whether its values are floats.
    pub fn holds_floats(&self) -> bool {
        matches!(self.element(), ElementType::Float(_))
    }

    fn element(&self) -> ElementType {
        self.inner.array.metadata.element
    }

    /// Fills `out` with the voxels of `region`, touching only the chunks that they lie in.
    ///
    /// # Errors
    /// [`Error::ZarrContent`] for a damaged chunk.
    pub fn read_into(&self, region: &Region, out: ArrayViewMut3<u16>) -> Result<(), Error> {
        self.read_scaled(region, out, EIGHT_TO_SIXTEEN)
    }

    /// As [`read_into`](Self::read_into), 8-bit voxels times `eight`.
    fn read_scaled(
        &self,
        region: &Region,
        out: ArrayViewMut3<u16>,
        eight: u16,
    ) -> Result<(), Error> {
        if out.is_empty() {
            return Ok(());
        }
        let sides = self.unit();
        let ranges = [&region.z, &region.y, &region.x];
        let mut pieces = vec![([0; 3], out)];
        for axis in 0..3 {
            pieces = pieces
                .into_iter()
                .flat_map(|piece| split(piece, axis, ranges[axis].start, sides[axis]))
                .collect();
        }
        let starts = ranges.map(|range| range.start);
        let read = || {
            pieces.into_par_iter().try_for_each(|(unit, out)| {
                let chunk = self.chunk(unit)?;
                let first = [0, 1, 2].map(|axis| starts[axis].max(unit[axis] * sides[axis]));
                let offset = [0, 1, 2].map(|axis| first[axis] - unit[axis] * sides[axis]);
                self.copy(&chunk, offset, eight, out);
                Ok(())
            })
        };
        match is_remote(&self.inner.path) {
            true => in_parallel(read),
            false => read(),
        }
    }

    /// Voxels of a decoded chunk from `offset` within it on.
    fn copy(&self, chunk: &Decoded, offset: [usize; 3], eight: u16, mut out: ArrayViewMut3<u16>) {
        let end = |axis: usize| offset[axis] + out.shape()[axis];
        let window = s![offset[0]..end(0), offset[1]..end(1), offset[2]..end(2)];
        match chunk {
            Decoded::Sixteen(voxels) => {
                let voxels = self.turned(voxels);
                out.assign(&voxels.slice(window));
            }
            Decoded::Eight(voxels) => {
                let voxels = self.turned(voxels);
                Zip::from(&mut out)
                    .and(voxels.slice(window))
                    .for_each(|out, &voxel| *out = u16::from(voxel) * eight);
            }
            Decoded::Missing => {
                let fill = self.inner.array.metadata.fill;
                out.fill(match self.element() {
                    ElementType::Float(_) => self.inner.float_range.voxel(fill as f32).unwrap_or(0),
                    kind if kind.width() == 1 => fill as u16 * eight,
                    _ => fill as u16,
                });
            }
        }
    }

    /// A chunk in the array's own axes as (z, y, x), without moving a voxel.
    fn turned<'a, T>(&self, chunk: &'a ArrayD<T>) -> ArrayView3<'a, T> {
        let places = self.inner.axes.places;
        let mut order: Vec<usize> = places.iter().flatten().copied().collect();
        let others: Vec<usize> = (0..chunk.ndim())
            .filter(|axis| !order.contains(axis))
            .collect();
        order.splice(0..0, others.iter().copied());
        let mut view = chunk.view().permuted_axes(IxDyn(&order));
        for _ in &others {
            view = view.index_axis_move(Axis(0), 0);
        }
        if places[0].is_none() {
            view = view.insert_axis(Axis(0));
        }
        view.into_dimensionality::<Ix3>()
            .expect("three axes are left")
    }

    /// Sides of what is decoded at a time, as (z, y, x).
    fn unit(&self) -> [usize; 3] {
        self.inner.axes.shape(self.inner.array.unit())
    }

    /// A position as (z, y, x) in the array's own axes.
    fn position(&self, position: [usize; 3]) -> Vec<usize> {
        let mut own = vec![0; self.inner.array.metadata.shape.len()];
        for (place, at) in self.inner.axes.places.iter().zip(position) {
            if let Some(axis) = place {
                own[*axis] = at;
            }
        }
        own
    }

    fn chunk(&self, unit: [usize; 3]) -> Result<Arc<Decoded>, Error> {
        let array = &self.inner.array;
        let position = self.position(unit);
        let units = array.units();
        let number = position
            .iter()
            .zip(&units)
            .fold(0, |number, (at, count)| number * *count as u64 + *at as u64);
        let decode = || -> Result<Decoded, BadChunk> {
            decode(array, &position, self.inner.float_range)
                .map(|decoded| decoded.unwrap_or(Decoded::Missing))
        };
        let chunk = self.inner.cache.get(number, decode);
        chunk.map_err(|bad| Error::from(&*bad))
    }

    /// Counts the chunks' files over `papyrus`, (y, x), and those of them that are not there. Of a
    /// server, whose word on each chunk is heard when it is read, none is asked for.
    pub fn missing_chunks(&self, papyrus: &Array2<bool>) -> MissingChunks {
        if is_remote(&self.inner.path) {
            return MissingChunks::default();
        }
        let array = &self.inner.array;
        let sides = self.inner.axes.shape(&array.metadata.chunk);
        let [depth, _, _] = self.inner.axes.shape(&array.files());
        let columns = columns_of(papyrus, [sides[1], sides[2]]);
        let missing = columns
            .par_iter()
            .flat_map_iter(|&(y, x)| (0..depth).map(move |z| [z, y, x]))
            .filter(|&position| !array.is_stored(&self.position(position)));
        MissingChunks {
            missing: missing.count() as u64,
            of: (columns.len() * depth) as u64,
        }
    }
}

/// A chunk as 8 or 16 bits: signed and longer integers are cut off at 0 and 65535, floats scaled.
fn decode(
    array: &ZarrArray,
    position: &[usize],
    floats: FloatRange,
) -> Result<Option<Decoded>, BadChunk> {
    fn cut<T: Element + Default + TryFrom<i64> + TryInto<i64>>(
        array: &ZarrArray,
        position: &[usize],
    ) -> Result<Option<Decoded>, BadChunk> {
        let fill = T::try_from(array.metadata.fill).unwrap_or_default();
        let chunk = array.read_unit(position, fill)?;
        Ok(chunk.map(|chunk| Decoded::Sixteen(chunk.mapv(cut_to_sixteen))))
    }
    let fill = array.metadata.fill;
    match array.metadata.element {
        ElementType::Bool | ElementType::Unsigned(1) => {
            Ok(array.read_unit(position, fill as u8)?.map(Decoded::Eight))
        }
        ElementType::Unsigned(2) => Ok(array
            .read_unit(position, fill as u16)?
            .map(Decoded::Sixteen)),
        ElementType::Unsigned(4) => cut::<u32>(array, position),
        ElementType::Unsigned(_) => cut::<u64>(array, position),
        ElementType::Signed(1) => cut::<i8>(array, position),
        ElementType::Signed(2) => cut::<i16>(array, position),
        ElementType::Signed(4) => cut::<i32>(array, position),
        ElementType::Signed(_) => cut::<i64>(array, position),
        ElementType::Float(_) => {
            let Some(chunk) = read_floats(array, position)? else {
                return Ok(None);
            };
            let mut beyond = None;
            let voxels = chunk.mapv(|value| {
                floats.voxel(value).unwrap_or_else(|found| {
                    beyond = Some(found);
                    0
                })
            });
            match beyond {
                None => Ok(Some(Decoded::Sixteen(voxels))),
                Some(found) => Err(array.bad_unit(position, found)),
            }
        }
    }
}

/// A chunk of floats.
fn read_floats(array: &ZarrArray, position: &[usize]) -> Result<Option<ArrayD<f32>>, BadChunk> {
    let fill = array.metadata.fill;
    match array.metadata.element {
        ElementType::Float(2) => {
            let chunk = array.read_unit(position, f16::from_f64(fill as f64))?;
            Ok(chunk.map(|chunk| chunk.mapv(f16::to_f32)))
        }
        ElementType::Float(8) => {
            let chunk = array.read_unit(position, fill as f64)?;
            Ok(chunk.map(|chunk| chunk.mapv(|value| value as f32)))
        }
        _ => array.read_unit(position, fill as f32),
    }
}

/// The largest value of a chunk, 0 where none is above.
fn largest_float(array: &ZarrArray, position: &[usize]) -> Result<f32, BadChunk> {
    let chunk = read_floats(array, position)?;
    Ok(chunk.map_or(0.0, |chunk| chunk.iter().copied().fold(0.0, f32::max)))
}

/// Cuts a piece of the output, which begins at `start` along `axis`, where chunks of `side` meet.
fn split<'a>(
    (unit, mut rest): ([usize; 3], ArrayViewMut3<'a, u16>),
    axis: usize,
    start: usize,
    side: usize,
) -> Vec<([usize; 3], ArrayViewMut3<'a, u16>)> {
    let mut pieces = Vec::new();
    let mut at = start;
    while !rest.is_empty() {
        let mut unit = unit;
        unit[axis] = at / side;
        let length = (side - at % side).min(rest.shape()[axis]);
        let (piece, after) = rest.split_at(Axis(axis), length);
        pieces.push((unit, piece));
        (rest, at) = (after, at + length);
    }
    pieces
}

fn check_fill(path: &Path, element: ElementType, fill: i64) -> Result<(), Error> {
    let fits = match element {
        ElementType::Bool | ElementType::Unsigned(1) => u8::try_from(fill).is_ok(),
        _ => u16::try_from(fill).is_ok(),
    };
    match fits {
        true => Ok(()),
        false => Err(Error::Zarr {
            path: path.to_owned(),
            reason: format!("the fill value {fill} of {element} voxels"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_cut_where_chunks_meet() {
        let mut voxels = Array3::<u16>::zeros((1, 10, 1));
        let pieces = split(([0; 3], voxels.view_mut()), 1, 3, 4);
        let found: Vec<_> = pieces
            .iter()
            .map(|(unit, piece)| (unit[1], piece.len()))
            .collect();
        assert_eq!(found, [(0, 1), (1, 4), (2, 4), (3, 1)]);
    }
}
