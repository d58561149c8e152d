//! Strokes in the squares of a sheet.

use std::ops::Range;

use ndarray::Array2;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A square of a sheet with one stroke.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Rows of the square.
    pub rows: Range<usize>,
    /// Columns of the square.
    pub columns: Range<usize>,
    /// The stroke's pixels (y, x), all of them papyrus.
    pub stroke: Vec<(usize, usize)>,
}

impl Cell {
    /// Whether at least half of the stroke is `ink`, (y, x).
    pub fn is_found(&self, ink: &Array2<bool>) -> bool {
        2 * self.stroke.iter().filter(|&&at| ink[at]).count() >= self.stroke.len()
    }
}

/// Length of a stroke, as a share of the square's side.
const LENGTH: f64 = 0.6;

/// Squares of `side` px that hold papyrus, row by row, each with a straight stroke of so much `width` at a
/// place and angle drawn from `seed`. Squares on whose papyrus less than half of a stroke lies are left
/// out.
pub fn cells(papyrus: &Array2<bool>, side: usize, width: f64, seed: u64) -> Vec<Cell> {
    let (height, whole) = papyrus.dim();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut cells = Vec::new();
    for y in (0..height).step_by(side) {
        for x in (0..whole).step_by(side) {
            let (rows, columns) = (y..height.min(y + side), x..whole.min(x + side));
            let middle: [f64; 2] = [0, 1].map(|_| random.random_range(0.35..0.65) * side as f64);
            let angle = random.random_range(0.0..std::f64::consts::PI);
            let along = |dy: f64, dx: f64| {
                let (sin, cos) = angle.sin_cos();
                [dy * sin + dx * cos, dx * sin - dy * cos]
            };
            let pixels = rows
                .clone()
                .flat_map(|y| columns.clone().map(move |x| (y, x)));
            let on_stroke = |&(py, px): &(usize, usize)| {
                let [along, across] = along(
                    (py - y) as f64 + 0.5 - middle[0],
                    (px - x) as f64 + 0.5 - middle[1],
                );
                along.abs() <= LENGTH / 2.0 * side as f64 && across.abs() <= width / 2.0
            };
            let drawn: Vec<_> = pixels.filter(on_stroke).collect();
            let stroke = drawn.iter().copied().filter(|&at| papyrus[at]);
            let stroke: Vec<_> = stroke.collect();
            if 2.0 * stroke.len() as f64 >= LENGTH * side as f64 * width {
                cells.push(Cell {
                    rows,
                    columns,
                    stroke,
                });
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_square_has_a_stroke_on_papyrus() {
        let papyrus = Array2::from_shape_fn((100, 150), |(_, x)| x < 110);
        let found = cells(&papyrus, 50, 6.0, 1);
        // Of the third column of squares only ten pixels are papyrus.
        assert_eq!(found.len(), 4);
        for cell in &found {
            let expected = 0.6 * 50.0 * 6.0;
            let area = cell.stroke.len() as f64;
            assert!((0.5 * expected..1.2 * expected).contains(&area), "{area}");
            assert!(
                cell.stroke
                    .iter()
                    .all(|&(y, x)| cell.rows.contains(&y) && cell.columns.contains(&x))
            );
        }
        assert_eq!(found[0].stroke, cells(&papyrus, 50, 6.0, 1)[0].stroke);
        assert_ne!(found[0].stroke, cells(&papyrus, 50, 6.0, 2)[0].stroke);
    }
}
