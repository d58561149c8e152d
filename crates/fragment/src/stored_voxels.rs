use std::io::{self, Read};

use ndarray::{ArrayD, IxDyn};

use crate::chunk_cache::Decoded;
use crate::float_range::FloatRange;

/// What a layer's numbers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sample {
    /// 0 to 255.
    Eight,
    /// 0 to 65535.
    Sixteen,
    /// 32-bit floats.
    Float(FloatRange),
}

impl Sample {
    pub fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
            Self::Float(_) => 4,
        }
    }
}

/// How rows of numbers stand in a stream of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub sample: Sample,
    pub big_endian: bool,
    /// TIFF's number: 1 none, 2 differences from the left neighbour, 3 the same of floats' bytes.
    pub predictor: u64,
    /// 0 is white.
    pub inverted: bool,
}

impl Stored {
    /// The next `rows` rows of `width` numbers.
    pub fn rows(self, stream: &mut dyn Read, rows: usize, width: usize) -> io::Result<Decoded> {
        let bytes = exactly(stream, rows * width * self.sample.bytes())?;
        let shape = IxDyn(&[rows, width]);
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let beyond = |found: String| io::Error::new(io::ErrorKind::InvalidData, found);
        Ok(match self.sample {
            Sample::Eight => {
                let voxels = self.eight(bytes, width);
                Decoded::Eight(ArrayD::from_shape_vec(shape, voxels).map_err(wrong)?)
            }
            Sample::Sixteen => {
                let voxels = self.sixteen(&bytes, width);
                Decoded::Sixteen(ArrayD::from_shape_vec(shape, voxels).map_err(wrong)?)
            }
            Sample::Float(range) => {
                let voxels = self.floats(bytes, width).map(|value| range.voxel(value));
                let mut voxels: Vec<u16> = voxels.collect::<Result<_, String>>().map_err(beyond)?;
                self.invert(&mut voxels, u16::MAX);
                Decoded::Sixteen(ArrayD::from_shape_vec(shape, voxels).map_err(wrong)?)
            }
        })
    }

    /// The largest of the next `rows` rows of floats, 0 where none is above.
    pub fn largest(self, stream: &mut dyn Read, rows: usize, width: usize) -> io::Result<f32> {
        let bytes = exactly(stream, rows * width * self.sample.bytes())?;
        Ok(self.floats(bytes, width).fold(0.0, f32::max))
    }

    fn eight(self, mut bytes: Vec<u8>, width: usize) -> Vec<u8> {
        if self.predictor == 2 {
            for row in bytes.chunks_exact_mut(width) {
                for x in 1..width {
                    row[x] = row[x].wrapping_add(row[x - 1]);
                }
            }
        }
        self.invert(&mut bytes, u8::MAX);
        bytes
    }

    fn sixteen(self, bytes: &[u8], width: usize) -> Vec<u16> {
        let pairs = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        let mut voxels: Vec<u16> = match self.big_endian {
            true => pairs.map(u16::from_be_bytes).collect(),
            false => pairs.map(u16::from_le_bytes).collect(),
        };
        if self.predictor == 2 {
            for row in voxels.chunks_exact_mut(width) {
                for x in 1..width {
                    row[x] = row[x].wrapping_add(row[x - 1]);
                }
            }
        }
        self.invert(&mut voxels, u16::MAX);
        voxels
    }

    fn floats(self, mut bytes: Vec<u8>, width: usize) -> impl Iterator<Item = f32> {
        let mut big_endian = self.big_endian;
        if self.predictor == 3 {
            bytes.chunks_exact_mut(4 * width).for_each(join_float_bytes);
            big_endian = true;
        }
        let words = bytes.chunks_exact(4).map(move |word| {
            let word = [word[0], word[1], word[2], word[3]];
            match big_endian {
                true => u32::from_be_bytes(word),
                false => u32::from_le_bytes(word),
            }
        });
        let mut words: Vec<u32> = words.collect();
        if self.predictor == 2 {
            for row in words.chunks_exact_mut(width) {
                for x in 1..width {
                    row[x] = row[x].wrapping_add(row[x - 1]);
                }
            }
        }
        words.into_iter().map(f32::from_bits)
    }

    fn invert<T: Copy + std::ops::Sub<Output = T>>(self, voxels: &mut [T], white: T) {
        if self.inverted {
            voxels.iter_mut().for_each(|voxel| *voxel = white - *voxel);
        }
    }
}

/// Undoes TIFF's predictor of floats in one row: differences of bytes, all first bytes (the
/// highest) before all second ones. What comes out is big-endian.
fn join_float_bytes(row: &mut [u8]) {
    for x in 1..row.len() {
        row[x] = row[x].wrapping_add(row[x - 1]);
    }
    let planes = row.to_vec();
    let width = row.len() / 4;
    for (x, word) in row.chunks_exact_mut(4).enumerate() {
        for (byte, place) in word.iter_mut().enumerate() {
            *place = planes[byte * width + x];
        }
    }
}

/// Reads `count` bytes, all of them.
fn exactly(stream: &mut dyn Read, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut done = 0;
    while done < count {
        match stream.read(&mut bytes[done..])? {
            0 => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("a strip or tile that ends after {done} of {count} bytes"),
                ));
            }
            read => done += read,
        }
    }
    Ok(bytes)
}
