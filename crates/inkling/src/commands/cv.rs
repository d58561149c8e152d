use std::path::Path;

use anyhow::Context as _;
use inkling_fragment::{Fragment, read_gray, write_bytes};
use inkling_predict::{PredictSettings, Tta, to_image};
use inkling_report::{FoldRow, ReportData, TrainingView, render};
use inkling_train::{Run, Validation};
use ndarray::Array2;
use serde_json::{Value, json};

use super::Context;
use super::ensemble::{Ensemble, paint};
use super::fold::{self, Fold, Going};
use super::folds::{choose, folds, open_fragments};
use super::report::{REFRESH, figure, prediction_view, training_view};
use super::train::best_epoch;
use crate::cli::Cv;
use crate::recipe::Recipe;

/// A fold that was trained to its end.
struct Row {
    fold: Fold,
    epoch: u32,
    best: Validation,
    training: TrainingView,
}

pub fn run(flags: &Cv, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    let fragments = open_fragments(&recipe)?;
    let all = folds(&recipe, &fragments)?;
    let chosen = match &flags.fold {
        Some(_) => vec![choose(flags.fold.as_deref(), &all)?],
        None => all.clone(),
    };
    let going = Going {
        resume: flags.resume,
        allow_changed_data: flags.allow_changed_data,
        memory: flags.memory,
    };
    for fold in &chosen {
        let run = flags.out.join(&fold.name);
        fold::train(&recipe, &fragments, fold, &run, going, context)?;
        let painted = pictures(&recipe, &fragments, fold, &run, context);
        let shown = painted.and_then(|()| show(&recipe, &fragments, &all, &flags.out, context));
        context.ranks.agree(shown)?;
    }
    match context.ranks.is_first() {
        true => sum_up(&recipe, &all, &flags.out, context),
        false => Ok(Value::Null),
    }
}

/// The folds finished so far.
fn finished(recipe: &Recipe, all: &[Fold], out: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for fold in all {
        rows.extend(row(recipe, fold, out)?);
    }
    Ok(rows)
}

/// Writes the report of the folds finished so far, on the first rank.
fn show(
    recipe: &Recipe,
    fragments: &[Fragment],
    all: &[Fold],
    out: &Path,
    context: &Context,
) -> anyhow::Result<()> {
    if context.ranks.is_first() {
        let rows = finished(recipe, all, out)?;
        let page = report(recipe, fragments, rows, all.len(), out)?;
        // Made from the runs, and may be made anew.
        write_bytes(out.join("report.html"), &page, true)?;
    }
    Ok(())
}

/// The table and cv.json of all folds that are finished.
fn sum_up(recipe: &Recipe, all: &[Fold], out: &Path, context: &Context) -> anyhow::Result<Value> {
    let rows = finished(recipe, all, out)?;
    let (mean, spread) = mean_and_spread(&rows);
    say_table(&rows, all.len(), mean, spread, context);
    let figures = json!({
        "folds": rows.iter().map(|row| json!({
            "held_out": row.fold.name, "epoch": row.epoch, "validation": row.best,
        })).collect::<Vec<_>>(),
        "missing": all.len() - rows.len(),
        "mean_f05": mean,
        "spread_f05": spread,
    });
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(out.join("cv.json"), &text, true)?;
    Ok(figures)
}

/// The fold's outcome, once its run has come to its end.
fn row(recipe: &Recipe, fold: &Fold, out: &Path) -> anyhow::Result<Option<Row>> {
    let epochs = Run::view(&out.join(&fold.name)).epochs()?;
    if epochs.len() < recipe.train.epochs as usize {
        return Ok(None);
    }
    let (epoch, best) = best_epoch(&epochs).context("the last epoch is always validated")?;
    Ok(Some(Row {
        fold: fold.clone(),
        epoch,
        best: best.clone(),
        training: training_view(&fold.name, &epochs),
    }))
}

/// Paints the fold's held-out fragments, on the first rank.
fn pictures(
    recipe: &Recipe,
    fragments: &[Fragment],
    fold: &Fold,
    run: &Path,
    context: &Context,
) -> anyhow::Result<()> {
    if context.ranks.is_first() {
        for &index in &fold.held_out {
            picture(recipe, &fragments[index], run, context)?;
        }
    }
    Ok(())
}

/// The held-out fragment as the best weights of `run` paint it, as validation does: without
/// test-time augmentation. Painted once.
fn picture(
    recipe: &Recipe,
    fragment: &Fragment,
    run: &Path,
    context: &Context,
) -> anyhow::Result<Array2<u8>> {
    let path = run.join(format!("{}.png", fragment.id()));
    let modified = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    if modified(&path) > modified(&run.join("best.safetensors")) {
        return Ok(read_gray(&path)?);
    }
    if path.exists() {
        std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    let ensemble = Ensemble::load(&[run.to_owned()], &[], &context.open_device()?)?;
    let settings = PredictSettings {
        tta: Tta::None,
        ..recipe.predict.clone()
    };
    let maps = recipe.data.maps.as_deref();
    let painted = paint(fragment, maps, &ensemble, &settings, run, context)?;
    Ok(to_image(&painted.probability))
}

fn say_table(rows: &[Row], folds: usize, mean: f64, spread: f64, context: &Context) {
    let say = |line: String| context.console.say(line);
    say(format!(
        "{:<12} {:>7} {:>9} {:>9} {:>9} {:>6}",
        "held out", "F0.5", "best F0.5", "threshold", "avg prec", "epoch"
    ));
    for row in rows {
        let Validation {
            f05,
            best_f05,
            best_threshold,
            average_precision,
        } = row.best;
        say(format!(
            "{:<12} {f05:>7.4} {best_f05:>9.4} {best_threshold:>9.2} {average_precision:>9.4} {:>6}",
            row.fold.name, row.epoch
        ));
    }
    if rows.len() < folds {
        say(format!(
            "{} of {folds} folds are not finished",
            folds - rows.len()
        ));
    }
    say(format!("mean {mean:.4}, spread {spread:.4}"));
}

fn report(
    recipe: &Recipe,
    fragments: &[Fragment],
    rows: Vec<Row>,
    all: usize,
    out: &Path,
) -> anyhow::Result<String> {
    let (mean, spread) = mean_and_spread(&rows);
    let running = rows.len() < all;
    let mut data = ReportData {
        title: "Cross-validation".to_owned(),
        subtitle: format!("{} of {all} folds of {}", rows.len(), recipe.model.encoder),
        figures: vec![figure(
            "Mean F0.5",
            format!("{mean:.3} ± {spread:.3}"),
            format!("over the folds that are finished, {} of {all}", rows.len()),
        )],
        refresh: running.then_some(REFRESH),
        settings: recipe.to_toml()?,
        ..ReportData::default()
    };
    for row in rows {
        let mut painted = Vec::new();
        for &index in &row.fold.held_out {
            let fragment = &fragments[index];
            let (name, id) = (&row.fold.name, fragment.id());
            let path = out.join(name).join(format!("{id}.png"));
            if path.is_file() {
                let image = read_gray(&path)?;
                let caption = format!(
                    "Held out in fold {name}; painted with the weights of epoch {}, without \
                     test-time augmentation.",
                    row.epoch
                );
                data.predictions
                    .push(prediction_view(fragment, image.clone(), caption)?);
                painted.push((id.to_owned(), image));
            }
        }
        data.folds.push(row.in_table(painted));
        data.trainings.push(row.training);
    }
    Ok(render(&data))
}

impl Row {
    fn in_table(&self, painted: Vec<(String, Array2<u8>)>) -> FoldRow {
        FoldRow {
            name: self.fold.name.clone(),
            epoch: self.epoch,
            f05: self.best.f05,
            best_f05: self.best.best_f05,
            best_threshold: self.best.best_threshold,
            average_precision: self.best.average_precision,
            painted,
        }
    }
}

/// Mean and standard deviation (of a sample) of F0.5.
fn mean_and_spread(rows: &[Row]) -> (f64, f64) {
    let count = rows.len() as f64;
    let mean = rows.iter().map(|row| row.best.f05).sum::<f64>() / count.max(1.0);
    let squares: f64 = rows.iter().map(|row| (row.best.f05 - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}
