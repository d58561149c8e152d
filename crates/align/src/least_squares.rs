//! A bounded Levenberg–Marquardt fit of one curve to another, as the reference has it: residuals
//! over fixed layers of the target, from one start.

use crate::Curve;

/// A fit of `z × scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub scale: f64,
    pub shift: f64,
}

/// What may move, and how far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub scale: [f64; 2],
    pub shift: [f64; 2],
}

/// Rounds at most; a dozen suffice for smooth curves.
const MOST_ROUNDS: usize = 200;
/// Relative changes of cost and place below which the fit stands, as scipy's defaults.
const TOLERANCE: f64 = 1e-10;

/// Moves `curve` from `start` to the nearest minimum of its squared difference from `target` over
/// the target's `layers` (first and last). With equal bounds a parameter stays as it is.
pub(crate) fn fit_curve(
    curve: &Curve,
    target: &Curve,
    layers: [usize; 2],
    start: Place,
    bounds: Bounds,
) -> Place {
    let mut place = start;
    let mut damping = 1e-3;
    let mut system = System::at(curve, target, layers, place, bounds);
    for _ in 0..MOST_ROUNDS {
        let next = system.step(place, damping, bounds);
        let tried = System::at(curve, target, layers, next, bounds);
        if tried.cost < system.cost {
            let gain = system.cost - tried.cost;
            let moved = (next.scale - place.scale).abs() + (next.shift - place.shift).abs();
            let done = gain < TOLERANCE * system.cost && moved < 1e-6;
            (place, system) = (next, tried);
            damping = f64::max(damping * 0.2, 1e-12);
            if done {
                break;
            }
        } else {
            damping *= 4.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    place
}

/// The normal equations at a place.
struct System {
    cost: f64,
    /// JᵀJ over (scale, shift) and Jᵀr.
    hessian: [[f64; 2]; 2],
    gradient: [f64; 2],
}

impl System {
    fn at(
        curve: &Curve,
        target: &Curve,
        [first, last]: [usize; 2],
        place: Place,
        bounds: Bounds,
    ) -> Self {
        let free = [bounds.scale, bounds.shift].map(|[low, high]| low < high);
        let mut system = Self {
            cost: 0.0,
            hessian: [[0.0; 2]; 2],
            gradient: [0.0; 2],
        };
        for u in first..=last {
            let z = (u as f64 - place.shift) / place.scale;
            let residual = curve.at(z) - target.at(u as f64);
            if !residual.is_finite() {
                continue;
            }
            let slope = -curve.slope_at(z) / place.scale;
            let all = [slope * z, slope];
            let jacobian = [0, 1].map(|i| if free[i] { all[i] } else { 0.0 });
            system.cost += residual * residual;
            for i in 0..2 {
                system.gradient[i] += jacobian[i] * residual;
                for j in 0..2 {
                    system.hessian[i][j] += jacobian[i] * jacobian[j];
                }
            }
        }
        system
    }

    fn step(&self, from: Place, damping: f64, bounds: Bounds) -> Place {
        // Marquardt's damping, with a floor where a parameter does not matter or is held.
        let damped = |i: usize| self.hessian[i][i] * (1.0 + damping) + 1e-30;
        let (a, d, b) = (damped(0), damped(1), self.hessian[0][1]);
        let determinant = a * d - b * b;
        let [g, h] = self.gradient;
        let (scale, shift) = ((d * g - b * h) / determinant, (a * h - b * g) / determinant);
        let kept = |value: f64, [low, high]: [f64; 2]| match value.is_finite() {
            true => value.clamp(low, high),
            false => low.max(high.min(0.0)),
        };
        Place {
            scale: kept(from.scale - scale, bounds.scale),
            shift: kept(from.shift - shift, bounds.shift),
        }
    }
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
        let start = Place {
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
}
