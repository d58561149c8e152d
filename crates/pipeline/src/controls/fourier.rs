//! Fourier transforms of squares.

use std::f64::consts::PI;

/// A complex number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complex {
    /// Real part.
    pub re: f32,
    /// Imaginary part.
    pub im: f32,
}

impl Complex {
    /// A real number.
    pub fn real(re: f32) -> Self {
        Self { re, im: 0.0 }
    }

    /// The number of absolute value 1 at an angle in radians.
    fn at_angle(angle: f64) -> Self {
        Self {
            re: angle.cos() as f32,
            im: angle.sin() as f32,
        }
    }

    /// The product with another.
    pub fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    /// The product with a real number.
    pub fn scaled(self, factor: f32) -> Self {
        Self {
            re: self.re * factor,
            im: self.im * factor,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }
}

/// From values to frequencies, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Values to frequencies.
    Forward,
    /// Frequencies to values, times their number.
    Inverse,
}

/// The two-dimensional discrete Fourier transform of a square whose side is a power of two, row by row, in
/// place (Cooley and Tukey 1965).
pub fn transform(values: &mut [Complex], side: usize, direction: Direction) {
    assert!(
        side.is_power_of_two() && values.len() == side * side,
        "a square of a power of two"
    );
    let sign = match direction {
        Direction::Forward => -2.0,
        Direction::Inverse => 2.0,
    };
    let roots: Vec<Complex> = (0..side / 2)
        .map(|k| Complex::at_angle(sign * PI * k as f64 / side as f64))
        .collect();
    for _ in 0..2 {
        values
            .chunks_exact_mut(side)
            .for_each(|row| transform_row(row, &roots));
        for y in 0..side {
            for x in 0..y {
                values.swap(y * side + x, x * side + y);
            }
        }
    }
}

fn transform_row(row: &mut [Complex], roots: &[Complex]) {
    let side = row.len();
    for place in 0..side {
        let mirrored = place.reverse_bits() >> (usize::BITS - side.trailing_zeros()).min(63);
        if side > 1 && mirrored > place {
            row.swap(place, mirrored);
        }
    }
    let mut half = 1;
    while half < side {
        for group in row.chunks_exact_mut(2 * half) {
            let (low, high) = group.split_at_mut(half);
            for (k, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let turned = high.times(roots[k * side / (2 * half)]);
                (*low, *high) = (low.plus(turned), low.plus(turned.scaled(-1.0)));
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sum_that_defines_it() {
        let side = 8;
        let value = |index: usize| Complex {
            re: (index * 37 % 11) as f32,
            im: (index * 17 % 7) as f32,
        };
        let values: Vec<Complex> = (0..side * side).map(value).collect();
        let mut found = values.clone();
        transform(&mut found, side, Direction::Forward);
        for (v, u) in [(0, 0), (1, 0), (0, 3), (5, 6)] {
            let mut expected = Complex::real(0.0);
            for y in 0..side {
                for x in 0..side {
                    let angle = -2.0 * PI * ((u * x + v * y) as f64) / side as f64;
                    expected = expected.plus(values[y * side + x].times(Complex::at_angle(angle)));
                }
            }
            let found = found[v * side + u];
            let apart = (found.re - expected.re).hypot(found.im - expected.im);
            assert!(apart < 1e-3, "{found:?} {expected:?}");
        }
        transform(&mut found, side, Direction::Inverse);
        for (found, value) in found.iter().zip(&values) {
            assert!(
                (found.re / 64.0 - value.re).abs() < 1e-4,
                "{found:?} {value:?}"
            );
        }
        let mut one = [Complex::real(3.0)];
        transform(&mut one, 1, Direction::Forward);
        assert_eq!(one[0], Complex::real(3.0));
    }
}
