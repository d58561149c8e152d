//! What one directory of a TIFF says about a layer's pixels, checked against the file before
//! anything is allocated.

use std::path::Path;

use crate::Error;
use crate::float_range::FloatRange;
use crate::stored_voxels::{Sample, Stored};
use crate::tiff_codecs::Codec;
use crate::tiff_pages::{Directory, IMAGE_LENGTH, IMAGE_WIDTH};

const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
pub(crate) const STRIP_OFFSETS: u16 = 273;
const ORIENTATION: u16 = 274;
const SAMPLES_PER_PIXEL: u16 = 277;
pub(crate) const ROWS_PER_STRIP: u16 = 278;
pub(crate) const STRIP_BYTE_COUNTS: u16 = 279;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const SAMPLE_FORMAT: u16 = 339;
const JPEG_TABLES: u16 = 347;

/// Pixels of the largest layer: 260,000 × 260,000.
const MOST_PIXELS: u64 = 1 << 36;
/// Bytes of the longest row of a strip or tile.
const LONGEST_ROW: u64 = 256 << 20;

/// A layer's strips or tiles.
#[derive(Debug)]
pub(crate) struct TiffLayer {
    pub height: usize,
    pub width: usize,
    pub codec: Codec,
    pub stored: Stored,
    pub chunks: Chunks,
}

/// Where strips or tiles lie, row by row.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// Height and width of a strip or tile.
    pub size: [usize; 2],
    /// 0 for one that is not stored, whose pixels are 0.
    pub offsets: Vec<u64>,
    /// Packed bytes.
    pub counts: Vec<u64>,
    /// Bits run from the lowest.
    pub reversed_bits: bool,
    /// Of JPEG, for all of them.
    pub tables: Vec<u8>,
    pub tiled: bool,
}

impl TiffLayer {
    /// # Errors
    /// [`Error::PixelType`], [`Error::Compression`], [`Error::LayerContent`] for what is not read,
    /// [`Error::Truncated`], and [`Error::Tiff`] for sizes and counts that cannot be.
    pub fn new(
        path: &Path,
        mut page: Directory,
        big_endian: bool,
        length: u64,
    ) -> Result<Self, Error> {
        let [height, width] = size(path, &page)?;
        let sample = sample(path, &page)?;
        let number = page.value(COMPRESSION).unwrap_or(1);
        let codec = Codec::new(number).map_err(|name| Error::Compression {
            path: path.to_owned(),
            found: format!("{name} (TIFF's number {number})"),
        })?;
        let predictor = page.value(PREDICTOR).unwrap_or(1);
        let predicts = match sample {
            Sample::Float(_) => 1..=3,
            _ => 1..=2,
        };
        if !predicts.contains(&predictor) {
            return Err(wrong(path, format!("predictor {predictor}")));
        }
        if codec == Codec::Jpeg && sample != Sample::Eight {
            return Err(wrong(path, "JPEG of other than 8 bits".to_owned()));
        }
        check_orientation(path, &page)?;
        let stored = Stored {
            sample,
            big_endian,
            // Without a codec the tag has no meaning; libtiff ignores it there.
            predictor: match codec {
                Codec::Lzw | Codec::Deflate | Codec::Zstd => predictor,
                _ => 1,
            },
            inverted: page.value(PHOTOMETRIC) == Some(0),
        };
        let chunks = chunks(path, &mut page, [height, width])?;
        let mut layer = Self {
            height: height as usize,
            width: width as usize,
            codec,
            stored,
            chunks,
        };
        // Old writers leave the only strip's length out.
        if let ([offset], [count @ 0]) = (&layer.chunks.offsets[..], &mut layer.chunks.counts[..]) {
            *count = match codec {
                Codec::None => 0,
                _ => length.saturating_sub(*offset),
            };
        }
        layer.check_chunks(path, length)?;
        Ok(layer)
    }

    /// Chunks side by side.
    pub fn across(&self) -> usize {
        self.width.div_ceil(self.chunks.size[1])
    }

    /// Rows that are stored of the chunk `index`: tiles are padded, the last strip is not.
    pub fn rows(&self, index: usize) -> usize {
        let above = index / self.across() * self.chunks.size[0];
        match self.chunks.tiled {
            true => self.chunks.size[0],
            false => self.chunks.size[0].min(self.height - above),
        }
    }

    fn bytes(&self, index: usize) -> u64 {
        let row = self.chunks.size[1] as u64 * self.stored.sample.bytes() as u64;
        row.saturating_mul(self.rows(index) as u64)
    }

    /// Every chunk lies in the file, and none promises more than its bytes can hold.
    fn check_chunks(&self, path: &Path, length: u64) -> Result<(), Error> {
        for index in 0..self.chunks.offsets.len() {
            let (offset, count) = (self.chunks.offsets[index], self.chunks.counts[index]);
            if offset == 0 {
                continue;
            }
            let mut needed = match self.codec {
                // Uncompressed pixels lie where the size says, whatever count is claimed.
                Codec::None => self.bytes(index),
                _ => count,
            };
            if self.codec == Codec::None && index / self.across() + 1 == self.down() {
                // The last row of tiles may be cut at the last row of pixels.
                needed = needed.min(self.bytes_in_sight(index));
            }
            let expected = offset.saturating_add(needed.max(count));
            if expected > length {
                return Err(Error::Truncated {
                    path: path.to_owned(),
                    found: length,
                    expected,
                });
            }
            let most = count.saturating_mul(self.codec.largest_ratio());
            if self.codec != Codec::None && self.bytes(index) > most {
                let [rows, columns] = [self.rows(index), self.chunks.size[1]];
                return Err(wrong(
                    path,
                    format!(
                        "{count} bytes of {} for {rows} × {columns} px",
                        self.codec.name()
                    ),
                ));
            }
        }
        Ok(())
    }

    fn down(&self) -> usize {
        self.height.div_ceil(self.chunks.size[0])
    }

    /// Bytes down to the last row that belongs to the layer.
    fn bytes_in_sight(&self, index: usize) -> u64 {
        let above = index / self.across() * self.chunks.size[0];
        let rows = self.chunks.size[0].min(self.height - above) as u64;
        rows.saturating_mul(self.chunks.size[1] as u64 * self.stored.sample.bytes() as u64)
    }

    /// Uncompressed strips that lie one after the other are one strip.
    pub fn join_strips(&mut self) {
        let row = (self.width * self.stored.sample.bytes()) as u64;
        let strip = row.saturating_mul(self.chunks.size[0] as u64);
        let offsets = &self.chunks.offsets;
        let adjacent = offsets
            .windows(2)
            .all(|pair| pair[0] != 0 && pair[0].checked_add(strip) == Some(pair[1]));
        if self.codec == Codec::None && !self.chunks.tiled && adjacent {
            self.chunks.size[0] = self.height;
            self.chunks.offsets.truncate(1);
            self.chunks.counts = vec![row * self.height as u64];
        }
    }
}

/// Height and width that a directory speaks of.
pub(crate) fn size(path: &Path, page: &Directory) -> Result<[u64; 2], Error> {
    let side = |tag| page.value(tag).unwrap_or(0);
    let [height, width] = [side(IMAGE_LENGTH), side(IMAGE_WIDTH)];
    match height.checked_mul(width) {
        Some(1..=MOST_PIXELS) => Ok([height, width]),
        _ => Err(wrong(
            path,
            format!("its header says {height} × {width} px"),
        )),
    }
}

fn sample(path: &Path, page: &Directory) -> Result<Sample, Error> {
    let bits = page.values(BITS_PER_SAMPLE);
    let depth = bits.first().copied().unwrap_or(1);
    let kind = match page.value(SAMPLE_FORMAT) {
        None | Some(1) => "unsigned",
        Some(2) => "signed",
        Some(3) => "floating-point",
        Some(_) => "untyped",
    };
    let samples = page.value(SAMPLES_PER_PIXEL).unwrap_or(1);
    let found = match (samples, page.value(PHOTOMETRIC).unwrap_or(1)) {
        (1, 0 | 1) => match (depth, kind) {
            (8, "unsigned") => return Ok(Sample::Eight),
            (16, "unsigned") => return Ok(Sample::Sixteen),
            (32, "floating-point") => return Ok(Sample::Float(FloatRange::UNKNOWN)),
            _ => format!("{depth}-bit {kind}"),
        },
        (1, 3) => "palette".to_owned(),
        (2, 0 | 1) => format!("{depth}-bit grey and alpha"),
        (3, 2) => format!("{depth}-bit RGB"),
        (4, 2) => format!("{depth}-bit RGBA"),
        (count, kind) => format!("{count}-channel (photometric interpretation {kind})"),
    };
    Err(Error::PixelType {
        path: path.to_owned(),
        found,
    })
}

fn check_orientation(path: &Path, page: &Directory) -> Result<(), Error> {
    match page.value(ORIENTATION) {
        None | Some(0 | 1) => Ok(()),
        Some(other) => Err(Error::LayerContent {
            path: path.to_owned(),
            found: format!("rows and columns turned by the orientation tag ({other})"),
            expected: "rows from the top and columns from the left (1)",
            hint: "turn the layers with an image program and save them again",
        }),
    }
}

fn chunks(path: &Path, page: &mut Directory, [height, width]: [u64; 2]) -> Result<Chunks, Error> {
    let tiled = page.value(TILE_WIDTH).is_some();
    let (size, offsets, counts) = match tiled {
        true => {
            let side = |tag| page.value(tag).unwrap_or(0);
            let size = [side(TILE_LENGTH), side(TILE_WIDTH)];
            (size, page.take(TILE_OFFSETS), page.take(TILE_BYTE_COUNTS))
        }
        false => {
            let rows = page.value(ROWS_PER_STRIP).unwrap_or(height).min(height);
            let (offsets, counts) = (page.take(STRIP_OFFSETS), page.take(STRIP_BYTE_COUNTS));
            ([rows, width], offsets, counts)
        }
    };
    let size_is_possible = size[0]
        .checked_mul(size[1])
        .is_some_and(|pixels| pixels > 0);
    // Tiles may be larger than the layer, but not by orders of magnitude.
    if !size_is_possible || size[0] > height.max(1 << 16) || size[1].saturating_mul(4) > LONGEST_ROW
    {
        let kind = if tiled { "tiles" } else { "strips" };
        return Err(wrong(
            path,
            format!("{kind} of {} × {} px", size[0], size[1]),
        ));
    }
    let expected = height.div_ceil(size[0]) * width.div_ceil(size[1]);
    let (mut offsets, mut counts) = (offsets, counts);
    if counts.is_empty() {
        counts = vec![0; offsets.len()];
    }
    if (offsets.len() as u64) < expected || (counts.len() as u64) < expected {
        let (found, sizes) = (offsets.len(), counts.len());
        return Err(wrong(
            path,
            format!(
                "{found} places and {sizes} sizes of strips or tiles; {expected} belong to its size"
            ),
        ));
    }
    offsets.truncate(expected as usize);
    counts.truncate(expected as usize);
    Ok(Chunks {
        size: size.map(|side| side as usize),
        offsets,
        counts,
        reversed_bits: page.value(FILL_ORDER) == Some(2),
        tables: page
            .take(JPEG_TABLES)
            .iter()
            .map(|&byte| byte as u8)
            .collect(),
        tiled,
    })
}

fn wrong(path: &Path, reason: String) -> Error {
    Error::Tiff {
        path: path.to_owned(),
        reason,
    }
}
