use anyhow::Context as _;
use inkling_report::{ReportData, render};
use serde_json::{Value, json};

use super::Context;
use super::fold::{self, Going};
use super::folds::{folds, open_fragments};
use super::predict::write_text;
use super::report::{figure, training_view};
use super::train::best_epoch;
use crate::cli::Cv;
use crate::recipe::Recipe;

pub fn run(flags: &Cv, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    let fragments = open_fragments(&recipe)?;
    std::fs::create_dir_all(&flags.out).with_context(|| flags.out.display().to_string())?;
    let mut rows = Vec::new();
    let mut trainings = Vec::new();
    for fold in folds(&recipe, &fragments)? {
        let run = flags.out.join(&fold.name);
        let going = Going {
            resume: flags.resume,
            allow_changed_data: flags.allow_changed_data,
        };
        let epochs = fold::train(&recipe, &fragments, &fold, &run, going, context)?;
        let (epoch, best) = best_epoch(&epochs).context("the last epoch is always validated")?;
        rows.push((fold.name.clone(), epoch, best.clone()));
        trainings.push(training_view(&fold.name, &epochs));
    }
    let scores: Vec<f64> = rows.iter().map(|(_, _, best)| best.f05).collect();
    let (mean, spread) = mean_and_spread(&scores);
    context.console.say(format!(
        "{:<12} {:>7} {:>9} {:>6}",
        "held out", "F0.5", "best F0.5", "epoch"
    ));
    for (id, epoch, best) in &rows {
        let line = format!(
            "{id:<12} {:>7.4} {:>9.4} {epoch:>6}",
            best.f05, best.best_f05
        );
        context.console.say(line);
    }
    context
        .console
        .say(format!("mean {mean:.4}, spread {spread:.4}"));
    let figures = json!({
        "folds": rows.iter().map(|(id, epoch, best)| json!({
            "held_out": id, "epoch": epoch, "validation": best,
        })).collect::<Vec<_>>(),
        "mean_f05": mean,
        "spread_f05": spread,
    });
    // Both are made from the runs and may be made anew.
    let text = serde_json::to_string_pretty(&figures)?;
    write_text(&flags.out.join("cv.json"), &text, true)?;
    let mut heads = vec![figure(
        "Mean F0.5",
        format!("{mean:.3} ± {spread:.3}"),
        format!("over {} folds, each held out once", rows.len()),
    )];
    heads.extend(rows.iter().map(|(id, epoch, best)| {
        figure(
            &format!("Fold {id}"),
            format!("{:.3}", best.f05),
            format!("F0.5, epoch {epoch}"),
        )
    }));
    let page = render(&ReportData {
        title: "Cross-validation".to_owned(),
        subtitle: format!("{} folds of {}", rows.len(), recipe.model.encoder),
        figures: heads,
        trainings,
        settings: recipe.to_toml()?,
        ..ReportData::default()
    });
    write_text(&flags.out.join("report.html"), &page, true)?;
    Ok(figures)
}

/// Mean and standard deviation (of a sample).
fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}
