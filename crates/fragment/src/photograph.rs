//! Infrared photographs, in whatever file format a camera's program saved them.

use std::path::Path;

use image::DynamicImage;
use ndarray::Array2;

use crate::Error;
use crate::drawn_image::{Floats, is_jpeg, read_strengths};
use crate::picture::{decode_jpeg, decode_png};
use crate::probability_image::is_tiff;
use crate::zarr_levels::is_zarr;

/// Reads a photograph as grey, (y, x), 0 to 255, of one of the sizes (height, width) that are
/// `expected` (none allow all): PNG and JPEG by their luma, TIFF by its brightest channel, Zarr of
/// integers. 16 bits keep their upper half; zeros and ones become black and white.
///
/// # Errors
/// Those of [`read_drawn`](crate::read_drawn); [`Error::Size`]; [`Error::PixelType`] for floats,
/// which do not say what is white.
pub(crate) fn read_photograph(path: &Path, expected: &[[usize; 2]]) -> Result<Array2<u8>, Error> {
    if path.is_dir() || is_zarr(path) || is_tiff(path)? {
        return Ok(as_bytes(&read_strengths(path, expected, Floats::Refused)?));
    }
    let image: DynamicImage = match is_jpeg(path)? {
        true => decode_jpeg(path, expected)?,
        false => decode_png(path, expected)?,
    };
    let gray = image.into_luma8();
    let size = (gray.height() as usize, gray.width() as usize);
    Ok(Array2::from_shape_vec(size, gray.into_raw()).expect("a pixel for each place"))
}

fn as_bytes(values: &Array2<u16>) -> Array2<u8> {
    match values.iter().copied().max().unwrap_or(0) {
        0..=1 => values.mapv(|value| value as u8 * 255),
        2..=255 => values.mapv(|value| value as u8),
        _ => values.mapv(|value| (value >> 8) as u8),
    }
}
