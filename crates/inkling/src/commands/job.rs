//! One fragment's prediction: its plan, its tiles, its images.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use inkling_align::Target;
use inkling_fragment::{Fragment, ResultFolder, ResultKind, Volume, read_gray, write_bytes};
use inkling_predict::{
    Channels, Error, PredictSettings, PredictionSpec, Shard, ShardWriter, TileStore, Timings,
    check_count, run_lengths,
};
use ndarray::Array2;
use serde_json::{Value, json};

use super::cost_estimate::{CostEstimate, batch};
use super::ensemble::Ensemble;
use super::join::{Joined, join, options};
use super::record::read_record;
use super::run_fingerprint::data_fingerprint;
use super::sheet_warnings::{Intensities, warn_of_other_depth, warn_of_other_intensities};
use super::threshold::threshold;
use super::{Context, align, maps};
use crate::cli::Predict;

/// Where parts are kept, beside the images.
pub const PARTS: &str = "parts";

/// One fragment to be predicted.
pub struct Job<'a> {
    fragment: Fragment,
    maps: Option<PathBuf>,
    volume: Box<dyn Volume>,
    mask: Array2<bool>,
    settings: PredictSettings,
    plan: PredictionSpec,
    flags: &'a Predict,
    ensemble: &'a Ensemble,
    context: &'a Context<'a>,
}

impl<'a> Job<'a> {
    /// Opens the fragment, aligns it when asked to, and plans.
    pub fn prepare(
        fragment: Fragment,
        mut settings: PredictSettings,
        flags: &'a Predict,
        ensemble: &'a Ensemble,
        context: &'a Context<'a>,
    ) -> anyhow::Result<Self> {
        if flags.maps.is_none() {
            let depths = &ensemble.own_settings().depths;
            warn_of_other_depth(&fragment, depths, ensemble.input().layers);
        }
        let maps = maps_folder(flags, &fragment, ensemble, context)?;
        let volume = maps::aligned(&fragment, maps.as_deref())?;
        check_layers(&fragment, volume.as_ref(), ensemble)?;
        let mask = fragment.mask()?;
        let layers = ensemble.input().layers;
        let found = Intensities::of(volume.as_ref(), &(layers[0]..layers[1]), &mask)?;
        if let Some(found) = found {
            warn_of_other_intensities(&fragment, found, &ensemble.own_settings().intensities);
        }
        let plan = plan(
            &fragment,
            volume.as_ref(),
            &mask,
            &settings,
            flags,
            ensemble,
        )?;
        settings.batch = batch(
            &flags.batch,
            flags.memory,
            ensemble,
            volume.as_ref(),
            &plan.places(&mask),
            settings.precision,
            context,
        )?;
        Ok(Self {
            fragment,
            maps,
            volume,
            mask,
            settings,
            plan,
            flags,
            ensemble,
            context,
        })
    }

    /// What it will take, from one pass over one tile.
    pub fn estimate(&self) -> anyhow::Result<Value> {
        let forecast = CostEstimate::measure(
            self.ensemble,
            self.volume.as_ref(),
            &self.plan.places(&self.mask),
            self.settings.batch,
            self.settings.precision,
        )?;
        let told = forecast.of(&self.plan, &self.settings);
        self.context.console.say(format!(
            "{}: {} tiles of {} px in {} batches, about {}, {} MiB of memory",
            self.plan.id,
            self.plan.tiles,
            self.plan.image_size,
            told["batches"],
            indicatif::HumanDuration(std::time::Duration::from_secs_f64(
                told["seconds"].as_f64().unwrap_or_default()
            )),
            told["memory_bytes"].as_u64().unwrap_or_default() >> 20,
        ));
        Ok(told)
    }

    fn folder(&self) -> PathBuf {
        self.flags.out.join(PARTS).join(&self.plan.id)
    }

    /// Its tiles on disk.
    pub fn store(&self) -> anyhow::Result<TileStore> {
        let about = json!({
            "fragment": std::path::absolute(self.fragment.path())?,
            "reading": self.fragment.options(),
            "maps": self.maps.as_deref().map(std::path::absolute).transpose()?,
            "models": self.ensemble.describe(),
            "settings": self.settings,
        });
        Ok(TileStore::begin(
            &self.folder(),
            self.plan.clone(),
            about,
            &self.mask,
        )?)
    }

    /// All of it by this process, unless an earlier one did it.
    pub fn whole(&self) -> anyhow::Result<Joined> {
        let name = format!("{}.json", self.plan.id);
        let results = ResultFolder::shared(&self.flags.out, ResultKind::Prediction);
        let record = self.flags.out.join(&name);
        let images = &self.flags.images;
        // What a killed call had begun to write is its own, and may be written again.
        let replace = self.context.force || self.flags.resume;
        let options = options(images, &self.flags.out, &self.plan.id, replace);
        if self.flags.resume && record.exists() && options.image().exists() {
            return self.as_recorded(&record, &options.image());
        }
        options.check(self.plan.channels, self.plan.models.len())?;
        results.check(&name, replace)?;
        if self.context.force && !self.flags.resume {
            self.begin_anew()?;
        }
        let store = self.store()?;
        self.make(&store, Shard::WHOLE)?;
        let joined = join(
            &store,
            &self.mask,
            images,
            &self.flags.out,
            replace,
            self.context,
        )?;
        let text = serde_json::to_string_pretty(&joined.entry)?;
        write_bytes(results.claim(&name, replace)?, text, true)?;
        store.remove()?;
        // Others may lie beside this one; then the folder stays.
        let _ = std::fs::remove_dir(self.flags.out.join(PARTS));
        Ok(joined)
    }

    /// Removes the tiles of an earlier call, once a first tile has shown that this one can work.
    fn begin_anew(&self) -> anyhow::Result<()> {
        let folder = self.folder();
        if !folder.exists() {
            return Ok(());
        }
        ResultFolder::check_own(&folder, ResultKind::Tiles)?;
        let places = self.plan.places(&self.mask);
        let predictor = self
            .ensemble
            .predictor(&self.settings, self.plan.channels)?;
        let first = &places[..places.len().min(1)];
        predictor.infer(self.volume.as_ref(), first, &mut |_, _| Ok(()))?;
        Ok(ResultFolder::shared(&folder, ResultKind::Tiles).remove()?)
    }

    /// What an earlier call finished, if it was the same prediction.
    fn as_recorded(&self, record: &Path, image: &Path) -> anyhow::Result<Joined> {
        let entry: Value = read_record(record)?;
        let plan: PredictionSpec = serde_json::from_value(entry["plan"].clone())
            .with_context(|| record.display().to_string())?;
        let different = plan.differences(&self.plan);
        if !different.is_empty() {
            let error = Error::OtherPlan {
                path: record.to_owned(),
                found: different.join(", "),
            };
            return Err(error.into());
        }
        if let Ok(store) = TileStore::open(&self.folder()) {
            // Killed after everything was written, and before its tiles were gone.
            store.remove()?;
            let _ = std::fs::remove_dir(self.flags.out.join(PARTS));
        }
        let runs = run_lengths(&read_gray(image)?, threshold(&self.flags.images.threshold)?);
        self.context
            .console
            .say(format!("{}: finished before", image.display()));
        Ok(Joined { entry, runs })
    }

    /// Makes the tiles of `part` that are still missing.
    pub fn make(&self, store: &TileStore, part: Shard) -> anyhow::Result<Value> {
        let (resume, force) = (self.flags.resume, self.context.force);
        let Some(writer) = store.part(part, resume, force)? else {
            let id = &self.plan.id;
            self.context
                .console
                .say(format!("{id}: part {part} was finished before"));
            return Ok(json!({ "id": id, "part": part.to_string(), "tiles": 0 }));
        };
        let figures = self.fill(writer, part)?;
        let text = serde_json::to_string_pretty(&figures)?;
        write_bytes(store.figures_path(part), text, true)?;
        Ok(figures)
    }

    fn fill(&self, mut writer: ShardWriter, part: Shard) -> anyhow::Result<Value> {
        let left = writer.left();
        let range = part.range(self.plan.tiles);
        let places = self.plan.places(&self.mask);
        let predictor = self
            .ensemble
            .predictor(&self.settings, self.plan.channels)?;
        let name = match part {
            Shard::WHOLE => format!("predict {}", self.plan.id),
            part => format!("predict {} {part}", self.plan.id),
        };
        let task = self.context.console.task(&name);
        let before = left.start - range.start;
        let timings = predictor.infer(
            self.volume.as_ref(),
            &places[left.clone()],
            &mut |index, images| {
                writer.put(images)?;
                task.at((before + index + 1) as u64, range.len() as u64);
                Ok(())
            },
        )?;
        writer.finish()?;
        drop(task);
        self.context.console.say(format!(
            "{}: {} tiles, {:.1} s",
            self.plan.id,
            left.len(),
            timings.whole
        ));
        self.figures(part, left.len(), before, &timings)
    }

    fn figures(
        &self,
        part: Shard,
        tiles: usize,
        before: usize,
        timings: &Timings,
    ) -> anyhow::Result<Value> {
        Ok(json!({
            "id": self.plan.id,
            "part": part.to_string(),
            "tiles": tiles,
            "resumed_after": before,
            "batch": self.settings.batch,
            "device": self.context.device()?.to_string(),
            "timings": timings,
        }))
    }
}

fn check_layers(
    fragment: &Fragment,
    volume: &dyn Volume,
    ensemble: &Ensemble,
) -> Result<(), Error> {
    let ([first, end], found) = (ensemble.input().layers, volume.shape()[0]);
    match end <= found {
        true => Ok(()),
        false => Err(Error::Shallow {
            path: fragment.path().to_owned(),
            found,
            first,
            end,
        }),
    }
}

fn plan(
    fragment: &Fragment,
    volume: &dyn Volume,
    mask: &Array2<bool>,
    settings: &PredictSettings,
    flags: &Predict,
    ensemble: &Ensemble,
) -> anyhow::Result<PredictionSpec> {
    let side = ensemble.image_size();
    check_count([mask.nrows(), mask.ncols()], side, settings.step_of(side))?;
    let mut plan = PredictionSpec {
        id: fragment.id().to_owned(),
        size: [mask.nrows(), mask.ncols()],
        image_size: side,
        step: settings.step_of(side),
        tiles: 0,
        tta: settings.tta,
        rotations: settings.rotations,
        average: settings.average,
        precision: settings.precision,
        channels: Channels {
            square: flags.uncertainty,
            members: flags.per_model,
        },
        models: ensemble.planned().to_vec(),
        input: serde_json::to_value(ensemble.input())?,
        data: data_fingerprint(&[("mask", mask)], volume, ensemble.input().layers)?,
        version: env!("INKLING_VERSION").to_owned(),
    };
    plan.tiles = plan.places(mask).len();
    Ok(plan)
}

fn maps_folder(
    flags: &Predict,
    fragment: &Fragment,
    ensemble: &Ensemble,
    context: &Context,
) -> anyhow::Result<Option<PathBuf>> {
    match flags.maps.as_deref() {
        None => Ok(None),
        Some("auto") => {
            let folder = flags.out.join("maps");
            let own = folder.join(fragment.id());
            // Maps of an earlier call are those of this one: the fit draws nothing.
            if !(flags.resume && own.join("align.json").exists()) {
                let mut settings = ensemble.own_settings().align.clone();
                settings.flip |= flags.flip;
                align::fit(fragment, &Target::built_in(), &settings, &own, context)?;
            }
            Ok(Some(folder))
        }
        Some(folder) => Ok(Some(PathBuf::from(folder))),
    }
}
