//! Tables and kernels made for another image size, brought to this one as timm brings them.

/// A linear map along one axis: `rows[out][in]`.
#[derive(Clone, Debug)]
pub struct AxisMap {
    rows: Vec<Vec<f64>>,
}

/// The cubic kernel that PyTorch's antialiased resizing has (Keys's with a = −0.5).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

impl AxisMap {
    /// `torch.nn.functional.interpolate(mode="bicubic", antialias=True)` along one axis.
    pub fn bicubic(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let blur = scale.max(1.0);
        let row = |place: usize| {
            let centre = scale * (place as f64 + 0.5);
            let first = (centre - 2.0 * blur + 0.5).max(0.0) as usize;
            let last = ((centre + 2.0 * blur + 0.5) as usize).min(from);
            let mut row = vec![0.0; from];
            for (index, value) in row.iter_mut().enumerate().take(last).skip(first) {
                *value = cubic((index as f64 - centre + 0.5) / blur);
            }
            let sum: f64 = row.iter().sum();
            row.iter().map(|value| value / sum).collect()
        };
        Self {
            rows: (0..to).map(row).collect(),
        }
    }

    /// For patch embeddings: the map whose use on kernels undoes, as well as can be, the
    /// resizing of patches (Beyer et al., *FlexiViT*); the transposed pseudo-inverse of
    /// [`bicubic`](Self::bicubic).
    pub fn pseudo_inverse(from: usize, to: usize) -> Self {
        let resize = Self::bicubic(from, to).rows;
        let transposed = transpose(&resize);
        // Either (rows · rowsᵀ)⁻¹ · rows or rows · (rowsᵀ · rows)⁻¹, whichever square is regular.
        let rows = match to <= from {
            true => solve(product(&resize, &transposed), resize),
            false => transpose(&solve(product(&transposed, &resize), transposed)),
        };
        Self { rows }
    }

    /// For tables of relative positions: old distances are spread in geometric progression over
    /// the new range, near ones densest (BEiT's way, as timm does it without scipy), and read
    /// linearly.
    pub fn geometric(from: usize, to: usize) -> Self {
        let places = spread(from, to);
        let reach = (to / 2) as f64;
        let row = |place: usize| linear_row(&places, place as f64 - reach);
        Self {
            rows: (0..to).map(row).collect(),
        }
    }

    /// Applies the map to both inner axes.
    ///
    /// # Shapes
    /// - values: `[outer, from, from, inner]`, row-major
    /// - output: `[outer, to, to, inner]`
    pub fn apply(&self, values: &[f32], outer: usize, inner: usize) -> Vec<f32> {
        let (to, from) = (self.rows.len(), self.rows.first().map_or(0, Vec::len));
        let down = self.along(values.iter().map(|&v| f64::from(v)), outer, from * inner);
        self.along(down.into_iter(), outer * to, inner)
            .into_iter()
            .map(|value| value as f32)
            .collect()
    }

    /// `[outer, from, inner]` to `[outer, to, inner]`.
    fn along(&self, values: impl Iterator<Item = f64>, outer: usize, inner: usize) -> Vec<f64> {
        let values: Vec<f64> = values.collect();
        let from = self.rows.first().map_or(0, Vec::len);
        let mut out = Vec::with_capacity(outer * self.rows.len() * inner);
        for block in 0..outer {
            for row in &self.rows {
                let mut sums = vec![0.0; inner];
                for (index, &weight) in row.iter().enumerate().filter(|(_, weight)| **weight != 0.0)
                {
                    let start = (block * from + index) * inner;
                    let line = &values[start..start + inner];
                    for (sum, value) in sums.iter_mut().zip(line) {
                        *sum += weight * value;
                    }
                }
                out.extend(sums);
            }
        }
        out
    }
}

/// Distances `−far … 0 … far`, `from` of them, each step longer than the last by one ratio, which
/// is found by bisection so that they reach `to / 2`.
fn spread(from: usize, to: usize) -> Vec<f64> {
    let steps = (from / 2) as i32;
    let (mut low, mut high) = (1.01_f64, 1.5_f64);
    let mut ratio = low;
    while high - low > 1e-6 {
        ratio = f64::midpoint(low, high);
        let reached = (1.0 - ratio.powi(steps)) / (1.0 - ratio);
        if reached > (to / 2) as f64 {
            high = ratio;
        } else {
            low = ratio;
        }
    }
    let mut place = 1.0;
    let mut distances = Vec::new();
    for step in 1..=steps {
        distances.push(place);
        place += ratio.powi(step);
    }
    let nearer = distances.iter().rev().map(|distance| -distance);
    let mut places: Vec<f64> = nearer.collect();
    places.push(0.0);
    places.extend(distances);
    places
}

/// The weights of `places` at `x`, linear between neighbours and constant beyond the ends.
fn linear_row(places: &[f64], x: f64) -> Vec<f64> {
    let mut row = vec![0.0; places.len()];
    let right = places
        .partition_point(|&place| place < x)
        .min(places.len() - 1);
    let left = right.saturating_sub(1);
    let gap = places[right] - places[left];
    let share = match gap > 0.0 {
        true => ((x - places[left]) / gap).clamp(0.0, 1.0),
        false => 1.0,
    };
    row[left] += 1.0 - share;
    row[right] += share;
    row
}

type Matrix = Vec<Vec<f64>>;

fn transpose(matrix: &Matrix) -> Matrix {
    let columns = matrix.first().map_or(0, Vec::len);
    (0..columns)
        .map(|column| matrix.iter().map(|row| row[column]).collect())
        .collect()
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let b = transpose(b);
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum();
    a.iter()
        .map(|row| b.iter().map(|column| dot(row, column)).collect())
        .collect()
}

/// `a⁻¹ · b` by elimination with pivots; `a` is square and regular.
fn solve(mut a: Matrix, mut b: Matrix) -> Matrix {
    let size = a.len();
    for step in 0..size {
        let pivot = (step..size)
            .max_by(|&x, &y| a[x][step].abs().total_cmp(&a[y][step].abs()))
            .unwrap_or(step);
        a.swap(step, pivot);
        b.swap(step, pivot);
        let scale = a[step][step];
        for row in [&mut a[step], &mut b[step]] {
            row.iter_mut().for_each(|value| *value /= scale);
        }
        for other in (0..size).filter(|&other| other != step) {
            let factor = a[other][step];
            for matrix in [&mut a, &mut b] {
                let pivot_row = matrix[step].clone();
                for (value, pivot) in matrix[other].iter_mut().zip(pivot_row) {
                    *value -= factor * pivot;
                }
            }
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bicubic_keeps_constants_and_identity() {
        for (from, to) in [(16, 8), (8, 24), (5, 7)] {
            for row in AxisMap::bicubic(from, to).rows {
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(AxisMap::bicubic(2, 2).apply(&values, 1, 1), values);
    }

    #[test]
    fn a_pseudo_inverse_undoes_the_resizing() {
        for (from, to) in [(14, 16), (16, 8)] {
            let forth = AxisMap::bicubic(from, to).rows;
            let back = transpose(&AxisMap::pseudo_inverse(from, to).rows);
            let (one, size) = match to > from {
                true => (product(&back, &forth), from),
                false => (product(&forth, &back), to),
            };
            for (row, values) in one.iter().enumerate() {
                for (column, value) in values.iter().enumerate() {
                    let expected = f64::from(u8::from(row == column));
                    assert!((value - expected).abs() < 1e-9, "{size}: {row}, {column}");
                }
            }
        }
    }

    #[test]
    fn geometric_steps_reach_from_end_to_end() {
        let rows = AxisMap::geometric(13, 23).rows;
        assert!((rows[0][0] - 1.0).abs() < 1e-3 && (rows[22][12] - 1.0).abs() < 1e-3);
        assert!((rows[11][6] - 1.0).abs() < 1e-12);
    }
}
