//! Merges the tiles of all shards into the images and records of a prediction.

use std::path::Path;
use std::time::Instant;

use inkling_fragment::{ImageMetadata, ResultFolder, ResultKind, ZarrVersion, write_bytes};
use inkling_predict::{
    Calibration, ImageOptions, PredictionImages, PredictionSpec, Rows, Sheet, Threshold, TileStore,
    run_lengths, submission,
};
use serde_json::{Value, json};

use crate::Context;
use crate::record::read_record;

/// Which images of a prediction are written beside `<id>.png`, and what is ink in `submission.csv`.
#[derive(Clone, Copy, Debug)]
pub struct ImageFiles {
    /// Writes `<id>.tif`: 32-bit floats in tiles.
    pub float: bool,
    /// Writes `<id>.zarr`: OME-Zarr with a pyramid, of 16-bit probabilities.
    pub zarr: bool,
    /// From which grey level on a pixel is ink in `submission.csv`.
    pub threshold: Threshold,
    /// Corrects the probabilities.
    pub calibration: Option<Calibration>,
}

impl Default for ImageFiles {
    fn default() -> Self {
        Self {
            float: false,
            zarr: false,
            threshold: Threshold::HALF,
            calibration: None,
        }
    }
}

/// A fragment's prediction, merged from its tiles.
pub struct MergedPrediction {
    /// Its entry in `predict.json`.
    pub entry: Value,
    /// Its run lengths, for `submission.csv`.
    pub runs: String,
}

/// How the images of the prediction `spec` are written into `folder`.
pub fn image_options(
    images: &ImageFiles,
    folder: &Path,
    spec: &PredictionSpec,
    replace: bool,
) -> ImageOptions {
    ImageOptions {
        folder: folder.to_owned(),
        id: spec.id.clone(),
        rules: spec.rules,
        metadata: ImageMetadata::default(),
        float: images.float,
        zarr: images.zarr.then_some(ZarrVersion::V2),
        calibration: images.calibration,
        force: replace,
    }
}

/// Blends the tiles of `store` over `sheet` and writes its images into `folder`.
///
/// # Errors
/// Missing or damaged tiles; images that are there and must not be replaced; those of writing.
pub fn merge_tiles(
    store: &TileStore,
    sheet: &Sheet,
    images: &ImageFiles,
    folder: &Path,
    replace: bool,
    context: &Context,
) -> anyhow::Result<MergedPrediction> {
    let plan = store.plan();
    let cut = images.threshold;
    let options = ImageOptions {
        metadata: image_metadata(store, images),
        ..image_options(images, folder, plan, replace)
    };
    let mut writer = PredictionImages::begin(options, plan.size, plan.channels, plan.models.len())?;
    let began = Instant::now();
    let task = context.task(&format!("blend {}", plan.id));
    let height = plan.size[0] as u64;
    store.blend(sheet, &mut |rows: Rows| {
        task.at((rows.first + rows.values.dim().1) as u64, height);
        writer.take(&rows)
    })?;
    drop(task);
    let written = writer.finish()?;
    let runs = run_lengths(&written.image, cut);
    for file in &written.files {
        context.say(format!("{}", file.display()));
    }
    let parts = parts(store)?;
    let timings = timings(&parts, began.elapsed().as_secs_f64());
    let about = store.about();
    let entry = json!({
        "id": plan.id,
        "fragment": about["fragment"],
        "reading": about["reading"],
        "maps": about["maps"],
        "models": about["models"],
        "settings": about["settings"],
        "region": about["region"],
        "window": about["window"],
        "trained_on": about["trained_on"],
        "overrides": about["overrides"],
        "tiles": plan.tiles,
        "seconds": timings["whole"],
        "timings": timings,
        "threshold": cut.probability(),
        "level": cut.level(),
        "high_threshold": cut.high().map(Threshold::probability),
        "calibration": images.calibration,
        "files": written.files,
        "parts": parts,
        "plan": plan,
    });
    Ok(MergedPrediction { entry, runs })
}

/// What the images say of themselves: all that decided them, by names and hashes. Images are passed on, so
/// they hold no paths; `predict.json` beside them does.
fn image_metadata(store: &TileStore, images: &ImageFiles) -> ImageMetadata {
    let about = store.about();
    let models = about["models"].as_array().into_iter().flatten();
    let models: Vec<Value> = models
        .map(|model| {
            let file = Path::new(model["file"].as_str().unwrap_or_default());
            json!({
                "file": file.file_name().map(|name| name.to_string_lossy()),
                "sha256": model["sha256"],
                "weight": model["weight"],
                "approach": model["model"]["approach"],
                "normalization": model["model"]["normalization"],
            })
        })
        .collect();
    ImageMetadata {
        provenance: Some(json!({
            "program": format!("inkling {}", store.plan().version),
            "fragment": store.plan().id,
            "reading": about["reading"],
            "aligned": !about["maps"].is_null(),
            "models": models,
            "region": about["region"],
            "window": about["window"],
            "trained_on": about["trained_on"],
            "overrides": about["overrides"],
            "calibration": images.calibration,
            "plan": store.plan(),
        })),
        pixel_size: about["window"]["pixel_micrometres"].as_f64(),
    }
}

/// Where the time of all parts went, in seconds, and what share of it was the network's.
fn timings(parts: &[Value], joining: f64) -> Value {
    let seconds = |key: &str| -> f64 {
        let of = |part: &Value| part["timings"][key].as_f64();
        parts.iter().filter_map(of).sum()
    };
    let (whole, network) = (seconds("whole") + joining, seconds("network"));
    json!({
        "whole": whole,
        "network": network,
        "reading": seconds("reading"),
        "telling": seconds("telling"),
        "joining": joining,
        "network_share": network / whole,
    })
}

/// What each part took.
fn parts(store: &TileStore) -> anyhow::Result<Vec<Value>> {
    let mut parts = Vec::new();
    for part in store.parts()? {
        let path = store.figures_path(part);
        parts.push(match path.exists() {
            true => read_record(&path)?,
            false => Value::Null,
        });
    }
    Ok(parts)
}

const SUBMISSION: &str = "submission.csv";
const RECORD: &str = "predict.json";

/// Whether the predictions in `folder` are finished and recorded.
pub fn is_recorded(folder: &Path) -> bool {
    folder.join(RECORD).exists()
}

/// What is recorded of the predictions in `folder`.
pub fn record(folder: &Path) -> anyhow::Result<Value> {
    read_record(&folder.join(RECORD))
}

/// Refuses, before any work is done, a folder in which [`write_records`] could not write.
///
/// # Errors
/// Records that are there and must not be replaced.
pub fn check_records(folder: &Path, overwrite: bool) -> anyhow::Result<()> {
    let folder = ResultFolder::shared(folder, ResultKind::Prediction);
    for name in [SUBMISSION, RECORD] {
        folder.check(name, overwrite)?;
    }
    Ok(())
}

/// Writes `submission.csv` and `predict.json` beside the images.
///
/// # Errors
/// Those of writing.
pub fn write_records(
    folder: &Path,
    merged: Vec<MergedPrediction>,
    overwrite: bool,
) -> anyhow::Result<Value> {
    let id = |entry: &Value| entry["id"].as_str().unwrap_or_default().to_owned();
    let (entries, runs): (Vec<Value>, Vec<(String, String)>) = merged
        .into_iter()
        .map(|merged| {
            let id = id(&merged.entry);
            (merged.entry, (id, merged.runs))
        })
        .unzip();
    let folder = ResultFolder::shared(folder, ResultKind::Prediction);
    let place = |name| folder.claim(name, overwrite);
    write_bytes(place(SUBMISSION)?, submission(&runs), true)?;
    let figures = json!({ "fragments": entries });
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(place(RECORD)?, text, true)?;
    Ok(figures)
}
