//! The demo: phantoms are made, aligned, trained on and read, with and without alignment.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use inkling_align::{AlignSettings, Target, measure_curves};
use inkling_fragment::{Fragment, ResultFolder, ResultKind, write_bytes};
use inkling_predict::{Score, Threshold, score, to_image};
use inkling_report::{AlignmentView, FragmentCurve, ReportData, render};
use inkling_synth::{PhantomSettings, write_phantom};
use inkling_train::Epoch;
use serde_json::{Value, json};

use crate::alignment::{alignment_view, fit_maps};
use crate::ensemble::Ensemble;
use crate::fold::Fold;
use crate::predict_fragment::predict_fragment;
use crate::report_views::{curves_view, figure, prediction_view, training_view};
use crate::thread_halves::in_two_halves;
use crate::train_fold::{ResumeOptions, train};
use crate::{Context, Recipe, Usage};

/// The demo's recipe: the reference solution's network, narrow enough for two cores.
const RECIPE: &str = include_str!("demo.toml");

/// Two sheets to train on and one, of another thickness and tilt, to read.
const SHEETS: [PhantomSheet; 3] = [
    PhantomSheet {
        seed: 1,
        scale: 1.0,
        shift: 1.5,
        tilt: 2.0,
    },
    PhantomSheet {
        seed: 2,
        scale: 0.9,
        shift: -2.0,
        tilt: -2.0,
    },
    PhantomSheet {
        seed: 3,
        scale: 0.75,
        shift: 3.0,
        tilt: -4.0,
    },
];

struct PhantomSheet {
    seed: u64,
    scale: f32,
    shift: f32,
    tilt: f32,
}

/// One training and its prediction of the held-out sheet.
struct Reading {
    epochs: Vec<Epoch>,
    score: Score,
    image: ndarray::Array2<u8>,
}

/// Runs the demo in `out` and returns its figures: F0.5 on the held-out phantom, aligned and
/// unaligned, and where the report lies.
///
/// # Errors
/// An earlier demo in `out` that must not be replaced; those of every step.
pub fn run_demo(out: &Path, context: &Context) -> anyhow::Result<Value> {
    let began = Instant::now();
    ResultFolder::check_own(out, ResultKind::Demo)?;
    if out.join(RECIPE_FILE).exists() && !context.force {
        return Err(Usage(format!(
            "{}: found an earlier demo; expected a new name. hint: give --force to replace it, or \
             --out for another folder",
            out.display()
        ))
        .into());
    }
    context.open_device()?;
    let results = ResultFolder::own(out, ResultKind::Demo)?;
    let report = results.claim("report.html", true)?;
    let mut recipe = recipe(&results)?;
    let fragments = make_sheets(out, context)?;
    recipe.data.fragments = fragments.iter().map(|f| f.path().to_owned()).collect();
    let alignments = align_sheets(&fragments, out, context)?;
    let mut aligned_recipe = recipe.clone();
    aligned_recipe.data.maps = Some(out.join("maps"));
    // The demo's network is too narrow to keep two cores busy; two trainings do.
    let (aligned, unaligned) = in_two_halves(
        || read("aligned", &aligned_recipe, &fragments, out, context),
        || read("unaligned", &recipe, &fragments, out, context),
    )?;
    let demo = Demo {
        aligned: aligned?,
        unaligned: unaligned?,
        seconds: began.elapsed().as_secs_f64(),
    };
    let data = demo.report(&fragments, alignments, &aligned_recipe, context)?;
    write_bytes(&report, render(&data), true)?;
    context.say(format!(
        "F0.5 {:.3} aligned, {:.3} unaligned, {:.0} s\nreport: {}",
        demo.aligned.score.f05,
        demo.unaligned.score.f05,
        demo.seconds,
        report.display()
    ));
    Ok(json!({
        "f05": demo.aligned.score.f05,
        "f05_unaligned": demo.unaligned.score.f05,
        "aligned": demo.aligned.score,
        "unaligned": demo.unaligned.score,
        "seconds": demo.seconds,
        "report": report,
    }))
}

/// What comes of the demo.
struct Demo {
    aligned: Reading,
    unaligned: Reading,
    seconds: f64,
}

impl Demo {
    fn report(
        &self,
        fragments: &[Fragment],
        alignments: Vec<AlignmentView>,
        recipe: &Recipe,
        context: &Context,
    ) -> anyhow::Result<ReportData> {
        let held_out = fragments.last().context("the demo makes three sheets")?;
        let caption = "A phantom that the network never saw, thicker and tilted otherwise than \
                       those of its training; predicted with twelve-fold test-time augmentation.";
        let image = self.aligned.image.clone();
        Ok(ReportData {
            title: "Inkling reads a phantom".to_owned(),
            subtitle: "Two phantom fragments with known ink to train on, a third to read: aligned \
                       in depth, trained, predicted, scored."
                .to_owned(),
            figures: self.figures(context)?,
            curves: measure(fragments)?,
            alignments,
            trainings: vec![
                training_view("aligned", &self.aligned.epochs),
                training_view("unaligned", &self.unaligned.epochs),
            ],
            predictions: vec![prediction_view(held_out, image, None, caption.to_owned())?],
            settings: recipe.to_toml()?,
            ..ReportData::default()
        })
    }

    fn figures(&self, context: &Context) -> anyhow::Result<Vec<inkling_report::Figure>> {
        let (aligned, unaligned) = (&self.aligned.score, &self.unaligned.score);
        Ok(vec![
            figure(
                "F0.5, aligned",
                format!("{:.3}", aligned.f05),
                "agreement with the known ink of a sheet that was held out, at a threshold of 0.5"
                    .to_owned(),
            ),
            figure(
                "F0.5, unaligned",
                format!("{:.3}", unaligned.f05),
                "the same training and the same sheet without depth alignment".to_owned(),
            ),
            figure(
                "Average precision",
                format!("{:.3}", aligned.average_precision),
                "aligned, over all thresholds".to_owned(),
            ),
            figure(
                "Time",
                format!("{:.0} s", self.seconds),
                format!("phantoms to readings, on {}", context.device()?),
            ),
        ])
    }
}

fn align_sheets(
    fragments: &[Fragment],
    out: &Path,
    context: &Context,
) -> anyhow::Result<Vec<AlignmentView>> {
    let mut views = Vec::new();
    for fragment in fragments {
        let folder = out.join("maps").join(fragment.id());
        let settings = AlignSettings::default();
        let alignment = fit_maps(fragment, &Target::built_in(), &settings, &folder, context)?;
        views.push(alignment_view(&alignment, &fragment.mask()?));
    }
    Ok(views)
}

fn measure(fragments: &[Fragment]) -> anyhow::Result<Vec<FragmentCurve>> {
    let mut views = Vec::new();
    for fragment in fragments {
        let curves = measure_curves(fragment, &|_, _| {})?;
        views.push(curves_view(&(fragment.id().to_owned(), curves)));
    }
    Ok(views)
}

/// The demo's recipe file.
const RECIPE_FILE: &str = "demo.toml";

/// The recipe, written into the demo's folder so that its trainings can be repeated by hand.
fn recipe(results: &ResultFolder) -> anyhow::Result<Recipe> {
    let path: PathBuf = results.claim(RECIPE_FILE, true)?;
    write_bytes(&path, RECIPE, true)?;
    Recipe::read(&[path], &[])
}

fn make_sheets(out: &Path, context: &Context) -> anyhow::Result<Vec<Fragment>> {
    let mut fragments = Vec::new();
    for sheet in &SHEETS {
        let settings = PhantomSettings {
            seed: sheet.seed,
            scale: sheet.scale,
            shift: sheet.shift,
            tilt: sheet.tilt,
            ..PhantomSettings::default()
        };
        let path = out.join("fragments").join(sheet.seed.to_string());
        let task = context.task(&format!("phantom {}", sheet.seed));
        fragments.push(write_phantom(
            &path,
            &settings,
            context.force,
            &|done, all| {
                task.at(done, all);
            },
        )?);
    }
    Ok(fragments)
}

/// Trains on all sheets but the last, predicts the last, scores that.
fn read(
    name: &str,
    recipe: &Recipe,
    fragments: &[Fragment],
    out: &Path,
    context: &Context,
) -> anyhow::Result<Reading> {
    let run = out.join("runs").join(name);
    let held_out = fragments.len() - 1;
    let fold = Fold {
        name: fragments[held_out].id().to_owned(),
        held_out: vec![held_out],
        by_masks: false,
    };
    let epochs = train(
        recipe,
        fragments,
        &fold,
        &run,
        ResumeOptions::default(),
        context,
    )?;
    let ensemble = Ensemble::load(&[run], &[], &[], context)?;
    let folder = out.join("predictions").join(name);
    let folder = ResultFolder::shared(folder, ResultKind::Prediction);
    let fragment = &fragments[held_out];
    let path = folder.claim(&format!("{}.png", fragment.id()), context.force)?;
    let maps = recipe.data.maps.as_deref();
    let predicted = predict_fragment(fragment, maps, &ensemble, &recipe.predict, &path, context)?;
    let image = to_image(&predicted.probability);
    let labels = fragment.ink_labels()?.context("phantoms have labels")?;
    let score = score(&image, &labels, &fragment.mask()?, Threshold::HALF)?;
    Ok(Reading {
        epochs,
        score,
        image,
    })
}
