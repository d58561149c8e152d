use image::{Rgba, RgbaImage};
use ndarray::Array2;

use crate::color_map::viridis;

/// A shift map as a picture, with the range that its colours span.
#[derive(Clone, Debug)]
pub struct ShiftMap {
    /// Coloured papyrus on nothing.
    pub picture: RgbaImage,
    /// Shift of the darkest and of the brightest colour, layers.
    pub range: [f32; 2],
    /// Share of the papyrus in each of 24 equal steps of the range.
    pub histogram: Vec<f64>,
}

impl ShiftMap {
    /// The picture with a colour bar at its right, as PNG.
    pub fn to_png(&self) -> Vec<u8> {
        const GAP: u32 = 8;
        const BAR: u32 = 16;
        let (width, height) = self.picture.dimensions();
        let mut whole = RgbaImage::new(width + GAP + BAR, height);
        image::imageops::replace(&mut whole, &self.picture, 0, 0);
        for y in 0..height {
            let share = 1.0 - (y as f32 + 0.5) / height as f32;
            let [r, g, b] = viridis(share);
            for x in width + GAP..width + GAP + BAR {
                whole.put_pixel(x, y, Rgba([r, g, b, 255]));
            }
        }
        let mut bytes = std::io::Cursor::new(Vec::new());
        whole
            .write_to(&mut bytes, image::ImageFormat::Png)
            .expect("PNG takes every picture made here, and memory takes every write");
        bytes.into_inner()
    }
}

/// Longest side of a picture in a report, in pixels.
const LONGEST: usize = 480;

/// Paints `shifts` (y, x; layers) where `mask` is set, from the lowest to the highest.
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
    let width = (high - low).max(1e-6);
    let mut histogram = vec![0.0; 24];
    let mut count = 0.0;
    for (&value, _) in values() {
        let bin = ((value - low) / width * 24.0) as usize;
        histogram[bin.min(23)] += 1.0;
        count += 1.0;
    }
    histogram
        .iter_mut()
        .for_each(|bin| *bin /= f64::max(count, 1.0));
    let (rows, columns) = shifts.dim();
    let shrink = rows.max(columns).div_ceil(LONGEST).max(1);
    let size = ((columns / shrink).max(1), (rows / shrink).max(1));
    let picture = RgbaImage::from_fn(size.0 as u32, size.1 as u32, |x, y| {
        let place = (y as usize * shrink, x as usize * shrink);
        match mask[place] && shifts[place].is_finite() {
            true => {
                let [r, g, b] = viridis((shifts[place] - low) / width);
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
