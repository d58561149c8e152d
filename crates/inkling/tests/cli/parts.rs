//! A prediction made in parts, or killed and gone on with, is the one that was made in one go.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::test_fragment::{TestFragment, figures, inkling, word};

/// How often the program is killed.
const KILLS: u32 = 5;

/// Two small models, and what is asked of them.
pub struct Setting {
    pub scrap: TestFragment,
    pub models: [PathBuf; 2],
}

impl Setting {
    pub fn new() -> Self {
        let scrap = TestFragment::new();
        scrap.phantom("2", 2);
        let recipe = scrap.recipe("");
        let models = ["one", "two"].map(|name| scrap.path(name));
        for (seed, model) in models.iter().enumerate() {
            let seed = format!("train.seed={seed}");
            let words = ["train", "--config", word(&recipe), "--set", &seed, "--out"];
            figures(&[&words[..], &[word(model)]].concat());
        }
        Self { scrap, models }
    }

    /// The words of a prediction of phantom 2 into `out`, by batches of three tiles.
    pub fn words<'a>(&'a self, fragment: &'a Path, out: &'a Path) -> Vec<&'a str> {
        [self.words_of(fragment, out), vec!["--batch", "3"]].concat()
    }

    fn words_of<'a>(&'a self, fragment: &'a Path, out: &'a Path) -> Vec<&'a str> {
        let [one, two] = self.models.each_ref().map(|model| word(model));
        let words = ["predict", word(fragment), "--model", one, two, "--out"];
        let how = ["--weights", "1,2", "--uncertainty", "--float"];
        [&words[..], &[word(out)], &how].concat()
    }
}

/// Every image, and the run lengths.
const FILES: [&str; 5] = ["2.png", "2.tif", "2.std.png", "2.std.tif", "submission.csv"];

fn assert_same(whole: &Path, other: &Path) {
    for file in FILES {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        let (expected, found) = (read(whole), read(other));
        assert!(!expected.is_empty());
        assert!(expected == found, "{file} differs");
    }
}

/// Exit code and words of a call that must fail.
fn refusal(words: &[&str]) -> String {
    let output = inkling(words);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

#[test]
fn parts_are_joined_to_the_bits_of_the_whole() {
    let setting = Setting::new();
    let [whole, parts, fragment] = ["whole", "parts", "2"].map(|name| setting.scrap.path(name));
    let words = setting.words(&fragment, &whole);
    let painted = figures(&words);
    assert!(!whole.join("parts").exists());
    let tiles = painted["fragments"][0]["tiles"].as_u64().unwrap();

    let words = setting.words(&fragment, &parts);
    let part = |which: &'static str, batch: &'static str| {
        let words = setting.words_of(&fragment, &parts);
        [&words[..], &["--part", which, "--batch", batch]].concat()
    };
    let merge = ["merge", word(&parts), "--float"];
    // Not in their order, and with other batches: neither is part of the plan.
    let made = figures(&part("3/3", "4"));
    let made = made["fragments"][0]["tiles"].as_u64().unwrap();
    figures(&part("1/3", "1"));
    let refused = refusal(&merge);
    assert!(refused.contains("no part 2/3"), "{refused}");
    assert!(made.abs_diff(tiles / 3) <= 1, "{made} of {tiles}");

    let refused = refusal(&part("3/3", "4"));
    assert!(refused.contains("--resume"), "{refused}");
    let refused = refusal(&[part("2/3", "7"), vec!["--tta", "none"]].concat());
    assert!(
        refused.contains("tta") && refused.contains("plan"),
        "{refused}"
    );

    figures(&part("2/3", "7"));
    figures(&merge);
    assert_same(&whole, &parts);
    assert!(!parts.join("parts").exists());

    let refused = refusal(&words);
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(
        inkling(&merge).status.code(),
        Some(2),
        "nothing is left to join"
    );
}

#[test]
fn a_killed_prediction_goes_on_to_the_same_bits() {
    let setting = Setting::new();
    let [whole, killed, fragment] = ["whole", "killed", "2"].map(|name| setting.scrap.path(name));
    let painted = figures(&setting.words(&fragment, &whole));
    let tiles = painted["fragments"][0]["tiles"].as_u64().unwrap();
    // A checksum, and two images of 32 px.
    let bytes = tiles * 4 * (1 + 2 * 32 * 32);

    let words = [setting.words(&fragment, &killed), vec!["--resume"]].concat();
    let partial = killed.join("parts/2/part-1-of-1.partial");
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut before = 0;
    for kill in 0..KILLS {
        let share = (f64::from(kill) + random.random_range(0.0..0.9)) / f64::from(KILLS);
        kill_once(&words, &partial, (bytes as f64 * share) as u64);
        let length = std::fs::metadata(&partial).map_or(0, |file| file.len());
        // What was made once is kept, but for a tile that was not whole.
        assert!(length + bytes / tiles >= before, "{length} after {before}");
        before = length;
    }
    let painted = figures(&words);
    assert!(painted["fragments"][0]["parts"][0]["resumed_after"].as_u64() > Some(tiles / 4));
    assert_same(&whole, &killed);
    // And once more changes nothing.
    figures(&words);
    assert_same(&whole, &killed);
}

/// Kills the program (SIGKILL on Unix) once `file` holds more than `bytes`.
fn kill_once(words: &[&str], file: &Path, bytes: u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let holds = || std::fs::metadata(file).map_or(0, |file| file.len());
    while holds() <= bytes {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn fewer_bits_paint_nearly_the_same_and_do_not_mix_with_others() {
    let setting = Setting::new();
    let [exact, rough, fragment] = ["exact", "rough", "2"].map(|name| setting.scrap.path(name));
    figures(&setting.words(&fragment, &exact));
    let furthest = |painted: &Path| {
        let [exact, painted] = [&exact, painted]
            .map(|folder| inkling_fragment::read_gray(folder.join("2.png")).unwrap());
        let pairs = exact.iter().zip(&painted);
        pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    };
    let words = setting.words(&fragment, &rough);
    let narrow = [&words[..], &["--precision", "bf16"]].concat();
    figures(&[&narrow[..], &["--part", "1/2"]].concat());
    let refused = refusal(&[&words[..], &["--part", "2/2"]].concat());
    assert!(refused.contains("precision"), "{refused}");
    figures(&[&narrow[..], &["--part", "2/2"]].concat());
    figures(&["merge", word(&rough)]);
    let said = std::fs::read_to_string(rough.join("predict.json")).unwrap();
    assert!(said.contains("\"precision\": \"bf16\""), "{said}");

    assert!(furthest(&rough) <= 8, "{} of 255", furthest(&rough));

    let rougher = setting.scrap.path("rougher");
    let words_of_it = setting.words(&fragment, &rougher);
    figures(&[&words_of_it[..], &["--precision", "int8"]].concat());
    let off = furthest(&rougher);
    assert!((1..=24).contains(&off), "{off} of 255");

    let wrong = [&words[..], &["--precision", "f64"]].concat();
    let output = inkling(&wrong);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("expected f32, bf16, f16 or int8"), "{text}");
}

#[test]
fn a_plan_is_told_without_making_it() {
    let setting = Setting::new();
    let [out, fragment] = ["out", "2"].map(|name| setting.scrap.path(name));
    let words = [setting.words(&fragment, &out), vec!["--plan-only"]].concat();
    let told = &figures(&words)["fragments"][0];
    let (tiles, batches) = (told["tiles"].as_u64(), told["batches"].as_u64());
    assert_eq!(tiles.unwrap().div_ceil(3), batches.unwrap());
    assert!(told["seconds"].as_f64().unwrap() > 0.0);
    assert!(told["memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(!out.join("parts").exists() && !out.join("2.png").exists());
}

#[test]
fn the_heavier_model_has_more_say() {
    let setting = Setting::new();
    let fragment = setting.scrap.path("2");
    let [one, two] = setting.models.each_ref().map(|model| word(model));
    let paint = |name: &str, weights: &str| {
        let out = setting.scrap.path(name);
        let words = ["predict", word(&fragment), "--tta", "none", "--per-model"];
        let more = [
            "--model",
            one,
            two,
            "--weights",
            weights,
            "--out",
            word(&out),
        ];
        figures(&[&words[..], &more].concat());
        ["2.png", "2.model-1.png", "2.model-2.png"]
            .map(|file| inkling_fragment::read_gray(out.join(file)).unwrap())
    };
    for (weights, shares) in [("1,3", [0.25, 0.75]), ("1,1", [0.5, 0.5])] {
        let [mean, first, second] = paint(weights, weights);
        assert_ne!(first, second);
        for ((mean, first), second) in mean.iter().zip(&first).zip(&second) {
            let expected = shares[0] * f64::from(*first) + shares[1] * f64::from(*second);
            assert!(
                (f64::from(*mean) - expected).abs() <= 1.0,
                "{mean} {expected}"
            );
        }
    }
}

#[test]
fn a_threshold_found_on_one_is_used_on_another() {
    let setting = Setting::new();
    let [out, fragment, file] = ["out", "2", "threshold.json"].map(|name| setting.scrap.path(name));
    figures(&setting.words(&fragment, &out));
    let [labels, mask] = ["inklabels.png", "mask.png"].map(|name| fragment.join(name));
    let image = out.join("2.png");
    let words = [
        "threshold",
        word(&image),
        "--labels",
        word(&labels),
        "--mask",
    ];
    let found = figures(&[&words[..], &[word(&mask), "--out", word(&file)]].concat());
    let cut = found["threshold"].as_f64().unwrap();
    assert!(found["f05"].as_f64() >= found["f05_at_half"].as_f64());

    let [by_file, by_number] = ["file.csv", "number.csv"].map(|name| setting.scrap.path(name));
    let number = cut.to_string();
    for (table, cut) in [(&by_file, word(&file)), (&by_number, &number)] {
        let words = ["submit", word(&image), "--out", word(table)];
        figures(&[&words[..], &["--threshold", cut]].concat());
    }
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&by_file), read(&by_number));
    assert!(read(&by_file).lines().nth(1).unwrap().len() > 4);
}
