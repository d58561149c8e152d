//! Planes padded by zeros, so that a shift by one pixel is a constant shift of the index.

use rayon::prelude::*;

use crate::matrix::DotUnit;

/// The shape of a padded plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaddedPlane {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Rows and columns of zeros at each side.
    pub padding: usize,
}

/// Channels that are interleaved at once.
const CHANNELS: usize = 16;
/// Zeros behind a plane, which the last tile reads for places that are no pixels.
const TAIL: usize = 160;

impl PaddedPlane {
    /// Stride from one row to the next. The padding at a row's right is that at the next row's left.
    pub fn pitch(self) -> usize {
        self.width + self.padding
    }

    /// Values of a padded plane and its tail.
    pub fn plane(self) -> usize {
        (self.height + 2 * self.padding) * self.pitch() + self.padding + TAIL
    }

    /// Places of an output plane: `height` rows of [`pitch`](Self::pitch), the padding's results being
    /// computed and dropped.
    pub fn places(self) -> usize {
        self.height * self.pitch()
    }

    /// Pixels without padding.
    pub fn area(self) -> usize {
        self.height * self.width
    }

    /// Index offset of each tap of a `side × side` kernel, row-major, from the first.
    pub fn taps(self, side: usize) -> Vec<usize> {
        (0..side)
            .flat_map(|y| (0..side).map(move |x| y * self.pitch() + x))
            .collect()
    }

    /// Copies images into padded planes of words; a word holds as many channels as values.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    /// - output: `[n, words, plane]`
    pub fn pad(self, unit: DotUnit, images: &[f32], channels: usize) -> Vec<u32> {
        self.pad_each(unit, &self.each(images, channels), channels)
    }

    /// [`pad`](Self::pad) of images from anywhere; zeros where there is none.
    pub fn pad_each(self, unit: DotUnit, images: &[Option<&[f32]>], channels: usize) -> Vec<u32> {
        let (words, per_word) = (unit.words(channels), unit.values_per_word());
        let mut padded = vec![0; images.len() * words * self.plane()];
        let planes = padded.par_chunks_mut(self.plane()).enumerate();
        planes.for_each(|(index, padded)| {
            let Some(image) = images[index / words] else {
                return;
            };
            let first = index % words * per_word;
            let count = per_word.min(channels - first);
            let planes = &image[first * self.area()..][..count * self.area()];
            let inner =
                padded[self.padding * self.pitch() + self.padding..].chunks_mut(self.pitch());
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

    /// Copies images into padded, channels-last ones.
    ///
    /// # Shapes
    /// - images: `[n, channels, height, width]`
    /// - output: `[n, plane, channels]`
    pub fn pad_channels_last(self, images: &[f32], channels: usize) -> Vec<f32> {
        self.pad_each_channels_last(&self.each(images, channels), channels)
    }

    /// [`pad_channels_last`](Self::pad_channels_last) of images from anywhere; zeros where there is none.
    pub fn pad_each_channels_last(self, images: &[Option<&[f32]>], channels: usize) -> Vec<f32> {
        let mut padded = vec![0.0; images.len() * self.plane() * channels];
        let tasks: Vec<_> = padded
            .chunks_mut(self.plane() * channels)
            .zip(images)
            .filter_map(|(padded, image)| Some((padded, (*image)?)))
            .flat_map(|(padded, image)| {
                let inner = &mut padded[self.padding * self.pitch() * channels..];
                let lines = inner.chunks_mut(self.pitch() * channels).take(self.height);
                lines.enumerate().map(move |(y, line)| (image, y, line))
            })
            .collect();
        tasks.into_par_iter().for_each(|(image, y, line)| {
            let pixels = &mut line[self.padding * channels..][..self.width * channels];
            for first in (0..channels).step_by(CHANNELS) {
                let count = CHANNELS.min(channels - first);
                let rows = |channel| &image[(first + channel) * self.area() + y * self.width..];
                let rows: [&[f32]; CHANNELS] =
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

    fn each(self, images: &[f32], channels: usize) -> Vec<Option<&[f32]>> {
        let images = images.chunks_exact(channels * self.area());
        images.map(Some).collect()
    }

    /// Copies a plane `[height, width]` into a padded one whose padding is 0 already.
    pub fn pad_into(self, plane: &[f32], padded: &mut [f32]) {
        let inner = padded[self.padding * self.pitch() + self.padding..].chunks_mut(self.pitch());
        for (row, padded) in plane.chunks_exact(self.width).zip(inner) {
            padded[..self.width].copy_from_slice(row);
        }
    }

    /// Writes the results of places `[first, first + values.len())`, plus `bias`, to a plane
    /// `[height, width]`, dropping those of the padding.
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
