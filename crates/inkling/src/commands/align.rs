use std::path::Path;

use inkling_align::{AlignSettings, Alignment, Method, Target, align, measure_curves};
use inkling_fragment::{Fragment, write_bytes};
use inkling_report::{AlignmentView, Chart, Line, shift_map};
use ndarray::{Array2, s};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Align;
use crate::failure::Usage;

pub fn run(flags: &Align, context: &Context) -> anyhow::Result<Value> {
    let settings = AlignSettings {
        method: method(&flags.method)?,
        flip: flags.flip,
        memory: flags.memory,
        ..AlignSettings::default()
    };
    let targets = flags.target.iter().map(|path| target(path, context));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let target = Target::mean(&targets, &settings)?;
    let mut figures = serde_json::Map::new();
    for path in &flags.fragments {
        let fragment = Fragment::open(path)?;
        let folder = flags.out.join(fragment.id());
        let alignment = fit(&fragment, &target, &settings, &folder, context)?;
        figures.insert(fragment.id().to_owned(), summary(&alignment));
    }
    Ok(Value::Object(figures))
}

/// Fits `fragment` and writes its maps, figures and pictures into `folder`.
pub fn fit(
    fragment: &Fragment,
    target: &Target,
    settings: &AlignSettings,
    folder: &Path,
    context: &Context,
) -> anyhow::Result<Alignment> {
    let task = context.console.task(&format!("align {}", fragment.id()));
    let alignment = align(fragment, target, settings, &|done, all| task.at(done, all))?;
    drop(task);
    alignment.write(folder, context.force)?;
    let mask = fragment.mask()?;
    write_pictures(&alignment, &mask, folder, context.force)?;
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

fn target(path: &Path, context: &Context) -> anyhow::Result<Target> {
    if !path.is_dir() {
        return Ok(Target::read(path)?);
    }
    let fragment = Fragment::open(path)?;
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

fn write_pictures(
    alignment: &Alignment,
    mask: &Array2<bool>,
    folder: &Path,
    force: bool,
) -> anyhow::Result<()> {
    let (z_shift, mask) = thinned(alignment, mask);
    let map = shift_map(&z_shift, &mask);
    let path = folder.join("z_shift.png");
    write_bytes(&path, map.to_png(), force)?;
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
    write_bytes(&path, chart.to_svg(), force)?;
    Ok(())
}

/// Longest side of a pictured map, in pixels: a scroll's whole map is gigabytes.
const LONGEST: usize = 2000;

/// The shift map and the mask at the size of a picture.
fn thinned(alignment: &Alignment, mask: &Array2<bool>) -> (Array2<f32>, Array2<bool>) {
    let every = mask.nrows().max(mask.ncols()).div_ceil(LONGEST).max(1);
    let mask = mask.slice(s![..;every, ..;every]).to_owned();
    (alignment.relief.thinned(every), mask)
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
