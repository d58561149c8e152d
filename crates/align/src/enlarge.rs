use ndarray::Array2;

use crate::fit::Lattice;

/// Enlarges values at patch centres to a map of `size` (height, width): linear between centres,
/// and going on linearly for up to one step beyond the outermost ones. The centre of patch (i, j)
/// is at pixel ((i + 1) · step, (j + 1) · step), pixel centres at whole numbers plus one half.
pub(crate) fn enlarge(values: &[f64], lattice: &Lattice, size: (usize, usize)) -> Array2<f32> {
    let (y, x) = (
        places(size.0, lattice.rows, lattice.step),
        places(size.1, lattice.columns, lattice.step),
    );
    let value = |row: usize, column: usize| values[row * lattice.columns + column];
    Array2::from_shape_fn(size, |(row, column)| {
        let ((i, v), (j, u)) = (y[row], x[column]);
        let (below, right) = (
            (i + 1).min(lattice.rows - 1),
            (j + 1).min(lattice.columns - 1),
        );
        let upper = value(i, j) * (1.0 - u) + value(i, right) * u;
        let lower = value(below, j) * (1.0 - u) + value(below, right) * u;
        (upper * (1.0 - v) + lower * v) as f32
    })
}

/// For each pixel the centre before it and the share of the way to the next; shares below 0 and
/// above 1 extrapolate.
fn places(size: usize, centres: usize, step: f64) -> Vec<(usize, f64)> {
    let last = centres.saturating_sub(2);
    let place = |pixel: usize| {
        let place = (pixel as f64 + 0.5) / step - 1.0;
        let before = (place.max(0.0) as usize).min(last);
        (before, (place - before as f64).clamp(-1.0, 2.0))
    };
    (0..size).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_stays_a_plane() {
        let lattice = Lattice {
            rows: 3,
            columns: 4,
            step: 10.0,
        };
        let plane = |y: f64, x: f64| 2.0 + 0.1 * y - 0.03 * x;
        let values: Vec<f64> = (0..12)
            .map(|i| plane((i / 4 + 1) as f64 * 10.0, (i % 4 + 1) as f64 * 10.0))
            .collect();
        let map = enlarge(&values, &lattice, (40, 50));
        for ((y, x), &value) in map.indexed_iter() {
            let expected = plane(y as f64 + 0.5, x as f64 + 0.5);
            assert!((f64::from(value) - expected).abs() < 1e-4, "({y}, {x})");
        }
    }

    #[test]
    fn a_single_patch_is_constant() {
        let lattice = Lattice {
            rows: 1,
            columns: 1,
            step: 8.0,
        };
        assert!(enlarge(&[3.5], &lattice, (5, 30)).iter().all(|&v| v == 3.5));
    }
}
