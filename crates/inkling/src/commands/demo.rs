use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use inkling_align::{AlignSettings, Target, measure_curves};
use inkling_fragment::{Fragment, ResultFolder, ResultKind, write_bytes};
use inkling_pipeline::{Recipe, Usage};
use inkling_predict::{Score, Threshold, score, to_image};
use inkling_report::{ReportData, render};
use inkling_synth::{PhantomSettings, write_phantom};
use inkling_train::Epoch;
use serde_json::{Value, json};

use super::ensemble::{Ensemble, paint};
use super::fold::ResumeOptions;
use super::report::{figure, prediction_view, training_view};
use super::{Context, align, curves, fold};
use crate::cli::Demo;
use crate::threads::in_two_halves;

/// The demo's recipe: the write-up's network, narrow enough for two cores.
const RECIPE: &str = include_str!("../../../../configs/demo.toml");

/// Two sheets to learn from and one, of another thickness and tilt, to read.
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

/// One training and what it paints.
struct Reading {
    epochs: Vec<Epoch>,
    score: Score,
    image: ndarray::Array2<u8>,
}

pub fn run(flags: &Demo, context: &Context) -> anyhow::Result<Value> {
    let began = Instant::now();
    let out = &flags.out;
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
    let mut alignments = Vec::new();
    for fragment in &fragments {
        let folder = out.join("maps").join(fragment.id());
        let settings = AlignSettings::default();
        let alignment = align::fit(fragment, &Target::built_in(), &settings, &folder, context)?;
        alignments.push(align::view(&alignment, &fragment.mask()?));
    }
    let mut aligned_recipe = recipe.clone();
    aligned_recipe.data.maps = Some(out.join("maps"));
    // The demo's network is too narrow to keep two cores busy; two trainings do.
    let (aligned, unaligned) = in_two_halves(
        || read("aligned", &aligned_recipe, &fragments, out, context),
        || read("unaligned", &recipe, &fragments, out, context),
    )?;
    let (aligned, unaligned) = (aligned?, unaligned?);
    let seconds = began.elapsed().as_secs_f64();

    let mut measured = Vec::new();
    for fragment in &fragments {
        measured.push((
            fragment.id().to_owned(),
            measure_curves(fragment, &|_, _| {})?,
        ));
    }
    let held_out = fragments.last().context("the demo makes three sheets")?;
    let caption = "A phantom that the network never saw, thicker and tilted otherwise than those \
                   it learnt from; painted with twelve-fold test-time augmentation.";
    let figures = vec![
        figure(
            "F0.5, aligned",
            format!("{:.3}", aligned.score.f05),
            "agreement with the known ink of a sheet that was held out, at a threshold of 0.5"
                .to_owned(),
        ),
        figure(
            "F0.5, unaligned",
            format!("{:.3}", unaligned.score.f05),
            "the same training and the same sheet without depth alignment".to_owned(),
        ),
        figure(
            "AverageSpace precision",
            format!("{:.3}", aligned.score.average_precision),
            "aligned, over all thresholds".to_owned(),
        ),
        figure(
            "Time",
            format!("{seconds:.0} s"),
            format!("phantoms to readings, on {}", context.device()?),
        ),
    ];
    let page = render(&ReportData {
        title: "Inkling reads a phantom".to_owned(),
        subtitle: "Two phantom fragments with known ink to learn from, a third to read: aligned in depth, trained, painted, scored.".to_owned(),
        figures,
        curves: measured.iter().map(curves::view).collect(),
        alignments,
        trainings: vec![
            training_view("aligned", &aligned.epochs),
            training_view("unaligned", &unaligned.epochs),
        ],
        predictions: vec![prediction_view(held_out, aligned.image, caption.to_owned())?],
        settings: aligned_recipe.to_toml()?,
        ..ReportData::default()
    });
    write_bytes(&report, &page, true)?;
    context.console.say(format!(
        "F0.5 {:.3} aligned, {:.3} unaligned, {seconds:.0} s\nreport: {}",
        aligned.score.f05,
        unaligned.score.f05,
        report.display()
    ));
    Ok(json!({
        "f05": aligned.score.f05,
        "f05_unaligned": unaligned.score.f05,
        "aligned": aligned.score,
        "unaligned": unaligned.score,
        "seconds": seconds,
        "report": report,
    }))
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
        let task = context.console.task(&format!("phantom {}", sheet.seed));
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

/// Trains on all sheets but the last, paints the last, scores the painting.
fn read(
    name: &str,
    recipe: &Recipe,
    fragments: &[Fragment],
    out: &Path,
    context: &Context,
) -> anyhow::Result<Reading> {
    let run = out.join("runs").join(name);
    let held_out = fragments.len() - 1;
    let fold = fold::Fold {
        name: fragments[held_out].id().to_owned(),
        held_out: vec![held_out],
        by_masks: false,
    };
    let epochs = fold::train(
        recipe,
        fragments,
        &fold,
        &run,
        ResumeOptions::default(),
        context,
    )?;
    let ensemble = Ensemble::load(&[run], &[], &context.open_device()?)?;
    let folder = out.join("predictions").join(name);
    let folder = ResultFolder::shared(folder, ResultKind::Prediction);
    let fragment = &fragments[held_out];
    let image = folder.claim(&format!("{}.png", fragment.id()), context.force)?;
    let maps = recipe.data.maps.as_deref();
    let painted = paint(fragment, maps, &ensemble, &recipe.predict, &image, context)?;
    let image = to_image(&painted.probability);
    let labels = fragment.ink_labels()?.context("phantoms have labels")?;
    let score = score(&image, &labels, &fragment.mask()?, Threshold::HALF)?;
    Ok(Reading {
        epochs,
        score,
        image,
    })
}
