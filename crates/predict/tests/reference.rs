//! Blending, scores and run lengths against numpy, scipy, scikit-image and torchmetrics: see
//! oracles/predict_reference.py.

use inkling_predict::{
    Blend, InferenceRules, Labelled, Rows, Sheet, Threshold, run_lengths, score, score_regions,
    submission,
};
use ndarray::{Array2, Array3, s};
use serde_json::Value;

fn reference(name: &str) -> Value {
    let path = format!("{}/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn whole(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn assert_near(found: f64, expected: &Value, tolerance: f64, what: &str) {
    let expected = number(expected);
    let near = (found - expected).abs() < tolerance;
    assert!(near, "{what}: {found} instead of {expected}");
}

fn mask_of(height: usize, width: usize) -> Array2<bool> {
    Array2::from_shape_fn((height, width), |(y, x)| {
        (y * y + 3 * x) % 41 > 3 && y + x > height / 3 && !(y > 40 && x < 30)
    })
}

/// The probability, and another image beside it.
fn tile([top, left]: [usize; 2], side: usize) -> Array3<f32> {
    Array3::from_shape_fn((2, side, side), |(channel, y, x)| {
        let whole = (top * 7 + left * 13 + y * 31 + x * 17 + y * x) % 1009;
        let value = whole as f32 / 1009.0;
        if channel == 0 {
            value
        } else {
            1.0 - value / 2.0
        }
    })
}

#[test]
fn sheets_are_blended_as_numpy_does() {
    for case in reference("blend").as_array().unwrap() {
        let size = [whole(&case["size"][0]), whole(&case["size"][1])];
        let (side, step) = (whole(&case["side"]), whole(&case["step"]));
        let mask = mask_of(size[0], size[1]);
        let rules = InferenceRules::Reference;
        let pixels = Sheet::of_mask(mask);
        let places = pixels.tiles(rules, side, step);
        assert_eq!(places.len(), whole(&case["tiles"]));
        let mut sheet = Array3::<f32>::zeros((2, size[0], size[1]));
        let mut take = |rows: Rows| -> Result<(), ()> {
            let range = rows.first..rows.first + rows.values.dim().1;
            sheet.slice_mut(s![.., range, ..]).assign(&rows.values);
            Ok(())
        };
        let weights = rules.weights(None, side, step);
        let mut blend = Blend::new(pixels.papyrus(), rules, weights, 2);
        for (y, x) in places {
            blend
                .add([y, x], tile([y, x], side).view(), &mut take)
                .unwrap();
        }
        blend.finish(&mut take).unwrap();
        for (channel, expected) in sheet.outer_iter().zip(case["values"].as_array().unwrap()) {
            let expected = expected.as_array().unwrap();
            let found: Vec<f32> = channel.iter().copied().step_by(7).collect();
            assert_eq!(found.len(), expected.len());
            for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
                let what = format!("{size:?} of {side}, place {place}");
                assert_near(f64::from(*found), expected, 1e-6, &what);
            }
        }
    }
}

fn levels_and_labels(height: usize, width: usize) -> [Array2<u8>; 2] {
    let ink = Array2::from_shape_fn((height, width), |(y, x)| u8::from((y * 5 + x * x) % 23 < 9));
    let levels = Array2::from_shape_fn((height, width), |(y, x)| {
        let level = (y * 37 + x * 91 + y * x * 3) % 200 + 40 * usize::from(ink[(y, x)]);
        let level = if [51, 102, 153, 204].contains(&level) {
            level + 1
        } else {
            level
        };
        u8::try_from(level).unwrap()
    });
    [levels, ink]
}

#[test]
fn scores_are_torchmetrics() {
    let reference = reference("scores");
    let (height, width) = (whole(&reference["size"][0]), whole(&reference["size"][1]));
    let [levels, ink] = levels_and_labels(height, width);
    let (ink, mask) = (ink.mapv(|ink| ink > 0), mask_of(height, width));
    let expected = &reference["whole"];
    let found = score(&levels, &ink, &mask, Threshold::HALF).unwrap();
    // torchmetrics counts in f32.
    let near = |found, expected: &Value, what: &str| assert_near(found, expected, 1e-6, what);
    let rates = [found.precision, found.recall, found.f05];
    for (found, expected) in rates
        .into_iter()
        .zip(expected["at_half"].as_array().unwrap())
    {
        near(found, expected, "at a half");
    }
    near(
        found.average_precision,
        &expected["average_precision"],
        "average precision",
    );
    near(found.brier, &expected["brier"], "Brier");
    near(
        found.calibration_error,
        &expected["calibration_error"],
        "calibration error",
    );
    near(found.best_f05, &expected["best"][0], "best F0.5");
    let best = number(&expected["best"][1]) / 255.0;
    assert!((found.best_threshold - best).abs() < 1e-12);
    for row in expected["sweep"].as_array().unwrap() {
        let [threshold, rates @ ..] = found.sweep[255 - whole(&row[0])];
        assert!((threshold - number(&row[0]) / 255.0).abs() < 1e-12);
        for (index, rate) in rates.into_iter().enumerate() {
            near(rate, &row[index + 1], "sweep");
        }
    }
    let rows = expected["reliability"].as_array().unwrap();
    assert_eq!(found.reliability.len(), rows.len());
    for (found, expected) in found.reliability.iter().zip(rows) {
        for (index, value) in found.iter().enumerate() {
            near(*value, &expected[index], "reliability");
        }
    }
}

#[test]
fn regions_are_torchmetrics() {
    let reference = reference("scores");
    let (height, width) = (whole(&reference["size"][0]), whole(&reference["size"][1]));
    let [levels, ink] = levels_and_labels(height, width);
    let (ink, mask) = (ink.mapv(|ink| ink > 0), mask_of(height, width));
    let sheet = Labelled {
        image: &levels,
        labels: &ink,
        mask: &mask,
    };
    let mut found = score_regions(sheet, Threshold::HALF, whole(&reference["side"]), 8).unwrap();
    found.retain(|region| region.ink > 0);
    let rows = reference["regions"].as_array().unwrap();
    assert_eq!(found.len(), rows.len());
    for (found, row) in found.iter().zip(rows) {
        assert_eq!([found.y, found.x], [whole(&row[0]), whole(&row[1])]);
        assert_eq!(
            [found.papyrus, found.ink],
            [2, 3].map(|at| row[at].as_u64().unwrap())
        );
        for (at, rate) in [found.precision, found.recall, found.f05]
            .into_iter()
            .enumerate()
        {
            assert_near(rate.unwrap(), &row[at + 4], 1e-6, "region");
        }
    }
}

#[test]
fn submissions_are_the_same_bytes() {
    let reference = reference("scores");
    let (height, width) = (whole(&reference["size"][0]), whole(&reference["size"][1]));
    let [levels, _] = levels_and_labels(height, width);
    let mask = mask_of(height, width);
    let mut painted = levels.clone();
    painted.zip_mut_with(&mask, |level, &papyrus| *level *= u8::from(papyrus));
    let sheets = [
        ("a", painted),
        ("b", levels),
        ("c", Array2::zeros((height, width))),
    ];
    let rows = sheets.map(|(id, image)| (id.to_owned(), run_lengths(&image, Threshold::HALF)));
    assert_eq!(submission(&rows), reference["table"].as_str().unwrap());
}

#[test]
fn regions_of_two_thresholds_are_those_of_scikit_image() {
    let reference = reference("scores");
    let (height, width) = (whole(&reference["size"][0]), whole(&reference["size"][1]));
    let [levels, _] = levels_and_labels(height, width);
    for case in reference["hysteresis"].as_array().unwrap() {
        let level = |index: usize| Threshold::at_level(u8::try_from(whole(&case[index])).unwrap());
        let threshold = level(0).with_high(level(1)).unwrap();
        assert_eq!(run_lengths(&levels, threshold), case[2], "{threshold:?}");
    }
}
