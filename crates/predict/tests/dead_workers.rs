//! A reading that fails, by an error or by a panic, ends training and prediction with its cause, on
//! `flex` and on burn's other processor backend, which is fed by batches as GPUs are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use inkling_augment::{AugmentSettings, TestTransform, TrainTransform};
use inkling_fragment::{Error as FileError, Region, Volume};
use inkling_model::{MaxVitShape, ModelSettings, Network, load, save};
use inkling_predict::{Channels, Member, PredictSettings, Predictor, Tta, to_image};
use inkling_train::{
    Callback, Epoch, Ranks, Run, RunFingerprint, Step, TrainSettings, Training, TrainingFragment,
    TrainingSet, Validate, Validation,
};
use ndarray::{Array2, Array3};

const SIDE: usize = 32;
const SHEET: usize = 110;

/// The devices, and the threads that are tried on each: the second is slow.
fn devices() -> Vec<(Device, usize)> {
    #[allow(
        deprecated,
        reason = "deprecated in favour of flex, from which it has to differ"
    )]
    let other = Device::ndarray();
    let flex = [1, 2, 4].map(|threads| (Device::flex(), threads));
    flex.into_iter().chain([(other, 2)]).collect()
}

/// What goes wrong at a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Error(usize),
    Panic(usize),
}

struct Sheet {
    fault: Fault,
    readings: AtomicUsize,
}

impl Sheet {
    fn new(fault: Fault) -> Self {
        let readings = AtomicUsize::new(0);
        Self { fault, readings }
    }
}

impl Volume for Sheet {
    fn shape(&self) -> [usize; 3] {
        [6, SHEET, SHEET]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, FileError> {
        let reading = self.readings.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(self.fault != Fault::Panic(reading), "a torn codec");
        if self.fault == Fault::Error(reading) {
            return Err(FileError::Io {
                path: "scan/03.tif".into(),
                source: std::io::Error::other("a torn file"),
            });
        }
        let [z, y, x] = [region.z.start, region.y.start, region.x.start];
        let voxel = |(dz, dy, dx)| {
            let place = (z + dz) * 29 + (y + dy) * 17 + (x + dx) * 23 + (y + dy) * (x + dx);
            (32_768.0 + 30_000.0 * (place as f32 * 0.7).sin()) as u16
        };
        Ok(Array3::from_shape_fn(region.shape(), voxel))
    }
}

fn model() -> ModelSettings {
    ModelSettings {
        image_size: SIDE,
        depth: 6,
        decoder: vec![16, 8, 8],
        maxvit: Some(MaxVitShape {
            stem: [8, 8],
            channels: [8, 16, 16, 32],
            blocks: [1; 4],
            head_width: 8,
            position_hidden: 16,
            position_dropout: 0.0,
            layer_scale: None,
        }),
        ..ModelSettings::default()
    }
}

/// The same weights on every device.
fn network(device: &Device) -> Network {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let made = model().init(&Device::flex(), 5).unwrap();
    save(&path, &made, &model(), &BTreeMap::new(), false).unwrap();
    load(&path, device).unwrap().network
}

fn papyrus() -> Array2<bool> {
    Array2::from_elem((SHEET, SHEET), true)
}

/// In a pool of so many threads.
fn on<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}

/// The sheet as an image, predicted by batches of three or three at a time.
fn predict(sheet: &Sheet, device: &Device, threads: usize) -> Result<Array2<u8>, String> {
    let members = [Member {
        network: network(device),
        weight: 1.0,
    }];
    let settings = PredictSettings {
        tta: Tta::None,
        batch: 3,
        ..PredictSettings::default()
    };
    let predictor = Predictor {
        members: &members,
        device,
        transform: TestTransform::new(SIDE, 6, 1.0, 0..6).unwrap(),
        image_size: SIDE,
        settings: &settings,
        channels: Channels::default(),
    };
    on(threads, || {
        let prediction = predictor.predict(
            sheet,
            &inkling_predict::Sheet::of_mask(papyrus()),
            &|_, _| {},
        );
        let prediction = prediction.map_err(|error| error.to_string())?;
        Ok(to_image(&prediction.probability))
    })
}

struct Silent;

impl Validate for Silent {
    fn validate(
        &mut self,
        _: &Network,
    ) -> Result<Validation, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Validation::default())
    }
}

impl Callback for Silent {
    fn step(&mut self, _: &Step) {}
    fn epoch(&mut self, _: &Epoch) {}
    fn warn(&mut self, _: &str) {}
}

/// The losses of two epochs of training on the sheet.
fn train(sheet: Sheet, device: &Device, threads: usize) -> Result<Vec<f64>, String> {
    let folder = tempfile::tempdir().unwrap();
    let labels = Array2::from_shape_fn((SHEET, SHEET), |(y, x)| (y / 9 + x / 7) % 3 == 0);
    let fragment = TrainingFragment::new("scan", Box::new(sheet), 0..6, papyrus(), labels, None);
    let settings = TrainSettings {
        epochs: 2,
        batch: 2,
        accumulate: 2,
        samples_per_epoch: 7,
        ..TrainSettings::default()
    };
    let transform = TrainTransform::new(AugmentSettings::none(), SIDE, 6).unwrap();
    let network = network(&device.clone().autodiff());
    let training = Training {
        model: &model(),
        settings: &settings,
        training_set: &TrainingSet::new(vec![fragment], transform, 3).unwrap(),
        device,
        run: &Run::open(&folder.path().join("run"), false, false).unwrap(),
        fingerprint: RunFingerprint::default(),
        allow_changed_data: false,
        ranks: &Ranks::single(),
        metadata: BTreeMap::new(),
    };
    let epochs = on(threads, || {
        training.train(network, &mut Silent, &mut Silent)
    });
    let epochs = epochs.map_err(|error| error.to_string())?;
    Ok(epochs.iter().map(|epoch| epoch.loss).collect())
}

#[test]
fn a_reading_that_fails_ends_prediction_with_its_cause() {
    for (device, threads) in devices() {
        for nth in [1, 5, 36] {
            let torn = predict(&Sheet::new(Fault::Error(nth)), &device, threads);
            let error = torn.unwrap_err();
            assert!(error.contains("a torn file"), "{error}");
            let torn = predict(&Sheet::new(Fault::Panic(nth)), &device, threads);
            let error = torn.unwrap_err();
            assert!(error.contains("a torn codec"), "{error}");
            assert!(error.contains("the tile at ("), "{error}");
        }
    }
}

#[test]
fn a_reading_that_fails_ends_training_with_its_cause() {
    for (device, threads) in devices() {
        for nth in [1, 4, 13] {
            let torn = train(Sheet::new(Fault::Error(nth)), &device, threads);
            let error = torn.unwrap_err();
            assert!(error.contains("a torn file"), "{error}");
            let torn = train(Sheet::new(Fault::Panic(nth)), &device, threads);
            let error = torn.unwrap_err();
            assert!(error.contains("a torn codec"), "{error}");
            assert!(error.contains("from fragment scan"), "{error}");
        }
    }
}

/// Any number of threads; all devices agree to one grey level and to what f32 holds of a loss.
#[test]
fn threads_and_devices_change_nothing() {
    let image = predict(&Sheet::new(Fault::None), &Device::flex(), 1).unwrap();
    assert!(image.iter().max() > image.iter().min());
    let losses = train(Sheet::new(Fault::None), &Device::flex(), 1).unwrap();
    assert_eq!(losses.len(), 2);
    for (device, threads) in devices() {
        let found = predict(&Sheet::new(Fault::None), &device, threads).unwrap();
        let pairs = found.iter().zip(&image);
        let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(
            worst <= u8::from(device != Device::flex()),
            "{worst} levels"
        );
        let found = train(Sheet::new(Fault::None), &device, threads).unwrap();
        for (found, expected) in found.iter().zip(&losses) {
            let most = if device == Device::flex() { 0.0 } else { 1e-4 };
            assert!(
                (found / expected - 1.0).abs() <= most,
                "{found}, not {expected}"
            );
        }
    }
}
