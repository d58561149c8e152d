//! Cross-validation: every fold trained, its held-out fragments predicted, all in one table.

use std::path::Path;

use anyhow::Context as _;
use inkling_fragment::{Fragment, ResultFolder, ResultKind, read_gray, write_bytes};
use inkling_predict::{PredictSettings, Tta, to_image};
use inkling_report::{FoldRow, ReportData, TrainingView, mean_and_spread, render};
use inkling_train::{Run, Validation};
use ndarray::Array2;
use serde_json::{Value, json};

use crate::best_epoch::best_epoch;
use crate::ensemble::Ensemble;
use crate::fold::Fold;
use crate::predict_fragment::predict_fragment;
use crate::report::REFRESH;
use crate::report_views::{figure, prediction_view, training_view};
use crate::train_fold::{ResumeOptions, train};
use crate::{Context, Recipe};

/// A fold that was trained to its end.
struct Row {
    fold: Fold,
    epoch: u32,
    best: Validation,
    training: TrainingView,
}

/// A fold that cannot be scored, and why.
struct NotScored {
    fold: String,
    reason: String,
}

/// Trains the folds `chosen` of `all` into folders of `out`, predicts their held-out fragments, and
/// writes `report.html` and `cv.json`, whose content it returns (nothing on ranks but the first). A
/// fold whose labels cannot be scored is left out with a warning.
///
/// # Errors
/// Those of training and prediction; where no fold can be scored.
pub fn cross_validate(
    recipe: &Recipe,
    fragments: &[Fragment],
    all: &[Fold],
    chosen: &[Fold],
    out: &Path,
    options: ResumeOptions,
    context: &Context,
) -> anyhow::Result<Value> {
    let results = match context.ranks.is_first() {
        true => Some(ResultFolder::own(out, ResultKind::CrossValidation)?),
        false => None,
    };
    let mut outcome = Outcome {
        recipe,
        fragments,
        all,
        not_scored: Vec::new(),
        results,
        context,
    };
    for fold in chosen {
        let run = out.join(&fold.name);
        match train(recipe, fragments, fold, &run, options, context) {
            Ok(_) => {}
            // Other ranks hear only that one failed.
            Err(error) if is_of_data(&error) && context.ranks.size() == 1 => {
                tracing::warn!("fold {}: not scored: {error:#}", fold.name);
                outcome.not_scored.push(NotScored {
                    fold: fold.name.clone(),
                    reason: format!("{error:#}"),
                });
                continue;
            }
            Err(error) => return Err(error),
        }
        let pictures = outcome.pictures(fold, &run);
        context
            .ranks
            .sync_result(pictures.and_then(|()| outcome.show()))?;
    }
    outcome.sum_up()
}

/// Whether an error lies in a fold's own labels, so that other folds can still be trained.
fn is_of_data(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(
            cause.downcast_ref::<inkling_train::Error>(),
            Some(inkling_train::Error::Labels { .. })
        )
    })
}

/// What comes of the folds, and where it is written.
struct Outcome<'a> {
    recipe: &'a Recipe,
    fragments: &'a [Fragment],
    all: &'a [Fold],
    not_scored: Vec<NotScored>,
    /// On the first rank.
    results: Option<ResultFolder>,
    context: &'a Context<'a>,
}

impl Outcome<'_> {
    /// The folds finished so far.
    fn finished(&self, out: &Path) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for fold in self.all {
            rows.extend(row(self.recipe, fold, out)?);
        }
        Ok(rows)
    }

    /// Predicts the fold's held-out fragments, on the first rank.
    fn pictures(&self, fold: &Fold, run: &Path) -> anyhow::Result<()> {
        if self.results.is_some() {
            for &index in &fold.held_out {
                picture(self.recipe, &self.fragments[index], run, self.context)?;
            }
        }
        Ok(())
    }

    /// Writes the report of the folds finished so far, on the first rank.
    fn show(&self) -> anyhow::Result<()> {
        let Some(results) = &self.results else {
            return Ok(());
        };
        let rows = self.finished(results.path())?;
        let page = self.report(rows, results.path())?;
        // Made from the runs, and may be made anew.
        Ok(write_bytes(
            results.claim("report.html", true)?,
            &page,
            true,
        )?)
    }

    /// The table and cv.json of all folds that are finished.
    fn sum_up(&self) -> anyhow::Result<Value> {
        let Some(results) = &self.results else {
            return Ok(Value::Null);
        };
        let rows = self.finished(results.path())?;
        if let (true, Some(first)) = (rows.is_empty(), self.not_scored.first()) {
            anyhow::bail!(
                "no fold could be scored; fold {}: {}",
                first.fold,
                first.reason
            );
        }
        self.show()?;
        let (mean, spread) = mean_and_spread(rows.iter().map(|row| row.best.f05));
        self.say_table(&rows, mean, spread);
        let missing = self.all.len() - rows.len() - self.not_scored.len();
        let figures = json!({
            "best_by": self.recipe.train.best[0].name(),
            "folds": rows.iter().map(|row| json!({
                "held_out": row.fold.name, "epoch": row.epoch, "validation": row.best,
            })).collect::<Vec<_>>(),
            "not_scored": self.not_scored.iter().map(|fold| json!({
                "held_out": fold.fold, "reason": fold.reason,
            })).collect::<Vec<_>>(),
            "missing": missing,
            "mean_f05": mean,
            "spread_f05": spread,
        });
        let text = serde_json::to_string_pretty(&figures)?;
        write_bytes(results.claim("cv.json", true)?, &text, true)?;
        Ok(figures)
    }
}

/// The fold's outcome, once its run has come to its end.
fn row(recipe: &Recipe, fold: &Fold, out: &Path) -> anyhow::Result<Option<Row>> {
    let epochs = Run::view(&out.join(&fold.name)).epochs()?;
    if epochs.len() < recipe.train.epochs as usize {
        return Ok(None);
    }
    let (epoch, best) =
        best_epoch(&epochs, recipe.train.best[0]).context("the last epoch is always validated")?;
    Ok(Some(Row {
        fold: fold.clone(),
        epoch,
        best: best.clone(),
        training: training_view(&fold.name, &epochs),
    }))
}

/// The held-out fragment's 8-bit probabilities with the best weights of `run`, without test-time
/// augmentation, as validation has them. Predicted once.
fn picture(
    recipe: &Recipe,
    fragment: &Fragment,
    run: &Path,
    context: &Context,
) -> anyhow::Result<Array2<u8>> {
    let name = format!("{}.png", fragment.id());
    let path = ResultFolder::shared(run, ResultKind::Run).claim(&name, true)?;
    let modified = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    if modified(&path) > modified(&run.join("best.safetensors")) {
        return Ok(read_gray(&path)?);
    }
    let ensemble = Ensemble::load(&[run.to_owned()], &[], &[], context)?;
    let settings = PredictSettings {
        tta: Tta::None,
        ..recipe.predict.clone()
    };
    let maps = recipe.data.maps.as_deref();
    let predicted = predict_fragment(fragment, maps, &ensemble, &settings, &path, context)?;
    Ok(to_image(&predicted.probability))
}

impl Outcome<'_> {
    /// The folds that could not be scored, for a caption.
    fn not_scored_in_words(&self) -> String {
        let folds = self.not_scored.iter();
        folds
            .map(|fold| format!("; fold {} not scored: {}", fold.fold, fold.reason))
            .collect()
    }

    fn say_table(&self, rows: &[Row], mean: f64, spread: f64) {
        let say = |line: String| self.context.say(line);
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
                "{:<12} {f05:>7.4} {best_f05:>9.4} {best_threshold:>9.3} {average_precision:>9.4} {:>6}",
                row.fold.name, row.epoch
            ));
        }
        for fold in &self.not_scored {
            say(format!("{:<12} not scored: {}", fold.fold, fold.reason));
        }
        let folds = self.all.len();
        let missing = folds - rows.len() - self.not_scored.len();
        if missing > 0 {
            say(format!("{missing} of {folds} folds are not finished"));
        }
        say(format!(
            "mean F0.5 {mean:.4}, spread {spread:.4}; epochs chosen by {}",
            self.recipe.train.best[0].title()
        ));
    }

    fn report(&self, rows: Vec<Row>, out: &Path) -> anyhow::Result<String> {
        let (recipe, all) = (self.recipe, self.all.len());
        let (mean, spread) = mean_and_spread(rows.iter().map(|row| row.best.f05));
        let running = rows.len() + self.not_scored.len() < all;
        let mut data = ReportData {
            title: "Cross-validation".to_owned(),
            subtitle: format!(
                "{} of {all} folds of {}; epochs chosen by {}{}",
                rows.len(),
                recipe.model.encoder,
                recipe.train.best[0].title(),
                self.not_scored_in_words()
            ),
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
            let mut predicted = Vec::new();
            for &index in &row.fold.held_out {
                let fragment = &self.fragments[index];
                let (name, id) = (&row.fold.name, fragment.id());
                let path = out.join(name).join(format!("{id}.png"));
                if path.is_file() {
                    let image = read_gray(&path)?;
                    let caption = format!(
                        "Held out in fold {name}; predicted with the weights of epoch {}, without \
                     test-time augmentation.",
                        row.epoch
                    );
                    data.predictions
                        .push(prediction_view(fragment, image.clone(), None, caption)?);
                    predicted.push((id.to_owned(), image));
                }
            }
            data.folds.push(row.in_table(predicted));
            data.trainings.push(row.training);
        }
        Ok(render(&data))
    }
}

impl Row {
    fn in_table(&self, predicted: Vec<(String, Array2<u8>)>) -> FoldRow {
        FoldRow {
            name: self.fold.name.clone(),
            epoch: self.epoch,
            f05: self.best.f05,
            best_f05: self.best.best_f05,
            best_threshold: self.best.best_threshold,
            average_precision: self.best.average_precision,
            predicted,
        }
    }
}
