use inkling_fragment::{DepthMaps, Fragment, Volume};
use ndarray::Array2;
use rayon::prelude::*;
use serde::Serialize;

use crate::measure::{CellSums, measure_cells};
use crate::misfit::Misfit;
use crate::{AlignSettings, Curve, Error, Target, Warped, enlarge};

/// A patch counts with at least this share of papyrus.
const LEAST_PAPYRUS: f64 = 0.05;
/// Distance between the shifts tried, in layers.
const STEP: f64 = 0.25;
/// How far a patch may lie from the whole sheet's shift, in layers.
const REACH: f64 = 12.0;
/// Passes after the first, at most.
const MOST_PASSES: usize = 8;
/// A change of scale below which no further pass is made.
const SETTLED: f64 = 0.0005;
/// Misfit above which a fit is doubted.
const DOUBTFUL: f64 = 0.35;

/// The fitted depth of a fragment.
#[derive(Clone, Debug, Serialize)]
pub struct Alignment {
    /// The fragment's name.
    pub id: String,
    /// What it was aligned to.
    pub target: String,
    /// Layers of the target per layer of the scan.
    pub scale: f64,
    /// Median shift over the patches with papyrus, in layers of the target.
    pub shift: f64,
    /// Misfit of the whole sheet's curve before and after, 0 (perfect) to 2 (opposed).
    pub misfit: [f64; 2],
    /// What people should know before they trust the maps.
    pub warnings: Vec<String>,
    /// The patches' shifts, misfits and papyrus, row by row.
    pub patches: Vec<Patch>,
    /// The sheet's curve before alignment, per layer of the scan.
    pub before: Curve,
    /// The sheet's curve after alignment, per layer of the target.
    pub after: Curve,
    /// The target's curve.
    pub target_curve: Curve,
    /// The maps, at the fragment's size.
    #[serde(skip)]
    pub maps: DepthMaps,
}

/// One fitted patch.
#[derive(Clone, Debug, Serialize)]
pub struct Patch {
    /// Centre, in pixels (y, x).
    pub centre: [f64; 2],
    /// Papyrus in it, 0 to 1.
    pub papyrus: f64,
    /// Fitted shift, in layers of the target.
    pub shift: f64,
    /// Misfit of its own curve; `None` where it has too little papyrus and follows its
    /// neighbours.
    pub misfit: Option<f64>,
}

/// Fits the depth of `fragment` to `target`: one scale for the sheet, one shift per patch.
///
/// # Errors
/// Bad settings, a fragment that cannot be read or has no usable curve.
pub fn align(
    fragment: &Fragment,
    target: &Target,
    settings: &AlignSettings,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Alignment, Error> {
    align_volume(
        fragment.id(),
        fragment,
        &fragment.mask()?,
        target,
        settings,
        progress,
    )
}

/// [`align`] for voxels from anywhere; `mask` says where there is papyrus, (y, x).
///
/// # Errors
/// Those of [`align`].
pub fn align_volume(
    id: &str,
    volume: &dyn Volume,
    mask: &Array2<bool>,
    target: &Target,
    settings: &AlignSettings,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Alignment, Error> {
    settings.check()?;
    let [first, last] = settings.layers;
    let flat = |id: &str| Error::Flat {
        id: id.to_owned(),
        first,
        last,
    };
    let normalized = target.curve.normalized(first, last);
    let target_curve = normalized.ok_or_else(|| flat(&target.name))?;
    let cell = settings.patch.div_ceil(2);
    let pass = |number: u64| {
        move |done: u64, total: u64| {
            progress(number * total + done, (MOST_PASSES as u64 + 1) * total);
        }
    };
    let cells = measure_cells(volume, mask, cell, &pass(0))?;
    let before = cells
        .whole()
        .ok_or(Error::NoPapyrus { id: id.to_owned() })?;
    before
        .normalized(0, before.len().saturating_sub(1))
        .ok_or_else(|| flat(id))?;
    let first_pass = Fit::new(&target_curve, &cells, settings);
    let (mut scale, shifts) = first_pass.solve(&before).ok_or_else(|| flat(id))?;
    let mut maps = first_pass.maps(scale, &shifts, mask.dim());
    let warnings = first_pass.warnings(&before);
    let sheet = Sheet {
        id,
        target,
        target_curve,
        before,
        warnings,
    };
    // Relief within a patch blurs its curve, and a blurred curve looks thinner than it is. Each
    // further pass measures along the relief found so far, and mends scale and shifts.
    let mut number = 1;
    loop {
        let warped = Warped::new(volume, &maps, sheet.target_curve.len())?;
        let cells = measure_cells(&warped, mask, cell, &pass(number))?;
        let fit = Fit::new(&sheet.target_curve, &cells, settings);
        let (factor, shifts) = fit.refine();
        maps = compose(&maps, &fit.maps(factor, &shifts, mask.dim()));
        scale *= factor;
        number += 1;
        if (factor - 1.0).abs() < SETTLED || number > MOST_PASSES as u64 {
            progress(1, 1);
            return Ok(fit.describe(sheet, factor, &shifts, maps, scale));
        }
    }
}

/// Applies `then` after `first`: `z × s1 × s2 + shift1 × s2 + shift2`.
fn compose(first: &DepthMaps, then: &DepthMaps) -> DepthMaps {
    DepthMaps {
        z_shift: &first.z_shift * &then.z_scale + &then.z_shift,
        z_scale: &first.z_scale * &then.z_scale,
    }
}

/// What is said of a fragment besides its fit.
struct Sheet<'a> {
    id: &'a str,
    target: &'a Target,
    target_curve: Curve,
    before: Curve,
    warnings: Vec<String>,
}

struct Fit<'a> {
    misfit: Misfit,
    grid: PatchGrid,
    settings: &'a AlignSettings,
}

impl<'a> Fit<'a> {
    fn new(target: &Curve, cells: &CellSums, settings: &'a AlignSettings) -> Self {
        Self {
            misfit: Misfit::new(target, settings.layers),
            grid: PatchGrid::new(cells),
            settings,
        }
    }

    fn maps(&self, scale: f64, shifts: &[f64], size: (usize, usize)) -> DepthMaps {
        DepthMaps {
            z_shift: enlarge(shifts, &self.grid.lattice, size),
            z_scale: Array2::from_elem(size, scale as f32),
        }
    }

    /// What is left to mend of a sheet that lies nearly right.
    fn refine(&self) -> (f64, Vec<f64>) {
        let mut scale = 1.0;
        for _ in 0..4 {
            let shift = self.target_middle() * (1.0 - scale);
            let shifts = self.patch_shifts(scale, shift);
            // Fibres bend single patches' curves at random; in the sheet's mean they cancel.
            let layers = self.grid.depth();
            let mean = self.aligned_curve(scale, &shifts, layers);
            let factor = self.sheet_scale(&mean);
            scale *= factor;
            if (factor - 1.0).abs() < 1e-4 {
                break;
            }
        }
        let shift = self.target_middle() * (1.0 - scale);
        (scale, self.patch_shifts(scale, shift))
    }

    /// By how much the scale of a nearly aligned curve is off.
    fn sheet_scale(&self, curve: &Curve) -> f64 {
        const STEPS: i64 = 30;
        let middle = self.target_middle();
        let misfit = |scale: f64| {
            let shifts = (-20..=20).map(|i| f64::from(i) * 0.05);
            shifts
                .map(|shift| self.misfit.of(curve, scale, middle * (1.0 - scale) + shift))
                .fold(f64::INFINITY, f64::min)
        };
        let at = |i: i64| 1.0 + 0.1 * i as f64 / STEPS as f64;
        let misfits: Vec<f64> = (-STEPS..=STEPS)
            .into_par_iter()
            .map(|i| misfit(at(i)))
            .collect();
        let best = (0..misfits.len()).min_by(|&a, &b| misfits[a].total_cmp(&misfits[b]));
        let best = best.unwrap_or(STEPS as usize);
        at(best as i64 - STEPS) + 0.1 / STEPS as f64 * vertex(&misfits, best)
    }

    /// The scale of the sheet and the shift of every patch.
    fn solve(&self, whole: &Curve) -> Option<(f64, Vec<f64>)> {
        let (mut scale, mut shift) = self.whole_sheet(whole)?;
        // The whole sheet's curve is blurred by its own relief; its patches' curves are not.
        for spread in [0.15, 0.04, 0.012] {
            scale = self.best_scale(scale, shift, spread);
            let shifts = self.patch_shifts(scale, self.recentred(shift, scale));
            shift = median(self.weighted(&shifts));
        }
        Some((scale, self.patch_shifts(scale, shift)))
    }

    /// Scale and shift of the sheet as a whole, from a search over all of them.
    fn whole_sheet(&self, whole: &Curve) -> Option<(f64, f64)> {
        let [low, high] = self.settings.scales;
        let count = ((high / low).ln() / 0.02).ceil().max(1.0) as usize;
        let scales = (0..=count).map(|i| low * (high / low).powf(i as f64 / count as f64));
        let middle = (self.settings.layers[0] + self.settings.layers[1]) as f64 / 2.0;
        let depth = (whole.len() - 1) as f64 / 2.0;
        let reach = (self.settings.max_shift / 0.5).ceil() as i64;
        let places = scales.flat_map(|scale| {
            (-reach..=reach).map(move |i| (scale, middle - depth * scale + i as f64 * 0.5))
        });
        let misfits =
            places.map(|(scale, shift)| (self.misfit.of(whole, scale, shift), (scale, shift)));
        misfits
            .filter(|(misfit, _)| misfit.is_finite())
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, place)| place)
    }

    /// The scale near `scale` whose patches fit best, each at its own best shift.
    fn best_scale(&self, scale: f64, shift: f64, spread: f64) -> f64 {
        const TRIES: i64 = 12;
        let middle = self.middle_layer(scale, shift);
        let candidates: Vec<f64> = (-TRIES..=TRIES)
            .map(|i| scale * (1.0 + spread * i as f64 / TRIES as f64))
            .collect();
        let totals: Vec<f64> = candidates
            .par_iter()
            .map(|&scale| {
                let shift = self.target_middle() - middle * scale;
                let best = |patch: &GridPatch| patch.weight * self.best_misfit(patch, scale, shift);
                self.grid
                    .patches
                    .iter()
                    .filter(|p| p.weight > 0.0)
                    .map(best)
                    .sum()
            })
            .collect();
        let best = (0..totals.len()).min_by(|&a, &b| totals[a].total_cmp(&totals[b]));
        let best = best.unwrap_or(TRIES as usize);
        let step = scale * spread / TRIES as f64;
        candidates[best] + step * vertex(&totals, best)
    }

    fn best_misfit(&self, patch: &GridPatch, scale: f64, shift: f64) -> f64 {
        let costs = self.costs(patch, scale, shift);
        let lowest = costs.into_iter().fold(f64::INFINITY, f64::min);
        lowest.min(2.0)
    }

    /// The misfit of `patch` at each shift around `shift`.
    fn costs(&self, patch: &GridPatch, scale: f64, shift: f64) -> Vec<f64> {
        let Some(curve) = &patch.curve else {
            return Vec::new();
        };
        offsets()
            .map(|offset| self.misfit.of(curve, scale, shift + offset))
            .collect()
    }

    /// Shifts of all patches: each as well as it fits, held together by its neighbours. Every
    /// patch keeps its whole cost curve, so that one in a wrong minimum is pulled out of it.
    fn patch_shifts(&self, scale: f64, shift: f64) -> Vec<f64> {
        let costs: Vec<Vec<f64>> = self
            .grid
            .patches
            .par_iter()
            .map(|patch| self.costs(patch, scale, shift))
            .collect();
        let mut offset: Vec<f64> = costs.iter().map(|costs| lowest(costs, |_| 0.0)).collect();
        self.fill(&mut offset);
        for _ in 0..30 {
            let mut moved = 0.0_f64;
            for index in 0..offset.len() {
                let (mean, count) = self.grid.neighbours(index, &offset);
                let patch = &self.grid.patches[index];
                let hold = self.settings.smoothness * count / patch.weight.max(1e-9);
                let new = match patch.weight > 0.0 {
                    true => lowest(&costs[index], |o| hold * (o - mean).powi(2)),
                    false => mean,
                };
                moved = moved.max((new - offset[index]).abs());
                offset[index] = new;
            }
            if moved < 0.01 {
                break;
            }
        }
        offset.into_iter().map(|offset| shift + offset).collect()
    }

    /// Gives patches without papyrus the mean of those around them, from the edge inwards.
    fn fill(&self, offset: &mut [f64]) {
        let known = self.weighted(offset);
        let start = median(known);
        for (offset, patch) in offset.iter_mut().zip(&self.grid.patches) {
            if patch.weight == 0.0 {
                *offset = start;
            }
        }
    }

    fn weighted(&self, values: &[f64]) -> Vec<f64> {
        let patches = self.grid.patches.iter().zip(values);
        patches
            .filter(|(patch, _)| patch.weight > 0.0)
            .map(|(_, &value)| value)
            .collect()
    }

    fn target_middle(&self) -> f64 {
        (self.settings.layers[0] + self.settings.layers[1]) as f64 / 2.0
    }

    /// The scan's layer that lies on the target's middle.
    fn middle_layer(&self, scale: f64, shift: f64) -> f64 {
        (self.target_middle() - shift) / scale
    }

    /// `shift` as it was found, unless it is no number.
    fn recentred(&self, shift: f64, scale: f64) -> f64 {
        match shift.is_finite() {
            true => shift,
            false => self.target_middle() * (1.0 - scale),
        }
    }

    fn describe(
        &self,
        sheet: Sheet<'_>,
        factor: f64,
        shifts: &[f64],
        maps: DepthMaps,
        scale: f64,
    ) -> Alignment {
        let at = |centre: [f64; 2]| {
            let (height, width) = maps.z_shift.dim();
            let pixel = |place: f64, size: usize| (place as usize).min(size - 1);
            f64::from(maps.z_shift[(pixel(centre[0], height), pixel(centre[1], width))])
        };
        let patches: Vec<Patch> = self
            .grid
            .patches
            .iter()
            .zip(shifts)
            .map(|(patch, &shift)| Patch {
                centre: patch.centre,
                papyrus: patch.papyrus,
                shift: at(patch.centre),
                misfit: match (&patch.curve, patch.weight > 0.0) {
                    (Some(curve), true) => Some(self.misfit.of(curve, factor, shift).min(2.0)),
                    _ => None,
                },
            })
            .collect();
        let after = self.aligned_curve(factor, shifts, sheet.target_curve.len());
        let misfit = [
            self.misfit.of(&sheet.before, 1.0, 0.0).min(2.0),
            self.misfit.of(&after, 1.0, 0.0).min(2.0),
        ];
        let mut warnings = sheet.warnings;
        warnings.extend(doubts(misfit[1], &patches));
        let fitted: Vec<f64> = patches.iter().map(|patch| patch.shift).collect();
        Alignment {
            id: sheet.id.to_owned(),
            target: sheet.target.name.clone(),
            scale,
            shift: median(self.weighted(&fitted)),
            misfit,
            warnings,
            patches,
            before: sheet.before,
            after,
            target_curve: sheet.target_curve,
            maps,
        }
    }

    /// The mean of the patches' curves, each laid onto the target's layers.
    fn aligned_curve(&self, scale: f64, shifts: &[f64], layers: usize) -> Curve {
        let value = |u: usize| {
            let mut sum = (0.0, 0.0);
            for (patch, &shift) in self.grid.patches.iter().zip(shifts) {
                let Some(curve) = &patch.curve else { continue };
                let z = ((u as f64 - shift) / scale).clamp(0.0, (curve.len() - 1) as f64);
                sum.0 += patch.weight * curve.at(z);
                sum.1 += patch.weight;
            }
            sum.0 / f64::max(sum.1, 1e-12)
        };
        Curve::new((0..layers).map(value).collect())
    }

    /// Says so when the layers fit better from the last to the first.
    fn warnings(&self, upright: &Curve) -> Vec<String> {
        let flipped = Curve::new(upright.values().iter().rev().copied().collect());
        let fit = |curve: &Curve| {
            self.whole_sheet(curve)
                .map_or(2.0, |(scale, shift)| self.misfit.of(curve, scale, shift))
        };
        match fit(&flipped) + 0.05 < fit(upright) {
            true => vec![
                "the layers fit better in reverse order: the fragment may be scanned from the \
                 back; renumber its layers"
                    .to_owned(),
            ],
            false => Vec::new(),
        }
    }
}

/// What speaks against a fit.
fn doubts(misfit: f64, patches: &[Patch]) -> Vec<String> {
    let mut doubts = Vec::new();
    if misfit > DOUBTFUL {
        doubts.push(format!(
            "the aligned curve leaves {:.0} % of the target's variance unexplained: this may be no \
             papyrus surface",
            misfit * 100.0
        ));
    }
    let left_out = |patch: &&Patch| patch.misfit.is_none() && patch.papyrus > 0.0;
    let count = patches.iter().filter(left_out).count();
    if count > 0 {
        doubts.push(format!(
            "{count} patches have too little papyrus for a fit and follow their neighbours"
        ));
    }
    doubts
}

fn offsets() -> impl Iterator<Item = f64> {
    let count = (REACH / STEP) as i64;
    (-count..=count).map(|i| i as f64 * STEP)
}

/// The offset with the lowest cost plus `extra`, refined between the tried ones.
fn lowest(costs: &[f64], extra: impl Fn(f64) -> f64) -> f64 {
    let totals: Vec<f64> = costs
        .iter()
        .zip(offsets())
        .map(|(cost, o)| cost + extra(o))
        .collect();
    let best = (0..totals.len()).min_by(|&a, &b| totals[a].total_cmp(&totals[b]));
    match best {
        Some(best) => -REACH + STEP * (best as f64 + vertex(&totals, best)),
        None => 0.0,
    }
}

/// The vertex of the parabola through `best` and its neighbours, in steps from `best`.
fn vertex(values: &[f64], best: usize) -> f64 {
    if best == 0 || best + 1 >= values.len() {
        return 0.0;
    }
    let (left, centre, right) = (values[best - 1], values[best], values[best + 1]);
    let curvature = left - 2.0 * centre + right;
    match curvature.is_finite() && curvature > 0.0 {
        true => (0.5 * (left - right) / curvature).clamp(-0.5, 0.5),
        false => 0.0,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Overlapping patches of two by two cells.
struct PatchGrid {
    patches: Vec<GridPatch>,
    lattice: Lattice,
}

struct GridPatch {
    centre: [f64; 2],
    papyrus: f64,
    /// Papyrus of the patch by a full patch's; 0 leaves it out.
    weight: f64,
    curve: Option<Curve>,
}

/// Where the patches' centres lie: rows × columns, the first at `origin`, `step` apart, pixels.
#[derive(Clone, Debug)]
pub(crate) struct Lattice {
    pub rows: usize,
    pub columns: usize,
    pub step: f64,
}

impl PatchGrid {
    fn new(cells: &CellSums) -> Self {
        let (down, across) = cells.grid();
        let (rows, columns) = (
            down.saturating_sub(1).max(1),
            across.saturating_sub(1).max(1),
        );
        let full = (4 * cells.cell * cells.cell) as f64;
        let patches = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let patches = patches.map(|(row, column)| {
            let found = cells.curve(row..down.min(row + 2), column..across.min(column + 2));
            let papyrus = found
                .as_ref()
                .map_or(0.0, |&(_, pixels)| f64::from(pixels) / full);
            let curve = found.map(|(curve, _)| curve);
            let usable = curve
                .as_ref()
                .is_some_and(|c| c.values().iter().all(|v| v.is_finite()));
            GridPatch {
                centre: [row, column].map(|i| ((i + 1) * cells.cell) as f64),
                papyrus,
                weight: if usable && papyrus >= LEAST_PAPYRUS {
                    papyrus
                } else {
                    0.0
                },
                curve,
            }
        });
        Self {
            patches: patches.collect(),
            lattice: Lattice {
                rows,
                columns,
                step: cells.cell as f64,
            },
        }
    }

    /// Layers of the patches' curves.
    fn depth(&self) -> usize {
        let curves = self.patches.iter().filter_map(|patch| patch.curve.as_ref());
        curves.map(Curve::len).next().unwrap_or(0)
    }

    /// The mean over the up to four neighbours and their number.
    fn neighbours(&self, index: usize, values: &[f64]) -> (f64, f64) {
        let Lattice { rows, columns, .. } = self.lattice;
        let (row, column) = (index / columns, index % columns);
        let mut sum = (0.0, 0.0);
        let mut add = |row: usize, column: usize| {
            sum.0 += values[row * columns + column];
            sum.1 += 1.0;
        };
        if row > 0 {
            add(row - 1, column);
        }
        if row + 1 < rows {
            add(row + 1, column);
        }
        if column > 0 {
            add(row, column - 1);
        }
        if column + 1 < columns {
            add(row, column + 1);
        }
        match sum.1 > 0.0 {
            true => (sum.0 / sum.1, sum.1),
            false => (values[index], 0.0),
        }
    }
}
