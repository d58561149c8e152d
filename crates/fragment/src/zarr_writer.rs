use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array3, ArrayView3, s};
use rayon::prelude::*;
use serde_json::{Value, json};
use zarrs::array::codec::api::CodecOptions;
use zarrs::array::{Array, ArraySubset};
use zarrs::filesystem::FilesystemStore;
use zarrs::metadata::ArrayMetadata;

use crate::{Error, ImageMetadata, image_metadata};

/// Side of a chunk of a volume, in voxels.
const CHUNK: usize = 128;
/// Side of a chunk of a single layer, in pixels.
const FLAT_CHUNK: usize = 512;
/// Levels are halved until no side is longer than this.
const SMALLEST: usize = 512;

/// Which version of Zarr is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZarrVersion {
    /// Zarr 2 with OME-Zarr 0.4, which every viewer opens.
    V2,
    /// Zarr 3 with OME-Zarr 0.5.
    V3,
}

/// Writes a volume as OME-Zarr, from the top row to the bottom one: chunks of 128³ (512² of a
/// single layer), compressed with zstd (within Blosc in Zarr 2, where n5-zarr, Bio-Formats and older
/// Neuroglancers know no bare zstd), and levels of half the height and width each, as the mean of 2 × 2 voxels.
pub(crate) struct ZarrWriter {
    path: PathBuf,
    version: ZarrVersion,
    shape: [usize; 3],
    array: Level,
    row: usize,
}

type Level = Array<FilesystemStore>;

impl ZarrWriter {
    /// Begins a volume of `shape` (depth, height, width), called `name`, in the folder `path`, that says of
    /// itself what `metadata` says.
    pub fn create(
        path: &Path,
        name: &str,
        shape: [usize; 3],
        version: ZarrVersion,
        metadata: &ImageMetadata,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(Error::io(path))?;
        let levels = level_shapes(shape).len();
        let group = group_metadata(name, version, levels, metadata);
        for (name, metadata) in group {
            let file = path.join(name);
            let text = serde_json::to_vec_pretty(&metadata).expect("metadata is plain data");
            std::fs::write(&file, text).map_err(Error::io(&file))?;
        }
        Ok(Self {
            array: create_level(path, 0, shape, version)?,
            path: path.to_owned(),
            version,
            shape,
            row: 0,
        })
    }

    /// Rows that are written together: those of a chunk.
    pub fn rows(&self) -> usize {
        chunk_side(self.shape[0])
    }

    /// The next rows of all layers: as many as [`rows`](Self::rows) says, unless they are the last.
    pub fn write_rows(&mut self, rows: ArrayView3<u16>) -> Result<(), Error> {
        write_rows(&self.path, &self.array, self.row, rows)?;
        self.row += rows.dim().1;
        Ok(())
    }

    /// Makes the coarser levels.
    pub fn finish(self) -> Result<(), Error> {
        let chunk = self.rows();
        let mut finer = self.array;
        let shapes = level_shapes(self.shape);
        for (level, shape) in shapes.into_iter().enumerate().skip(1) {
            let coarser = create_level(&self.path, level, shape, self.version)?;
            for first in (0..shape[1]).step_by(chunk) {
                let end = shape[1].min(first + chunk);
                let [_, height, width] = [0, 1, 2].map(|axis| finer.shape()[axis]);
                let ranges = [
                    0..shape[0] as u64,
                    2 * first as u64..height.min(2 * end as u64),
                    0..width,
                ];
                let subset = ArraySubset::new_with_ranges(&ranges);
                let voxels: Vec<u16> = finer
                    .retrieve_array_subset(&subset)
                    .map_err(wrong(&self.path))?;
                let lines = (ranges[1].end - ranges[1].start) as usize;
                let voxels = Array3::from_shape_vec((shape[0], lines, width as usize), voxels)
                    .expect("a subset has its ranges' shape");
                write_rows(&self.path, &coarser, first, halved(&voxels).view())?;
            }
            finer = coarser;
        }
        Ok(())
    }
}

/// A single layer takes larger chunks, or a scroll would be a hundred thousand files.
fn chunk_side(depth: usize) -> usize {
    if depth == 1 { FLAT_CHUNK } else { CHUNK }
}

/// The shapes of all levels, the finest first.
fn level_shapes(shape: [usize; 3]) -> Vec<[usize; 3]> {
    let mut shapes = vec![shape];
    let [depth, mut height, mut width] = shape;
    while height.max(width) > SMALLEST {
        (height, width) = (height.div_ceil(2), width.div_ceil(2));
        shapes.push([depth, height, width]);
    }
    shapes
}

/// Every voxel the mean of 2 × 2 in its layer, rounded; fewer at the edges.
fn halved(voxels: &Array3<u16>) -> Array3<u16> {
    let (depth, height, width) = voxels.dim();
    Array3::from_shape_fn(
        (depth, height.div_ceil(2), width.div_ceil(2)),
        |(z, y, x)| {
            let block = voxels.slice(s![
                z,
                2 * y..height.min(2 * y + 2),
                2 * x..width.min(2 * x + 2)
            ]);
            let sum: u32 = block.iter().map(|&value| u32::from(value)).sum();
            let count = block.len() as u32;
            ((sum + count / 2) / count) as u16
        },
    )
}

fn write_rows(path: &Path, array: &Level, row: usize, rows: ArrayView3<u16>) -> Result<(), Error> {
    let (depth, count, width) = rows.dim();
    let chunk = chunk_side(depth);
    let across = width.div_ceil(chunk);
    (0..across).into_par_iter().try_for_each(|column| {
        let columns = column * chunk..width.min((column + 1) * chunk);
        let block = rows.slice(s![.., .., columns.clone()]);
        let ranges = [
            0..depth as u64,
            row as u64..(row + count) as u64,
            columns.start as u64..columns.end as u64,
        ];
        let voxels: Vec<u16> = block.iter().copied().collect();
        let subset = ArraySubset::new_with_ranges(&ranges);
        // Chunks of zeros are written, too: one that is not there was lost.
        let options = CodecOptions::default().with_store_empty_chunks(true);
        array
            .store_array_subset_opt(&subset, voxels.as_slice(), &options)
            .map_err(wrong(path))
    })
}

fn create_level(
    path: &Path,
    level: usize,
    shape: [usize; 3],
    version: ZarrVersion,
) -> Result<Level, Error> {
    let folder = path.join(level.to_string());
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    let invalid = |reason: String| Error::Zarr {
        path: folder.clone(),
        reason,
    };
    let store = FilesystemStore::new(&folder).map_err(|error| invalid(error.to_string()))?;
    let written = array_metadata(shape, version);
    let metadata: ArrayMetadata =
        serde_json::from_value(written.clone()).map_err(|error| invalid(error.to_string()))?;
    let array = Array::new_with_metadata(Arc::new(store), "/", metadata)
        .map_err(|error| invalid(error.to_string()))?;
    // Written here, as zarrs adds a key of its own and the checksum, which numcodecs before 0.13
    // does not know.
    let name = match version {
        ZarrVersion::V2 => ".zarray",
        ZarrVersion::V3 => "zarr.json",
    };
    let file = folder.join(name);
    let text = serde_json::to_vec_pretty(&written).expect("metadata is plain data");
    std::fs::write(&file, text).map_err(Error::io(&file))?;
    Ok(array)
}

fn wrong(path: &Path) -> impl Fn(zarrs::array::ArrayError) -> Error {
    |error| Error::Zarr {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn array_metadata(shape: [usize; 3], version: ZarrVersion) -> Value {
    let side = chunk_side(shape[0]);
    let chunk = shape.map(|size| size.min(side));
    match version {
        ZarrVersion::V2 => json!({
            "zarr_format": 2,
            "shape": shape,
            "chunks": chunk,
            "dtype": "<u2",
            "compressor": {
                "id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1, "blocksize": 0,
            },
            "fill_value": 0,
            "order": "C",
            "filters": null,
            "dimension_separator": "/",
        }),
        ZarrVersion::V3 => json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": "uint16",
            "chunk_grid": {
                "name": "regular",
                "configuration": { "chunk_shape": chunk },
            },
            "chunk_key_encoding": {
                "name": "default",
                "configuration": { "separator": "/" },
            },
            "fill_value": 0,
            "codecs": [
                { "name": "bytes", "configuration": { "endian": "little" } },
                { "name": "zstd", "configuration": { "level": 1, "checksum": false } },
            ],
            "dimension_names": ["z", "y", "x"],
            "attributes": {},
        }),
    }
}

/// The group's files: name and content.
fn group_metadata(
    name: &str,
    version: ZarrVersion,
    levels: usize,
    metadata: &ImageMetadata,
) -> Vec<(&'static str, Value)> {
    // Where no voxel size is known the scales count pixels.
    let (unit, size) = match metadata.pixel_size {
        Some(size) => ("micrometer", size),
        None => ("pixel", 1.0),
    };
    let axis = |name| json!({ "name": name, "type": "space", "unit": unit });
    let dataset = |level: usize| {
        let factor = f64::from(1 << level);
        // A voxel of a coarser level has its centre between those that it is the mean of.
        let middle = (factor - 1.0) / 2.0;
        json!({
            "path": level.to_string(),
            "coordinateTransformations": [
                { "type": "scale", "scale": [size, factor * size, factor * size] },
                { "type": "translation", "translation": [0.0, middle * size, middle * size] },
            ],
        })
    };
    let datasets: Vec<Value> = (0..levels).map(dataset).collect();
    let mut image = json!({
        "name": name,
        "axes": [axis("z"), axis("y"), axis("x")],
        "datasets": datasets,
        "type": "mean",
    });
    match version {
        ZarrVersion::V2 => {
            image["version"] = json!("0.4");
            let mut attributes = json!({ "multiscales": [image] });
            add_provenance(&mut attributes, metadata);
            vec![
                (".zgroup", json!({ "zarr_format": 2 })),
                (".zattrs", attributes),
            ]
        }
        ZarrVersion::V3 => {
            let mut attributes = json!({ "ome": { "version": "0.5", "multiscales": [image] } });
            add_provenance(&mut attributes, metadata);
            let group = json!({
                "zarr_format": 3,
                "node_type": "group",
                "attributes": attributes,
            });
            vec![("zarr.json", group)]
        }
    }
}

fn add_provenance(attributes: &mut Value, metadata: &ImageMetadata) {
    if let Some(provenance) = &metadata.provenance {
        attributes[image_metadata::KEY] = provenance.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers of Zarr 3 refuse keys that they do not know, those of Zarr 2 codecs' settings.
    #[test]
    fn metadata_hold_the_keys_of_the_specification_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = |version, name: &str| {
            let path = folder.path().join(name);
            create_level(&path, 0, [3, 40, 50], version).unwrap();
            let text = std::fs::read(path.join("0").join(name)).unwrap();
            let metadata: Value = serde_json::from_slice(&text).unwrap();
            let mut keys: Vec<_> = metadata.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            (keys.join(" "), metadata)
        };
        let (two, metadata) = keys(ZarrVersion::V2, ".zarray");
        assert_eq!(
            two,
            "chunks compressor dimension_separator dtype fill_value filters order shape zarr_format"
        );
        assert_eq!(metadata["compressor"]["id"], "blosc");
        let (three, _) = keys(ZarrVersion::V3, "zarr.json");
        assert_eq!(
            three,
            "attributes chunk_grid chunk_key_encoding codecs data_type dimension_names fill_value \
             node_type shape zarr_format"
        );
    }
}
