//! Images with a border of zeros, row after row, so that a shift by one pixel is a shift of the
//! index.

use rayon::prelude::*;

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

/// Places behind a plane that a vector may read but whose results nobody takes.
const SLACK: usize = 160;

impl Frame {
    /// From one row of a padded plane to the next.
    pub fn pitch(self) -> usize {
        self.width + 2 * self.border
    }

    /// Values of a padded plane and its slack.
    pub fn plane(self) -> usize {
        (self.height + 2 * self.border) * self.pitch() + SLACK
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

    /// Copies `planes` of the image's size into padded ones.
    ///
    /// # Shapes
    /// - planes: `[n, height, width]`
    /// - output: `[n, plane]`
    pub fn pad(self, planes: &[f32]) -> Vec<f32> {
        let mut padded = vec![0.0; planes.len() / self.area() * self.plane()];
        padded
            .par_chunks_mut(self.plane())
            .zip(planes.par_chunks(self.area()))
            .for_each(|(padded, plane)| self.pad_into(plane, padded));
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
