use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ndarray::ArrayView2;

use crate::Error;
use crate::tiff_directory::{Values, directory, header, is_big, pointer};

/// Writes one 16-bit grey layer strip by strip: pixels first, the directory at the end; BigTIFF from
/// four gigabytes on.
///
/// The `tiff` crate writes one image at a time and borrows its file; a fragment grows in all its
/// layers at once.
pub(crate) struct TiffWriter {
    path: PathBuf,
    file: BufWriter<File>,
    size: [usize; 2],
    rows_per_strip: usize,
    offsets: Vec<u64>,
    counts: Vec<u64>,
    rows: usize,
    big: bool,
}

impl TiffWriter {
    /// Begins a layer of `size` (height, width); every call of [`write_rows`](Self::write_rows)
    /// but the last must bring `rows_per_strip` rows.
    pub fn create(path: &Path, size: [usize; 2], rows_per_strip: usize) -> Result<Self, Error> {
        let big = is_big((size[0] * size[1] * 2) as u64);
        let file = File::create(path).map_err(Error::io(path))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        file.write_all(header(big)).map_err(Error::io(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            rows_per_strip,
            offsets: Vec::new(),
            counts: Vec::new(),
            rows: 0,
            big,
        })
    }

    pub fn write_rows(&mut self, rows: ArrayView2<u16>) -> Result<(), Error> {
        let offset = header(self.big).len() + 2 * self.rows * self.size[1];
        self.offsets.push(offset as u64);
        self.counts.push(2 * rows.len() as u64);
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
        let pixels = 2 * (self.size[0] * self.size[1]) as u64;
        // Two bytes per pixel keep the directory's address even, as it must be.
        let place = header(self.big).len() as u64 + pixels;
        let fields = [
            (256, Values::Long(self.size[1] as u32)),
            (257, Values::Long(self.size[0] as u32)),
            (258, Values::Short(16)),
            (259, Values::Short(1)),
            (262, Values::Short(1)),
            (273, Values::Offsets(std::mem::take(&mut self.offsets))),
            (277, Values::Short(1)),
            (278, Values::Long(self.rows_per_strip as u32)),
            (279, Values::Offsets(std::mem::take(&mut self.counts))),
            (339, Values::Short(1)),
        ];
        let (at, pointer) = pointer(place, self.big);
        let path = self.path.clone();
        let mut write = || {
            self.file.write_all(&directory(&fields, place, self.big))?;
            self.file.seek(SeekFrom::Start(at))?;
            self.file.write_all(&pointer)?;
            self.file.flush()?;
            self.file.get_ref().sync_all()
        };
        write().map_err(Error::io(path))
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
        assert!(error.to_string().contains("free space on the disk"));
        assert!(
            matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
        );
    }
}
