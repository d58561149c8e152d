//! From the tiles of all parts to the images of a prediction.

use std::path::Path;
use std::time::Instant;

use inkling_fragment::{ResultFolder, ResultKind, ZarrVersion, write_bytes};
use inkling_predict::{ImageOptions, PredictionImages, Rows, TileStore, run_lengths, submission};
use ndarray::Array2;
use serde_json::{Value, json};

use super::Context;
use super::record::read_record;
use super::threshold::threshold;
use crate::cli::Images;

/// A joined prediction: its entry for predict.json and its run lengths.
pub struct Joined {
    /// Figures.
    pub entry: Value,
    /// Run lengths.
    pub runs: String,
}

/// How the images of `id` are written into `folder`.
pub fn options(images: &Images, folder: &Path, id: &str, replace: bool) -> ImageOptions {
    ImageOptions {
        folder: folder.to_owned(),
        id: id.to_owned(),
        float: images.float,
        zarr: images.zarr.then_some(ZarrVersion::V2),
        force: replace,
    }
}

/// Blends the tiles of `store` and writes its images.
pub fn join(
    store: &TileStore,
    mask: &Array2<bool>,
    images: &Images,
    folder: &Path,
    replace: bool,
    context: &Context,
) -> anyhow::Result<Joined> {
    let plan = store.plan();
    let cut = threshold(&images.threshold)?;
    let options = options(images, folder, &plan.id, replace);
    let mut painting =
        PredictionImages::begin(options, plan.size, plan.channels, plan.models.len())?;
    let began = Instant::now();
    let task = context.console.task(&format!("blend {}", plan.id));
    let height = plan.size[0] as u64;
    store.blend(mask, &mut |rows: Rows| {
        task.at((rows.first + rows.values.dim().1) as u64, height);
        painting.take(&rows)
    })?;
    drop(task);
    let painted = painting.finish()?;
    let runs = run_lengths(&painted.image, cut);
    for file in &painted.files {
        context.console.say(format!("{}", file.display()));
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
        "tiles": plan.tiles,
        "seconds": timings["whole"],
        "timings": timings,
        "threshold": cut.probability(),
        "level": cut.level(),
        "files": painted.files,
        "parts": parts,
        "plan": plan,
    });
    Ok(Joined { entry, runs })
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

/// Refuses, before any work is done, a folder in which [`sum_up`] could not write.
pub fn check_free(folder: &Path, overwrite: bool) -> anyhow::Result<()> {
    let folder = ResultFolder::shared(folder, ResultKind::Prediction);
    for name in [SUBMISSION, RECORD] {
        folder.check(name, overwrite)?;
    }
    Ok(())
}

/// Writes submission.csv and predict.json beside the images.
pub fn sum_up(folder: &Path, joined: Vec<Joined>, overwrite: bool) -> anyhow::Result<Value> {
    let id = |entry: &Value| entry["id"].as_str().unwrap_or_default().to_owned();
    let (entries, runs): (Vec<Value>, Vec<(String, String)>) = joined
        .into_iter()
        .map(|joined| {
            let id = id(&joined.entry);
            (joined.entry, (id, joined.runs))
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
