//! Which epoch's weights are the best ones.

use inkling_train::{Epoch, Metric, Validation};

/// The epoch with the highest `metric` (the first of `train.best`), and its validation. Of equal
/// ones the earlier; epochs that were not validated, or whose metric is NaN, do not count.
pub fn best_epoch(epochs: &[Epoch], metric: Metric) -> Option<(u32, &Validation)> {
    let validated = epochs
        .iter()
        .filter_map(|epoch| Some((epoch.epoch, epoch.validation.as_ref()?)));
    validated
        .filter(|(_, found)| !metric.of(found).is_nan())
        .reduce(|best, next| match metric.of(next.1) > metric.of(best.1) {
            true => next,
            false => best,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: u32, f05: Option<f64>) -> Epoch {
        Epoch {
            epoch,
            loss: 0.5,
            learning_rate: 0.1,
            skipped: 0,
            train_seconds: 1.0,
            validation_seconds: 1.0,
            validation: f05.map(|f05| Validation {
                f05,
                best_f05: f05,
                best_threshold: 0.5,
                average_precision: 1.0 - f05,
            }),
        }
    }

    #[test]
    fn the_earlier_of_equal_epochs_is_best_and_nan_never() {
        let epochs = [
            epoch(1, Some(0.4)),
            epoch(2, None),
            epoch(3, Some(0.6)),
            epoch(4, Some(0.6)),
        ];
        assert_eq!(best_epoch(&epochs, Metric::F05).unwrap().0, 3);
        assert_eq!(best_epoch(&epochs, Metric::AveragePrecision).unwrap().0, 1);
        assert!(best_epoch(&epochs[1..2], Metric::F05).is_none());
        let mut nan = epoch(5, Some(0.9));
        nan.validation.as_mut().unwrap().f05 = f64::NAN;
        let epochs = [epoch(1, Some(0.1)), nan];
        assert_eq!(best_epoch(&epochs, Metric::F05).unwrap().0, 1);
    }
}
