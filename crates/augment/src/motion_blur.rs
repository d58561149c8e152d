use ndarray::ArrayViewMut3;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::range_checks::{kernel_sides, require};
use crate::settings_group::settings;
use crate::tone::Tone;
use crate::weighted_rows::{BlurRows, Tap, blur};

/// A blur of each layer along a line: albumentations' `MotionBlur`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MotionBlur {
    /// The kernel's side, in pixels, odd.
    pub size: usize,
    /// One end of the line in the kernel, (y, x).
    pub from: [usize; 2],
    /// The other end.
    pub to: [usize; 2],
}

settings! {
    /// Settings of the motion blur.
    pub struct MotionBlurSettings {
        /// Range of the motion kernel's side, in pixels, from an odd one in steps of two.
        "motion_blur" size: [usize; 2] = [3, 7],
    }
}

impl MotionBlur {
    pub(crate) fn check(settings: &MotionBlurSettings) -> Result<(), Error> {
        let size = settings.size;
        let expected = "a rising range of sides from 3 to 255, the first odd";
        let holds = kernel_sides(size) && size[0] % 2 == 1;
        require("motion_blur", size, holds, expected)
    }

    pub(crate) fn draw(settings: &MotionBlurSettings, random: &mut ChaCha8Rng) -> Self {
        let [low, high] = settings.size;
        let size = low + 2 * random.random_range(0..=(high - low) / 2);
        let [from, to] = draw_line(size, random);
        Self { size, from, to }
    }

    pub(crate) fn describe(&self) -> String {
        format!("in motion within {} px", self.size)
    }

    /// Replaces every pixel of every layer by the mean of those along the line, mirrored at the
    /// border, and gives it its `tone`.
    pub(crate) fn apply(&self, volume: &mut ArrayViewMut3<f32>, tone: &Tone, rows: &mut BlurRows) {
        let half = self.size / 2;
        let pixels = line(self.from, self.to);
        let weight = 1.0 / pixels.len() as f32;
        let tap = |[y, x]: [usize; 2]| Tap {
            down: y as isize - half as isize,
            right: x as isize - half as isize,
            weight,
        };
        let taps: Vec<_> = pixels.into_iter().map(tap).collect();
        blur(volume, [&[], &taps], half, tone, rows);
    }
}

/// The two ends of a line within a kernel, which differ.
fn draw_line(size: usize, random: &mut ChaCha8Rng) -> [[usize; 2]; 2] {
    let mut end = || random.random_range(0..size);
    let (from_x, to_x) = (end(), end());
    let (from_y, mut to_y) = (end(), end());
    if from_x == to_x {
        // One of the others, each as likely.
        to_y = (from_y + 1 + random.random_range(0..size - 1)) % size;
    }
    [[from_y, from_x], [to_y, to_x]]
}
/// The pixels (y, x) that OpenCV's `line` sets between two ends, in order of drawing: of the line's
/// longer axis every pixel, of the other the nearest.
fn line(from: [usize; 2], to: [usize; 2]) -> Vec<[usize; 2]> {
    // OpenCV draws left to right.
    let (from, to) = if to[1] < from[1] {
        (to, from)
    } else {
        (from, to)
    };
    let [dy, dx] = [0, 1].map(|axis| to[axis] as isize - from[axis] as isize);
    let (long, short) = (dy.abs().max(dx.abs()), dy.abs().min(dx.abs()));
    let [step_y, step_x] = [dy.signum(), dx.signum()];
    let steep = dy.abs() > dx.abs();
    let mut error = long - 2 * short;
    let [mut y, mut x] = from.map(|place| place as isize);
    let mut pixels = Vec::with_capacity(long as usize + 1);
    for _ in 0..=long {
        pixels.push([y as usize, x as usize]);
        let aside = error < 0;
        error += if aside {
            2 * (long - short)
        } else {
            -2 * short
        };
        if steep || aside {
            y += step_y;
        }
        if !steep || aside {
            x += step_x;
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    /// `cv2.line` between all pairs of ends in kernels of 3, 5 and 7 pixels: side, ends (y, x), and
    /// the set pixels as bits of a number.
    #[test]
    fn lines_are_opencvs() {
        let text = std::fs::read_to_string("tests/data/lines.json").unwrap();
        let lines: Vec<[u64; 6]> = serde_json::from_str(&text).unwrap();
        assert_eq!(lines.len(), 9 * 8 + 25 * 24 + 49 * 48);
        for [size, from_y, from_x, to_y, to_x, expected] in lines {
            let ends = [[from_y, from_x], [to_y, to_x]].map(|end| end.map(|place| place as usize));
            let pixels = line(ends[0], ends[1]).into_iter();
            let bits = pixels.map(|[y, x]| 1_u64 << (y * size as usize + x));
            assert_eq!(bits.sum::<u64>(), expected, "{ends:?} of {size}");
        }
    }

    #[test]
    fn a_sheet_narrower_than_the_kernel_is_mirrored() {
        let mut volume = Array3::from_shape_fn((1, 2, 3), |(_, y, x)| (10 * y + x) as f32);
        let blur = MotionBlur {
            size: 7,
            from: [3, 0],
            to: [3, 6],
        };
        blur.apply(
            &mut volume.view_mut(),
            &Tone::default(),
            &mut BlurRows::default(),
        );
        // Rows mirrored: 1 2 1 0 1 2 1 for the first pixel.
        let mean_of = |places: [f32; 7]| places.iter().sum::<f32>() / 7.0;
        assert!((volume[(0, 0, 0)] - mean_of([1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0])).abs() < 1e-5);
        assert!((volume[(0, 1, 0)] - 10.0 - 8.0 / 7.0).abs() < 1e-5);
    }
}
