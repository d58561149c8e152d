use image::{Rgba, RgbaImage};

/// Height and width of a digit, in pixels, without the gap after it.
pub const HEIGHT: u32 = 7;
const WIDTH: u32 = 5;
const ADVANCE: u32 = 6;

/// Rows of the digits, of the point and of the minus sign; the lowest bit is the rightmost pixel.
const SHAPES: [(char, [u8; 7]); 12] = [
    ('0', [14, 17, 19, 21, 25, 17, 14]),
    ('1', [4, 12, 4, 4, 4, 4, 14]),
    ('2', [14, 17, 1, 6, 8, 16, 31]),
    ('3', [31, 2, 4, 2, 1, 17, 14]),
    ('4', [2, 6, 10, 18, 31, 2, 2]),
    ('5', [31, 16, 30, 1, 1, 17, 14]),
    ('6', [6, 8, 16, 30, 17, 17, 14]),
    ('7', [31, 1, 2, 4, 8, 8, 8]),
    ('8', [14, 17, 17, 14, 17, 17, 14]),
    ('9', [14, 17, 17, 15, 1, 2, 12]),
    ('.', [0, 0, 0, 0, 0, 6, 6]),
    ('-', [0, 0, 0, 31, 0, 0, 0]),
];

/// Draws a number with its upper left corner at (x, y); what lies outside the picture, and what
/// is no digit, is left out.
pub fn draw_number(picture: &mut RgbaImage, text: &str, x: u32, y: u32, color: Rgba<u8>) {
    for (index, sign) in text.chars().enumerate() {
        let Some((_, rows)) = SHAPES.iter().find(|(shape, _)| *shape == sign) else {
            continue;
        };
        let left = x + index as u32 * ADVANCE;
        for (row, bits) in rows.iter().enumerate() {
            for column in (0..WIDTH).filter(|column| bits >> (WIDTH - 1 - column) & 1 == 1) {
                if let Some(pixel) = picture.get_pixel_mut_checked(left + column, y + row as u32) {
                    *pixel = color;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_has_its_stem_in_the_middle() {
        let mut picture = RgbaImage::new(20, 9);
        let black = Rgba([0, 0, 0, 255]);
        draw_number(&mut picture, "-1", 1, 1, black);
        let set = |x, y| *picture.get_pixel(x, y) == black;
        assert!((1..8).all(|y| set(9, y)));
        assert!((1..6).all(|x| set(x, 4)));
        assert_eq!(picture.pixels().filter(|p| **p == black).count(), 5 + 10);
    }
}
