use image::{Rgb, RgbImage, Rgba, RgbaImage};
use inkling_fragment::Shrink;
use ndarray::Array2;

use crate::color_map::viridis;
use crate::lettering;

/// A shift map as a picture, with the range that its colours span.
#[derive(Clone, Debug)]
pub struct ShiftMap {
    /// Papyrus in colours of its shift, transparent elsewhere.
    pub picture: RgbaImage,
    /// Shift of the darkest and of the brightest colour, layers.
    pub range: [f32; 2],
    /// Share of the papyrus in each of 24 equal steps of the range.
    pub histogram: Vec<f64>,
}

impl ShiftMap {
    /// The picture on white with its colour bar, the shifts at five heights of it, and the
    /// histogram beside them, as PNG.
    pub fn to_png(&self) -> Vec<u8> {
        let (width, height) = self.picture.dimensions();
        let height = height.max(LEAST_HEIGHT);
        let mut whole = RgbImage::from_pixel(width + LEGEND, height + 2 * GAP, WHITE);
        for (x, y, pixel) in self.picture.enumerate_pixels() {
            let Rgba([r, g, b, opaque]) = *pixel;
            if opaque > 0 {
                whole.put_pixel(x, y + GAP, Rgb([r, g, b]));
            }
        }
        for y in 0..height {
            self.draw_legend_row(&mut whole, y, height, width + GAP);
        }
        let [low, high] = self.range;
        for tick in 0..5 {
            let share = tick as f32 / 4.0;
            let text = format!("{:.1}", low + share * (high - low));
            let y = GAP + ((1.0 - share) * (height - 1) as f32) as u32 - lettering::HEIGHT / 2;
            lettering::write(&mut whole, &text, [width + GAP + BAR + 4, y], INK);
        }
        let mut bytes = std::io::Cursor::new(Vec::new());
        whole
            .write_to(&mut bytes, image::ImageFormat::Png)
            .expect("PNG takes every picture made here, and memory takes every write");
        bytes.into_inner()
    }

    fn draw_legend_row(&self, whole: &mut RgbImage, y: u32, height: u32, left: u32) {
        let share = 1.0 - (y as f32 + 0.5) / height as f32;
        let color = Rgb(viridis(share));
        let bins = self.histogram.len();
        let bin = self.histogram[((share * bins as f32) as usize).min(bins - 1)];
        let highest = self.histogram.iter().copied().fold(1e-9, f64::max);
        let length = (bin / highest * f64::from(HISTOGRAM)).round() as u32;
        let begin = left + BAR + NUMBERS;
        for x in (left..left + BAR).chain(begin..begin + length) {
            whole.put_pixel(x, y + GAP, color);
        }
    }
}

const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([40, 40, 40]);
/// Widths in pixels, from left to right: gap, colour bar, numbers, histogram, gap.
const GAP: u32 = 8;
const BAR: u32 = 16;
const NUMBERS: u32 = 44;
const HISTOGRAM: u32 = 60;
const LEGEND: u32 = GAP + BAR + NUMBERS + HISTOGRAM + GAP;
/// The legend needs some height on small sheets too.
const LEAST_HEIGHT: u32 = 96;

/// Longest side of a picture in a report, in pixels.
const LONGEST: usize = 480;

/// Draws `shifts` (y, x; layers) where `mask` is set, from the lowest to the highest.
pub fn shift_map(shifts: &Array2<f32>, mask: &Array2<bool>) -> ShiftMap {
    let values = || {
        shifts
            .iter()
            .zip(mask)
            .filter(|&(v, &papyrus)| papyrus && v.is_finite())
    };
    let (low, high) = values().fold(
        (f32::INFINITY, f32::NEG_INFINITY),
        |(low, high), (&v, _)| (low.min(v), high.max(v)),
    );
    let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
    let range = (high - low).max(1e-6);
    let mut histogram = vec![0.0; 24];
    let mut count = 0.0;
    for (&value, _) in values() {
        let bin = ((value - low) / range * 24.0) as usize;
        histogram[bin.min(23)] += 1.0;
        count += 1.0;
    }
    histogram
        .iter_mut()
        .for_each(|bin| *bin /= f64::max(count, 1.0));
    let (rows, columns) = shifts.dim();
    let shrink = Shrink::to([rows, columns], LONGEST);
    let [height, width] = shrink.size.map(|side| side as u32);
    let picture = RgbaImage::from_fn(width, height, |x, y| {
        let place = shrink.block([y, x].map(|at| at as usize));
        match mask[place] && shifts[place].is_finite() {
            true => {
                let [r, g, b] = viridis((shifts[place] - low) / range);
                Rgba([r, g, b, 255])
            }
            false => Rgba([0, 0, 0, 0]),
        }
    });
    ShiftMap {
        picture,
        range: [low, high],
        histogram,
    }
}
