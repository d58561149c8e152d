use std::io::Cursor;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageReader};
use ndarray::{Array2, ArrayView2};

use crate::{Error, write_whole};

/// Reads a PNG of any depth and colour as grey, (y, x), 0 to 255.
///
/// # Errors
/// [`Error::Io`], [`Error::Png`].
pub fn read_gray(path: impl AsRef<Path>) -> Result<Array2<u8>, Error> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let wrong = |reason: String| Error::Png {
        path: path.to_owned(),
        reason,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    // Masks of whole scrolls are larger than the decoder's usual limit.
    reader.no_limits();
    let image = reader.decode().map_err(|error| wrong(error.to_string()))?;
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
