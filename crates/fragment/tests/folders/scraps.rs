//! Small fragments that a test makes for itself.

use std::path::{Path, PathBuf};

use inkling_fragment::{FragmentWriter, WriteOptions};
use ndarray::{Array2, Array3};
use tempfile::TempDir;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::ColorType;

/// Depth, height and width of a scrap.
pub const SHAPE: [usize; 3] = [4, 30, 20];

/// A fragment folder with its mask, in a place that goes when it is dropped.
pub struct TestFragment {
    place: TempDir,
}

impl TestFragment {
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let voxels = Array3::from_elem(SHAPE, 1_000_u16);
        let options = WriteOptions::default();
        let mut writer =
            FragmentWriter::create(place.path().join("scrap"), SHAPE, options).unwrap();
        writer.write_rows(voxels.view()).unwrap();
        writer
            .write_mask(&Array2::from_elem((SHAPE[1], SHAPE[2]), true))
            .unwrap();
        writer.finish().unwrap();
        Self { place }
    }

    /// The fragment's folder.
    pub fn path(&self) -> PathBuf {
        self.place.path().join("scrap")
    }

    /// A file in the fragment's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The file of layer `z`.
    pub fn layer(&self, z: usize) -> PathBuf {
        self.file(&format!("surface_volume/{z:02}.tif"))
    }
}

/// Writes a TIFF of `size` (height, width), all zero, of any pixel type.
pub fn write_blank<C: ColorType>(path: &Path, [height, width]: [u32; 2])
where
    C::Inner: Default + Clone,
    [C::Inner]: tiff::encoder::TiffValue,
{
    let samples = C::BITS_PER_SAMPLE.len() * (height * width) as usize;
    let pixels = vec![C::Inner::default(); samples];
    TiffEncoder::new(std::fs::File::create(path).unwrap())
        .unwrap()
        .write_image::<C>(width, height, &pixels)
        .unwrap();
}
