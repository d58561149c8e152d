//! resume.safetensors: a training of one step goes on from it, if it is accepted.
#![no_main]

use std::collections::BTreeMap;

use burn::tensor::Device;
use inkling_augment::{AugmentSettings, TrainTransform};
use inkling_fuzz::scratch;
use inkling_model::{MaxVitShape, ModelSettings, Network};
use inkling_train::{
    Callback, Epoch, Ranks, Run, RunFingerprint, Step, TrainSettings, Training, TrainingFragment,
    TrainingSet, Validate, Validation,
};
use ndarray::{Array2, Array3};

const SIDE: usize = 32;

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

fn model() -> ModelSettings {
    ModelSettings {
        image_size: SIDE,
        depth: 3,
        decoder: vec![4],
        maxvit: Some(MaxVitShape {
            stem: [4, 4],
            channels: [4; 4],
            blocks: [1; 4],
            head_width: 4,
            position_hidden: 4,
            position_dropout: 0.0,
            layer_scale: None,
        }),
        ..ModelSettings::default()
    }
}

fn training_set() -> TrainingSet {
    let labels = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| (y / 9 + x / 7) % 3 == 0);
    let papyrus = Array2::from_elem((SIDE, SIDE), true);
    let voxels = Array3::from_shape_fn((3, SIDE, SIDE), |(z, y, x)| (900 * z + 70 * y + x) as u16);
    let sheet = TrainingFragment::new("sheet", Box::new(voxels), 0..3, papyrus, labels, None);
    let transform = TrainTransform::new(AugmentSettings::none(), SIDE, 3).expect("sane settings");
    TrainingSet::new(vec![sheet], transform, 1).expect("a labelled sheet")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let folder = scratch().join("run");
    let _ = std::fs::remove_dir_all(&folder);
    let _ = std::fs::create_dir_all(&folder);
    std::fs::write(folder.join("resume.safetensors"), data).expect("memory can be written to");
    let Ok(run) = Run::open(&folder, true, false) else {
        return;
    };
    let (model, device) = (model(), Device::flex());
    let network = model
        .init(&device.clone().autodiff(), 0)
        .expect("sane settings");
    let training = Training {
        model: &model,
        settings: &TrainSettings {
            epochs: 1,
            batch: 1,
            accumulate: 1,
            samples_per_epoch: 1,
            ..TrainSettings::default()
        },
        training_set: &training_set(),
        device: &device,
        run: &run,
        fingerprint: RunFingerprint::default(),
        allow_changed_data: true,
        ranks: &Ranks::single(),
        metadata: BTreeMap::new(),
    };
    let _ = training.train(network, &mut Silent, &mut Silent);
});
