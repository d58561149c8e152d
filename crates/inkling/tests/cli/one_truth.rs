//! One threshold, one set of settings, one best epoch, whichever command asks.

use std::path::Path;

use crate::parts::Setting;
use crate::test_fragment::{TestFragment, figures, inkling, refused, submitted, word};

#[test]
fn every_command_counts_the_same_pixels() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let [two, out] = ["2", "out"].map(|name| scrap.path(name));
    let run = word(&setting.models[0]);
    let words = [
        "predict",
        word(&two),
        "--model",
        run,
        "--tta",
        "none",
        "--out",
        word(&out),
    ];
    let more = ["--float", "--zarr", "--uncertainty", "--per-model"];
    figures(&[&words[..], &more].concat());
    let (labels, mask) = (two.join("inklabels.png"), two.join("mask.png"));
    let known = ["--labels", word(&labels), "--mask", word(&mask)];
    let score = |name: &str| {
        let image = out.join(name);
        figures(&[&["score", word(&image)][..], &known].concat())
    };
    assert_eq!(score("2.png"), score("2.tif"));
    assert_eq!(score("2.png")["best_level"], score("2.zarr")["best_level"]);
    let file = scrap.path("threshold.json");
    let image = out.join("2.png");
    let words = ["threshold", word(&image), "--out", word(&file)];
    let best = figures(&[&words[..], &known].concat());
    let level = best["level"].as_u64().unwrap();
    let image = inkling_fragment::read_gray(out.join("2.png")).unwrap();
    let expected = image
        .iter()
        .filter(|&&found| u64::from(found) >= level)
        .count();
    let csv = scrap.path("submission.csv");
    let shown = format!("{:.3}", best["threshold"].as_f64().unwrap());
    for threshold in [word(&file), shown.as_str()] {
        let words = [
            "submit",
            word(&out),
            "--force",
            "--out",
            word(&csv),
            "--threshold",
        ];
        let found = figures(&[&words[..], &[threshold]].concat());
        assert_eq!(
            (found["fragments"].as_u64(), submitted(&csv)),
            (Some(1), expected)
        );
    }
    // By a shell's pattern, side images are named too.
    let images: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let pngs = images
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "png"));
    let pngs: Vec<&str> = pngs.map(|path| word(path)).collect();
    assert!(pngs.len() > 2);
    let found = figures(&[&["submit", "--force", "--out", word(&csv)], &pngs[..]].concat());
    assert_eq!(found["fragments"], 1, "{found}");
    assert_eq!(found["left_out"].as_array().unwrap().len(), pngs.len() - 1);
}

#[test]
fn what_is_no_probability_is_refused() {
    let scrap = TestFragment::new();
    let (labels, mask) = (scrap.path("1/inklabels.png"), scrap.path("1/mask.png"));
    let known = ["--labels", word(&labels), "--mask", word(&mask)];
    let ink = inkling_fragment::read_drawn(&labels).unwrap();
    let binary = scrap.path("binary.png");
    inkling_fragment::write_gray(&binary, ink.mapv(u8::from).view(), true).unwrap();
    let words = ["score", word(&binary)];
    refused(
        &[&words[..], &known].concat(),
        1,
        &["binary.png", "0 and 1", "multiply"],
    );
    for (name, value) in [("nan.tif", f32::NAN), ("large.tif", 3.0)] {
        let path = scrap.path(name);
        let mut writer = inkling_fragment::ProbabilityWriter::tiff(
            &path,
            [150, 131],
            inkling_fragment::ImageMetadata::default(),
            false,
        )
        .unwrap();
        let rows = ndarray::Array2::from_elem((150, 131), value);
        writer.write_rows(rows.view()).unwrap();
        writer.finish().unwrap();
        refused(
            &[&["score", word(&path)][..], &known].concat(),
            1,
            &[name, "0 to 1"],
        );
    }
    // Labels of zeros and ones are labels.
    let perfect = scrap.path("perfect.png");
    inkling_fragment::write_gray(&perfect, ink.mapv(|ink| 255 * u8::from(ink)).view(), true)
        .unwrap();
    let words = [
        "score",
        word(&perfect),
        "--labels",
        word(&binary),
        "--mask",
        word(&mask),
    ];
    assert_eq!(figures(&words)["f05"], 1.0);
}

#[test]
fn recipes_work_from_anywhere_and_their_settings_have_an_effect() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let settings = setting.models[0].join("settings.toml");
    let again = scrap.path("again");
    std::fs::create_dir(&again).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(["train", "--config", word(&settings), "--out", "run"])
        .current_dir(&again)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = |run: &Path| std::fs::read(run.join("best.safetensors")).unwrap();
    assert!(read(&setting.models[0]) == read(&again.join("run")));

    let [two, recipe] = ["2", "predict.toml"].map(|name| scrap.path(name));
    std::fs::write(&recipe, "[predict]\ntta = \"rot90\"\nstep = 0.75\n").unwrap();
    let predicted = |name: &str, more: &[&str]| {
        let out = scrap.path(name);
        let run = word(&setting.models[0]);
        let words = ["predict", word(&two), "--model", run, "--out", word(&out)];
        figures(&[&words[..], more].concat())["fragments"][0]["settings"].clone()
    };
    assert_eq!(predicted("plain", &[])["tta"], "full");
    let read = predicted("recipe", &["--config", word(&recipe)]);
    assert_eq!(
        (read["tta"].as_str(), read["step"].as_f64()),
        (Some("rot90"), Some(0.75))
    );
    let flags = predicted("flags", &["--config", word(&recipe), "--tta", "none"]);
    assert_eq!(
        (flags["tta"].as_str(), flags["step"].as_f64()),
        (Some("none"), Some(0.75))
    );
    let set = predicted("set", &["--set", "predict.step=1.0"]);
    assert_eq!(set["step"], 1.0);
    let wrong = [
        "predict",
        word(&two),
        "--model",
        "x",
        "--out",
        "y",
        "--set",
        "predict.tte=0",
    ];
    refused(&wrong, 2, &["predict.tte", "predict.tta"]);

    let maps = scrap.path("maps");
    std::fs::write(&recipe, "[align]\nflip = true\n").unwrap();
    figures(&[
        "align",
        word(&two),
        "--config",
        word(&recipe),
        "--out",
        word(&maps),
    ]);
    let text = std::fs::read_to_string(maps.join("2/align.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(figures["scale"].as_f64().unwrap() < 0.0, "{figures}");
}

#[test]
fn a_models_own_recipe_says_how_it_predicts() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("[predict]\ntta = \"none\"\nstep = 1.0\n");
    let [two, run, out] = ["2", "run", "out"].map(|name| scrap.path(name));
    figures(&["train", "--config", word(&recipe), "--out", word(&run)]);
    let weights = run.join("best.safetensors");
    let words = [
        "predict",
        word(&two),
        "--model",
        word(&weights),
        "--out",
        word(&out),
    ];
    let found = figures(&words);
    let settings = &found["fragments"][0]["settings"];
    assert_eq!(
        (settings["tta"].as_str(), settings["step"].as_f64()),
        (Some("none"), Some(1.0))
    );
}

#[test]
fn a_finished_run_can_be_made_longer_and_be_begun_from() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    let words = ["train", "--config", word(&recipe), "--out", word(&run)];
    figures(&words);
    // None of these changes what a step computes.
    let same = [
        "train.epochs=3",
        "train.keep=2",
        "train.loaders=2",
        "predict.tta=\"none\"",
    ];
    let sets: Vec<&str> = same.iter().flat_map(|set| ["--set", *set]).collect();
    let longer = figures(&[&words[..], &["--resume"], &sets].concat());
    assert_eq!(longer["epochs"], 3);
    let refused_words = [&words[..], &["--resume", "--set", "train.batch=3"]].concat();
    let output = inkling(&refused_words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("batch = 3") && !said.contains("--force"),
        "{said}"
    );

    let tuned = scrap.path("tuned");
    let from = format!("model.weights={:?}", word(&run));
    let words = [
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&tuned),
        "--set",
        &from,
    ];
    figures(
        &[
            &words[..],
            &["--set", "train.optimizer.learning_rate=1e-12"],
        ]
        .concat(),
    );
    let read = |run: &Path| inkling_model::Tensors::read(&run.join("last.safetensors")).unwrap();
    let best = inkling_model::Tensors::read(&run.join("best.safetensors")).unwrap();
    let tuned = read(&tuned);
    for name in best.names().filter(|name| name.ends_with("conv1.0.weight")) {
        let (best, tuned) = (best.values(name), tuned.values(name));
        let moved = best
            .iter()
            .zip(&tuned)
            .map(|(one, other)| (one - other).abs());
        assert!(moved.fold(0.0, f32::max) < 1e-9, "{name}");
    }
    let first = tuned.metadata().get("inkling.first_weights").unwrap();
    assert!(first.contains("sha256"), "{first}");
}

#[test]
fn the_best_epoch_is_that_of_train_best_everywhere() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("epochs = 4\nbest = [\"average_precision\"]\n".trim_start());
    let text = std::fs::read_to_string(&recipe)
        .unwrap()
        .replace("epochs = 2\n", "");
    std::fs::write(&recipe, text).unwrap();
    let folds = scrap.path("folds");
    let found = figures(&["cv", "--config", word(&recipe), "--out", word(&folds)]);
    assert_eq!(found["best_by"], "average_precision");
    for fold in found["folds"].as_array().unwrap() {
        let run = folds.join(fold["held_out"].as_str().unwrap());
        let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let epochs = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let epochs: Vec<serde_json::Value> = epochs.collect();
        let score =
            |epoch: &serde_json::Value| epoch["validation"]["average_precision"].as_f64().unwrap();
        let best = epochs.iter().map(score).fold(f64::MIN, f64::max);
        assert_eq!(fold["validation"]["average_precision"].as_f64(), Some(best));
        let epoch = fold["epoch"].as_u64().unwrap() as usize;
        assert_eq!(score(&epochs[epoch - 1]), best);
    }
    let page = std::fs::read_to_string(folds.join("report.html")).unwrap();
    assert!(page.contains("epochs chosen by average precision"));
}

#[test]
fn maps_that_are_not_there_name_what_makes_them() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    let words = ["train", "--config", word(&recipe), "--out", word(&run)];
    let words = [&words[..], &["--set", "data.maps='nowhere'"]].concat();
    refused(&words, 2, &["nowhere", "inkling align", "fragment 1"]);
    // A fragment's own maps and the folder of all maps are both taken.
    let [two, maps] = ["2", "maps"].map(|name| scrap.path(name));
    figures(&["align", word(&two), "--out", word(&maps)]);
    for (name, folder) in [("one", maps.clone()), ("all", maps.join("2"))] {
        let out = scrap.path(name);
        figures(&[
            "warp",
            word(&two),
            "--maps",
            word(&folder),
            "--out",
            word(&out),
        ]);
    }
}

/// A sheet that the model cannot read as it read its own gets a word.
#[test]
fn sheets_of_another_kind_get_a_word() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let run = word(&setting.models[0]);
    let said = |fragment: &Path, out: &str, more: &[&str]| {
        let out = scrap.path(out);
        let words = [
            "predict",
            word(fragment),
            "--model",
            run,
            "--tta",
            "none",
            "--out",
        ];
        let output = inkling(&[&words[..], &[word(&out)], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    let two = scrap.path("2");
    assert!(!said(&two, "plain", &[]).contains("WARN"));
    let (thin, dark) = (scrap.path("thin"), scrap.path("dark"));
    let copy = |target: &Path| {
        figures(&[
            "downscale",
            word(&two),
            "--factor",
            "1",
            "--out",
            word(target),
        ]);
    };
    copy(&thin);
    std::fs::remove_file(thin.join("surface_volume/29.tif")).unwrap();
    assert!(said(&thin, "a", &[]).contains("29 layers"));
    assert!(!said(&thin, "b", &["--maps", "auto"]).contains("29 layers"));
    copy(&dark);
    for z in 0..30 {
        let path = dark.join(format!("surface_volume/{z:02}.tif"));
        let mut decoder = tiff::decoder::Decoder::new(std::fs::File::open(&path).unwrap()).unwrap();
        let (width, height) = decoder.dimensions().unwrap();
        let tiff::decoder::DecodingResult::U16(voxels) = decoder.read_image().unwrap() else {
            panic!("layers of 16 bits");
        };
        let eight: Vec<u16> = voxels.into_iter().map(|voxel| voxel >> 8).collect();
        let file = std::fs::File::create(&path).unwrap();
        tiff::encoder::TiffEncoder::new(file)
            .unwrap()
            .write_image::<tiff::encoder::colortype::Gray16>(width, height, &eight)
            .unwrap();
    }
    assert!(said(&dark, "c", &[]).contains("much darker"));
    // A reversed sheet in one go.
    said(&two, "d", &["--maps", "auto", "--flip"]);
    refused(
        &[
            "predict",
            word(&two),
            "--model",
            run,
            "--flip",
            "--maps",
            word(&scrap.path("d").join("maps")),
            "--out",
            "e",
        ],
        2,
        &["--flip", "inkling align --flip"],
    );
}
