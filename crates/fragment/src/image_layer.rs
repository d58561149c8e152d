//! Layers as PNG and JPEG.

use std::io::{self, BufRead, Cursor, Read, Seek};
use std::path::Path;

use image::codecs::jpeg::JpegDecoder;
use image::{ColorType, ImageDecoder};
use ndarray::{ArrayD, IxDyn};

use crate::Error;
use crate::chunk_cache::Decoded;
use crate::packed_bytes::PackedBytes;
use crate::storage::{self, StoredFile};
use crate::stored_voxels::Sample;

/// What decoders may take for themselves beside the pixels, bytes.
const DECODER_BYTES: usize = 64 << 20;
/// An interlaced PNG is decoded whole; larger ones are refused.
const LARGEST_INTERLACED: usize = 1 << 30;
/// The most pixels that a byte of JPEG stands for: a block of 8 × 8 takes a bit at least.
const PIXELS_PER_BYTE: u64 = 512;

/// Height, width and kind of numbers.
pub(crate) type Header = ([usize; 2], Sample);

/// The header of a PNG, checked.
pub(crate) fn png_header(path: &Path) -> Result<Header, Error> {
    let length = file_length(path)?;
    let reader = png_reader(path, length).map_err(|reason| damaged(path, "PNG", &reason))?;
    let info = reader.info();
    let size = [info.height as usize, info.width as usize];
    let sample = match reader.output_color_type() {
        (png::ColorType::Grayscale, png::BitDepth::Eight) => Sample::Eight,
        (png::ColorType::Grayscale, png::BitDepth::Sixteen) => Sample::Sixteen,
        (color, depth) => {
            let found = format!("{}-bit {color:?}", depth as u8);
            return Err(pixel_type(path, found));
        }
    };
    let bytes = (info.height as u64).saturating_mul(info.width.into()) * sample.bytes() as u64;
    // Deflate's best, eight pixels of one bit in a byte, and a filter's byte per row.
    if bytes / 8 > length.saturating_mul(1032) {
        return Err(too_large(path, size, length));
    }
    if info.interlaced && bytes > LARGEST_INTERLACED as u64 {
        return Err(Error::LayerContent {
            path: path.to_owned(),
            found: format!("an interlaced PNG of {} × {} px", size[0], size[1]),
            expected: "one that is not interlaced",
            hint: "save it again without interlacing",
        });
    }
    Ok((size, sample))
}

/// The rows of a PNG, as bytes: 16 bits big-endian.
pub(crate) fn png_rows(path: &Path) -> Result<Box<dyn Read + Send>, String> {
    let length = file_length(path).map_err(|error| error.to_string())?;
    let mut reader = png_reader(path, length)?;
    if reader.info().interlaced {
        let size = reader.output_buffer_size().ok_or("too many pixels")?;
        let mut bytes = vec![0; size];
        reader
            .next_frame(&mut bytes)
            .map_err(|error| error.to_string())?;
        return Ok(Box::new(Cursor::new(bytes)));
    }
    Ok(Box::new(PngRows {
        reader,
        row: Vec::new(),
        used: 0,
    }))
}

fn png_reader(path: &Path, length: u64) -> Result<png::Reader<PackedBytes>, String> {
    let bytes = PackedBytes::new(path.to_owned(), 0, length);
    let limits = png::Limits {
        bytes: DECODER_BYTES,
    };
    let mut decoder = png::Decoder::new_with_limits(bytes, limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::EXPAND);
    let reader = crate::guard_decoder(|| decoder.read_info())?;
    reader.map_err(|error| error.to_string())
}

struct PngRows<R: BufRead + Seek> {
    reader: png::Reader<R>,
    row: Vec<u8>,
    used: usize,
}

impl<R: BufRead + Seek> Read for PngRows<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.used == self.row.len() {
            self.row.clear();
            self.used = 0;
            let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            if let Some(row) = self.reader.next_row().map_err(wrong)? {
                self.row.extend_from_slice(row.data());
            }
        }
        let left = &self.row[self.used..];
        let count = left.len().min(out.len());
        out[..count].copy_from_slice(&left[..count]);
        self.used += count;
        Ok(count)
    }
}

/// The header of a JPEG, checked.
pub(crate) fn jpeg_header(path: &Path) -> Result<Header, Error> {
    let bytes = storage::read(path).map_err(Error::io(path))?;
    let decoder = crate::guard_decoder(|| JpegDecoder::new(Cursor::new(&bytes)));
    let decoder = decoder.and_then(|decoder| decoder.map_err(|error| error.to_string()));
    let decoder = decoder.map_err(|reason| damaged(path, "JPEG", &reason))?;
    let (width, height) = decoder.dimensions();
    let size = [height as usize, width as usize];
    if decoder.color_type() != ColorType::L8 {
        return Err(pixel_type(path, format!("{:?}", decoder.color_type())));
    }
    let length = bytes.len() as u64;
    if u64::from(width) * u64::from(height) > length * PIXELS_PER_BYTE {
        return Err(too_large(path, size, length));
    }
    Ok((size, Sample::Eight))
}

/// Decodes a grey JPEG of at most `rows` × `width` px, (y, x), `width` px wide.
pub(crate) fn decode_jpeg(bytes: &[u8], rows: usize, width: usize) -> Result<Decoded, String> {
    let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let (found_width, found_rows) = decoder.dimensions();
    let (found_width, found_rows) = (found_width as usize, found_rows as usize);
    if found_width != width || found_rows > rows || decoder.color_type() != ColorType::L8 {
        return Err(format!(
            "a JPEG of {found_rows} × {found_width} px of {:?} where {rows} × {width} px of grey belong",
            decoder.color_type()
        ));
    }
    let mut voxels = vec![0; found_rows * found_width];
    decoder
        .read_image(&mut voxels)
        .map_err(|error| error.to_string())?;
    ArrayD::from_shape_vec(IxDyn(&[found_rows, found_width]), voxels)
        .map(Decoded::Eight)
        .map_err(|error| error.to_string())
}

fn file_length(path: &Path) -> Result<u64, Error> {
    let file = StoredFile::open(path).map_err(Error::io(path))?;
    file.length().map_err(Error::io(path))
}

fn damaged(path: &Path, kind: &str, reason: &str) -> Error {
    Error::LayerContent {
        path: path.to_owned(),
        found: format!("a file that cannot be read as {kind} ({reason})"),
        expected: "a grey image",
        hint: "copy or export the layer again",
    }
}

fn pixel_type(path: &Path, found: String) -> Error {
    Error::PixelType {
        path: path.to_owned(),
        found,
    }
}

fn too_large(path: &Path, [height, width]: [usize; 2], length: u64) -> Error {
    Error::LayerContent {
        path: path.to_owned(),
        found: format!("a header that says {height} × {width} px in a file of {length} bytes"),
        expected: "a file that can hold them",
        hint: "copy or export the layer again",
    }
}
