//! Masks and labels as people draw them: what is drawn stands out from a dark or transparent
//! background, in whatever colour, depth and file format.

use std::path::Path;

use ndarray::Array2;

use crate::Error;
use crate::layers::open_one;
use crate::picture::decode_png;
use crate::probability_image::is_tiff;
use crate::zarr_volume::ZarrVolume;

/// Reads a mask or labels: a pixel is set from half of the image's largest value up, (y, x). A
/// colour counts by its brightest channel, as far as it is opaque.
///
/// PNG of any depth and colour, TIFF of 8 or 16 bits, Zarr.
///
/// # Errors
/// [`Error::Io`]; [`Error::Png`], [`Error::Tiff`] or [`Error::Zarr`].
pub fn read_drawn(path: impl AsRef<Path>) -> Result<Array2<bool>, Error> {
    read_drawn_of_size(path.as_ref(), None)
}

/// As [`read_drawn`], an image of the size (height, width) that is `expected`; others are refused
/// before they are unpacked.
///
/// # Errors
/// Those of [`read_drawn`]; [`Error::Size`].
pub(crate) fn read_drawn_of_size(
    path: &Path,
    expected: Option<[usize; 2]>,
) -> Result<Array2<bool>, Error> {
    let check = |found: [usize; 2]| match expected {
        Some(expected) if expected != found => Err(Error::Size {
            path: path.to_owned(),
            found,
            expected,
            like: "the layers",
            mend: "crop or scale the image to the layers' size",
        }),
        _ => Ok(()),
    };
    if path.is_dir() {
        let volume = ZarrVolume::open_image(path)?;
        let [_, height, width] = volume.shape();
        check([height, width])?;
        return Ok(drawn(&volume.read_values()?.mapv(u32::from)));
    }
    if is_tiff(path)? {
        let (layer, _) = open_one(path)?;
        let [height, width] = layer.size();
        check([height, width])?;
        let mut pixels = Array2::zeros((height, width));
        layer.read(&(0..height), &(0..width), pixels.view_mut())?;
        return Ok(drawn(&pixels.mapv(u32::from)));
    }
    let image = decode_png(path, expected)?;
    let size = (image.height() as usize, image.width() as usize);
    let strengths = match image {
        image::DynamicImage::ImageLuma8(gray) => {
            gray.into_raw().into_iter().map(u32::from).collect()
        }
        other => strengths(&other.into_rgba16().into_raw()),
    };
    let strengths = Array2::from_shape_vec(size, strengths).expect("a pixel for each place");
    Ok(drawn(&strengths))
}

/// The brightest channel of each pixel (red, green, blue, alpha), as far as it is opaque.
fn strengths(pixels: &[u16]) -> Vec<u32> {
    let (pixels, _) = pixels.as_chunks::<4>();
    let strength = |&[red, green, blue, alpha]: &[u16; 4]| {
        let brightest = u64::from(red.max(green).max(blue));
        (brightest * u64::from(alpha) / u64::from(u16::MAX)) as u32
    };
    pixels.iter().map(strength).collect()
}

/// What is at least half as strong as the strongest; nothing where all is 0.
fn drawn(strengths: &Array2<u32>) -> Array2<bool> {
    let largest = strengths.iter().copied().max().unwrap_or(0);
    strengths.mapv(|strength| strength > 0 && 2 * u64::from(strength) >= u64::from(largest))
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

    use super::*;

    fn ink(x: u32) -> bool {
        x >= 2
    }

    /// Two blank pixels, two drawn ones, saved as `name`.
    fn drawn_in<P>(blank: P, drawn: P) -> Vec<bool>
    where
        P: image::Pixel + image::PixelWithColorType + 'static,
        [P::Subpixel]: image::EncodableLayout,
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.png");
        let image = ImageBuffer::from_fn(4, 1, |x, _| if ink(x) { drawn } else { blank });
        image.save(&path).unwrap();
        read_drawn(path).unwrap().into_iter().collect()
    }

    #[test]
    fn whatever_stands_out_is_drawn() {
        let expected: Vec<bool> = (0..4).map(ink).collect();
        assert_eq!(drawn_in(Luma([0_u8]), Luma([1_u8])), expected, "0 and 1");
        assert_eq!(drawn_in(Luma([0_u8]), Luma([100_u8])), expected, "grey");
        assert_eq!(
            drawn_in(Luma([0_u16]), Luma([255_u16])),
            expected,
            "8 bits in 16"
        );
        assert_eq!(
            drawn_in(Rgb([0_u8, 0, 0]), Rgb([0, 0, 255])),
            expected,
            "blue"
        );
        let white = Rgba([255_u8, 255, 255, 255]);
        assert_eq!(
            drawn_in(Rgba([255, 255, 255, 0]), white),
            expected,
            "transparent white"
        );
        assert_eq!(
            drawn_in(LumaA([9_u8, 255]), LumaA([200, 255])),
            expected,
            "noise near 0"
        );
    }

    #[test]
    fn nothing_drawn_is_nothing() {
        let blank = drawn_in(Luma([0_u8]), Luma([0_u8]));
        assert!(!blank.contains(&true));
    }
}
