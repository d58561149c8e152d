//! Masks and labels in TIFFs of colours, of palettes, or of other numbers than layers have, as GIMP,
//! Photoshop, ImageMagick and NumPy save them.

use std::io::BufReader;
use std::path::Path;

use ndarray::Array2;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use crate::colour_strength::strengths;
use crate::cut_to_sixteen::cut_to_sixteen;
use crate::drawn_image::Floats;
use crate::palette_tiff::Palette;
use crate::picture::check_size;
use crate::storage::StoredFile;
use crate::{Error, guard_decoder};

/// Bytes that the densest codec makes of one, about.
const LARGEST_EXPANSION: u64 = 1 << 13;

/// How strongly each pixel is drawn, (y, x): by its brightest channel, as far as it is opaque. Of RGB,
/// RGBA and grey with alpha of 8 or 16 bits, of palettes, and of grey of any numbers: below 0 is 0,
/// above 65535 is 65535, fractions are rounded.
///
/// # Errors
/// [`Error::Size`]; [`Error::Tiff`] for what is damaged or of other colours; [`Error::PixelType`] for
/// `floats` that are refused.
pub(crate) fn read_colours(
    path: &Path,
    expected: &[[usize; 2]],
    floats: Floats,
) -> Result<Array2<u16>, Error> {
    let wrong = |reason: String| Error::Tiff {
        path: path.to_owned(),
        reason,
    };
    let palette = Palette::find(path)?;
    let file = StoredFile::open(path).map_err(Error::io(path))?;
    let length = file.length().map_err(Error::io(path))?;
    let file = Palette::numbers_as_grey(palette.as_ref(), file);
    let opened = guard_decoder(|| {
        let mut decoder = Decoder::new(BufReader::new(file))?;
        let colour = decoder.colortype()?;
        let (width, height) = decoder.dimensions()?;
        Ok((decoder, colour, [height as usize, width as usize]))
    });
    let (decoder, colour, size) = opened
        .map_err(wrong)?
        .map_err(|error: tiff::TiffError| wrong(error.to_string()))?;
    check_size(path, size, expected)?;
    let mut limits = Limits::default();
    // Four channels of 16 bits.
    let pixels = (size[0] as u64).saturating_mul(size[1] as u64 * 8);
    let largest = length.saturating_mul(LARGEST_EXPANSION).min(pixels);
    limits.decoding_buffer_size = usize::try_from(largest).unwrap_or(usize::MAX);
    let image = guard_decoder(|| decoder.with_limits(limits).read_image());
    let image = image
        .map_err(wrong)?
        .map_err(|error| wrong(error.to_string()))?;
    let are_floats = matches!(
        image,
        DecodingResult::F16(_) | DecodingResult::F32(_) | DecodingResult::F64(_)
    );
    floats.check(path, are_floats)?;
    let values = match (colour, image) {
        (ColorType::Gray(bits @ (1 | 2 | 4)), DecodingResult::U8(bytes)) => {
            unpacked(&bytes, bits, size[1])
        }
        (ColorType::Gray(_), numbers) => cut(numbers),
        (colour, DecodingResult::U8(values)) => brightest(colour, &values, u8::MAX),
        (colour, DecodingResult::U16(values)) => brightest(colour, &values, u16::MAX),
        _ => None,
    };
    let values = values.map(|values| match &palette {
        Some(palette) => palette.strengths(&values),
        None => values,
    });
    let values = values.ok_or_else(|| wrong(format!("pixels of {colour:?}")))?;
    Array2::from_shape_vec(size, values).map_err(|error| wrong(error.to_string()))
}

/// Numbers of any kind as 16 bits; `None` for 16-bit floats.
fn cut(numbers: DecodingResult) -> Option<Vec<u16>> {
    use DecodingResult as D;
    fn whole<T: TryInto<i64>>(values: Vec<T>) -> Vec<u16> {
        values.into_iter().map(cut_to_sixteen).collect()
    }
    Some(match numbers {
        D::U8(values) => whole(values),
        D::U16(values) => values,
        D::U32(values) => whole(values),
        D::U64(values) => whole(values),
        D::I8(values) => whole(values),
        D::I16(values) => whole(values),
        D::I32(values) => whole(values),
        D::I64(values) => whole(values),
        // The conversion keeps to the range; NaN is 0.
        D::F32(values) => values.iter().map(|value| value.round() as u16).collect(),
        D::F64(values) => values.iter().map(|value| value.round() as u16).collect(),
        D::F16(_) => return None,
    })
}

/// Numbers of few bits, rows beginning with whole bytes.
fn unpacked(bytes: &[u8], bits: u8, width: usize) -> Option<Vec<u16>> {
    let row = (width * usize::from(bits)).div_ceil(8);
    let per_byte = usize::from(8 / bits);
    let mask = (1_u8 << bits) - 1;
    let value = |row: &[u8], x: usize| {
        let place = (per_byte - 1 - x % per_byte) * usize::from(bits);
        u16::from((row[x / per_byte] >> place) & mask)
    };
    let rows = bytes.chunks_exact(row.max(1));
    Some(
        rows.flat_map(|row| (0..width).map(move |x| value(row, x)))
            .collect(),
    )
}

/// `None` for other channels than red, green, blue or grey, with alpha or without.
fn brightest<T: Copy + Ord + Into<u64>>(
    colour: ColorType,
    values: &[T],
    opaque: T,
) -> Option<Vec<u16>> {
    let pixels: Vec<T> = match colour {
        ColorType::RGB(_) => values
            .chunks_exact(3)
            .flat_map(|p| [p[0], p[1], p[2], opaque])
            .collect(),
        ColorType::RGBA(_) => values.to_vec(),
        ColorType::GrayA(_) => values
            .chunks_exact(2)
            .flat_map(|p| [p[0], p[0], p[0], p[1]])
            .collect(),
        _ => return None,
    };
    Some(strengths(&pixels, opaque))
}

#[cfg(test)]
mod tests {
    use tiff::encoder::TiffEncoder;
    use tiff::encoder::colortype::{self, ColorType as Written};

    use super::*;
    use crate::read_drawn;

    fn ink(y: usize, x: usize) -> bool {
        (3..9).contains(&y) && !x.is_multiple_of(5)
    }

    fn check<C: Written>(pixel: impl Fn(bool) -> Vec<C::Inner>)
    where
        [C::Inner]: tiff::encoder::TiffValue,
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inklabels.tif");
        let pixels: Vec<C::Inner> = (0..12 * 17)
            .flat_map(|place| pixel(ink(place / 17, place % 17)))
            .collect();
        let file = std::fs::File::create(&path).unwrap();
        let mut encoder = TiffEncoder::new(file).unwrap();
        encoder.write_image::<C>(17, 12, &pixels).unwrap();
        let wanted = Array2::from_shape_fn((12, 17), |(y, x)| ink(y, x));
        assert_eq!(read_drawn(&path).unwrap(), wanted);
        let other = read_colours(&path, &[[12, 18]], Floats::Rounded);
        assert!(matches!(other, Err(Error::Size { .. })));
    }

    #[test]
    fn colours_count_by_their_brightest_channel_as_far_as_they_are_opaque() {
        check::<colortype::RGB8>(|ink| vec![0, if ink { 90 } else { 0 }, 0]);
        check::<colortype::RGB16>(|ink| vec![if ink { 65_535 } else { 9 }, 0, 0]);
        check::<colortype::RGBA8>(|ink| vec![255, 255, 255, if ink { 255 } else { 0 }]);
        check::<colortype::RGBA16>(|ink| vec![if ink { 700 } else { 0 }, 0, 0, 65_535]);
    }

    #[test]
    fn other_numbers_than_layers_have_are_cut_to_16_bits() {
        check::<colortype::GrayI8>(|ink| vec![if ink { 1 } else { -1 }]);
        check::<colortype::GrayI16>(|ink| vec![if ink { 255 } else { -3 }]);
        check::<colortype::Gray32>(|ink| vec![if ink { 70_000 } else { 0 }]);
        check::<colortype::GrayI64>(|ink| vec![if ink { 255 } else { i64::MIN }]);
        check::<colortype::Gray64Float>(|ink| vec![if ink { 1.0 } else { f64::NAN }]);
    }

    #[test]
    fn few_bits_fill_bytes_from_the_left() {
        assert_eq!(
            unpacked(&[0b1010_0000, 0b1000_0000, 0, 0b1000_0000], 1, 9).unwrap(),
            [1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        );
        assert_eq!(unpacked(&[0xa7, 0x30], 4, 3).unwrap(), [10, 7, 3]);
        assert_eq!(unpacked(&[0b1101_0000], 2, 2).unwrap(), [3, 1]);
    }
}
