//! Metrics beside F0.5 against scikit-learn, scikit-image and the distortion's definition, through a
//! reference file that `oracles/metrics_reference.py` makes.

use std::collections::BTreeMap;

use inkling_predict::{BlockCounts, Error, Labelled, Threshold};
use ndarray::Array2;

#[derive(serde::Deserialize)]
struct Case {
    size: [usize; 2],
    metrics: BTreeMap<String, f64>,
}

/// Levels, ink and papyrus.
fn images([height, width]: [usize; 2]) -> (Array2<u8>, Array2<bool>, Array2<bool>) {
    let labels = Array2::from_shape_fn((height, width), |(y, x)| (y / 6 + 2 * (x / 5)) % 5 < 2);
    let image = Array2::from_shape_fn((height, width), |(y, x)| {
        ((y * 37 + x * 91 + y * x * 3) % 200 + 40 * usize::from(labels[(y, x)])) as u8
    });
    let mask = Array2::from_shape_fn((height, width), |(y, x)| {
        (y * y + 3 * x) % 41 > 3 && y + x > height / 3
    });
    (image, labels, mask)
}

/// To 1e-9, whole or in blocks of any multiple of the distortion's own.
#[test]
fn metrics_are_the_fields_own() {
    let text = std::fs::read_to_string("tests/data/metrics.json").unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    for case in cases {
        let (image, labels, mask) = images(case.size);
        let sheet = Labelled {
            image: &image,
            labels: &labels,
            mask: &mask,
        };
        for side in [8, 24, 1000] {
            let blocks = BlockCounts::of_blocks(sheet, Threshold::HALF, side).unwrap();
            let whole = BlockCounts::sum(&blocks);
            for (name, found) in whole.metrics().named() {
                let (found, expected) = (found.unwrap(), case.metrics[name]);
                assert!(
                    (found - expected).abs() < 1e-9,
                    "{name} in blocks of {side}: {found} for {expected}"
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_said_is_left_out() {
    let (image, labels, mask) = images([16, 16]);
    let bare = labels.mapv(|_| false);
    let sheet = Labelled {
        image: &image,
        labels: &bare,
        mask: &mask,
    };
    let blocks = BlockCounts::of_blocks(sheet, Threshold::HALF, 16).unwrap();
    let metrics = BlockCounts::sum(&blocks).metrics();
    assert_eq!(
        (metrics.auc, metrics.drd, metrics.pseudo_f_measure),
        (None, None, None)
    );
    assert_eq!(metrics.dice, Some(0.0));
    let small = Array2::from_elem((8, 8), true);
    let wrong = Labelled {
        labels: &small,
        ..sheet
    };
    let outcome = BlockCounts::of_blocks(wrong, Threshold::HALF, 16);
    assert!(matches!(outcome, Err(Error::Size { what: "labels", .. })));
}

#[test]
fn a_perfect_map_has_perfect_figures() {
    let (_, labels, mask) = images([40, 40]);
    let image = labels.mapv(|ink| if ink { 255 } else { 0 });
    let sheet = Labelled {
        image: &image,
        labels: &labels,
        mask: &mask,
    };
    let blocks = BlockCounts::of_blocks(sheet, Threshold::HALF, 8).unwrap();
    let metrics = BlockCounts::sum(&blocks).metrics();
    assert_eq!(
        metrics.named().map(|(_, value)| value)[..7],
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0].map(Some)
    );
}
