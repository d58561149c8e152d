use ndarray::{Array1, Array2, ArrayView2, s};

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

/// Adds up overlapping tiles under their weights.
pub struct Blend {
    weights: Array2<f32>,
    sum: Array2<f32>,
    weight: Array2<f32>,
}

impl Blend {
    /// An empty sheet of `size` (height, width) for tiles of `side`² px.
    pub fn new(size: (usize, usize), side: usize) -> Self {
        let line = spline_weights(side);
        let weights = Array2::from_shape_fn((side, side), |(y, x)| (line[y] * line[x]) as f32);
        Self {
            weights,
            sum: Array2::zeros(size),
            weight: Array2::zeros(size),
        }
    }

    /// Adds a tile whose upper left pixel is (`y`, `x`); what lies beyond the sheet is dropped.
    pub fn add(&mut self, y: usize, x: usize, tile: ArrayView2<f32>) {
        let (height, width) = self.sum.dim();
        let rows = tile.nrows().min(height - y);
        let columns = tile.ncols().min(width - x);
        let place = s![y..y + rows, x..x + columns];
        let weights = self.weights.slice(s![..rows, ..columns]);
        let weighted = &tile.slice(s![..rows, ..columns]) * &weights;
        let mut sum = self.sum.slice_mut(place);
        sum += &weighted;
        let mut weight = self.weight.slice_mut(place);
        weight += &weights;
    }

    /// The blended sheet, (y, x); 0 outside `mask`.
    pub fn finish(self, mask: &Array2<bool>) -> Array2<f32> {
        let mut sheet = self.sum;
        ndarray::Zip::from(&mut sheet)
            .and(&self.weight)
            .and(mask)
            .for_each(|value, &weight, &papyrus| {
                *value = match papyrus && weight > 0.0 {
                    true => *value / weight,
                    false => 0.0,
                };
            });
        sheet
    }
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

    #[test]
    fn tiles_of_one_value_blend_to_it() {
        let mut blend = Blend::new((20, 15), 8);
        for y in [0, 4, 8, 12] {
            for x in [0, 4, 8] {
                blend.add(y, x, Array2::from_elem((8, 8), 0.3).view());
            }
        }
        let mask = Array2::from_shape_fn((20, 15), |(y, x)| (y, x) != (3, 3));
        let sheet = blend.finish(&mask);
        for (place, &value) in sheet.indexed_iter() {
            let expected = if place == (3, 3) { 0.0 } else { 0.3 };
            assert!((value - expected).abs() < 1e-6, "{place:?}: {value}");
        }
    }
}
