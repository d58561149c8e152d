use std::path::Path;

use inkling_align::{AlignSettings, Alignment, Method, Target, align, measure_curves};
use inkling_fragment::{Fragment, ResultFolder, ResultKind, write_bytes};
use inkling_pipeline::{Recipe, Usage};
use inkling_report::{AlignmentView, Chart, Line, shift_map};
use ndarray::{Array2, s};
use serde_json::{Value, json};

use super::Context;
use super::apart::Inputs;
use super::folds::open_distinct;
use crate::cli::Align;

pub fn run(flags: &Align, context: &Context) -> anyhow::Result<Value> {
    let mut inputs = Inputs::of(flags.fragments.iter().chain(&flags.target));
    flags.recipe.files.iter().for_each(|file| inputs.add(file));
    inputs.check_apart(&flags.out)?;
    let settings = settings(flags)?;
    let fragments = open_distinct(&flags.fragments, flags.reading.options(false))?;
    for fragment in &fragments {
        maps_folder(&flags.out.join(fragment.id()), context.force)?;
    }
    let targets = flags.target.iter().map(|path| target(path, flags, context));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let target = Target::mean(&targets, &settings)?;
    let mut figures = serde_json::Map::new();
    for fragment in &fragments {
        let folder = flags.out.join(fragment.id());
        let alignment = fit(fragment, &target, &settings, &folder, context)?;
        figures.insert(fragment.id().to_owned(), summary(&alignment));
    }
    Ok(Value::Object(figures))
}

/// What the flags, the recipe and the defaults come to, in this order.
fn settings(flags: &Align) -> anyhow::Result<AlignSettings> {
    let recipe = Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    let mut settings = recipe.align;
    if let Some(name) = &flags.method {
        settings.method = method(name)?;
    }
    settings.flip |= flags.flip;
    settings.memory = flags.memory.unwrap_or(settings.memory);
    Ok(settings)
}

/// The files of one fragment's maps.
const FILES: [&str; 5] = [
    "z_shift.npy",
    "z_scale.npy",
    "align.json",
    "z_shift.png",
    "curve.svg",
];

/// The folder of one fragment's maps, once all of its files may be written.
fn maps_folder(folder: &Path, force: bool) -> anyhow::Result<ResultFolder> {
    let folder = ResultFolder::shared(folder, ResultKind::Maps);
    for name in FILES {
        folder.check(name, force)?;
    }
    Ok(folder)
}

/// Fits `fragment` and writes its maps, figures and pictures into `folder`.
pub fn fit(
    fragment: &Fragment,
    target: &Target,
    settings: &AlignSettings,
    folder: &Path,
    context: &Context,
) -> anyhow::Result<Alignment> {
    let results = maps_folder(folder, context.force)?;
    let task = context.console.task(&format!("align {}", fragment.id()));
    let alignment = align(fragment, target, settings, &|done, all| task.at(done, all))?;
    drop(task);
    for name in FILES {
        results.claim(name, context.force)?;
    }
    alignment.write(folder, true)?;
    let mask = fragment.mask()?;
    write_pictures(&alignment, &mask, folder)?;
    context.console.say(format!(
        "{}: scale {:.3}, shift {:+.1} layers, misfit {:.3} → {:.3}",
        alignment.id, alignment.scale, alignment.shift, alignment.misfit[0], alignment.misfit[1]
    ));
    for warning in &alignment.warnings {
        tracing::warn!("{}: {warning}", alignment.id);
    }
    Ok(alignment)
}

fn method(name: &str) -> Result<Method, Usage> {
    match name {
        "robust" => Ok(Method::Robust),
        "reference" => Ok(Method::Reference),
        other => Err(Usage(format!(
            "--method {other}: expected robust or reference"
        ))),
    }
}

fn target(path: &Path, flags: &Align, context: &Context) -> anyhow::Result<Target> {
    if !path.is_dir() {
        return Ok(Target::read(path)?);
    }
    let fragment = Fragment::open_with(path, flags.reading.options(false))?;
    let task = context.console.task("target");
    let curves = measure_curves(&fragment, &|done, all| task.at(done, all))?;
    Ok(Target::new(fragment.id(), curves.all))
}

fn summary(alignment: &Alignment) -> Value {
    json!({
        "scale": alignment.scale,
        "shift": alignment.shift,
        "misfit_before": alignment.misfit[0],
        "misfit_after": alignment.misfit[1],
        "patches": alignment.patches.len(),
        "seconds": alignment.seconds,
        "warnings": alignment.warnings,
    })
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
pub fn view(alignment: &Alignment, mask: &Array2<bool>) -> AlignmentView {
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
