use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::layers::LAYER_FOLDERS;
use crate::tiff_writer::TiffWriter;
use crate::whole_folder::WholeFolder;
use crate::zarr_writer::{ZarrVersion, ZarrWriter};
use crate::{Error, Fragment, ImageMetadata, Part, ResultKind, write_gray};

/// Rows of a strip: 64 lines of a wide layer are about a megabyte.
const ROWS_PER_STRIP: usize = 64;

/// The volume of a fragment that is written as OME-Zarr.
const ZARR_FOLDER: &str = "surface_volume.zarr";

/// How a fragment is written.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Replaces what is there.
    pub force: bool,
    /// `surface_volume.zarr` of this version in place of TIFF layers.
    pub zarr: Option<ZarrVersion>,
}

/// Writes a fragment's layers together, from the top row to the bottom one. The folder appears
/// under its name when all of it is there; dropped before, it leaves nothing.
pub struct FragmentWriter {
    // Before the folder, which is removed when it is dropped: Windows removes no open file.
    sink: Sink,
    folder: WholeFolder,
    shape: [usize; 3],
    rows: usize,
    pending: Option<ndarray::Array3<u16>>,
}

/// Where voxels go.
enum Sink {
    Tiff(Vec<TiffWriter>),
    Zarr(Box<ZarrWriter>),
}

impl Sink {
    /// Rows that are written together.
    fn rows(&self) -> usize {
        match self {
            Self::Tiff(_) => ROWS_PER_STRIP,
            Self::Zarr(volume) => volume.rows(),
        }
    }

    fn write_rows(&mut self, rows: ArrayView3<u16>) -> Result<(), Error> {
        match self {
            Self::Tiff(layers) => layers
                .par_iter_mut()
                .zip(rows.axis_iter(Axis(0)))
                .try_for_each(|(layer, strip)| layer.write_rows(strip)),
            Self::Zarr(volume) => volume.write_rows(rows),
        }
    }

    fn finish(self) -> Result<(), Error> {
        match self {
            Self::Tiff(layers) => layers.into_par_iter().try_for_each(TiffWriter::finish),
            Self::Zarr(volume) => volume.finish(),
        }
    }
}

impl FragmentWriter {
    /// Begins a fragment of `shape` (depth, height, width) at `target`.
    ///
    /// # Errors
    /// [`Error::Exists`] without `force`; [`Error::Foreign`] when something else than a fragment
    /// that Inkling wrote would be lost; [`Error::Rows`] for a volume without voxels;
    /// [`Error::Io`].
    pub fn create(
        target: impl AsRef<Path>,
        shape: [usize; 3],
        options: WriteOptions,
    ) -> Result<Self, Error> {
        let target = target.as_ref().to_owned();
        let folder = WholeFolder::create(&target, ResultKind::Fragment, options.force)?;
        if shape.contains(&0) {
            return Err(Error::Rows {
                path: target,
                found: format!("a volume of {shape:?} voxels (z, y, x)"),
                expected: "at least one voxel each way".to_owned(),
            });
        }
        Ok(Self {
            sink: create_sink(&folder.path(), shape, options.zarr)?,
            folder,
            shape,
            rows: 0,
            pending: None,
        })
    }

    /// The folder under its temporary name, for files of one's own.
    pub fn folder(&self) -> PathBuf {
        self.folder.path()
    }

    /// The next rows of all layers, (z, y, x), of the full width.
    ///
    /// # Errors
    /// [`Error::Rows`] when they do not fit; [`Error::Io`].
    pub fn write_rows(&mut self, rows: ArrayView3<u16>) -> Result<(), Error> {
        let (depth, count, width) = rows.dim();
        if depth != self.shape[0] || width != self.shape[2] || self.rows + count > self.shape[1] {
            return Err(Error::Rows {
                path: self.folder.target().to_owned(),
                found: format!("{:?} after {} rows", rows.shape(), self.rows),
                expected: format!("rows of {:?}", self.shape),
            });
        }
        self.rows += count;
        let joined = match self.pending.take() {
            Some(before) => ndarray::concatenate(Axis(1), &[before.view(), rows])
                .expect("equal depth and width"),
            None => rows.to_owned(),
        };
        let all = self.rows == self.shape[1];
        self.write_strips(joined, all)
    }

    /// Writes whole strips and keeps the rest for later, unless this is the last.
    fn write_strips(&mut self, rows: ndarray::Array3<u16>, all: bool) -> Result<(), Error> {
        let mut begin = 0;
        let count = rows.dim().1;
        let together = self.sink.rows();
        while begin < count && (all || count - begin >= together) {
            let end = count.min(begin + together);
            self.sink
                .write_rows(rows.slice(ndarray::s![.., begin..end, ..]))?;
            begin = end;
        }
        if begin < count {
            self.pending = Some(rows.slice(ndarray::s![.., begin.., ..]).to_owned());
        }
        Ok(())
    }

    /// Writes `mask.png`: white where there is papyrus.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_mask(&mut self, mask: &Array2<bool>) -> Result<(), Error> {
        self.write_side_image("mask.png", &white_where(mask))
    }

    /// Writes `inklabels.png`: white where there is ink.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_ink_labels(&mut self, labels: &Array2<bool>) -> Result<(), Error> {
        self.write_side_image("inklabels.png", &white_where(labels))
    }

    /// Writes `ir.png`, the infrared photograph.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_infrared(&mut self, infrared: &Array2<u8>) -> Result<(), Error> {
        self.write_side_image("ir.png", infrared)
    }

    /// Writes the side images that `fragment` has, each as `part` cuts it: mask, ink labels,
    /// photograph, supervision and validation masks.
    ///
    /// # Errors
    /// Those of reading them; [`Error::Io`].
    pub fn copy_side_images(&mut self, fragment: &Fragment, part: &Part) -> Result<(), Error> {
        self.write_mask(&part.of(&fragment.mask()?))?;
        if let Some(labels) = fragment.ink_labels()? {
            self.write_ink_labels(&part.of(&labels))?;
        }
        if let Some(infrared) = fragment.infrared()? {
            self.write_infrared(&part.of(&infrared))?;
        }
        let masks = [
            ("supervision_mask.png", fragment.supervision_mask()?),
            ("validation_mask.png", fragment.validation_mask()?),
        ];
        for (name, mask) in masks {
            if let Some(mask) = mask {
                self.write_side_image(name, &white_where(&part.of(&mask)))?;
            }
        }
        Ok(())
    }

    fn write_side_image(&self, name: &str, image: &Array2<u8>) -> Result<(), Error> {
        let expected = [self.shape[1], self.shape[2]];
        let found = [image.nrows(), image.ncols()];
        if found == expected {
            return write_gray(self.folder().join(name), image.view(), true);
        }
        Err(Error::Size {
            path: self.folder.target().join(name),
            found,
            expected,
            like: "the layers",
            hint: "give an image of the layers' size",
        })
    }

    /// Gives the folder its name and opens it.
    ///
    /// # Errors
    /// [`Error::Rows`] when rows are missing; [`Error::Io`].
    pub fn finish(self) -> Result<Fragment, Error> {
        if self.rows != self.shape[1] {
            return Err(Error::Rows {
                path: self.folder.target().to_owned(),
                found: format!("{} rows", self.rows),
                expected: format!("{} rows", self.shape[1]),
            });
        }
        self.sink.finish()?;
        Fragment::open(self.folder.finish()?)
    }
}

fn create_sink(folder: &Path, shape: [usize; 3], zarr: Option<ZarrVersion>) -> Result<Sink, Error> {
    if let Some(version) = zarr {
        let volume = ZarrWriter::create(
            &folder.join(ZARR_FOLDER),
            "surface_volume",
            shape,
            version,
            &ImageMetadata::default(),
        )?;
        return Ok(Sink::Zarr(Box::new(volume)));
    }
    let volume = folder.join(LAYER_FOLDERS[0]);
    std::fs::create_dir(&volume).map_err(Error::io(&volume))?;
    let digits = (shape[0].max(1) - 1).to_string().len().max(2);
    let layers = (0..shape[0])
        .map(|z| {
            let path = volume.join(format!("{z:0digits$}.tif"));
            TiffWriter::create(&path, [shape[1], shape[2]], ROWS_PER_STRIP)
        })
        .collect::<Result<_, _>>()?;
    Ok(Sink::Tiff(layers))
}

fn white_where(mask: &Array2<bool>) -> Array2<u8> {
    mask.mapv(|set| if set { 255 } else { 0 })
}
