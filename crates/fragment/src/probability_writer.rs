use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use crate::float_tiff::FloatTiff;
use crate::whole_folder::WholeFolder;
use crate::zarr_writer::{ZarrVersion, ZarrWriter};
use crate::{Error, ImageMetadata, ResultKind};

/// Writes an image of probabilities band by band, from the top row to the bottom one: memory holds
/// a few hundred rows, however large the image is. The file appears when all of it is there.
pub struct ProbabilityWriter {
    sink: Sink,
    size: [usize; 2],
    pending: Array2<f32>,
    rows: usize,
}

enum Sink {
    Tiff(FloatTiff),
    Zarr {
        image: Box<ZarrWriter>,
        folder: WholeFolder,
    },
}

impl ProbabilityWriter {
    /// Begins a TIFF of 32-bit floats in deflated tiles of 1024², BigTIFF from four gigabytes on, of `size`
    /// (height, width), that says of itself what `metadata` says.
    ///
    /// # Errors
    /// [`Error::Exists`] without `force`; [`Error::Io`].
    pub fn tiff(
        path: impl AsRef<Path>,
        size: [usize; 2],
        metadata: ImageMetadata,
        force: bool,
    ) -> Result<Self, Error> {
        let tiff = FloatTiff::create(path.as_ref(), size, metadata, force)?;
        Ok(Self::new(Sink::Tiff(tiff), size))
    }

    /// Begins an OME-Zarr image with a pyramid, that says of itself what `metadata` says: one layer of 16-bit
    /// probabilities, 65535 being 1.
    ///
    /// # Errors
    /// [`Error::Exists`] without `force`; [`Error::Foreign`] where something else than such an image
    /// would be lost; [`Error::Io`]; [`Error::Zarr`].
    pub fn zarr(
        path: impl AsRef<Path>,
        size: [usize; 2],
        version: ZarrVersion,
        metadata: &ImageMetadata,
        force: bool,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let folder = WholeFolder::create(path, ResultKind::Image, force)?;
        let shape = [1, size[0], size[1]];
        let image =
            ZarrWriter::create(&folder.path(), "ink_probability", shape, version, metadata)?;
        let image = Box::new(image);
        Ok(Self::new(Sink::Zarr { folder, image }, size))
    }

    fn new(sink: Sink, size: [usize; 2]) -> Self {
        Self {
            sink,
            size,
            pending: Array2::zeros((0, size[1])),
            rows: 0,
        }
    }

    /// The next rows, of the full width; any number of them.
    ///
    /// # Errors
    /// [`Error::Rows`] when they do not fit; [`Error::Io`].
    pub fn write_rows(&mut self, rows: ArrayView2<f32>) -> Result<(), Error> {
        if rows.ncols() != self.size[1] || self.rows + rows.nrows() > self.size[0] {
            return Err(Error::Rows {
                path: self.sink.path().to_owned(),
                found: format!("{:?} after {} rows", rows.shape(), self.rows),
                expected: format!("rows of {:?}", self.size),
            });
        }
        self.rows += rows.nrows();
        let joined = concatenate(Axis(0), &[self.pending.view(), rows]).expect("equal width");
        let (together, all) = (self.sink.rows(), self.rows == self.size[0]);
        let mut begin = 0;
        while begin < joined.nrows() && (all || joined.nrows() - begin >= together) {
            let end = joined.nrows().min(begin + together);
            self.sink.write_band(joined.slice(s![begin..end, ..]))?;
            begin = end;
        }
        self.pending = joined.slice(s![begin.., ..]).to_owned();
        Ok(())
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`Error::Rows`] when rows are missing; [`Error::Io`]; [`Error::Zarr`].
    pub fn finish(self) -> Result<PathBuf, Error> {
        if self.rows != self.size[0] {
            return Err(Error::Rows {
                path: self.sink.path().to_owned(),
                found: format!("{} rows", self.rows),
                expected: format!("{} rows", self.size[0]),
            });
        }
        match self.sink {
            Sink::Tiff(tiff) => tiff.finish(),
            Sink::Zarr { folder, image } => {
                image.finish()?;
                folder.finish()
            }
        }
    }
}

impl Sink {
    fn path(&self) -> &Path {
        match self {
            Self::Tiff(tiff) => tiff.path(),
            Self::Zarr { folder, .. } => folder.target(),
        }
    }

    /// Rows that are written together.
    fn rows(&self) -> usize {
        match self {
            Self::Tiff(_) => FloatTiff::ROWS,
            Self::Zarr { image, .. } => image.rows(),
        }
    }

    fn write_band(&mut self, rows: ArrayView2<f32>) -> Result<(), Error> {
        match self {
            Self::Tiff(tiff) => tiff.write_band(rows),
            Self::Zarr { image, .. } => {
                let levels = rows.mapv(|p| (p.clamp(0.0, 1.0) * 65_535.0).round() as u16);
                image.write_rows(levels.insert_axis(Axis(0)).view())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zarr_volume::ZarrVolume;
    use crate::{Region, Volume as _};

    fn image() -> Array2<f32> {
        Array2::from_shape_fn((1100, 600), |(y, x)| {
            ((y * 31 + x * 17) % 1000) as f32 / 999.0
        })
    }

    fn write(mut writer: ProbabilityWriter) -> PathBuf {
        for rows in image().axis_chunks_iter(Axis(0), 77) {
            writer.write_rows(rows).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn bands_of_any_height_come_back_with_a_pyramid() {
        let folder = tempfile::tempdir().unwrap();
        for (name, version) in [("2.zarr", ZarrVersion::V2), ("3.zarr", ZarrVersion::V3)] {
            let path = folder.path().join(name);
            let metadata = ImageMetadata {
                provenance: Some(serde_json::json!({ "layers": [3, 5] })),
                pixel_size: Some(2.4),
            };
            let writer =
                ProbabilityWriter::zarr(&path, [1100, 600], version, &metadata, false).unwrap();
            let volume = ZarrVolume::open(&write(writer), 0).unwrap();
            assert_eq!(volume.shape(), [1, 1100, 600]);
            let all = Region::new(0..1, 0..1100, 0..600);
            let found = volume.read(&all).unwrap();
            for (&found, &wanted) in found.iter().zip(&image()) {
                assert!((f32::from(found) / 65_535.0 - wanted).abs() < 1e-5);
            }
            assert_eq!(ImageMetadata::read(&path).unwrap(), metadata);
            assert!(path.join("1").exists() && path.join("2").exists() && !path.join("3").exists());
        }
    }

    #[test]
    fn rows_must_fit_and_be_all_there_and_nothing_else_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        let mut writer =
            ProbabilityWriter::tiff(&path, [30, 20], ImageMetadata::default(), false).unwrap();
        let wrong = writer.write_rows(Array2::zeros((5, 21)).view());
        assert!(matches!(wrong, Err(Error::Rows { .. })));
        writer.write_rows(Array2::zeros((29, 20)).view()).unwrap();
        assert!(matches!(writer.finish(), Err(Error::Rows { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let mine = folder.path().join("mine");
        std::fs::create_dir(&mine).unwrap();
        std::fs::write(mine.join("notes.txt"), "precious").unwrap();
        let refused = ProbabilityWriter::zarr(
            &mine,
            [30, 20],
            ZarrVersion::V2,
            &ImageMetadata::default(),
            true,
        );
        assert!(matches!(refused, Err(Error::Foreign { .. })));
    }
}
