use crate::Curve;

/// Share of the compared layers that a curve must cover for a place to count.
const COVERAGE: f64 = 0.6;

/// How well a measured curve, shifted and scaled, lies on the target.
///
/// Brightness and contrast of the patch are free (they vary over a sheet): the misfit is what
/// remains of the target's variance after the best linear fit, `1 − r²` of a rising fit, and 1 or
/// more where the curves oppose each other. It lies between 0 and 2 whatever the curve holds, so
/// that no patch, however strange, outweighs many good ones.
#[derive(Clone, Debug)]
pub(crate) struct Misfit {
    target: Vec<f64>,
    first: usize,
}

impl Misfit {
    /// Compares with the layers `first..=last` of `target`.
    pub fn new(target: &Curve, [first, last]: [usize; 2]) -> Self {
        let target = (first..=last).map(|u| target.at(u as f64)).collect();
        Self { target, first }
    }

    /// The middle of the compared layers, in layers of the target.
    pub fn middle(&self) -> f64 {
        self.first as f64 + (self.target.len() - 1) as f64 / 2.0
    }

    /// The misfit of `curve` when its layer `z` belongs to the target's `z × scale + shift`, 0
    /// (perfect) to 2 (opposed); infinite where too few measured layers overlap. Layers of
    /// `curve` that are NaN were not measured.
    pub fn of(&self, curve: &Curve, scale: f64, shift: f64) -> f64 {
        let values = curve.values();
        let last = values.len().saturating_sub(1) as f64;
        let step = 1.0 / scale;
        let mut z = (self.first as f64 - shift) * step;
        let mut sums = Sums::default();
        for &target in &self.target {
            if z >= 0.0 && z < last {
                let below = z as usize;
                let part = z - below as f64;
                let value = values[below] + part * (values[below + 1] - values[below]);
                if value.is_finite() {
                    sums.add(value, target);
                }
            }
            z += step;
        }
        if sums.count < COVERAGE * self.target.len() as f64 {
            return f64::INFINITY;
        }
        sums.misfit()
    }
}

#[derive(Default)]
struct Sums {
    count: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Sums {
    fn add(&mut self, x: f64, y: f64) {
        self.count += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.yy += y * y;
        self.xy += x * y;
    }

    fn misfit(&self) -> f64 {
        let n = self.count;
        let xx = self.xx - self.x * self.x / n;
        let yy = self.yy - self.y * self.y / n;
        let xy = self.xy - self.x * self.y / n;
        if !(xx > 1e-9 * self.xx && yy > 0.0) {
            return 1.0;
        }
        let correlation = xy / (xx * yy).sqrt();
        // Opposed curves are worse than unrelated ones.
        1.0 - correlation * correlation.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    #[test]
    fn the_truth_fits_perfectly_whatever_the_brightness() {
        let target = Target::built_in().curve;
        let misfit = Misfit::new(&target, [17, 47]);
        let seen = |z: usize| 300.0 + 50.0 * target.at(z as f64 * 0.8 + 6.0);
        let curve = Curve::new((0..65).map(seen).collect());
        assert!(misfit.of(&curve, 0.8, 6.0) < 0.002);
        assert!(misfit.of(&curve, 0.8, 9.0) > 0.02);
        assert_eq!(misfit.of(&curve, 0.8, 90.0), f64::INFINITY);
        assert_eq!(misfit.middle(), 32.0);
    }

    #[test]
    fn layers_that_were_not_measured_do_not_count() {
        let target = Target::built_in().curve;
        let misfit = Misfit::new(&target, [17, 47]);
        let mut values = target.values().to_vec();
        values[40..].fill(f64::NAN);
        assert!(misfit.of(&Curve::new(values.clone()), 1.0, 0.0) < 1e-9);
        values[30..].fill(f64::NAN);
        assert_eq!(misfit.of(&Curve::new(values), 1.0, 0.0), f64::INFINITY);
    }
}
