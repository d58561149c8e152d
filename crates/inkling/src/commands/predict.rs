use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use burn::tensor::Device;
use inkling_align::{AlignSettings, Target};
use inkling_augment::TestTransform;
use inkling_fragment::{Fragment, write_bytes, write_gray};
use inkling_model::{Checkpoint, load};
use inkling_predict::{
    Error, PredictSettings, Prediction, Predictor, Tta, run_lengths, submission, to_image,
};
use serde_json::{Value, json};

use super::fold::{INPUT_KEY, Input};
use super::{Context, align, maps};
use crate::cli::Predict;
use crate::failure::Usage;

pub fn run(flags: &Predict, context: &Context) -> anyhow::Result<Value> {
    let models = Models::load(&flags.models, &context.open_device()?)?;
    let settings = PredictSettings {
        tta: tta(&flags.tta)?,
        ..PredictSettings::default()
    };
    std::fs::create_dir_all(&flags.out).with_context(|| flags.out.display().to_string())?;
    if models.input.aligned && flags.maps.is_none() {
        tracing::warn!(
            "the model was trained on aligned fragments and these are read as they are; give \
             --maps auto to align them first"
        );
    }
    let mut entries = Vec::new();
    let mut runs = Vec::new();
    for path in &flags.fragments {
        let fragment = Fragment::open(path)?;
        let folder = maps_folder(flags, &fragment, context)?;
        let painted = paint(
            &fragment,
            folder.as_deref(),
            &models,
            &settings,
            &flags.out,
            context,
        )?;
        runs.push((fragment.id().to_owned(), painted.runs));
        entries.push(painted.entry);
    }
    let table = submission(&runs);
    write_bytes(flags.out.join("submission.csv"), &table, context.force)?;
    let figures = json!({
        "fragments": entries,
        "models": models.describe(),
        "settings": settings,
    });
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(flags.out.join("predict.json"), &text, context.force)?;
    Ok(figures)
}

/// The networks to predict with, and how their input is read.
pub struct Models {
    checkpoints: Vec<(PathBuf, Checkpoint)>,
    input: Input,
    device: Device,
}

impl Models {
    /// Loads weights files, or the best weights of runs.
    pub fn load(paths: &[PathBuf], device: &Device) -> anyhow::Result<Self> {
        let mut checkpoints: Vec<(PathBuf, Checkpoint)> = Vec::new();
        for path in paths {
            let file = match path.is_dir() {
                true => path.join("best.safetensors"),
                false => path.clone(),
            };
            let checkpoint = load(&file, device)?;
            if let Some((_, first)) = checkpoints.first() {
                agree(&file, &checkpoint, first)?;
            }
            checkpoints.push((file, checkpoint));
        }
        let (file, first) = &checkpoints[0];
        let text = first.metadata.get(INPUT_KEY).map_or("", String::as_str);
        let input = serde_json::from_str(text).map_err(|_| {
            Usage(format!(
                "{}: found weights that do not say which layers they read; expected a file that \
                 `inkling train` wrote. Mend: train with this version",
                file.display()
            ))
        })?;
        Ok(Self {
            checkpoints,
            input,
            device: device.clone(),
        })
    }

    fn describe(&self) -> Vec<Value> {
        let describe = |(file, checkpoint): &(PathBuf, Checkpoint)| {
            json!({
                "file": file,
                "sha256": checkpoint.sha256,
                "model": checkpoint.settings,
                "input": self.input,
            })
        };
        self.checkpoints.iter().map(describe).collect()
    }
}

fn agree(path: &Path, odd: &Checkpoint, first: &Checkpoint) -> Result<(), Error> {
    let patch = |checkpoint: &Checkpoint| {
        let settings = &checkpoint.settings;
        let input = checkpoint
            .metadata
            .get(INPUT_KEY)
            .map_or("", String::as_str);
        format!(
            "{} layers of {} px, {input}",
            settings.depth, settings.image_size
        )
    };
    if patch(odd) == patch(first) {
        return Ok(());
    }
    Err(Error::Disagreement {
        path: path.to_owned(),
        found: patch(odd),
        expected: patch(first),
    })
}

/// A painted fragment: its entry in predict.json and its run lengths.
pub struct Painted {
    /// Figures.
    pub entry: Value,
    /// Run lengths at 0.5.
    pub runs: String,
    /// The painting.
    pub prediction: Prediction,
}

/// Paints `fragment` (through the maps in `maps`/<id>) and writes `<id>.png` into `out`.
pub fn paint(
    fragment: &Fragment,
    maps: Option<&Path>,
    models: &Models,
    settings: &PredictSettings,
    out: &Path,
    context: &Context,
) -> anyhow::Result<Painted> {
    let began = Instant::now();
    let first = &models.checkpoints[0].1.settings;
    let [start, end] = models.input.layers;
    let limit = models.input.z_scale_limit;
    let networks: Vec<_> = models
        .checkpoints
        .iter()
        .map(|(_, c)| c.network.clone())
        .collect();
    let predictor = Predictor {
        networks: &networks,
        device: &models.device,
        transform: TestTransform::new(first.image_size, first.depth, limit, start..end)?,
        image_size: first.image_size,
        settings,
    };
    let volume = maps::aligned(fragment, maps)?;
    let mask = fragment.mask()?;
    let task = context.console.task(&format!("paint {}", fragment.id()));
    let prediction = predictor.predict(volume.as_ref(), &mask, &|done, all| task.at(done, all))?;
    drop(task);
    let image = to_image(&prediction.probability);
    let path = out.join(format!("{}.png", fragment.id()));
    write_gray(&path, image.view(), context.force)?;
    let seconds = began.elapsed().as_secs_f64();
    context.console.say(format!(
        "{}: {} tiles, {seconds:.1} s",
        path.display(),
        prediction.tiles
    ));
    Ok(Painted {
        entry: json!({
            "id": fragment.id(),
            "fragment": fragment.path(),
            "maps": maps,
            "image": path,
            "tiles": prediction.tiles,
            "seconds": seconds,
            "network_seconds": prediction.network_seconds,
        }),
        runs: run_lengths(&image, 0.5),
        prediction,
    })
}

fn maps_folder(
    flags: &Predict,
    fragment: &Fragment,
    context: &Context,
) -> anyhow::Result<Option<PathBuf>> {
    match flags.maps.as_deref() {
        None => Ok(None),
        Some("auto") => {
            let folder = flags.out.join("maps");
            align::fit(
                fragment,
                &Target::built_in(),
                &AlignSettings::default(),
                &folder.join(fragment.id()),
                context,
            )?;
            Ok(Some(folder))
        }
        Some(folder) => Ok(Some(PathBuf::from(folder))),
    }
}

fn tta(name: &str) -> Result<Tta, Usage> {
    match name {
        "none" => Ok(Tta::None),
        "rot90" => Ok(Tta::Rot90),
        "full" => Ok(Tta::Full),
        other => Err(Usage(format!(
            "--tta {other}: expected none, rot90 or full"
        ))),
    }
}
