use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ndarray::ArrayView2;

use crate::Error;

/// Classic TIFF addresses four gigabytes.
const LARGEST: u64 = u32::MAX as u64;

/// Writes one 16-bit grey layer strip by strip: pixels first, the directory at the end.
///
/// The `tiff` crate writes one image at a time and borrows its file; a fragment grows in all its
/// layers at once.
pub(crate) struct TiffWriter {
    path: PathBuf,
    file: BufWriter<File>,
    size: [usize; 2],
    rows_per_strip: usize,
    offsets: Vec<u32>,
    counts: Vec<u32>,
    rows: usize,
}

impl TiffWriter {
    /// Begins a layer of `size` (height, width); every call of [`write_rows`](Self::write_rows)
    /// but the last must bring `rows_per_strip` rows.
    pub fn create(path: &Path, size: [usize; 2], rows_per_strip: usize) -> Result<Self, Error> {
        let bytes = (size[0] * size[1] * 2) as u64;
        if bytes + (1 << 20) > LARGEST {
            return Err(Error::Tiff {
                path: path.to_owned(),
                reason: format!("a layer of {bytes} bytes is more than classic TIFF can hold"),
            });
        }
        let file = File::create(path).map_err(Error::io(path))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        // Little-endian, version 42; the directory's place is filled in at the end.
        file.write_all(b"II\x2a\x00\0\0\0\0")
            .map_err(Error::io(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            rows_per_strip,
            offsets: Vec::new(),
            counts: Vec::new(),
            rows: 0,
        })
    }

    pub fn write_rows(&mut self, rows: ArrayView2<u16>) -> Result<(), Error> {
        let offset = 8 + 2 * self.rows * self.size[1];
        self.offsets.push(offset as u32);
        self.counts.push(2 * rows.len() as u32);
        self.rows += rows.nrows();
        let mut line = Vec::with_capacity(2 * self.size[1]);
        for row in rows.rows() {
            line.clear();
            line.extend(row.iter().flat_map(|pixel| pixel.to_le_bytes()));
            self.file.write_all(&line).map_err(Error::io(&self.path))?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<(), Error> {
        let directory = self.directory();
        let mut place = 8 + 2 * self.size[0] * self.size[1];
        // Directories begin at even addresses; two bytes per pixel keep them so.
        place += place % 2;
        let path = self.path.clone();
        let mut write = || {
            self.file.write_all(&directory)?;
            self.file.seek(SeekFrom::Start(4))?;
            self.file.write_all(&(place as u32).to_le_bytes())?;
            self.file.flush()?;
            self.file.get_ref().sync_all()
        };
        write().map_err(Error::io(path))
    }

    /// The image file directory, then the strips' offsets and lengths that it points to.
    fn directory(&self) -> Vec<u8> {
        const SHORT: u16 = 3;
        const LONG: u16 = 4;
        let strips = self.offsets.len() as u32;
        let entries = 10_u16;
        let begin = 8 + 2 * self.size[0] * self.size[1];
        let arrays = (begin + 2 + 12 * usize::from(entries) + 4) as u32;
        let (offsets, counts) = match strips {
            1 => (self.offsets[0], self.counts[0]),
            _ => (arrays, arrays + 4 * strips),
        };
        let fields: [(u16, u16, u32, u32); 10] = [
            (256, LONG, 1, self.size[1] as u32),
            (257, LONG, 1, self.size[0] as u32),
            (258, SHORT, 1, 16),
            (259, SHORT, 1, 1),
            (262, SHORT, 1, 1),
            (273, LONG, strips, offsets),
            (277, SHORT, 1, 1),
            (278, LONG, 1, self.rows_per_strip as u32),
            (279, LONG, strips, counts),
            (339, SHORT, 1, 1),
        ];
        let mut bytes = entries.to_le_bytes().to_vec();
        for (tag, kind, count, value) in fields {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0; 4]);
        if strips > 1 {
            let arrays = self.offsets.iter().chain(&self.counts);
            bytes.extend(arrays.flat_map(|value| value.to_le_bytes()));
        }
        bytes
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let mut writer = TiffWriter::create(Path::new("/dev/full"), [64, 8], 64).unwrap();
        let written = writer.write_rows(Array2::zeros((64, 8)).view());
        let error = written.and_then(|()| writer.finish()).unwrap_err();
        assert!(error.to_string().contains("space left on the disk"));
        assert!(
            matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
        );
    }
}
