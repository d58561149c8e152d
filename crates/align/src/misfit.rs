use crate::Curve;

/// Share of the compared layers that a scan must cover for a place to count.
const COVERAGE: f64 = 0.6;

/// How well a measured curve, shifted and scaled, lies on the target.
///
/// Brightness and contrast of the patch are free (they vary over a sheet): the misfit is what
/// remains of the target's variance after the best linear fit, `1 − r²` of a rising fit, and 1 or
/// more where the curves oppose each other.
pub struct Misfit {
    target: Vec<f64>,
    first: usize,
}

impl Misfit {
    /// Compares with the layers `first..=last` of `target`.
    pub fn new(target: &Curve, [first, last]: [usize; 2]) -> Self {
        let target = (first..=last).map(|u| target.at(u as f64)).collect();
        Self { target, first }
    }

    /// The misfit of `curve` when its layer `z` belongs to the target's `z × scale + shift`, 0
    /// (perfect) to 2 (opposed); infinite where too few layers overlap.
    pub fn of(&self, curve: &Curve, scale: f64, shift: f64) -> f64 {
        let last = (curve.len() - 1) as f64;
        let mut sums = Sums::default();
        for (index, &target) in self.target.iter().enumerate() {
            let z = ((self.first + index) as f64 - shift) / scale;
            // Scanners blank the outermost layers.
            if (1.0..=last - 1.0).contains(&z) {
                sums.add(curve.at(z), target);
            }
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
    }
}
