//! Predicts a fragment and its controls, and checks them.

use std::path::PathBuf;

use inkling_fragment::{Fragment, Volume};
use inkling_predict::{
    AgreementCounts, BlockCounts, Channels, Interval, Intervals, Labelled, PredictSettings,
    Predictor, Threshold, to_image,
};
use inkling_report::Article;
use ndarray::Array2;
use serde::Serialize;
use serde_json::{Value, json};

use super::control::{
    Control, Verdict, check_decoys, check_order, check_reading, check_share, range,
};
use super::decoys::decoys;
use super::layer_order::{LayerOrder, Reordered};
use super::noise::Noise;
use super::page;
use crate::Context;
use crate::ensemble::Ensemble;
use crate::margin::grow;
use crate::model_volume::model_volume;
use crate::overall_verdict::overall_verdict;

/// How controls are made.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// Depth maps that the fragment is read through.
    pub maps: Option<PathBuf>,
    /// How it is predicted.
    pub predict: PredictSettings,
    /// From which probability on a pixel is ink.
    pub threshold: Threshold,
    /// Side of the blocks that intervals are drawn by, in pixels.
    pub block: usize,
    /// What is drawn: the layers' order, noise, blocks.
    pub seed: u64,
}

/// A fragment's controls.
#[derive(Clone, Debug, Serialize)]
pub struct Controls {
    /// The fragment's name.
    pub fragment: String,
    /// Whether the reading and all controls pass; none where one that matters cannot be said and none fails.
    pub passes: Option<bool>,
    /// From which probability on a pixel is ink.
    pub threshold: f64,
    /// What a connected region must reach somewhere to be ink; none without such a second threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_threshold: Option<f64>,
    /// Side of the blocks that intervals were drawn by, in pixels.
    pub block: usize,
    /// Blocks that hold papyrus.
    pub blocks: usize,
    /// The models, as `predict.json` has them.
    pub models: Vec<Value>,
    /// How the fragment was predicted.
    pub settings: Value,
    /// The reading first, then its controls.
    pub controls: Vec<Control>,
    /// The labels, (y, x), where there are any.
    #[serde(skip)]
    pub labels: Option<Array2<bool>>,
}

impl Controls {
    /// As a page.
    pub fn page(&self) -> Article {
        page::page(self)
    }

    /// The outcome in a sentence.
    pub fn verdict(&self) -> &'static str {
        match self.passes {
            Some(true) => "All controls pass.",
            Some(false) => "Not all controls pass: do not take this map for a reading yet.",
            None => "No control fails, but some are inconclusive.",
        }
    }
}

/// Predicts `fragment` with `ensemble` as it is and under every control.
///
/// # Errors
/// Those of reading and of the networks.
pub fn run_controls(
    fragment: &Fragment,
    ensemble: &Ensemble,
    settings: &ControlSettings,
    context: &Context,
) -> anyhow::Result<Controls> {
    let (maps, rules) = (settings.maps.as_deref(), settings.predict.rules);
    let volume = model_volume(fragment, maps, ensemble, rules)?;
    let mut papyrus = fragment.mask()?;
    let labels = fragment.ink_labels()?;
    if let Some(trusted) = fragment.supervision_mask()? {
        papyrus.zip_mut_with(&trusted, |papyrus, &trusted| *papyrus &= trusted);
    }
    let sheet = Sheet {
        id: fragment.id(),
        volume: volume.as_ref(),
        ink: labels
            .clone()
            .unwrap_or_else(|| Array2::from_elem(papyrus.dim(), false)),
        is_labelled: labels.is_some(),
        papyrus,
        predictor: ensemble.predictor(&settings.predict, Channels::default())?,
        layers: ensemble.input().layers,
        settings,
        context,
    };
    let controls = sheet.controls()?;
    Ok(Controls {
        fragment: fragment.id().to_owned(),
        passes: overall_verdict(controls.iter().map(|control| control.passes)),
        threshold: settings.threshold.probability(),
        high_threshold: settings.threshold.high().map(Threshold::probability),
        block: settings.block,
        blocks: sheet.blocks(&sheet.ink.mapv(|_| 0), &sheet.papyrus)?.len(),
        models: ensemble.describe().to_vec(),
        settings: json!(settings.predict),
        controls,
        labels,
    })
}

/// What every control looks at.
struct Sheet<'a> {
    id: &'a str,
    volume: &'a dyn Volume,
    /// Labels; nothing where there are none.
    ink: Array2<bool>,
    is_labelled: bool,
    /// Papyrus on which labels are trusted.
    papyrus: Array2<bool>,
    predictor: Predictor<'a>,
    layers: [usize; 2],
    settings: &'a ControlSettings,
    context: &'a Context<'a>,
}

/// Pixels around ink that are not looked at as bare papyrus: a quarter of a patch, within these.
const AROUND_INK: [usize; 2] = [4, 64];

impl Sheet<'_> {
    fn controls(&self) -> anyhow::Result<Vec<Control>> {
        let map = self.predict("reading", self.volume)?;
        let aucs = self.decoy_aucs(&map)?;
        let figures = self.figures(&map, &self.papyrus)?;
        let highest = range(&aucs).map(|(_, high)| high);
        let verdict = check_reading(figures.get("auc"), highest);
        let reading_passes = verdict.0;
        let bare = self.bare(&map)?;
        let decoys = decoy_control(&aucs);
        let mut controls = vec![control(
            "reading",
            "The fragment as it is.".to_owned(),
            figures,
            verdict,
            Some(map.clone()),
        )];
        for (order, name, description) in [
            (
                LayerOrder::Reversed,
                "reversed",
                "The layers in reverse order.",
            ),
            (
                LayerOrder::Shuffled,
                "shuffled",
                "The layers in a drawn order.",
            ),
            (
                LayerOrder::Shifted,
                "shifted",
                "All layers moved round by half of them, so that the network looks beside the sheet.",
            ),
        ] {
            controls.push(self.reordered(order, name, description, &map, reading_passes)?);
        }
        controls.extend([bare, self.noise()?, decoys]);
        Ok(controls)
    }

    fn predict(&self, what: &str, volume: &dyn Volume) -> anyhow::Result<Array2<u8>> {
        let task = self.context.task(&format!("{} {what}", self.id));
        let progress = |done, all| task.at(done, all);
        let sheet = inkling_predict::Sheet::of_mask(self.papyrus.clone());
        let prediction = self.predictor.predict(volume, &sheet, &progress)?;
        Ok(to_image(&prediction.probability))
    }

    fn reordered(
        &self,
        order: LayerOrder,
        name: &'static str,
        description: &str,
        reading: &Array2<u8>,
        reading_passes: Option<bool>,
    ) -> anyhow::Result<Control> {
        let depth = self.volume.shape()[0];
        let volume = Reordered {
            volume: self.volume,
            sources: order.sources(depth, self.layers, self.settings.seed),
        };
        let map = self.predict(name, &volume)?;
        let (own, other) = (
            self.blocks(reading, &self.papyrus)?,
            self.blocks(&map, &self.papyrus)?,
        );
        let pairs: Vec<[&BlockCounts; 2]> = own.iter().zip(&other).map(|(a, b)| [a, b]).collect();
        let threshold = self.settings.threshold;
        let fall = Intervals::of(&pairs, self.settings.seed, |drawn| {
            let auc = |map: usize| {
                let whole = BlockCounts::sum(drawn.iter().map(|pair| pair[map]));
                whole.metrics().auc
            };
            vec![("auc", auc(0).zip(auc(1)).map(|(own, other)| own - other))]
        });
        let block = self.settings.block;
        let alike = AgreementCounts::of_blocks([reading, &map], &self.papyrus, threshold, block)?;
        let alike = Intervals::of(&alike, self.settings.seed, |drawn| {
            AgreementCounts::sum(drawn.iter().copied()).named().to_vec()
        });
        let verdict = check_order(reading_passes, fall.get("auc"), alike.get("correlation"));
        let figures = self.figures(&map, &self.papyrus)?;
        Ok(control(
            name,
            description.to_owned(),
            figures,
            verdict,
            Some(map),
        ))
    }

    /// The reading's bare papyrus, away from ink.
    fn bare(&self, map: &Array2<u8>) -> anyhow::Result<Control> {
        let [least, most] = AROUND_INK;
        let margin = (self.predictor.image_size / 4).clamp(least, most);
        let bare = self.bare_papyrus(margin);
        let description =
            format!("The reading's papyrus further than {margin} px from labelled ink.");
        let figures = self.figures(map, &bare)?;
        let verdict = match (self.is_labelled, bare.iter().any(|&set| set)) {
            (false, _) => (
                None,
                "there are no labels that say where papyrus is bare".to_owned(),
            ),
            (true, false) => (
                None,
                format!("no papyrus lies further than {margin} px from labelled ink"),
            ),
            (true, true) => check_share(figures.get("ink_share"), "bare papyrus"),
        };
        Ok(control("bare papyrus", description, figures, verdict, None))
    }

    /// Papyrus further than `margin` px from labelled ink.
    fn bare_papyrus(&self, margin: usize) -> Array2<bool> {
        let mut inked = self.ink.clone();
        grow(&mut inked, margin);
        let mut bare = self.papyrus.clone();
        bare.zip_mut_with(&inked, |bare, &inked| *bare &= !inked);
        bare
    }

    /// Noise like bare papyrus: that of ink would have its profile over depth, and be read.
    fn noise(&self) -> anyhow::Result<Control> {
        let layers = self.layers[0]..self.layers[1];
        let count = |area: &Array2<bool>| area.iter().filter(|&&set| set).count();
        let bare = self.bare_papyrus(AROUND_INK[0]);
        let (like, whose) = match self.is_labelled && 10 * count(&bare) >= count(&self.papyrus) {
            true => (&bare, "the fragment's bare papyrus"),
            false => (
                &self.papyrus,
                "the fragment, unknown ink included, whose profile over depth it may therefore show",
            ),
        };
        let noise = Noise::like(self.volume, layers, like, self.settings.seed)?;
        let map = self.predict("noise", &noise)?;
        let description = format!(
            "Noise with the brightness per layer, the spectrum and the correlation between layers of {whose}."
        );
        let figures = self.figures(&map, &self.papyrus)?;
        let verdict = check_share(figures.get("ink_share"), "noise");
        Ok(control("noise", description, figures, verdict, Some(map)))
    }

    /// The reading's AUC against every decoy that has ink and bare papyrus.
    fn decoy_aucs(&self, map: &Array2<u8>) -> anyhow::Result<Vec<f64>> {
        let mut aucs = Vec::new();
        if self.is_labelled {
            for labels in decoys(&self.ink) {
                let counts = BlockCounts::sum(&self.blocks_against(map, &labels, &self.papyrus)?);
                aucs.extend(counts.metrics().auc);
            }
        }
        Ok(aucs)
    }

    fn blocks(&self, map: &Array2<u8>, papyrus: &Array2<bool>) -> anyhow::Result<Vec<BlockCounts>> {
        self.blocks_against(map, &self.ink, papyrus)
    }

    fn blocks_against(
        &self,
        image: &Array2<u8>,
        labels: &Array2<bool>,
        mask: &Array2<bool>,
    ) -> anyhow::Result<Vec<BlockCounts>> {
        let sheet = Labelled {
            image,
            labels,
            mask,
        };
        let (threshold, block) = (self.settings.threshold, self.settings.block);
        Ok(BlockCounts::levels_of_blocks(sheet, threshold, block)?)
    }

    /// `ink_share`, `auc` and `f05` of a map.
    fn figures(&self, map: &Array2<u8>, papyrus: &Array2<bool>) -> anyhow::Result<Intervals> {
        let blocks = self.blocks(map, papyrus)?;
        Ok(Intervals::of(&blocks, self.settings.seed, |drawn| {
            let metrics = BlockCounts::sum(drawn.iter().copied()).metrics();
            vec![
                ("ink_share", metrics.ink_share),
                ("auc", metrics.auc),
                ("f05", metrics.f05),
            ]
        }))
    }
}

fn control(
    name: &'static str,
    description: String,
    figures: Intervals,
    (passes, sentence): Verdict,
    map: Option<Array2<u8>>,
) -> Control {
    Control {
        name,
        description,
        figures,
        passes,
        sentence,
        map,
    }
}

fn decoy_control(aucs: &[f64]) -> Control {
    let mean = aucs.iter().sum::<f64>() / aucs.len() as f64;
    let figures = [Interval {
        name: "auc",
        value: (!aucs.is_empty()).then_some(mean),
        interval: range(aucs).map(|(low, high)| [low, high]),
    }];
    control(
        "decoys",
        format!(
            "The reading against {} decoys: the labels turned by half a turn and moved round. Mean and \
             range over all of them.",
            aucs.len()
        ),
        figures.into_iter().collect(),
        check_decoys(aucs),
        None,
    )
}
