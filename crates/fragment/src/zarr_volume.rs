use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayViewMut3};
use serde_json::Value;
use zarrs::array::{Array, ArraySubset};
use zarrs::filesystem::FilesystemStore;

use crate::{Error, Region};

/// 8-bit voxels are scaled so that white stays white.
const EIGHT_TO_SIXTEEN: u16 = 257;

/// Files that mark a folder as Zarr, of version 3 and 2.
const MARKS: [&str; 4] = ["zarr.json", ".zgroup", ".zarray", ".zattrs"];

/// A volume, or an image, in a Zarr folder of version 2 or 3: an array, or an OME-Zarr group, of
/// which the first (finest) level of its first multiscale image is read. Another level is read by
/// naming its own folder. Axes of length 1 before the last three are left out.
#[derive(Clone)]
pub(crate) struct ZarrVolume {
    path: PathBuf,
    array: Arc<Array<FilesystemStore>>,
    bits: u8,
    /// Axes of length 1 before (z, y, x).
    leading: usize,
    shape: [usize; 3],
}

impl std::fmt::Debug for ZarrVolume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ZarrVolume({}, {:?})", self.path.display(), self.shape)
    }
}

/// Whether `path` is a Zarr folder.
pub(crate) fn is_zarr(path: &Path) -> bool {
    path.is_dir() && MARKS.iter().any(|mark| path.join(mark).is_file())
}

impl ZarrVolume {
    /// Reads the metadata.
    ///
    /// # Errors
    /// [`Error::Zarr`]; [`Error::PixelType`] for other voxels than u16 and u8.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Zarr {
            path: path.to_owned(),
            reason,
        };
        let level = finest_level(path)?;
        let folder = match level.is_empty() {
            true => path.to_owned(),
            false => path.join(&level),
        };
        if !is_zarr(&folder) {
            return Err(wrong(format!("no array in {}", folder.display())));
        }
        let store = FilesystemStore::new(&folder).map_err(|error| wrong(error.to_string()))?;
        let array = Array::open(Arc::new(store), "/").map_err(|error| wrong(error.to_string()))?;
        // The name, then that of version 2.
        let kinds = array.data_type().to_string();
        let kind = kinds.split(" / ").next().unwrap_or_default();
        let bits = match kind {
            "uint16" => 16,
            "uint8" => 8,
            _ => {
                return Err(Error::PixelType {
                    path: folder,
                    found: kind.to_owned(),
                });
            }
        };
        let shape: Vec<usize> = array.shape().iter().map(|&size| size as usize).collect();
        let (leading, shape) = match shape.as_slice() {
            [y, x] => (0, [1, *y, *x]),
            [leading @ .., z, y, x] if leading.iter().all(|&size| size == 1) => {
                (leading.len(), [*z, *y, *x])
            }
            _ => return Err(wrong(format!("an array of shape {shape:?}"))),
        };
        if shape.contains(&0) {
            return Err(wrong(format!("an array of shape {shape:?}")));
        }
        Ok(Self {
            path: path.to_owned(),
            array: Arc::new(array),
            bits,
            leading,
            shape,
        })
    }

    /// Depth, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Fills `out` with the voxels of `region`, touching only the chunks that they lie in.
    pub fn read(&self, region: &Region, mut out: ArrayViewMut3<u16>) -> Result<(), Error> {
        if out.is_empty() {
            return Ok(());
        }
        let subset = self.subset(region);
        let wrong = |error: zarrs::array::ArrayError| Error::Zarr {
            path: self.path.clone(),
            reason: error.to_string(),
        };
        match self.bits {
            16 => {
                let voxels: Vec<u16> = self.array.retrieve_array_subset(&subset).map_err(wrong)?;
                let from = voxels.into_iter();
                out.iter_mut().zip(from).for_each(|(to, from)| *to = from);
            }
            _ => {
                let voxels: Vec<u8> = self.array.retrieve_array_subset(&subset).map_err(wrong)?;
                let from = voxels.into_iter().map(|v| u16::from(v) * EIGHT_TO_SIXTEEN);
                out.iter_mut().zip(from).for_each(|(to, from)| *to = from);
            }
        }
        Ok(())
    }

    /// All of a 2D array, 0 to 255; 16-bit values keep their upper half, and an image of zeros and
    /// ones becomes black and white.
    pub fn read_image(&self) -> Result<Array2<u8>, Error> {
        let [depth, height, width] = self.shape;
        if depth != 1 {
            return Err(Error::Zarr {
                path: self.path.clone(),
                reason: format!("a volume of {depth} layers where an image was due"),
            });
        }
        let mut voxels = Array3::zeros((1, height, width));
        self.read(&Region::new(0..1, 0..height, 0..width), voxels.view_mut())?;
        let highest = voxels.iter().copied().max().unwrap_or(0);
        let one = if self.bits == 8 { EIGHT_TO_SIXTEEN } else { 1 };
        let image = voxels.index_axis_move(ndarray::Axis(0), 0);
        Ok(match highest <= one {
            true => image.mapv(|value| if value > 0 { 255 } else { 0 }),
            false => image.mapv(|value| (value >> 8) as u8),
        })
    }

    fn subset(&self, region: &Region) -> ArraySubset {
        let range = |range: &std::ops::Range<usize>| range.start as u64..range.end as u64;
        let mut ranges = vec![0..1; self.leading];
        if self.array.shape().len() > 2 {
            ranges.push(range(&region.z));
        }
        ranges.extend([range(&region.y), range(&region.x)]);
        ArraySubset::new_with_ranges(&ranges)
    }
}

/// The folder, within `path`, of the array to read: the first data set of the first multiscale
/// image (OME-Zarr 0.4 and 0.5), or `path` itself.
fn finest_level(path: &Path) -> Result<String, Error> {
    for (name, place) in [("zarr.json", "/attributes/ome"), (".zattrs", "")] {
        let Some(metadata) = read_json(&path.join(name))? else {
            continue;
        };
        let level = format!("{place}/multiscales/0/datasets/0/path");
        let level = metadata.pointer(&level).and_then(Value::as_str);
        match level {
            // A level lies in its image's folder.
            Some(level) if level.split(['/', '\\']).any(|part| part == "..") => {
                return Err(Error::Zarr {
                    path: path.to_owned(),
                    reason: format!("a level outside of it, {level}"),
                });
            }
            Some(level) => return Ok(level.trim_matches('/').to_owned()),
            None => {}
        }
    }
    Ok(String::new())
}

fn read_json(path: &Path) -> Result<Option<Value>, Error> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let json = serde_json::from_slice(&bytes).map_err(|error| Error::Zarr {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Some(json))
}
