//! The mean of folds' metrics, and how far the folds lie apart.

/// Mean and sample standard deviation (divided by the count less one) of `values`; 0 and 0 of none, and a
/// deviation of 0 of a single one.
pub fn mean_and_spread(values: impl IntoIterator<Item = f64, IntoIter: Clone>) -> (f64, f64) {
    let values = values.into_iter();
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count.max(1.0);
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_divided_by_one_less() {
        assert_eq!(mean_and_spread([1.0, 2.0, 6.0]), (3.0, 7.0_f64.sqrt()));
        assert_eq!(mean_and_spread([0.5]), (0.5, 0.0));
        assert_eq!(mean_and_spread([]), (0.0, 0.0));
    }
}
