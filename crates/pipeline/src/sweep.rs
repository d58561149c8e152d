//! One segment, read by several models at several depths and in either direction.

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use inkling_fragment::{Fragment, ReadOptions, Shrink};
use inkling_predict::{
    BlockCounts, InferenceRules, LARGEST_STD, Labelled, Metrics, PredictSettings, Threshold, Tta,
};
use inkling_report::{Gallery, GalleryPicture, GallerySection};
use ndarray::{Array2, s};
use serde::Serialize;

use crate::cost_estimate::Batch;
use crate::ensemble::Ensemble;
use crate::map_agreement::MapAgreement;
use crate::pooled_layers::pooled_depth;
use crate::{
    Context, ImageRegion, Maps, PredictionJob, PredictionOptions, Usage, production_rules,
};

/// What is swept over.
#[derive(Clone, Debug)]
pub struct SweepSettings {
    /// The segment, as PATH or NAME=PATH.
    pub fragment: PathBuf,
    /// How it is read.
    pub reading: ReadOptions,
    /// Models that read it one by one.
    pub models: Vec<PathBuf>,
    /// Settings that replace those of published checkpoints, as `model.KEY=VALUE`.
    pub overrides: Vec<String>,
    /// Layers by which the ones that are read are moved.
    pub offsets: Vec<i64>,
    /// Whether the layers are reversed, for each time.
    pub orders: Vec<bool>,
    /// Depth maps that it is read through.
    pub maps: Maps,
    /// The pixels that are read.
    pub region: Option<ImageRegion>,
    /// Whether each network's publishers' rules are followed.
    pub production: bool,
    /// Test-time augmentation.
    pub tta: Tta,
    /// From which probability on a pixel is ink.
    pub threshold: Threshold,
}

/// One reading of a sweep.
#[derive(Clone, Debug, Serialize)]
pub struct SweptReading {
    /// The model, as it was named.
    pub model: PathBuf,
    /// Its place among the models.
    #[serde(skip)]
    pub number: usize,
    /// Layers by which the ones that were read were moved.
    pub offset: i64,
    /// First layer and end (exclusive), in the order in which they were read.
    pub layers: [usize; 2],
    /// Whether the last layer came first.
    pub reversed: bool,
    /// The name of its image.
    pub file: String,
    /// Share of the papyrus that is ink.
    pub ink_share: f64,
    /// Standard deviation of the probabilities: a network that finds nothing gives nearly one level.
    pub spread: f64,
    /// Agreement with the first reading.
    pub with_first: MapAgreement,
    /// F0.5 against the segment's labels, where it has any.
    pub f05: Option<f64>,
    /// Area under the ROC curve against the segment's labels, where it has any.
    pub auc: Option<f64>,
    /// 8-bit probabilities of the region, (y, x).
    #[serde(skip)]
    pub map: Array2<u8>,
}

/// Reads the segment once for each model, direction and offset, in this order.
///
/// # Errors
/// [`Usage`] for offsets that lead beyond the segment's layers; those of reading and of the networks.
pub fn sweep(settings: &SweepSettings, context: &Context) -> anyhow::Result<Vec<SweptReading>> {
    // Opened once, since what is found of a fragment (where its papyrus is) is kept with it.
    let open = |&reversed: &bool| {
        let options = ReadOptions {
            flip: reversed,
            ..settings.reading
        };
        Ok((reversed, Fragment::open_named(&settings.fragment, options)?))
    };
    let fragments = settings.orders.iter().map(open);
    let fragments = fragments.collect::<anyhow::Result<Vec<_>>>()?;
    let mut readings: Vec<SweptReading> = Vec::new();
    for (number, model) in settings.models.iter().enumerate() {
        let mut ensemble = Ensemble::load(
            std::slice::from_ref(model),
            &[],
            &settings.overrides,
            context,
        )?;
        settings.maps.warn_of_unaligned(&ensemble);
        let own = ensemble.input().layers;
        for (reversed, fragment) in &fragments {
            for &offset in &settings.offsets {
                ensemble.set_layers(own);
                ensemble.centre_layers(fragment.depth());
                let layers = moved(&ensemble, offset, fragment)?;
                ensemble.set_layers(layers);
                let reading = Reading {
                    model,
                    number,
                    offset,
                    reversed: *reversed,
                    settings,
                };
                let first = readings.first().map(|first| &first.map);
                let found = reading.make(fragment.clone(), &ensemble, first, context)?;
                context.say(found.sentence());
                readings.push(found);
            }
        }
    }
    Ok(readings)
}

fn moved(ensemble: &Ensemble, offset: i64, fragment: &Fragment) -> Result<[usize; 2], Usage> {
    let depth = pooled_depth(fragment.depth(), ensemble.input().z_pool.unwrap_or(1));
    let [first, end] = ensemble.input().layers;
    let at = |layer: usize| usize::try_from(layer as i64 + offset).ok();
    // What is padded in front and behind has no other place.
    match (at(first), at(end)) {
        (Some(first), Some(end)) if end <= depth || offset == 0 => Ok([first, end]),
        _ => Err(Usage(format!(
            "--offset {offset}: found {depth} layers in {}; expected the {} from {first} on to lie within them \
             when they are moved. hint: give smaller offsets",
            fragment.path().display(),
            end - first
        ))),
    }
}

/// One of the readings, before it is made.
struct Reading<'a> {
    model: &'a Path,
    number: usize,
    offset: i64,
    reversed: bool,
    settings: &'a SweepSettings,
}

impl Reading<'_> {
    fn make(
        &self,
        fragment: Fragment,
        ensemble: &Ensemble,
        first: Option<&Array2<u8>>,
        context: &Context,
    ) -> anyhow::Result<SweptReading> {
        let rules = match self.settings.production {
            true => production_rules(ensemble.approach())?,
            false => InferenceRules::Reference,
        };
        let predict = PredictSettings {
            tta: self.settings.tta,
            rules,
            ..ensemble.metadata().predict.clone()
        };
        let labels = fragment.ink_labels()?;
        let whole = ImageRegion::whole(fragment.size());
        let region = self.settings.region.clone().unwrap_or(whole);
        let options = PredictionOptions {
            batch: Batch::Tiles(rayon::current_num_threads()),
            ..PredictionOptions::unwritten(self.settings.maps.clone(), self.settings.region.clone())
        };
        let job = PredictionJob::prepare(fragment, predict, &options, ensemble, context)?;
        let map = job
            .predict_region(&region)?
            .mapv(|probability| rules.level(probability));
        let window = s![region.rows.clone(), region.columns.clone()];
        let papyrus = job.sheet().shown().slice(window).to_owned();
        let metrics = labels
            .map(|labels| labels.slice(window).to_owned())
            .map(|labels| self.metrics(&map, &labels, &papyrus))
            .transpose()?;
        let of_papyrus = |image: &Array2<u8>| -> Vec<u8> {
            let pixels = image.iter().zip(&papyrus);
            pixels.filter(|pair| *pair.1).map(|pair| *pair.0).collect()
        };
        let own = of_papyrus(&map);
        let ink = self.settings.threshold.ink(&map) & &papyrus;
        let ink = ink.iter().filter(|&&ink| ink);
        Ok(SweptReading {
            model: self.model.to_owned(),
            number: self.number,
            offset: self.offset,
            layers: ensemble.input().layers,
            reversed: self.reversed,
            file: self.file_name(),
            ink_share: ink.count() as f64 / own.len().max(1) as f64,
            spread: deviation(&own),
            with_first: MapAgreement::of(&of_papyrus(first.unwrap_or(&map)), &own),
            f05: metrics.and_then(|metrics| metrics.f05),
            auc: metrics.and_then(|metrics| metrics.auc),
            map,
        })
    }

    fn metrics(
        &self,
        image: &Array2<u8>,
        labels: &Array2<bool>,
        mask: &Array2<bool>,
    ) -> anyhow::Result<Metrics> {
        let sheet = Labelled {
            image,
            labels,
            mask,
        };
        let side = image.nrows().max(image.ncols()).max(1);
        let counts = BlockCounts::of_blocks(sheet, self.settings.threshold, side)?;
        Ok(BlockCounts::sum(&counts).metrics())
    }

    fn file_name(&self) -> String {
        let order = if self.reversed { "reverse" } else { "forward" };
        format!("model-{}_{order}_{:+}.png", self.number + 1, self.offset)
    }
}

/// The standard deviation of levels, as probabilities.
fn deviation(levels: &[u8]) -> f64 {
    let count = levels.len().max(1) as f64;
    let (sum, squares) = levels
        .iter()
        .fold((0_u64, 0_u64), |(sum, squares), &level| {
            let level = u64::from(level);
            (sum + level, squares + level * level)
        });
    let mean = sum as f64 / count;
    (squares as f64 / count - mean * mean).max(0.0).sqrt() / 255.0
}

impl SweptReading {
    fn order(&self) -> &'static str {
        if self.reversed { "reverse" } else { "forward" }
    }

    /// Its figures, in a line.
    pub fn sentence(&self) -> String {
        let known = match (self.f05, self.auc) {
            (Some(f05), Some(auc)) => format!(", F0.5 {f05:.3}, AUC {auc:.3}"),
            (Some(f05), None) => format!(", F0.5 {f05:.3}"),
            _ => String::new(),
        };
        format!(
            "{} {} {:+}: layers {} to {}, ink {:.2} %, spread {:.3}{known}",
            self.model.display(),
            self.order(),
            self.offset,
            self.layers[0],
            self.layers[1] - 1,
            100.0 * self.ink_share,
            self.spread
        )
    }
}

/// How far the readings of one model in one direction differ between offsets.
#[derive(Clone, Debug, Serialize)]
pub struct Consistency {
    /// The model, as it was named.
    pub model: PathBuf,
    /// Whether the last layer came first.
    pub reversed: bool,
    /// The name of its image: the standard deviation over the offsets, white being 0.5.
    pub file: String,
    /// The mean of it over pixels that any reading gave a value.
    pub mean: f64,
    /// 8-bit standard deviations, (y, x).
    #[serde(skip)]
    pub map: Array2<u8>,
}

/// Of each model and direction that was read at several offsets: ink lies in one depth, and what comes and
/// goes with a layer more or less is not to be trusted.
pub fn consistency(readings: &[SweptReading]) -> Vec<Consistency> {
    let alike =
        |a: &SweptReading, b: &SweptReading| (a.number, a.reversed) == (b.number, b.reversed);
    let groups = readings.chunk_by(alike).filter(|group| group.len() > 1);
    groups
        .map(|group| {
            let map = spread(group);
            let shown = |at: (usize, usize)| group.iter().any(|reading| reading.map[at] > 0);
            let levels: Vec<f64> = map
                .indexed_iter()
                .filter(|(at, _)| shown(*at))
                .map(|(_, &level)| f64::from(level))
                .collect();
            let first = &group[0];
            Consistency {
                model: first.model.clone(),
                reversed: first.reversed,
                file: format!("model-{}_{}.std.png", first.number + 1, first.order()),
                mean: levels.iter().sum::<f64>() / levels.len().max(1) as f64 / 255.0
                    * f64::from(LARGEST_STD),
                map,
            }
        })
        .collect()
}

fn spread(group: &[SweptReading]) -> Array2<u8> {
    let count = group.len() as f64;
    Array2::from_shape_fn(group[0].map.dim(), |at| {
        let levels = group
            .iter()
            .map(|reading| f64::from(reading.map[at]) / 255.0);
        let (sum, squares) =
            levels.fold((0.0, 0.0), |(sum, squares), p| (sum + p, squares + p * p));
        let mean: f64 = sum / count;
        let std = (squares / count - mean * mean).max(0.0).sqrt();
        (std / f64::from(LARGEST_STD) * 255.0).round() as u8
    })
}

/// Longest side of a picture on the contact sheet, in pixels.
const LONGEST: usize = 300;

/// The readings side by side: a section for each model and direction.
pub fn contact_sheet(segment: &str, readings: &[SweptReading]) -> Gallery {
    let mut sections: Vec<GallerySection> = Vec::new();
    for reading in readings {
        let title = format!("{}, {}", reading.model.display(), reading.order());
        if sections.last().is_none_or(|section| section.title != title) {
            sections.push(GallerySection {
                title,
                explanation: String::new(),
                pictures: Vec::new(),
            });
        }
        let section = sections.last_mut().expect("one was just pushed");
        section.pictures.push(GalleryPicture {
            name: format!(
                "{:+}: {:.2} % ink",
                reading.offset,
                100.0 * reading.ink_share
            ),
            explanation: reading.sentence(),
            picture: picture(&reading.map),
        });
    }
    Gallery {
        title: format!("{segment}: one segment, several readings"),
        subtitle: "What stays where it is when model and depth change is more likely to be ink; what only one \
                   of them shows, less."
            .to_owned(),
        sections,
    }
}

fn picture(map: &Array2<u8>) -> RgbImage {
    let small = Shrink::to([map.nrows(), map.ncols()], LONGEST).means(map);
    RgbImage::from_fn(small.ncols() as u32, small.nrows() as u32, |x, y| {
        let level = small[(y as usize, x as usize)];
        Rgb([level; 3])
    })
}
