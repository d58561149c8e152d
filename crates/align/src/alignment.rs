use std::time::{Duration, Instant};

use inkling_fragment::{DepthMaps, Fragment, Volume};
use ndarray::Array2;
use serde::Serialize;

use crate::cells::Cells;
use crate::dark_layers::dark_layers;
use crate::depth_field::DepthField;
use crate::fit::{Fit, mean_curve};
use crate::misfit::Misfit;
use crate::patches::{Depths, MARGIN, Patches};
use crate::reference::{self, Halved};
use crate::shifts::median;
use crate::{AlignSettings, Curve, Error, Method, Target};

/// Misfit above which a fit is doubted.
const DOUBTFUL: f64 = 0.35;
/// Cells along a patch's side, when memory allows.
const CELLS_PER_PATCH: usize = 4;

/// The fitted depth of a fragment.
#[derive(Clone, Debug, Serialize)]
pub struct Alignment {
    /// Name of the fragment, as in its folder or NAME=PATH.
    pub id: String,
    /// A fingerprint of its voxels, by which its maps are known to be its own; that of a fragment.
    pub voxels: Option<String>,
    /// The name of the target: a file, fragments' names, or "built-in".
    pub target: String,
    /// Number of layers of the target.
    pub target_layers: usize,
    /// The method by which it was fitted.
    pub method: Method,
    /// Layers of the target per layer of the scan; below 0 when the layers were taken in reverse.
    pub scale: f64,
    /// Median shift over the patches with papyrus, in layers of the target.
    pub shift: f64,
    /// Misfit of the whole sheet's curve before and after, 0 (perfect) to 2 (opposed).
    pub misfit: [f64; 2],
    /// First and last layer of the scan that show papyrus; blank ones beyond them are left out.
    pub shown_layers: [usize; 2],
    /// Share of the papyrus left out of the fit because it is saturated.
    pub saturated: f64,
    /// Reasons to doubt the maps, a sentence each; empty for a good fit.
    pub warnings: Vec<String>,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// The patches' shifts, misfits and papyrus, row by row.
    pub patches: Vec<Patch>,
    /// The sheet's curve before alignment, per layer of the scan.
    pub before: Curve,
    /// The sheet's curve after alignment, per layer of the target.
    pub after: Curve,
    /// The target's curve, brought to 0 to 1 within `align.layers`.
    pub target_curve: Curve,
    /// Wall-clock time of each step.
    pub seconds: Seconds,
    /// Shift and scale at every place, from which maps of any part are made.
    #[serde(skip)]
    pub depth_field: DepthField,
}

/// Wall-clock time of a fit's steps, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Seconds {
    /// Reading the layers from disk and decoding them.
    pub reading: f64,
    /// Summing their voxels over cells.
    pub summing: f64,
    /// Fitting the scale and the patches' shifts.
    pub fitting: f64,
}

/// A fitted square of the sheet.
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

impl Alignment {
    /// The maps at the fragment's size.
    pub fn maps(&self) -> DepthMaps {
        self.depth_field.maps()
    }
}

/// Fits the depth of `fragment` to `target`: one scale for the sheet, one shift per patch.
/// `progress` hears (rows read, rows in all).
///
/// # Errors
/// Bad settings, a fragment that cannot be read or has no usable curve.
pub fn align(
    fragment: &Fragment,
    target: &Target,
    settings: &AlignSettings,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Alignment, Error> {
    let mask = fragment.mask()?;
    let alignment = align_volume(fragment.id(), fragment, &mask, target, settings, progress)?;
    Ok(Alignment {
        voxels: Some(fragment.fingerprint()?),
        ..alignment
    })
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
    let begin = Instant::now();
    let [depth, height, width] = volume.shape();
    let mut reading = Duration::ZERO;
    let (mut cells, pixel) = match settings.method {
        Method::Robust => {
            let side = cell_side([depth, height, width], settings);
            let cells = Cells::measure(volume, mask, side, settings, &mut reading, progress)?;
            (cells, 1)
        }
        Method::Reference => {
            let (volume, mask) = (Halved(volume), reference::halved_mask(mask));
            let (side, reading) = (reference::CELL, &mut reading);
            let cells = Cells::measure(&volume, &mask, side, settings, reading, progress)?;
            (cells.map(Cells::seen_by_the_reference), 2)
        }
    };
    let cells = cells
        .as_mut()
        .ok_or_else(|| Error::NoPapyrus { id: id.to_owned() })?;
    // By the scan's own numbers, which reversed layers lose.
    let dark = dark_layers(&cells.whole, 0);
    if settings.flip {
        cells.flip();
    }
    let measured = begin.elapsed();
    let sheet = Sheet {
        id,
        target,
        cells,
        settings,
        pixel,
    };
    let mut alignment = match settings.method {
        Method::Robust => sheet.robust([height, width])?,
        Method::Reference => sheet.reference([height, width])?,
    };
    if settings.flip {
        alignment.flip(depth);
    }
    alignment.warnings.extend(dark);
    alignment.seconds = Seconds {
        reading: reading.as_secs_f64(),
        summing: (measured - reading).as_secs_f64(),
        fitting: (begin.elapsed() - measured).as_secs_f64(),
    };
    Ok(alignment)
}

/// Side of the cells that the voxels are summed over: a quarter of a patch, or more when the
/// sums would take more than half of the memory.
fn cell_side([depth, height, width]: [usize; 3], settings: &AlignSettings) -> usize {
    let bytes = |side: usize| 4 * depth * height.div_ceil(side) * width.div_ceil(side);
    let mut side = settings.patch.div_ceil(CELLS_PER_PATCH).max(1);
    while bytes(side) > settings.memory / 2 {
        side *= 2;
    }
    side
}

/// A measured sheet about to be fitted.
struct Sheet<'a> {
    id: &'a str,
    target: &'a Target,
    cells: &'a Cells,
    settings: &'a AlignSettings,
    /// Pixels of the fragment per pixel that was measured.
    pixel: usize,
}

/// What a method has fitted.
struct FitResult {
    /// Shift of every measured cell, and the scale.
    depths: Depths,
    depth_field: DepthField,
    patches: Patches,
    /// One per patch, in layers of the target.
    shifts: Vec<f64>,
    warnings: Vec<String>,
}

impl Sheet<'_> {
    fn robust(&self, size: [usize; 2]) -> Result<Alignment, Error> {
        let target = self.target_curve()?;
        let half = (self.settings.patch / self.cells.side / 2).max(1);
        let fit = Fit::new(self.cells, &target, self.settings, half);
        self.check_curve()?;
        let (depths, patches) = fit.solve().ok_or_else(|| self.flat(self.id))?;
        let depth_field = DepthField::of_cells(&depths, self.cells.side, size);
        let shifts = (0..patches.list.len()).map(|i| {
            let place = patches.centre(i).map(|place| place as usize);
            depth_field.shift_at([place[0].min(size[0] - 1), place[1].min(size[1] - 1)])
        });
        let mut warnings = Vec::new();
        let [upright, reversed] = fit.best_of_whole();
        if reversed + 0.05 < upright {
            let wording = match self.settings.flip {
                true => "do without --flip",
                false => "try --flip",
            };
            warnings.push(format!(
                "the layers fit better in reverse order (misfit {reversed:.2} against \
                 {upright:.2}): the fragment may be scanned from its other side; {wording}"
            ));
        }
        let found = FitResult {
            shifts: shifts.collect(),
            depths,
            depth_field,
            patches,
            warnings,
        };
        Ok(self.alignment(found, target))
    }

    fn reference(&self, size: [usize; 2]) -> Result<Alignment, Error> {
        let target = self.target_curve()?;
        self.check_curve()?;
        let stages = reference::two_stages(self.cells, &target, self.settings);
        let stages = stages.ok_or_else(|| self.flat(self.id))?;
        let lattice = stages.patches.lattice(&stages.shifts);
        let (rows, columns) = self.cells.grid();
        let [ys, xs] = [rows, columns].map(|count| self.cells.centres(count));
        let depths = Depths {
            scale: stages.scale,
            shift: lattice.at(&ys, &xs),
        };
        let half = reference::PATCH / 2 / self.cells.side;
        let patches = Patches::new(self.cells, half, &depths, target.len());
        let replaced = (stages.replaced > 0).then(|| {
            format!(
                "{} of {} patches are without papyrus or outliers and were replaced",
                stages.replaced,
                stages.shifts.len()
            )
        });
        let found = FitResult {
            depth_field: DepthField::new(lattice.enlarged(self.pixel), stages.scale, size),
            shifts: stages.shifts,
            depths,
            patches,
            warnings: replaced.into_iter().collect(),
        };
        Ok(self.alignment(found, target))
    }

    fn target_curve(&self) -> Result<Curve, Error> {
        let [first, last] = self.settings.layers;
        let curve = self.target.curve.normalized(first, last);
        curve.ok_or_else(|| self.flat(&self.target.name))
    }

    fn check_curve(&self) -> Result<(), Error> {
        let [first, last] = self.cells.shown;
        let range = self.cells.whole.range(first, last);
        range.map(|_| ()).ok_or_else(|| self.flat(self.id))
    }

    fn flat(&self, id: &str) -> Error {
        let [first, last] = self.settings.layers;
        Error::Flat {
            id: id.to_owned(),
            first,
            last,
        }
    }

    fn alignment(&self, found: FitResult, target_curve: Curve) -> Alignment {
        let misfit = Misfit::new(&target_curve, self.settings.layers);
        let of_laid = |curve: &Curve| misfit.of(curve, 1.0, -(MARGIN as f64)).min(2.0);
        let laid = mean_curve(&found.patches);
        let patches: Vec<Patch> = (found.patches.list.iter().zip(&found.shifts))
            .enumerate()
            .map(|(index, (patch, &shift))| Patch {
                centre: found.patches.centre(index).map(|c| c * self.pixel as f64),
                papyrus: patch.papyrus,
                shift,
                misfit: (patch.weight > 0.0).then(|| of_laid(&patch.curve)),
            })
            .collect();
        let before = self.cells.whole.clone();
        let misfits = [misfit.of(&before, 1.0, 0.0).min(2.0), of_laid(&laid)];
        let mut warnings = found.warnings;
        warnings.extend(self.left_out());
        let scale = (found.depths.scale, self.settings.scales);
        warnings.extend(fit_warnings(misfits[1], &patches, scale));
        let step = found.patches.step as usize;
        Alignment {
            id: self.id.to_owned(),
            voxels: None,
            target: self.target.name.clone(),
            target_layers: self.target.curve.len(),
            method: self.settings.method,
            scale: found.depths.scale,
            shift: median(found.patches.of_used(&found.shifts)),
            misfit: misfits,
            shown_layers: self.cells.shown,
            saturated: self.cells.saturated,
            warnings,
            patch: 2 * step * self.pixel,
            patches,
            before,
            after: filled(&laid.values()[MARGIN..MARGIN + target_curve.len()]),
            target_curve,
            seconds: Seconds {
                reading: 0.0,
                summing: 0.0,
                fitting: 0.0,
            },
            depth_field: found.depth_field,
        }
    }

    /// What the measurement left out.
    fn left_out(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let [first, last] = self.cells.shown;
        let depth = self.cells.whole.len();
        let blank = first.saturating_sub(1) + (depth - 1 - last).saturating_sub(1);
        if blank > 0 {
            notes.push(format!(
                "{blank} blank layers before layer {first} and after layer {last} were left out"
            ));
        }
        if self.cells.saturated > 0.0 {
            notes.push(format!(
                "{:.2} % of the papyrus is saturated and was left out",
                100.0 * self.cells.saturated
            ));
        }
        notes
    }
}

impl Alignment {
    /// Turns what was fitted to the layers in reverse order into a fit of the scan's own `depth` layers.
    fn flip(&mut self, depth: usize) {
        let last = (depth - 1) as f64;
        let scale = self.scale;
        let reversed = self.before.values().iter().rev().copied().collect();
        self.before = Curve::new(reversed);
        let [first, end] = self.shown_layers;
        self.shown_layers = [depth - 1 - end, depth - 1 - first];
        self.depth_field = self.depth_field.clone().flipped(depth);
        self.scale = -scale;
        self.shift += scale * last;
        for patch in &mut self.patches {
            patch.shift += scale * last;
        }
    }
}

/// A curve whose ends, where they are NaN, keep the nearest value: nothing of the sheet
/// lies there.
fn filled(values: &[f64]) -> Curve {
    let known: Vec<usize> = (0..values.len())
        .filter(|&i| values[i].is_finite())
        .collect();
    let (Some(&first), Some(&last)) = (known.first(), known.last()) else {
        return Curve::new(vec![0.0; values.len()]);
    };
    let at = |i: usize| values[i.clamp(first, last)];
    let value = |i: usize| {
        if at(i).is_finite() {
            at(i)
        } else {
            values[first]
        }
    };
    Curve::new((0..values.len()).map(value).collect())
}

/// Warnings of a fit that may be wrong; a scale comes with the range that was searched.
fn fit_warnings(
    misfit: f64,
    patches: &[Patch],
    (scale, [low, high]): (f64, [f64; 2]),
) -> Vec<String> {
    let mut warnings = Vec::new();
    if misfit > DOUBTFUL {
        warnings.push(format!(
            "the aligned curve leaves {:.0} % of the target's variance unexplained: this may be no \
             papyrus surface",
            misfit * 100.0
        ));
    }
    if !(low..=high).contains(&scale) {
        warnings.push(format!(
            "the fitted scale {scale:.2} lies outside of align.scales, {low} to {high}: this target does not \
             describe the sheet"
        ));
    }
    let left_out = |patch: &&Patch| patch.misfit.is_none() && patch.papyrus > 0.0;
    let count = patches.iter().filter(left_out).count();
    if count > 0 {
        warnings.push(format!(
            "{count} patches have too little papyrus for a fit and follow their neighbours"
        ));
    }
    if patches.iter().all(|patch| patch.misfit.is_none()) {
        warnings.push(
            "no patch has enough papyrus for a fit of its own: the maps are level".to_owned(),
        );
    }
    warnings
}
