use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use ndarray::{ArrayView2, s};
use rayon::prelude::*;

use crate::tiff_directory::{Values, directory, header, is_big, pointer};
use crate::whole_file::WholeFile;
use crate::{Error, ImageMetadata};

/// Side of a tile, in pixels.
const TILE: usize = 1024;

/// Writes a TIFF of 32-bit floats, tile by tile, each deflated.
///
/// The `tiff` crate writes strips only; viewers of large images want tiles.
pub(crate) struct FloatTiff {
    file: WholeFile,
    size: [usize; 2],
    metadata: ImageMetadata,
    big: bool,
    /// Where each tile begins, and the end of the last.
    places: Vec<u64>,
}

impl FloatTiff {
    /// Rows that are written together.
    pub const ROWS: usize = TILE;

    /// Begins a TIFF of `size` (height, width) that says of itself what `metadata` says.
    pub fn create(
        path: &Path,
        size: [usize; 2],
        metadata: ImageMetadata,
        force: bool,
    ) -> Result<Self, Error> {
        let tiles = size.map(|side| side.div_ceil(TILE) as u64);
        // Deflate makes noise longer by a thousandth at most.
        let most = tiles[0] * tiles[1] * (BYTES + BYTES / 1000 + 64);
        Self::begin(path, size, metadata, force, is_big(most))
    }

    fn begin(
        path: &Path,
        size: [usize; 2],
        metadata: ImageMetadata,
        force: bool,
        big: bool,
    ) -> Result<Self, Error> {
        let mut file = WholeFile::create(path, force)?;
        file.write_all(header(big)).map_err(Error::io(path))?;
        Ok(Self {
            file,
            size,
            metadata,
            big,
            places: vec![header(big).len() as u64],
        })
    }

    pub fn path(&self) -> &Path {
        self.file.target()
    }

    /// The next [`ROWS`](Self::ROWS) rows, or the last of them.
    pub fn write_band(&mut self, rows: ArrayView2<f32>) -> Result<(), Error> {
        let tiles: Vec<std::io::Result<Vec<u8>>> = (0..self.size[1].div_ceil(TILE))
            .into_par_iter()
            .map(|column| {
                let columns = column * TILE..self.size[1].min((column + 1) * TILE);
                deflated(rows.slice(s![.., columns]))
            })
            .collect();
        for tile in tiles {
            let written = tile.and_then(|tile| {
                self.file.write_all(&tile)?;
                Ok(tile.len() as u64)
            });
            let length = written.map_err(Error::io(self.file.target()))?;
            let begin = self.places[self.places.len() - 1];
            self.places.push(begin + length);
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<PathBuf, Error> {
        let tiles = self.places.len() - 1;
        let mut place = self.places[tiles];
        // Directories begin at even places.
        let gap = place % 2;
        place += gap;
        let counts = self.places.windows(2).map(|ends| ends[1] - ends[0]);
        let counts = counts.collect();
        let mut fields = vec![
            (256, Values::Long(self.size[1] as u32)),
            (257, Values::Long(self.size[0] as u32)),
            (258, Values::Short(32)),
            (259, Values::Short(DEFLATE)),
            (262, Values::Short(1)),
        ];
        fields.extend(self.metadata.text().map(|text| (270, Values::Text(text))));
        fields.push((277, Values::Short(1)));
        if let Some(size) = self.metadata.pixel_size {
            let (above, below) = pixels_per_centimetre(size);
            fields.push((282, Values::Rational(above, below)));
            fields.push((283, Values::Rational(above, below)));
            fields.push((296, Values::Short(CENTIMETRE)));
        }
        fields.push((322, Values::Long(TILE as u32)));
        fields.push((323, Values::Long(TILE as u32)));
        fields.push((324, Values::Offsets(self.places[..tiles].to_vec())));
        fields.push((325, Values::Offsets(counts)));
        fields.push((339, Values::Short(3)));
        let (at, pointer) = pointer(place, self.big);
        let mut write = || {
            self.file.write_all(&vec![0; gap as usize])?;
            self.file.write_all(&directory(&fields, place, self.big))?;
            self.file.seek(SeekFrom::Start(at))?;
            self.file.write_all(&pointer)
        };
        write().map_err(Error::io(self.file.target()))?;
        self.file.finish()
    }
}

/// Compression "Adobe deflate".
const DEFLATE: u16 = 8;
/// A resolution's unit.
const CENTIMETRE: u16 = 3;

/// Pixels of so many micrometres, as a fraction.
fn pixels_per_centimetre(size: f64) -> (u32, u32) {
    const BELOW: u32 = 10_000;
    let above = (1e4 / size * f64::from(BELOW)).round();
    (above.clamp(1.0, f64::from(u32::MAX)) as u32, BELOW)
}

/// A tile's bytes, zeros beyond the image, as a zlib stream.
fn deflated(pixels: ArrayView2<f32>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(BYTES as usize);
    for row in pixels.rows() {
        bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
        bytes.resize(bytes.len() + 4 * (TILE - row.len()), 0);
    }
    bytes.resize(BYTES as usize, 0);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes)?;
    encoder.finish()
}

/// Bytes of a tile.
const BYTES: u64 = (TILE * TILE * 4) as u64;

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use tiff::decoder::{Decoder, DecodingResult};

    use super::*;

    /// The `tiff` crate reads what was written, both kinds, to the last bit.
    #[test]
    fn others_read_it() {
        let folder = tempfile::tempdir().unwrap();
        for (size, big) in [
            ([1100, 2500], false),
            ([1100, 2500], true),
            ([20, 30], true),
        ] {
            let [height, width] = size;
            // Whole tiles of it are empty.
            let value = |(y, x): (usize, usize)| match x / TILE {
                1 => 0.0,
                _ => (y * 1000 + x) as f32 / 7.0,
            };
            let image = Array2::from_shape_fn(size, value);
            let path = folder.path().join(format!("{width}-{big}.tif"));
            let metadata = ImageMetadata {
                provenance: Some(serde_json::json!({ "fragment": "Ἡράκλειον", "layers": [1, 2] })),
                pixel_size: Some(7.91),
            };
            let mut tiff = FloatTiff::begin(&path, size, metadata.clone(), false, big).unwrap();
            for first in (0..height).step_by(FloatTiff::ROWS) {
                let end = height.min(first + FloatTiff::ROWS);
                tiff.write_band(image.slice(s![first..end, ..])).unwrap();
            }
            assert!(!path.exists());
            tiff.finish().unwrap();
            let found = ImageMetadata::read(&path).unwrap();
            assert_eq!(found.provenance, metadata.provenance);
            assert!((found.pixel_size.unwrap() - 7.91).abs() < 1e-6);
            let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
            let mut decoder = Decoder::new(file).unwrap();
            assert_eq!(decoder.dimensions().unwrap(), (width as u32, height as u32));
            let DecodingResult::F32(values) = decoder.read_image().unwrap() else {
                panic!("floats were written");
            };
            assert_eq!(Array2::from_shape_vec(size, values).unwrap(), image);
        }
    }
}
