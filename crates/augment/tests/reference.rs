//! Every transform at given parameters against albumentations 1.3.1, OpenCV and scipy, through
//! reference files that `oracles/augment_reference.py` makes.

use inkling_augment::{AugmentSettings, Params, Scratch, Source, TrainTransform, normalize};
use inkling_fragment::Columns;
use ndarray::{Array2, Array3};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    params: Params,
    exact: bool,
    /// (z, y, x)
    source: [usize; 3],
    /// Depth and side.
    target: [usize; 2],
    /// In grey levels of 16 bits.
    tolerance: f32,
    voxels: Vec<f32>,
    labels: String,
}

impl Case {
    fn volume(&self) -> Array3<u16> {
        let mixed = |place: usize, prime: usize| (place + 1) * prime;
        Array3::from_shape_fn(self.source, |(z, y, x)| {
            let value = mixed(z, 73_856_093) ^ mixed(y, 19_349_663) ^ mixed(x, 83_492_791);
            (value % 64_997) as u16
        })
    }

    fn labels(&self) -> Array2<bool> {
        let [_, height, width] = self.source;
        Array2::from_shape_fn((height, width), |(y, x)| (y / 3 + x / 4).is_multiple_of(3))
    }

    fn settings(&self, exact: bool) -> TrainTransform {
        let settings = AugmentSettings {
            exact,
            ..AugmentSettings::none()
        };
        let [depth, side] = self.target;
        TrainTransform::new(settings, side, depth).unwrap()
    }

    /// The largest difference of voxels, in grey levels, and how many labels differ.
    fn differences(&self, exact: bool) -> (f32, usize) {
        let volume = Columns::from_layers(self.volume().view());
        let (mask, labels) = (Array2::from_elem(self.labels().dim(), true), self.labels());
        let source = Source {
            volume: &volume,
            mask: &mask,
            labels: Some(&labels),
            supervision: None,
            z: 0..self.source[0],
        };
        let transform = self.settings(exact);
        let sample = transform
            .apply(&source, &self.params, &mut Scratch::default())
            .unwrap();
        assert_eq!(sample.volume.len(), self.voxels.len(), "{}", self.name);
        let grey = 1.0 / 65_536.0 / 0.226;
        let voxels = sample.volume.iter().zip(&self.voxels);
        let worst = voxels
            .map(|(found, &expected)| (found - normalize(expected)).abs() / grey)
            .fold(0.0, f32::max);
        let expected = self.labels.bytes().map(|byte| f32::from(byte - b'0'));
        let labels = sample.labels.iter().zip(expected);
        (
            worst,
            labels
                .filter(|(found, expected)| *found != expected)
                .count(),
        )
    }
}

/// One grey level of 65536 where a single transform is tried, borders included; labels exactly.
#[test]
fn transforms_are_albumentations_own() {
    let text = std::fs::read_to_string("tests/data/transforms.json").unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        for exact in [true, false] {
            if case.exact && !exact {
                continue;
            }
            let (voxels, labels) = case.differences(exact);
            println!(
                "{:<32} exact {exact:<5} {voxels:.2} grey levels, {labels} labels",
                case.name
            );
            // Normalised values in 32 bits are good to a hundredth of a grey level.
            assert!(
                voxels <= case.tolerance + 0.01,
                "{}: {voxels} grey levels",
                case.name
            );
            assert_eq!(labels, 0, "{}: labels", case.name);
        }
    }
}
