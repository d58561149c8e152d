use std::io::Cursor;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader,
};
use ndarray::{Array2, ArrayView2};

use crate::{Error, write_whole};

/// Deflate makes at most 1032 bytes of one (a match of 258 bytes in two bits), and a byte may be
/// eight pixels of one bit.
const LARGEST_EXPANSION: u64 = 1032 * 8;

/// Reads a PNG of any depth and colour as grey, (y, x), 0 to 255.
///
/// # Errors
/// [`Error::Io`], [`Error::Png`].
pub fn read_gray(path: impl AsRef<Path>) -> Result<Array2<u8>, Error> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let length = bytes.len() as u64;
    let wrong = |reason: String| Error::Png {
        path: path.to_owned(),
        reason,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    // Masks of whole scrolls are larger than the decoder's usual limit.
    reader.no_limits();
    let decoder = reader
        .into_decoder()
        .map_err(|error| wrong(error.to_string()))?;
    if decoder.total_bytes() > LARGEST_EXPANSION.saturating_mul(length) {
        let (width, height) = decoder.dimensions();
        return Err(wrong(format!(
            "its header says {height} × {width} px, more than {length} bytes can hold"
        )));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|error| wrong(error.to_string()))?;
    let gray = image.into_luma8();
    let size = (gray.height() as usize, gray.width() as usize);
    Array2::from_shape_vec(size, gray.into_raw()).map_err(|error| wrong(error.to_string()))
}

/// Writes an 8-bit grey PNG, (y, x), whole.
///
/// # Errors
/// [`Error::Exists`] without `force`; [`Error::Io`]; [`Error::Png`].
pub fn write_gray(path: impl AsRef<Path>, image: ArrayView2<u8>, force: bool) -> Result<(), Error> {
    let path = path.as_ref();
    let (height, width) = image.dim();
    let pixels = image.as_standard_layout();
    let pixels = pixels.as_slice().expect("standard layout is contiguous");
    write_whole(path, force, |file| {
        PngEncoder::new(file)
            .write_image(pixels, width as u32, height as u32, ExtendedColorType::L8)
            .map_err(|error| Error::Png {
                path: path.to_owned(),
                reason: error.to_string(),
            })
    })
}
