use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ndarray::{ArrayView2, s};

use crate::Error;
use crate::tiff_directory::{Values, directory, header, is_big, pointer};
use crate::whole_file::WholeFile;

/// Side of a tile, in pixels.
const TILE: usize = 256;

/// Writes a TIFF of 32-bit floats, tile by tile.
///
/// The `tiff` crate writes strips only; viewers of large images want tiles.
pub(crate) struct FloatTiff {
    file: WholeFile,
    size: [usize; 2],
    big: bool,
    tiles: u64,
}

impl FloatTiff {
    /// Rows that are written together.
    pub const ROWS: usize = TILE;

    pub fn create(path: &Path, size: [usize; 2], force: bool) -> Result<Self, Error> {
        let across = size.map(|side| side.div_ceil(TILE) as u64);
        Self::begin(path, size, force, is_big(across[0] * across[1] * BYTES))
    }

    fn begin(path: &Path, size: [usize; 2], force: bool, big: bool) -> Result<Self, Error> {
        let mut file = WholeFile::create(path, force)?;
        file.write_all(header(big)).map_err(Error::io(path))?;
        Ok(Self {
            file,
            size,
            big,
            tiles: 0,
        })
    }

    pub fn path(&self) -> &Path {
        self.file.target()
    }

    /// The next [`ROWS`](Self::ROWS) rows, or the last of them.
    pub fn write_band(&mut self, rows: ArrayView2<f32>) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(BYTES as usize);
        for left in (0..self.size[1]).step_by(TILE) {
            let right = self.size[1].min(left + TILE);
            bytes.clear();
            for row in rows.slice(s![.., left..right]).rows() {
                bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
                bytes.resize(bytes.len() + 4 * (TILE - row.len()), 0);
            }
            bytes.resize(BYTES as usize, 0);
            let written = self.write_tile(&bytes);
            written.map_err(Error::io(self.file.target()))?;
            self.tiles += 1;
        }
        Ok(())
    }

    /// Tiles of nothing are left out of the file: they read as zeros and take no disk, where the file
    /// system knows of holes. The directory at the end gives the file its length.
    fn write_tile(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match bytes.iter().all(|&byte| byte == 0) {
            true => self.file.seek_relative(bytes.len() as i64),
            false => self.file.write_all(bytes),
        }
    }

    pub fn finish(mut self) -> Result<PathBuf, Error> {
        let begin = header(self.big).len() as u64;
        let place = begin + self.tiles * BYTES;
        let fields = [
            (256, Values::Long(self.size[1] as u32)),
            (257, Values::Long(self.size[0] as u32)),
            (258, Values::Short(32)),
            (259, Values::Short(1)),
            (262, Values::Short(1)),
            (277, Values::Short(1)),
            (322, Values::Long(TILE as u32)),
            (323, Values::Long(TILE as u32)),
            (
                324,
                Values::Offsets((0..self.tiles).map(|tile| begin + tile * BYTES).collect()),
            ),
            (325, Values::Offsets(vec![BYTES; self.tiles as usize])),
            (339, Values::Short(3)),
        ];
        let (at, pointer) = pointer(place, self.big);
        let mut write = || {
            self.file.write_all(&directory(&fields, place, self.big))?;
            self.file.seek(SeekFrom::Start(at))?;
            self.file.write_all(&pointer)
        };
        write().map_err(Error::io(self.file.target()))?;
        self.file.finish()
    }
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
        for (size, big) in [([300, 700], false), ([300, 700], true), ([20, 30], true)] {
            let [height, width] = size;
            // Whole tiles of it are empty.
            let value = |(y, x): (usize, usize)| match x / TILE {
                1 => 0.0,
                _ => (y * 1000 + x) as f32 / 7.0,
            };
            let image = Array2::from_shape_fn(size, value);
            let path = folder.path().join(format!("{width}-{big}.tif"));
            let mut tiff = FloatTiff::begin(&path, size, false, big).unwrap();
            for first in (0..height).step_by(FloatTiff::ROWS) {
                let end = height.min(first + FloatTiff::ROWS);
                tiff.write_band(image.slice(s![first..end, ..])).unwrap();
            }
            assert!(!path.exists());
            tiff.finish().unwrap();
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
