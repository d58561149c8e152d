//! Samples of training: where crops lie, that what happens to voxels happens to labels, that a
//! sample can be made again, and that resizing is OpenCV's.

use inkling_augment::{
    AugmentSettings, Error, Params, SampleKey, Source, TestTransform, TrainTransform, normalize,
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

fn transform(settings: AugmentSettings) -> TrainTransform {
    TrainTransform::new(settings, 16, 8).unwrap()
}

#[test]
fn crops_lie_inside_with_their_centres_on_papyrus() {
    let sheet = Sheet::new(70, 50);
    let source = sheet.source();
    let transform = transform(AugmentSettings::default());
    for index in 0..300 {
        let Params {
            rows,
            columns,
            layers,
            ..
        } = transform.draw(&source, key(index)).unwrap();
        assert!(rows[0] + rows[1] <= 70 && columns[0] + columns[1] <= 50);
        assert!(layers[0] >= 2 && layers[0] + layers[1] <= 18);
        assert!((6..=11).contains(&layers[1]), "{layers:?}");
        assert!(sheet.mask[(rows[0] + rows[1] / 2, columns[0] + columns[1] / 2)]);
        let side = ((rows[1] * columns[1]) as f64).sqrt() / 16.0;
        assert!((0.45..2.1).contains(&side), "scale {side}");
    }
}

#[test]
fn labels_go_where_the_voxels_go() {
    let sheet = Sheet::new(70, 50);
    let settings = AugmentSettings {
        scale: [1.0, 1.0],
        ratio: [1.0, 1.0],
        horizontal_flip: 0.5,
        vertical_flip: 0.5,
        rotate90: 1.0,
        brightness_contrast: 0.0,
        ..AugmentSettings::default()
    };
    let transform = transform(settings);
    let mut seen = std::collections::BTreeSet::new();
    for index in 0..60 {
        let params = transform.draw(&sheet.source(), key(index)).unwrap();
        let sample = transform.apply(&sheet.source(), &params).unwrap();
        for layer in sample.volume.outer_iter() {
            for (&voxel, &label) in layer.iter().zip(&sample.labels) {
                let ink = if label == 1.0 { 60_000.0 } else { 20_000.0 };
                assert_eq!(voxel, normalize(ink), "{params:?}");
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
        rows: [0, 16],
        columns: [0, 16],
        layers: [2, 8],
        horizontal_flip: false,
        vertical_flip: false,
        turns,
        contrast_brightness: None,
    };
    let transform = transform(AugmentSettings::default());
    let upright = transform.apply(&sheet.source(), &params(0)).unwrap().labels;
    let turned = transform.apply(&sheet.source(), &params(1)).unwrap().labels;
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
        transform.apply(&sheet.source(), &params).unwrap()
    };
    assert_eq!(sample(4), sample(4));
    assert_ne!(sample(4), sample(5));
}

#[test]
fn contrast_and_brightness_stay_within_sixteen_bits() {
    let sheet = Sheet::new(16, 16);
    let params = Params {
        rows: [0, 16],
        columns: [0, 16],
        layers: [2, 8],
        horizontal_flip: false,
        vertical_flip: false,
        turns: 0,
        contrast_brightness: Some([1.1, 0.1]),
    };
    let sample = transform(AugmentSettings::default())
        .apply(&sheet.source(), &params)
        .unwrap();
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

#[test]
fn too_few_layers_are_refused() {
    let sheet = Sheet::new(30, 30);
    let source = Source {
        z: 2..6,
        ..sheet.source()
    };
    let outcome = transform(AugmentSettings::default()).draw(&source, key(0));
    assert!(matches!(outcome, Err(Error::Layers { needed: 8, .. })));
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
            z: 0..depth,
        };
        let [layers, side, _] = case.target;
        let params = Params {
            rows: [0, height],
            columns: [0, width],
            layers: [0, depth],
            horizontal_flip: false,
            vertical_flip: false,
            turns: 0,
            contrast_brightness: None,
        };
        let transform = TrainTransform::new(AugmentSettings::default(), side, layers).unwrap();
        let sample = transform.apply(&source, &params).unwrap();
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
