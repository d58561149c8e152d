//! A bounded least-squares fit of one curve to another, as the reference has it: residuals over
//! fixed layers of the target, from one start.
//!
//! Curves are linear between layers, so that their squared difference has kinks and many small
//! valleys: which of them is found depends on the way there. To end where the reference ends, the
//! way is the same: a trust region, its variables scaled by their distance to the bounds (Branch,
//! Coleman and Li, 1999), with the radii and tolerances of `scipy.optimize.least_squares`.

use crate::Curve;

/// A map of layers, `z × scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScaleShift {
    pub scale: f64,
    pub shift: f64,
}

/// What may move, and how far: (lowest, highest). With equal bounds a parameter stays as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub scale: [f64; 2],
    pub shift: [f64; 2],
}

/// Evaluations at most, per free parameter.
const MOST_TRIED: usize = 100;
/// Relative changes of cost and place, and the scaled gradient, below which the fit stands.
const TOLERANCE: f64 = 1e-8;

/// Moves `curve` from `start` to a minimum of its squared difference from `target` over the
/// target's `layers` (first and last).
pub(crate) fn fit_curve(
    curve: &Curve,
    target: &Curve,
    layers: [usize; 2],
    start: ScaleShift,
    bounds: Bounds,
) -> ScaleShift {
    let limits = [bounds.scale, bounds.shift];
    let free = limits.map(|[low, high]| low < high);
    let at = |x: [f64; 2]| System::at(curve, target, layers, x, free);
    let mut x = [start.scale, start.shift];
    let mut system = at(x);
    let mut region = Region::around(x, &system, limits, free);
    let mut tried = 1;
    while tried < MOST_TRIED * free.iter().filter(|&&free| free).count() {
        let scaled = Scaled::new(x, &system, limits, free);
        if scaled.steepness < TOLERANCE {
            break;
        }
        let step = scaled.step(&mut region);
        let next = [0, 1].map(|i| step.to(x[i], i, limits));
        let reached = at(next);
        tried += 1;
        let gain = system.cost - reached.cost;
        let predicted = scaled.predicted(&step);
        let ratio = if predicted > 0.0 {
            gain / predicted
        } else {
            0.0
        };
        let settled = gain < TOLERANCE * system.cost && ratio > 0.25;
        let moved = norm([next[0] - x[0], next[1] - x[1]]);
        let still = moved < TOLERANCE * (TOLERANCE + norm(x));
        region.adapt(ratio, norm(step.scaled));
        if gain > 0.0 {
            (x, system) = (next, reached);
        }
        if settled || still {
            break;
        }
    }
    ScaleShift {
        scale: x[0],
        shift: x[1],
    }
}

fn norm(v: [f64; 2]) -> f64 {
    v[0].hypot(v[1])
}

/// Half the squared residuals at a place, their gradient and the normal equations' matrix, over
/// (scale, shift).
struct System {
    cost: f64,
    gradient: [f64; 2],
    hessian: [[f64; 2]; 2],
}

impl System {
    fn at(
        curve: &Curve,
        target: &Curve,
        [first, last]: [usize; 2],
        [scale, shift]: [f64; 2],
        free: [bool; 2],
    ) -> Self {
        let mut system = Self {
            cost: 0.0,
            gradient: [0.0; 2],
            hessian: [[0.0; 2]; 2],
        };
        for u in first..=last {
            let z = (u as f64 - shift) / scale;
            let residual = curve.at(z) - target.at(u as f64);
            if !residual.is_finite() {
                continue;
            }
            // On a layer the slope has two values. A forward difference, which scipy takes, sees
            // the one before the layer.
            let slope = -curve.slope_at(z - 1e-9) / scale;
            let all = [slope * z, slope];
            let jacobian = [0, 1].map(|i| if free[i] { all[i] } else { 0.0 });
            system.cost += 0.5 * residual * residual;
            for i in 0..2 {
                system.gradient[i] += jacobian[i] * residual;
                for j in 0..2 {
                    system.hessian[i][j] += jacobian[i] * jacobian[j];
                }
            }
        }
        system
    }
}

/// The trust region: how far a scaled step may go.
struct Region {
    radius: f64,
    damping: f64,
}

impl Region {
    fn around(x: [f64; 2], system: &System, limits: [[f64; 2]; 2], free: [bool; 2]) -> Self {
        let scaled = [0, 1].map(|i| match free[i] {
            true => x[i] / distance(x[i], system.gradient[i], limits[i]).0.sqrt(),
            false => 0.0,
        });
        let radius = norm(scaled);
        Self {
            radius: if radius > 0.0 { radius } else { 1.0 },
            damping: 0.0,
        }
    }

    fn adapt(&mut self, ratio: f64, length: f64) {
        let before = self.radius;
        if ratio < 0.25 {
            self.radius = 0.25 * length;
        } else if ratio > 0.75 && length > 0.95 * self.radius {
            self.radius *= 2.0;
        }
        self.damping *= before / self.radius.max(f64::MIN_POSITIVE);
    }
}

/// The distance to the bound that the gradient points to, and its derivative; 1 and 0 when it
/// does not move.
fn distance(x: f64, gradient: f64, [low, high]: [f64; 2]) -> (f64, f64) {
    if gradient < 0.0 {
        (high - x, -1.0)
    } else if gradient > 0.0 {
        (x - low, 1.0)
    } else {
        (1.0, 0.0)
    }
}

/// The quadratic model in scaled variables, by its principal axes.
struct Scaled {
    d: [f64; 2],
    gradient: [f64; 2],
    matrix: [[f64; 2]; 2],
    values: [f64; 2],
    axes: [[f64; 2]; 2],
    /// The largest gradient by distance to its bound.
    steepness: f64,
}

/// A step in scaled variables and what a unit of them is.
struct Step {
    scaled: [f64; 2],
    d: [f64; 2],
}

impl Step {
    fn to(&self, x: f64, i: usize, limits: [[f64; 2]; 2]) -> f64 {
        let [low, high] = limits[i];
        let to = x + self.d[i] * self.scaled[i];
        // Close to a bound, but never on it.
        match low < high {
            true => to.clamp(x + 0.995 * (low - x), x + 0.995 * (high - x)),
            false => x,
        }
    }
}

impl Scaled {
    fn new(x: [f64; 2], system: &System, limits: [[f64; 2]; 2], free: [bool; 2]) -> Self {
        let mut d = [0.0; 2];
        let mut bend = [0.0; 2];
        let mut steepness = 0.0_f64;
        for i in (0..2).filter(|&i| free[i]) {
            let gradient = system.gradient[i];
            let (v, dv) = distance(x[i], gradient, limits[i]);
            d[i] = v.sqrt();
            bend[i] = gradient * dv;
            steepness = steepness.max((gradient * v).abs());
        }
        let mut matrix = [0, 1].map(|i| [0, 1].map(|j| d[i] * system.hessian[i][j] * d[j]));
        matrix[0][0] += bend[0];
        matrix[1][1] += bend[1];
        let (values, axes) = principal_axes(matrix);
        Self {
            d,
            gradient: [0, 1].map(|i| d[i] * system.gradient[i]),
            matrix,
            values,
            axes,
            steepness,
        }
    }

    /// The best step within the region.
    fn step(&self, region: &mut Region) -> Step {
        let along = self.axes.map(|axis| dot(axis, self.gradient));
        let damped = |damping: f64| -> [f64; 2] {
            let parts = [0, 1].map(|i| match self.values[i] + damping > 0.0 {
                true => -along[i] / (self.values[i] + damping),
                false => 0.0,
            });
            [0, 1].map(|i| parts[0] * self.axes[0][i] + parts[1] * self.axes[1][i])
        };
        let full = damped(0.0);
        if norm(full) <= region.radius {
            region.damping = 0.0;
            return Step {
                scaled: full,
                d: self.d,
            };
        }
        region.damping = self.damping(along, region);
        let step = damped(region.damping);
        let stretch = region.radius / norm(step).max(f64::MIN_POSITIVE);
        Step {
            scaled: step.map(|part| part * stretch),
            d: self.d,
        }
    }

    /// The damping at which a step is as long as the region is wide, to one per cent (Moré,
    /// 1977).
    fn damping(&self, along: [f64; 2], region: &Region) -> f64 {
        let radius = region.radius;
        // The excess length of a step and its derivative.
        let excess = |damping: f64| {
            let (mut square, mut slope) = (0.0, 0.0);
            for (value, part) in self.values.iter().zip(along) {
                let value = value + damping;
                if value > 0.0 {
                    square += (part / value).powi(2);
                    slope -= part * part / value.powi(3);
                }
            }
            let length = square.sqrt();
            (length - radius, slope / length)
        };
        let mut high = norm(along) / radius;
        let (phi, slope) = excess(0.0);
        let mut low = (-phi / slope).max(0.0);
        let mut damping = region.damping;
        for _ in 0..10 {
            if damping < low || damping > high {
                damping = f64::max(0.001 * high, (low * high).sqrt());
            }
            let (phi, slope) = excess(damping);
            if phi < 0.0 {
                high = damping;
            }
            let newton = phi / slope;
            low = low.max(damping - newton);
            damping -= (phi + radius) * newton / radius;
            if phi.abs() < 0.01 * radius {
                break;
            }
        }
        damping
    }

    /// By how much the model says that `step` lowers the cost.
    fn predicted(&self, step: &Step) -> f64 {
        let s = step.scaled;
        let bent = [0, 1].map(|i| dot(self.matrix[i], s));
        -(0.5 * dot(s, bent) + dot(s, self.gradient))
    }
}

fn dot(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

/// Eigenvalues and unit eigenvectors of a symmetric matrix.
fn principal_axes([[a, b], [_, c]]: [[f64; 2]; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    let angle = 0.5 * (2.0 * b).atan2(a - c);
    let (sin, cos) = angle.sin_cos();
    let values = [
        a * cos * cos + 2.0 * b * sin * cos + c * sin * sin,
        a * sin * sin - 2.0 * b * sin * cos + c * cos * cos,
    ];
    (values, [[cos, sin], [-sin, cos]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    #[test]
    fn a_moved_curve_is_found_again() {
        let target = Target::built_in().curve;
        let seen = |z: usize| target.at(z as f64 * 0.9 + 4.0);
        let curve = Curve::new((0..65).map(seen).collect());
        let start = ScaleShift {
            scale: 1.0,
            shift: 0.0,
        };
        let bounds = Bounds {
            scale: [0.1, 10.0],
            shift: [-30.0, 30.0],
        };
        let found = fit_curve(&curve, &target, [17, 47], start, bounds);
        assert!((found.scale - 0.9).abs() < 0.005, "{found:?}");
        assert!((found.shift - 4.0).abs() < 0.1, "{found:?}");
        let held = Bounds {
            scale: [1.0, 1.0],
            ..bounds
        };
        let found = fit_curve(&curve, &target, [17, 47], start, held);
        assert_eq!(found.scale, 1.0);
    }

    #[derive(serde::Deserialize)]
    struct Fits {
        own: Curve,
        target: Curve,
        patches: Vec<PatchFit>,
        sheets: Vec<SheetFit>,
    }

    #[derive(serde::Deserialize)]
    struct PatchFit {
        curve: Curve,
        shift: f64,
    }

    #[derive(serde::Deserialize)]
    struct SheetFit {
        curve: Curve,
        scale: f64,
        shift: f64,
    }

    /// scipy.optimize.least_squares from the same start, within 0.02 layers.
    #[test]
    fn fits_agree_with_scipy() {
        let fits: Fits = serde_json::from_str(include_str!("../tests/data/fits.json")).unwrap();
        let start = ScaleShift {
            scale: 1.0,
            shift: 0.0,
        };
        let shift = [-30.0, 30.0];
        let held = Bounds {
            scale: [1.0, 1.0],
            shift,
        };
        for patch in &fits.patches {
            let found = fit_curve(&patch.curve, &fits.own, [17, 47], start, held);
            let expected = patch.shift;
            assert!(
                (found.shift - expected).abs() < 0.02,
                "{found:?}, {expected}"
            );
        }
        let free = Bounds {
            scale: [0.1, 10.0],
            shift,
        };
        for sheet in &fits.sheets {
            let found = fit_curve(&sheet.curve, &fits.target, [17, 47], start, free);
            let expected = (sheet.scale, sheet.shift);
            assert!(
                (found.scale - expected.0).abs() < 0.001,
                "{found:?}, {expected:?}"
            );
            assert!(
                (found.shift - expected.1).abs() < 0.02,
                "{found:?}, {expected:?}"
            );
        }
    }
}
