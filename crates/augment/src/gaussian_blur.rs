use ndarray::Array3;
use pulp::{Arch, Simd, WithSimd};

use crate::border::reflect_index;

/// Weights of OpenCV's `getGaussianKernel` of `size` (odd) pixels with the standard deviation that
/// follows from it. Up to nine pixels they stand in OpenCV's table.
fn kernel(size: usize) -> Vec<f32> {
    let fixed: Option<&[f32]> = match size {
        1 => Some(&[1.0]),
        3 => Some(&[0.25, 0.5, 0.25]),
        5 => Some(&[0.0625, 0.25, 0.375, 0.25, 0.0625]),
        7 => Some(&[
            0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125,
        ]),
        9 => Some(&[
            0.015625, 0.05078125, 0.1171875, 0.19921875, 0.234375, 0.19921875, 0.1171875,
            0.05078125, 0.015625,
        ]),
        _ => None,
    };
    if let Some(weights) = fixed {
        return weights.to_vec();
    }
    let half = (size as f64 - 1.0) / 2.0;
    let deviation = 0.3 * (half - 1.0) + 0.8;
    let weight = |index: usize| (-((index as f64 - half) / deviation).powi(2) / 2.0).exp();
    let sum: f64 = (0..size).map(weight).sum();
    (0..size)
        .map(|index| (weight(index) / sum) as f32)
        .collect()
}

/// Blurs every layer with a Gaussian kernel of `size` (odd) pixels, mirrored at the border.
pub(crate) fn gaussian_blur(volume: &mut Array3<f32>, size: usize, layer: &mut Vec<f32>) {
    let (_, height, width) = volume.dim();
    let weights = kernel(size);
    layer.clear();
    layer.resize(height * width, 0.0);
    for mut image in volume.outer_iter_mut() {
        let image = image.as_slice_mut().expect("samples lie in one piece");
        Arch::new().dispatch(Blur {
            image,
            rows: layer,
            size: [height, width],
            weights: &weights,
        });
    }
}

struct Blur<'a> {
    image: &'a mut [f32],
    /// The image blurred along its rows.
    rows: &'a mut [f32],
    size: [usize; 2],
    weights: &'a [f32],
}

impl WithSimd for Blur<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [height, width] = self.size;
        let half = self.weights.len() / 2;
        for y in 0..height {
            let line = &self.image[y * width..][..width];
            along_row(line, &mut self.rows[y * width..][..width], self.weights);
        }
        for y in 0..height {
            let target = &mut self.image[y * width..][..width];
            target.fill(0.0);
            for (tap, &weight) in self.weights.iter().enumerate() {
                let row = reflect_index((y + tap) as isize - half as isize, height);
                let source = &self.rows[row * width..][..width];
                for (sum, &value) in target.iter_mut().zip(source) {
                    *sum += weight * value;
                }
            }
        }
    }
}

#[inline(always)]
fn along_row(line: &[f32], target: &mut [f32], weights: &[f32]) {
    let (width, taps) = (line.len(), weights.len());
    let half = taps / 2;
    let edge = |x: usize| {
        let place = |tap: usize| reflect_index((x + tap) as isize - half as isize, width);
        let terms = weights.iter().enumerate();
        terms.map(|(tap, weight)| weight * line[place(tap)]).sum()
    };
    if width < taps {
        for (x, target) in target.iter_mut().enumerate() {
            *target = edge(x);
        }
        return;
    }
    let inner = &mut target[half..width - half];
    inner.fill(0.0);
    for (tap, &weight) in weights.iter().enumerate() {
        for (sum, &value) in inner.iter_mut().zip(&line[tap..]) {
            *sum += weight * value;
        }
    }
    for x in (0..half).chain(width - half..width) {
        target[x] = edge(x);
    }
}
