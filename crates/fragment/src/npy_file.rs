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
        let header = read_header(&mut file).map_err(wrong)?;
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
        let expected = end(&[height, width], bytes as u64, begin);
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

/// Most bytes of a header, as in numpy.
const LONGEST_HEADER: usize = 10_000;
/// Most brackets, where a header of numbers has two and one of a named field four. The parser reads what
/// stands in a bracket up to four times when no comma follows, so that each that stands in another one
/// takes it four times as long.
const MOST_BRACKETS: usize = 4;
/// A header as it should be, for messages.
const EXPECTED_HEADER: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (height, width)}";
/// Magic string, version and the longest length.
const PREFIX: usize = 12;

/// Reads a header, once its length and the number of its brackets are found to be those of a header.
fn read_header(file: &mut (impl Read + Seek)) -> Result<Header, String> {
    let mut prefix = Vec::new();
    let mut read = |most: usize, into: &mut Vec<u8>| {
        let bytes = file.by_ref().take(most as u64).read_to_end(into);
        bytes.map_err(|error| error.to_string())
    };
    read(PREFIX, &mut prefix)?;
    let length = match prefix.as_slice() {
        [b'\x93', b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => {
            usize::from(u16::from_le_bytes([*a, *b]))
        }
        [b'\x93', b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d] => {
            u32::from_le_bytes([*a, *b, *c, *d]) as usize
        }
        _ => return Err("it does not begin as NPY files do".to_owned()),
    };
    if length > LONGEST_HEADER {
        return Err(format!(
            "a header of {length} bytes, more than {LONGEST_HEADER}"
        ));
    }
    let mut text = Vec::new();
    read(length, &mut text)?;
    // All that open, not those that are open: a string may hold one that closes.
    let brackets = text.iter().filter(|byte| b"([{".contains(byte)).count();
    if brackets > MOST_BRACKETS {
        return Err(format!(
            "a header with {brackets} brackets; expected one like {EXPECTED_HEADER}"
        ));
    }
    let rewound = file.seek(SeekFrom::Start(0));
    rewound.map_err(|error| error.to_string())?;
    Header::from_reader(file).map_err(|error| error.to_string())
}

/// Where an array ends that begins at `begin`.
fn end(shape: &[usize], bytes: u64, begin: u64) -> u64 {
    let sizes = shape.iter().map(|&size| size as u64);
    sizes.fold(bytes, u64::saturating_mul).saturating_add(begin)
}

/// Checks that an NPY file of numbers is as long as its header says, for readers that allocate
/// what a header asks for.
///
/// # Errors
/// [`Error::Npy`] for a damaged header or values that are no plain numbers, [`Error::Truncated`]
/// for a file that is too short.
pub fn check_npy(path: &Path) -> Result<(), Error> {
    let wrong = |reason: String| Error::Npy {
        path: path.to_owned(),
        reason,
    };
    let mut file = BufReader::new(File::open(path).map_err(Error::io(path))?);
    let header = read_header(&mut file).map_err(wrong)?;
    let kind = header.type_descriptor.to_string();
    let plain = kind
        .trim_matches('\'')
        .trim_start_matches(['<', '>', '|', '=']);
    let bytes = plain.get(1..).and_then(|bytes| bytes.parse::<u64>().ok());
    let bytes = bytes.ok_or_else(|| wrong(format!("values of type {kind}")))?;
    let begin = file.stream_position().map_err(Error::io(path))?;
    let found = std::fs::metadata(path).map_err(Error::io(path))?.len();
    let expected = end(&header.shape, bytes, begin);
    match found < expected {
        true => Err(Error::Truncated {
            path: path.to_owned(),
            found,
            expected,
        }),
        false => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of any header and eight values of four bytes.
    fn file(folder: &Path, version: u8, length: Option<u32>, header: &str) -> PathBuf {
        let length = length.unwrap_or(header.len() as u32);
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((length as u16).to_le_bytes()),
            _ => bytes.extend(length.to_le_bytes()),
        }
        bytes.extend(header.bytes());
        bytes.extend([0; 32]);
        let path = folder.join("map.npy");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn header(kind: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': {kind}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    }

    #[test]
    fn every_version_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for version in [1, 2, 3] {
            let text = header("'<f4'", "False", "(2, 4)");
            let path = file(folder.path(), version, None, &text);
            check_npy(&path).unwrap();
            assert_eq!(NpyFile::open(path).unwrap().size, [2, 4]);
        }
    }

    #[test]
    fn what_a_header_asks_for_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let good = header("'<f4'", "False", "(2, 4)");
        let shape = |shape: &str| header("'<f4'", "False", shape);
        for (version, length, text) in [
            (2, Some(u32::MAX), good.clone()),
            (3, Some(1 << 30), good.clone()),
            (1, Some(60_000), good.clone()),
            (2, Some(9_000), good.clone()),
            (9, None, good),
            (1, None, shape("(3, 4)")),
            (
                1,
                None,
                shape("(18446744073709551615, 18446744073709551615)"),
            ),
            (1, None, shape("(4294967296, 4294967296)")),
            (1, None, shape("(99999999999999999999999, 1)")),
            (1, None, shape("(-2, 4)")),
            (1, None, header("[('a', '<f4')]", "False", "(2, 4)")),
            (1, None, header("'|O'", "False", "(2, 4)")),
            (1, None, header(&"(".repeat(9_000), "False", "(2, 4)")),
            (1, None, "{".repeat(9_000) + "\n"),
            (1, None, shape(&format!("(3, {}", "{".repeat(14)))),
            (1, None, shape(&format!("(3, {}", "{'}':".repeat(14)))),
            (
                1,
                None,
                shape(&format!("(3, {}{}", "[".repeat(6), "1".repeat(9_000))),
            ),
            (1, None, "nonsense\n".to_owned()),
        ] {
            let path = file(folder.path(), version, length, &text);
            let error = check_npy(&path).unwrap_err();
            let short: String = text.chars().take(60).collect();
            assert!(
                matches!(error, Error::Npy { .. } | Error::Truncated { .. }),
                "{short}: {error}"
            );
            assert!(crate::read_map(&path).is_err(), "{short}");
            assert!(NpyFile::open(path).is_err(), "{short}");
        }
    }

    #[test]
    fn other_orders_and_types_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |text: String| {
            let path = file(folder.path(), 1, None, &text);
            NpyFile::open(path).unwrap_err().to_string()
        };
        assert!(refused(header("'<f4'", "True", "(2, 4)")).contains("True"));
        assert!(refused(header("'>f4'", "False", "(2, 4)")).contains(">f4"));
        assert!(refused(header("'<i4'", "False", "(2, 4)")).contains("<i4"));
        assert!(refused(header("'<f4'", "False", "(2, 2, 2)")).contains("(2, 2, 2"));
    }
}
