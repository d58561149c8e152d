use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use ndarray_npy::npy::header::Header;

use crate::Error;

/// An NPY file of a 2D array of floats, read part by part.
#[derive(Clone, Debug)]
pub(crate) struct NpyFile {
    pub path: PathBuf,
    /// Height and width.
    pub size: [usize; 2],
    /// Where the first value lies.
    begin: u64,
    /// Bytes per value: 4 or 8.
    bytes: usize,
}

impl NpyFile {
    /// Reads the header and checks that the file is as long as it says.
    pub fn open(path: PathBuf) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Npy {
            path: path.clone(),
            reason,
        };
        let mut file = BufReader::new(File::open(&path).map_err(Error::io(&path))?);
        let header = Header::from_reader(&mut file).map_err(|error| wrong(error.to_string()))?;
        let kind = header.type_descriptor.to_string();
        let bytes = match kind.trim_matches('\'') {
            "<f4" => 4,
            "<f8" => 8,
            other => return Err(wrong(format!("values of type {other}"))),
        };
        let (&[height, width], false) = (header.shape.as_slice(), header.layout.is_fortran())
        else {
            return Err(wrong(format!("the header {header}")));
        };
        let begin = file.stream_position().map_err(Error::io(&path))?;
        let found = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
        let values = (height as u64).saturating_mul(width as u64);
        let expected = values.saturating_mul(bytes as u64).saturating_add(begin);
        if found < expected {
            return Err(Error::Truncated {
                path,
                found,
                expected,
            });
        }
        Ok(Self {
            path,
            size: [height, width],
            begin,
            bytes,
        })
    }

    /// The values of rows `y` and columns `x`.
    pub fn read(&self, y: &Range<usize>, x: &Range<usize>) -> Result<Array2<f32>, Error> {
        let mut file = File::open(&self.path).map_err(Error::io(&self.path))?;
        let mut values = Vec::with_capacity(y.len() * x.len());
        let mut line = vec![0; x.len() * self.bytes];
        for row in y.clone() {
            let place = self.begin + ((row * self.size[1] + x.start) * self.bytes) as u64;
            let read = file.seek(SeekFrom::Start(place));
            read.and_then(|_| file.read_exact(&mut line))
                .map_err(Error::io(&self.path))?;
            match self.bytes {
                4 => values.extend(
                    line.chunks_exact(4)
                        .map(|b| f32::from_le_bytes(b.try_into().expect("chunks of four"))),
                ),
                _ => values
                    .extend(line.chunks_exact(8).map(|b| {
                        f64::from_le_bytes(b.try_into().expect("chunks of eight")) as f32
                    })),
            }
        }
        Ok(Array2::from_shape_vec((y.len(), x.len()), values).expect("whole rows"))
    }
}

/// Writes the header of an NPY array of `size` (height, width), f32, rows one after the other.
pub(crate) fn write_header(
    file: &mut impl Write,
    path: &Path,
    [height, width]: [usize; 2],
) -> Result<(), Error> {
    let text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    // Magic string, version 1.0 and the length take ten bytes; values begin at a multiple of 64.
    let length = (text.len() + 11).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{text:<width$}\n", width = length - 1).bytes());
    file.write_all(&bytes).map_err(Error::io(path))
}
