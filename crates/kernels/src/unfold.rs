//! Sliding windows of channels-last images as rows (im2col), and the gradient.

use rayon::prelude::*;

/// Channels-last images and the windows of a square kernel over them; the parameters of
/// `torch.nn.functional.unfold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfold {
    /// Images.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Side of the kernel in pixels.
    pub side: usize,
    /// Pixels from one window to the next, along both axes.
    pub stride: usize,
    /// Rows and columns of zeros above and left of an image.
    pub padding: usize,
    /// ComputeOps' places from top to bottom.
    pub rows: usize,
    /// ComputeOps' places from left to right.
    pub columns: usize,
}

impl Unfold {
    /// Values of one window: `side × side × channels`.
    pub fn features(self) -> usize {
        self.side * self.side * self.channels
    }

    /// For window `place` along an axis of `size` pixels: the taps within the image, and the first
    /// one's pixel.
    fn inside(self, place: usize, size: usize) -> (std::ops::Range<usize>, usize) {
        let start = place * self.stride;
        let first = self.padding.saturating_sub(start).min(self.side);
        let last = (size + self.padding).saturating_sub(start).min(self.side);
        (
            first..last.max(first),
            (start + first).saturating_sub(self.padding),
        )
    }
}

/// Copies windows to rows, zeros where they reach beyond the image.
///
/// # Shapes
/// - images: `[batch, height, width, channels]`
/// - output: `[batch, rows, columns, side, side, channels]`
pub fn unfold(window: Unfold, images: &[f32]) -> Vec<f32> {
    let places = window.batch * window.rows * window.columns;
    let mut output = vec![0.0; places * window.features()];
    let row = window.width * window.channels;
    let tasks = output.par_chunks_mut(window.columns * window.features());
    tasks.enumerate().for_each(|(task, target)| {
        let (image, place) = (task / window.rows, task % window.rows);
        let image = &images[image * window.height * row..][..window.height * row];
        let (taps, top) = window.inside(place, window.height);
        for (y, tap) in taps.enumerate() {
            let line = &image[(top + y) * row..][..row];
            unfold_line(window, line, tap, target);
        }
    });
    output
}

/// Copies one tap row of every window along a line.
fn unfold_line(window: Unfold, line: &[f32], tap: usize, target: &mut [f32]) {
    let channels = window.channels;
    let places = target.chunks_exact_mut(window.features()).enumerate();
    for (place, target) in places {
        let (taps, left) = window.inside(place, window.width);
        let start = (tap * window.side + taps.start) * channels;
        let count = taps.len() * channels;
        target[start..start + count].copy_from_slice(&line[left * channels..][..count]);
    }
}

/// The gradient of [`unfold`]: each pixel's sum over the windows that it is in (col2im).
///
/// # Shapes
/// - gradients: `[batch, rows, columns, side, side, channels]`
/// - output: `[batch, height, width, channels]`
pub fn fold(window: Unfold, gradients: &[f32]) -> Vec<f32> {
    let row = window.width * window.channels;
    let mut output = vec![0.0; window.batch * window.height * row];
    let size = window.columns * window.features();
    let tasks = output.par_chunks_mut(row).enumerate();
    tasks.for_each(|(task, target)| {
        let (image, y) = (task / window.height, task % window.height + window.padding);
        for tap in 0..window.side.min(y + 1) {
            let place = (y - tap) / window.stride;
            if (y - tap).is_multiple_of(window.stride) && place < window.rows {
                let gradients = &gradients[(image * window.rows + place) * size..][..size];
                fold_line(window, gradients, tap, target);
            }
        }
    });
    output
}

fn fold_line(window: Unfold, gradients: &[f32], tap: usize, target: &mut [f32]) {
    let channels = window.channels;
    let places = gradients.chunks_exact(window.features()).enumerate();
    for (place, gradients) in places {
        let (taps, left) = window.inside(place, window.width);
        let start = (tap * window.side + taps.start) * channels;
        let count = taps.len() * channels;
        let target = &mut target[left * channels..][..count];
        for (sum, term) in target.iter_mut().zip(&gradients[start..start + count]) {
            *sum += term;
        }
    }
}
