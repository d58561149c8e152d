//! Images with a border of zeros, row after row, so that a shift by one pixel is a shift of the
//! index.

use rayon::prelude::*;

use crate::matrix::Unit;

/// Height, width and the border at each side of padded planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Zeros at each side.
    pub border: usize,
}

/// Channels that are laid side by side at once.
const SOME: usize = 16;
/// Places behind a plane that a vector may read but whose results nobody takes.
const SLACK: usize = 160;

impl Frame {
    /// From one row of a padded plane to the next: the border at a row's right is that at the next
    /// row's left.
    pub fn pitch(self) -> usize {
        self.width + self.border
    }

    /// Values of a padded plane and its slack.
    pub fn plane(self) -> usize {
        (self.height + 2 * self.border) * self.pitch() + self.border + SLACK
    }

    /// Places to compute so that every pixel is among them: whole rows of the pitch.
    pub fn places(self) -> usize {
        self.height * self.pitch()
    }

    /// Pixels of a plane without its border.
    pub fn area(self) -> usize {
        self.height * self.width
    }

    /// How far each tap of a `side × side` kernel lies from its first one.
    pub fn taps(self, side: usize) -> Vec<usize> {
        (0..side)
            .flat_map(|y| (0..side).map(move |x| y * self.pitch() + x))
            .collect()
    }

    /// Copies images into padded planes of words, each of as many channels as a word has numbers.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    /// - output: `[n, words, plane]`
    pub fn pad(self, unit: Unit, images: &[f32], channels: usize) -> Vec<u32> {
        let per_word = unit.numbers_per_word();
        let images: Vec<&[f32]> = images
            .chunks_exact(channels * self.area())
            .flat_map(|image| image.chunks(per_word * self.area()))
            .collect();
        let mut padded = vec![0; images.len() * self.plane()];
        let planes = padded.par_chunks_mut(self.plane());
        planes.zip(images).for_each(|(padded, planes)| {
            let inner = padded[self.border * self.pitch() + self.border..].chunks_mut(self.pitch());
            let (first, second) = planes.split_at(self.area());
            let second = second.chunks_exact(self.width).map(Some);
            let seconds = second.chain(std::iter::repeat(None));
            let rows = first.chunks_exact(self.width).zip(seconds);
            for ((first, second), padded) in rows.zip(inner) {
                let padded = &mut padded[..self.width];
                match second {
                    Some(second) => unit.stack(&[first, second], padded),
                    None => unit.stack(&[first], padded),
                }
            }
        });
        padded
    }

    /// Copies images into padded ones whose channels lie side by side.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    /// - output: `[n, plane, channels]`
    pub fn pad_channels_last(self, images: &[f32], channels: usize) -> Vec<f32> {
        let mut padded =
            vec![0.0; images.len() / (channels * self.area()) * self.plane() * channels];
        let tasks: Vec<_> = padded
            .chunks_mut(self.plane() * channels)
            .zip(images.chunks_exact(channels * self.area()))
            .flat_map(|(padded, image)| {
                let inner = &mut padded[self.border * self.pitch() * channels..];
                let lines = inner.chunks_mut(self.pitch() * channels).take(self.height);
                lines.enumerate().map(move |(y, line)| (image, y, line))
            })
            .collect();
        tasks.into_par_iter().for_each(|(image, y, line)| {
            let pixels = &mut line[self.border * channels..][..self.width * channels];
            for first in (0..channels).step_by(SOME) {
                let count = SOME.min(channels - first);
                let rows = |channel| &image[(first + channel) * self.area() + y * self.width..];
                let rows: [&[f32]; SOME] =
                    std::array::from_fn(|channel| &rows(channel.min(count - 1))[..self.width]);
                for (x, pixel) in pixels.chunks_exact_mut(channels).enumerate() {
                    for (value, row) in pixel[first..][..count].iter_mut().zip(rows) {
                        *value = row[x];
                    }
                }
            }
        });
        padded
    }

    /// Copies one plane of the image's size into a padded one whose border is 0 already.
    pub fn pad_into(self, plane: &[f32], padded: &mut [f32]) {
        let inner = padded[self.border * self.pitch() + self.border..].chunks_mut(self.pitch());
        for (row, padded) in plane.chunks_exact(self.width).zip(inner) {
            padded[..self.width].copy_from_slice(row);
        }
    }

    /// Takes the places `[first, first + values.len())` of the pitch's rows into a plane without
    /// border, adding `bias`.
    pub fn unpad(self, values: &[f32], first: usize, bias: f32, plane: &mut [f32]) {
        let (mut y, mut x) = (first / self.pitch(), first % self.pitch());
        let mut rest = values;
        while !rest.is_empty() && y < self.height {
            let (here, later) = rest.split_at(rest.len().min(self.pitch() - x));
            let kept = here.len().min(self.width.saturating_sub(x));
            let row = &mut plane[y * self.width..][..self.width];
            if kept > 0 {
                for (pixel, &value) in row[x..x + kept].iter_mut().zip(here) {
                    *pixel = value + bias;
                }
            }
            (y, x, rest) = (y + 1, 0, later);
        }
    }
}
