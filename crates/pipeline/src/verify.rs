//! Predicts places of a finished map anew and compares them with it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use inkling_fragment::{Fragment, ImageMetadata, ReadOptions, read_probability};
use inkling_predict::{Calibration, PredictSettings, PredictionSpec};
use ndarray::{Array2, s};
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ensemble::Ensemble;
use crate::map_agreement::MapAgreement;
use crate::record::read_record;
use crate::{Context, ImageRegion, Maps, PredictionJob, PredictionOptions};

/// What a map is verified with, where the records beside it are not to be followed.
#[derive(Clone, Debug, Default)]
pub struct VerifySettings {
    /// The fragment.
    pub fragment: Option<PathBuf>,
    /// The models, in their order.
    pub models: Vec<PathBuf>,
    /// The folder of the depth maps.
    pub maps: Option<PathBuf>,
    /// How many tiles' middles are predicted anew.
    pub tiles: usize,
    /// What they are drawn from.
    pub seed: u64,
}

/// How a map agrees with what its models make of its fragment.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The fragment's name.
    pub id: String,
    /// Whether no pixel is further off than one grey level, which other processors' rounding may make.
    pub agrees: bool,
    /// Over all pixels that were predicted anew.
    pub agreement: MapAgreement,
    /// The places, each with its own largest difference.
    pub places: Vec<VerifiedPlace>,
}

/// A rectangle that was predicted anew.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedPlace {
    /// Where it lies.
    pub region: ImageRegion,
    /// The largest difference of a pixel, in grey levels.
    pub largest_difference: u8,
}

/// Grey levels by which a map that is right may be off.
const ROUNDING: u8 = 1;

/// What an image says of itself, as far as a prediction can be made again from it.
#[derive(Deserialize)]
struct Provenance {
    plan: PredictionSpec,
    reading: ReadOptions,
    aligned: bool,
    region: Option<Value>,
    calibration: Option<Calibration>,
    #[serde(default)]
    overrides: Vec<String>,
}

/// Predicts places of the map at `path` anew.
///
/// # Errors
/// A map that does not say where it comes from; a fragment or models that are not named, not there, or
/// others than the map's; those of reading and of the networks.
pub fn verify(
    path: &Path,
    settings: &VerifySettings,
    context: &Context,
) -> anyhow::Result<Verification> {
    let provenance = provenance(path)?;
    let levels = read_probability(path)?;
    let found = [levels.nrows(), levels.ncols()];
    if found != provenance.plan.size {
        bail!(
            "{}: found an image of {found:?} px; expected {:?}, as it says itself. hint: verify the map \
             before it is cropped or scaled",
            path.display(),
            provenance.plan.size
        );
    }
    let sources = Sources::find(path, &provenance, settings)?;
    let ensemble = ensemble(&provenance, &sources, context)?;
    let fragment =
        Fragment::open_with(&sources.fragment, provenance.reading)?.called(&provenance.plan.id)?;
    let options = options(&provenance, &sources)?;
    let job = PredictionJob::prepare(
        fragment,
        predict_settings(&provenance.plan),
        &options,
        &ensemble,
        context,
    )?;
    check_same(path, &provenance.plan, job.spec())?;
    compare(&provenance, &levels, &job, settings)
}

fn provenance(path: &Path) -> anyhow::Result<Provenance> {
    let provenance = ImageMetadata::read(path)?.provenance.with_context(|| {
        format!(
            "{}: found nothing that says where the map comes from; expected an image that `inkling predict` \
             wrote. hint: other programs drop it when they save an image again",
            path.display()
        )
    })?;
    serde_json::from_value(provenance).with_context(|| {
        format!(
            "{}: what it says of its origin cannot be read. hint: another version of Inkling wrote it",
            path.display()
        )
    })
}

/// Where fragment, models and depth maps lie.
struct Sources {
    fragment: PathBuf,
    models: Vec<PathBuf>,
    maps: Option<PathBuf>,
}

impl Sources {
    /// What was named, else what `predict.json` beside the map says.
    fn find(path: &Path, provenance: &Provenance, named: &VerifySettings) -> anyhow::Result<Self> {
        let record = recorded(path, &provenance.plan);
        let missing = |what: &str, flag: &str| {
            format!(
                "{}: found no predict.json beside it that names its {what}; expected one, or {flag}. hint: \
                 give {flag}",
                path.display()
            )
        };
        let of_record = |key: &str| {
            let text = record.as_ref()?[key].as_str()?;
            Some(PathBuf::from(text))
        };
        let fragment = named.fragment.clone().or_else(|| of_record("fragment"));
        let models = match (&named.models[..], &record) {
            ([], Some(record)) => {
                let models = record["models"].as_array().into_iter().flatten();
                let file = |model: &Value| Some(PathBuf::from(model["file"].as_str()?));
                models.filter_map(file).collect()
            }
            (models, _) => models.to_vec(),
        };
        if models.is_empty() {
            bail!(missing("models", "--model"));
        }
        let maps = named.maps.clone().or_else(|| of_record("maps"));
        if provenance.aligned && maps.is_none() {
            bail!(missing("depth maps", "--maps"));
        }
        Ok(Self {
            fragment: fragment.with_context(|| missing("fragment", "--fragment"))?,
            models,
            maps: maps.filter(|_| provenance.aligned),
        })
    }
}

/// The entry of the prediction `spec` in the records beside the map.
fn recorded(path: &Path, spec: &PredictionSpec) -> Option<Value> {
    let folder = path.parent()?;
    let is_it = |entry: &Value| {
        let plan = serde_json::from_value::<PredictionSpec>(entry["plan"].clone());
        plan.is_ok_and(|plan| plan == *spec)
    };
    let whole: Value = read_record(&folder.join("predict.json")).unwrap_or_default();
    let entries = whole["fragments"].as_array().cloned().unwrap_or_default();
    let own = read_record(&folder.join(format!("{}.json", spec.id))).ok();
    entries.into_iter().chain(own).find(is_it)
}

fn ensemble(
    provenance: &Provenance,
    sources: &Sources,
    context: &Context,
) -> anyhow::Result<Ensemble> {
    let weights: Vec<f64> = provenance
        .plan
        .models
        .iter()
        .map(|model| model.weight)
        .collect();
    let mut ensemble = Ensemble::load(&sources.models, &weights, &provenance.overrides, context)?;
    let planned = ensemble.planned().iter().zip(&provenance.plan.models);
    for (file, (found, expected)) in sources.models.iter().zip(planned) {
        if found.sha256 != expected.sha256 {
            bail!(
                "{}: found weights of SHA-256 {}; expected {}, as the map says. hint: name the map's own \
                 models with --model, in their order",
                file.display(),
                found.sha256,
                expected.sha256
            );
        }
    }
    if let Some(count) = provenance.plan.input["z_pool"].as_u64() {
        ensemble.pool_layers(count as usize);
    }
    let layer = |index: usize| provenance.plan.input["layers"][index].as_u64();
    if let (Some(first), Some(end)) = (layer(0), layer(1)) {
        ensemble.set_layers([first as usize, end as usize]);
    }
    Ok(ensemble)
}

fn predict_settings(plan: &PredictionSpec) -> PredictSettings {
    PredictSettings {
        tta: plan.tta,
        rotations: plan.rotations,
        step: plan.step as f64 / plan.image_size as f64,
        average: plan.average,
        precision: plan.precision,
        rules: plan.rules,
        blend: plan.blend,
        ..PredictSettings::default()
    }
}

fn options(provenance: &Provenance, sources: &Sources) -> anyhow::Result<PredictionOptions> {
    let region = provenance.region.as_ref().and_then(Value::as_str);
    let maps = sources.maps.clone().map_or(Maps::None, Maps::Folder);
    Ok(PredictionOptions {
        uncertainty: provenance.plan.channels.square,
        per_model: provenance.plan.channels.members,
        ..PredictionOptions::unwritten(maps, region.map(str::parse).transpose()?)
    })
}

/// Refuses to compare with what another fragment or other settings give.
fn check_same(
    path: &Path,
    provenance: &PredictionSpec,
    found: &PredictionSpec,
) -> anyhow::Result<()> {
    // Another version may predict the same: the pixels tell.
    let found = PredictionSpec {
        version: provenance.version.clone(),
        ..found.clone()
    };
    let different = provenance.differences(&found);
    if different.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: found a fragment and models that give another prediction ({}); expected the map's own. hint: name \
         them with --fragment, --model and --maps",
        path.display(),
        different.join(", ")
    )
}

fn compare(
    provenance: &Provenance,
    levels: &Array2<u8>,
    job: &PredictionJob,
    settings: &VerifySettings,
) -> anyhow::Result<Verification> {
    let mut places = Vec::new();
    let (mut of_map, mut anew) = (Vec::new(), Vec::new());
    for region in middles(job, settings) {
        let window = s![region.rows.clone(), region.columns.clone()];
        let shown = job.sheet().shown().slice(window);
        let probability = job.predict_region(&region)?;
        let corrected = match provenance.calibration {
            Some(calibration) => probability.mapv(|value| calibration.apply(value)),
            None => probability,
        };
        let mut largest = 0;
        for ((&level, &probability), &shown) in
            levels.slice(window).iter().zip(&corrected).zip(shown)
        {
            if shown {
                let again = provenance.plan.rules.level(probability);
                largest = largest.max(level.abs_diff(again));
                of_map.push(level);
                anew.push(again);
            }
        }
        places.push(VerifiedPlace {
            region,
            largest_difference: largest,
        });
    }
    let agreement = MapAgreement::of(&of_map, &anew);
    Ok(Verification {
        id: provenance.plan.id.clone(),
        agrees: agreement.largest_difference <= ROUNDING,
        agreement,
        places,
    })
}

/// The middles of tiles that are drawn at random: as large as tiles are apart, so that tiles on all
/// sides take part in them.
fn middles(job: &PredictionJob, settings: &VerifySettings) -> Vec<ImageRegion> {
    let spec = job.spec();
    let tiles = spec.places(job.sheet());
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut drawn = sample(&mut rng, tiles.len(), settings.tiles.min(tiles.len())).into_vec();
    drawn.sort_unstable();
    let margin = (spec.image_size - spec.step) / 2;
    let range = |start: usize, size: usize| {
        let first = (start + margin).min(size.saturating_sub(1));
        first..(first + spec.step).min(size)
    };
    drawn
        .into_iter()
        .map(|index| ImageRegion {
            rows: range(tiles[index].0, spec.size[0]),
            columns: range(tiles[index].1, spec.size[1]),
        })
        .collect()
}
