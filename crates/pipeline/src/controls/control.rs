//! One control: what was predicted, the figures, and what they suggest.

use inkling_predict::{Interval, Intervals};
use ndarray::Array2;
use serde::Serialize;

/// A control of a reading.
#[derive(Clone, Debug, Serialize)]
pub struct Control {
    /// Its name.
    pub name: &'static str,
    /// What was done, in a sentence.
    pub description: String,
    /// `ink_share`, `auc` and `f05` with 95 % intervals by blocks; of decoys the mean over all of them and
    /// the range.
    pub figures: Intervals,
    /// Whether it passes; none where that cannot be said.
    pub passes: Option<bool>,
    /// What that suggests, or why it cannot be said.
    pub sentence: String,
    /// The map that was predicted, 8-bit probabilities (y, x).
    #[serde(skip)]
    pub map: Option<Array2<u8>>,
}

/// What a control comes to, and what that suggests.
pub type Verdict = (Option<bool>, String);

/// Largest share of papyrus without ink that may be above the threshold: one pixel in twenty.
pub const LARGEST_SHARE: f64 = 0.05;

/// The reading itself: labels must be found better than any decoy.
pub fn check_reading(auc: Option<&Interval>, highest_decoy: Option<f64>) -> Verdict {
    let (Some(auc), Some(decoy)) = (auc.filter(|auc| auc.value.is_some()), highest_decoy) else {
        let why = "there are no labels of this fragment with both ink and bare papyrus, so that nothing \
                   says whether the map is right";
        return (None, why.to_owned());
    };
    let Some([low, _]) = auc.interval else {
        return (None, "too few blocks of papyrus for an interval".to_owned());
    };
    match low > decoy.max(0.5) {
        true => (
            Some(true),
            format!("the labels are found better than any decoy (AUC at most {decoy:.3})"),
        ),
        false => (
            Some(false),
            format!(
                "the labels are found no better than decoys (AUC up to {decoy:.3}): the map says nothing \
                 of this ink"
            ),
        ),
    }
}

/// Another order of layers: AUC must fall; without labels, the map must change.
pub fn check_order(
    reading_passes: Option<bool>,
    fall: Option<&Interval>,
    correlation: Option<&Interval>,
) -> Verdict {
    match (
        reading_passes,
        fall.and_then(|fall| Some((fall.value?, fall.interval?))),
    ) {
        (Some(false), _) => (
            None,
            "the reading itself is at chance, so that nothing can fall".to_owned(),
        ),
        (Some(true), Some((fall, [low, high]))) => match low > 0.0 {
            true => (
                Some(true),
                format!(
                    "AUC falls by {fall:.3} ({low:.3} to {high:.3}): what is found lies at its depth"
                ),
            ),
            false => (
                Some(false),
                format!(
                    "AUC does not fall ({fall:.3}, {low:.3} to {high:.3}): what is found does not depend on \
                     where the layers lie, as brightness, cracks or the labels' own places would not"
                ),
            ),
        },
        _ => check_correlation(correlation),
    }
}

/// Without labels: whether a map is another than the reading.
fn check_correlation(correlation: Option<&Interval>) -> Verdict {
    let found =
        correlation.and_then(|correlation| Some((correlation.value?, correlation.interval?)));
    match found {
        None => (
            None,
            "the maps cannot be compared: too few blocks of papyrus for an interval, or an empty map".to_owned(),
        ),
        Some((value, [_, high])) if high < 0.5 => (
            Some(true),
            format!("the map is another (correlation {value:.3} with the reading)"),
        ),
        Some((value, _)) => (
            Some(false),
            format!(
                "the map is like the reading (correlation {value:.3}): it does not depend on where the layers \
                 lie"
            ),
        ),
    }
}

/// Papyrus, or noise, without ink: hardly anything may be above the threshold.
pub fn check_share(share: Option<&Interval>, what: &str) -> Verdict {
    let Some((share, highest)) = share.and_then(|share| {
        let value = share.value?;
        Some((value, share.interval.map_or(value, |[_, high]| high)))
    }) else {
        return (None, format!("there is no {what} to look at"));
    };
    let percent = 100.0 * share;
    match highest <= LARGEST_SHARE {
        true => (
            Some(true),
            format!("{percent:.2} % of {what} is above the threshold"),
        ),
        false => (
            Some(false),
            format!(
                "{percent:.2} % of {what} is above the threshold, more than {:.0} %: strokes appear where none \
                 can be. A higher threshold or calibration may help",
                100.0 * LARGEST_SHARE
            ),
        ),
    }
}

/// Decoy labels: chance must lie within the range of their AUC.
pub fn check_decoys(aucs: &[f64]) -> Verdict {
    let Some((low, high)) = range(aucs) else {
        return (None, "there are no labels to make decoys of".to_owned());
    };
    match low <= 0.5 && 0.5 <= high {
        true => (
            Some(true),
            format!("decoys are found by chance (AUC {low:.3} to {high:.3})"),
        ),
        false => (
            Some(false),
            format!(
                "all decoys are found otherwise than by chance (AUC {low:.3} to {high:.3}): the map follows \
                 where writing may lie, not the ink"
            ),
        ),
    }
}

/// Lowest and highest.
pub fn range(values: &[f64]) -> Option<(f64, f64)> {
    let with = |range: Option<(f64, f64)>, &value: &f64| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    };
    values.iter().fold(None, with)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(name: &'static str, value: f64, interval: [f64; 2]) -> Interval {
        Interval {
            name,
            value: Some(value),
            interval: Some(interval),
        }
    }

    #[test]
    fn a_reading_must_be_better_than_all_decoys() {
        let auc = interval("auc", 0.8, [0.7, 0.9]);
        assert_eq!(check_reading(Some(&auc), Some(0.6)).0, Some(true));
        assert_eq!(check_reading(Some(&auc), Some(0.75)).0, Some(false));
        let few = Interval {
            interval: None,
            ..auc
        };
        assert_eq!(check_reading(Some(&few), Some(0.6)).0, None);
        assert_eq!(check_reading(None, None).0, None);
    }

    #[test]
    fn order_must_matter() {
        let falls = interval("auc", 0.3, [0.2, 0.4]);
        let stays = interval("auc", 0.0, [-0.1, 0.1]);
        let like = interval("correlation", 0.9, [0.8, 0.95]);
        let other = interval("correlation", 0.1, [0.0, 0.2]);
        assert_eq!(
            check_order(Some(true), Some(&falls), Some(&like)).0,
            Some(true)
        );
        assert_eq!(
            check_order(Some(true), Some(&stays), Some(&other)).0,
            Some(false)
        );
        assert_eq!(check_order(Some(false), Some(&stays), Some(&like)).0, None);
        assert_eq!(check_order(None, None, Some(&like)).0, Some(false));
        assert_eq!(check_order(None, None, Some(&other)).0, Some(true));
        assert_eq!(check_order(None, None, None).0, None);
    }

    #[test]
    fn bare_papyrus_must_stay_bare() {
        let judge = |high| check_share(Some(&interval("ink_share", 0.001, [0.0, high])), "noise").0;
        assert_eq!((judge(0.05), judge(0.06)), (Some(true), Some(false)));
        assert_eq!(check_share(None, "noise").0, None);
    }

    #[test]
    fn decoys_must_be_at_chance() {
        assert_eq!(check_decoys(&[0.48, 0.55]).0, Some(true));
        assert_eq!(check_decoys(&[0.58, 0.65]).0, Some(false));
        assert_eq!(check_decoys(&[]).0, None);
    }
}
