use ndarray::parallel::prelude::*;
use ndarray::{Array2, Axis};

/// Values on a regular grid of points over the sheet, linear between them and going on linearly
/// for up to one step beyond the outermost ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lattice {
    /// One value per point, (row, column).
    pub values: Array2<f32>,
    /// Where the first point lies, both ways, in pixels from the sheet's corner (the centre of the
    /// first pixel lies at one half).
    pub origin: f64,
    /// From one point to the next, in pixels.
    pub step: f64,
}

/// The point before a place and the share of the way to the next one; shares below 0 and above 1
/// extrapolate.
type GridCoord = (usize, f32);

impl Lattice {
    /// The value at every place of `ys` × `xs`, in pixels from the corner.
    pub fn at(&self, ys: &[f64], xs: &[f64]) -> Array2<f32> {
        let (rows, columns) = self.values.dim();
        let place = |points: usize| move |&pixel: &f64| self.place(pixel, points);
        let across: Vec<GridCoord> = xs.iter().map(place(columns)).collect();
        let mut out = Array2::zeros((ys.len(), xs.len()));
        let lines = out.axis_iter_mut(Axis(0)).into_par_iter().zip(ys);
        lines.for_each(|(mut line, y)| {
            let (i, v) = self.place(*y, rows);
            let (upper, lower) = (self.values.row(i), self.values.row((i + 1).min(rows - 1)));
            for (value, &(j, u)) in line.iter_mut().zip(&across) {
                let right = (j + 1).min(columns - 1);
                let above = upper[j] + u * (upper[right] - upper[j]);
                let below = lower[j] + u * (lower[right] - lower[j]);
                *value = above + v * (below - above);
            }
        });
        out
    }

    /// The value at the centres of the pixels `rows` × `columns`.
    pub fn at_pixels(
        &self,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
    ) -> Array2<f32> {
        let centres = |range: std::ops::Range<usize>| -> Vec<f64> {
            range.map(|pixel| pixel as f64 + 0.5).collect()
        };
        self.at(&centres(rows), &centres(columns))
    }

    /// The same values on a sheet of `factor` times the pixels both ways.
    pub fn enlarged(self, factor: usize) -> Self {
        Self {
            origin: self.origin * factor as f64,
            step: self.step * factor as f64,
            ..self
        }
    }

    fn place(&self, pixel: f64, points: usize) -> GridCoord {
        let place = (pixel - self.origin) / self.step;
        let before = (place.max(0.0) as usize).min(points.saturating_sub(2));
        (before, (place - before as f64).clamp(-1.0, 2.0) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_stays_a_plane() {
        let plane = |y: f64, x: f64| (2.0 + 0.1 * y - 0.03 * x) as f32;
        let lattice = Lattice {
            values: Array2::from_shape_fn((3, 4), |(i, j)| {
                plane(5.0 + 10.0 * i as f64, 5.0 + 10.0 * j as f64)
            }),
            origin: 5.0,
            step: 10.0,
        };
        let map = lattice.at_pixels(2..35, 0..45);
        for ((y, x), &value) in map.indexed_iter() {
            let expected = plane(y as f64 + 2.5, x as f64 + 0.5);
            assert!((value - expected).abs() < 1e-4, "({y}, {x})");
        }
    }

    #[test]
    fn a_single_point_is_constant() {
        let lattice = Lattice {
            values: Array2::from_elem((1, 1), 3.5),
            origin: 4.0,
            step: 8.0,
        };
        assert!(lattice.at_pixels(0..5, 0..30).iter().all(|&v| v == 3.5));
    }
}
