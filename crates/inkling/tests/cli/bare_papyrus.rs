//! Papyrus that is known to have no ink: trained on, and what thresholds are found by.

use std::path::PathBuf;

use inkling_fragment::{read_drawn, write_gray};
use inkling_synth::{PhantomSettings, write_phantom};
use ndarray::Array2;

use crate::test_fragment::{TestFragment, figures, refused, submitted, word};

/// Phantoms 1 and 2, and `bare`, which has neither ink nor labels.
fn sheets() -> TestFragment {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let settings = PhantomSettings {
        height: 150,
        width: 131,
        depth: 30,
        seed: 3,
        contrast: 0.0,
        ..PhantomSettings::default()
    };
    let bare = scrap.path("bare");
    write_phantom(&bare, &settings, true, &|_, _| {}).unwrap();
    let labels = bare.join("inklabels.png");
    assert!(read_drawn(&labels).unwrap().iter().all(|&ink| !ink));
    std::fs::remove_file(labels).unwrap();
    scrap
}

#[test]
fn bare_papyrus_is_trained_on_in_every_fold() {
    let scrap = sheets();
    let recipe = scrap.recipe("");
    let fragments = format!(
        "data.fragments=[{:?}, {:?}, {:?}]",
        scrap.path("1"),
        scrap.path("2"),
        scrap.path("bare")
    );
    let given = ["--config", word(&recipe), "--set", &fragments, "--set"];
    let run = scrap.path("run");
    let train = [&["train", "--out", word(&run)], &given[..]].concat();
    figures(&[&train[..], &["data.bare=[\"bare\"]"]].concat());
    let recorded = std::fs::read_to_string(run.join("settings.toml")).unwrap();
    assert!(recorded.contains("bare = [\"bare\"]"), "{recorded}");
    let folds = scrap.path("folds");
    let words = [&["folds", "--out", word(&folds)], &given[..]].concat();
    let found = figures(&[&words[..], &["data.bare=[\"bare\"]"]].concat());
    let folds = found["folds"].as_array().unwrap();
    assert_eq!(folds.len(), 2, "{found}");
    for fold in folds {
        let of_bare = &fold["fragments"][2];
        assert_eq!(of_bare["held_out"], 0, "{fold}");
        assert!(of_bare["training"].as_u64().unwrap() > 5_000, "{fold}");
    }
    let other = scrap.path("other");
    let train = [&["train", "--out", word(&other)], &given[..]].concat();
    for (setting, code, said) in [
        (
            "data.bare=[]",
            1,
            &["bare", "no inklabels.png", "data.bare"][..],
        ),
        ("data.bare=[\"7\"]", 2, &["data.bare: found 7"]),
        (
            "data.bare=[\"1\"]",
            1,
            &["1/inklabels.png", "data.bare says has none"],
        ),
    ] {
        refused(&[&train[..], &[setting]].concat(), code, said);
    }
    let held_out = ["data.bare=[\"bare\"]", "--set", "data.folds=[[\"bare\"]]"];
    let said = ["data.folds: found bare", "with ink"];
    refused(&[&train[..], &held_out].concat(), 2, &said);
    assert!(!other.join("best.safetensors").exists());
}

/// A map of levels: strokes of 220 with ends of 140 where `inked`, and specks of 180 everywhere.
fn map(scrap: &TestFragment, name: &str, inked: bool) -> PathBuf {
    let image = Array2::from_shape_fn((96, 90), |(y, x)| {
        let on_stroke = inked && y % 12 < 3 && (10..80).contains(&x);
        match (on_stroke, y % 12 == 8 && x % 7 == 0) {
            (true, _) if (20..70).contains(&x) => 220,
            (true, _) => 140,
            (false, true) => 180,
            (false, false) => 10,
        }
    });
    let path = scrap.path(name);
    write_gray(&path, image.view(), true).unwrap();
    path
}

fn drawing(scrap: &TestFragment, name: &str, drawn: impl Fn(usize, usize) -> bool) -> PathBuf {
    let image = Array2::from_shape_fn((96, 90), |(y, x)| 255 * u8::from(drawn(y, x)));
    let path = scrap.path(name);
    write_gray(&path, image.view(), true).unwrap();
    path
}

#[test]
fn two_thresholds_keep_bare_papyrus_bare() {
    let scrap = TestFragment::new();
    let (inked, bare) = (map(&scrap, "4.png", true), map(&scrap, "5.png", false));
    let labels = drawing(&scrap, "labels.png", |y, x| {
        y % 12 < 3 && (10..80).contains(&x)
    });
    let mask = drawing(&scrap, "mask.png", |_, _| true);
    let file = scrap.path("threshold.json");
    let known = ["--labels", word(&labels), "--mask", word(&mask)];
    let find = [
        &["threshold", word(&inked), "--out", word(&file), "--force"],
        &known[..],
        &["--bare", word(&bare), "--bare-mask"],
    ]
    .concat();
    // Of no speck more are to be feared than three, of a pixel each.
    let share = ["--bare-share", "0.0004"];
    let found = figures(&[&find[..], &[word(&mask)], &share].concat());
    let high = found["high_threshold"].as_f64().unwrap();
    assert_eq!(
        (&found["f05"], &found["bare_share"]),
        (&1.0.into(), &0.0.into())
    );
    assert!((181.0 / 255.0..=220.0 / 255.0).contains(&high), "{found}");
    // One threshold cannot part specks from ends.
    assert!(found["f05_without_bare"].as_f64().unwrap() < 1.0, "{found}");
    let score = |threshold: &str| {
        let words = ["score", word(&inked), "--threshold", threshold];
        figures(&[&words[..], &known].concat())
    };
    let by_file = score(word(&file));
    assert_eq!(
        (&by_file["f05"], &by_file["high_threshold"]),
        (&1.0.into(), &high.into())
    );
    assert_eq!(by_file["metrics"]["f05"]["value"], 1.0);
    assert!(score("0.5")["high_threshold"].is_null());
    let pair = format!("{},{high}", found["threshold"]);
    assert_eq!(score(&pair), by_file);
    let csv = scrap.path("submission.csv");
    for (image, pixels) in [(&inked, 3 * 70 * 8), (&bare, 0)] {
        let words = ["submit", word(image), "--threshold", word(&file)];
        figures(&[&words[..], &["--out", word(&csv), "--force"]].concat());
        assert_eq!(submitted(&csv), pixels);
    }
    let sure = drawing(&scrap, "sure.png", |_, _| true);
    for (words, said) in [
        (
            vec![word(&mask), word(&mask)],
            "--bare-mask: found 2 images",
        ),
        (vec![word(&mask), "--bare-share", "2"], "--bare-share 2"),
    ] {
        refused(&[&find[..], &words].concat(), 2, &[said]);
    }
    let mut unsuited = find.clone();
    *unsuited.iter_mut().find(|at| **at == word(&bare)).unwrap() = word(&sure);
    refused(
        &[&unsuited[..], &[word(&mask)], &share].concat(),
        1,
        &["100.0000 %", "0.0400 %"],
    );
    refused(
        &["submit", word(&inked), "--threshold", "0.9,0.5"],
        2,
        &["0.9,0.5", "LOW,HIGH"],
    );
}
