//! Fits a fragment's depth maps, and draws the fit.

use std::path::Path;

use inkling_align::{AlignSettings, Alignment, Target, align};
use inkling_fragment::{Fragment, ResultFolder, ResultKind, write_bytes};
use inkling_report::{AlignmentView, Chart, Line, shift_map};
use ndarray::{Array2, s};

use crate::Context;

/// The files of one fragment's maps.
const FILES: [&str; 5] = [
    "z_shift.npy",
    "z_scale.npy",
    "align.json",
    "z_shift.png",
    "curve.svg",
];

/// The folder of one fragment's maps, once all of its files may be written.
///
/// # Errors
/// Maps that are there and must not be replaced.
pub fn maps_folder(folder: &Path, force: bool) -> anyhow::Result<ResultFolder> {
    let folder = ResultFolder::shared(folder, ResultKind::Maps);
    for name in FILES {
        folder.check(name, force)?;
    }
    Ok(folder)
}

/// Fits the depth maps of `fragment` to `target` and writes them, figures and pictures into `folder`.
///
/// # Errors
/// Maps that are there and must not be replaced; those of reading, fitting and writing.
pub fn fit_maps(
    fragment: &Fragment,
    target: &Target,
    settings: &AlignSettings,
    folder: &Path,
    context: &Context,
) -> anyhow::Result<Alignment> {
    let results = maps_folder(folder, context.force)?;
    let task = context.task(&format!("align {}", fragment.id()));
    let alignment = align(fragment, target, settings, &|done, all| task.at(done, all))?;
    drop(task);
    for name in FILES {
        results.claim(name, context.force)?;
    }
    alignment.write(folder, true)?;
    let mask = fragment.mask()?;
    write_pictures(&alignment, &mask, folder)?;
    context.say(format!(
        "{}: scale {:.3}, shift {:+.1} layers, misfit {:.3} → {:.3}",
        alignment.id, alignment.scale, alignment.shift, alignment.misfit[0], alignment.misfit[1]
    ));
    for warning in &alignment.warnings {
        tracing::warn!("{}: {warning}", alignment.id);
    }
    Ok(alignment)
}

fn write_pictures(alignment: &Alignment, mask: &Array2<bool>, folder: &Path) -> anyhow::Result<()> {
    let (z_shift, mask) = thinned(alignment, mask);
    let map = shift_map(&z_shift, &mask);
    let path = folder.join("z_shift.png");
    write_bytes(&path, map.to_png(), true)?;
    let unit = |curve: &inkling_align::Curve| {
        let inner = curve.normalized(1, curve.len().saturating_sub(2));
        inner.unwrap_or_else(|| curve.clone()).values().to_vec()
    };
    let chart = Chart {
        title: format!("{}: brightness over depth", alignment.id),
        x_label: "layer".to_owned(),
        y_label: "share of range".to_owned(),
        lines: vec![
            Line::from_values("before", &unit(&alignment.before)),
            Line::from_values("after", &unit(&alignment.after)),
            Line::from_values("target", &unit(&alignment.target_curve)).dashed(),
        ],
    };
    let path = folder.join("curve.svg");
    write_bytes(&path, chart.to_svg(), true)?;
    Ok(())
}

/// Longest side of a pictured map, in pixels: a scroll's whole map is gigabytes.
const LONGEST: usize = 2000;

/// The shift map and the mask at the size of a picture.
fn thinned(alignment: &Alignment, mask: &Array2<bool>) -> (Array2<f32>, Array2<bool>) {
    let every = mask.nrows().max(mask.ncols()).div_ceil(LONGEST).max(1);
    let mask = mask.slice(s![..;every, ..;every]).to_owned();
    (alignment.depth_field.thinned(every), mask)
}

/// An alignment as the report shows it.
pub fn alignment_view(alignment: &Alignment, mask: &Array2<bool>) -> AlignmentView {
    let (z_shift, mask) = thinned(alignment, mask);
    AlignmentView {
        id: alignment.id.clone(),
        z_shift,
        mask,
        scale: alignment.scale,
        before: alignment.before.values().to_vec(),
        after: alignment.after.values().to_vec(),
        target: alignment.target_curve.values().to_vec(),
        warnings: alignment.warnings.clone(),
    }
}
