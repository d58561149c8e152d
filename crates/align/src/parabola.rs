//! The minimum of a sampled function, between its samples.

/// Where `values` are lowest; `None` without a finite one.
pub(crate) fn lowest(values: &[f64]) -> Option<usize> {
    (0..values.len())
        .filter(|&i| values[i].is_finite())
        .min_by(|&a, &b| values[a].total_cmp(&values[b]))
}

/// The vertex of the parabola through `best` and its neighbours, in steps from `best`.
pub(crate) fn vertex(values: &[f64], best: usize) -> f64 {
    if best == 0 || best + 1 >= values.len() {
        return 0.0;
    }
    let (left, centre, right) = (values[best - 1], values[best], values[best + 1]);
    let curvature = left - 2.0 * centre + right;
    match curvature.is_finite() && curvature > 0.0 {
        true => (0.5 * (left - right) / curvature).clamp(-0.5, 0.5),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_found_exactly() {
        let values: Vec<f64> = (0..9).map(|i| (f64::from(i) - 3.3).powi(2)).collect();
        let best = lowest(&values).unwrap();
        assert_eq!(best, 3);
        assert!((vertex(&values, best) - 0.3).abs() < 1e-12);
        assert_eq!(lowest(&[f64::NAN, f64::INFINITY]), None);
    }
}
