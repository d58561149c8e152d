use serde::{Deserialize, Serialize};

/// Mean intensity per layer: 16-bit grey levels, or shares of a range where it was normalised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve {
    values: Vec<f64>,
}

impl Curve {
    /// A curve with one value per layer, from layer 0.
    pub fn new(values: Vec<f64>) -> Self {
        Self { values }
    }

    /// One value per layer, from layer 0; NaN where none was measured.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Number of layers.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value at depth `z`, linear between layers; beyond the ends the outermost slope goes
    /// on, as `scipy.interpolate.interp1d(fill_value="extrapolate")` has it.
    pub fn at(&self, z: f64) -> f64 {
        let (below, part) = self.segment(z);
        self.values[below] + part * self.slope(below)
    }

    /// The slope at depth `z`, per layer.
    pub fn slope_at(&self, z: f64) -> f64 {
        self.slope(self.segment(z).0)
    }

    fn segment(&self, z: f64) -> (usize, f64) {
        let last = self.values.len().saturating_sub(2);
        let below = (z.max(0.0) as usize).min(last);
        (below, z - below as f64)
    }

    fn slope(&self, below: usize) -> f64 {
        let above = (below + 1).min(self.values.len() - 1);
        self.values[above] - self.values[below]
    }

    /// The lowest and the highest value within the layers `first..=last`, layers that are no
    /// number aside; `None` when the curve is flat there.
    pub(crate) fn range(&self, first: usize, last: usize) -> Option<[f64; 2]> {
        let within = self
            .values
            .get(first..=last.min(self.values.len().checked_sub(1)?))?;
        let low = within.iter().copied().fold(f64::INFINITY, f64::min);
        let high = within.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let range = high - low;
        (range.is_finite() && range > 1e-9).then_some([low, high])
    }

    /// The curve with `range` brought to [0, 1].
    pub(crate) fn within(&self, [low, high]: [f64; 2]) -> Self {
        let share = |value: &f64| (value - low) / (high - low);
        Self::new(self.values.iter().map(share).collect())
    }

    /// The curve brought to [0, 1] by its own extremes within the layers `first..=last`; `None`
    /// when it is flat there.
    pub fn normalized(&self, first: usize, last: usize) -> Option<Self> {
        Some(self.within(self.range(first, last)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_linear_between_layers_and_goes_on_beyond() {
        let curve = Curve::new(vec![1.0, 3.0, 2.0]);
        let values = [0.5, 1.5, -1.0, 3.0].map(|z| curve.at(z));
        assert_eq!(values, [2.0, 2.5, -1.0, 1.0]);
    }

    #[test]
    fn a_flat_curve_cannot_be_normalised() {
        assert_eq!(Curve::new(vec![4.0; 9]).normalized(2, 6), None);
        let curve = Curve::new(vec![9.0, 2.0, 4.0, 3.0])
            .normalized(1, 3)
            .unwrap();
        assert_eq!(curve.values(), [3.5, 0.0, 1.0, 0.5]);
    }
}
