//! Plants strokes of falling contrast and asks which are found.

use std::collections::BTreeMap;
use std::path::PathBuf;

use inkling_fragment::{Fragment, Volume};
use inkling_predict::{Channels, PredictSettings, Predictor, Sheet, Threshold, to_image};
use ndarray::{Array2, s};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
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
    /// How many times other strokes are planted, one in every square, to check the limits.
    pub checks: usize,
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
    /// How well they foretell strokes at other places, where that was asked.
    pub check: Option<LimitCheck>,
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
    let labels = fragment.ink_labels()?;
    let [first, end] = ensemble.input().layers;
    let (profile, source) = ink_profile(volume.as_ref(), first..end, &papyrus, labels.as_ref())?;
    let planting = Planting {
        id: fragment.id(),
        volume: volume.as_ref(),
        profile: &profile,
        sheet: Sheet::of_mask(papyrus),
        predictor: ensemble.predictor(&settings.predict, Channels::default())?,
        side: ensemble.image_size(),
        settings,
        context,
    };
    let reading = planting.predict(planting.nothing(), "reading".to_owned())?;
    let all = planting.cells(settings.seed);
    let searches = planting.search(&all, &reading)?;
    let cells = planting.limits(&all, &searches);
    Ok(DetectionLimit {
        id: fragment.id().to_owned(),
        profile: source,
        ink: profile[first..end].to_vec(),
        contrasts: settings.contrasts.clone(),
        image: planting.image(&all, &searches),
        check: planting.check(&cells, &reading)?,
        cells,
    })
}

/// Plants strokes and predicts them.
struct Planting<'a> {
    id: &'a str,
    volume: &'a dyn Volume,
    profile: &'a [f32],
    sheet: Sheet,
    predictor: Predictor<'a>,
    side: usize,
    settings: &'a LimitSettings,
    context: &'a Context<'a>,
}

impl Planting<'_> {
    fn cells(&self, seed: u64) -> Vec<Cell> {
        cells(self.sheet.papyrus(), self.side, self.settings.stroke, seed)
    }

    fn nothing(&self) -> Array2<f32> {
        Array2::zeros(self.sheet.papyrus().dim())
    }

    /// Where ink is read on the sheet with strokes of this `contrast`, (y, x).
    fn predict(&self, contrast: Array2<f32>, what: String) -> anyhow::Result<Array2<bool>> {
        let task = self.context.task(&format!("{} {what}", self.id));
        let planted = Planted {
            volume: self.volume,
            profile: self.profile,
            contrast,
        };
        let progress = |done, all| task.at(done, all);
        let prediction = self.predictor.predict(&planted, &self.sheet, &progress)?;
        Ok(self
            .settings
            .threshold
            .ink(&to_image(&prediction.probability)))
    }

    fn search(&self, all: &[Cell], reading: &Array2<bool>) -> anyhow::Result<Vec<Search>> {
        let contrasts = &self.settings.contrasts;
        let mut searches: Vec<Search> = all
            .iter()
            .map(|cell| Search::new(cell.is_found(reading), contrasts.len()))
            .collect();
        for round in 1.. {
            if searches.iter().all(Search::is_over) {
                break;
            }
            let mut contrast = self.nothing();
            for (cell, search) in all.iter().zip(&searches) {
                if let Some(next) = search.next() {
                    cell.stroke
                        .iter()
                        .for_each(|&at| contrast[at] = contrasts[next]);
                }
            }
            let ink = self.predict(contrast, format!("strokes {round}"))?;
            for (cell, search) in all.iter().zip(&mut searches) {
                search.hear(cell.is_found(&ink));
            }
        }
        Ok(searches)
    }

    fn limits(&self, all: &[Cell], searches: &[Search]) -> Vec<CellLimit> {
        let limit = |(cell, search): (&Cell, &Search)| CellLimit {
            y: cell.rows.start,
            x: cell.columns.start,
            is_inked: search.is_inked,
            faintest: search
                .faintest()
                .map(|index| self.settings.contrasts[index]),
        };
        all.iter().zip(searches).map(limit).collect()
    }

    fn image(&self, all: &[Cell], searches: &[Search]) -> Array2<u8> {
        let papyrus = self.sheet.papyrus();
        let mut image = Array2::zeros(papyrus.dim());
        for (cell, search) in all.iter().zip(searches) {
            let level = search.level(self.settings.contrasts.len());
            let square = s![cell.rows.clone(), cell.columns.clone()];
            ndarray::Zip::from(&mut image.slice_mut(square))
                .and(papyrus.slice(square))
                .for_each(|pixel, &papyrus| *pixel = if papyrus { level } else { 0 });
        }
        image
    }

    /// Plants other strokes, of contrasts that are drawn, and asks how well the limits foretold which of
    /// them are found.
    fn check(
        &self,
        limits: &[CellLimit],
        reading: &Array2<bool>,
    ) -> anyhow::Result<Option<LimitCheck>> {
        let (contrasts, seed) = (&self.settings.contrasts, self.settings.seed);
        let known: BTreeMap<(usize, usize), &CellLimit> = limits
            .iter()
            .map(|limit| ((limit.y, limit.x), limit))
            .collect();
        let mut strokes = Vec::new();
        for round in 1..=self.settings.checks as u64 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(round);
            let mut planted = Vec::new();
            let mut contrast = self.nothing();
            for cell in self.cells(seed.wrapping_add(round)) {
                let value = contrasts[random.random_range(0..contrasts.len())];
                let limit = known.get(&(cell.rows.start, cell.columns.start));
                // Where ink is seen already a stroke says nothing.
                let Some(limit) = limit.filter(|limit| !limit.is_inked) else {
                    continue;
                };
                if !cell.is_found(reading) {
                    cell.stroke.iter().for_each(|&at| contrast[at] = value);
                    planted.push((cell, margin(value, limit, contrasts)));
                }
            }
            let ink = self.predict(contrast, format!("other strokes {round}"))?;
            let found = planted.iter();
            strokes.extend(found.map(|(cell, margin)| (*margin, cell.is_found(&ink))));
        }
        Ok((self.settings.checks > 0).then(|| LimitCheck::of(&strokes)))
    }
}

/// How far a contrast lies above a square's limit, as a logarithm; where nothing is found the limit counts as
/// twice the strongest contrast.
fn margin(contrast: f32, limit: &CellLimit, contrasts: &[f32]) -> f64 {
    let strongest = contrasts.first().copied().unwrap_or(1.0);
    f64::from(contrast / limit.faintest.unwrap_or(2.0 * strongest)).ln()
}

/// How well limits foretell which strokes are found at other places.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitCheck {
    /// Strokes that were planted.
    pub strokes: usize,
    /// Those of them that were found.
    pub found: usize,
    /// The probability that a stroke that was found lay further above its square's limit than one that was
    /// not: 1 is a perfect forecast, 0.5 chance. None where all were found or none.
    pub auc: Option<f64>,
}

impl LimitCheck {
    /// Of strokes' distances above their limits, and whether they were found.
    fn of(strokes: &[(f64, bool)]) -> Self {
        let of = |wanted: bool| -> Vec<f64> {
            let those = strokes.iter().filter(|(_, found)| *found == wanted);
            those.map(|(margin, _)| *margin).collect()
        };
        let (found, missed) = (of(true), of(false));
        let mut ahead = 0.0;
        for above in &found {
            for below in &missed {
                ahead += match above.total_cmp(below) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        let pairs = (found.len() * missed.len()) as f64;
        Self {
            strokes: strokes.len(),
            found: found.len(),
            auc: (pairs > 0.0).then(|| ahead / pairs),
        }
    }
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
    fn a_forecast_is_judged_by_pairs() {
        let found = LimitCheck::of(&[(0.5, true), (0.1, false), (-1.0, true), (-2.0, false)]);
        assert_eq!((found.strokes, found.found, found.auc), (4, 2, Some(0.75)));
        assert_eq!(LimitCheck::of(&[(0.5, true), (0.5, false)]).auc, Some(0.5));
        assert_eq!(LimitCheck::of(&[(0.5, true)]).auc, None);
    }

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
