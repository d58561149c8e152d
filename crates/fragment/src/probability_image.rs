//! Probability images as `predict` and other programs write them.

use std::io::{BufReader, Read};
use std::path::Path;

use ndarray::{Array2, Array3};
use tiff::decoder::{Decoder, DecodingResult, Limits};

use crate::storage::StoredFile;
use crate::zarr_volume::ZarrVolume;
use crate::{Error, Region, Volume, guard_decoder, read_gray};

/// Probabilities may leave 0 to 1 by rounding.
const ROUNDING: f64 = 1e-4;

/// Whether the file begins as TIFFs do.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn is_tiff(path: &Path) -> Result<bool, Error> {
    let mut start = Vec::new();
    let file = StoredFile::open(path).map_err(Error::io(path))?;
    file.take(4)
        .read_to_end(&mut start)
        .map_err(Error::io(path))?;
    Ok([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]
        .iter()
        .any(|mark| start == **mark))
}

/// Reads probabilities of ink as 8-bit levels, (y, x), 255 being 1: a PNG, a TIFF of floats from 0
/// to 1 or of 8 or 16 bits, an OME-Zarr image.
///
/// # Errors
/// [`Error::Io`]; [`Error::Png`], [`Error::Tiff`] or [`Error::Zarr`] for what cannot be decoded;
/// [`Error::NoProbability`] for values that are none, and for images of zeros and ones only.
pub fn read_probability(path: impl AsRef<Path>) -> Result<Array2<u8>, Error> {
    let path = path.as_ref();
    let (levels, exact) = match () {
        () if path.is_dir() => (read_zarr(path)?, false),
        () if is_tiff(path)? => read_tiff(path)?,
        () => (read_gray(path)?, false),
    };
    // Levels 0 and 1 of 255: a mask that somebody saved, or a network that finds nothing at all.
    if !exact && levels.iter().copied().max() == Some(1) {
        return Err(Error::NoProbability {
            path: path.to_owned(),
            found: "no level but 0 and 1 of 255".to_owned(),
            hint: "multiply an image of zeros and ones by 255",
        });
    }
    Ok(levels)
}

/// 16 bits are rounded to 8 as probabilities are.
fn rounded(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

fn read_zarr(path: &Path) -> Result<Array2<u8>, Error> {
    let volume = ZarrVolume::open(path, 0)?;
    let [depth, height, width] = volume.shape();
    if depth != 1 {
        return Err(Error::NoProbability {
            path: path.to_owned(),
            found: format!("a volume of {depth} layers"),
            hint: "name the image that `inkling predict` wrote",
        });
    }
    let mut voxels = Array3::zeros((1, height, width));
    volume.read_into(&Region::new(0..1, 0..height, 0..width), voxels.view_mut())?;
    Ok(voxels.index_axis_move(ndarray::Axis(0), 0).mapv(rounded))
}

/// The levels, and whether they were probabilities in so many words: floats.
fn read_tiff(path: &Path) -> Result<(Array2<u8>, bool), Error> {
    let wrong = |reason: String| Error::Tiff {
        path: path.to_owned(),
        reason,
    };
    let length = std::fs::metadata(path).map_err(Error::io(path))?.len();
    let file = BufReader::new(StoredFile::open(path).map_err(Error::io(path))?);
    let decoded = guard_decoder(|| {
        let mut decoder = Decoder::new(file)?;
        let mut limits = Limits::default();
        let (width, height) = decoder.dimensions()?;
        let pixels = u64::from(width) * u64::from(height);
        // The densest codec makes some thousand bytes of one.
        let largest = length.saturating_mul(1 << 13).min(pixels.saturating_mul(8));
        limits.decoding_buffer_size = usize::try_from(largest).unwrap_or(usize::MAX);
        decoder = decoder.with_limits(limits);
        let image = decoder.read_image()?;
        Ok(((height as usize, width as usize), image))
    });
    let decoded = decoded.map_err(wrong)?;
    let (size, image) = decoded.map_err(|error: tiff::TiffError| wrong(error.to_string()))?;
    let (levels, exact): (Vec<u8>, bool) = match image {
        DecodingResult::U8(values) => (values, false),
        DecodingResult::U16(values) => (values.into_iter().map(rounded).collect(), false),
        DecodingResult::F32(values) => (levels(path, values.into_iter().map(f64::from))?, true),
        DecodingResult::F64(values) => (levels(path, values.into_iter())?, true),
        _ => return Err(wrong("neither floats nor 8 or 16 bits".to_owned())),
    };
    let image = Array2::from_shape_vec(size, levels);
    let image = image.map_err(|_| wrong("several channels; expected one".to_owned()))?;
    Ok((image, exact))
}

fn levels(path: &Path, values: impl Iterator<Item = f64>) -> Result<Vec<u8>, Error> {
    let range = -ROUNDING..=1.0 + ROUNDING;
    let level = |value: f64| match range.contains(&value) {
        true => Ok((value as f32 * 255.0).round().clamp(0.0, 255.0) as u8),
        false => Err(Error::NoProbability {
            path: path.to_owned(),
            found: format!("the value {value}"),
            hint: "divide by the largest value, or give the image that `inkling predict` wrote",
        }),
    };
    values.map(level).collect()
}
