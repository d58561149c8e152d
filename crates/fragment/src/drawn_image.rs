//! Masks and labels as people draw them: what is drawn stands out from a dark or transparent
//! background, in whatever colour, depth and file format.

use std::io::Read;
use std::path::Path;

use image::DynamicImage;
use ndarray::Array2;

use crate::colour_strength::strengths;
use crate::colour_tiff::read_colours;
use crate::layers::open_one;
use crate::picture::{check_size, decode_jpeg, decode_png};
use crate::probability_image::is_tiff;
use crate::storage::StoredFile;
use crate::stored_voxels::Sample;
use crate::zarr_levels::is_zarr;
use crate::zarr_volume::ZarrVolume;
use crate::{Error, Volume};

/// Reads a mask or labels: a pixel is set from half of the image's largest value up, (y, x). A
/// colour counts by its brightest channel, as far as it is opaque.
///
/// PNG and TIFF of any depth and colour, JPEG, Zarr; what a file is, its first bytes say, not its
/// name.
///
/// # Errors
/// [`Error::Io`]; [`Error::Png`], [`Error::Tiff`] or [`Error::Zarr`].
pub fn read_drawn(path: impl AsRef<Path>) -> Result<Array2<bool>, Error> {
    read_drawn_of_size(path.as_ref(), &[])
}

/// As [`read_drawn`], an image of one of the sizes (height, width) that are `expected`; others are
/// refused before they are unpacked. No sizes allow all.
///
/// # Errors
/// Those of [`read_drawn`]; [`Error::Size`].
pub(crate) fn read_drawn_of_size(
    path: &Path,
    expected: &[[usize; 2]],
) -> Result<Array2<bool>, Error> {
    Ok(drawn(&read_strengths(path, expected, Floats::Rounded)?))
}

/// What becomes of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floats {
    /// They are rounded to whole numbers.
    Rounded,
    /// They are an error: they do not say what is white.
    Refused,
}

impl Floats {
    /// # Errors
    /// [`Error::PixelType`] where pixels of `path` are floats, and these are refused.
    pub fn check(self, path: &Path, are_floats: bool) -> Result<(), Error> {
        match are_floats && self == Self::Refused {
            true => Err(Error::PixelType {
                path: path.to_owned(),
                found: "floating-point".to_owned(),
            }),
            false => Ok(()),
        }
    }
}

/// How strongly each pixel is drawn, (y, x), in the file's own values: its brightest channel, as
/// far as it is opaque.
///
/// # Errors
/// Those of [`read_drawn_of_size`]; [`Error::PixelType`] for `floats` that are refused.
pub(crate) fn read_strengths(
    path: &Path,
    expected: &[[usize; 2]],
    floats: Floats,
) -> Result<Array2<u16>, Error> {
    let check = |found: [usize; 2]| check_size(path, found, expected);
    if path.is_dir() || is_zarr(path) {
        let volume = ZarrVolume::open_image(path)?;
        let [_, height, width] = volume.shape();
        check([height, width])?;
        floats.check(path, volume.holds_floats())?;
        return volume.read_values();
    }
    if is_tiff(path)? {
        let layer = match open_one(path) {
            Ok((layer, _)) => layer,
            Err(Error::PixelType { .. }) => return read_colours(path, expected, floats),
            Err(error) => return Err(error),
        };
        let [height, width] = layer.size();
        check([height, width])?;
        floats.check(path, matches!(layer.sample(), Sample::Float(_)))?;
        let mut pixels = Array2::zeros((height, width));
        layer.read(&(0..height), &(0..width), pixels.view_mut())?;
        // 8 bits, which layers scale to 16.
        let eight = pixels.iter().all(|value| value % 257 == 0);
        return Ok(pixels.mapv(|value| if eight { value / 257 } else { value }));
    }
    let image = match is_jpeg(path)? {
        true => decode_jpeg(path, expected)?,
        false => decode_png(path, expected)?,
    };
    let size = (image.height() as usize, image.width() as usize);
    let strengths = strengths_of(image);
    Ok(Array2::from_shape_vec(size, strengths).expect("a pixel for each place"))
}

/// Whether the file begins as JPEGs do.
pub(crate) fn is_jpeg(path: &Path) -> Result<bool, Error> {
    let mut start = Vec::new();
    let file = StoredFile::open(path).map_err(Error::io(path))?;
    file.take(3)
        .read_to_end(&mut start)
        .map_err(Error::io(path))?;
    Ok(start == b"\xff\xd8\xff")
}

fn strengths_of(image: DynamicImage) -> Vec<u16> {
    match image {
        DynamicImage::ImageLuma8(gray) => gray.into_raw().into_iter().map(u16::from).collect(),
        DynamicImage::ImageLuma16(gray) => gray.into_raw(),
        DynamicImage::ImageLumaA16(_)
        | DynamicImage::ImageRgb16(_)
        | DynamicImage::ImageRgba16(_) => strengths(&image.into_rgba16().into_raw(), u16::MAX),
        other => strengths(&other.into_rgba8().into_raw(), u8::MAX),
    }
}

/// What is at least half as strong as the strongest; nothing where all is 0.
pub(crate) fn drawn(strengths: &Array2<u16>) -> Array2<bool> {
    let largest = u32::from(strengths.iter().copied().max().unwrap_or(0));
    strengths.mapv(|strength| strength > 0 && 2 * u32::from(strength) >= largest)
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

    use super::*;

    fn ink(x: u32) -> bool {
        x >= 2
    }

    /// Two blank pixels, two drawn ones, saved as `name`.
    fn drawn_in<P>(name: &str, blank: P, drawn: P) -> Vec<bool>
    where
        P: image::Pixel + image::PixelWithColorType + 'static,
        [P::Subpixel]: image::EncodableLayout,
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let image = ImageBuffer::from_fn(4, 1, |x, _| if ink(x) { drawn } else { blank });
        image.save(&path).unwrap();
        read_drawn(path).unwrap().into_iter().collect()
    }

    #[test]
    fn whatever_stands_out_is_drawn() {
        let expected: Vec<bool> = (0..4).map(ink).collect();
        let png = "labels.png";
        assert_eq!(
            drawn_in(png, Luma([0_u8]), Luma([1_u8])),
            expected,
            "0 and 1"
        );
        assert_eq!(
            drawn_in(png, Luma([0_u8]), Luma([100_u8])),
            expected,
            "grey"
        );
        let blank = Luma([0_u16]);
        assert_eq!(
            drawn_in(png, blank, Luma([255_u16])),
            expected,
            "8 bits in 16"
        );
        let black = Rgb([0_u8, 0, 0]);
        assert_eq!(drawn_in(png, black, Rgb([0, 0, 255])), expected, "blue");
        let clear = Rgba([255_u8, 255, 255, 0]);
        let white = Rgba([255, 255, 255, 255]);
        assert_eq!(drawn_in(png, clear, white), expected, "transparent white");
        let noise = LumaA([9_u8, 255]);
        assert_eq!(drawn_in(png, noise, LumaA([200, 255])), expected, "noise");
        assert_eq!(
            drawn_in("labels.JPG", Luma([0_u8]), Luma([250_u8])),
            expected,
            "JPEG"
        );
    }

    #[test]
    fn nothing_drawn_is_nothing() {
        let blank = drawn_in("labels.png", Luma([0_u8]), Luma([0_u8]));
        assert!(!blank.contains(&true));
    }
}
