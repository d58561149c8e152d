use std::convert::Infallible;

use embedded_graphics::Drawable as _;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_7X13;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor as _};
use embedded_graphics::text::{Baseline, Text};
use image::{Rgb, RgbImage};

/// Height of a line, in pixels.
pub const HEIGHT: u32 = 13;
/// Width of a letter, in pixels.
pub const WIDTH: u32 = 7;

/// Writes `text` (Latin-1) with its upper left corner at (x, y); what lies outside the picture is
/// left out.
pub fn write(picture: &mut RgbImage, text: &str, [x, y]: [u32; 2], Rgb([r, g, b]): Rgb<u8>) {
    let style = MonoTextStyle::new(&FONT_7X13, Rgb888::new(r, g, b));
    let place = Point::new(x as i32, y as i32);
    let text = Text::with_baseline(text, place, style, Baseline::Top);
    let Ok(_) = text.draw(&mut Canvas(picture));
}

struct Canvas<'a>(&'a mut RgbImage);

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = embedded_graphics::Pixel<Rgb888>>,
    {
        for embedded_graphics::Pixel(place, color) in pixels {
            let place = (u32::try_from(place.x), u32::try_from(place.y));
            if let (Ok(x), Ok(y)) = place
                && let Some(pixel) = self.0.get_pixel_mut_checked(x, y)
            {
                *pixel = Rgb([color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stay_within_the_picture_and_their_lines() {
        let mut picture = RgbImage::new(40, 20);
        write(
            &mut picture,
            "-1° and more than fits",
            [3, 4],
            Rgb([9, 9, 9]),
        );
        let dark = |y: u32| {
            (0..40)
                .filter(|&x| picture.get_pixel(x, y).0 == [9; 3])
                .count()
        };
        assert_eq!((0..4).map(dark).sum::<usize>(), 0);
        assert_eq!((17..20).map(dark).sum::<usize>(), 0);
        assert!((4..17).map(dark).sum::<usize>() > 40);
    }
}
