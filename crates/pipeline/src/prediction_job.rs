//! The prediction of one fragment: its specification, its tiles, its images.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use inkling_fragment::{Fragment, ResultFolder, ResultKind, Volume, read_gray, write_bytes};
use inkling_predict::{
    Channels, Error, PredictSettings, PredictionSpec, Shard, ShardWriter, Sheet, TileStore,
    Timings, check_count, run_lengths,
};
use ndarray::Array2;
use serde_json::{Value, json};

use crate::cost_estimate::{Batch, CostEstimate};
use crate::ensemble::Ensemble;
use crate::maps::maps_to_read;
use crate::merged_prediction::{ImageFiles, MergedPrediction, image_options, merge_tiles};
use crate::model_volume::model_volume;
use crate::production::sheet_of;
use crate::record::read_record;
use crate::run_fingerprint::data_fingerprint;
use crate::sheet_warnings::{PapyrusSample, warn_of_other_depth, warn_of_other_intensities};
use crate::training_areas::TrainingOverlap;
use crate::window_size::{WindowSize, pixel_size};
use crate::{Context, ImageRegion, Maps};

/// Where the shards' tiles are kept, beside the images.
pub const SHARDS: &str = "parts";

/// What is predicted besides what the models and their settings say, and where it goes.
#[derive(Clone, Debug)]
pub struct PredictionOptions {
    /// Where images, records and tiles go.
    pub out: PathBuf,
    /// Which depth maps the voxels are read through.
    pub maps: Maps,
    /// The only pixels that are predicted; the images are of the whole sheet's size, 0 elsewhere.
    pub region: Option<ImageRegion>,
    /// Tiles in work at once.
    pub batch: Batch,
    /// Bytes for the tiles in work and what networks make of them.
    pub memory: usize,
    /// Resumes where an earlier call stopped.
    pub resume: bool,
    /// Writes the standard deviation over models and passes too.
    pub uncertainty: bool,
    /// Writes each model's own probabilities too.
    pub per_model: bool,
    /// Which images are written.
    pub images: ImageFiles,
    /// Side of a pixel in micrometres, where the fragment does not say it or says it wrongly.
    pub pixel_size: Option<f64>,
}

impl PredictionOptions {
    /// A prediction of which nothing is written: one that is read through `maps`, of all pixels or those of
    /// a region, tile by tile.
    pub fn unwritten(maps: Maps, region: Option<ImageRegion>) -> Self {
        Self {
            out: PathBuf::new(),
            maps,
            region,
            batch: Batch::Tiles(1),
            memory: 2 << 30,
            resume: false,
            uncertainty: false,
            per_model: false,
            images: ImageFiles::default(),
            pixel_size: None,
        }
    }
}

/// The prediction of one fragment.
pub struct PredictionJob<'a> {
    fragment: Fragment,
    maps: Option<PathBuf>,
    volume: Box<dyn Volume>,
    sheet: Sheet,
    settings: PredictSettings,
    plan: PredictionSpec,
    window: WindowSize,
    trained_on: TrainingOverlap,
    options: &'a PredictionOptions,
    ensemble: &'a Ensemble,
    context: &'a Context<'a>,
}

impl<'a> PredictionJob<'a> {
    /// Aligns the fragment when asked to, checks it against what the models read, and specifies the
    /// prediction.
    ///
    /// # Errors
    /// Fewer layers than the models read; memory that does not hold one tile; those of reading.
    pub fn prepare(
        fragment: Fragment,
        mut settings: PredictSettings,
        options: &'a PredictionOptions,
        ensemble: &'a Ensemble,
        context: &'a Context<'a>,
    ) -> anyhow::Result<Self> {
        if options.maps == Maps::None {
            let depths = &ensemble.metadata().depths;
            warn_of_other_depth(&fragment, depths, ensemble.input().layers);
        }
        let maps = maps_to_read(
            &options.maps,
            &options.out,
            options.resume,
            &fragment,
            ensemble,
            context,
        )?;
        let volume = model_volume(&fragment, maps.as_deref(), ensemble, settings.rules)?;
        check_layers(&fragment, volume.as_ref(), ensemble)?;
        let [first, end] = ensemble.input().layers;
        let asked = options.region.as_ref();
        let sheet = sheet_of(
            &fragment,
            volume.as_ref(),
            first..end,
            asked,
            settings.rules,
        )?;
        let whole = || ImageRegion::whole(fragment.size());
        let region = asked.cloned().unwrap_or_else(whole);
        let papyrus = sheet.papyrus();
        let sample = PapyrusSample::of(volume.as_ref(), &(first..end), papyrus, &region)?;
        if let Some(sample) = sample {
            let known = &ensemble.metadata().intensities;
            warn_of_other_intensities(&fragment, sample.intensities, known);
            if maps.is_none() && ensemble.input().z_pool.is_none() {
                sample.warn_of_odd_layers(&fragment, first);
            }
        }
        let plan = plan(
            &fragment,
            volume.as_ref(),
            (&sheet, &region),
            &settings,
            options,
            ensemble,
            context.version,
        )?;
        settings.batch = options.batch.resolve(
            options.memory,
            ensemble,
            volume.as_ref(),
            &plan.places(&sheet),
            settings.precision,
            context,
        )?;
        let pixel = pixel_size(&fragment, options.pixel_size);
        let window = WindowSize::new(ensemble.image_size(), pixel);
        if let Some(warning) = window.warning() {
            tracing::warn!("{}: {warning}", fragment.path().display());
        }
        let trained_on = ensemble.metadata().trained_on.overlap(&fragment)?;
        if let Some(warning) = trained_on.warning() {
            tracing::warn!("{}: {warning}", fragment.path().display());
        }
        Ok(Self {
            window,
            trained_on,
            fragment,
            maps,
            volume,
            sheet,
            settings,
            plan,
            options,
            ensemble,
            context,
        })
    }

    /// What it will take, from one pass over one tile.
    pub fn estimate(&self) -> anyhow::Result<Value> {
        let estimate = CostEstimate::measure(
            self.ensemble,
            self.volume.as_ref(),
            &self.plan.places(&self.sheet),
            self.settings.batch,
            self.settings.precision,
            self.context.memory,
        )?;
        Ok(estimate.of(&self.plan, &self.settings, self.context.memory))
    }

    /// What the prediction is made of.
    pub fn spec(&self) -> &PredictionSpec {
        &self.plan
    }

    /// The pixels that are predicted.
    pub fn sheet(&self) -> &Sheet {
        &self.sheet
    }

    /// Predicts the pixels of `region` alone, in memory: probabilities as the whole prediction has
    /// them, (y, x) of the region.
    ///
    /// # Errors
    /// Those of reading and of the networks.
    pub fn predict_region(&self, region: &ImageRegion) -> anyhow::Result<Array2<f32>> {
        let predictor = self
            .ensemble
            .predictor(&self.settings, Channels::default())?;
        let window = [region.rows.clone(), region.columns.clone()];
        let task = self.context.task(&format!("predict {}", self.plan.id));
        let progress = |done, all| task.at(done, all);
        Ok(predictor.predict_window(self.volume.as_ref(), &self.sheet, window, &progress)?)
    }

    fn folder(&self) -> PathBuf {
        self.options.out.join(SHARDS).join(&self.plan.id)
    }

    /// Its tiles on disk.
    pub fn store(&self) -> anyhow::Result<TileStore> {
        let about = json!({
            "fragment": inkling_fragment::absolute(self.fragment.path())?,
            "reading": self.fragment.options(),
            "maps": self.maps.as_deref().map(std::path::absolute).transpose()?,
            "models": self.ensemble.describe(),
            "settings": self.settings,
            "region": self.options.region,
            "window": self.window,
            "trained_on": self.trained_on,
            "overrides": self.ensemble.overrides(),
        });
        Ok(TileStore::begin(
            &self.folder(),
            self.plan.clone(),
            about,
            &self.sheet,
        )?)
    }

    /// Predicts all of it in this process, unless an earlier call has finished it.
    ///
    /// # Errors
    /// Results that are there and must not be replaced, or are of another prediction; those of reading,
    /// of the networks and of writing.
    pub fn whole(&self) -> anyhow::Result<MergedPrediction> {
        let name = format!("{}.json", self.plan.id);
        let results = ResultFolder::shared(&self.options.out, ResultKind::Prediction);
        let record = self.options.out.join(&name);
        let images = &self.options.images;
        // What a killed call had begun to write is its own, and may be written again.
        let replace = self.context.force || self.options.resume;
        let files = image_options(images, &self.options.out, &self.plan, replace);
        if self.options.resume && record.exists() && files.image().exists() {
            return self.as_recorded(&record, &files.image());
        }
        files.check(self.plan.channels, self.plan.models.len())?;
        results.check(&name, replace)?;
        if self.context.force && !self.options.resume {
            self.begin_anew()?;
        }
        let store = self.store()?;
        self.make(&store, Shard::WHOLE)?;
        let merged = merge_tiles(
            &store,
            &self.sheet,
            images,
            &self.options.out,
            replace,
            self.context,
        )?;
        let text = serde_json::to_string_pretty(&merged.entry)?;
        write_bytes(results.claim(&name, replace)?, text, true)?;
        store.remove()?;
        // Others may lie beside this one; then the folder stays.
        let _ = std::fs::remove_dir(self.options.out.join(SHARDS));
        Ok(merged)
    }

    /// Removes the tiles of an earlier call, once a first tile has shown that this one can work.
    fn begin_anew(&self) -> anyhow::Result<()> {
        let folder = self.folder();
        if !folder.exists() {
            return Ok(());
        }
        ResultFolder::check_own(&folder, ResultKind::Tiles)?;
        let places = self.plan.places(&self.sheet);
        let predictor = self
            .ensemble
            .predictor(&self.settings, self.plan.channels)?;
        let first = &places[..places.len().min(1)];
        predictor.infer(self.volume.as_ref(), first, &mut |_, _| Ok(()))?;
        Ok(ResultFolder::shared(&folder, ResultKind::Tiles).remove()?)
    }

    /// What an earlier call finished, if it was the same prediction.
    fn as_recorded(&self, record: &Path, image: &Path) -> anyhow::Result<MergedPrediction> {
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
            let _ = std::fs::remove_dir(self.options.out.join(SHARDS));
        }
        let runs = run_lengths(&read_gray(image)?, self.options.images.threshold);
        self.context
            .say(format!("{}: finished before", image.display()));
        Ok(MergedPrediction { entry, runs })
    }

    /// Predicts the tiles of `shard` that are still missing, and returns what that took.
    ///
    /// # Errors
    /// A shard that is there and is neither to be resumed nor replaced; those of reading, of the
    /// networks and of writing.
    pub fn make(&self, store: &TileStore, shard: Shard) -> anyhow::Result<Value> {
        let (resume, force) = (self.options.resume, self.context.force);
        let Some(writer) = store.part(shard, resume, force)? else {
            let id = &self.plan.id;
            self.context
                .say(format!("{id}: part {shard} was finished before"));
            return Ok(json!({ "id": id, "part": shard.to_string(), "tiles": 0 }));
        };
        let figures = self.fill(writer, shard)?;
        let text = serde_json::to_string_pretty(&figures)?;
        write_bytes(store.figures_path(shard), text, true)?;
        Ok(figures)
    }

    fn fill(&self, mut writer: ShardWriter, shard: Shard) -> anyhow::Result<Value> {
        let left = writer.left();
        let range = shard.range(self.plan.tiles);
        let places = self.plan.places(&self.sheet);
        let predictor = self
            .ensemble
            .predictor(&self.settings, self.plan.channels)?;
        let name = match shard {
            Shard::WHOLE => format!("predict {}", self.plan.id),
            shard => format!("predict {} {shard}", self.plan.id),
        };
        let task = self.context.task(&name);
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
        self.context.say(format!(
            "{}: {} tiles, {:.1} s",
            self.plan.id,
            left.len(),
            timings.whole
        ));
        self.figures(shard, left.len(), before, &timings)
    }

    fn figures(
        &self,
        shard: Shard,
        tiles: usize,
        before: usize,
        timings: &Timings,
    ) -> anyhow::Result<Value> {
        Ok(json!({
            "id": self.plan.id,
            "part": shard.to_string(),
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
    (sheet, region): (&Sheet, &ImageRegion),
    settings: &PredictSettings,
    options: &PredictionOptions,
    ensemble: &Ensemble,
    version: &str,
) -> anyhow::Result<PredictionSpec> {
    let side = ensemble.image_size();
    check_count(sheet.size(), side, settings.step_of(side))?;
    let mut plan = PredictionSpec {
        id: fragment.id().to_owned(),
        size: sheet.size(),
        image_size: side,
        step: settings.step_of(side),
        tiles: 0,
        tta: settings.tta,
        rotations: settings.rotations,
        average: settings.average,
        precision: settings.precision,
        channels: Channels {
            square: options.uncertainty,
            members: options.per_model,
        },
        rules: settings.rules,
        blend: settings.blend,
        models: ensemble.planned().to_vec(),
        input: serde_json::to_value(ensemble.input())?,
        data: data_fingerprint(
            &[("mask", sheet.shown())],
            volume,
            ensemble.input().layers,
            region,
        )?,
        version: version.to_owned(),
    };
    plan.tiles = plan.places(sheet).len();
    Ok(plan)
}
