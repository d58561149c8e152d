use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::ArrayViewMut2;
use tiff::ColorType;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use crate::Error;
use crate::lzw_tiles::LzwTiles;

/// 8-bit layers are scaled so that white stays white.
const EIGHT_TO_SIXTEEN: u16 = 257;

/// Strips of a whole 30,000 × 30,000 layer exist; anything larger is a damaged header.
const LARGEST_CHUNK: usize = 4 << 30;

/// TIFF's numbers of compressions.
const UNCOMPRESSED: u16 = 1;
const LZW: u16 = 5;
/// What is read: those, JPEG, deflate under both its numbers, and PackBits.
const COMPRESSIONS: [u16; 6] = [UNCOMPRESSED, LZW, 7, 8, 32_946, 32_773];

/// One z slice on disk: where its pixels lie, known after reading its header once.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    path: PathBuf,
    height: usize,
    width: usize,
    bits: u8,
    /// Height and width of a strip or tile.
    chunk: [usize; 2],
    /// Chunks side by side in a row.
    across: usize,
    /// Set when pixels can be read without decoding.
    plain: Option<Plain>,
    /// Set when the layer consists of LZW tiles.
    lzw: Option<LzwTiles>,
}

/// Uncompressed pixels: read by position.
#[derive(Clone, Debug)]
struct Plain {
    offsets: Vec<u64>,
    big_endian: bool,
    /// Pixels from one row of a chunk to the next; tiles are padded to their full width.
    stride: usize,
}

type Reader = Decoder<BufReader<File>>;

impl Layer {
    /// Reads the header and checks that the file is as long as it says.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut decoder = decoder(path)?;
        let wrong = |error: tiff::TiffError| tiff_error(path, &error);
        let bits = grey_bits(path, &mut decoder)?;
        let (width, height) = decoder.dimensions().map_err(wrong)?;
        let (chunk_width, chunk_height) = decoder.chunk_dimensions();
        let tag = |decoder: &mut Reader, tag| decoder.find_tag_unsigned::<u16>(tag).map_err(wrong);
        let compression = tag(&mut decoder, Tag::Compression)?.unwrap_or(1);
        check_compression(path, compression)?;
        let upright = tag(&mut decoder, Tag::PhotometricInterpretation)?.unwrap_or(1) == 1;
        let differences = tag(&mut decoder, Tag::Predictor)? == Some(2);
        let (offsets, counts) = chunk_places(&mut decoder).map_err(wrong)?;
        check_length(path, &offsets, &counts)?;
        let tiled = decoder.get_chunk_type() == ChunkType::Tile;
        let big_endian = decoder.byte_order() == tiff::tags::ByteOrder::BigEndian;
        let mut layer = Self {
            path: path.to_owned(),
            height: height as usize,
            width: width as usize,
            bits,
            chunk: [chunk_height as usize, chunk_width as usize],
            across: width.div_ceil(chunk_width) as usize,
            lzw: None,
            plain: None,
        };
        if upright && compression == UNCOMPRESSED {
            let stride = if tiled { chunk_width } else { width } as usize;
            let plain = Plain {
                offsets,
                big_endian,
                stride,
            };
            layer.check_plain_length(&plain)?;
            layer.plain = Some(plain);
        } else if upright && compression == LZW && tiled {
            layer.check_chunk_size()?;
            layer.lzw = Some(LzwTiles {
                offsets,
                counts,
                big_endian,
                differences,
            });
        }
        Ok(layer)
    }

    /// Uncompressed pixels lie where the size says, whatever byte counts the directory claims.
    fn check_plain_length(&self, plain: &Plain) -> Result<(), Error> {
        let counts = (0..plain.offsets.len()).map(|index| {
            let above = index / self.across * self.chunk[0];
            let rows = self.chunk[0].min(self.height - above) as u64;
            rows.saturating_mul(plain.stride as u64 * u64::from(self.bits / 8))
        });
        check_length(&self.path, &plain.offsets, &counts.collect::<Vec<_>>())
    }

    fn check_chunk_size(&self) -> Result<(), Error> {
        let pixels = self.chunk[0].saturating_mul(self.chunk[1]);
        if pixels.saturating_mul(usize::from(self.bits / 8)) <= LARGEST_CHUNK {
            return Ok(());
        }
        Err(Error::Tiff {
            path: self.path.clone(),
            reason: format!("tiles of {} × {} px", self.chunk[0], self.chunk[1]),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Fills `out` with the pixels of rows `y` and columns `x`, touching only the strips or
    /// tiles that they lie in.
    pub fn read(
        &self,
        y: &Range<usize>,
        x: &Range<usize>,
        mut out: ArrayViewMut2<u16>,
    ) -> Result<(), Error> {
        if y.is_empty() || x.is_empty() {
            return Ok(());
        }
        let mut source = match (&self.plain, &self.lzw) {
            (Some(plain), _) => Source::Plain(plain, open(&self.path)?),
            (_, Some(tiles)) => Source::Lzw(tiles, open(&self.path)?),
            _ => Source::Coded(Box::new(decoder(&self.path)?)),
        };
        let [chunk_height, chunk_width] = self.chunk;
        for row in y.start / chunk_height..=(y.end - 1) / chunk_height {
            for column in x.start / chunk_width..=(x.end - 1) / chunk_width {
                let place = Chunk {
                    index: row * self.across + column,
                    y: row * chunk_height,
                    x: column * chunk_width,
                };
                self.read_chunk(&mut source, &place, y, x, &mut out)?;
            }
        }
        Ok(())
    }

    fn read_chunk(
        &self,
        source: &mut Source<'_>,
        place: &Chunk,
        y: &Range<usize>,
        x: &Range<usize>,
        out: &mut ArrayViewMut2<u16>,
    ) -> Result<(), Error> {
        let rows = y.start.max(place.y)..y.end.min(place.y + self.chunk[0]);
        let columns = x.start.max(place.x)..x.end.min(place.x + self.chunk[1]);
        let pixels = match source {
            Source::Plain(plain, file) => {
                return self.copy_plain(plain, file, place, (rows, columns), (y, x), out);
            }
            Source::Lzw(tiles, file) => self.unpack(tiles, file, place.index)?,
            Source::Coded(decoder) => self.decode(decoder, place.index)?,
        };
        let stride = match source {
            Source::Lzw(..) => self.chunk[1],
            _ => decoder_width(self, place),
        };
        for row in rows {
            let from = (row - place.y) * stride + columns.start - place.x;
            let line = &pixels[from..from + columns.len()];
            let target = columns.start - x.start..columns.end - x.start;
            let mut target = out.slice_mut(ndarray::s![row - y.start, target]);
            target
                .iter_mut()
                .zip(line)
                .for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }

    fn copy_plain(
        &self,
        plain: &Plain,
        file: &mut File,
        place: &Chunk,
        (rows, columns): (Range<usize>, Range<usize>),
        (y, x): (&Range<usize>, &Range<usize>),
        out: &mut ArrayViewMut2<u16>,
    ) -> Result<(), Error> {
        let bytes_per_pixel = usize::from(self.bits / 8);
        // Whole lines lie one after the other: read them at once.
        let together = if columns.len() == plain.stride {
            rows.len()
        } else {
            1
        };
        let mut bytes = vec![0; together * columns.len() * bytes_per_pixel];
        let target = columns.start - x.start..columns.end - x.start;
        for first in rows.clone().step_by(together) {
            let pixel = (first - place.y) * plain.stride + columns.start - place.x;
            let offset = plain.offsets[place.index] + (pixel * bytes_per_pixel) as u64;
            read_at(file, &mut bytes, offset).map_err(Error::io(&self.path))?;
            let lines = first - y.start..first - y.start + together;
            let mut target = out.slice_mut(ndarray::s![lines, target.clone()]);
            to_sixteen(&bytes, self.bits, plain.big_endian, target.iter_mut());
        }
        Ok(())
    }

    fn unpack(&self, tiles: &LzwTiles, file: &mut File, index: usize) -> Result<Vec<u16>, Error> {
        let pixels = tiles.read(file, index, self.chunk, self.bits);
        let mut pixels = pixels.map_err(Error::io(&self.path))?;
        if self.bits == 8 {
            pixels
                .iter_mut()
                .for_each(|pixel| *pixel *= EIGHT_TO_SIXTEEN);
        }
        Ok(pixels)
    }

    fn decode(&self, decoder: &mut Reader, index: usize) -> Result<Vec<u16>, Error> {
        match decoder.read_chunk(index as u32) {
            Ok(DecodingResult::U16(pixels)) => Ok(pixels),
            Ok(DecodingResult::U8(pixels)) => Ok(pixels
                .into_iter()
                .map(|pixel| u16::from(pixel) * EIGHT_TO_SIXTEEN)
                .collect()),
            Ok(_) => Err(Error::PixelType {
                path: self.path.clone(),
                found: "neither 16- nor 8-bit".to_owned(),
            }),
            Err(error) => Err(tiff_error(&self.path, &error)),
        }
    }
}

enum Source<'a> {
    Plain(&'a Plain, File),
    Lzw(&'a LzwTiles, File),
    Coded(Box<Reader>),
}

/// A strip or tile and the pixel at its upper left.
struct Chunk {
    index: usize,
    y: usize,
    x: usize,
}

/// Decoded chunks at the right edge are cut to the image.
fn decoder_width(layer: &Layer, place: &Chunk) -> usize {
    layer.chunk[1].min(layer.width - place.x)
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(Error::io(path))
}

fn decoder(path: &Path) -> Result<Reader, Error> {
    let mut limits = Limits::unlimited();
    limits.decoding_buffer_size = LARGEST_CHUNK;
    let decoder = Decoder::new(BufReader::new(open(path)?));
    let decoder = decoder.map_err(|error| tiff_error(path, &error))?;
    Ok(decoder.with_limits(limits))
}

fn grey_bits(path: &Path, decoder: &mut Reader) -> Result<u8, Error> {
    let color = decoder
        .colortype()
        .map_err(|error| tiff_error(path, &error))?;
    let format = decoder
        .find_tag_unsigned_vec::<u16>(Tag::SampleFormat)
        .map_err(|error| tiff_error(path, &error))?;
    let kind = match format.as_deref() {
        None | Some([1, ..]) => "unsigned",
        Some([2, ..]) => "signed",
        Some([3, ..]) => "floating-point",
        Some(_) => "untyped",
    };
    let found = match color {
        ColorType::Gray(bits @ (8 | 16)) if kind == "unsigned" => return Ok(bits),
        ColorType::Gray(bits) => format!("{bits}-bit {kind}"),
        other => format!("{other:?}"),
    };
    Err(Error::PixelType {
        path: path.to_owned(),
        found,
    })
}

fn check_compression(path: &Path, found: u16) -> Result<(), Error> {
    if COMPRESSIONS.contains(&found) {
        return Ok(());
    }
    let path = path.to_owned();
    Err(Error::Compression { path, found })
}

fn chunk_places(decoder: &mut Reader) -> tiff::TiffResult<(Vec<u64>, Vec<u64>)> {
    let (offsets, counts) = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    Ok((
        decoder.get_tag_u64_vec(offsets)?,
        decoder.get_tag_u64_vec(counts)?,
    ))
}

fn check_length(path: &Path, offsets: &[u64], counts: &[u64]) -> Result<(), Error> {
    let found = std::fs::metadata(path).map_err(Error::io(path))?.len();
    let ends = offsets.iter().zip(counts);
    let expected = ends
        .map(|(offset, count)| offset.saturating_add(*count))
        .max();
    match expected {
        Some(expected) if expected > found => Err(Error::Truncated {
            path: path.to_owned(),
            found,
            expected,
        }),
        _ => Ok(()),
    }
}

fn tiff_error(path: &Path, error: &tiff::TiffError) -> Error {
    Error::Tiff {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn to_sixteen<'a>(
    bytes: &[u8],
    bits: u8,
    big_endian: bool,
    target: impl Iterator<Item = &'a mut u16>,
) {
    let pair = |b: &[u8]| match big_endian {
        true => u16::from_be_bytes([b[0], b[1]]),
        false => u16::from_le_bytes([b[0], b[1]]),
    };
    match bits {
        8 => target
            .zip(bytes)
            .for_each(|(to, &byte)| *to = u16::from(byte) * EIGHT_TO_SIXTEEN),
        _ => target
            .zip(bytes.chunks_exact(2))
            .for_each(|(to, bytes)| *to = pair(bytes)),
    }
}

fn read_at(file: &mut File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
