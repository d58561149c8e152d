//! Ten thousand draws of each transform's parameters against as many of albumentations 1.3.1's own,
//! by their moments and quantiles (`oracles/augment_reference.py`).

use std::collections::BTreeMap;

use inkling_augment::{AugmentSettings, Degradation, Params, SampleKey, Source, TrainTransform};
use ndarray::{Array2, Array3};

const DRAWS: u64 = 10_000;
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

#[derive(serde::Deserialize)]
struct Summary {
    mean: f64,
    deviation: f64,
    quantiles: [f64; 5],
}

fn draws(settings: &AugmentSettings) -> Vec<Params> {
    let volume = Array3::<u16>::zeros((18, 400, 400));
    let mask = Array2::from_elem((400, 400), true);
    let source = Source {
        volume: &volume,
        mask: &mask,
        labels: None,
        supervision: None,
        z: 0..18,
    };
    let transform = TrainTransform::new(settings.clone(), 384, 18).unwrap();
    let key = |index| SampleKey {
        seed: 3,
        epoch: 1,
        index,
    };
    (0..DRAWS)
        .map(|index| transform.draw(&source, key(index)).unwrap())
        .collect()
}

fn always() -> AugmentSettings {
    let mut settings = AugmentSettings::default();
    settings.crop.scale = [0.5, 1.0];
    settings.rotation.probability = 1.0;
    settings.turns.probability = 1.0;
    settings.contrast_brightness.probability = 1.0;
    settings.degradation.probability = 1.0;
    settings.grid_distortion.probability = 1.0;
    settings.dropout.probability = 1.0;
    settings
}

/// Each quantity, by the name that the reference file has for it.
fn values(params: &[Params]) -> BTreeMap<&'static str, Vec<f64>> {
    let mut values = BTreeMap::<_, Vec<f64>>::new();
    for params in params {
        let mut add = |name, value: f64| values.entry(name).or_default().push(value);
        let [contrast, brightness] = params.contrast_brightness.unwrap().map(f64::from);
        let grid = params.grid_distortion.as_ref().unwrap();
        let hole = params.dropout.unwrap();
        add("rotation", params.rotation.unwrap());
        add("turns", f64::from(params.turns));
        add("contrast", contrast);
        add("brightness", brightness);
        add("grid_x", grid.x[2]);
        add("grid_y", grid.y[5]);
        add("hole_y", hole.y as f64);
        add("hole_x", hole.x as f64);
        add("hole_height", hole.height as f64);
        match params.degradation.as_ref().unwrap() {
            Degradation::Noise(noise) => add("noise", f64::from(noise.deviation)),
            Degradation::GaussianBlur(blur) => add("gaussian_blur", blur.size as f64),
            Degradation::MotionBlur(blur) => {
                add("motion_blur", blur.size as f64);
                let [down, right] = [0, 1].map(|axis| blur.from[axis].abs_diff(blur.to[axis]));
                let long = down.max(right);
                add("motion_pixels", 1.0 + long as f64);
            }
        }
    }
    values
}

#[test]
fn draws_are_distributed_as_albumentations_own() {
    let text = std::fs::read_to_string("tests/data/draws.json").unwrap();
    let expected: BTreeMap<String, Summary> = serde_json::from_str(&text).unwrap();
    let found = values(&draws(&always()));
    assert_eq!(expected.len(), found.len());
    for (name, expected) in expected {
        let mut values = found[name.as_str()].clone();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        // Both are samples; five standard errors of their difference.
        let error = 5.0 * expected.deviation * (1.0 / count + 1e-4_f64).sqrt() + 1e-9;
        assert!(
            (mean - expected.mean).abs() < error,
            "{name}: mean {mean} for {}",
            expected.mean
        );
        // The noise's deviations are measured from 1600 pixels on their side: 1.8 % more spread.
        let spread = (variance.sqrt() - expected.deviation).abs();
        assert!(spread < error, "{name}: deviation {}", variance.sqrt());
        values.sort_by(f64::total_cmp);
        for (share, expected_value) in QUANTILES.into_iter().zip(expected.quantiles) {
            let value = values[(share * (count - 1.0)).round() as usize];
            // Of uniform draws, in units of the deviation.
            let allowed = 2.0 * error + whole_step(&name);
            assert!(
                (value - expected_value).abs() <= allowed,
                "{name}: quantile {share} is {value} for {expected_value}"
            );
        }
    }
}

/// A quantile of whole numbers may lie on the next one.
fn whole_step(name: &str) -> f64 {
    match name {
        "hole_y" | "hole_x" | "turns" => 1.0,
        _ => 0.0,
    }
}

/// Whether a draw has a transform.
type Has = fn(&Params) -> bool;

#[test]
fn transforms_happen_as_often_as_asked() {
    let mut settings = AugmentSettings::default();
    settings.crop.scale = [0.5, 1.0];
    let drawn = draws(&settings);
    let share = |has: Has| drawn.iter().filter(|params| has(params)).count() as f64 / DRAWS as f64;
    let cases: [(f64, Has); 9] = [
        (0.5, |p| p.rotation.is_some()),
        (0.5, |p| p.horizontal_flip),
        (0.5, |p| p.vertical_flip),
        // Of the turns one in four is by nothing.
        (0.375, |p| p.turns > 0),
        (0.5, |p| p.contrast_brightness.is_some()),
        (0.4, |p| p.degradation.is_some()),
        (0.5, |p| p.grid_distortion.is_some()),
        (0.5, |p| p.dropout.is_some()),
        (0.0, |p| p.tilt.is_some()),
    ];
    for (index, (expected, has)) in cases.into_iter().enumerate() {
        let found = share(has);
        assert!((found - expected).abs() <= 0.025, "{index}: {found}");
    }
}

/// Mean and quantiles of what should be uniform from `low` to `high`, to 3 % of that range and half of
/// the `step` that values are rounded to.
fn assert_uniform(name: &str, mut values: Vec<f64>, [low, high]: [f64; 2], step: f64) {
    let count = values.len() as f64;
    let near = |found: f64, share: f64| {
        let apart = (found - low) / (high - low) - share;
        assert!(
            apart.abs() < 0.03 + step / 2.0 / (high - low),
            "{name}: {found} at {share}"
        );
    };
    near(values.iter().sum::<f64>() / count, 0.5);
    values.sort_by(f64::total_cmp);
    for share in QUANTILES {
        near(values[(share * (count - 1.0)).round() as usize], share);
    }
}

/// The default crop: size, ratio, depth, and a centre anywhere on papyrus where the crop fits.
#[test]
fn crops_are_uniform_in_size_depth_and_place() {
    let volume = Array3::<u16>::zeros((40, 500, 500));
    // Papyrus on the left fifth of the columns, and in the lower half of the others.
    let mask = Array2::from_shape_fn((500, 500), |(y, x)| x < 100 || y >= 250);
    let source = Source {
        volume: &volume,
        mask: &mask,
        labels: None,
        supervision: None,
        z: 0..40,
    };
    let transform = TrainTransform::new(AugmentSettings::default(), 100, 18).unwrap();
    let key = |index| SampleKey {
        seed: 4,
        epoch: 0,
        index,
    };
    let drawn: Vec<Params> = (0..DRAWS)
        .map(|index| transform.draw(&source, key(index)).unwrap())
        .collect();
    let of = |value: fn(&Params) -> f64| drawn.iter().map(value).collect::<Vec<_>>();
    let scale = |p: &Params| ((p.rows.1 * p.columns.1) as f64).sqrt() / 100.0;
    assert_uniform("scale", of(scale), [0.5, 2.0], 0.01);
    let ratio = |p: &Params| p.rows.1 as f64 / p.columns.1 as f64;
    assert_uniform("ratio", of(ratio), [0.9, 1.1], 0.01);
    let layers = |p: &Params| p.layers.1 as f64;
    assert_uniform("layers", of(layers), [18.0 / 1.33, 18.0 * 1.33], 1.0);
    // Of centres at least 110 px from every edge, where every crop fits, all pixels are as likely.
    let centre = |(first, count): (i64, usize)| first as usize + count / 2;
    let centres = drawn.iter().map(|p| (centre(p.rows), centre(p.columns)));
    let inner: Vec<_> = centres
        .filter(|(y, x)| (110..390).contains(y) && (110..390).contains(x))
        .collect();
    assert!(inner.len() > 1_000, "{}", inner.len());
    let (rows, columns) = inner.iter().map(|&(y, x)| (y as f64, x as f64)).unzip();
    assert_uniform("centre's row", rows, [250.0, 389.0], 1.0);
    assert_uniform("centre's column", columns, [110.0, 389.0], 1.0);
}
