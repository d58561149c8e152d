use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use ndarray_npy::npy::header::Header;

use crate::Error;
use crate::storage::open_file;

/// An NPY file of a 2D array of numbers, read part by part as f32: floats or integers of any length, in either byte order,
/// rows or columns first.
#[derive(Clone, Debug)]
pub(crate) struct NpyFile {
    pub path: PathBuf,
    /// Height and width.
    pub size: [usize; 2],
    /// Where the first value lies.
    begin: u64,
    number: Number,
    /// Whether columns lie one after another (Fortran's order), as `numpy.save` writes a transposed array.
    columns_first: bool,
}

impl NpyFile {
    /// Reads the header and checks that the file is as long as it says.
    pub fn open(path: PathBuf) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Npy {
            path: path.clone(),
            reason,
        };
        let mut file = BufReader::new(open_file(&path).map_err(Error::io(&path))?);
        let header = read_header(&mut file).map_err(wrong)?;
        let kind = header.type_descriptor.to_string();
        let number = Number::parse(kind.trim_matches('\''));
        let number = number.ok_or_else(|| wrong(format!("values of type {kind}")))?;
        let &[height, width] = header.shape.as_slice() else {
            let axes = header.shape.len();
            return Err(wrong(format!(
                "{axes} axes where height and width were due"
            )));
        };
        let begin = file.stream_position().map_err(Error::io(&path))?;
        check_length(&path, &[height, width], number.bytes as u64, begin)?;
        Ok(Self {
            path,
            size: [height, width],
            begin,
            number,
            columns_first: header.layout.is_fortran(),
        })
    }

    /// The values of rows `y` and columns `x`.
    pub fn read(&self, y: &Range<usize>, x: &Range<usize>) -> Result<Array2<f32>, Error> {
        let (lines, along, length) = match self.columns_first {
            true => (x, y, self.size[0]),
            false => (y, x, self.size[1]),
        };
        let mut file = File::open(&self.path).map_err(Error::io(&self.path))?;
        let mut values = Vec::with_capacity(lines.len() * along.len());
        let mut bytes = vec![0; along.len() * self.number.bytes];
        for line in lines.clone() {
            let place = self.begin + ((line * length + along.start) * self.number.bytes) as u64;
            let read = file.seek(SeekFrom::Start(place));
            read.and_then(|_| file.read_exact(&mut bytes))
                .map_err(Error::io(&self.path))?;
            self.number.decode(&mut bytes, &mut values);
        }
        let read = Array2::from_shape_vec((lines.len(), along.len()), values).expect("whole lines");
        Ok(match self.columns_first {
            true => read.reversed_axes().as_standard_layout().into_owned(),
            false => read,
        })
    }
}

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number {
    kind: Kind,
    bytes: usize,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Float,
    Signed,
    Unsigned,
}

impl Number {
    /// Reads numpy's `<f4`, `>i2` or `|u1`; `None` for what is no plain number, and for halves.
    fn parse(text: &str) -> Option<Self> {
        let mut letters = text.chars();
        let big_endian = match letters.next()? {
            '>' => true,
            '<' | '|' => false,
            _ => return None,
        };
        let kind = match letters.next()? {
            'f' => Kind::Float,
            'i' => Kind::Signed,
            'u' => Kind::Unsigned,
            _ => return None,
        };
        let bytes = letters.as_str().parse().ok()?;
        let known = match kind {
            Kind::Float => matches!(bytes, 4 | 8),
            _ => matches!(bytes, 1 | 2 | 4 | 8),
        };
        known.then_some(Self {
            kind,
            bytes,
            big_endian,
        })
    }

    /// Appends the numbers in `bytes`, whose order is changed, to `values`.
    fn decode(self, bytes: &mut [u8], values: &mut Vec<f32>) {
        if self.big_endian {
            bytes.chunks_exact_mut(self.bytes).for_each(<[u8]>::reverse);
        }
        let numbers = bytes.chunks_exact(self.bytes);
        match self.kind {
            Kind::Float if self.bytes == 4 => {
                values.extend(numbers.map(|bytes| f32::from_bits(unsigned(bytes) as u32)));
            }
            Kind::Float => {
                values.extend(numbers.map(|bytes| f64::from_bits(unsigned(bytes)) as f32));
            }
            Kind::Unsigned => values.extend(numbers.map(|bytes| unsigned(bytes) as f32)),
            Kind::Signed => {
                let above = 64 - 8 * self.bytes;
                values.extend(
                    numbers.map(|bytes| (((unsigned(bytes) << above) as i64) >> above) as f32),
                );
            }
        }
    }
}

/// Up to eight bytes, the lowest first.
fn unsigned(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
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

/// The axes' lengths of an NPY file of numbers, which is found to be as long as its header says, for readers that allocate
/// what a header asks for.
///
/// # Errors
/// [`Error::Npy`] for a damaged header or values that are no plain numbers, [`Error::Truncated`]
/// for a file that is too short.
pub fn npy_shape(path: &Path) -> Result<Vec<usize>, Error> {
    let wrong = |reason: String| Error::Npy {
        path: path.to_owned(),
        reason,
    };
    let mut file = BufReader::new(open_file(path).map_err(Error::io(path))?);
    let header = read_header(&mut file).map_err(wrong)?;
    let kind = header.type_descriptor.to_string();
    let plain = kind
        .trim_matches('\'')
        .trim_start_matches(['<', '>', '|', '=']);
    let bytes = plain.get(1..).and_then(|bytes| bytes.parse::<u64>().ok());
    let bytes = bytes.ok_or_else(|| wrong(format!("values of type {kind}")))?;
    let begin = file.stream_position().map_err(Error::io(path))?;
    check_length(path, &header.shape, bytes, begin)?;
    Ok(header.shape)
}

fn check_length(path: &Path, shape: &[usize], bytes: u64, begin: u64) -> Result<(), Error> {
    let found = std::fs::metadata(path).map_err(Error::io(path))?.len();
    let expected = end(shape, bytes, begin);
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
            npy_shape(&path).unwrap();
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
            let error = npy_shape(&path).unwrap_err();
            let short: String = text.chars().take(60).collect();
            assert!(
                matches!(error, Error::Npy { .. } | Error::Truncated { .. }),
                "{short}: {error}"
            );
            assert!(crate::read_map(&path).is_err(), "{short}");
            assert!(NpyFile::open(path).is_err(), "{short}");
        }
    }

    type ToBytes = fn(i8) -> Vec<u8>;

    /// All orders and types of one array, -3 to 4.
    #[test]
    fn every_order_and_type_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let read = |kind: &str, fortran: &str, values: Vec<u8>| {
            let path = file(
                folder.path(),
                1,
                None,
                &header(&format!("'{kind}'"), fortran, "(2, 4)"),
            );
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.truncate(bytes.len() - 32);
            bytes.extend(values);
            std::fs::write(&path, bytes).unwrap();
            let file = NpyFile::open(path).unwrap();
            let part = file.read(&(1..2), &(1..3)).unwrap();
            let whole = file.read(&(0..2), &(0..4)).unwrap();
            assert_eq!(
                part,
                whole.slice(ndarray::s![1..2, 1..3]),
                "{kind} {fortran}"
            );
            whole.into_iter().collect::<Vec<f32>>()
        };
        let rows: Vec<i8> = (-3..5).collect();
        let columns = [-3, 1, -2, 2, -1, 3, 0, 4];
        let expected: Vec<f32> = rows.iter().map(|&value| f32::from(value)).collect();
        let bytes =
            |of: ToBytes, values: &[i8]| values.iter().flat_map(|&value| of(value)).collect();
        let kinds: [(&str, ToBytes); 8] = [
            ("<f4", |value| f32::from(value).to_le_bytes().into()),
            (">f4", |value| f32::from(value).to_be_bytes().into()),
            ("<f8", |value| f64::from(value).to_le_bytes().into()),
            (">f8", |value| f64::from(value).to_be_bytes().into()),
            ("|i1", |value| value.to_le_bytes().into()),
            (">i2", |value| i16::from(value).to_be_bytes().into()),
            ("<i4", |value| i32::from(value).to_le_bytes().into()),
            ("<i8", |value| i64::from(value).to_le_bytes().into()),
        ];
        for (kind, of) in kinds {
            assert_eq!(read(kind, "False", bytes(of, &rows)), expected, "{kind}");
            assert_eq!(read(kind, "True", bytes(of, &columns)), expected, "{kind}");
        }
        let unsigned = read(
            "<u2",
            "False",
            (0..8)
                .flat_map(|value: u16| (65535 - value).to_le_bytes())
                .collect(),
        );
        assert_eq!(unsigned[..2], [65535.0, 65534.0]);
    }

    #[test]
    fn other_types_and_axes_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |text: String| {
            let path = file(folder.path(), 1, None, &text);
            NpyFile::open(path).unwrap_err().to_string()
        };
        assert!(refused(header("'|b1'", "False", "(2, 4)")).contains("|b1"));
        assert!(refused(header("'<c8'", "False", "(2, 4)")).contains("<c8"));
        assert!(refused(header("'<f2'", "False", "(2, 4)")).contains("<f2"));
        assert!(refused(header("'<f4'", "False", "(2, 2, 2)")).contains("3 axes"));
    }
}
