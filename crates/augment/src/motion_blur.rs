use ndarray::Array3;
use pulp::{Arch, Simd, WithSimd};

use crate::border::reflect_index;

/// The pixels (y, x) that OpenCV's `line` sets between two ends, in order of drawing: of the line's
/// longer axis every pixel, of the other the nearest.
pub(crate) fn line(from: [usize; 2], to: [usize; 2]) -> Vec<[usize; 2]> {
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

/// Replaces every pixel of every layer by the mean of those along a line in a kernel of `size`
/// (odd) pixels, mirrored at the border.
pub(crate) fn motion_blur(
    volume: &mut Array3<f32>,
    size: usize,
    from: [usize; 2],
    to: [usize; 2],
    layer: &mut Vec<f32>,
) {
    let (_, height, width) = volume.dim();
    let half = (size / 2) as isize;
    let offset = |[y, x]: [usize; 2]| [y as isize - half, x as isize - half];
    let offsets: Vec<_> = line(from, to).into_iter().map(offset).collect();
    for mut image in volume.outer_iter_mut() {
        let image = image.as_slice_mut().expect("samples lie in one piece");
        layer.clear();
        layer.extend_from_slice(image);
        Arch::new().dispatch(Mean {
            source: layer,
            image,
            size: [height, width],
            offsets: &offsets,
        });
    }
}

struct Mean<'a> {
    source: &'a [f32],
    image: &'a mut [f32],
    size: [usize; 2],
    offsets: &'a [[isize; 2]],
}

impl WithSimd for Mean<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [height, width] = self.size;
        let share = 1.0 / self.offsets.len() as f32;
        for y in 0..height {
            let target = &mut self.image[y * width..][..width];
            target.fill(0.0);
            for &[dy, dx] in self.offsets {
                let row = reflect_index(y as isize + dy, height);
                add_shifted(&self.source[row * width..][..width], dx, target);
            }
            for value in target {
                *value *= share;
            }
        }
    }
}

/// Adds `line[x + shift]` to `target[x]`, mirrored at the ends.
#[inline(always)]
fn add_shifted(line: &[f32], shift: isize, target: &mut [f32]) {
    let width = line.len();
    let before = shift.min(0).unsigned_abs().min(width);
    let after = width
        .saturating_sub(shift.max(0).unsigned_abs())
        .max(before);
    let first = (before as isize + shift).max(0) as usize;
    for (sum, &value) in target[before..after]
        .iter_mut()
        .zip(&line[first.min(width)..])
    {
        *sum += value;
    }
    for x in (0..before).chain(after..width) {
        target[x] += line[reflect_index(x as isize + shift, width)];
    }
}

#[cfg(test)]
mod tests {
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
        motion_blur(&mut volume, 7, [3, 0], [3, 6], &mut Vec::new());
        // Rows mirrored: 1 2 1 0 1 2 1 for the first pixel.
        let mean_of = |places: [f32; 7]| places.iter().sum::<f32>() / 7.0;
        assert!((volume[(0, 0, 0)] - mean_of([1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0])).abs() < 1e-5);
        assert!((volume[(0, 1, 0)] - 10.0 - 8.0 / 7.0).abs() < 1e-5);
    }
}
