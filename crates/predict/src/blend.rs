use ndarray::{Array1, Array2, Array3, ArrayView3, ArrayViewMut2, s};

use crate::InferenceRules;

/// The weights of a tile's pixels along one axis: a second-order spline that is 0 at the edges
/// and highest in the middle, normalised to mean 1 (after Chevalier's smoothly blended patches).
/// Tiles half a side apart add up smoothly.
pub fn spline_weights(side: usize) -> Array1<f64> {
    let quarter = side / 4;
    let n = side as f64;
    // scipy.signal.triang: the even and the odd case differ by half a step.
    let triangle = |i: usize| {
        let i = (i.min(side - 1 - i) + 1) as f64;
        match side.is_multiple_of(2) {
            true => (2.0 * i - 1.0) / n,
            false => 2.0 * i / (n + 1.0),
        }
    };
    let weight = |i: usize| {
        let inner = i >= quarter && i < side - quarter;
        match inner {
            true => 1.0 - (2.0 * (triangle(i) - 1.0)).powi(2) / 2.0,
            false => (2.0 * triangle(i)).powi(2) / 2.0,
        }
    };
    let weights = Array1::from_shape_fn(side, weight);
    let mean = weights.mean().unwrap_or(1.0);
    weights / mean
}

/// Adds up overlapping tiles under their weights, from the top row to the bottom one; rows that no
/// later tile reaches are handed on, so that memory holds one row of tiles.
pub struct Blend<'a> {
    mask: &'a Array2<bool>,
    rules: InferenceRules,
    weights: Array2<f32>,
    /// The first row that is kept.
    first: usize,
    /// Weighted sums, (channel, row, column).
    sums: Array3<f32>,
    weight: Array2<f32>,
}

/// Blended rows.
pub struct Rows<'a> {
    /// The first of them.
    pub first: usize,
    /// (channel, row, column); 0 outside the mask.
    pub values: ArrayView3<'a, f32>,
}

impl<'a> Blend<'a> {
    /// An empty sheet, for tiles of `channels` images that count by `weights` (y, x), square; pixels
    /// where `mask` (y, x) is set get a value by `rules`.
    pub fn new(
        mask: &'a Array2<bool>,
        rules: InferenceRules,
        weights: Array2<f32>,
        channels: usize,
    ) -> Self {
        let side = weights.nrows();
        Self {
            mask,
            rules,
            weights,
            first: 0,
            sums: Array3::zeros((channels, side, mask.ncols())),
            weight: Array2::zeros((side, mask.ncols())),
        }
    }

    /// Adds a tile, (channel, y, x), whose upper left pixel is (`y`, `x`); what lies beyond the sheet
    /// is dropped. Tiles come in the order of their rows: the rows above this one go to `finished`.
    ///
    /// # Errors
    /// Those of `finished`.
    pub fn add<E>(
        &mut self,
        [y, x]: [usize; 2],
        tile: ArrayView3<f32>,
        finished: &mut dyn FnMut(Rows) -> Result<(), E>,
    ) -> Result<(), E> {
        self.finish_until(y, finished)?;
        let (height, width) = self.mask.dim();
        let (_, side, _) = tile.dim();
        let (rows, columns) = (side.min(height - y), side.min(width - x));
        let weights = self.weights.slice(s![..rows, ..columns]);
        let place = s![..rows, x..x + columns];
        for (mut sum, image) in self.sums.outer_iter_mut().zip(tile.outer_iter()) {
            let weighted = &image.slice(s![..rows, ..columns]) * &weights;
            let mut sum = sum.slice_mut(place);
            sum += &weighted;
        }
        let mut weight = self.weight.slice_mut(place);
        weight += &weights;
        Ok(())
    }

    /// Hands on all rows that are left.
    ///
    /// # Errors
    /// Those of `finished`.
    pub fn finish<E>(mut self, finished: &mut dyn FnMut(Rows) -> Result<(), E>) -> Result<(), E> {
        self.finish_until(self.mask.nrows(), finished)
    }

    fn finish_until<E>(
        &mut self,
        end: usize,
        finished: &mut dyn FnMut(Rows) -> Result<(), E>,
    ) -> Result<(), E> {
        let side = self.weight.nrows();
        while self.first < end {
            let count = side.min(end - self.first);
            self.divide(count);
            finished(Rows {
                first: self.first,
                values: self.sums.slice(s![.., ..count, ..]),
            })?;
            for mut sum in self.sums.outer_iter_mut() {
                move_up(&mut sum, count);
            }
            move_up(&mut self.weight.view_mut(), count);
            self.first += count;
        }
        Ok(())
    }

    /// Makes means of the sums of the first `count` rows.
    fn divide(&mut self, count: usize) {
        let (mask, rules) = (self.mask, self.rules);
        let mask = mask.slice(s![self.first..self.first + count, ..]);
        let weight = self.weight.slice(s![..count, ..]);
        for mut sum in self.sums.outer_iter_mut() {
            ndarray::Zip::from(sum.slice_mut(s![..count, ..]))
                .and(weight)
                .and(mask)
                .for_each(|value, &weight, &papyrus| {
                    *value = match papyrus {
                        true => rules.quotient(*value, weight),
                        false => 0.0,
                    };
                });
        }
    }
}

/// Moves rows up by `count` and clears those that come free.
fn move_up(rows: &mut ArrayViewMut2<f32>, count: usize) {
    let side = rows.nrows();
    for row in count..side {
        let (mut above, below) = rows.multi_slice_mut((s![row - count, ..], s![row, ..]));
        above.assign(&below);
    }
    rows.slice_mut(s![side - count.., ..]).fill(0.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the recipe's window with scipy 1.17's `triang`.
    #[test]
    fn weights_are_the_references() {
        let weights = spline_weights(8);
        let raw = [
            0.03125, 0.28125, 0.71875, 0.96875, 0.96875, 0.71875, 0.28125, 0.03125,
        ];
        let mean = raw.iter().sum::<f64>() / 8.0;
        for (found, raw) in weights.iter().zip(raw) {
            assert!((found - raw / mean).abs() < 1e-12);
        }
        let odd = spline_weights(5);
        assert!((odd.sum() - 5.0).abs() < 1e-12 && odd[2] > odd[1] && odd[1] > odd[0]);
    }

    /// All at once: sums over the whole sheet, divided at the end.
    fn at_once(mask: &Array2<bool>, tiles: &[([usize; 2], Array3<f32>)]) -> Array3<f32> {
        let (height, width) = mask.dim();
        let (channels, side, _) = tiles[0].1.dim();
        let line = spline_weights(side);
        let mut sums = Array3::<f32>::zeros((channels, height, width));
        let mut weights = Array2::<f32>::zeros((height, width));
        for ([top, left], tile) in tiles {
            for ((c, y, x), value) in tile.indexed_iter() {
                let place = (top + y, left + x);
                if place.0 < height && place.1 < width {
                    let weight = (line[y] * line[x]) as f32;
                    sums[(c, place.0, place.1)] += value * weight;
                    weights[place] += if c == 0 { weight } else { 0.0 };
                }
            }
        }
        Array3::from_shape_fn(sums.dim(), |(c, y, x)| {
            match mask[(y, x)] && weights[(y, x)] > 0.0 {
                true => sums[(c, y, x)] / weights[(y, x)],
                false => 0.0,
            }
        })
    }

    #[test]
    fn rows_are_handed_on_once_in_order_and_with_the_same_bits_as_all_at_once() {
        let mask = Array2::from_shape_fn((45, 15), |(y, x)| (y, x) != (3, 3) && y != 40);
        let tile = |seed: usize| {
            Array3::from_shape_fn((2, 8, 8), |(c, y, x)| {
                ((seed * 7 + c * 5 + y * 3 + x) % 11) as f32 / 11.0
            })
        };
        // A gap of more than a tile in between, and a last tile that reaches beyond the sheet.
        let tops = [0, 3, 6, 24, 27, 40];
        let tiles: Vec<_> = tops
            .iter()
            .flat_map(|&y| [0, 4, 9].map(|x| ([y, x], tile(y + x))))
            .collect();
        let expected = at_once(&mask, &tiles);
        let weights = crate::BlendWindow::Spline.weights(8);
        let mut blend = Blend::new(&mask, InferenceRules::Reference, weights, 2);
        let mut sheet = Array3::zeros((2, 45, 15));
        let mut next = 0;
        let mut take = |rows: Rows| -> Result<(), ()> {
            assert_eq!(rows.first, next);
            next += rows.values.dim().1;
            sheet
                .slice_mut(s![.., rows.first..next, ..])
                .assign(&rows.values);
            Ok(())
        };
        for (place, tile) in &tiles {
            blend.add(*place, tile.view(), &mut take).unwrap();
        }
        blend.finish(&mut take).unwrap();
        assert_eq!(next, 45);
        assert_eq!(sheet, expected);
    }
}
