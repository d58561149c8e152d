use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, Limits};
use ndarray::{Array2, ArrayView2};

use crate::{Error, ImageMetadata, guard_decoder, image_metadata, storage, write_whole};

/// Deflate makes at most 1032 bytes of one (a match of 258 bytes in two bits), and a byte may be
/// eight pixels of one bit.
const LARGEST_EXPANSION: u64 = 1032 * 8;

/// What an image may take besides its pixels: text, colour profiles.
const LARGEST_EXTRAS: u64 = 16 << 20;

/// Reads a PNG of any depth and colour as grey, (y, x), 0 to 255.
///
/// # Errors
/// [`Error::Io`], [`Error::Png`].
pub fn read_gray(path: impl AsRef<Path>) -> Result<Array2<u8>, Error> {
    let path = path.as_ref();
    let gray = decode_png(path, &[])?.into_luma8();
    let size = (gray.height() as usize, gray.width() as usize);
    Ok(Array2::from_shape_vec(size, gray.into_raw()).expect("a pixel for each place"))
}

/// Decodes a PNG, whose size is compared with what is `expected` (height, width; nothing allows
/// all) before anything is unpacked.
///
/// # Errors
/// [`Error::Io`]; [`Error::Size`]; [`Error::Png`], also for what a decoder panics at.
pub(crate) fn decode_png(path: &Path, expected: &[[usize; 2]]) -> Result<DynamicImage, Error> {
    let bytes = storage::read(path).map_err(Error::io(path))?;
    let wrong = |reason: String| Error::Png {
        path: path.to_owned(),
        reason,
    };
    let (size, pixels) = header_of(&bytes).ok_or_else(|| wrong("no PNG header".to_owned()))?;
    check_size(path, size, expected)?;
    let length = bytes.len() as u64;
    if pixels > LARGEST_EXPANSION.saturating_mul(length) {
        return Err(wrong(format!(
            "its header says {} × {} px, more than {length} bytes can hold",
            size[0], size[1]
        )));
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(pixels.saturating_mul(2).saturating_add(LARGEST_EXTRAS));
    let decoded = guard_decoder(|| {
        let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits.clone())?;
        DynamicImage::from_decoder(decoder)
    });
    decoded
        .unwrap_or_else(|panic| Err(wrong_png(panic)))
        .map_err(|error: image::ImageError| wrong(error.to_string()))
}

fn wrong_png(reason: String) -> image::ImageError {
    let format = image::error::ImageFormatHint::Exact(ImageFormat::Png);
    image::ImageError::Decoding(image::error::DecodingError::new(format, reason))
}

/// Decodes a JPEG, as [`decode_png`] does a PNG.
///
/// # Errors
/// [`Error::Io`]; [`Error::Size`]; [`Error::Png`], also for what a decoder panics at.
pub(crate) fn decode_jpeg(path: &Path, expected: &[[usize; 2]]) -> Result<DynamicImage, Error> {
    let bytes = storage::read(path).map_err(Error::io(path))?;
    let wrong = |reason: String| Error::Png {
        path: path.to_owned(),
        reason,
    };
    let failed = |error: image::ImageError| wrong(error.to_string());
    let decoder = guard_decoder(|| JpegDecoder::new(Cursor::new(bytes)));
    let decoder = decoder.map_err(wrong)?.map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(path, [height as usize, width as usize], expected)?;
    guard_decoder(|| DynamicImage::from_decoder(decoder))
        .map_err(wrong)?
        .map_err(failed)
}

/// # Errors
/// [`Error::Size`] for an image of another size (height, width) than those that are `expected`.
pub(crate) fn check_size(
    path: &Path,
    found: [usize; 2],
    expected: &[[usize; 2]],
) -> Result<(), Error> {
    match expected {
        [first, ..] if !expected.contains(&found) => Err(Error::Size {
            path: path.to_owned(),
            found,
            expected: *first,
            like: "the layers",
            hint: "crop or scale the image to the layers' size",
        }),
        _ => Ok(()),
    }
}

/// The height and width that a PNG's first chunk states, and the bytes of its pixels at most.
fn header_of(bytes: &[u8]) -> Option<([usize; 2], u64)> {
    let header = bytes.get(..26)?;
    if !header.starts_with(b"\x89PNG\r\n\x1a\n") || &header[12..16] != b"IHDR" {
        return None;
    }
    let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
    let (width, height) = (number(16), number(20));
    let pixels = u64::from(width).saturating_mul(u64::from(height));
    // Palettes and grey of few bits become a byte or, with transparency, four a pixel.
    let bytes_per_pixel = match (header[24], header[25]) {
        (16, 0) => 4,
        (16, _) => 8,
        _ => 4,
    };
    let size = [height as usize, width as usize];
    Some((size, pixels.saturating_mul(bytes_per_pixel)))
}

/// Writes an 8-bit grey PNG, (y, x), whole.
///
/// # Errors
/// [`Error::Exists`] without `force`; [`Error::Io`]; [`Error::Png`].
pub fn write_gray(path: impl AsRef<Path>, image: ArrayView2<u8>, force: bool) -> Result<(), Error> {
    write_gray_with(path, image, &ImageMetadata::default(), force)
}

/// Writes an 8-bit grey PNG, (y, x), whole, that says of itself what `metadata` says.
///
/// # Errors
/// [`Error::Exists`] without `force`; [`Error::Io`]; [`Error::Png`].
pub fn write_gray_with(
    path: impl AsRef<Path>,
    image: ArrayView2<u8>,
    metadata: &ImageMetadata,
    force: bool,
) -> Result<(), Error> {
    let path = path.as_ref();
    let (height, width) = image.dim();
    let pixels = image.as_standard_layout();
    let pixels = pixels.as_slice().expect("standard layout is contiguous");
    write_whole(path, force, |file| {
        let encode = || -> Result<(), png::EncodingError> {
            let mut encoder = png::Encoder::new(file, width as u32, height as u32);
            encoder.set_color(png::ColorType::Grayscale);
            encoder.set_depth(png::BitDepth::Eight);
            encoder.set_compression(png::Compression::Fast);
            encoder.set_filter(png::Filter::Adaptive);
            if let Some(text) = metadata.text() {
                encoder.add_itxt_chunk(image_metadata::KEY.to_owned(), text)?;
            }
            if let Some(size) = metadata.pixel_size {
                let metre = (1e6 / size).round() as u32;
                encoder.set_pixel_dims(Some(png::PixelDimensions {
                    xppu: metre,
                    yppu: metre,
                    unit: png::Unit::Meter,
                }));
            }
            let mut writer = encoder.write_header()?;
            writer.write_image_data(pixels)?;
            writer.finish()
        };
        encode().map_err(|error| Error::Png {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    })
}
