//! Plants strokes of falling contrast and asks which are found.

use std::path::PathBuf;

use inkling_fragment::Fragment;
use inkling_predict::{Channels, PredictSettings, Sheet, Threshold, to_image};
use ndarray::{Array2, s};
use serde::Serialize;

use super::ink_profile::{ProfileSource, ink_profile};
use super::planted::Planted;
use super::strokes::{Cell, cells};
use crate::Context;
use crate::ensemble::Ensemble;
use crate::model_volume::model_volume;

/// How a limit is found.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Depth maps that the fragment is read through.
    pub maps: Option<PathBuf>,
    /// How it is predicted.
    pub predict: PredictSettings,
    /// From which probability on a pixel is ink.
    pub threshold: Threshold,
    /// Contrasts that are tried, falling; 1 is the ink that was measured.
    pub contrasts: Vec<f32>,
    /// Width of a stroke, in pixels.
    pub stroke: f64,
    /// Where strokes lie and how they are turned.
    pub seed: u64,
}

/// The faintest ink that is found, square by square.
#[derive(Clone, Debug, Serialize)]
pub struct DetectionLimit {
    /// The fragment's name.
    pub id: String,
    /// Where the profile of ink over depth comes from.
    pub profile: ProfileSource,
    /// What ink of contrast 1 adds per layer that is read, in 16-bit levels.
    pub ink: Vec<f32>,
    /// Contrasts that were tried, falling.
    pub contrasts: Vec<f32>,
    /// One per square with papyrus enough for a stroke.
    pub cells: Vec<CellLimit>,
    /// The limits as an image, (y, x): 255 where the faintest strokes are found or ink is seen, falling
    /// by equal steps per contrast to 0 where not even the strongest are, and 0 elsewhere.
    #[serde(skip)]
    pub image: Array2<u8>,
}

/// One square.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CellLimit {
    /// First row.
    pub y: usize,
    /// First column.
    pub x: usize,
    /// Whether the reading shows ink where the stroke would be planted; nothing is planted then.
    pub is_inked: bool,
    /// The faintest contrast that is found; none where not even the strongest is, or ink is seen.
    pub faintest: Option<f32>,
}

/// Finds the limit of `fragment` under `ensemble`: strokes whose profile over depth is that of ink are
/// planted, one in every square of a patch's side, and predicted. The contrast of each is halved between
/// those that are found and those that are not.
///
/// # Errors
/// Those of reading and of the networks.
pub fn detection_limit(
    fragment: &Fragment,
    ensemble: &Ensemble,
    settings: &LimitSettings,
    context: &Context,
) -> anyhow::Result<DetectionLimit> {
    let (maps, rules) = (settings.maps.as_deref(), settings.predict.rules);
    let volume = model_volume(fragment, maps, ensemble, rules)?;
    let papyrus = fragment.mask()?;
    let sheet = Sheet::of_mask(papyrus.clone());
    let labels = fragment.ink_labels()?;
    let [first, end] = ensemble.input().layers;
    let (profile, source) = ink_profile(volume.as_ref(), first..end, &papyrus, labels.as_ref())?;
    let predictor = ensemble.predictor(&settings.predict, Channels::default())?;
    let predict = |contrast: Array2<f32>, what: String| -> anyhow::Result<Array2<u8>> {
        let task = context.task(&format!("{} {what}", fragment.id()));
        let planted = Planted {
            volume: volume.as_ref(),
            profile: &profile,
            contrast,
        };
        let progress = |done, all| task.at(done, all);
        let prediction = predictor.predict(&planted, &sheet, &progress)?;
        Ok(to_image(&prediction.probability))
    };
    let all = cells(
        &papyrus,
        ensemble.image_size(),
        settings.stroke,
        settings.seed,
    );
    let reading = predict(Array2::zeros(papyrus.dim()), "reading".to_owned())?;
    let is_found = |cell: &Cell, map: &Array2<u8>| {
        let above = cell
            .stroke
            .iter()
            .filter(|&&at| settings.threshold.holds(map[at]));
        2 * above.count() >= cell.stroke.len()
    };
    let mut searches: Vec<Search> = all
        .iter()
        .map(|cell| Search::new(is_found(cell, &reading), settings.contrasts.len()))
        .collect();
    for round in 1.. {
        if searches.iter().all(Search::is_over) {
            break;
        }
        let mut contrast = Array2::zeros(papyrus.dim());
        for (cell, search) in all.iter().zip(&searches) {
            if let Some(next) = search.next() {
                let value = settings.contrasts[next];
                cell.stroke.iter().for_each(|&at| contrast[at] = value);
            }
        }
        let map = predict(contrast, format!("strokes {round}"))?;
        for (cell, search) in all.iter().zip(&mut searches) {
            search.hear(is_found(cell, &map));
        }
    }
    let mut image = Array2::zeros(papyrus.dim());
    let mut limits = Vec::new();
    for (cell, search) in all.iter().zip(&searches) {
        let level = search.level(settings.contrasts.len());
        let (rows, columns) = (cell.rows.clone(), cell.columns.clone());
        let mut square = image.slice_mut(s![rows.clone(), columns.clone()]);
        ndarray::Zip::from(&mut square)
            .and(papyrus.slice(s![rows, columns]))
            .for_each(|pixel, &papyrus| *pixel = if papyrus { level } else { 0 });
        limits.push(CellLimit {
            y: cell.rows.start,
            x: cell.columns.start,
            is_inked: search.is_inked,
            faintest: search.faintest().map(|index| settings.contrasts[index]),
        });
    }
    Ok(DetectionLimit {
        id: fragment.id().to_owned(),
        profile: source,
        ink: profile[first..end].to_vec(),
        contrasts: settings.contrasts.clone(),
        cells: limits,
        image,
    })
}

/// The search for the faintest of some falling contrasts that is found, by halves: all those below `found` are
/// found, none from `missed` on.
#[derive(Clone, Copy, Debug)]
struct Search {
    is_inked: bool,
    found: usize,
    missed: usize,
}

impl Search {
    fn new(is_inked: bool, contrasts: usize) -> Self {
        Self {
            is_inked,
            found: 0,
            missed: if is_inked { 0 } else { contrasts },
        }
    }

    fn is_over(&self) -> bool {
        self.found >= self.missed
    }

    /// The place of the contrast that is tried next.
    fn next(&self) -> Option<usize> {
        (!self.is_over()).then(|| self.found.midpoint(self.missed))
    }

    fn hear(&mut self, is_found: bool) {
        match (self.next(), is_found) {
            (Some(tried), true) => self.found = tried + 1,
            (Some(tried), false) => self.missed = tried,
            (None, _) => {}
        }
    }

    fn faintest(&self) -> Option<usize> {
        self.found.checked_sub(1)
    }

    fn level(&self, contrasts: usize) -> u8 {
        match self.is_inked {
            true => 255,
            false => (255 * self.found / contrasts.max(1)) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_finds_the_faintest() {
        for faintest in 0..=9 {
            let mut search = Search::new(false, 9);
            let mut rounds = 0;
            while let Some(tried) = search.next() {
                search.hear(tried < faintest);
                rounds += 1;
            }
            assert_eq!(search.faintest(), faintest.checked_sub(1));
            assert_eq!(search.level(9), (255 * faintest / 9) as u8);
            assert!(rounds <= 4, "{rounds}");
        }
        let inked = Search::new(true, 9);
        assert!(inked.is_over() && inked.level(9) == 255 && inked.faintest().is_none());
    }
}
