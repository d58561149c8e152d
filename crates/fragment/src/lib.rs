//! What lies on disk: the layers, masks, labels and depth maps of a scanned fragment.
//!
//! A [`Fragment`] is a folder of layers, each one z slice of an X-ray scan as a grey TIFF.
//! Opening it reads headers; voxels are read by [`Region`] through the trait [`Volume`], touching
//! only the strips or tiles that a region lies in, so that a fragment need not fit in memory. A
//! [`FragmentWriter`] writes one, row block by row block. Axes are (z, y, x) for volumes and
//! (y, x) for images and [`DepthMaps`].
//!
//! ```
//! use inkling_fragment::{FragmentWriter, Region, Volume, WriteOptions};
//! use ndarray::{Array2, Array3};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("scrap");
//! let voxels = Array3::from_shape_fn((5, 40, 30), |(z, y, x)| (z * 10_000 + y * 100 + x) as u16);
//! let mut writer = FragmentWriter::create(&path, [5, 40, 30], WriteOptions::default())?;
//! writer.write_rows(voxels.view())?;
//! writer.write_mask(&Array2::from_elem((40, 30), true))?;
//! let fragment = writer.finish()?;
//!
//! let corner = fragment.read(&Region::new(4..5, 38..40, 29..30))?;
//! assert_eq!(corner.as_slice().unwrap(), [43_829, 43_929]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bounded_text;
mod chunk_cache;
mod colour_strength;
mod colour_tiff;
mod columns;
mod columns_of_volume;
mod cut_to_sixteen;
mod drawn_image;
mod error;
mod float_range;
mod float_tiff;
mod fragment;
mod image_layer;
mod image_metadata;
mod label_image;
mod layer;
mod layer_names;
mod layer_pages;
mod layers;
mod maps;
mod missing_chunks;
mod npy_file;
mod numbered;
mod packed_bytes;
mod palette_tiff;
mod panics;
mod papyrus;
mod part;
mod photograph;
mod picture;
mod probability_image;
mod probability_writer;
mod provenance;
mod read_options;
mod region;
mod remarks;
mod remote;
mod result_folder;
mod result_kind;
mod sha256;
mod shared_voxels;
mod shrink;
mod side_images;
mod storage;
mod stored_voxels;
mod target_curve;
mod temporary;
mod tiff_codecs;
mod tiff_directory;
mod tiff_layer;
mod tiff_pages;
mod tiff_writer;
mod volume;
mod voxel_fingerprint;
mod voxel_range;
mod whole_file;
mod whole_folder;
mod write_part;
mod writer;
mod zarr_array;
mod zarr_axes;
mod zarr_codecs;
mod zarr_compression;
mod zarr_element;
mod zarr_json;
mod zarr_levels;
mod zarr_metadata;
mod zarr_shards;
mod zarr_volume;
mod zarr_writer;

pub use bounded_text::read_text;
pub use columns::Columns;
pub use drawn_image::read_drawn;
pub use error::Error;
pub use fragment::{Fragment, split_name};
pub use image_metadata::ImageMetadata;
pub use label_image::{LabelOptions, read_labels};
pub use layer_names::Ignored;
pub use maps::{DepthMapViews, DepthMaps, MapFiles, Maps, read_map, write_map, write_maps};
pub use missing_chunks::MissingChunks;
pub use npy_file::npy_shape;
pub use numbered::Numbered;
pub use panics::{Panic, catch_panic, guard_decoder, panics_are_caught, silence_panics};
pub use papyrus::covered;
pub use part::{Part, thirds};
pub use picture::{read_gray, write_gray, write_gray_with};
pub use probability_image::read_probability;
pub use probability_writer::ProbabilityWriter;
pub use provenance::Provenance;
pub use read_options::ReadOptions;
pub use region::Region;
pub use remarks::remark;
pub use remote::{RemoteFailure, RemoteSettings, configure_remote, is_remote};
pub use result_folder::{ResultFolder, check_name};
pub use result_kind::ResultKind;
pub use sha256::sha256_hex;
pub use shared_voxels::{SharedVoxels, VoxelSketch};
pub use shrink::Shrink;
pub use side_images::SideImageKind;
pub use storage::{absolute, open_file};
pub use target_curve::TARGET_CURVE;
pub use temporary::locked;
pub use volume::Volume;
pub use voxel_range::VoxelRange;
pub use whole_file::{write_bytes, write_whole};
pub use write_part::write_part;
pub use writer::{FragmentWriter, WriteOptions};
pub use zarr_volume::VoxelSize;
pub use zarr_writer::ZarrVersion;
