//! Samples of training: where crops lie, that what happens to voxels happens to labels, that a
//! sample can be made again, and that resizing is OpenCV's.

use inkling_augment::{
    AugmentSettings, Degradation, Error, GaussianNoise, Params, Sample, SampleKey, Scratch, Slices,
    Source, TestTransform, TrainTransform, normalize,
};
use ndarray::{Array2, Array3};

/// Ink is bright in every layer, so that a sample's voxels show where its labels must be.
struct Sheet {
    volume: Array3<u16>,
    mask: Array2<bool>,
    labels: Array2<bool>,
}

impl Sheet {
    fn new(height: usize, width: usize) -> Self {
        let ink = |y: usize, x: usize| (y / 5 + x / 3).is_multiple_of(4) || x < y / 2;
        Self {
            volume: Array3::from_shape_fn((20, height, width), |(_, y, x)| {
                if ink(y, x) { 60_000 } else { 20_000 }
            }),
            mask: Array2::from_shape_fn((height, width), |(y, x)| y > height / 3 || x > width / 2),
            labels: Array2::from_shape_fn((height, width), |(y, x)| ink(y, x)),
        }
    }

    fn source(&self) -> Source<'_> {
        Source {
            volume: &self.volume,
            mask: &self.mask,
            labels: Some(&self.labels),
            supervision: None,
            z: 2..18,
        }
    }
}

fn key(index: u64) -> SampleKey {
    SampleKey {
        seed: 9,
        epoch: 3,
        index,
    }
}

fn apply(transform: &TrainTransform, source: &Source, params: &Params) -> Sample {
    let scratch = &mut Scratch::default();
    transform.apply(source, params, scratch).unwrap()
}

fn transform(settings: AugmentSettings) -> TrainTransform {
    TrainTransform::new(settings, 16, 8).unwrap()
}

#[test]
fn crops_lie_inside_with_their_centres_on_papyrus() {
    let sheet = Sheet::new(70, 50);
    let source = sheet.source();
    let transform = transform(AugmentSettings::default());
    for index in 0..300 {
        let params = transform.draw(&source, key(index)).unwrap();
        let layers = params.layers;
        let [rows, columns] = [params.rows, params.columns].map(|(first, count)| {
            assert!(first >= 0);
            (first as usize, count)
        });
        assert!(rows.0 + rows.1 <= 70 && columns.0 + columns.1 <= 50);
        assert!(layers.0 >= 2 && layers.0 + layers.1 <= 18);
        assert!((6..=11).contains(&layers.1), "{layers:?}");
        assert!(sheet.mask[(rows.0 + rows.1 / 2, columns.0 + columns.1 / 2)]);
        let side = ((rows.1 * columns.1) as f64).sqrt() / 16.0;
        assert!((0.45..2.1).contains(&side), "scale {side}");
    }
}

#[test]
fn labels_go_where_the_voxels_go() {
    let sheet = Sheet::new(70, 50);
    let mut settings = AugmentSettings::none();
    settings.horizontal_flip.probability = 0.5;
    settings.vertical_flip.probability = 0.5;
    settings.turns.probability = 1.0;
    let transform = transform(settings);
    let mut seen = std::collections::BTreeSet::new();
    for index in 0..60 {
        let params = transform.draw(&sheet.source(), key(index)).unwrap();
        let sample = apply(&transform, &sheet.source(), &params);
        for layer in sample.volume.outer_iter() {
            for (&voxel, &label) in layer.iter().zip(&sample.labels) {
                let ink = if label == 1.0 { 60_000.0 } else { 20_000.0 };
                assert!((voxel - normalize(ink)).abs() < 1e-5, "{params:?}");
            }
        }
        seen.insert((params.horizontal_flip, params.vertical_flip, params.turns));
    }
    assert_eq!(
        seen.len(),
        16,
        "every combination of flips and turns occurs"
    );
}

#[test]
fn a_quarter_turn_is_numpys_rot90() {
    let sheet = Sheet::new(16, 16);
    let params = |turns| Params {
        turns,
        ..Params::crop((0, 16), (0, 16), (2, 8))
    };
    let transform = transform(AugmentSettings::default());
    let upright = apply(&transform, &sheet.source(), &params(0)).labels;
    let turned = apply(&transform, &sheet.source(), &params(1)).labels;
    for ((y, x), &label) in turned.indexed_iter() {
        assert_eq!(label, upright[(x, 15 - y)]);
    }
}

#[test]
fn an_address_names_a_sample() {
    let sheet = Sheet::new(70, 50);
    let transform = transform(AugmentSettings::default());
    let sample = |index| {
        let params = transform.draw(&sheet.source(), key(index)).unwrap();
        apply(&transform, &sheet.source(), &params)
    };
    assert_eq!(sample(4), sample(4));
    assert_ne!(sample(4), sample(5));
}

/// What a spent sample held is gone, and its memory is used again.
#[test]
fn a_recycled_sample_leaves_nothing_behind() {
    let sheet = Sheet::new(70, 50);
    let transform = transform(AugmentSettings::default());
    let mut scratch = Scratch::default();
    for index in 0..40 {
        let params = transform.draw(&sheet.source(), key(index)).unwrap();
        let labels = (index % 3 > 0).then_some(&sheet.labels);
        let source = Source {
            labels,
            supervision: None,
            ..sheet.source()
        };
        let sample = transform.apply(&source, &params, &mut scratch).unwrap();
        assert_eq!(sample, apply(&transform, &source, &params), "{params}");
        let place = sample.volume.as_ptr();
        scratch.recycle(sample);
        let next = transform.apply(&source, &params, &mut scratch).unwrap();
        assert_eq!(next.volume.as_ptr(), place);
        scratch.recycle(next);
    }
}

#[test]
fn contrast_and_brightness_stay_within_sixteen_bits() {
    let sheet = Sheet::new(16, 16);
    let params = Params {
        contrast_brightness: Some([1.1, 0.1]),
        ..Params::crop((0, 16), (0, 16), (2, 8))
    };
    let transform = transform(AugmentSettings::default());
    let sample = apply(&transform, &sheet.source(), &params);
    let expected = [20_000.0_f32 * 1.1 + 6_553.5, 65_535.0].map(normalize);
    for value in &sample.volume {
        assert!(
            expected
                .iter()
                .any(|expected| (value - expected).abs() < 1e-5),
            "{value}"
        );
    }
}

/// On voxels that change slowly the one sampling and the sequence of transforms see the same; where
/// they differ is interpolating once or three times, and mirroring before or after resizing.
#[test]
fn sampling_once_agrees_with_one_after_another() {
    let wave = |z: usize, y: usize, x: usize| {
        let value = (y as f64 / 19.0).sin() + (x as f64 / 23.0).cos() + z as f64 / 12.0;
        (20_000.0 + 9_000.0 * value) as u16
    };
    let sheet = Sheet::new(140, 130);
    let volume = Array3::from_shape_fn((20, 140, 130), |(z, y, x)| wave(z, y, x));
    let source = Source {
        volume: &volume,
        ..sheet.source()
    };
    let settings = |exact| {
        let mut settings = AugmentSettings {
            exact,
            ..AugmentSettings::default()
        };
        settings.degradation.probability = 0.0;
        settings.dropout.probability = 0.0;
        // Cells of a grid meet in a fold, which sampling once keeps and a second sampling smooths.
        settings.grid_distortion.probability = 0.0;
        settings
    };
    let [once, steps] =
        [false, true].map(|exact| TrainTransform::new(settings(exact), 64, 8).unwrap());
    let grey = 1.0 / 65_536.0 / 0.226;
    let (mut worst, mut labels) = (0.0_f32, 0.0);
    for index in 0..40 {
        let params = once.draw(&source, key(index)).unwrap();
        let (a, b) = (
            apply(&once, &source, &params),
            apply(&steps, &source, &params),
        );
        let pairs = a.volume.iter().zip(&b.volume);
        worst = pairs.fold(worst, |worst, (a, b)| worst.max((a - b).abs() / grey));
        labels += (&a.labels - &b.labels).mapv(f32::abs).mean().unwrap() / 40.0;
    }
    println!("{worst} grey levels, {labels} of the labels");
    // Of 36,000 that the waves span.
    assert!(worst < 220.0, "{worst} grey levels");
    // A nearest pixel taken once or twice.
    assert!(labels < 0.03, "{labels}");
}

#[test]
fn a_padded_crop_is_dark_and_invalid_beyond_the_fragment() {
    let sheet = Sheet::new(30, 30);
    let mut settings = AugmentSettings::none();
    settings.crop.pad = true;
    let transform = TrainTransform::new(settings, 64, 8).unwrap();
    let params = transform.draw(&sheet.source(), key(1)).unwrap();
    let sample = apply(&transform, &sheet.source(), &params);
    for ((y, x), &valid) in sample.validity.indexed_iter() {
        let place = (params.rows.0 + y as i64, params.columns.0 + x as i64);
        let papyrus = sheet.mask.get((place.0 as usize, place.1 as usize));
        assert_eq!(valid == 1.0, papyrus == Some(&true));
        if papyrus.is_none() {
            assert_eq!(sample.volume[(3, y, x)], normalize(0.0));
        }
    }
    assert!(sample.validity.sum() > 0.0);
}

#[test]
fn a_crop_larger_than_the_fragment_shrinks_or_is_refused() {
    let sheet = Sheet::new(40, 60);
    let transform = |scale| {
        let mut settings = AugmentSettings::none();
        settings.crop.scale = scale;
        TrainTransform::new(settings, 48, 8).unwrap()
    };
    let params = transform([0.5, 2.0]).draw(&sheet.source(), key(0)).unwrap();
    assert!(params.rows.1 <= 40 && params.columns.1 <= 60);
    let outcome = transform([1.0, 1.0]).draw(&sheet.source(), key(0));
    let message = outcome.unwrap_err().to_string();
    assert!(
        message.contains("48 × 48") && message.contains("augment.pad"),
        "{message}"
    );
}

#[test]
fn slices_are_taken_as_they_are() {
    let volume = Array3::from_shape_fn((20, 30, 30), |(z, _, _)| 1_000 * z as u16);
    let mask = Array2::from_elem((30, 30), true);
    let source = Source {
        volume: &volume,
        mask: &mask,
        labels: None,
        supervision: None,
        z: 2..18,
    };
    for slices in [Slices::Random, Slices::Uniform] {
        let mut settings = AugmentSettings::none();
        settings.crop.slices = slices;
        let transform = TrainTransform::new(settings, 16, 6).unwrap();
        let params = transform.draw(&source, key(3)).unwrap();
        let sample = apply(&transform, &source, &params);
        for (layer, &slice) in params.slices.as_ref().unwrap().iter().enumerate() {
            let expected = normalize(1_000.0 * (2 + slice) as f32);
            assert!((sample.volume[(layer, 5, 5)] - expected).abs() < 1e-5);
        }
    }
}

#[test]
fn noise_has_its_deviation_and_mean() {
    let volume = Array3::from_elem((8, 64, 64), 30_000_u16);
    let mask = Array2::from_elem((64, 64), true);
    let source = Source {
        volume: &volume,
        mask: &mask,
        labels: None,
        supervision: None,
        z: 0..8,
    };
    let params = Params {
        degradation: Some(Degradation::Noise(GaussianNoise {
            deviation: 700.0,
            seed: 5,
        })),
        ..Params::crop((0, 64), (0, 64), (0, 8))
    };
    let transform = TrainTransform::new(AugmentSettings::none(), 64, 8).unwrap();
    let sample = apply(&transform, &source, &params).volume;
    let noise = sample.mapv(|value| (value - normalize(30_000.0)) * 65_536.0 * 0.226);
    // 32,768 draws: four standard errors.
    assert!(noise.mean().unwrap().abs() < 4.0 * 700.0 / 181.0);
    assert!((noise.std(0.0) - 700.0).abs() < 4.0 * 700.0 / 256.0);
    assert_eq!(sample, apply(&transform, &source, &params).volume);
    let exact = AugmentSettings {
        exact: true,
        ..AugmentSettings::none()
    };
    let steps = TrainTransform::new(exact, 64, 8).unwrap();
    let difference = apply(&steps, &source, &params).volume - sample;
    // Steps round to whole grey levels.
    let most = 0.51 / 65_536.0 / 0.226;
    assert!(difference.iter().all(|value| value.abs() < most));
}

#[test]
fn too_few_layers_are_refused() {
    let sheet = Sheet::new(30, 30);
    let source = Source {
        z: 2..6,
        ..sheet.source()
    };
    let outcome = transform(AugmentSettings::default()).draw(&source, key(0));
    assert!(matches!(outcome, Err(Error::Layers { needed: 8, .. })));
    let params = Params::crop((0, 16), (0, 16), (15, 8));
    let scratch = &mut Scratch::default();
    let outcome = transform(AugmentSettings::default()).apply(&source, &params, scratch);
    assert!(matches!(outcome, Err(Error::Layers { end: 23, .. })));
}

#[test]
fn a_sheet_whose_papyrus_lies_at_the_edge_only_is_refused() {
    let mut sheet = Sheet::new(40, 40);
    sheet.mask = Array2::from_shape_fn((40, 40), |(y, x)| y == 0 && x == 0);
    let outcome = transform(AugmentSettings::default()).draw(&sheet.source(), key(0));
    assert!(matches!(outcome, Err(Error::NoPlace { .. })), "{outcome:?}");
}

#[derive(serde::Deserialize)]
struct Resized {
    source: [usize; 3],
    target: [usize; 3],
    values: Vec<f32>,
}

/// To one grey level of sixteen bits, borders included.
#[test]
fn resizing_is_opencvs() {
    let text = std::fs::read_to_string("tests/data/resize.json").unwrap();
    let cases: Vec<Resized> = serde_json::from_str(&text).unwrap();
    for case in cases {
        let [depth, height, width] = case.source;
        let volume = Array3::from_shape_fn((depth, height, width), |(z, y, x)| {
            ((z * 7919 + y * 521 + x * 37) % 60_000) as u16
        });
        let mask = Array2::from_elem((height, width), true);
        let source = Source {
            volume: &volume,
            mask: &mask,
            labels: None,
            supervision: None,
            z: 0..depth,
        };
        let [layers, side, _] = case.target;
        let params = Params::crop((0, height), (0, width), (0, depth));
        let transform = TrainTransform::new(AugmentSettings::default(), side, layers).unwrap();
        let sample = apply(&transform, &source, &params);
        let tolerance = 1.0 / 65_536.0 / 0.226;
        for (found, expected) in sample.volume.iter().zip(&case.values) {
            let difference = (found - normalize(*expected)).abs();
            assert!(
                difference < tolerance,
                "{:?}: {found} for {expected}",
                case.source
            );
        }
    }
}

#[test]
fn a_tile_is_the_central_layers_and_dark_beyond_the_edge() {
    let volume = Array3::from_shape_fn((30, 20, 20), |(z, _, _)| 1_000 * z as u16);
    // ceil(8 × 1.33) = 11 of the layers 4..28, the central ones: 10..21, resized to 8.
    let transform = TestTransform::new(16, 8, 1.33, 4..28).unwrap();
    let tile = transform.read(&volume, 8, 0).unwrap();
    let centre = |index: f32| 10.0 + (index + 0.5) * 11.0 / 8.0 - 0.5;
    for z in 0..8 {
        let expected = normalize(1_000.0 * centre(z as f32));
        assert!((tile[(z, 3, 5)] - expected).abs() < 1e-5, "layer {z}");
        assert_eq!(
            tile[(z, 12, 5)],
            normalize(0.0),
            "row 20 is beyond the sheet"
        );
    }
}
