/// Mirrors coordinates at both ends of an axis without repeating the outermost pixels (OpenCV's
/// `BORDER_REFLECT_101`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mirror {
    period: f64,
    per_period: f64,
}

impl Mirror {
    /// For an axis of `size` pixels.
    pub fn new(size: usize) -> Self {
        let period = 2.0 * (size - 1) as f64;
        let per_period = if size > 1 { 1.0 / period } else { 0.0 };
        Self { period, per_period }
    }

    #[inline(always)]
    pub fn reflect(&self, place: f64) -> f64 {
        let place = place - self.period * (place * self.per_period).floor();
        // Rounding may miss an end by a hair.
        place.min(self.period - place).max(0.0)
    }
}

/// Mirrors a pixel's index likewise.
#[inline(always)]
pub(crate) fn reflect_index(index: isize, size: usize) -> usize {
    let last = size as isize - 1;
    if last == 0 {
        return 0;
    }
    let index = index.rem_euclid(2 * last);
    index.min(2 * last - index) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_pixel_is_not_repeated() {
        // numpy.pad([0, 1, 2, 3], 5, mode="reflect")
        let expected = [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2];
        for (index, expected) in (-5..9).zip(expected) {
            assert_eq!(reflect_index(index, 4), expected);
            assert!((Mirror::new(4).reflect(index as f64) - expected as f64).abs() < 1e-12);
        }
        assert_eq!(Mirror::new(3).reflect(2.5), 1.5);
        assert_eq!(
            (Mirror::new(1).reflect(-3.0), reflect_index(-3, 1)),
            (0.0, 0)
        );
    }
}
